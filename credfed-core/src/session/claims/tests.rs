use proptest::prelude::*;

use super::*;

const ROLE: &str = "arn:aws:iam::123456789012:role/reader";

fn at(second: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(second)
}

fn role_session() -> SessionClaimsBuilder {
    SessionClaims::builder(SessionKind::AssumedRole, ROLE, at(100), at(200)).session_name("ci")
}

fn web_identity() -> SessionClaimsBuilder {
    SessionClaims::builder(SessionKind::WebIdentity, ROLE, at(100), at(200))
        .session_name("ci")
        .subject("repo:a/b")
        .issuer("https://issuer.example")
}

fn decode(bytes: &[u8]) -> Result<SessionClaimsRef<'_>, ClaimsError> {
    SessionClaimsRef::decode(bytes)
}

#[test]
fn every_claim_comes_out_as_it_went_in() {
    let claims = web_identity()
        .source_identity("alice")
        .policy("{\n\t\"Statement\": []\r\n}")
        .tag("Team", "storage", true)
        .tag("cost", "", false)
        .generation(7)
        .build()
        .unwrap();
    let read = decode(claims.encoded()).unwrap();
    assert_eq!(read, claims.as_ref());
    assert_eq!(read.to_owned(), claims);
    for claims in [read, claims.as_ref()] {
        assert_eq!(claims.kind(), SessionKind::WebIdentity);
        assert_eq!((claims.issued(), claims.expires()), (at(100), at(200)));
        assert_eq!(claims.generation(), 7);
        assert_eq!(claims.principal(), ROLE);
        assert_eq!(claims.role(), Some(ROLE));
        assert_eq!(claims.session_name(), Some("ci"));
        assert_eq!(claims.subject(), Some("repo:a/b"));
        assert_eq!(claims.issuer(), Some("https://issuer.example"));
        assert_eq!(claims.source_identity(), Some("alice"));
        assert_eq!(claims.policy(), Some("{\n\t\"Statement\": []\r\n}"));
        assert!(claims.restricted());
        let tags: Vec<_> = claims.tags().map(|tag| (tag.key, tag.value, tag.transitive)).collect();
        assert_eq!(tags, [("cost", "", false), ("Team", "storage", true)]);
    }
}

#[test]
fn a_session_without_a_policy_is_not_restricted_and_a_users_session_has_no_role() {
    let user = "arn:aws:iam::123456789012:user/alice";
    let claims = SessionClaims::builder(SessionKind::SessionToken, user, at(1), at(2)).build().unwrap();
    assert!(!claims.restricted());
    assert_eq!((claims.principal(), claims.role(), claims.session_name()), (user, None, None));
    assert_eq!(claims.tags().count(), 0);
}

#[test]
fn each_kind_has_what_it_must_and_nothing_that_it_cannot() {
    let builder = |kind| SessionClaims::builder(kind, ROLE, at(1), at(2));
    let cases = [
        (builder(SessionKind::AssumedRole), ClaimsError::Missing("session name")),
        (builder(SessionKind::WebIdentity).session_name("ci"), ClaimsError::Missing("subject")),
        (builder(SessionKind::WebIdentity).session_name("ci").subject("s"), ClaimsError::Missing("issuer")),
        (builder(SessionKind::SessionToken).session_name("ci"), ClaimsError::Unexpected("session name")),
        (role_session().subject("s"), ClaimsError::Unexpected("subject")),
        (role_session().issuer("i"), ClaimsError::Unexpected("issuer")),
    ];
    for (builder, error) in cases {
        assert_eq!(builder.build().unwrap_err(), error);
    }
}

#[test]
fn every_limit_holds_at_its_edge() {
    type Set = fn(SessionClaimsBuilder, String) -> SessionClaimsBuilder;
    let texts: [(&str, usize, Set); 6] = [
        ("session name", 64, |claims, text| claims.session_name(text)),
        ("subject", 255, |claims, text| claims.subject(text)),
        ("issuer", 255, |claims, text| claims.issuer(text)),
        ("source identity", 64, |claims, text| claims.source_identity(text)),
        ("session policy", 2048, |claims, text| claims.policy(text)),
        ("tag's value", 1024, |claims, text| claims.tag("k", text, false)),
    ];
    for (name, limit, set) in texts {
        assert!(set(web_identity(), "x".repeat(limit)).build().is_ok(), "{name}");
        let over = set(web_identity(), "x".repeat(limit + 1)).build();
        assert_eq!(over.unwrap_err(), ClaimsError::TooLong(name));
        assert_eq!(set(web_identity(), "a\u{7}b".into()).build().unwrap_err(), ClaimsError::NotText(name));
        assert_eq!(set(web_identity(), "a\u{85}b".into()).build().unwrap_err(), ClaimsError::NotText(name));
        if name != "tag's value" {
            assert_eq!(set(web_identity(), String::new()).build().unwrap_err(), ClaimsError::Empty(name));
        }
    }
    let long = "x".repeat(1024);
    let principal = |text: String| {
        SessionClaims::builder(SessionKind::SessionToken, text, at(1), at(2)).build().map(drop)
    };
    assert_eq!(principal(long.clone()), Ok(()));
    assert_eq!(principal(long + "x"), Err(ClaimsError::TooLong("principal")));
    assert_eq!(principal(String::new()), Err(ClaimsError::Empty("principal")));
    assert_eq!(role_session().tag("", "v", false).build().unwrap_err(), ClaimsError::Empty("tag's key"));
    assert!(role_session().tag("k".repeat(512), "v", false).build().is_ok());
    assert_eq!(
        role_session().tag("k".repeat(513), "v", false).build().unwrap_err(),
        ClaimsError::TooLong("tag's key")
    );
    let tags =
        |count: usize| (0..count).fold(role_session(), |claims, n| claims.tag(n.to_string(), "", false));
    assert!(tags(50).build().is_ok());
    assert_eq!(tags(51).build().unwrap_err(), ClaimsError::TooManyTags);
}

#[test]
fn a_key_of_a_tag_is_unique_whatever_its_case() {
    for (a, b) in [("team", "team"), ("Team", "tEAM"), ("Ärger", "ärger")] {
        let twice = role_session().tag(a, "1", false).tag(b, "2", false).build();
        assert_eq!(twice.unwrap_err(), ClaimsError::RepeatedTag, "{a} {b}");
    }
}

#[test]
fn a_session_ends_after_it_begins_and_within_the_calendar() {
    let build =
        |issued, expires| SessionClaims::builder(SessionKind::SessionToken, ROLE, issued, expires).build();
    assert!(build(at(0), at(LAST_SECOND)).is_ok());
    let before = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
    for (issued, expires) in [(at(2), at(2)), (at(3), at(2)), (before, at(2)), (at(1), at(LAST_SECOND + 1))] {
        assert_eq!(build(issued, expires).unwrap_err(), ClaimsError::Times);
    }
    // Within one second of each other, they are the same second.
    let half = Duration::from_millis(500);
    assert_eq!(build(at(2), at(2) + half).unwrap_err(), ClaimsError::Times);
}

#[test]
fn a_number_that_is_not_known_is_refused() {
    let claims = role_session().build().unwrap();
    let known = claims.encoded();
    for number in (0..=255_u8).filter(|number| !(1..=7).contains(number)) {
        let more = [known, &[number, 0, 1, b'x'][..]].concat();
        assert_eq!(decode(&more).unwrap_err(), ClaimsError::Malformed, "{number}");
    }
    for kind in (0..=255_u8).filter(|kind| !(1..=3).contains(kind)) {
        let mut other = known.to_vec();
        other[0] = kind;
        assert_eq!(decode(&other).unwrap_err(), ClaimsError::Malformed, "{kind}");
    }
}

#[test]
fn order_and_repetition_are_part_of_the_encoding() {
    let head = &role_session().build().unwrap().encoded()[..25].to_vec();
    let field = |number: u8, text: &[u8]| {
        [&[number][..], &u16::try_from(text.len()).unwrap().to_be_bytes(), text].concat()
    };
    let tag = |key: &str| field(7, &[&[0, 0, 1][..], key.as_bytes(), b"v"].concat());
    let join = |fields: &[Vec<u8>]| [head.clone(), fields.concat()].concat();
    let (principal, name) = (field(1, ROLE.as_bytes()), field(2, b"ci"));
    assert!(decode(&join(&[principal.clone(), name.clone(), tag("a"), tag("b")])).is_ok());
    let bad = [
        vec![name.clone(), principal.clone()],
        vec![principal.clone(), principal.clone(), name.clone()],
        vec![principal.clone(), name.clone(), tag("b"), tag("a")],
        vec![principal.clone(), tag("a"), name.clone()],
        vec![principal.clone(), name.clone(), field(7, &[2, 0, 1, b'k'])],
        vec![principal.clone(), name.clone(), field(7, &[0, 0, 9, b'k'])],
        vec![principal.clone(), name.clone(), field(7, &[])],
        vec![principal.clone(), name.clone(), vec![0]],
        vec![principal, name, vec![3, 0, 9, b'x']],
    ];
    for fields in bad {
        assert_eq!(decode(&join(&fields)).unwrap_err(), ClaimsError::Malformed, "{fields:?}");
    }
}

#[test]
fn debug_tells_whose_session_it_is_and_not_what_it_says() {
    let claims = web_identity()
        .subject("canary-subject")
        .policy("canary-policy")
        .tag("canary-key", "canary-value", false)
        .build()
        .unwrap();
    let tags = claims.tags();
    for text in [format!("{claims:?}"), format!("{:#?}", claims.as_ref()), format!("{tags:?}")] {
        assert!(!text.contains("canary"), "{text}");
    }
    assert!(format!("{claims:?}").contains(ROLE));
}

/// What a caller may hand to the builder: texts of all lengths around the limits, and a few odd characters.
fn any_claims() -> impl Strategy<Value = Result<SessionClaims, ClaimsError>> {
    let kind = prop_oneof![
        Just(SessionKind::WebIdentity),
        Just(SessionKind::AssumedRole),
        Just(SessionKind::SessionToken)
    ];
    let text = || prop::option::of("[a-zA-Z0-9:/äß\u{1F600} ]{0,70}");
    let tags = prop::collection::vec(("[a-zA-Zä]{0,6}", "[ -~ü]{0,9}", any::<bool>()), 0..8);
    let texts = (text(), text(), text(), text(), text(), tags);
    (kind, "[ -~]{0,40}", 0_u64..300, 0_u64..300, any::<u64>(), texts).prop_map(
        |(kind, principal, issued, expires, generation, (name, subject, issuer, source, policy, tags))| {
            let mut claims =
                SessionClaims::builder(kind, principal, at(issued), at(expires)).generation(generation);
            claims = name.into_iter().fold(claims, |claims, text| claims.session_name(text));
            claims = subject.into_iter().fold(claims, |claims, text| claims.subject(text));
            claims = issuer.into_iter().fold(claims, |claims, text| claims.issuer(text));
            claims = source.into_iter().fold(claims, |claims, text| claims.source_identity(text));
            claims = policy.into_iter().fold(claims, |claims, text| claims.policy(text));
            tags.into_iter().fold(claims, |claims, (key, value, on)| claims.tag(key, value, on)).build()
        },
    )
}

/// Builds the same claims again, from nothing but what the getters say.
fn again(claims: &SessionClaimsRef<'_>) -> SessionClaims {
    let mut builder =
        SessionClaims::builder(claims.kind(), claims.principal(), claims.issued(), claims.expires())
            .generation(claims.generation());
    builder = claims.session_name().into_iter().fold(builder, |builder, text| builder.session_name(text));
    builder = claims.subject().into_iter().fold(builder, |builder, text| builder.subject(text));
    builder = claims.issuer().into_iter().fold(builder, |builder, text| builder.issuer(text));
    builder =
        claims.source_identity().into_iter().fold(builder, |builder, text| builder.source_identity(text));
    builder = claims.policy().into_iter().fold(builder, |builder, text| builder.policy(text));
    // Backwards: the order of the tags is not the caller's.
    let tags: Vec<_> = claims.tags().collect();
    tags.iter()
        .rev()
        .fold(builder, |builder, tag| builder.tag(tag.key, tag.value, tag.transitive))
        .build()
        .unwrap()
}

proptest! {
    #[test]
    fn what_is_built_is_read_back(claims in any_claims()) {
        if let Ok(claims) = claims {
            let read = decode(claims.encoded()).unwrap();
            prop_assert_eq!(read, claims.as_ref());
            prop_assert_eq!(again(&read), claims);
        }
    }

    #[test]
    fn arbitrary_bytes_are_refused_or_canonical(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(claims) = decode(&bytes) {
            let again = again(&claims);
            prop_assert_eq!(again.encoded(), &bytes[..]);
        }
    }

    /// Close to the truth, where a reader that is not strict would go wrong.
    #[test]
    fn altered_encodings_are_refused_or_canonical(
        claims in any_claims(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
        more in prop::collection::vec(any::<u8>(), 0..5),
    ) {
        if let Ok(claims) = claims {
            let mut bytes = claims.encoded().to_vec();
            for (at, byte) in edits {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            if let Some(cut) = cut {
                bytes.truncate(cut.index(bytes.len()));
            }
            bytes.extend(more);
            if let Ok(claims) = decode(&bytes) {
                let again = again(&claims);
                prop_assert_eq!(again.encoded(), &bytes[..]);
            }
        }
    }
}
