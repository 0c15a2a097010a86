//! Requests signed by aws-sigv4, a signer that is not ours, and the keys to verify them with.
#![allow(dead_code, reason = "each test file uses its share")]

pub(crate) mod by_hand;
pub(crate) mod chunked;
pub(crate) mod post;

use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation,
    SigningSettings, UriPathNormalizationMode, sign as sign_by_aws,
};
use aws_sigv4::sign::{v4, v4a};
use credfed_sigv4_verify::{
    Carrier, KeyKind, Profile, Reason, ResolvedKey, SignedRequest, VerifiedHead, Verifier,
};
use hmac::{Hmac, KeyInit, Mac};
use http::request::Parts;
use sha2::{Digest, Sha256};

pub(crate) const ACCESS_KEY: &str = "AKIDEXAMPLE";
pub(crate) const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
pub(crate) const TOKEN: &str = "IQoJb3JpZ2luX2VjEA/+token=with/every+sign==";
/// 2015-08-30T12:36:00Z
pub(crate) const SIGNED_AT: u64 = 1_440_938_160;
/// SHA-256 of nothing.
pub(crate) const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

pub(crate) fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(SIGNED_AT)
}

pub(crate) fn static_key() -> ResolvedKey {
    ResolvedKey::new(SECRET, KeyKind::Static, 1)
}

pub(crate) fn session_key() -> ResolvedKey {
    ResolvedKey::new(SECRET, KeyKind::Temporary, 1)
}

pub(crate) fn s3() -> Verifier {
    Verifier::builder().region("us-east-1").build().unwrap()
}

pub(crate) fn general() -> Verifier {
    Verifier::builder()
        .profile(Profile::General { normalize: true })
        .region("us-east-1")
        .service("service")
        .build()
        .unwrap()
}

pub(crate) fn sts() -> Verifier {
    Verifier::builder().profile(Profile::Sts).any_region().build().unwrap()
}

/// As [`s3`], SigV4A beside SigV4.
#[cfg(feature = "sigv4a")]
pub(crate) fn s3_asymmetric() -> Verifier {
    Verifier::builder().region("us-east-1").accept_sigv4a().build().unwrap()
}

/// How aws-sigv4 is to sign.
#[derive(Debug, Clone)]
pub(crate) struct Signer {
    pub(crate) profile: Profile,
    pub(crate) carrier: Carrier,
    pub(crate) region: String,
    /// Signs with SigV4A, for these regions.
    pub(crate) region_set: Option<String>,
    pub(crate) service: String,
    pub(crate) token: Option<String>,
    pub(crate) time: SystemTime,
    pub(crate) expires: u64,
    /// Whether x-amz-content-sha256 is sent.
    pub(crate) checksum_header: bool,
}

impl Signer {
    pub(crate) fn s3(carrier: Carrier) -> Self {
        Self::new(Profile::S3, "s3", carrier)
    }

    pub(crate) fn general(carrier: Carrier) -> Self {
        Self::new(Profile::General { normalize: true }, "service", carrier)
    }

    pub(crate) fn sts(carrier: Carrier) -> Self {
        Self::new(Profile::Sts, "sts", carrier)
    }

    fn new(profile: Profile, service: &str, carrier: Carrier) -> Self {
        Self {
            profile,
            carrier,
            region: "us-east-1".into(),
            region_set: None,
            service: service.into(),
            token: None,
            time: now(),
            expires: 3600,
            checksum_header: profile == Profile::S3,
        }
    }

    pub(crate) fn token(mut self, token: &str) -> Self {
        self.token = Some(token.into());
        self
    }

    pub(crate) fn region_set(mut self, regions: &str) -> Self {
        self.region_set = Some(regions.into());
        self
    }

    pub(crate) fn verifier(&self) -> Verifier {
        let builder = Verifier::builder()
            .profile(self.profile)
            .region(self.region.as_str())
            .service(self.service.as_str());
        #[cfg(feature = "sigv4a")]
        let builder = if self.region_set.is_some() { builder.accept_sigv4a() } else { builder };
        builder.build().unwrap()
    }

    pub(crate) fn key(&self) -> ResolvedKey {
        if self.token.is_some() { session_key() } else { static_key() }
    }

    /// Signs the body's bytes; presigned S3 requests leave the body out, as all S3 clients do.
    pub(crate) fn sign(&self, request: http::Request<&'static str>) -> Parts {
        let body = *request.body();
        let body = if self.profile == Profile::S3 && self.carrier == Carrier::Presigned {
            SignableBody::UnsignedPayload
        } else {
            SignableBody::Bytes(body.as_bytes())
        };
        self.sign_body(request.map(drop), body)
    }

    /// Signs `UNSIGNED-PAYLOAD`.
    pub(crate) fn sign_unsigned(&self, request: http::Request<()>) -> Parts {
        self.sign_body(request, SignableBody::UnsignedPayload)
    }

    pub(crate) fn sign_body(&self, mut request: http::Request<()>, body: SignableBody<'_>) -> Parts {
        let s3 = self.profile == Profile::S3;
        let mut settings = SigningSettings::default();
        settings.percent_encoding_mode =
            if s3 { PercentEncodingMode::Single } else { PercentEncodingMode::Double };
        settings.uri_path_normalization_mode =
            if matches!(self.profile, Profile::Sts | Profile::General { normalize: true }) {
                UriPathNormalizationMode::Enabled
            } else {
                UriPathNormalizationMode::Disabled
            };
        settings.payload_checksum_kind = if self.checksum_header {
            PayloadChecksumKind::XAmzSha256
        } else {
            PayloadChecksumKind::NoHeader
        };
        settings.signature_location = match self.carrier {
            Carrier::Presigned => SignatureLocation::QueryParams,
            _ => SignatureLocation::Headers,
        };
        settings.expires_in = (self.carrier == Carrier::Presigned).then(|| Duration::from_secs(self.expires));
        let identity = Credentials::new(ACCESS_KEY, SECRET, self.token.clone(), None, "test").into();
        let params = match &self.region_set {
            None => v4::SigningParams::builder()
                .identity(&identity)
                .region(&self.region)
                .name(&self.service)
                .time(self.time)
                .settings(settings)
                .build()
                .unwrap()
                .into(),
            Some(regions) => v4a::SigningParams::builder()
                .identity(&identity)
                .region_set(regions)
                .name(&self.service)
                .time(self.time)
                .settings(settings)
                .build()
                .unwrap()
                .into(),
        };
        let (instructions, _) = {
            let uri = request.uri().to_string();
            let method = request.method().to_string();
            let headers: Vec<_> = request
                .headers()
                .iter()
                .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
                .collect();
            let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            let signable = SignableRequest::new(&method, uri, headers, body).unwrap();
            sign_by_aws(signable, &params).unwrap().into_parts()
        };
        instructions.apply_to_request_http1x(&mut request);
        received(request.into_parts().0)
    }
}

/// How the query of a presigned request is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SignedAs {
    /// As SigV4 says.
    Sorted,
    /// In the order of the wire, which is wrong.
    Unsorted,
}

/// As a server sees it: origin-form target, a Host header.
pub(crate) fn received(mut parts: Parts) -> Parts {
    if let Some(authority) = parts.uri.authority() {
        if !parts.headers.contains_key("host") {
            parts.headers.insert("host", authority.as_str().parse().unwrap());
        }
        parts.uri = parts.uri.path_and_query().unwrap().as_str().parse().unwrap();
    }
    parts
}

pub(crate) fn get(uri: &str) -> http::Request<&'static str> {
    http::Request::get(uri).body("").unwrap()
}

pub(crate) fn verify(verifier: &Verifier, parts: &Parts, key: &ResolvedKey) -> Result<VerifiedHead, Reason> {
    verify_at(verifier, parts, key, now())
}

/// Asserts that the head verifies.
#[track_caller]
pub(crate) fn accept(verifier: &Verifier, parts: &Parts, key: &ResolvedKey) {
    assert_eq!(verify(verifier, parts, key).map(drop), Ok(()), "{parts:?}");
}

pub(crate) fn verify_at(
    verifier: &Verifier,
    parts: &Parts,
    key: &ResolvedKey,
    now: SystemTime,
) -> Result<VerifiedHead, Reason> {
    let request: SignedRequest<'_> = verifier.parse(parts)?;
    verifier.verify(&request, Some(key), now)
}

/// As [`verify`], with a body that is there already.
pub(crate) fn verify_body(
    verifier: &Verifier,
    parts: &Parts,
    key: &ResolvedKey,
    body: &[u8],
) -> Result<VerifiedHead, Reason> {
    let request = verifier.parse(parts)?;
    verifier.verify_with_body_hash(&request, Some(key), now(), Sha256::digest(body).into())
}

/// The Authorization header for a canonical request written by hand: for signers that differ from
/// aws-sigv4, and for requests that no honest signer makes.
pub(crate) fn authorization(canonical_request: &str, signed_headers: &str, service: &str) -> String {
    authorization_by(SECRET, canonical_request, signed_headers, service)
}

/// As [`authorization`], with another secret.
pub(crate) fn authorization_by(
    secret: &str,
    canonical_request: &str,
    signed_headers: &str,
    service: &str,
) -> String {
    let scope = format!("20150830/us-east-1/{service}/aws4_request");
    let signature = signature(secret, canonical_request, service);
    format!(
        "AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/{scope}, SignedHeaders={signed_headers}, Signature={signature}"
    )
}

/// The signature of a canonical request, by the book.
pub(crate) fn signature(secret: &str, canonical_request: &str, service: &str) -> String {
    let scope = format!("20150830/us-east-1/{service}/aws4_request");
    let hash = hex(&Sha256::digest(canonical_request));
    sign(secret, &scope, &format!("AWS4-HMAC-SHA256\n20150830T123600Z\n{scope}\n{hash}"))
}

/// The signature of a string to sign, by the book.
pub(crate) fn sign(secret: &str, scope: &str, string_to_sign: &str) -> String {
    let mut key = format!("AWS4{secret}").into_bytes();
    for part in scope.split('/').chain([string_to_sign]) {
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
        mac.update(part.as_bytes());
        key = mac.finalize().into_bytes().to_vec();
    }
    hex(&key)
}

/// As [`sign`], with SigV4A, by aws-sigv4.
pub(crate) fn sign_asymmetric(string_to_sign: &str) -> String {
    static KEY: LazyLock<Vec<u8>> =
        LazyLock::new(|| v4a::generate_signing_key(ACCESS_KEY, SECRET).as_ref().to_vec());
    v4a::calculate_signature(KEY.as_slice(), string_to_sign.as_bytes())
}

/// As [`signature`], with SigV4A.
pub(crate) fn asymmetric_signature(canonical_request: &str, service: &str) -> String {
    let hash = hex(&Sha256::digest(canonical_request));
    let scope = format!("20150830/{service}/aws4_request");
    sign_asymmetric(&format!("AWS4-ECDSA-P256-SHA256\n20150830T123600Z\n{scope}\n{hash}"))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `parts` with another target.
pub(crate) fn with_target(mut parts: Parts, target: &str) -> Parts {
    parts.uri = target.parse().unwrap();
    parts
}

pub(crate) fn with_header(mut parts: Parts, name: &'static str, value: &str) -> Parts {
    parts.headers.append(name, http::HeaderValue::from_bytes(value.as_bytes()).unwrap());
    parts
}

pub(crate) fn without_header(mut parts: Parts, name: &str) -> Parts {
    parts.headers.remove(name);
    parts
}

pub(crate) fn replace_header(mut parts: Parts, name: &'static str, value: &str) -> Parts {
    parts.headers.insert(name, http::HeaderValue::from_bytes(value.as_bytes()).unwrap());
    parts
}

pub(crate) fn target(parts: &Parts) -> String {
    parts.uri.to_string()
}

/// The requests that the figures of the README are about.
pub(crate) mod measured {
    use super::*;

    /// A session token of 1,000 characters, as base64 has them.
    fn token() -> String {
        let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut state = 7_u32;
        let mut letter = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            char::from(alphabet[(state >> 26) as usize])
        };
        (0..998).map(|_| letter()).chain("==".chars()).collect()
    }

    /// GET, six headers, 1,000 characters of token, UNSIGNED-PAYLOAD.
    pub(crate) fn r1() -> (Parts, ResolvedKey) {
        let request = http::Request::get("https://bucket.s3.us-east-1.amazonaws.com/photos/2026/a.jpg")
            .header("user-agent", "measured/1.0")
            .body(())
            .unwrap();
        let signer = Signer::s3(Carrier::Header).token(&token());
        let parts = signer.sign_unsigned(request);
        assert_eq!(parts.headers.len(), 6);
        (parts, signer.key())
    }

    /// How many bytes the canonical request has.
    pub(crate) fn canonical_length(parts: &Parts) -> usize {
        let unsigned = ["authorization", "user-agent"];
        let signed: Vec<_> =
            parts.headers.iter().filter(|(name, _)| !unsigned.contains(&name.as_str())).collect();
        let lines: usize = signed.iter().map(|(name, value)| name.as_str().len() + value.len() + 2).sum();
        let list: usize = signed.iter().map(|(name, _)| name.as_str().len() + 1).sum();
        let signature = "&X-Amz-Signature=".len() + 64;
        let query = parts.uri.query().map_or(0, |query| query.len() - signature);
        "GET\n".len() + parts.uri.path().len() + 1 + query + 1 + lines + 1 + list + "UNSIGNED-PAYLOAD".len()
    }

    /// A presigned GET with the same token, 37 of whose characters have to be escaped.
    pub(crate) fn r3() -> (Parts, ResolvedKey) {
        presigned(&token())
    }

    /// As [`r3`], with a token of letters and digits, which needs no escapes.
    pub(crate) fn r3_alphanumeric() -> (Parts, ResolvedKey) {
        presigned(&token().replace(['+', '/', '='], "0"))
    }

    fn presigned(token: &str) -> (Parts, ResolvedKey) {
        let request = http::Request::get("https://bucket.s3.us-east-1.amazonaws.com/photos/2026/a.jpg")
            .header("user-agent", "measured/1.0")
            .body(())
            .unwrap();
        let mut signer = Signer::s3(Carrier::Presigned).token(token);
        signer.checksum_header = false;
        (signer.sign_unsigned(request), signer.key())
    }
}
