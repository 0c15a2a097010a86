//! POST forms: what makes one, and that its fields reach nobody unless the policy covers them (N21).
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::time::{Duration, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use credfed_sigv4_verify::danger::Knobs;
use credfed_sigv4_verify::{
    Carrier, KeyKind, Limit, Limits, Malformed, PostFault, Reason, ResolvedKey, UnsignedPayload, Verifier,
};
use http::HeaderValue;
use support::post::{Sent, Unsigned, exact, head, starts_with};
use support::{SECRET, TOKEN, now, s3, session_key, static_key};

/// The example of the S3 documentation, "Example: Browser-Based Upload using HTTP POST (Using AWS Signature Version
/// 4)": its policy, with the line ends that it names, and the signature that it prints.
#[test]
fn the_example_of_the_s3_documentation_is_accepted() {
    let policy = concat!(
        "{ \"expiration\": \"2015-12-30T12:00:00.000Z\",\r\n",
        "  \"conditions\": [\r\n",
        "    {\"bucket\": \"sigv4examplebucket\"},\r\n",
        "    [\"starts-with\", \"$key\", \"user/user1/\"],\r\n",
        "    {\"acl\": \"public-read\"},\r\n",
        "    {\"success_action_redirect\": \"http://sigv4examplebucket.s3.amazonaws.com/successful_upload.html\"},\r\n",
        "    [\"starts-with\", \"$Content-Type\", \"image/\"],\r\n",
        "    {\"x-amz-meta-uuid\": \"14365123651274\"},\r\n",
        "    {\"x-amz-server-side-encryption\": \"AES256\"},\r\n",
        "    [\"starts-with\", \"$x-amz-meta-tag\", \"\"],\r\n",
        "\r\n",
        "    {\"x-amz-credential\": \"AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request\"},\r\n",
        "    {\"x-amz-algorithm\": \"AWS4-HMAC-SHA256\"},\r\n",
        "    {\"x-amz-date\": \"20151229T000000Z\" }\r\n",
        "  ]\r\n",
        "}",
    );
    let redirect = "http://sigv4examplebucket.s3.amazonaws.com/successful_upload.html";
    let fields = [
        ("key", "user/user1/${filename}"),
        ("acl", "public-read"),
        ("success_action_redirect", redirect),
        ("Content-Type", "image/jpeg"),
        ("x-amz-meta-uuid", "14365123651274"),
        ("x-amz-server-side-encryption", "AES256"),
        ("X-Amz-Credential", "AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request"),
        ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
        ("X-Amz-Date", "20151229T000000Z"),
        ("x-amz-meta-tag", ""),
        ("Policy", &STANDARD.encode(policy)),
        ("X-Amz-Signature", "8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e"),
    ];
    let sent = Sent {
        fields: fields.map(|(name, value)| (name.into(), value.into())).to_vec(),
        bucket: "sigv4examplebucket".into(),
        filename: Some("C:\\Program Files\\directory1\\MyPhoto.jpg".into()),
        size: Some(1 << 40),
    };
    let key = ResolvedKey::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", KeyKind::Static, 1);
    let noon = UNIX_EPOCH + Duration::from_secs(1_451_390_400);
    let form = sent.verify_at(&s3(), Some(&key), noon).unwrap();
    assert_eq!((form.carrier(), form.key_kind()), (Carrier::PostForm, KeyKind::Static));
    assert_eq!(form.signed_at(), UNIX_EPOCH + Duration::from_secs(1_451_347_200));
    assert_eq!(form.size(), 0..=u64::MAX);
    let object = form.object();
    assert_eq!((object.bucket(), object.key()), ("sigv4examplebucket", "user/user1/MyPhoto.jpg"));
    let left: Vec<_> = object.fields().collect();
    assert_eq!(
        left,
        [
            ("acl", "public-read"),
            ("success_action_redirect", redirect),
            ("content-type", "image/jpeg"),
            ("x-amz-meta-uuid", "14365123651274"),
            ("x-amz-server-side-encryption", "AES256"),
            ("x-amz-meta-tag", ""),
        ]
    );
    assert_eq!(object.field("Content-Type"), Some("image/jpeg"));
    assert_eq!(sent.for_bucket("other").verify_at(&s3(), Some(&key), noon).map(drop), failed("eq", "bucket"));
}

/// What boto3 made, as the file says, with a static key and with a session's.
#[test]
fn what_boto3_signs_is_accepted_and_bound_to_its_session() {
    let file: serde_json::Value = serde_json::from_str(include_str!("vectors/post/boto3.json")).unwrap();
    let verifier = Verifier::builder().region("eu-west-1").build().unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let cases = file["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 2);
    for case in cases {
        let fields: Vec<_> = case["fields"]
            .as_array()
            .unwrap()
            .iter()
            .map(|field| (text(&field[0]), text(&field[1])))
            .collect();
        let date = fields.iter().find(|(name, _)| name == "x-amz-date").unwrap().1.clone();
        assert_eq!(date, "20261128T092153Z");
        let at = UNIX_EPOCH + Duration::from_secs(1_795_857_713);
        let sent = Sent { fields, bucket: "bucket".into(), filename: Some("a.png".into()), size: Some(7) };
        let [right, wrong] = match case["token"].is_null() {
            true => [KeyKind::Static, KeyKind::Temporary],
            false => [KeyKind::Temporary, KeyKind::Static],
        };
        let key = |kind| ResolvedKey::new("made up for this file", kind, 1);
        let form = sent.verify_at(&verifier, Some(&key(right)), at).unwrap();
        assert_eq!(form.object().key(), "user/a.png");
        assert_eq!(form.size(), 1..=1000);
        assert!(sent.verify_at(&verifier, Some(&key(wrong)), at).is_err());
        let end = at + Duration::from_secs(3600);
        assert!(sent.verify_at(&verifier, Some(&key(right)), end).is_ok());
        let late = sent.verify_at(&verifier, Some(&key(right)), end + Duration::from_nanos(1)).map(drop);
        assert_eq!(late, Err(Reason::PolicyExpired));
    }
}

#[test]
fn names_are_compared_without_regard_to_case() {
    let mut sent = Unsigned::keyed("user/a", r#"["STARTS-with","$KeY","user/"]"#)
        .field("aCl", "private")
        .condition(r#"{"AcL":"private"}"#)
        .sign();
    for (name, _) in &mut sent.fields {
        *name = name.to_uppercase();
    }
    assert_eq!(sent.verdict(), Ok(()));
}

#[test]
fn no_signature_no_upload() {
    let sent = Unsigned::new().sign();
    assert_eq!(sent.verdict(), Ok(()));
    let other = "0".repeat(64);
    assert_eq!(sent.clone().with("x-amz-signature", &other).verdict(), Err(Reason::SignatureMismatch));
    let wrong = ResolvedKey::new("wrong", KeyKind::Static, 1);
    assert_eq!(sent.verify_by(&s3(), &wrong).map(drop), Err(Reason::SignatureMismatch));
    assert_eq!(sent.verify_at(&s3(), None, now()).map(drop), Err(Reason::UnknownKey));
    let empty = ResolvedKey::new("", KeyKind::Static, 1);
    assert_eq!(sent.verify_by(&s3(), &empty).map(drop), Err(Reason::UnknownKey));
}

#[test]
fn the_policy_is_signed_as_it_was_sent() {
    let form = Unsigned::new();
    let text = STANDARD.encode(form.json());
    let sent = form.sign();
    // The same document in another spelling.
    let respelt = STANDARD.encode(format!("{} ", form.json()));
    for other in [respelt.as_str(), &format!("{text} "), text.trim_end_matches('='), ""] {
        if other != text {
            assert_eq!(
                sent.clone().with("policy", other).verdict(),
                Err(Reason::SignatureMismatch),
                "{other}"
            );
        }
    }
    // What cannot be read is not looked at before the signature matched.
    assert_eq!(sent.with("policy", "{").verdict(), Err(Reason::SignatureMismatch));
}

#[test]
fn every_field_that_says_who_signed_is_needed() {
    let sent = Unsigned::new().sign();
    for (name, shown) in [
        ("x-amz-algorithm", "X-Amz-Algorithm"),
        ("x-amz-credential", "X-Amz-Credential"),
        ("x-amz-date", "X-Amz-Date"),
        ("x-amz-signature", "X-Amz-Signature"),
        ("policy", "Policy"),
        ("key", "key"),
    ] {
        let refused = sent.clone().without(name).verdict();
        assert_eq!(refused, Err(Reason::PostForm(PostFault::MissingField(shown))), "{name}");
    }
    let anonymous = sent
        .without("x-amz-algorithm")
        .without("x-amz-credential")
        .without("x-amz-date")
        .without("x-amz-signature");
    assert_eq!(anonymous.verdict(), Err(Reason::NoCredentials));
}

#[test]
fn credentials_have_one_spelling() {
    let form = Carrier::PostForm;
    let sent = Unsigned::new().sign();
    for (name, value, reason) in [
        ("x-amz-algorithm", "aws4-hmac-sha256", Reason::UnsupportedAlgorithm(form)),
        ("x-amz-algorithm", "AWS4-ECDSA-P256-SHA256", Reason::UnsupportedAlgorithm(form)),
        ("x-amz-algorithm", "", Reason::UnsupportedAlgorithm(form)),
        ("x-amz-credential", "AKIDEXAMPLE", Reason::Malformed(form, Malformed::Credential)),
        ("x-amz-credential", "AKIDEXAMPLE/20150831/us-east-1/s3/aws4_request", Reason::ScopeDate(form)),
        (
            "x-amz-credential",
            "AKIDEXAMPLE/20150830/eu-west-1/s3/aws4_request",
            Reason::WrongRegion { carrier: form, expected: "us-east-1".into() },
        ),
        (
            "x-amz-credential",
            "AKIDEXAMPLE/20150830/us-east-1/sts/aws4_request",
            Reason::WrongService { carrier: form, expected: "s3".into() },
        ),
        ("x-amz-date", "2015-08-30T12:36:00Z", Reason::Malformed(form, Malformed::Date)),
        ("x-amz-date", "", Reason::Malformed(form, Malformed::Date)),
        ("x-amz-date", "20150831T000000Z", Reason::ScopeDate(form)),
        ("x-amz-signature", "", Reason::Malformed(form, Malformed::Signature)),
        ("x-amz-signature", &"A".repeat(64), Reason::Malformed(form, Malformed::Signature)),
        ("x-amz-security-token", "", Reason::Malformed(form, Malformed::Token)),
        ("x-amz-security-token", "a b", Reason::Malformed(form, Malformed::Token)),
        ("x-amz-s3session-token", "t", Reason::S3SessionToken),
        ("x-amz-content-sha256", "UNSIGNED-PAYLOAD", Reason::InvalidPayloadMode),
        ("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", Reason::InvalidPayloadMode),
    ] {
        assert_eq!(sent.clone().with(name, value).verdict(), Err(reason), "{name}: {value}");
    }
}

#[test]
fn signature_version_2_is_refused_by_name() {
    let sent = Unsigned::new().sign();
    for name in ["AWSAccessKeyId", "awsaccesskeyid", "signature", "Signature"] {
        assert_eq!(sent.clone().with(name, "x").verdict(), Err(Reason::SignatureVersion2), "{name}");
    }
}

#[test]
fn a_session_token_belongs_to_a_temporary_key_and_is_covered() {
    let with_token = Unsigned::new().token(TOKEN).sign();
    let without = Unsigned::new().sign();
    assert!(with_token.verify_by(&s3(), &session_key()).is_ok());
    assert_eq!(with_token.verify_by(&s3(), &static_key()).map(drop), Err(Reason::TokenWithStaticKey));
    assert_eq!(without.verify_by(&s3(), &session_key()).map(drop), Err(Reason::TokenMissing));
    let uncovered = without.with("x-amz-security-token", TOKEN).verify_by(&s3(), &session_key());
    assert_eq!(uncovered.map(drop), Err(Reason::ExtraInputField("x-amz-security-token".into())));
    let exchanged =
        with_token.clone().with("x-amz-security-token", "another").verify_by(&s3(), &session_key());
    assert_eq!(exchanged.map(drop), failed("eq", "x-amz-security-token"));
    // The policy speaks of a session, and the form does not.
    let dropped = with_token.without("x-amz-security-token").verify_by(&s3(), &session_key()).map(drop);
    assert_eq!(dropped, Err(Reason::TokenMissing));
}

#[test]
fn a_form_ends_with_its_session() {
    let sent = Unsigned::new().token(TOKEN).sign();
    let end = now() + Duration::from_secs(60);
    let key = session_key().not_after(end);
    assert!(sent.verify_at(&s3(), Some(&key), end - Duration::from_nanos(1)).is_ok());
    assert_eq!(sent.verify_at(&s3(), Some(&key), end).map(drop), Err(Reason::ExpiredToken));
}

#[test]
fn n21_a_form_lives_from_its_date_less_the_skew_to_its_expiration_or_seven_days() {
    let at = |sent: &Sent, now| sent.verify_at(&s3(), Some(&static_key()), now).map(drop);
    let nano = Duration::from_nanos(1);
    let sent = Unsigned::new().sign();
    let skew = Duration::from_secs(900);
    assert_eq!(at(&sent, now() - skew), Ok(()));
    let early = now() - skew - nano;
    assert_eq!(at(&sent, early), Err(Reason::ClockSkew { signed_at: now(), now: early, max_skew: skew }));
    let end = now() + Duration::from_secs(3600);
    assert_eq!(at(&sent, end), Ok(()));
    assert_eq!(at(&sent, end + nano), Err(Reason::PolicyExpired));

    let mut long = Unsigned::new();
    long.expiration = "9999-12-31T23:59:59.999Z".into();
    let week = now() + Duration::from_secs(604_800);
    assert_eq!(at(&long.sign(), week), Ok(()));
    assert_eq!(at(&long.sign(), week + nano), Err(Reason::PolicyExpired));

    let mut fraction = Unsigned::new();
    fraction.expiration = "2015-08-30T12:36:00.5Z".into();
    assert_eq!(at(&fraction.sign(), now() + Duration::from_millis(500)), Ok(()));
    assert_eq!(at(&fraction.sign(), now() + Duration::from_millis(501)), Err(Reason::PolicyExpired));
}

#[test]
fn n21_an_altered_date_is_refused() {
    // Of the same day, so that the scope still fits.
    let later = Unsigned::new().sign().with("x-amz-date", "20150830T124600Z");
    assert_eq!(later.verdict(), failed("eq", "x-amz-date"));
}

#[test]
fn n07_a_form_beside_another_carrier_is_refused() {
    let refused = |change: &dyn Fn(&mut http::request::Parts)| {
        let mut parts = head("bucket");
        change(&mut parts);
        s3().begin_form(&parts, "bucket").map(drop)
    };
    assert_eq!(refused(&|_| {}), Ok(()));
    for (name, value) in [
        ("authorization", "AWS4-HMAC-SHA256 Credential=a"),
        ("authorization", ""),
        ("authorization", "Basic x"),
        ("x-amz-date", "20150830T123600Z"),
        ("x-amz-security-token", "t"),
    ] {
        let verdict = refused(&|parts| {
            parts.headers.insert(name, HeaderValue::from_static(value));
        });
        assert_eq!(verdict, Err(Reason::TwoCarriers), "{name}");
    }
    for query in ["X-Amz-Signature=0", "x-amz-signature=0", "X%2DAmz-Credential=a", "a=b&X-Amz-Date=c"] {
        let verdict = refused(&|parts| parts.uri = format!("/bucket?{query}").parse().unwrap());
        assert_eq!(verdict, Err(Reason::TwoCarriers), "{query}");
    }
}

#[test]
fn nothing_that_no_policy_covers_stands_beside_a_form() {
    for name in ["x-amz-acl", "x-amz-copy-source", "x-amz-content-sha256", "x-amz-meta-a"] {
        let mut parts = head("bucket");
        parts.headers.insert(name, HeaderValue::from_static("x"));
        let refused = s3().begin_form(&parts, "bucket").map(drop);
        assert_eq!(refused, Err(Reason::UnsignedHeaders(vec![name.into()])), "{name}");
    }
    for query in ["delete", "uploads", "x-amz-acl=public-read", "acl", "a=b"] {
        let mut parts = head("bucket");
        parts.uri = format!("/bucket?{query}").parse().unwrap();
        let refused = s3().begin_form(&parts, "bucket").map(drop);
        assert_eq!(refused, Err(Reason::PostForm(PostFault::Target)), "{query}");
    }
}

#[test]
fn only_a_post_of_form_data_to_one_host_is_a_form() {
    let enclosure = Err(Reason::PostForm(PostFault::Enclosure));
    let host = Err(Reason::MalformedRequest(Malformed::Host));
    let begin = |parts: &_| s3().begin_form(parts, "bucket").map(drop);
    let mut parts = head("bucket");
    parts.method = http::Method::PUT;
    assert_eq!(begin(&parts), enclosure);
    for value in
        ["multipart/mixed; boundary=b", "application/x-www-form-urlencoded", "", "multipart/form-datax"]
    {
        let mut parts = head("bucket");
        parts.headers.insert("content-type", HeaderValue::from_static(value));
        assert_eq!(begin(&parts), enclosure, "{value}");
    }
    let mut parts = head("bucket");
    parts.headers.remove("content-type");
    assert_eq!(begin(&parts), enclosure);
    for name in ["content-type", "host"] {
        let mut parts = head("bucket");
        let value = parts.headers.get(name).unwrap().clone();
        parts.headers.append(name, value);
        assert_eq!(begin(&parts), Err(Reason::MalformedRequest(Malformed::RepeatedHeader)), "{name}");
    }
    let mut parts = head("bucket");
    parts.headers.remove("host");
    assert_eq!(begin(&parts), host);
    let mut parts = head("bucket");
    parts.uri = "http://other.example.com/bucket".parse().unwrap();
    assert_eq!(begin(&parts), host);
    let mut parts = head("bucket");
    parts.uri = "/bucket%00".parse().unwrap();
    assert_eq!(begin(&parts), Err(Reason::MalformedRequest(Malformed::Path)));
}

#[test]
fn forms_are_of_s3_and_of_services_that_take_unsigned_payloads() {
    let sent = Unsigned::new().sign();
    let refused =
        Verifier::builder().region("us-east-1").unsigned_payload(UnsignedPayload::Refuse).build().unwrap();
    assert_eq!(sent.verify_by(&refused, &static_key()).map(drop), Err(Reason::UnsignedPayloadRefused));
    for verifier in [support::sts(), support::general()] {
        assert_eq!(sent.verify_by(&verifier, &static_key()).map(drop), Err(Reason::NoCredentials));
    }
}

#[test]
fn a_form_read_by_another_verifier_is_read_again() {
    let narrow = |region: &str, limits| Verifier::builder().region(region).limits(limits).build().unwrap();
    let mut fields = s3().begin_form(&head("bucket"), "bucket").unwrap();
    for (name, value) in Unsigned::new().sign().fields {
        fields.push(name.as_bytes(), value.as_bytes()).unwrap();
    }
    fields.file(None, None).unwrap();
    let reader = s3();
    let form = reader.parse_form(&fields).unwrap();
    let elsewhere = narrow("eu-west-1", Limits::default()).verify_form(&form, Some(&static_key()), now());
    assert!(matches!(elsewhere, Err(Reason::WrongRegion { .. })));
    let mut limits = Limits::default();
    limits.form_fields = 5;
    let smaller = narrow("us-east-1", limits).verify_form(&form, Some(&static_key()), now()).map(drop);
    assert_eq!(smaller, Err(Reason::LimitExceeded(Limit::FormFields)));
    assert!(reader.verify_form(&form, Some(&static_key()), now()).is_ok());

    // What one verifier let pass in the head was not let pass by the other.
    let knobs = Knobs::new().behind_cloudfront();
    let behind = Verifier::builder().region("us-east-1").danger(knobs).build().unwrap();
    let mut parts = head("bucket");
    parts.headers.insert("x-amz-cf-id", HeaderValue::from_static("of anybody"));
    let mut fields = behind.begin_form(&parts, "bucket").unwrap();
    for (name, value) in Unsigned::new().sign().fields {
        fields.push(name.as_bytes(), value.as_bytes()).unwrap();
    }
    fields.file(None, None).unwrap();
    let form = behind.parse_form(&fields).unwrap();
    assert!(behind.verify_form(&form, Some(&static_key()), now()).is_ok());
    let unsigned = Err(Reason::UnsignedHeaders(vec!["x-amz-cf-id".into()]));
    assert_eq!(s3().verify_form(&form, Some(&static_key()), now()).map(drop), unsigned);
    assert_eq!(s3().parse_form(&fields).map(drop), unsigned);
}

#[test]
fn fields_are_unique_after_folding_and_the_file_is_the_last() {
    let mut fields = s3().begin_form(&head("bucket"), "bucket").unwrap();
    assert_eq!(fields.push(b"Key", b"a"), Ok(()));
    for name in ["key", "KEY", "Key"] {
        let repeated = fields.push(name.as_bytes(), b"a");
        assert_eq!(repeated, Err(Reason::PostForm(PostFault::RepeatedField("key".into()))));
    }
    for name in [&b""[..], b"a b", b"a\r\n", b"\xff", "é".as_bytes(), b"file", b"FILE"] {
        assert_eq!(fields.push(name, b"a"), Err(Reason::PostForm(PostFault::FieldName)));
    }
    let broken = fields.push(b"acl", b"\xff");
    assert_eq!(broken, Err(Reason::PostForm(PostFault::FieldValue("acl".into()))));
    assert_eq!(s3().parse_form(&fields).map(drop), Err(Reason::NoCredentials));
    assert_eq!(fields.file(Some(b"\xff"), None), Err(Reason::PostForm(PostFault::FieldValue("file".into()))));
    assert_eq!(fields.file(None, None), Ok(()));
    let after = Err(Reason::PostForm(PostFault::AfterFile));
    assert_eq!(fields.push(b"submit", b"Upload"), after);
    assert_eq!(fields.room_for(b"submit").map(drop), after);
    assert_eq!(fields.file(None, None), after);
}

#[test]
fn a_form_without_a_file_is_refused() {
    let mut fields = s3().begin_form(&head("bucket"), "bucket").unwrap();
    for (name, value) in Unsigned::new().sign().fields {
        fields.push(name.as_bytes(), value.as_bytes()).unwrap();
    }
    let refused = s3().parse_form(&fields).map(drop);
    assert_eq!(refused, Err(Reason::PostForm(PostFault::FileMissing)));
}

#[test]
fn limits_hold_before_anything_is_kept() {
    let mut limits = Limits::default();
    limits.form_fields = 3;
    limits.form_name_bytes = 10;
    limits.form_value_bytes = 100;
    limits.policy_bytes = 200;
    limits.form_bytes = 250;
    let verifier = Verifier::builder().region("us-east-1").limits(limits).build().unwrap();
    let over = |limit| Err(Reason::LimitExceeded(limit));
    let mut fields = verifier.begin_form(&head("bucket"), "bucket").unwrap();
    assert_eq!(fields.push(b"01234567890", b""), over(Limit::FormNameBytes));
    assert_eq!(fields.push(b"acl", &[b'a'; 101]), over(Limit::FormValueBytes));
    assert_eq!(fields.room_for(b"acl"), Ok(100));
    assert_eq!(fields.push(b"Policy", &[b'a'; 201]), over(Limit::PolicyBytes));
    assert_eq!(fields.push(b"Policy", &[b'a'; 200]), Ok(()));
    assert_eq!(fields.room_for(b"acl"), Ok(41));
    assert_eq!(fields.push(b"acl", &[b'a'; 42]), over(Limit::FormBytes));
    assert_eq!(fields.push(b"acl", &[b'a'; 41]), Ok(()));
    assert_eq!(fields.room_for(b"a"), Ok(0));
    assert_eq!(fields.push(b"a", b""), Ok(()));
    assert_eq!(fields.push(b"b", b""), over(Limit::FormFields));
    assert_eq!(fields.file(Some(&[b'a'; 101]), None), over(Limit::FormValueBytes));
}

#[test]
fn a_files_name_does_not_blow_up_the_form() {
    let long = "n".repeat(1000);
    let many =
        Unsigned::keyed(&"${filename}".repeat(9), &starts_with("key", "")).sign().filename(Some(&long));
    assert_eq!(many.verdict(), Err(Reason::LimitExceeded(Limit::FormValueBytes)));
    let mut form = Unsigned::keyed("a", &starts_with("key", ""));
    for at in 0..10 {
        form = form.field(&format!("x-amz-meta-{at}"), &"${filename}".repeat(5));
    }
    let refused = form.sign().filename(Some(&long)).verdict();
    assert_eq!(refused, Err(Reason::LimitExceeded(Limit::FormBytes)));
}

#[test]
fn a_key_is_not_empty_and_has_no_nul() {
    for (key, name) in [("", Some("a")), ("${filename}", None), ("${filename}", Some("dir/")), ("a\0", None)]
    {
        let sent = Unsigned::keyed(key, &starts_with("key", "")).sign().filename(name);
        assert_eq!(sent.verdict(), Err(Reason::PostForm(PostFault::Key)), "{key:?}");
    }
}

/// As with a parameter of a presigned query that stands for a header: it would be lost further on, or two of them.
#[test]
fn what_no_header_can_carry_is_no_value_of_a_field_that_stands_for_one() {
    let any = |name: &str, value: &str| {
        Unsigned::new().field(name, value).condition(&starts_with(name, "")).sign().verdict()
    };
    for name in ["x-amz-meta-a", "X-Amz-Acl", "Content-Type", "Expires", "acl", "success_action_redirect"] {
        for value in ["a\r\nx-amz-acl: public-read", "a\n", "\0", "\u{7f}", "a\u{1b}[m"] {
            let refused = Err(Reason::PostForm(PostFault::FieldValue(name.to_ascii_lowercase().into())));
            assert_eq!(any(name, value), refused, "{name} {value:?}");
        }
        for value in ["", "a\tb", "ü", "a b"] {
            assert_eq!(any(name, value), Ok(()), "{name} {value:?}");
        }
    }
    // These stand for none.
    assert_eq!(any("tagging", "<Tagging>\n</Tagging>"), Ok(()));
    assert_eq!(any("x-ignore-text", "a\r\nb"), Ok(()));
}

#[test]
fn uniform_errors_tell_nothing_about_the_key() {
    let uniform = Verifier::builder().region("us-east-1").uniform_errors(true).build().unwrap();
    let plain = Unsigned::new().sign();
    let with_token = Unsigned::new().token(TOKEN).sign();
    let wrong = ResolvedKey::new("wrong", KeyKind::Static, 1);
    let over = static_key().not_after(now());
    for (sent, key) in [
        (&plain, None),
        (&plain, Some(&wrong)),
        (&plain, Some(&session_key())),
        (&with_token, Some(&static_key())),
        (&plain, Some(&over)),
    ] {
        let refused = sent.verify_at(&uniform, key, now()).map(drop);
        assert_eq!(refused, Err(Reason::SignatureMismatch));
    }
    // Warm as cold.
    assert!(plain.verify_by(&uniform, &static_key()).is_ok());
    assert_eq!(plain.verify_by(&uniform, &wrong).map(drop), Err(Reason::SignatureMismatch));
}

#[test]
fn no_value_is_in_debug_or_in_a_message() {
    let form = Unsigned::new()
        .token(TOKEN)
        .exactly("x-amz-server-side-encryption-customer-key", "customers-key")
        .condition(&exact("x-amz-meta-a", "expected-value"));
    let sent = form.clone().field("x-amz-meta-a", "sent-value").sign();
    let signature = sent.fields.last().unwrap().1.clone();
    let mut shown = String::new();
    let verifier = s3();
    let mut fields = verifier.begin_form(&head("bucket"), "bucket").unwrap();
    for (name, value) in &sent.fields {
        fields.push(name.as_bytes(), value.as_bytes()).unwrap();
    }
    fields.file(Some(b"private.jpg"), None).unwrap();
    let claimed = verifier.parse_form(&fields).unwrap();
    let refused = verifier.verify_form(&claimed, Some(&session_key()), now()).unwrap_err();
    assert_eq!(Err(refused.clone()), failed("eq", "x-amz-meta-a"));
    let verified = form.field("x-amz-meta-a", "expected-value").sign();
    let verified = verified.verify_by(&verifier, &session_key()).unwrap();
    shown += &format!("{fields:?}{claimed:?}{refused:?}{refused}{verified:?}{:?}", verified.object());
    shown += &refused.message(credfed_sigv4_verify::Protocol::S3);
    for (name, value) in &sent.fields {
        let known = ["key", "x-amz-algorithm", "x-amz-credential", "x-amz-date"].contains(&name.as_str());
        assert!(known || !shown.contains(value), "{name}");
    }
    for secret in [SECRET, TOKEN, &signature, "customers-key", "expected-value", "sent-value", "private.jpg"]
    {
        assert!(!shown.contains(secret), "{secret}");
    }
}

fn failed(operator: &'static str, name: &str) -> Result<(), Reason> {
    Err(Reason::PolicyCondition { operator, name: name.into() })
}
