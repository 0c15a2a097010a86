//! GetSessionToken and GetCallerIdentity.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use aws_sigv4::http_request::SignableBody;
use bytes::Bytes;
use credfed_core::session::SessionKind;
use credfed_sigv4_verify::{KeyKind, Reason, ResolvedKey};
use credfed_tower::sts::{Denial, IssuerFacts, KeyHolder, RoleTable, StsError, StsService, Trust};
use credfed_tower::{ByShape, KeyRequest, Resolved, StaticKeys, keys_fn};
use http::Request;
use http_body_util::Full;

use crate::support::{Signer, noon, origin_form, run, secret};
use crate::world::{ALICE, World, account, alice, role};

fn world() -> World {
    World::new([role("r").trust(Trust::principals().principal(ALICE))])
}

#[test]
fn a_long_lived_key_gets_a_session_of_its_user() {
    run(async {
        let world = world();
        for (asked, expected) in [
            (None, Ok(43_200)),
            (Some("900"), Ok(900)),
            (Some("129600"), Ok(129_600)),
            (Some("899"), Err(())),
            (Some("129601"), Err(())),
            (Some(""), Err(())),
        ] {
            let more: Vec<_> = asked.map(|asked| ("DurationSeconds", asked)).into_iter().collect();
            let answer = world.act(&alice(), "GetSessionToken", &more).await;
            match expected {
                Ok(seconds) => assert_eq!((answer.verdict(), answer.lifetime()), ((200, "none"), seconds)),
                Err(()) => assert_eq!(answer.verdict(), (400, "ValidationError"), "{asked:?}"),
            }
        }
        let answer = world.act(&alice(), "GetSessionToken", &[]).await;
        assert_eq!(answer.root, "GetSessionTokenResponse");
        let session = world.opened(&answer);
        assert_eq!(
            (session.kind(), session.principal(), session.role()),
            (SessionKind::SessionToken, ALICE, None)
        );
        let users = world.act(&alice(), "GetCallerIdentity", &[]).await;
        let sessions = world.act(&answer.signer(), "GetCallerIdentity", &[]).await;
        for name in ["Arn", "UserId", "Account"] {
            assert_eq!(users.text(name), sessions.text(name));
        }
        assert_eq!(users.text("Arn"), ALICE);
        assert!(users.text("UserId").starts_with("AIDA"));
    });
}

#[test]
fn session_credentials_get_no_session_token() {
    run(async {
        let world = world();
        let user = world.act(&alice(), "GetSessionToken", &[]).await.signer();
        let role = world.assume(&alice(), "r", &[]).await.signer();
        for signer in [user, role] {
            let answer = world.act(&signer, "GetSessionToken", &[]).await;
            assert_eq!(answer.verdict(), (403, "AccessDenied"));
            assert_eq!(answer.message(), "Cannot call GetSessionToken with session credentials");
        }
    });
}

#[test]
fn mfa_that_nobody_checks_is_refused() {
    run(async {
        let more = [("SerialNumber", "arn:aws:iam::123456789012:mfa/alice"), ("TokenCode", "123456")];
        let answer = world().act(&alice(), "GetSessionToken", &more).await;
        assert_eq!(answer.verdict(), (400, "ValidationError"));
    });
}

fn query(signer: &Signer, query: &str) -> Request<Full<Bytes>> {
    let uri = format!("http://sts.example.org/?{query}");
    let request = Request::get(uri).body(Full::default()).unwrap();
    origin_form(signer.sign(request, SignableBody::Bytes(b"")))
}

fn presigned(signer: Signer, text: &str) -> Request<Full<Bytes>> {
    query(&Signer { presign: Some(Duration::from_secs(60)), ..signer }, text)
}

#[test]
fn a_presigned_get_caller_identity_is_a_token_as_eks_has_it() {
    run(async {
        let world = world();
        let token = "Action=GetCallerIdentity&Version=2011-06-15";
        let answer = world.send(presigned(alice(), token)).await;
        assert_eq!((answer.verdict(), answer.text("Arn")), ((200, "none"), ALICE));
        let session = world.assume(&alice(), "r", &[]).await.signer();
        let answer = world.send(presigned(session, token)).await;
        assert_eq!(answer.text("Arn"), "arn:aws:sts::123456789012:assumed-role/r/batch");
        world.clock.advance(Duration::from_secs(61));
        let late = world.send(presigned(alice(), token)).await;
        assert_eq!(late.verdict(), (403, "SignatureDoesNotMatch"));
    });
}

#[test]
fn nothing_else_may_be_presigned() {
    run(async {
        let world = world();
        for action in [
            "Action=GetSessionToken&Version=2011-06-15",
            "Action=AssumeRole&Version=2011-06-15&RoleSessionName=batch\
             &RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fr",
        ] {
            let answer = world.send(presigned(alice(), action)).await;
            assert_eq!(answer.verdict(), (403, "AccessDenied"), "{action}");
            let reason = answer.head.extensions().get();
            assert!(matches!(reason, Some(StsError::Denied { why: Denial::Presigned, .. })));
            assert_eq!(world.send(query(&alice(), action)).await.verdict(), (200, "none"), "{action}");
        }
    });
}

#[test]
fn the_signed_actions_are_reached_with_a_signature_alone() {
    run(async {
        let world = world();
        for action in ["GetCallerIdentity", "GetSessionToken", "AssumeRole"] {
            let unsigned = world.post(&[("Action", action), ("Version", "2011-06-15")]).await;
            assert_eq!(unsigned.verdict(), (403, "MissingAuthenticationToken"), "{action}");
            assert_eq!(unsigned.head.extensions().get(), Some(&Reason::NoCredentials));
            let forged = Signer { secret: "another".into(), ..alice() };
            assert_eq!(world.act(&forged, action, &[]).await.verdict(), (403, "SignatureDoesNotMatch"));
            let unknown = Signer { access_key: "AKIANOBODY".into(), ..alice() };
            assert_eq!(world.act(&unknown, action, &[]).await.verdict(), (403, "InvalidClientTokenId"));
            let s3 = Signer { service: "s3".into(), ..alice() };
            assert_eq!(world.act(&s3, action, &[]).await.verdict(), (403, "SignatureDoesNotMatch"));
        }
    });
}

#[test]
fn a_body_that_was_not_signed_is_refused() {
    run(async {
        let world = world();
        let signed = crate::world::form(&[("Action", "GetCallerIdentity"), ("Version", "2011-06-15")]);
        let bytes = b"Action=GetCallerIdentity&Version=2011-06-15";
        let mut request = origin_form(alice().sign(signed, SignableBody::Bytes(bytes)));
        *request.body_mut() = Full::new(Bytes::from_static(b"Action=GetSessionToken&Version=2011-06-15"));
        assert_eq!(world.send(request).await.verdict(), (403, "SignatureDoesNotMatch"));
    });
}

/// What something else knows of a temporary key.
#[derive(Clone)]
struct Guest {
    policy: Option<&'static str>,
}

impl KeyHolder for Guest {
    fn user_name(&self) -> Cow<'_, str> {
        "alice".into()
    }

    fn session_policy(&self) -> Option<Cow<'_, str>> {
        self.policy.map(Cow::Borrowed)
    }
}

#[test]
fn a_temporary_key_that_something_else_issued_is_no_long_lived_one() {
    run(async {
        let other = |request: KeyRequest<'_>| {
            let policy = (request.session_token == Some("restricted")).then_some("{}");
            let key = ResolvedKey::new(secret(), KeyKind::Temporary, 0);
            Ok(Resolved::new(key, Guest { policy }))
        };
        let world = world();
        let long = role("long").trust(Trust::principals().principal(ALICE));
        let long = long.max_session(Duration::from_secs(43_200)).unwrap();
        let roles = RoleTable::new([long], &IssuerFacts::new()).unwrap();
        let keys = ByShape::<Guest>::new().other(keys_fn(other));
        let builder = StsService::builder(account(), world.sessions.clone(), keys);
        let sts = builder.roles(roles).clock(Arc::new(world.clock.clone())).build().unwrap();
        let world = World { sts, ..world };
        let guest =
            |token: &str| Signer { access_key: "GUESTKEY".into(), token: Some(token.into()), ..alice() };
        let who = world.act(&guest("free"), "GetCallerIdentity", &[]).await;
        assert_eq!((who.verdict(), who.text("Arn")), ((200, "none"), ALICE));
        let renewed = world.act(&guest("free"), "GetSessionToken", &[]).await;
        assert_eq!(renewed.message(), "Cannot call GetSessionToken with session credentials");
        assert_eq!(world.assume(&guest("free"), "long", &[]).await.lifetime(), 3600);
        let longer = world.assume(&guest("free"), "long", &[("DurationSeconds", "3601")]).await;
        assert_eq!(longer.verdict(), (400, "ValidationError"));
        let restricted = world.assume(&guest("restricted"), "long", &[]).await;
        assert_eq!(restricted.verdict(), (403, "AccessDenied"));
    });
}

/// A holder's policy that a session of GetSessionToken would not have.
#[test]
fn a_restricted_key_gets_no_session_without_its_restriction() {
    run(async {
        let world = world();
        let keys = StaticKeys::new().with_key(
            alice().access_key,
            credfed_core::Secret::new(secret()),
            Guest { policy: Some("{}") },
        );
        let keys = ByShape::new().static_keys(keys).unwrap();
        let builder = StsService::builder(account(), world.sessions.clone(), keys);
        let sts = builder.clock(Arc::new(world.clock.clone())).build().unwrap();
        let world = World { sts, ..world };
        let answer = world.act(&alice(), "GetSessionToken", &[]).await;
        assert_eq!(answer.verdict(), (403, "AccessDenied"));
    });
}

#[test]
fn sessions_end() {
    run(async {
        let world = world();
        let answer = world.assume(&alice(), "r", &[("DurationSeconds", "900")]).await;
        world.clock.advance(Duration::from_secs(899));
        let signer = Signer { time: noon() + Duration::from_secs(899), ..answer.signer() };
        assert_eq!(world.act(&signer, "GetCallerIdentity", &[]).await.verdict(), (200, "none"));
        world.clock.advance(Duration::from_secs(1));
        assert_eq!(world.act(&signer, "GetCallerIdentity", &[]).await.verdict(), (403, "ExpiredToken"));
    });
}
