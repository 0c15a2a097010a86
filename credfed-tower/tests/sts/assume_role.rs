//! AssumeRole: trust in principals, chains, tags, source identity, and the barrier of session policies.

use std::future::{Future, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use credfed_core::session::SessionKind;
use credfed_tower::sts::{
    AssumeHook, AssumeRequest, CallerKind, Denial, Pattern, PrincipalTrust, Role, StsError, Trust, Verdict,
    danger,
};

use crate::support::{Signer, run};
use crate::world::{ALICE, Answer, World, alice, arn, role};

fn trust() -> PrincipalTrust {
    Trust::principals().principal(ALICE)
}

fn trusts(principal: impl Into<Pattern>) -> PrincipalTrust {
    Trust::principals().principal(principal)
}

fn denial(answer: &Answer) -> Option<Denial> {
    match answer.head.extensions().get() {
        Some(StsError::Denied { why, .. }) => Some(*why),
        _ => None,
    }
}

const POLICY: (&str, &str) = ("Policy", "{\"Statement\":[]}");

#[test]
fn a_user_assumes_a_role_that_trusts_them() {
    run(async {
        let world = World::new([role("reader").trust(trust())]);
        let answer = world.assume(&alice(), "reader", &[]).await;
        assert_eq!(answer.root, "AssumeRoleResponse");
        assert_eq!(answer.text("Arn"), "arn:aws:sts::123456789012:assumed-role/reader/batch");
        assert_eq!((answer.lifetime(), answer.find("PackedPolicySize")), (3600, None));
        let session = world.opened(&answer);
        assert_eq!((session.kind(), session.subject()), (SessionKind::AssumedRole, None));
        assert_eq!(session.role(), Some(&*arn("reader")));
    });
}

#[test]
fn who_is_trusted_is_told_by_arn() {
    run(async {
        let table: [(&str, PrincipalTrust, u16); 7] = [
            ("the user", trust(), 200),
            ("a glob", trusts(Pattern::glob("arn:aws:iam::123456789012:user/al*")), 200),
            ("another user", trusts("arn:aws:iam::123456789012:user/bob"), 403),
            ("another account", trusts("arn:aws:iam::210987654321:user/alice"), 403),
            ("a role of that name", trusts("arn:aws:iam::123456789012:role/alice"), 403),
            ("nobody", Trust::principals(), 403),
            (
                "everybody, by the knob",
                Trust::principals().everybody().danger(danger::Knobs::new().everybody()),
                200,
            ),
        ];
        for (case, trust, status) in table {
            let answer = World::new([role("r").trust(trust)]).assume(&alice(), "r", &[]).await;
            assert_eq!(answer.status().as_u16(), status, "{case}");
        }
    });
}

#[test]
fn an_unknown_role_and_one_that_does_not_trust_are_answered_alike() {
    run(async {
        let world = World::new([role("reader").trust(trusts("arn:aws:iam::123456789012:user/bob"))]);
        let denied = world.assume(&alice(), "reader", &[]).await;
        let unknown = world.assume(&alice(), "nobody", &[]).await;
        assert_eq!((denial(&denied), denial(&unknown)), (Some(Denial::Trust), Some(Denial::UnknownRole)));
        assert_eq!(denied.verdict(), (403, "AccessDenied"));
        let expected = format!(
            "User: {ALICE} is not authorized to perform: sts:AssumeRole on resource: {}",
            arn("reader")
        );
        assert_eq!(denied.message(), expected);
        let (status, xml) = unknown.without_request_id();
        assert_eq!(denied.without_request_id(), (status, xml.replace("role/nobody", "role/reader")));
    });
}

#[test]
fn an_external_id_is_compared_where_the_trust_asks_for_one() {
    run(async {
        let world = World::new([
            role("r").trust(trust().external_id("tenant-1").external_id("tenant-2")),
            role("open").trust(Trust::principals().everybody().external_id("tenant-1")),
            role("plain").trust(trust()),
        ]);
        for (role, id, verdict) in [
            ("r", Some("tenant-1"), (200, "none")),
            ("r", Some("tenant-2"), (200, "none")),
            ("r", Some("tenant-3"), (403, "AccessDenied")),
            ("r", Some("tenant-"), (403, "AccessDenied")),
            ("r", None, (403, "AccessDenied")),
            ("r", Some("x"), (400, "ValidationError")),
            ("r", Some(""), (400, "ValidationError")),
            ("open", Some("tenant-1"), (200, "none")),
            ("open", None, (403, "AccessDenied")),
            ("plain", Some("tenant-9"), (200, "none")),
        ] {
            let more: Vec<_> = id_list(id);
            assert_eq!(world.assume(&alice(), role, &more).await.verdict(), verdict, "{role} {id:?}");
        }
    });
}

fn id_list(id: Option<&str>) -> Vec<(&str, &str)> {
    id.map(|id| ("ExternalId", id)).into_iter().collect()
}

/// A role session that alice has, and roles to go on to.
async fn chain(next: Role) -> (World, Signer) {
    let long = Duration::from_secs(43_200);
    let first = role("first").trust(trust().allow_tags().allow_source_identity()).max_session(long).unwrap();
    let world = World::new([first, next.max_session(long).unwrap()]);
    let answer = world.assume(&alice(), "first", &[]).await;
    let signer = answer.signer();
    (world, signer)
}

#[test]
fn a_chained_session_lasts_an_hour_at_most() {
    run(async {
        let (world, session) = chain(role("next").trust(trusts(arn("first")))).await;
        for (asked, expected) in [
            (None, Ok(3600)),
            (Some("900"), Ok(900)),
            (Some("3600"), Ok(3600)),
            (Some("3601"), Err((400, "ValidationError"))),
        ] {
            let more: Vec<_> = asked.map(|asked| ("DurationSeconds", asked)).into_iter().collect();
            let answer = world.assume(&session, "next", &more).await;
            match expected {
                Ok(seconds) => assert_eq!((answer.verdict(), answer.lifetime()), ((200, "none"), seconds)),
                Err(verdict) => {
                    assert_eq!(answer.verdict(), verdict);
                    assert!(answer.message().contains("role chaining"), "{}", answer.message());
                }
            }
        }
        // The first link is none: alice signs with a key of her own.
        let long = world.assume(&alice(), "first", &[("DurationSeconds", "43200")]).await;
        assert_eq!(long.lifetime(), 43_200);
        assert_eq!(long.signer().access_key.len(), 20);
    });
}

#[test]
fn the_default_of_a_chain_is_the_roles_own_where_that_is_less() {
    run(async {
        let next = role("next").trust(trusts(arn("first"))).max_session(Duration::from_secs(1200)).unwrap();
        let world = World::new([role("first").trust(trust()), next]);
        let session = world.assume(&alice(), "first", &[]).await.signer();
        assert_eq!(world.assume(&session, "next", &[]).await.lifetime(), 1200);
        let answer = world.assume(&session, "next", &[("DurationSeconds", "1201")]).await;
        assert_eq!(answer.verdict(), (400, "ValidationError"));
    });
}

#[test]
fn a_session_of_get_session_token_is_the_user_and_does_not_chain() {
    run(async {
        let long = Duration::from_secs(43_200);
        let world = World::new([role("r").trust(trust()).max_session(long).unwrap()]);
        let session = world.act(&alice(), "GetSessionToken", &[]).await.signer();
        let answer = world.assume(&session, "r", &[("DurationSeconds", "43200")]).await;
        assert_eq!((answer.verdict(), answer.lifetime()), ((200, "none"), 43_200));
    });
}

#[test]
fn a_role_is_trusted_with_all_of_its_sessions_or_with_one() {
    run(async {
        let session_arn = |name: &str| format!("arn:aws:sts::123456789012:assumed-role/first/{name}");
        for (case, principal, status) in [
            ("the role", arn("first"), 200),
            ("its session", session_arn("batch"), 200),
            ("another session", session_arn("other"), 403),
            ("the user behind it", ALICE.to_owned(), 403),
        ] {
            let (world, session) = chain(role("next").trust(trusts(principal))).await;
            assert_eq!(world.assume(&session, "next", &[]).await.status().as_u16(), status, "{case}");
        }
    });
}

#[test]
fn a_source_identity_that_is_set_stays() {
    run(async {
        let open = || trusts(arn("first")).allow_source_identity();
        let world = World::new([
            role("first").trust(trust().allow_source_identity()),
            role("closed-first").trust(trust()),
            role("next").trust(open()),
            role("closed").trust(trusts(arn("first"))),
        ]);
        let name = |name| [("SourceIdentity", name)];
        let denied = world.assume(&alice(), "closed-first", &name("alice.s")).await;
        assert_eq!(denial(&denied), Some(Denial::SetSourceIdentity));

        let first = world.assume(&alice(), "first", &name("alice.s")).await;
        assert_eq!(first.text("SourceIdentity"), "alice.s");
        let session = first.signer();
        for more in [&name("alice.s")[..], &[]] {
            let answer = world.assume(&session, "next", more).await;
            assert_eq!(answer.text("SourceIdentity"), "alice.s");
            assert_eq!(world.opened(&answer).source_identity(), Some("alice.s"));
        }
        let changed = world.assume(&session, "next", &name("mallory")).await;
        assert_eq!(
            (changed.verdict(), denial(&changed)),
            ((403, "AccessDenied"), Some(Denial::SourceIdentityChanged))
        );
        let kept = world.assume(&session, "closed", &[]).await;
        assert_eq!(denial(&kept), Some(Denial::SetSourceIdentity), "to keep it is to set it");
        let bad = world.assume(&alice(), "first", &name("a")).await;
        assert_eq!(bad.verdict(), (400, "ValidationError"));
    });
}

fn tags(pairs: &[(&str, &str)], transitive: &[&str]) -> Vec<(String, String)> {
    let mut parameters = Vec::new();
    for (at, (key, value)) in pairs.iter().enumerate() {
        parameters.push((format!("Tags.member.{}.Key", at + 1), (*key).to_owned()));
        parameters.push((format!("Tags.member.{}.Value", at + 1), (*value).to_owned()));
    }
    for (at, key) in transitive.iter().enumerate() {
        parameters.push((format!("TransitiveTagKeys.member.{}", at + 1), (*key).to_owned()));
    }
    parameters
}

fn borrowed(parameters: &[(String, String)]) -> Vec<(&str, &str)> {
    parameters.iter().map(|(name, value)| (&**name, &**value)).collect()
}

#[test]
fn transitive_tags_go_down_the_chain_and_cannot_be_passed_again() {
    run(async {
        let next = role("next").trust(trusts(arn("first")).allow_tags());
        let (world, _) = chain(next).await;
        let passed = tags(&[("team", "storage"), ("stage", "prod")], &["team"]);
        let first = world.assume(&alice(), "first", &borrowed(&passed)).await;
        assert!(first.text("PackedPolicySize").parse::<u8>().unwrap() > 0);
        let session = first.signer();

        let answer = world.assume(&session, "next", &borrowed(&tags(&[("stage", "dev")], &[]))).await;
        let claims = world.opened(&answer);
        let found: Vec<_> = claims.tags().map(|tag| (tag.key, tag.value, tag.transitive)).collect();
        assert_eq!(found, [("stage", "dev", false), ("team", "storage", true)]);

        for again in [("team", "other"), ("TEAM", "storage"), ("team", "storage")] {
            let answer = world.assume(&session, "next", &borrowed(&tags(&[again], &[]))).await;
            assert_eq!(answer.verdict(), (400, "ValidationError"), "{again:?}");
        }
    });
}

#[test]
fn tags_need_a_permission_of_their_own_inherited_ones_too() {
    run(async {
        let (world, _) = chain(role("next").trust(trusts(arn("first")))).await;
        let passed = tags(&[("team", "storage")], &["team"]);
        let session = world.assume(&alice(), "first", &borrowed(&passed)).await.signer();
        let inherited = world.assume(&session, "next", &[]).await;
        assert_eq!(denial(&inherited), Some(Denial::TagSession));
        let plain = world.assume(&alice(), "first", &[]).await.signer();
        assert_eq!(world.assume(&plain, "next", &[]).await.verdict(), (200, "none"));
        let passed = world.assume(&plain, "next", &borrowed(&tags(&[("a", "b")], &[]))).await;
        assert_eq!((passed.verdict(), denial(&passed)), ((403, "AccessDenied"), Some(Denial::TagSession)));
    });
}

#[test]
fn lists_of_tags_are_read_strictly() {
    run(async {
        let world = World::new([role("r").trust(trust().allow_tags())]);
        let table: [(&str, Vec<(&str, &str)>, u16); 8] = [
            (
                "empty lists, as SDKs write them",
                vec![("Tags", ""), ("TransitiveTagKeys", ""), ("PolicyArns", "")],
                200,
            ),
            ("a gap", vec![("Tags.member.2.Key", "a"), ("Tags.member.2.Value", "b")], 400),
            ("a leading zero", vec![("Tags.member.01.Key", "a"), ("Tags.member.01.Value", "b")], 400),
            ("no value", vec![("Tags.member.1.Key", "a")], 400),
            ("no key", vec![("Tags.member.1.Value", "a")], 400),
            ("a scalar", vec![("Tags", "a=b")], 400),
            (
                "managed policies",
                vec![("PolicyArns.member.1.arn", "arn:aws:iam::aws:policy/ReadOnlyAccess")],
                400,
            ),
            ("an unknown restriction", vec![("MaxRequests", "1")], 400),
        ];
        for (case, more, status) in table {
            assert_eq!(world.assume(&alice(), "r", &more).await.status().as_u16(), status, "{case}");
        }
    });
}

/// N34.
#[test]
fn n34_a_restricted_session_reaches_no_more_by_calling_sts() {
    run(async {
        let long = Duration::from_secs(43_200);
        let world = World::new([
            role("first").trust(trust().allow_tags()).max_session(long).unwrap(),
            role("next").trust(trusts(arn("first"))).max_session(long).unwrap(),
            // A role that trusts its own sessions would shed the policy.
            role("itself").trust(trust()).trust(trusts(arn("itself"))),
        ]);
        let restricted = world.assume(&alice(), "first", &[POLICY]).await;
        assert!(world.opened(&restricted).restricted());
        let signer = restricted.signer();
        for target in ["next", "first", "nobody"] {
            let answer = world.assume(&signer, target, &[]).await;
            assert_eq!(answer.verdict(), (403, "AccessDenied"), "{target}");
        }
        let barred = world.assume(&signer, "next", &[POLICY]).await;
        assert_eq!(denial(&barred), Some(Denial::RestrictedSession), "not even as restricted as before");
        let itself = world.assume(&alice(), "itself", &[POLICY]).await.signer();
        assert_eq!(denial(&world.assume(&itself, "itself", &[]).await), Some(Denial::RestrictedSession));
        let renewed = world.act(&signer, "GetSessionToken", &[]).await;
        assert_eq!(renewed.verdict(), (403, "AccessDenied"));
        let who = world.act(&signer, "GetCallerIdentity", &[]).await;
        assert_eq!(who.text("Arn"), "arn:aws:sts::123456789012:assumed-role/first/batch");
    });
}

#[derive(Clone, Default)]
struct Evaluator {
    asked: Arc<AtomicUsize>,
}

impl AssumeHook for Evaluator {
    fn decide(&self, request: &AssumeRequest<'_>) -> impl Future<Output = Verdict> + Send {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let evaluated = request.caller_policy().map(|policy| policy.contains("sts:AssumeRole"));
        ready(match (request.role().name(), evaluated) {
            ("forbidden", _) => Verdict::Deny("the hook's own reason".into()),
            ("away", _) => Verdict::Unavailable,
            (_, Some(true)) => Verdict::Allow,
            _ => {
                let caller = request.caller().expect("signed");
                assert!(matches!(caller.kind(), CallerKind::User | CallerKind::RoleSession));
                Verdict::Default
            }
        })
    }
}

#[test]
fn a_hook_can_lift_the_barrier_and_deny_but_never_widens_trust() {
    run(async {
        let hook = Evaluator::default();
        let roles = [
            role("first").trust(trust()),
            role("next").trust(trusts(arn("first"))),
            role("forbidden").trust(trust()),
            role("away").trust(trust()),
            role("closed").trust(trusts("arn:aws:iam::123456789012:user/bob")),
        ];
        let world = World::with(roles, |sts| sts.hook(hook.clone()));
        let able = ("Policy", "{\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"sts:AssumeRole\"}]}");
        let signer = world.assume(&alice(), "first", &[able]).await.signer();
        let lifted = world.assume(&signer, "next", &[]).await;
        assert!(!world.opened(&lifted).restricted(), "a policy is not inherited");
        let signer = world.assume(&alice(), "first", &[POLICY]).await.signer();
        assert_eq!(denial(&world.assume(&signer, "next", &[]).await), Some(Denial::RestrictedSession));

        let forbidden = world.assume(&alice(), "forbidden", &[]).await;
        assert_eq!(denial(&forbidden), Some(Denial::Hook));
        assert!(!forbidden.xml.contains("the hook's own reason"));
        assert_eq!(world.assume(&alice(), "away", &[]).await.verdict(), (503, "ServiceUnavailable"));

        let asked = hook.asked.load(Ordering::SeqCst);
        assert_eq!(denial(&world.assume(&alice(), "closed", &[]).await), Some(Denial::Trust));
        assert_eq!(hook.asked.load(Ordering::SeqCst), asked, "nobody is asked about what the trust refuses");
    });
}

#[test]
fn the_effective_policy_is_the_one_that_was_passed_last() {
    run(async {
        let (world, session) = chain(role("next").trust(trusts(arn("first")))).await;
        let answer = world.assume(&session, "next", &[POLICY]).await;
        assert_eq!(world.opened(&answer).policy(), Some(POLICY.1));
        assert!(answer.text("PackedPolicySize").parse::<u8>().unwrap() > 0);
    });
}

#[test]
fn names_are_checked_before_anything_is_looked_up() {
    run(async {
        let world = World::new([role("r").trust(trust())]);
        for name in ["a", "", "with blank", "a/b", "<a>", "a&b", "é-name", &"n".repeat(65)] {
            let arn = arn("r");
            let answer = world
                .signed(
                    &alice(),
                    &[
                        ("Action", "AssumeRole"),
                        ("Version", "2011-06-15"),
                        ("RoleArn", &arn),
                        ("RoleSessionName", name),
                    ],
                )
                .await;
            assert_eq!(answer.verdict(), (400, "ValidationError"), "{name:?}");
        }
        for arn in
            ["", "short", "arn:aws:iam::123456789012:role/r\u{0}", &format!("arn:{}", "a".repeat(2048))]
        {
            let answer = world
                .signed(
                    &alice(),
                    &[
                        ("Action", "AssumeRole"),
                        ("Version", "2011-06-15"),
                        ("RoleArn", arn),
                        ("RoleSessionName", "batch"),
                    ],
                )
                .await;
            assert_eq!(answer.verdict(), (400, "ValidationError"), "{arn:?}");
        }
    });
}

#[test]
fn a_generation_of_the_role_is_in_its_sessions() {
    run(async {
        let world = World::new([role("r").trust(trust()).generation(7)]);
        assert_eq!(world.opened(&world.assume(&alice(), "r", &[]).await).generation(), 7);
    });
}
