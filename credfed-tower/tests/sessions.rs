//! Sessions through the real layer: which requests a session token lets in, and which it does not.
#![cfg(feature = "session")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod support;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use aws_sigv4::http_request::SignableBody;
use bytes::Bytes;
use credfed_core::keyring::{KeyRing, SharedKeyRing};
use credfed_core::session::{
    Revocation, RevocationUnavailable, SealedSessions, SessionClaims, SessionClaimsRef, SessionKind, TokenId,
};
use credfed_core::{Secret, VirtualClock};
use credfed_sigv4_verify::{KeyKind, Reason, ResolvedKey};
use credfed_tower::{
    AllowVerified, ByShape, ByShapeError, Caller, KeyRequest, Principal, ResolveError, Resolved,
    SealedSessionResolver, StaticKeys, VerifySigV4Layer, keys_fn,
};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use support::{ACCESS_KEY, Signer, noon, origin_form, secret, verifier};
use tower::{Layer, ServiceExt, service_fn};

const ROLE: &str = "arn:aws:iam::123456789012:role/reader";
const HOUR: Duration = Duration::from_secs(3600);
const SECOND: Duration = Duration::from_secs(1);
/// What `other` in the composite knows.
const OTHER_KEY: &str = "AKIAOTHER00000000001";

struct World {
    sessions: SealedSessions,
    revocation: Revocation,
    clock: VirtualClock,
    hook_down: Arc<AtomicBool>,
    denied: Arc<std::sync::Mutex<Option<TokenId>>>,
    asked_other: Arc<AtomicUsize>,
    layer: Box<dyn Fn(Request<Full<Bytes>>) -> Answer>,
}

type Answer = Result<Principal<&'static str>, (StatusCode, Reason)>;

impl World {
    fn new() -> Self {
        let ring = SharedKeyRing::new(KeyRing::generate(noon()).unwrap());
        let sessions = SealedSessions::new("https://sts.example", ring);
        let (hook_down, denied) = (Arc::new(AtomicBool::new(false)), Arc::new(std::sync::Mutex::new(None)));
        let revocation = Revocation::new().with_hook({
            let (down, denied) = (Arc::clone(&hook_down), Arc::clone(&denied));
            move |_: &SessionClaimsRef<'_>, id: &TokenId| match down.load(Ordering::SeqCst) {
                true => Err(RevocationUnavailable),
                false => Ok(*denied.lock().unwrap() == Some(*id)),
            }
        });
        let asked_other = Arc::new(AtomicUsize::new(0));
        let other = {
            let asked = Arc::clone(&asked_other);
            keys_fn(move |request: KeyRequest<'_>| {
                asked.fetch_add(1, Ordering::SeqCst);
                match (request.access_key, request.session_token) {
                    (OTHER_KEY, None) => {
                        Ok(Resolved::new(ResolvedKey::new(secret(), KeyKind::Static, 1), "other"))
                    }
                    (_, Some(_)) => Err(ResolveError::Invalid),
                    _ => Err(ResolveError::Unknown),
                }
            })
        };
        let resolver = ByShape::new()
            .static_keys(support::keys())
            .unwrap()
            .sealed(SealedSessionResolver::new(sessions.clone()).revocation(revocation.clone()))
            .other(other);
        let clock = VirtualClock::new(noon());
        let layer = VerifySigV4Layer::new(verifier(), resolver, AllowVerified).clock(Arc::new(clock.clone()));
        let inner = service_fn(|request: Request<_>| async move {
            let caller: &Caller<Principal<&'static str>> = request.extensions().get().unwrap();
            let end = caller.claims().as_session().map(|session| session.claims().expires());
            assert_eq!(caller.session_end(), end);
            let mut response = Response::new(Full::<Bytes>::default());
            response.extensions_mut().insert(caller.claims().clone());
            Ok::<_, Infallible>(response)
        });
        // One service for all requests, so that its cache of derived keys is warm.
        let service = layer.layer(inner);
        let layer = Box::new(move |request| {
            let response = futures::executor::block_on(service.clone().oneshot(request)).unwrap();
            let extensions = response.extensions();
            match extensions.get::<Principal<&'static str>>() {
                Some(principal) => Ok(principal.clone()),
                None => Err((response.status(), extensions.get::<Reason>().unwrap().clone())),
            }
        });
        Self { sessions, revocation, clock, hook_down, denied, asked_other, layer }
    }

    fn mint(&self, name: &str) -> Signer {
        let claims = SessionClaims::builder(SessionKind::AssumedRole, ROLE, noon(), noon() + HOUR)
            .session_name(name)
            .build()
            .unwrap();
        let keys = self.sessions.mint(&claims, noon()).unwrap().into_value();
        Signer {
            access_key: keys.access_key_id().into(),
            secret: keys.secret_access_key().expose().into(),
            token: keys.session_token().map(|token| token.expose().to_owned()),
            ..Signer::default()
        }
    }

    fn send(&self, signer: &Signer) -> Answer {
        let request = Request::get("http://s3.example/bucket/key").body(Full::default()).unwrap();
        (self.layer)(origin_form(signer.sign(request, SignableBody::UnsignedPayload)))
    }

    fn refusal(&self, signer: &Signer) -> Reason {
        self.send(signer).expect_err("let in").1
    }
}

fn signer(access_key: &str, token: Option<&str>) -> Signer {
    Signer { access_key: access_key.into(), token: token.map(Into::into), ..Signer::default() }
}

#[test]
fn a_session_is_let_in_by_header_and_by_presigned_url_with_its_claims() {
    let world = World::new();
    let mut signer = world.mint("ci");
    for presign in [None, Some(Duration::from_secs(300))] {
        signer.presign = presign;
        let principal = world.send(&signer).expect("let in");
        let session = principal.as_session().expect("a session");
        assert_eq!(session.claims().role(), Some(ROLE));
        assert_eq!(session.claims().session_name(), Some("ci"));
        assert_eq!(principal.as_static(), None);
        assert!(!format!("{principal:?}").contains(signer.token.as_deref().unwrap()));
    }
}

#[test]
fn each_shape_goes_to_its_resolver_and_to_no_other() {
    let world = World::new();
    assert_eq!(world.send(&signer(ACCESS_KEY, None)).unwrap().as_static(), Some(&"alice"));
    assert_eq!(world.asked_other.load(Ordering::SeqCst), 0);
    assert_eq!(world.send(&signer(OTHER_KEY, None)).unwrap().as_static(), Some(&"other"));
    assert_eq!(world.asked_other.load(Ordering::SeqCst), 1);

    // Refused, without anybody else being asked.
    let genuine = world.mint("ci");
    let token = genuine.token.as_deref();
    let cases = [
        (signer(ACCESS_KEY, token), "a static key with a sealed token"),
        (signer(OTHER_KEY, token), "another key with a sealed token"),
        (signer(&genuine.access_key, None), "a temporary key without a token"),
        (signer("ASIAAAAAAAAAAAAAAAAA", token), "a token with the key of another"),
        (signer("ASIAAAAAAAAAAAAAAAAA", Some("cf1.x")), "what only begins like a token"),
        (signer(ACCESS_KEY, Some("a.b.c")), "a static key with a token of another shape"),
    ];
    for (signer, what) in cases {
        assert!(world.send(&signer).is_err(), "{what}");
    }
    assert_eq!(world.asked_other.load(Ordering::SeqCst), 1);
    // A token of another shape is the other one's business.
    assert_eq!(world.refusal(&signer("ASIAAAAAAAAAAAAAAAAA", Some("a.b.c"))), Reason::InvalidToken);
    assert_eq!(world.asked_other.load(Ordering::SeqCst), 2);
}

#[test]
fn the_parts_of_two_sessions_do_not_mix_with_warm_caches() {
    // B3, N24: token, access key id and secret of different sessions, all of them in the derived-key cache.
    let world = World::new();
    let held: Vec<Signer> = (0..4).map(|n| world.mint(&format!("session-{n}"))).collect();
    held.iter().for_each(|signer| assert!(world.send(signer).is_ok()));
    for (a, b, c) in itertools(&held) {
        let mixed = Signer {
            access_key: held[a].access_key.clone(),
            secret: held[b].secret.clone(),
            token: held[c].token.clone(),
            ..Signer::default()
        };
        let verdict = world.send(&mixed);
        assert_eq!(verdict.is_ok(), a == b && b == c, "{a} {b} {c}");
        match verdict.map_err(|(_, reason)| reason) {
            Err(reason) if a != c => assert_eq!(reason, Reason::InvalidToken),
            Err(reason) => assert_eq!(reason, Reason::SignatureMismatch),
            Ok(_) => {}
        }
    }
}

fn itertools(held: &[Signer]) -> impl Iterator<Item = (usize, usize, usize)> {
    let all = held.len();
    (0..all * all * all).map(move |n| (n / all / all, n / all % all, n % all))
}

#[test]
fn the_end_of_a_session_is_exact_with_a_warm_cache() {
    let world = World::new();
    let signer = world.mint("ci");
    let at = |time| {
        world.clock.set(time);
        world.send(&Signer {
            time,
            access_key: signer.access_key.clone(),
            secret: signer.secret.clone(),
            token: signer.token.clone(),
            ..Signer::default()
        })
    };
    assert!(at(noon()).is_ok());
    assert!(at(noon() + HOUR - SECOND).is_ok());
    assert_eq!(at(noon() + HOUR).unwrap_err(), (StatusCode::BAD_REQUEST, Reason::ExpiredToken));
}

#[test]
fn an_epoch_and_the_hook_count_although_every_cache_is_warm() {
    let world = World::new();
    let (a, b) = (world.mint("a"), world.mint("b"));
    for signer in [&a, &b, &a, &b] {
        assert!(world.send(signer).is_ok());
    }
    // The hook denies one of them.
    let Ok(Principal::Session(session)) = world.send(&a) else { panic!("let in") };
    *world.denied.lock().unwrap() = Some(session.token_id());
    assert_eq!(world.refusal(&a), Reason::InvalidToken);
    assert!(world.send(&b).is_ok());
    // It cannot tell: nobody is let in, and it is our fault.
    world.hook_down.store(true, Ordering::SeqCst);
    let refused = world.send(&b).unwrap_err();
    assert_eq!(refused, (StatusCode::SERVICE_UNAVAILABLE, Reason::ResolverUnavailable));
    world.hook_down.store(false, Ordering::SeqCst);
    assert!(world.send(&b).is_ok());
    // The epoch of the role: everybody, at once.
    world.revocation.revoke(ROLE, noon() - SECOND).unwrap();
    assert!(world.send(&b).is_ok());
    world.revocation.revoke(ROLE, noon()).unwrap();
    assert_eq!(world.refusal(&b), Reason::InvalidToken);
    // Static keys have no epoch.
    assert!(world.send(&signer(ACCESS_KEY, None)).is_ok());
}

#[test]
fn a_removed_key_and_a_tampered_token_are_refused_with_a_warm_cache() {
    let world = World::new();
    let held = world.mint("ci");
    assert!(world.send(&held).is_ok());
    let token = held.token.clone().unwrap();
    for at in [0, 4, 10, 21, 30, 60, 100, token.len() - 1] {
        let mut altered = token.clone().into_bytes();
        altered[at] = if altered[at] == b'7' { b'3' } else { b'7' };
        let altered = Signer {
            token: Some(String::from_utf8(altered).unwrap()),
            access_key: held.access_key.clone(),
            secret: held.secret.clone(),
            ..Signer::default()
        };
        assert!(world.send(&altered).is_err(), "{at}");
    }
    let ring = world.sessions.ring();
    let rotated = ring.load().rotate_at_once(noon() + SECOND).unwrap();
    let first = rotated.keys(noon()).next().unwrap().id;
    ring.replace(rotated);
    assert!(world.send(&held).is_ok());
    let without = ring.load().remove(first, noon() + SECOND).unwrap();
    ring.replace(without);
    assert_eq!(world.refusal(&held), Reason::InvalidToken);
}

#[test]
fn a_token_of_another_service_is_refused() {
    let (world, foreign) = (World::new(), World::new());
    assert_eq!(world.refusal(&foreign.mint("ci")), Reason::InvalidToken);
    // Under the same ring, for another issuer.
    let other = SealedSessions::new("https://other.example", world.sessions.ring().clone());
    let claims =
        SessionClaims::builder(SessionKind::SessionToken, ROLE, noon(), noon() + HOUR).build().unwrap();
    let keys = other.mint(&claims, noon()).unwrap().into_value();
    let signer = Signer {
        access_key: keys.access_key_id().into(),
        secret: keys.secret_access_key().expose().into(),
        token: keys.session_token().map(|token| token.expose().to_owned()),
        ..Signer::default()
    };
    assert_eq!(world.refusal(&signer), Reason::InvalidToken);
}

#[test]
fn n30_a_static_key_in_the_space_of_sessions_is_no_static_key() {
    // N30.
    let keys = |id: &str| StaticKeys::new().with_key(id, Secret::new(secret()), ());
    for id in ["ASIAABCDEFGHIJKLMNOP", "ASIA2345672345672345", "ASIA0000000000000000"] {
        assert_eq!(
            ByShape::new().static_keys(keys(id)).err(),
            Some(ByShapeError::StaticKeyOfASession),
            "{id}"
        );
    }
    for id in ["AKIAABCDEFGHIJKLMNOP", "ASIAABC", "ASIAABCDEFGHIJKLMNOPQ", "XASIAABCDEFGHIJKLMNO"] {
        assert!(ByShape::new().static_keys(keys(id)).is_ok(), "{id}");
    }
}

/// The verdict of a layer of its own about one signed request.
fn verdict<R>(layer: VerifySigV4Layer<R, AllowVerified>, signer: &Signer) -> Option<Reason>
where
    R: credfed_tower::ResolveKey,
{
    let layer = layer.clock(Arc::new(VirtualClock::new(noon())));
    let inner =
        service_fn(async |_: Request<_>| Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())));
    let request = Request::get("http://s3.example/bucket/key").body(Full::<Bytes>::default()).unwrap();
    let request = origin_form(signer.sign(request, SignableBody::UnsignedPayload));
    // Not block_on: a deny hook runs inside of one already.
    let response = futures::FutureExt::now_or_never(layer.layer(inner).oneshot(request)).unwrap().unwrap();
    response.extensions().get::<Reason>().cloned()
}

fn minted(sessions: &SealedSessions, policy: Option<&str>) -> Signer {
    let claims =
        SessionClaims::builder(SessionKind::AssumedRole, ROLE, noon(), noon() + HOUR).session_name("ci");
    let claims = match policy {
        Some(policy) => claims.policy(policy),
        None => claims,
    };
    let keys = sessions.mint(&claims.build().unwrap(), noon()).unwrap().into_value();
    Signer {
        access_key: keys.access_key_id().into(),
        secret: keys.secret_access_key().expose().into(),
        token: keys.session_token().map(|token| token.expose().to_owned()),
        ..Signer::default()
    }
}

#[test]
fn a_restricted_session_is_let_in_only_where_somebody_evaluates_its_policy() {
    // N34.
    let sessions =
        SealedSessions::new("https://sts.example", SharedKeyRing::new(KeyRing::generate(noon()).unwrap()));
    let (free, restricted) = (minted(&sessions, None), minted(&sessions, Some("{}")));
    let sealed = || SealedSessionResolver::new(sessions.clone());
    let plain = || VerifySigV4Layer::new(verifier(), sealed(), AllowVerified);
    let by_shape = || VerifySigV4Layer::new(verifier(), ByShape::<()>::new().sealed(sealed()), AllowVerified);
    assert_eq!(verdict(plain(), &free), None);
    assert_eq!(verdict(plain(), &restricted), Some(Reason::AccessDenied));
    assert_eq!(verdict(by_shape(), &free), None);
    assert_eq!(verdict(by_shape(), &restricted), Some(Reason::AccessDenied));
    assert_eq!(verdict(plain().evaluates_session_policies(), &restricted), None);
    let layer = by_shape().evaluates_session_policies();
    let copy = layer.clone().clock(Arc::new(VirtualClock::new(noon())));
    assert_eq!(verdict(copy, &restricted), None);
    assert_eq!(verdict(layer, &restricted), None);
    // The answer to a wrong signature does not tell that there is a policy.
    let forged = Signer { secret: free.secret, ..restricted };
    assert_eq!(verdict(plain(), &forged), Some(Reason::SignatureMismatch));
}

#[test]
fn a_restriction_that_another_resolver_tells_of_counts_as_well() {
    let other = || {
        keys_fn(|_: KeyRequest<'_>| {
            Ok(Resolved::new(ResolvedKey::new(secret(), KeyKind::Static, 1), "other").restricted(true))
        })
    };
    let layer = || VerifySigV4Layer::new(verifier(), ByShape::new().other(other()), AllowVerified);
    assert_eq!(verdict(layer(), &signer(OTHER_KEY, None)), Some(Reason::AccessDenied));
    assert_eq!(verdict(layer().evaluates_session_policies(), &signer(OTHER_KEY, None)), None);
}

#[test]
fn a_deny_hook_may_open_sessions_itself() {
    let sessions =
        SealedSessions::new("https://sts.example", SharedKeyRing::new(KeyRing::generate(noon()).unwrap()));
    let held = minted(&sessions, None);
    let inner = {
        let (held, sessions) = (minted(&sessions, None), sessions.clone());
        move |_: &SessionClaimsRef<'_>, _: &TokenId| {
            let resolver = SealedSessionResolver::new(sessions.clone());
            let layer = VerifySigV4Layer::new(verifier(), resolver, AllowVerified);
            Ok(verdict(layer, &held).is_some())
        }
    };
    let resolver = SealedSessionResolver::new(sessions).revocation(Revocation::new().with_hook(inner));
    assert_eq!(verdict(VerifySigV4Layer::new(verifier(), resolver, AllowVerified), &held), None);
}
