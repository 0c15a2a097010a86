//! Answers of several makes, and mutilated ones.

use std::time::Duration;

use credfed_core::ErrorKind::{Rejected, Transient};
use credfed_core::aws::sts::AssumeRoleWithWebIdentityRequest;
use credfed_core::{AwsCredentials, Expiring, ProviderError};
use proptest::prelude::*;

use crate::support::{CANARY, DATE, ROLE, body, checked, request, start, xml};

/// In the order and with the blanks of the AWS reference.
const ACTION: &str = "AssumeRoleWithWebIdentity";

/// Ceph 16.2: one line, no namespace, credentials behind the role.
const CEPH: &str = "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult>\
    <SubjectFromWebIdentityToken>sub</SubjectFromWebIdentityToken><Audience>aud</Audience><AssumedRoleUser>\
    <Arn>arn:aws:sts:::assumed-role/reader/ci</Arn><AssumeRoleId>id:ci</AssumeRoleId></AssumedRoleUser><Credentials>\
    <AccessKeyId>bAvYE0jVmTMjyAPkPJKU</AccessKeyId><Expiration>2026-11-27T10:59:59.999999999Z</Expiration>\
    <SecretAccessKey>SECRET+/=</SecretAccessKey><SessionToken>dG9rZW4+/w==</SessionToken></Credentials>\
    <Provider>issuer</Provider><PackedPolicySize>0</PackedPolicySize></AssumeRoleWithWebIdentityResult>\
    </AssumeRoleWithWebIdentityResponse>";

/// MinIO: a declaration, and Go's way to write a quotation mark.
const MINIO: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<AssumeRoleWithWebIdentityResponse \
    xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleWithWebIdentityResult><AssumedRoleUser><Arn></Arn>\
    <AssumeRoleId/></AssumedRoleUser><Credentials><AccessKeyId>V2J8HN7MDK4UA20PMGVB</AccessKeyId>\
    <SecretAccessKey>a&#34;b&amp;c</SecretAccessKey><Expiration>2026-11-27T11:00:00Z</Expiration>\
    <SessionToken>eyJhbGciOiJIUzUxMiJ9.eyJ9.c2ln</SessionToken></Credentials>\
    <SubjectFromWebIdentityToken>&lt;sub&gt;</SubjectFromWebIdentityToken></AssumeRoleWithWebIdentityResult>\
    <ResponseMetadata><RequestId>18A2</RequestId></ResponseMetadata></AssumeRoleWithWebIdentityResponse>";

fn parse(body: &str) -> Result<Expiring<AwsCredentials>, ProviderError> {
    request().parse(xml(200, body.to_owned()), start())
}

#[test]
fn the_answers_of_aws_ceph_and_minio_are_read() {
    for (text, id, secret, token) in [
        (&*body(ACTION, 7), "ASIAEXAMPLE7", "canary-7f3a-secret-7", "canary-7f3a-token-7=="),
        (CEPH, "bAvYE0jVmTMjyAPkPJKU", "SECRET+/=", "dG9rZW4+/w=="),
        (MINIO, "V2J8HN7MDK4UA20PMGVB", "a\"b&c", "eyJhbGciOiJIUzUxMiJ9.eyJ9.c2ln"),
    ] {
        let credential = parse(text).unwrap();
        let lifetime = credential.lifetime(start()).unwrap();
        assert!(lifetime <= Duration::from_secs(3_600) && lifetime > Duration::from_secs(3_598));
        let keys = credential.into_value();
        assert_eq!(keys.access_key_id(), id);
        assert_eq!(keys.secret_access_key().expose(), secret);
        assert_eq!(keys.session_token().unwrap().expose(), token);
    }
}

#[test]
fn a_credential_of_another_role_or_session_than_was_asked_for_is_refused() {
    let answer = |arn: &str| {
        let said = "arn:aws:sts::123456789012:assumed-role/reader/ci";
        let text = body(ACTION, 0);
        assert!(text.contains(said));
        parse(&text.replace(said, arn))
    };
    for other in [
        "arn:aws:sts::123456789012:assumed-role/writer/ci",
        "arn:aws:sts::123456789012:assumed-role/reader/cd",
        "arn:aws:sts::123456789012:assumed-role/ci",
        "arn:aws:sts::210987654321:assumed-role/reader/ci",
        "arn:aws:sts:::assumed-role/reader2/ci",
        "arn:aws:sts::123456789012:federated-user/reader",
        "arn:aws:iam::123456789012:user/reader",
        "arn:aws:iam::123456789012:role/reader",
        "arn:aws:s3:::reader/ci",
        "\n  arn:aws:sts::123456789012:assumed-role/writer/ci\n  ",
        "arn:aws:sts::assumed-role/writer/ci",
        "arn:aws:sts::123456789012:assumed-role/reader/CI",
        "arn:aws:sts::123456789012:assumed-role/reader/",
        "arn:aws:sts::123456789012:assumed-role//ci",
        "arn:aws:sts::123456789012:assumed-role/",
    ] {
        let why = "the credential is of another role or session than was asked for";
        assert_eq!(checked(&answer(other).unwrap_err(), Transient), why, "{other}");
    }
    // Ceph leaves out the account and keeps the path of the role, SeaweedFS leaves out the account's colon too, MinIO
    // says nothing.
    for same in [
        "arn:aws:sts:::assumed-role/reader/ci",
        "arn:aws:sts:::assumed-role/team/Reader/ci",
        "arn:aws:sts::assumed-role/reader/ci",
        "arn:aws-us-gov:sts::123456789012:assumed-role/reader/ci",
        "\n  arn:aws:sts::123456789012:assumed-role/reader/ci\n  ",
        "",
        "other",
    ] {
        assert!(answer(same).is_ok(), "{same}");
    }
    let text = body(ACTION, 0);
    let (start, end) = (text.find("<AssumedRoleUser>").unwrap(), text.find("<Credentials>").unwrap());
    assert!(parse(&format!("{}{}", &text[..start], &text[end..])).is_ok(), "nor need it be there");
    let twice = format!("{}{}{}", &text[..end], &text[start..end], &text[end..]);
    assert_eq!(checked(&parse(&twice).unwrap_err(), Transient), "the answer has more than one credential");
}

#[test]
fn any_role_and_session_that_can_be_asked_for_is_known_again() {
    for (role, session, said) in [
        (
            "arn:aws:iam::123456789012:role/team/a+b=c,d.e@f-g_h",
            "=,.@-+_",
            "123456789012:assumed-role/a+b=c,d.e@f-g_h",
        ),
        ("arn:aws-cn:iam::123456789012:role/reader", "ci", "123456789012:assumed-role/reader"),
        ("arn:aws:iam:::role/assumed-role/reader", "ci", ":assumed-role/assumed-role/reader"),
        ("arn:aws:iam::tenant:role/reader", "ci", "tenant:assumed-role/reader"),
        ("arn:aws:iam:::role/reader", "ci", "123456789012:assumed-role/reader"),
    ] {
        let request = AssumeRoleWithWebIdentityRequest::builder(role, session).build().unwrap();
        let answer = |name: &str| {
            let arn = format!("arn:aws:sts::{said}/{name}");
            request.parse(
                xml(200, body(ACTION, 0).replace("arn:aws:sts::123456789012:assumed-role/reader/ci", &arn)),
                start(),
            )
        };
        assert!(answer(session).is_ok(), "{role} {session}");
        assert!(answer("other").is_err(), "{role} {session}");
    }
}

#[test]
fn a_local_clock_that_is_off_does_no_harm_where_the_server_gives_its_date() {
    let hour = Duration::from_secs(3_600);
    for now in [start() - 1_000 * hour, start() + 1_000 * hour] {
        let credential = request().parse(xml(200, body(ACTION, 0)), now).unwrap();
        assert_eq!(credential.lifetime(now), Some(hour));
    }
    let mut undated = xml(200, body(ACTION, 0));
    undated.headers_mut().remove("date");
    assert_eq!(request().parse(undated.clone(), start()).unwrap().lifetime(start()), Some(hour));
    assert!(request().parse(undated.clone(), start() + hour).is_err());
    assert!(request().parse(undated, start() - hour).is_err());
}

#[test]
fn what_is_not_exactly_one_credential_is_refused() {
    let whole = body(ACTION, 0);
    let replaced = |from: &str, to: &str| {
        assert!(whole.contains(from), "{from}");
        whole.replacen(from, to, 1)
    };
    let id = "<AccessKeyId>ASIAEXAMPLE0</AccessKeyId>";
    for (text, why) in [
        (replaced(id, ""), "the answer has no AccessKeyId"),
        (replaced(id, "<AccessKeyId/>"), "the answer's AccessKeyId is not valid"),
        (replaced("ASIAEXAMPLE0", "ASIA EXAMPLE0"), "the answer's AccessKeyId is not valid"),
        (replaced("ASIAEXAMPLE0", &"A".repeat(129)), "the answer's AccessKeyId is not valid"),
        (replaced("canary-7f3a-secret-0", "s\u{e9}cret"), "the answer's SecretAccessKey is not valid"),
        (replaced("canary-7f3a-secret-0", "s&#10;"), "the answer's SecretAccessKey is not valid"),
        (replaced(id, &format!("{id}{id}")), "the answer has more than one AccessKeyId"),
        (
            replaced("</Credentials>", "</Credentials><Credentials></Credentials>"),
            "the answer has more than one credential",
        ),
        (
            replaced("</Credentials>", "</Credentials><Credentials/>"),
            "the answer has more than one credential",
        ),
        (replaced("ASIAEXAMPLE0", "ASIA<b>EXAMPLE0</b>"), "the answer holds an element within a field"),
        (replaced("ASIAEXAMPLE0", "ASIA<!-- -->EXAMPLE0"), "the answer holds a comment"),
        (replaced("ASIAEXAMPLE0", "<![CDATA[ASIAEXAMPLE0]]>"), "the answer holds a CDATA section"),
        (replaced("ASIAEXAMPLE0", "&id;"), "the answer holds an entity of its own"),
        (replaced("ASIAEXAMPLE0", "&#x110000;"), "the answer is not well-formed"),
        (replaced("ASIAEXAMPLE0", "a & b"), "the answer is not well-formed"),
        (replaced("<Credentials>", "<Credentials>text"), "the answer holds text outside of its fields"),
        (replaced("<Credentials>", "<Credentials id=\"1\">"), "the answer holds an attribute"),
        (
            replaced("<Credentials>", "<Credentials xmlns=\"urn:other\">"),
            "the answer is not of the call that was made",
        ),
        (replaced("<Credentials>", "<Credentials><?php 1?>"), "the answer holds a processing instruction"),
        (replaced("doc/2011-06-15/", "doc/2010-05-08/"), "the answer is not of the call that was made"),
        (format!("<!DOCTYPE a [<!ENTITY id \"x\">]>{whole}"), "the answer holds a document type"),
        (format!("{whole}<Other/>"), "the answer is not of the call that was made"),
        (format!("{whole}{whole}"), "the answer is not of the call that was made"),
        (format!("{whole}</Credentials>"), "the answer is not well-formed"),
        (format!("{whole}<?xml version=\"1.0\"?>"), "the answer holds a second declaration"),
        (body("AssumeRole", 0), "the answer is not of the call that was made"),
        (replaced("<Audience>aud", &"<a>".repeat(9)), "the answer holds too many levels"),
        (replaced("</Credentials>", "</Credential>"), "the answer is not well-formed"),
        (String::new(), "the answer is not well-formed"),
        (String::from("text"), "the answer holds text outside of its fields"),
        (format!("{whole}{}", " ".repeat(65_536)), "the answer is longer than 65536 bytes"),
    ] {
        assert_eq!(checked(&parse(&text).unwrap_err(), Transient), why, "{text:.200}");
    }
    let mut bytes = whole.clone().into_bytes();
    bytes[60] = 0xff;
    checked(&request().parse(xml(200, bytes), start()).unwrap_err(), Transient);
    for kinds in
        [&[][..], &["text/plain"][..], &["text/xml", "text/html"][..], &["application/xhtml+xml"][..]]
    {
        let mut answer = xml(200, whole.clone());
        answer.headers_mut().remove("content-type");
        for kind in kinds {
            answer.headers_mut().append("content-type", kind.parse().unwrap());
        }
        assert_eq!(
            checked(&request().parse(answer, start()).unwrap_err(), Transient),
            "the answer is not XML"
        );
    }
    let mut answer = xml(200, whole);
    answer.headers_mut().insert("content-type", "Application/XML ; charset=utf-8".parse().unwrap());
    assert!(request().parse(answer, start()).is_ok());
}

#[test]
fn eighty_thousand_attributes_take_no_time() {
    let attributes = "a=\"\" ".repeat(13_000);
    let text = format!("<AssumeRoleWithWebIdentityResponse {}/>", &attributes[..65_000]);
    assert!(text.len() < 65_536);
    assert_eq!(checked(&parse(&text).unwrap_err(), Transient), "the answer holds an attribute");
}

#[test]
fn a_refusal_in_the_clothes_of_a_success_is_a_refusal() {
    let text = crate::support::error("AccessDenied", "no");
    assert_eq!(
        checked(&parse(&text).unwrap_err(), Rejected),
        "the service answered: no (AccessDenied) [request c0ffee-1]"
    );
}

#[test]
fn the_longest_lifetime_is_what_was_asked_for() {
    let unasked = AssumeRoleWithWebIdentityRequest::builder(ROLE, "ci").build().unwrap();
    let week = body(ACTION, 0).replace("2026-11-27T11", "2026-12-04T10");
    assert!(unasked.parse(xml(200, week.clone()), start()).is_ok());
    assert!(parse(&week).is_err());
    assert!(unasked.parse(xml(200, week.replace("12-04T10:00:00", "12-04T10:00:01")), start()).is_err());
    assert_eq!(DATE.len(), 29);
}

/// The answer as it was given out, or nothing.
fn all_or_nothing(body: Vec<u8>) -> Result<(), TestCaseError> {
    if let Ok(credential) = request().parse(xml(200, body), start()) {
        let lifetime = credential.lifetime(start()).unwrap_or_default();
        prop_assert!(lifetime > Duration::ZERO && lifetime <= Duration::from_secs(3_900));
        let keys = credential.into_value();
        let token = keys.session_token().map(|token| token.expose().to_owned()).unwrap_or_default();
        for text in [keys.access_key_id(), keys.secret_access_key().expose(), &token] {
            prop_assert!(!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()));
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn no_bytes_at_all_make_the_parser_panic(body in proptest::collection::vec(any::<u8>(), 0..2_000)) {
        all_or_nothing(body)?;
    }

    #[test]
    fn a_mutilated_answer_is_whole_or_refused(
        which in 0..3_usize,
        edits in proptest::collection::vec((any::<proptest::sample::Index>(), 0..5_u8, any::<u8>(), 0..40_usize), 1..6),
    ) {
        let mut bytes = [body(ACTION, 0).as_str(), CEPH, MINIO][which].as_bytes().to_vec();
        for (at, edit, byte, length) in edits {
            let at = at.index(bytes.len().max(1)).min(bytes.len());
            let end = (at + length).min(bytes.len());
            match edit {
                0 => { bytes.splice(at..end, []); }
                1 => { let piece = bytes[at..end].to_vec(); bytes.splice(at..at, piece); }
                2 => { bytes.insert(at, byte); }
                3 => { bytes.truncate(at); }
                _ => { bytes.splice(at..at, b"<AccessKeyId>X</AccessKeyId>".iter().copied()); }
            }
        }
        all_or_nothing(bytes)?;
    }

    #[test]
    fn a_truncated_answer_is_never_a_credential(which in 0..3_usize, at in any::<proptest::sample::Index>()) {
        let whole = [body(ACTION, 0).as_str(), CEPH, MINIO][which].trim_end().to_owned();
        let cut = whole.as_bytes()[..at.index(whole.len())].to_vec();
        let error = request().parse(xml(200, cut), start()).unwrap_err();
        let text = format!("{error} {error:?}");
        prop_assert!(!text.contains(CANARY));
    }

    #[test]
    fn no_refusal_makes_the_parser_panic_or_says_more_than_it_may(
        status in 300..600_u16,
        body in "(<(/?(Error|ErrorResponse|Code|Message|RequestId))>|[a-zA-Z &;]|\\PC){0,40}",
    ) {
        let error = request().parse(xml(status, body), start()).unwrap_err();
        prop_assert!(error.to_string().chars().count() <= 200 + 64 + 128 + 20);
        prop_assert!(!error.to_string().chars().any(char::is_control));
    }
}
