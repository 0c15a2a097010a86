//! What aws-sigv4 signs is accepted; what is changed afterwards is refused. One change at a time, and what is none:
//! `mutations`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "mutations/samples.rs"]
mod samples;
mod support;

use credfed_sigv4_verify::{CREDENTIAL_QUERY_PARAMETERS, Reason, ResolvedKey, Verifier};
use http::request::Parts;
use proptest::prelude::*;
use samples::{Signed, path, signed};
use sha2::{Digest, Sha256};
use support::with_target;

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_aws_sigv4_signs_is_accepted(signed in signed()) {
        prop_assert_eq!(signed.verify(&signed.parts), Ok(()));
    }

    #[test]
    fn another_body_is_refused(signed in signed(), at in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let mut body = signed.body.clone();
        if body.is_empty() {
            body.push(bit);
        } else {
            let at = at.index(body.len());
            body[at] ^= 1 << bit;
        }
        prop_assert_eq!(signed.verify_with(&signed.parts, &body).is_err(), signed.sample.covers_body);
    }

    #[test]
    fn another_secret_is_refused(signed in signed(), other in "[!-~]{1,40}") {
        prop_assume!(other != support::SECRET);
        let key = ResolvedKey::new(other, signed.signer.key().kind(), 1);
        let verified = verdict(&signed.signer.verifier(), &signed.parts, &key, &signed.body);
        prop_assert_eq!(verified, Err(Reason::SignatureMismatch));
    }

    #[test]
    fn a_repeated_or_respelt_credential_parameter_is_never_accepted(
        signed in signed(),
        which in 0..CREDENTIAL_QUERY_PARAMETERS.len(),
        flips in any::<u32>(),
        value in "[A-Za-z0-9/;%-]{0,20}",
        front in any::<bool>(),
    ) {
        let name: String = CREDENTIAL_QUERY_PARAMETERS[which]
            .char_indices()
            .map(|(at, letter)| if flips >> at & 1 == 1 { flip(letter) } else { letter })
            .collect();
        let mut target = support::target(&signed.parts);
        let extra = format!("{name}={value}");
        if front && target.contains('?') {
            target = target.replacen('?', &format!("?{extra}&"), 1);
        } else {
            target.push(if target.contains('?') { '&' } else { '?' });
            target.push_str(&extra);
        }
        if let Ok(uri) = target.parse() {
            let mut parts = signed.parts.clone();
            parts.uri = uri;
            prop_assert!(signed.verify(&parts).is_err(), "{}", target);
        }
    }

    /// An accepted path is the signed one: whatever other spelling verifies too decodes to the same
    /// segments.
    #[test]
    fn an_accepted_path_means_the_signed_path(signed in signed(), other in path()) {
        let query = signed.parts.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
        let parts = with_target(signed.parts.clone(), &format!("{other}{query}"));
        if signed.verify(&parts).is_ok() {
            prop_assert_eq!(segments(&other), segments(signed.parts.uri.path()));
        }
    }

    #[test]
    fn nothing_makes_the_parser_panic(
        authorization in "\\PC{0,200}",
        query in "[ -~]{0,100}",
        list in "[a-zA-Z;:-]{0,40}",
    ) {
        let credential = "AKIDEXAMPLE/20150830/us-east-1/s3/aws4_request";
        for authorization in [
            format!("AWS4-ECDSA-P256-SHA256 {authorization}"),
            format!(
                "AWS4-ECDSA-P256-SHA256 Credential=AKIDEXAMPLE/20150830/s3/aws4_request, SignedHeaders={list}, \
                 Signature={query}"
            ),
            authorization.clone(),
            format!("AWS4-HMAC-SHA256 {authorization}"),
            format!("AWS4-HMAC-SHA256 Credential={authorization}, SignedHeaders={list}, Signature={}", "0".repeat(64)),
            format!("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={list}, Signature={}", "0".repeat(64)),
        ] {
            let mut builder = http::Request::builder().uri(format!("/?{}", query.replace(['#', ' ', '<', '>', '"', '`', '{', '}', '^', '\\', '|'], "")));
            builder = builder.header("host", "h").header("x-amz-date", "20150830T123600Z");
            if let Ok(value) = http::HeaderValue::from_str(&authorization) {
                builder = builder.header("authorization", value);
            }
            if let Ok(request) = builder.body(()) {
                let (parts, ()) = request.into_parts();
                for verifier in verifiers() {
                    prop_assert!(verdict(&verifier, &parts, &support::static_key(), b"").is_err());
                }
            }
        }
    }
}

fn verifiers() -> Vec<Verifier> {
    vec![
        support::s3(),
        support::general(),
        #[cfg(feature = "sigv4a")]
        support::s3_asymmetric(),
    ]
}

impl Signed {
    fn verify(&self, parts: &Parts) -> Result<(), Reason> {
        self.verify_with(parts, &self.body)
    }

    fn verify_with(&self, parts: &Parts, body: &[u8]) -> Result<(), Reason> {
        verdict(&self.signer.verifier(), parts, &self.signer.key(), body)
    }
}

/// Head and body, cold and warm.
fn verdict(verifier: &Verifier, parts: &Parts, key: &ResolvedKey, body: &[u8]) -> Result<(), Reason> {
    let request = verifier.parse(parts)?;
    let verify = || -> Result<(), Reason> {
        if request.needs_body_hash() {
            let hash = Sha256::digest(body).into();
            return verifier.verify_with_body_hash(&request, Some(key), support::now(), hash).map(drop);
        }
        let mut check = verifier.verify(&request, Some(key), support::now())?.into_body_check();
        check.push(bytes::Bytes::copy_from_slice(body))?;
        check.finish()
    };
    let cold = verify();
    assert_eq!(cold, verify());
    cold
}

fn segments(path: &str) -> Vec<Vec<u8>> {
    path.split('/').map(|segment| percent_encoding::percent_decode_str(segment).collect()).collect()
}

fn flip(letter: char) -> char {
    if letter.is_ascii_lowercase() { letter.to_ascii_uppercase() } else { letter.to_ascii_lowercase() }
}
