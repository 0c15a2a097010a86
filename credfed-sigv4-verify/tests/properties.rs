//! What aws-sigv4 signs is accepted; what is changed afterwards is refused.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use credfed_sigv4_verify::{CREDENTIAL_QUERY_PARAMETERS, Carrier, Reason, ResolvedKey, Verifier};
use http::request::Parts;
use proptest::prelude::*;
use sha2::{Digest, Sha256};
use support::{Signer, replace_header, with_target};

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_aws_sigv4_signs_is_accepted(signed in signed()) {
        prop_assert_eq!(signed.verify(&signed.parts), Ok(()));
    }

    #[test]
    fn one_change_of_the_request_and_it_is_refused(signed in signed(), change in change()) {
        if let Some(changed) = change.apply(&signed) {
            prop_assert!(signed.verify(&changed).is_err(), "{:?}", changed);
        }
    }

    #[test]
    fn another_body_is_refused(signed in signed(), at in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let mut body = signed.body.clone().into_bytes();
        if body.is_empty() {
            body.push(bit);
        } else {
            let at = at.index(body.len());
            body[at] ^= 1 << bit;
        }
        let covered = signed.signer.profile != credfed_sigv4_verify::Profile::S3
            || signed.signer.carrier == Carrier::Header;
        prop_assert_eq!(signed.verify_with(&signed.parts, &body).is_err(), covered);
    }

    #[test]
    fn another_secret_is_refused(signed in signed(), other in "[!-~]{1,40}") {
        prop_assume!(other != support::SECRET);
        let key = ResolvedKey::new(other, signed.signer.key().kind(), 1);
        let verified = verdict(&signed.signer.verifier(), &signed.parts, &key, signed.body.as_bytes());
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

#[derive(Debug, Clone)]
struct Signed {
    signer: Signer,
    parts: Parts,
    body: String,
}

impl Signed {
    fn verify(&self, parts: &Parts) -> Result<(), Reason> {
        self.verify_with(parts, self.body.as_bytes())
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

fn signed() -> impl Strategy<Value = Signed> {
    let regions = prop::option::weighted(
        if cfg!(feature = "sigv4a") { 0.3 } else { 0.0 },
        r"(\*|us-east-1|eu-west-1,us-east-1|[a-z]{1,5},\*)",
    );
    let signer = (0..3, any::<bool>(), prop::option::of("[A-Za-z0-9+/=]{1,60}"), regions).prop_map(
        |(profile, presigned, token, regions)| {
            let carrier = if presigned { Carrier::Presigned } else { Carrier::Header };
            let mut signer = match profile {
                0 => Signer::s3(carrier),
                1 => Signer::general(carrier),
                _ => Signer::sts(carrier),
            };
            signer.token = token;
            signer.region_set = regions;
            signer
        },
    );
    let headers = prop::collection::vec(
        ("(range|content-type|x-test-[a-z]|x-amz-meta-[a-z]{1,5})", "[!-~]{0,9}"),
        0..4,
    );
    (signer, "(GET|PUT|POST|DELETE)", path(), query(), headers, "[ -~]{0,40}").prop_map(
        |(signer, method, path, query, headers, body)| {
            let mut builder = http::Request::builder()
                .method(method.as_str())
                .uri(format!("https://bucket.example.com{path}{query}"));
            let mut single = std::collections::BTreeSet::new();
            for (name, value) in headers {
                // HTTP gives these one value.
                if name.starts_with("x-") || single.insert(name.clone()) {
                    builder = builder.header(name, value);
                }
            }
            // What is signed twice has to be joined by the signer, which aws-sigv4 does too.
            let body: &'static str = Box::leak(body.into_boxed_str());
            let parts = signer.sign(builder.body(body).unwrap());
            Signed { signer, parts, body: body.into() }
        },
    )
}

/// Normal paths, encoded as clients encode them.
fn path() -> impl Strategy<Value = String> {
    prop::collection::vec("([A-Za-z0-9_~-]|%20|%2F|%25|%E1%88%B4){1,8}", 0..4)
        .prop_map(|segments| format!("/{}", segments.join("/")))
}

fn query() -> impl Strategy<Value = String> {
    let pair = "([a-z]|%20|%2F){1,4}(=([A-Za-z0-9-]|%2B|%3D|%26|%20){0,6})?";
    prop::collection::vec(pair, 0..4).prop_map(|pairs| match pairs.len() {
        0 => String::new(),
        _ => format!("?{}", pairs.join("&")),
    })
}

#[derive(Debug, Clone)]
enum Change {
    Method,
    Path(String),
    Query(String),
    Host,
    Header(prop::sample::Index, String),
    NewHeader(String),
    DropHeader(prop::sample::Index),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        Just(Change::Method),
        "[a-z]{1,4}".prop_map(Change::Path),
        "[a-z]{1,4}(=[a-z]{0,4})?".prop_map(Change::Query),
        Just(Change::Host),
        (any::<prop::sample::Index>(), "[!-~]{1,8}").prop_map(|(at, value)| Change::Header(at, value)),
        "x-amz-[a-z]{1,8}".prop_map(Change::NewHeader),
        any::<prop::sample::Index>().prop_map(Change::DropHeader),
    ]
}

impl Change {
    /// The changed request; `None` where the change would not be one.
    fn apply(&self, signed: &Signed) -> Option<Parts> {
        let mut parts = signed.parts.clone();
        let target = support::target(&parts);
        match self {
            Self::Method => parts.method = http::Method::PATCH,
            Self::Path(more) => {
                let (path, query) =
                    target.split_once('?').map_or((&*target, ""), |(path, query)| (path, query));
                parts.uri = format!("{path}{more}?{query}").parse().ok()?;
            }
            Self::Query(more) => {
                let separator = if target.contains('?') { '&' } else { '?' };
                parts.uri = format!("{target}{separator}{more}").parse().ok()?;
            }
            Self::Host => parts = replace_header(parts, "host", "other.example.com"),
            Self::Header(at, value) => {
                let name = name_at(&parts, *at)?;
                let header = parts.headers.get_mut(&name)?;
                if header.as_bytes() == value.as_bytes() {
                    return None;
                }
                *header = value.parse().ok()?;
            }
            Self::NewHeader(name) => {
                let name: http::HeaderName = name.parse().ok()?;
                parts.headers.append(name, "1".parse().ok()?);
            }
            Self::DropHeader(at) => {
                let name = name_at(&parts, *at)?;
                parts.headers.remove(name)?;
            }
        }
        Some(parts)
    }
}

/// A header that aws-sigv4 signs.
fn name_at(parts: &Parts, at: prop::sample::Index) -> Option<http::HeaderName> {
    let names: Vec<_> = parts.headers.keys().collect();
    if names.is_empty() { None } else { Some(names[at.index(names.len())].clone()) }
}

fn segments(path: &str) -> Vec<Vec<u8>> {
    path.split('/').map(|segment| percent_encoding::percent_decode_str(segment).collect()).collect()
}

fn flip(letter: char) -> char {
    if letter.is_ascii_lowercase() { letter.to_ascii_uppercase() } else { letter.to_ascii_lowercase() }
}
