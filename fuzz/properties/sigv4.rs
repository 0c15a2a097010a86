//! What holds for every input of the verifier's fuzz targets. Run by the fuzzer, and by `cargo test`
//! over the corpus that is checked in. Whoever includes this file has `support` at its root.
#![allow(dead_code, reason = "each target uses its own")]

use std::collections::BTreeMap;

use credfed_sigv4_verify::{
    Algorithm, CREDENTIAL_QUERY_PARAMETERS, Carrier, KeyKind, Profile, Reason, ResolvedKey, SignedRequest,
    Verifier, query,
};
use http::request::Parts;

use crate::support::{self, Signer};

/// Input: the value of Authorization, then further headers, one `name:value` per line.
pub(crate) fn authorization_header(data: &[u8]) {
    let mut lines = data.split(|&byte| byte == b'\n');
    let mut builder = http::Request::get("/bucket/key?x-id=GetObject");
    if let Some(value) = lines.next() {
        builder = builder.header("authorization", value);
    }
    for line in lines {
        let at = line.iter().position(|&byte| byte == b':').unwrap_or(line.len());
        let (name, value) = line.split_at(at);
        builder = builder.header(name, value.get(1..).unwrap_or_default());
    }
    let Ok(request) = builder.body(()) else { return };
    judge(&request.into_parts().0);
}

/// Input: a query.
pub(crate) fn presigned_query(data: &[u8]) {
    let Ok(uri) = http::Uri::try_from([b"/bucket/key?", data].concat()) else { return };
    let builder = http::Request::get(uri).header("host", "example.amazonaws.com");
    let Ok(request) = builder.body(()) else { return };
    judge(&request.into_parts().0);
}

/// Input: a byte of choices (bit 0: the carrier; 1 and 2: the profile; 3 and 4: SigV4A and for which regions), then lines:
/// path, query, token, headers; signed by aws-sigv4.
pub(crate) fn sign_then_verify(data: &[u8]) {
    let Some((choices, rest)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(rest) else { return };
    let mut lines = text.lines();
    let carrier = if choices & 1 == 0 { Carrier::Header } else { Carrier::Presigned };
    let mut signer = match choices >> 1 & 3 {
        0 => Signer::s3(carrier),
        1 => Signer::sts(carrier),
        _ => Signer::general(carrier),
    };
    if choices >> 1 & 3 == 3 {
        signer.profile = Profile::General { normalize: false };
    }
    if cfg!(feature = "sigv4a") && choices & 8 != 0 {
        signer = signer.region_set(if choices & 16 == 0 { "us-east-1" } else { "eu-west-1,*" });
    }
    let path = encoded(lines.next().unwrap_or_default(), "/");
    let query = encoded(lines.next().unwrap_or_default(), "&=");
    let token: String = lines.next().unwrap_or_default().chars().filter(char::is_ascii_graphic).collect();
    signer.token = (!token.is_empty()).then_some(token);

    let normalizes = matches!(signer.profile, Profile::Sts | Profile::General { normalize: true });
    let path = format!("/{path}");
    let is_normal = !path.contains("//") && !path.split('/').any(|segment| segment == "." || segment == "..");
    // A parameter of the closed list is one carrier too many; another x-amz-* is hoisted, once.
    let amazon =
        query::parameters(&query).any(|parameter| parameter.is_credential() || parameter.hoisted().is_some());
    if (normalizes && !is_normal) || amazon || path.contains("%00") || query.contains("%00") {
        return;
    }
    let mut builder = http::Request::get(format!("https://example.com{path}?{query}"));
    for line in lines {
        if let Some((name, value)) = line.split_once(':')
            && is_signed_alike(name, value)
        {
            builder = builder.header(name, value);
        }
    }
    let Ok(request) = builder.body("body") else { return };
    if request.headers().values().any(|value| value.to_str().is_err()) {
        return;
    }
    let parts = signer.sign(request);
    let verifier = signer.verifier();
    let verdict = verify(&verifier, &parts, &signer.key());
    if matches!(verdict, Err(Reason::LimitExceeded(_))) {
        return;
    }
    assert_eq!(verdict, Ok(()), "{parts:?}");
    let wrong = ResolvedKey::new("wrong", signer.key().kind(), 1);
    assert_eq!(verify(&verifier, &parts, &wrong), Err(Reason::SignatureMismatch));
    judge(&parts);
}

/// What holds for a request from anyone, by every profile.
fn judge(parts: &Parts) {
    for verifier in [
        support::s3(),
        support::general(),
        support::sts(),
        #[cfg(feature = "sigv4a")]
        support::s3_asymmetric(),
    ] {
        let Ok(request) = verifier.parse(parts) else { continue };
        assert!(matches!(request.carrier(), Carrier::Header | Carrier::Presigned));
        assert!(!request.access_key().is_empty());
        assert_eq!(request.scope().date().len(), 8);
        let has_regions = request.algorithm() == Algorithm::EcdsaP256Sha256;
        assert_eq!(request.region_set().is_some(), has_regions);
        assert_eq!(request.scope().region().is_empty(), has_regions);
        assert_ne!(request.session_token(), Some(""));
        assert_one_carrier(parts, &request);
        assert_amazon_headers_are_signed(parts, &request);
        assert!(format!("{request:?}").len() < 2_000);

        // Nobody's key verifies nothing, and a secret decides alike cold and warm.
        assert!(verifier.verify_with_body_hash(&request, None, support::now(), [0; 32]).is_err());
        for kind in [KeyKind::Static, KeyKind::Temporary] {
            let right = ResolvedKey::new(support::SECRET, kind, 1);
            let cold = verify(&verifier, parts, &right);
            assert_eq!(cold, verify(&verifier, parts, &right));
            if cold.is_ok() {
                assert_eq!(kind == KeyKind::Temporary, request.session_token().is_some());
            }
            let wrong = ResolvedKey::new("wrong", kind, 1);
            assert!(verify(&verifier, parts, &wrong).is_err());
        }
    }
}

fn verify(verifier: &Verifier, parts: &Parts, key: &ResolvedKey) -> Result<(), Reason> {
    let request = verifier.parse(parts)?;
    if request.needs_body_hash() {
        return support::verify_body(verifier, parts, key, b"body").map(drop);
    }
    let head = verifier.verify(&request, Some(key), support::now())?;
    let mut check = head.into_body_check();
    check.push(b"body".as_slice().into())?;
    check.finish()
}

fn assert_one_carrier(parts: &Parts, request: &SignedRequest<'_>) {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for parameter in query::parameters(parts.uri.query().unwrap_or_default()) {
        let Some(name) = parameter.name() else { continue };
        let known = CREDENTIAL_QUERY_PARAMETERS.iter().find(|known| known.eq_ignore_ascii_case(&name));
        if let Some(known) = known {
            assert!(parameter.as_str().starts_with(known), "{name}");
            *seen.entry((*known).to_owned()).or_default() += 1;
        }
    }
    match request.carrier() {
        Carrier::Header => assert!(seen.is_empty(), "{seen:?}"),
        _ => {
            assert!(!parts.headers.contains_key("authorization"));
            assert!(seen.values().all(|&times| times == 1), "{seen:?}");
        }
    }
}

fn assert_amazon_headers_are_signed(parts: &Parts, request: &SignedRequest<'_>) {
    for name in parts.headers.keys().map(http::HeaderName::as_str).filter(|name| name.starts_with("x-amz-")) {
        let exempt = name == "x-amz-content-sha256" && request.carrier() == Carrier::Header;
        assert!(exempt || request.effective_header(name).is_some(), "{name}");
    }
}

/// Headers that aws-sigv4 signs as we read them: not those that it leaves out or sets itself, and no
/// tabs, which it neither trims nor folds.
fn is_signed_alike(name: &str, value: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let known = name.starts_with("x-test-") || name.starts_with("x-amz-meta-");
    known && !value.contains('\t')
}

/// `text` percent-encoded, but for what separates its pieces.
fn encoded(text: &str, separators: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        let letter = char::from(byte);
        if byte.is_ascii_alphanumeric() || "-._~".contains(letter) || separators.contains(letter) {
            out.push(letter);
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
