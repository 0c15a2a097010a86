//! AssumeRoleWithWebIdentity.

use std::time::Duration;

use credfed_core::oidc::{AssertionClaims, AssertionValue};
use credfed_core::session::SessionKind;
use credfed_tower::sts::{Denial, IdentityFault, Pattern, Role, StsError, Trust, WebIdentityTrust};

use crate::support::{noon, run};
use crate::world::{
    AUDIENCE, Answer, GITHUB, ISSUER, SUBJECT, World, claims, fresh_issuer, role, signed_token, token,
};

fn trust() -> WebIdentityTrust {
    Trust::web_identity(ISSUER).audience(AUDIENCE).subject(SUBJECT)
}

fn reader() -> Role {
    role("reader").trust(trust())
}

fn github() -> WebIdentityTrust {
    Trust::web_identity(GITHUB).audience(AUDIENCE)
}

fn denial(answer: &Answer) -> Option<Denial> {
    match answer.head.extensions().get() {
        Some(StsError::Denied { why, .. }) => Some(*why),
        _ => None,
    }
}

#[test]
fn a_web_identity_becomes_a_session_of_the_role() {
    run(async {
        let world = World::new([reader()]);
        let answer = world.web_identity("reader", &token(claims()).await, &[]).await;
        assert_eq!(answer.root, "AssumeRoleWithWebIdentityResponse");
        assert_eq!(answer.text("Arn"), "arn:aws:sts::123456789012:assumed-role/reader/ci-run");
        let id = answer.text("AssumedRoleId");
        assert!(id.starts_with("AROA") && id.ends_with(":ci-run") && id.len() == 27, "{id}");
        assert_eq!(answer.text("SubjectFromWebIdentityToken"), SUBJECT);
        assert_eq!((answer.text("Audience"), answer.text("Provider")), (AUDIENCE, ISSUER));
        assert_eq!(answer.find("PackedPolicySize"), None);
        assert_eq!(answer.lifetime(), 3600);
        assert_eq!(answer.head.headers()["cache-control"], "no-store");
        assert_eq!(answer.head.headers()["x-amzn-requestid"], answer.text("RequestId"));

        let session = world.opened(&answer);
        assert_eq!(session.kind(), SessionKind::WebIdentity);
        assert_eq!(session.role(), Some("arn:aws:iam::123456789012:role/reader"));
        assert_eq!((session.subject(), session.issuer()), (Some(SUBJECT), Some(ISSUER)));
        assert_eq!(session.expires(), noon() + Duration::from_secs(3600));
        assert!(!session.restricted());

        let who = world.act(&answer.signer(), "GetCallerIdentity", &[]).await;
        assert_eq!(who.text("Arn"), "arn:aws:sts::123456789012:assumed-role/reader/ci-run");
        assert_eq!((who.text("UserId"), who.text("Account")), (id, "123456789012"));
    });
}

#[test]
fn an_authorization_header_beside_the_token_is_ignored() {
    run(async {
        let world = World::new([reader()]);
        let token = token(claims()).await;
        let mut request = crate::world::form(&[
            ("Action", "AssumeRoleWithWebIdentity"),
            ("Version", "2011-06-15"),
            ("RoleArn", "arn:aws:iam::123456789012:role/reader"),
            ("RoleSessionName", "ci-run"),
            ("WebIdentityToken", &token),
        ]);
        request.headers_mut().insert("authorization", "AWS4-HMAC-SHA256 nonsense".parse().unwrap());
        assert_eq!(world.send(request).await.verdict(), (200, "none"));
    });
}

#[test]
fn tokens_that_are_not_accepted_get_the_code_of_their_fault() {
    run(async {
        let world = World::new([reader()]);
        let good = token(claims()).await;
        let other_key = fresh_issuer(ISSUER).sign(&claims(), noon()).await.unwrap();
        let unknown = fresh_issuer("https://id.example.net").sign(&claims(), noon()).await.unwrap();
        let foreign = token(AssertionClaims::new(SUBJECT, "somebody-else")).await;
        let mixed = token(AssertionClaims::new(SUBJECT, AUDIENCE).audience("somebody-else")).await;
        let table = [
            ("another key", other_key.value().expose(), "InvalidIdentityToken", IdentityFault::Invalid),
            ("unknown issuer", unknown.value().expose(), "InvalidIdentityToken", IdentityFault::Issuer),
            ("wrong audience", &*foreign, "InvalidIdentityToken", IdentityFault::Audience),
            ("one wrong audience", &*mixed, "InvalidIdentityToken", IdentityFault::Audience),
            ("no token at all", "abcd", "InvalidIdentityToken", IdentityFault::Invalid),
        ];
        for (case, token, code, fault) in table {
            let answer = world.web_identity("reader", token, &[]).await;
            assert_eq!(answer.verdict(), (400, code), "{case}");
            assert_eq!(answer.head.extensions().get(), Some(&StsError::Identity(fault)), "{case}");
        }
        let answer = world.web_identity("reader", &foreign, &[]).await;
        assert_eq!(answer.message(), "Incorrect token audience");
        world.clock.advance(Duration::from_secs(3600));
        let late = world.web_identity("reader", &good, &[]).await;
        assert_eq!(late.verdict(), (400, "ExpiredTokenException"));
    });
}

#[test]
fn an_unknown_role_and_a_wrong_subject_are_answered_alike() {
    run(async {
        let world = World::new([reader()]);
        let stranger = token(AssertionClaims::new("workload:writer", AUDIENCE)).await;
        let denied = world.web_identity("reader", &stranger, &[]).await;
        let unknown = world.web_identity("nobody", &stranger, &[]).await;
        assert_eq!((denial(&denied), denial(&unknown)), (Some(Denial::Trust), Some(Denial::UnknownRole)));
        assert_eq!(denied.verdict(), (403, "AccessDenied"));
        assert_eq!(denied.message(), "Not authorized to perform sts:AssumeRoleWithWebIdentity");
        assert_eq!(denied.without_request_id(), unknown.without_request_id());
        // Not even a duration that no role allows tells them apart.
        let long = [("DurationSeconds", "43200")];
        let denied = world.web_identity("reader", &stranger, &long).await;
        let unknown = world.web_identity("nobody", &stranger, &long).await;
        assert_eq!(denied.without_request_id(), unknown.without_request_id());
        let headers = |answer: &Answer| {
            let mut headers = answer.head.headers().clone();
            headers.remove("x-amzn-requestid");
            headers
        };
        assert_eq!(headers(&denied), headers(&unknown));
    });
}

/// C3.
#[test]
fn every_audience_of_the_token_is_one_that_the_trust_names() {
    run(async {
        let one = || AssertionClaims::new(SUBJECT, AUDIENCE);
        let other = || AssertionClaims::new(SUBJECT, "sts.other.org");
        // Both issuers' settings know both audiences, so that the trust is what decides.
        let only = || role("r").trust(trust());
        let among = || role("r").trust(trust().audience_among_others());
        let both = || role("r").trust(trust().audience("sts.other.org"));
        let prefix = || role("r").trust(Trust::web_identity(ISSUER).audience("sts.example").subject(SUBJECT));
        let case =
            || role("r").trust(Trust::web_identity(ISSUER).audience("STS.example.org").subject(SUBJECT));
        let wild = || role("r").trust(Trust::web_identity(ISSUER).audience("*").subject(SUBJECT));
        // The validator wants azp beside several audiences; the audience is a party that it knows.
        let two = || one().audience("sts.other.org").claim("azp", text(AUDIENCE)).unwrap();
        let table: [(&str, Role, AssertionClaims, u16); 9] = [
            ("the one", only(), one(), 200),
            ("another one", only(), other(), 403),
            ("one of two", only(), two(), 403),
            ("one of two, with the knob", among(), two(), 200),
            ("none of them, with the knob", among(), other(), 403),
            ("both", both(), two(), 200),
            ("a prefix", prefix(), one(), 403),
            ("other case", case(), one(), 403),
            ("a star is a character", wild(), one(), 403),
        ];
        for (case, role, claims, status) in table {
            let answer = World::new([role]).web_identity("r", &token(claims).await, &[]).await;
            assert_eq!(answer.status().as_u16(), status, "{case}: {}", answer.xml);
        }
    });
}

fn text(text: &str) -> AssertionValue {
    AssertionValue::Text(text.into())
}

/// C4.
#[test]
fn conditions_on_subject_and_claims_all_have_to_hold() {
    run(async {
        let subject = |pattern: Pattern| Trust::web_identity(ISSUER).audience(AUDIENCE).subject(pattern);
        let any = || Trust::web_identity(ISSUER).audience(AUDIENCE);
        let list = || AssertionValue::List(vec![text("dev"), text("ops")]);
        let nested = || AssertionValue::Object(vec![("namespace".into(), text("prod"))]);
        let token_claims = || {
            claims()
                .claim("groups", list())
                .and_then(|claims| claims.claim("tenant", AssertionValue::Number(42)))
                .and_then(|claims| claims.claim("root", AssertionValue::Bool(false)))
                .and_then(|claims| claims.claim("kubernetes.io", nested()))
                .unwrap()
        };
        let table: [(&str, WebIdentityTrust, u16); 16] = [
            ("exact", subject(SUBJECT.into()), 200),
            ("glob", subject(Pattern::glob("workload:*")), 200),
            ("glob, other end", subject(Pattern::glob("*:writer")), 403),
            ("glob is anchored", subject(Pattern::glob("load:*")), 403),
            ("exact is no glob", subject(Pattern::exact("workload:*")), 403),
            ("second subject", subject("x".into()).subject(SUBJECT), 200),
            ("claim", any().claim("tenant", ["42"]), 200),
            ("other claim value", any().claim("tenant", ["43"]), 403),
            ("truth value", any().claim("root", ["false"]), 200),
            ("member of a list", any().claim("groups", ["ops"]), 200),
            ("not a member", any().claim("groups", ["admin"]), 403),
            ("a missing claim never matches", any().claim("absent", [Pattern::glob("a*")]), 403),
            ("an object never matches", any().claim("kubernetes.io", [Pattern::glob("p*")]), 403),
            ("nested", any().nested_claim(&["kubernetes.io", "namespace"], ["prod"]), 200),
            ("nested, wrong", any().nested_claim(&["kubernetes.io", "namespace"], ["dev"]), 403),
            ("both conditions", trust().claim("groups", ["admin"]), 403),
        ];
        for (case, trust, status) in table {
            let world = World::new([role("r").trust(trust)]);
            let answer = world.web_identity("r", &token(token_claims()).await, &[]).await;
            assert_eq!(answer.status().as_u16(), status, "{case}: {}", answer.xml);
        }
    });
}

#[test]
fn a_token_of_one_issuer_does_not_satisfy_the_trust_in_another() {
    run(async {
        let world = World::new([reader()]);
        let token = signed_token(GITHUB, claims()).await;
        let answer = world.web_identity("reader", &token, &[]).await;
        assert_eq!((answer.verdict(), denial(&answer)), ((403, "AccessDenied"), Some(Denial::Trust)));
    });
}

#[test]
fn a_shared_issuer_lets_the_named_tenant_in_and_no_other() {
    run(async {
        let glob = || github().subject(Pattern::glob("repo:octo-org/*"));
        let by_number = || github().claim("repository_id", ["1296269"]);
        let claims = |subject: &str, number: &str| {
            AssertionClaims::new(subject, AUDIENCE).claim("repository_id", text(number)).unwrap()
        };
        let ours = || claims("repo:octo-org/site:ref:refs/heads/main", "1296269");
        let evil = || claims("repo:octo-org-evil/site:ref:refs/heads/main", "666");
        for (case, trust, claims, status) in [
            ("subject", glob(), ours(), 200),
            ("another tenant", glob(), evil(), 403),
            ("number", by_number(), ours(), 200),
            ("another number", by_number(), evil(), 403),
        ] {
            let world = World::new([role("r").trust(trust)]);
            let answer = world.web_identity("r", &signed_token(GITHUB, claims).await, &[]).await;
            assert_eq!(answer.status().as_u16(), status, "{case}");
        }
    });
}

/// B7.
#[test]
fn a_duration_out_of_range_is_an_error_and_never_cut() {
    run(async {
        let hours = |hours: u64| reader().max_session(Duration::from_secs(hours * 3600)).unwrap();
        let short = || reader().max_session(Duration::from_secs(1200)).unwrap();
        let table: [(Role, Option<&str>, Result<u64, &str>); 18] = [
            (hours(1), None, Ok(3600)),
            (hours(1), Some("3600"), Ok(3600)),
            (hours(1), Some("900"), Ok(900)),
            (hours(1), Some("899"), Err("ValidationError")),
            (hours(1), Some("3601"), Err("ValidationError")),
            (hours(12), None, Ok(3600)),
            (hours(12), Some("43200"), Ok(43_200)),
            (hours(12), Some("43201"), Err("ValidationError")),
            (short(), None, Ok(1200)),
            (short(), Some("1201"), Err("ValidationError")),
            (hours(1), Some("0"), Err("ValidationError")),
            (hours(1), Some(""), Err("ValidationError")),
            (hours(1), Some("-900"), Err("ValidationError")),
            (hours(1), Some("+900"), Err("ValidationError")),
            (hours(1), Some(" 900"), Err("ValidationError")),
            (hours(1), Some("1e3"), Err("ValidationError")),
            (hours(1), Some("900.5"), Err("ValidationError")),
            (hours(1), Some("18446744073709552516"), Err("ValidationError")),
        ];
        let token = token(claims()).await;
        for (role, asked, expected) in table {
            let world = World::new([role]);
            let more: Vec<_> = asked.map(|asked| ("DurationSeconds", asked)).into_iter().collect();
            let answer = world.web_identity("reader", &token, &more).await;
            match expected {
                Ok(seconds) => {
                    assert_eq!((answer.verdict(), answer.lifetime()), ((200, "none"), seconds), "{asked:?}");
                    let end = noon() + Duration::from_secs(seconds);
                    assert_eq!(world.opened(&answer).expires(), end, "{asked:?}");
                }
                Err(code) => assert_eq!(answer.verdict(), (400, code), "{asked:?}"),
            }
        }
    });
}

#[test]
fn a_session_outlives_its_token_unless_the_role_says_otherwise() {
    run(async {
        let short = || claims().lifetime(Duration::from_secs(300));
        let world = World::new([reader()]);
        assert_eq!(world.web_identity("reader", &token(short()).await, &[]).await.lifetime(), 3600);
        let world = World::new([reader().cap_to_token()]);
        let answer = world.web_identity("reader", &token(short()).await, &[]).await;
        assert_eq!(answer.lifetime(), 300);
        assert_eq!(world.opened(&answer).expires(), noon() + Duration::from_secs(300));
        // It cuts and never prolongs.
        let long = token(claims().lifetime(Duration::from_secs(3000))).await;
        let answer = world.web_identity("reader", &long, &[("DurationSeconds", "900")]).await;
        assert_eq!(answer.lifetime(), 900);
        // Within the leeway for clocks the token still passes, but nothing is left of it.
        let token = token(short()).await;
        world.clock.advance(Duration::from_secs(310));
        let answer = world.web_identity("reader", &token, &[]).await;
        assert_eq!(answer.verdict(), (400, "ExpiredTokenException"));
    });
}

fn tagged() -> AssertionClaims {
    let tags = AssertionValue::Object(vec![
        (
            "principal_tags".into(),
            AssertionValue::Object(vec![
                ("team".into(), AssertionValue::List(vec![text("storage")])),
                ("stage".into(), text("prod")),
            ]),
        ),
        ("transitive_tag_keys".into(), AssertionValue::List(vec![text("team")])),
    ]);
    claims().claim("https://aws.amazon.com/tags", tags).unwrap()
}

#[test]
fn tags_of_a_token_count_where_issuer_and_trust_say_so() {
    run(async {
        let plain = || role("r").trust(trust());
        let open = || role("r").trust(trust().allow_tags());
        let token = token(tagged()).await;

        let world = World::new([open()]);
        let answer = world.web_identity("r", &token, &[]).await;
        assert_eq!(world.opened(&answer).tags().count(), 0, "the issuer's word is not asked for");

        let world = World::with([open()], |sts| sts.session_tags_from(ISSUER));
        let answer = world.web_identity("r", &token, &[]).await;
        let session = world.opened(&answer);
        let tags: Vec<_> = session.tags().map(|tag| (tag.key, tag.value, tag.transitive)).collect();
        assert_eq!(tags, [("stage", "prod", false), ("team", "storage", true)]);
        assert!(answer.text("PackedPolicySize").parse::<u8>().unwrap() > 0);

        let world = World::with([plain()], |sts| sts.session_tags_from(ISSUER));
        let answer = world.web_identity("r", &token, &[]).await;
        assert_eq!((answer.verdict(), denial(&answer)), ((403, "AccessDenied"), Some(Denial::TagSession)));

        let world = World::with([open()], |sts| sts.session_tags_from(GITHUB));
        let answer = world.web_identity("r", &token, &[]).await;
        assert_eq!(world.opened(&answer).tags().count(), 0, "another issuer's");
    });
}

#[test]
fn a_source_identity_of_a_token_counts_where_issuer_and_trust_say_so() {
    run(async {
        const CLAIM: &str = "https://aws.amazon.com/source_identity";
        let named = |name: AssertionValue| claims().claim(CLAIM, name).unwrap();
        let open = || role("r").trust(trust().allow_source_identity());
        let token_of_bob = token(named(text("bob"))).await;

        let world = World::new([open()]);
        let answer = world.web_identity("r", &token_of_bob, &[]).await;
        assert_eq!((answer.find("SourceIdentity"), world.opened(&answer).source_identity()), (None, None));

        let world = World::with([open()], |sts| sts.source_identity_from(ISSUER));
        let answer = world.web_identity("r", &token_of_bob, &[]).await;
        assert_eq!(answer.text("SourceIdentity"), "bob");
        assert_eq!(world.opened(&answer).source_identity(), Some("bob"));
        for bad in [text("b"), text("bob smith"), text("<bob>"), AssertionValue::Number(7)] {
            let answer = world.web_identity("r", &token(named(bad)).await, &[]).await;
            assert_eq!(answer.verdict(), (400, "InvalidIdentityToken"));
        }

        let world = World::with([role("r").trust(trust())], |sts| sts.source_identity_from(ISSUER));
        let answer = world.web_identity("r", &token_of_bob, &[]).await;
        assert_eq!(denial(&answer), Some(Denial::SetSourceIdentity));
    });
}

#[test]
fn what_a_token_says_is_data() {
    run(async {
        let odd = "${aws:PrincipalTag/x}<a>&\"'*:{{sub}}";
        let world =
            World::new([role("r").trust(Trust::web_identity(ISSUER).audience(AUDIENCE).subject(odd))]);
        let token = token(AssertionClaims::new(odd, AUDIENCE)).await;
        let answer = world.web_identity("r", &token, &[]).await;
        assert_eq!(answer.text("SubjectFromWebIdentityToken"), odd);
        assert_eq!(world.opened(&answer).subject(), Some(odd));
    });
}

#[test]
fn without_an_issuer_nobody_is_believed() {
    run(async {
        let none = credfed_core::oidc::TrustedIssuers::new([]).unwrap();
        let world = World::with([reader()], |sts| sts.issuers(none));
        let answer = world.web_identity("reader", &token(claims()).await, &[]).await;
        assert_eq!(answer.verdict(), (400, "InvalidIdentityToken"));
    });
}

#[test]
fn the_session_policy_is_kept_in_the_token() {
    run(async {
        let world = World::new([reader()]);
        let policy =
            "{\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"s3:GetObject\",\"Resource\":\"*\"}]}";
        let token = token(claims()).await;
        let answer = world.web_identity("reader", &token, &[("Policy", policy)]).await;
        let session = world.opened(&answer);
        assert!(session.restricted());
        assert_eq!(session.policy(), Some(policy));
        assert!(!answer.xml.contains("s3:GetObject"));
        let table = [
            ("", "ValidationError"),
            ("no", "MalformedPolicyDocument"),
            ("[]", "MalformedPolicyDocument"),
            ("{\u{1}}", "ValidationError"),
            ("{\u{100}}", "ValidationError"),
        ];
        for (policy, code) in table {
            let answer = world.web_identity("reader", &token, &[("Policy", policy)]).await;
            assert_eq!(answer.verdict(), (400, code), "{policy:?}");
        }
        let long = format!("{{{}}}", " ".repeat(1900));
        let answer = world.web_identity("reader", &token, &[("Policy", &long)]).await;
        assert_eq!(answer.verdict(), (400, "PackedPolicyTooLarge"));
        let longer = format!("{{{}}}", " ".repeat(2047));
        let answer = world.web_identity("reader", &token, &[("Policy", &longer)]).await;
        assert_eq!(answer.verdict(), (400, "ValidationError"));
    });
}
