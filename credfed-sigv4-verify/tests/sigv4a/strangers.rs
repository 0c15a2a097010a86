//! What signers that are not ours sign is accepted: aws-c-auth (recorded) and aws-sigv4.

use bytes::Bytes;
use credfed_sigv4_verify::{Algorithm, Carrier, PayloadMode, Reason, ResolvedKey};
use http::request::Parts;
use proptest::prelude::*;
use serde_json::Value;

use crate::support::chunked::{cut, drive};
use crate::support::{self, Signer, TOKEN, get, s3, s3_asymmetric, session_key, static_key};

/// A request of `vectors/sigv4a/crt.json`.
struct Recorded {
    name: String,
    parts: Parts,
    body: Vec<u8>,
    key: ResolvedKey,
}

const DATA: &[u8] = b"what the caller uploads, in chunks";

fn recorded() -> Vec<Recorded> {
    let file: Value = serde_json::from_str(include_str!("../vectors/sigv4a/crt.json")).unwrap();
    let cases = file["cases"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    cases
        .iter()
        .map(|case| {
            let mut builder =
                http::Request::builder().method(&*text(&case["method"])).uri(text(&case["target"]));
            for (name, value) in case["headers"].as_object().unwrap() {
                builder = builder.header(name, text(value));
            }
            Recorded {
                name: text(&case["name"]),
                parts: builder.body(()).unwrap().into_parts().0,
                body: text(&case["body"]).into_bytes(),
                key: if case["token"].is_null() { static_key() } else { session_key() },
            }
        })
        .collect()
}

impl Recorded {
    fn judge(&self, frames: impl IntoIterator<Item = Bytes>) -> (Vec<u8>, Result<(), Reason>) {
        let verifier = s3_asymmetric();
        let head = support::verify(&verifier, &self.parts, &self.key).unwrap_or_else(|reason| {
            panic!("{}: {reason}", self.name);
        });
        assert_eq!(head.algorithm(), Algorithm::EcdsaP256Sha256);
        drive(head.into_body_check(), frames)
    }

    fn mode(&self) -> PayloadMode {
        s3_asymmetric().parse(&self.parts).unwrap().payload_mode()
    }
}

#[test]
fn what_awss_common_runtime_signs_is_accepted_however_the_body_arrives() {
    let cases = recorded();
    assert_eq!(cases.len(), 8);
    for case in cases {
        let data = if case.body.is_empty() { &[] } else { DATA };
        assert_eq!(case.judge([case.body.clone().into()]), (data.to_vec(), Ok(())), "{}", case.name);
        if matches!(case.mode(), PayloadMode::Chunked(_)) {
            for at in (0..case.body.len()).step_by(7) {
                assert_eq!(
                    case.judge(cut(&case.body, &[at])),
                    (data.to_vec(), Ok(())),
                    "{} at {at}",
                    case.name
                );
            }
        }
    }
}

#[test]
fn a_recorded_body_with_a_byte_changed_is_refused() {
    for case in recorded().into_iter().filter(|case| case.mode() != PayloadMode::Unsigned) {
        // Every byte of the first and the last lines, and some of those between.
        let length = case.body.len();
        for at in (0..length).filter(|at| at % 5 == 0 || *at < 20 || length - at < 60) {
            let mut body = case.body.clone();
            body[at] ^= 1;
            let (data, verdict) = case.judge([body.into()]);
            // The sizes of unsigned chunks are hex in either case; no byte here is a letter but in signatures.
            assert!(verdict.is_err(), "{} at {at}", case.name);
            assert!(data.len() < DATA.len(), "{} at {at}", case.name);
        }
    }
}

#[test]
fn what_is_recorded_is_refused_where_sigv4a_is_not_accepted() {
    for case in recorded() {
        let carrier = if case.parts.method == "PUT" { Carrier::Header } else { Carrier::Presigned };
        let verified = support::verify(&s3(), &case.parts, &case.key).map(drop);
        assert_eq!(verified, Err(Reason::UnsupportedAlgorithm(carrier)), "{}", case.name);
    }
}

#[test]
fn what_aws_sigv4_signs_is_accepted() {
    for carrier in [Carrier::Header, Carrier::Presigned] {
        for token in [None, Some(TOKEN)] {
            for regions in ["us-east-1", "eu-west-1,us-east-1", "*"] {
                for signer in [Signer::s3(carrier), Signer::general(carrier), Signer::sts(carrier)] {
                    let mut signer = signer.region_set(regions);
                    signer.token = token.map(Into::into);
                    let parts =
                        signer.sign(get("https://bucket.example.com/a/b%20c.txt?list-type=2&prefix=a%2Fb"));
                    let verifier = signer.verifier();
                    let request = verifier.parse(&parts).unwrap();
                    assert_eq!(request.algorithm(), Algorithm::EcdsaP256Sha256);
                    assert_eq!(request.region_set(), Some(regions));
                    assert_eq!(request.session_token(), token);
                    let verified = support::verify_body(&verifier, &parts, &signer.key(), b"");
                    assert_eq!(verified.map(drop), Ok(()), "{signer:?}");
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// S3, header and presigned: what aws-sigv4 signs verifies, and with one thing changed it does not.
    #[test]
    fn whatever_aws_sigv4_signs_is_accepted_and_one_change_refused(
        path in "/([A-Za-z0-9._~-]|%20|%2F){1,20}",
        query in "([a-z]{1,4}=[a-z0-9]{0,4}&){0,3}x=1",
        value in "[!-~]{1,20}",
        presigned in any::<bool>(),
        regions in r"(\*|us-east-1|eu-west-1,us-east-1|[a-z]{1,5},\*)",
        token in prop::option::of("[A-Za-z0-9+/=]{1,60}"),
        change in 0..5,
    ) {
        let carrier = if presigned { Carrier::Presigned } else { Carrier::Header };
        let mut signer = Signer::s3(carrier).region_set(&regions);
        signer.token = token;
        let request = http::Request::get(format!("https://bucket.example.com{path}?{query}"));
        let parts = signer.sign(request.header("x-amz-meta-a", &value).body("").unwrap());
        let verdict = |parts: &Parts, key: &ResolvedKey| support::verify(&signer.verifier(), parts, key).map(drop);
        prop_assert_eq!(verdict(&parts, &signer.key()), Ok(()));
        let wrong = ResolvedKey::new("another", signer.key().kind(), 1);
        prop_assert_eq!(verdict(&parts, &wrong), Err(Reason::SignatureMismatch));
        let mut changed = parts;
        match change {
            0 => changed.method = http::Method::DELETE,
            1 => changed.uri = changed.uri.to_string().replacen('?', "x?", 1).parse().unwrap(),
            2 => changed.uri = changed.uri.to_string().replacen("x=1", "x=2", 1).parse().unwrap(),
            3 => drop(changed.headers.insert("host", "other.example.com".parse().unwrap())),
            _ => drop(changed.headers.insert("x-amz-meta-a", format!("{value}x").parse().unwrap())),
        }
        prop_assert_eq!(verdict(&changed, &signer.key()), Err(Reason::SignatureMismatch));
    }
}
