//! Limits that are checked before the call, and the form that goes out.

use std::collections::BTreeMap;
use std::time::Duration;

use credfed_core::ErrorKind::Misconfigured;
use credfed_core::aws::sts::{
    AssumeRoleRequest, AssumeRoleRequestBuilder, AssumeRoleWithWebIdentityRequest,
    AssumeRoleWithWebIdentityRequestBuilder,
};
use credfed_core::{AwsCredentials, ProviderError, Secret};
use proptest::prelude::*;

use crate::support::{ROLE, checked, endpoint, start};

fn web() -> AssumeRoleWithWebIdentityRequestBuilder {
    AssumeRoleWithWebIdentityRequest::builder(ROLE, "ci")
}

fn signed() -> AssumeRoleRequestBuilder {
    AssumeRoleRequest::builder(ROLE, "ci")
}

fn named(role: &str, session: &str) -> Result<AssumeRoleWithWebIdentityRequest, ProviderError> {
    AssumeRoleWithWebIdentityRequest::builder(role, session).build()
}

fn says<T: std::fmt::Debug>(made: Result<T, ProviderError>, text: &str) {
    let said = checked(&made.unwrap_err(), Misconfigured);
    assert!(said.contains(text), "{said}: {text}");
}

#[test]
fn the_role_is_an_arn_of_any_partition() {
    let longest = format!("arn:aws:iam::1:role/{}", "r".repeat(2_048 - 20));
    for role in [
        ROLE,
        "arn:aws:iam:::role/W1",
        "arn:minio:iam:::role/idmp-reader",
        "arn:aws-us-gov:iam::123456789012:role/path/r",
        &longest,
    ] {
        assert!(named(role, "ci").is_ok(), "{role}");
    }
    says(named("", "ci"), "RoleArn has 0 characters, not 20 to 2048");
    says(named("arn:aws:iam:::role/", "ci"), "RoleArn has 19 characters");
    says(named(&format!("{longest}r"), "ci"), "RoleArn has 2049 characters");
    for role in [
        "urn:aws:iam::123456789012:role/r",
        "arn:aws:iam::123456789012",
        "arn::iam::123456789012:role/r",
        "arn:aws:iam::123456789012:role/a b",
    ] {
        says(named(role, "ci"), "RoleArn ");
    }
}

#[test]
fn the_session_is_two_to_sixty_four_of_its_characters() {
    for session in ["ab", "A_z+=,.@-09", &"x".repeat(64)] {
        assert!(named(ROLE, session).is_ok(), "{session}");
    }
    says(named(ROLE, "a"), "RoleSessionName has 1 characters, not 2 to 64");
    says(named(ROLE, &"x".repeat(65)), "RoleSessionName has 65 characters");
    for session in ["a b", "a/b", "a:b", "\u{e9}\u{e9}", "a\nb"] {
        says(named(ROLE, session), "RoleSessionName holds a character outside of [A-Za-z0-9_+=,.@-]");
    }
}

#[test]
fn every_other_limit_is_named_too() {
    let seconds = Duration::from_secs;
    for fits in [900, 3_600, 43_200] {
        assert!(web().duration(seconds(fits)).build().is_ok());
    }
    for misfit in [seconds(0), seconds(899), seconds(43_201), Duration::MAX, Duration::from_millis(900_500)] {
        says(web().duration(misfit).build(), "DurationSeconds is ");
    }
    let policy = |length| String::from("p").repeat(length);
    assert!(web().policy(policy(2_048)).policy("\t\n\r \u{ff}".to_owned()).build().is_ok());
    says(web().policy(policy(2_049)).build(), "Policy has 2049 characters, not 1 to 2048");
    says(web().policy(String::from("canary-7f3a \u{100}")).build(), "Policy holds a character outside of");
    let arns =
        |count| (0..count).fold(web(), |web, n| web.policy_arn(format!("arn:aws:iam::aws:policy/p{n}")));
    assert!(arns(10).build().is_ok());
    says(arns(11).build(), "11 PolicyArns are given, at most 10 are allowed");
    says(web().policy_arn("policy").build(), "a policy's arn has 6 characters");
    assert!(web().provider_id("www.amazon.com").build().is_ok());
    says(web().provider_id("abc").build(), "ProviderId has 3 characters, not 4 to 2048");

    assert!(
        signed()
            .external_id(String::from("a:/-b"))
            .source_identity("ann@x")
            .mfa("GAHT12345678", String::from("123456"))
            .build()
            .is_ok()
    );
    says(signed().external_id(String::from("x")).build(), "ExternalId has 1 characters, not 2 to 1224");
    says(signed().external_id(String::from("x y")).build(), "ExternalId holds a character");
    says(signed().source_identity("x").build(), "SourceIdentity has 1 characters, not 2 to 64");
    says(
        signed().mfa("short", String::from("123456")).build(),
        "SerialNumber has 5 characters, not 9 to 256",
    );
    for code in ["12345", "1234567", "12345a"] {
        says(signed().mfa("GAHT12345678", String::from(code)).build(), "TokenCode is not of six digits");
    }
    let tags = |count| (0..count).fold(signed(), |signed, n| signed.tag(format!("k{n}"), ""));
    assert!(tags(50).build().is_ok());
    says(tags(51).build(), "51 Tags are given, at most 50 are allowed");
    let keys = |count| (0..count).fold(signed(), |signed, n| signed.transitive_tag_key(format!("k{n}")));
    assert!(keys(50).build().is_ok());
    says(keys(51).build(), "51 TransitiveTagKeys are given");
    says(keys(2).transitive_tag_key("K1").build(), "TransitiveTagKeys holds a key twice");
    says(signed().tag("Team", "a").tag("team", "b").build(), "Tags holds a key twice");
    says(signed().tag("AWS:x", "a").build(), "begins with aws:");
    says(signed().tag("", "a").build(), "Key has 0 characters, not 1 to 128");
    says(signed().tag("k", "v".repeat(257)).build(), "Value has 257 characters, not 0 to 256");
    says(signed().tag("k", "a;b").build(), "Value holds a character");
    assert!(signed().tag("\u{5718}\u{968a} 1", "_.:/=+-@ \u{e9}").build().is_ok());
    assert!(signed().chained().duration(seconds(3_600)).build().is_ok());
    says(signed().chained().duration(seconds(3_601)).build(), "lasts 3600 at most");

    let request = web().build().unwrap();
    for fits in [4, 20_000] {
        assert!(request.request(&endpoint(), &Secret::new("t".repeat(fits))).is_ok());
    }
    for misfit in [0, 3, 20_001] {
        says(request.request(&endpoint(), &Secret::new("t".repeat(misfit))), "WebIdentityToken has ");
    }
}

#[test]
fn what_the_service_wants_is_in_the_form() {
    let keys = AwsCredentials::new("AKIDEXAMPLE", Secret::new("secret"), Some(Secret::new("token")));
    let request = signed()
        .duration(Duration::from_secs(900))
        .policy(String::from("{\"Version\": \"2012-10-17\"}"))
        .policy_arn("arn:aws:iam::aws:policy/p1")
        .policy_arn("arn:aws:iam::aws:policy/p2")
        .tag("team", "a b")
        .tag("cost", "1")
        .transitive_tag_key("team")
        .external_id(String::from("x/1"))
        .source_identity("ann")
        .mfa("GAHT12345678", String::from("123456"))
        .build()
        .unwrap()
        .request(&endpoint(), &keys, start())
        .unwrap();
    let form = form(request.body());
    let expected = [
        ("Action", "AssumeRole"),
        ("Version", "2011-06-15"),
        ("RoleArn", ROLE),
        ("RoleSessionName", "ci"),
        ("DurationSeconds", "900"),
        ("Policy", "{\"Version\": \"2012-10-17\"}"),
        ("PolicyArns.member.1.arn", "arn:aws:iam::aws:policy/p1"),
        ("PolicyArns.member.2.arn", "arn:aws:iam::aws:policy/p2"),
        ("Tags.member.1.Key", "team"),
        ("Tags.member.1.Value", "a b"),
        ("Tags.member.2.Key", "cost"),
        ("Tags.member.2.Value", "1"),
        ("TransitiveTagKeys.member.1", "team"),
        ("ExternalId", "x/1"),
        ("SourceIdentity", "ann"),
        ("SerialNumber", "GAHT12345678"),
        ("TokenCode", "123456"),
    ];
    let expected: BTreeMap<_, _> = expected.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    assert_eq!(form, expected);
    let headers = request.headers();
    assert_eq!(headers["host"], "sts.eu-central-1.amazonaws.com");
    assert_eq!(headers["x-amz-date"], "20261127T100000Z");
    assert_eq!(headers["x-amz-security-token"], "token");
    assert!(headers["authorization"].is_sensitive() && headers["x-amz-security-token"].is_sensitive());
    let authorization = headers["authorization"].to_str().unwrap();
    let scope = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261127/eu-central-1/sts/aws4_request, \
                 SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, Signature=";
    assert!(authorization.starts_with(scope), "{authorization}");
    assert_eq!(request.uri(), "https://sts.eu-central-1.amazonaws.com/");
    let wrong = AwsCredentials::new("AKID", Secret::new("s"), Some(Secret::new("canary-7f3a\n")));
    says(signed().build().unwrap().request(&endpoint(), &wrong, start()), "");
}

proptest! {
    #[test]
    fn the_form_says_what_was_put_into_it(
        policy in "[\t\n\r\u{20}-\u{ff}]{1,200}",
        session in "[A-Za-z0-9_+=,.@-]{2,64}",
        token in "\\PC{4,300}",
        arns in proptest::collection::vec("arn:aws:iam::aws:policy/[!-~]{1,20}", 0..10),
    ) {
        let builder = AssumeRoleWithWebIdentityRequest::builder(ROLE, session.clone()).policy(policy.clone());
        let builder = arns.iter().fold(builder, |builder, arn| builder.policy_arn(arn.clone()));
        let request = builder.build().unwrap().request(&endpoint(), &Secret::new(token.clone())).unwrap();
        let form = form(request.body());
        prop_assert_eq!(&form["RoleSessionName"], &session);
        prop_assert_eq!(&form["Policy"], &policy);
        prop_assert_eq!(&form["WebIdentityToken"], &token);
        for (number, arn) in (1..).zip(&arns) {
            prop_assert_eq!(&form[&format!("PolicyArns.member.{number}.arn")], arn);
        }
        prop_assert_eq!(form.len(), 6 + arns.len());
        prop_assert!(request.uri().query().is_none());
    }
}

/// A reader of forms of this test's own: pairs of percent-encoded text, in which a plus sign has no business.
fn form(body: &[u8]) -> BTreeMap<String, String> {
    let decoded = |text: &[u8]| {
        let (mut bytes, mut rest) = (Vec::new(), text);
        while let Some((&byte, tail)) = rest.split_first() {
            assert_ne!(byte, b'+', "a plus sign means two things");
            if byte == b'%' {
                bytes.push(u8::from_str_radix(std::str::from_utf8(&tail[..2]).unwrap(), 16).unwrap());
                rest = &tail[2..];
            } else {
                bytes.push(byte);
                rest = tail;
            }
        }
        String::from_utf8(bytes).unwrap()
    };
    let mut form = BTreeMap::new();
    for pair in body.split(|&byte| byte == b'&') {
        let at = pair.iter().position(|&byte| byte == b'=').unwrap();
        let old = form.insert(decoded(&pair[..at]), decoded(&pair[at + 1..]));
        assert_eq!(old, None, "each parameter once");
    }
    form
}
