//! Session tokens that are JWTs, through the real layer, beside sealed ones and static keys.
#![cfg(all(feature = "session", feature = "oidc"))]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod support;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use aws_sigv4::http_request::SignableBody;
use bytes::Bytes;
use credfed_core::keyring::{KeyRing, SharedKeyRing};
use credfed_core::oidc::{Algorithm, LocalSigner};
use credfed_core::session::{
    JwtSessionKeys, JwtSessions, Revocation, RevocationUnavailable, SealedSessions, SessionClaims,
    SessionClaimsRef, SessionKind, TokenId,
};
use credfed_core::{AwsCredentials, VirtualClock};
use credfed_sigv4_verify::Reason;
use credfed_tower::{
    AllowVerified, ByShape, Caller, JwtSessionResolver, KeyRequest, Principal, ResolveError,
    SealedSessionResolver, VerifySigV4Layer, keys_fn,
};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use support::{ACCESS_KEY, Signer, noon, origin_form, verifier};
use tower::{Layer, ServiceExt, service_fn};

const ROLE: &str = "arn:aws:iam::123456789012:role/reader";
const HOUR: Duration = Duration::from_secs(3600);
const SECOND: Duration = Duration::from_secs(1);

type Answer = Result<Principal<&'static str>, (StatusCode, Reason)>;

struct World {
    jwt: JwtSessions,
    sealed: SealedSessions,
    revocation: Revocation,
    clock: VirtualClock,
    hook_down: Arc<AtomicBool>,
    asked_other: Arc<AtomicUsize>,
    send: Box<dyn Fn(Request<Full<Bytes>>) -> Answer>,
}

impl World {
    fn new(algorithm: Option<Algorithm>, evaluates: bool) -> Self {
        let ring = SharedKeyRing::new(KeyRing::generate(noon()).unwrap());
        let jwt = match algorithm {
            None => JwtSessions::hs256("https://sts.example", "s3.example", ring.clone()),
            Some(algorithm) => {
                let keys = JwtSessionKeys::signing(LocalSigner::generate(algorithm).unwrap()).unwrap();
                JwtSessions::asymmetric("https://sts.example", "s3.example", ring.clone(), keys)
            }
        };
        let sealed = SealedSessions::new("https://sts.example", ring);
        let hook_down = Arc::new(AtomicBool::new(false));
        let revocation = Revocation::new().with_hook({
            let down = Arc::clone(&hook_down);
            move |_: &SessionClaimsRef<'_>, _: &TokenId| match down.load(Ordering::SeqCst) {
                true => Err(RevocationUnavailable),
                false => Ok(false),
            }
        });
        let asked_other = Arc::new(AtomicUsize::new(0));
        let other = keys_fn({
            let asked = Arc::clone(&asked_other);
            move |_: KeyRequest<'_>| {
                asked.fetch_add(1, Ordering::SeqCst);
                Err(ResolveError::Invalid)
            }
        });
        let resolver = ByShape::new()
            .static_keys(support::keys())
            .unwrap()
            .sealed(SealedSessionResolver::new(sealed.clone()).revocation(revocation.clone()))
            .jwt(JwtSessionResolver::new(jwt.clone()).revocation(revocation.clone()))
            .other(other);
        let clock = VirtualClock::new(noon());
        let layer = VerifySigV4Layer::new(verifier(), resolver, AllowVerified).clock(Arc::new(clock.clone()));
        let layer = if evaluates { layer.evaluates_session_policies() } else { layer };
        // One service for all requests, so that its cache of derived keys is warm.
        let service = layer.layer(service_fn(|request: Request<_>| async move {
            let caller: &Caller<Principal<&'static str>> = request.extensions().get().unwrap();
            let mut response = Response::new(Full::<Bytes>::default());
            response.extensions_mut().insert(caller.claims().clone());
            Ok::<_, Infallible>(response)
        }));
        let send = Box::new(move |request| {
            let response = futures::executor::block_on(service.clone().oneshot(request)).unwrap();
            let extensions = response.extensions();
            match extensions.get::<Principal<&'static str>>() {
                Some(principal) => Ok(principal.clone()),
                None => Err((response.status(), extensions.get::<Reason>().unwrap().clone())),
            }
        });
        Self { jwt, sealed, revocation, clock, hook_down, asked_other, send }
    }

    fn each() -> impl Iterator<Item = Self> {
        [None, Some(Algorithm::Es256), Some(Algorithm::EdDsa)]
            .into_iter()
            .map(|algorithm| Self::new(algorithm, false))
    }

    fn hold(&self, name: &str) -> Signer {
        signer(self.jwt.mint(&claims(name, None), noon()).unwrap().into_value())
    }

    fn answer(&self, signer: &Signer) -> Answer {
        let request = Request::get("http://s3.example/bucket/key").body(Full::default()).unwrap();
        (self.send)(origin_form(signer.sign(request, SignableBody::UnsignedPayload)))
    }
}

fn claims(name: &str, policy: Option<&str>) -> SessionClaims {
    let builder =
        SessionClaims::builder(SessionKind::AssumedRole, ROLE, noon(), noon() + HOUR).session_name(name);
    let builder = match policy {
        Some(policy) => builder.policy(policy),
        None => builder,
    };
    builder.build().unwrap()
}

fn signer(keys: AwsCredentials) -> Signer {
    Signer {
        access_key: keys.access_key_id().into(),
        secret: keys.secret_access_key().expose().into(),
        token: keys.session_token().map(|token| token.expose().to_owned()),
        ..Signer::default()
    }
}

#[test]
fn a_session_is_let_in_by_header_and_by_presigned_url_with_its_claims() {
    for world in World::each() {
        let mut signer = world.hold("ci");
        for presign in [None, Some(Duration::from_secs(300))] {
            signer.presign = presign;
            let principal = world.answer(&signer).expect("let in");
            let session = principal.as_session().expect("a session");
            assert_eq!((session.claims().role(), session.claims().session_name()), (Some(ROLE), Some("ci")));
        }
        assert_eq!(world.asked_other.load(Ordering::SeqCst), 0);
    }
}

#[test]
fn each_shape_goes_to_its_resolver_and_to_no_other() {
    for world in World::each() {
        let jwt = world.hold("ci");
        let sealed = signer(world.sealed.mint(&claims("ci", None), noon()).unwrap().into_value());
        assert!(world.answer(&sealed).is_ok());
        let with = |access_key: &str, token: Option<&str>, secret: &str| Signer {
            access_key: access_key.into(),
            secret: secret.into(),
            token: token.map(Into::into),
            ..Signer::default()
        };
        let token = jwt.token.as_deref().unwrap();
        let refused = [
            with(ACCESS_KEY, Some(token), &jwt.secret),
            with(&jwt.access_key, None, &jwt.secret),
            with(&sealed.access_key, Some(token), &sealed.secret),
            with(&jwt.access_key, sealed.token.as_deref(), &jwt.secret),
            // Three parts of nothing.
            with(&jwt.access_key, Some("eyJhbGciOiJub25lIn0.e30."), &jwt.secret),
            with(&jwt.access_key, Some("eyJ.."), &jwt.secret),
            // As a bearer: whoever has the token alone has nothing (N11).
            with(&jwt.access_key, Some(token), token),
            with(&jwt.access_key, Some(token), &jwt.access_key),
        ];
        for signer in &refused {
            assert!(world.answer(signer).is_err(), "{}", signer.access_key);
        }
        assert_eq!(world.asked_other.load(Ordering::SeqCst), 0);
        // What is no JWT is the other one's business.
        assert!(world.answer(&with(&jwt.access_key, Some("a.b.c"), &jwt.secret)).is_err());
        assert!(world.answer(&with(&jwt.access_key, Some("eyJ.b.c.d"), &jwt.secret)).is_err());
        assert_eq!(world.asked_other.load(Ordering::SeqCst), 2);
    }
}

#[test]
fn end_epoch_and_hook_count_although_every_cache_is_warm() {
    for world in World::each() {
        let held = world.hold("ci");
        assert!(world.answer(&held).is_ok() && world.answer(&held).is_ok());
        world.hook_down.store(true, Ordering::SeqCst);
        let unavailable = (StatusCode::SERVICE_UNAVAILABLE, Reason::ResolverUnavailable);
        assert_eq!(world.answer(&held).unwrap_err(), unavailable);
        world.hook_down.store(false, Ordering::SeqCst);
        assert!(world.answer(&held).is_ok());
        let late = |time| {
            world.clock.set(time);
            let (access_key, secret, token) =
                (held.access_key.clone(), held.secret.clone(), held.token.clone());
            world.answer(&Signer { time, access_key, secret, token, ..Signer::default() })
        };
        assert!(late(noon() + HOUR - SECOND).is_ok());
        assert_eq!(late(noon() + HOUR).unwrap_err(), (StatusCode::BAD_REQUEST, Reason::ExpiredToken));
        assert!(late(noon()).is_ok());
        world.revocation.revoke(ROLE, noon()).unwrap();
        assert_eq!(world.answer(&held).unwrap_err().1, Reason::InvalidToken);
    }
}

#[test]
fn a_restricted_session_is_let_in_only_where_policies_are_evaluated() {
    for evaluates in [false, true] {
        let world = World::new(None, evaluates);
        let restricted = claims("ci", Some("{}"));
        let held = signer(world.jwt.mint(&restricted, noon()).unwrap().into_value());
        assert_eq!(world.answer(&held).is_ok(), evaluates);
        assert!(world.answer(&world.hold("ci")).is_ok());
    }
}
