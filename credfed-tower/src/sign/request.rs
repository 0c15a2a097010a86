//! Puts a signature on the head of one request.

use std::borrow::Cow;
use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::identity::Identity;
use credfed_core::AwsCredentials;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::uri::{Authority, PathAndQuery, Scheme, Uri};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};

use super::layer::Upstream;
use crate::payload::PayloadSha256;
use crate::strip::strip_credentials;

/// What the signature says of the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Payload {
    Sha256([u8; 32]),
    Unsigned,
}

/// SHA-256 of nothing.
const EMPTY: [u8; 32] = [
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27,
    0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
];

impl Payload {
    pub(super) fn of(parts: &Parts, at_end: bool) -> Self {
        match parts.extensions.get::<PayloadSha256>() {
            Some(PayloadSha256(hash)) => Self::Sha256(*hash),
            None if at_end => Self::Sha256(EMPTY),
            None => Self::Unsigned,
        }
    }
}

/// Takes off what is left of the caller's hop and points the request at the authority that it is signed for.
///
/// `host_counts`: whether `Host` may name the authority. On a server that is the caller's choice, so it takes a list.
pub(super) fn prepare(
    parts: &mut Parts,
    upstream: Option<&Upstream>,
    host_counts: bool,
) -> Result<Upstream, &'static str> {
    strip_credentials(parts);
    without_tabs(&mut parts.headers);
    let query = parts.uri.query().unwrap_or_default();
    if percent_decode_str(query).decode_utf8().is_err() {
        return Err("its query is not UTF-8");
    }
    let named = parts.headers.remove(HOST);
    let (scheme, authority) = match upstream {
        Some(upstream) => (upstream.scheme.clone(), upstream.authority.clone()),
        None => {
            let scheme = parts.uri.scheme().cloned().unwrap_or(Scheme::HTTPS);
            let named = || Authority::try_from(named.as_ref().filter(|_| host_counts)?.as_bytes()).ok();
            let authority = parts.uri.authority().cloned().or_else(named);
            (scheme, authority.ok_or("it names no host")?)
        }
    };
    let place = Upstream::new(scheme, authority).ok_or("it names no place to send it to")?;
    let target = parts.uri.path_and_query().map_or("/", PathAndQuery::as_str);
    let target = match target.split_once('?') {
        Some((path, query)) if query.contains('+') => {
            Cow::Owned(format!("{path}?{}", query.replace('+', "%20")))
        }
        _ => Cow::Borrowed(target),
    };
    parts.uri = Uri::builder()
        .scheme(place.scheme.clone())
        .authority(place.authority.clone())
        .path_and_query(target.as_ref())
        .build()
        .map_err(|_| "its target is not a valid URI")?;
    let host = HeaderValue::from_str(place.authority.as_str()).map_err(|_| "its host fits no header")?;
    parts.headers.insert(HOST, host);
    Ok(place)
}

/// Signs a request that was prepared.
pub(super) fn sign_parts(
    parts: &mut Parts,
    credentials: &SdkIdentity,
    region: &str,
    service: &str,
    payload: Payload,
    now: SystemTime,
) -> Result<(), &'static str> {
    let s3 = service == "s3" || service.starts_with("s3-") || service == "s3express";
    let body = match payload {
        Payload::Sha256(hash) => SignableBody::Precomputed(hex(&hash)),
        Payload::Unsigned if s3 => SignableBody::UnsignedPayload,
        Payload::Unsigned => {
            return Err("its payload is not known before it is sent, which S3 alone accepts");
        }
    };
    let mut settings = SigningSettings::default();
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    let path = if s3 {
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        encoded_once(parts.uri.path())
    } else {
        Cow::Borrowed(parts.uri.path())
    };
    let authority = parts.uri.authority().map_or("", Authority::as_str);
    let scheme = parts.uri.scheme_str().unwrap_or("https");
    let query = parts.uri.query().map_or(String::new(), |query| format!("?{query}"));
    let uri = format!("{scheme}://{authority}{path}{query}");
    let params = v4::SigningParams::builder()
        .identity(&credentials.0)
        .region(region)
        .name(service)
        .time(now)
        .settings(settings)
        .build()
        .map_err(|_| "the signing parameters are incomplete")?
        .into();
    let headers = signable(&parts.headers)?;
    let request = SignableRequest::new(parts.method.as_str(), uri, headers.into_iter(), body)
        .map_err(|_| "its head is not valid")?;
    // At TRACE the signer prints every header that it signs, customer keys too.
    let signed = tracing::dispatcher::with_default(&tracing::Dispatch::none(), || sign(request, &params));
    let (instructions, _) = signed.map_err(|_| "its head is not valid")?.into_parts();
    let (signed, _) = instructions.into_parts();
    for header in signed {
        let name = HeaderName::from_static(header.name());
        let mut value = HeaderValue::from_str(header.value()).map_err(|_| "the credential fits no header")?;
        value.set_sensitive(name == AUTHORIZATION || name.as_str() == "x-amz-security-token");
        parts.headers.insert(name, value);
    }
    Ok(())
}

/// A credential in the signer's own type, made once per generation.
pub(super) struct SdkIdentity(Identity);

impl SdkIdentity {
    pub(super) fn new(credentials: &AwsCredentials) -> Self {
        let token = credentials.session_token().map(|token| token.expose().to_owned());
        let sdk = Credentials::new(
            credentials.access_key_id(),
            credentials.secret_access_key().expose(),
            token,
            None,
            "credfed",
        );
        Self(sdk.into())
    }
}

/// Host and every `x-amz-*` must be signed; the type and the checksum of the content are worth it. Nothing that a
/// proxy on the way may rewrite is.
fn signable(headers: &HeaderMap) -> Result<Vec<(&str, &str)>, &'static str> {
    let mut signable = Vec::with_capacity(headers.len());
    for (name, value) in headers {
        let must = *name == HOST || name.as_str().starts_with("x-amz-");
        let may = *name == CONTENT_TYPE || name.as_str() == "content-md5";
        match std::str::from_utf8(value.as_bytes()) {
            Ok(value) if must || may => signable.push((name.as_str(), value)),
            Err(_) if must => return Err("a header that must be signed is not UTF-8"),
            _ => {}
        }
    }
    Ok(signable)
}

/// Signers disagree on tabs within a signed value, so blanks are sent in their place, which mean the same (RFC 9110,
/// section 5.5). Runs of blanks stay as they are.
fn without_tabs(headers: &mut HeaderMap) {
    for value in headers.values_mut().filter(|value| value.as_bytes().contains(&b'\t')) {
        let blanks: Vec<u8> =
            value.as_bytes().iter().map(|byte| if *byte == b'\t' { b' ' } else { *byte }).collect();
        if let Ok(mut blanks) = HeaderValue::from_bytes(&blanks) {
            blanks.set_sensitive(value.is_sensitive());
            *value = blanks;
        }
    }
}

const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// S3's canonical path: each segment encoded exactly once, however it came.
fn encoded_once(path: &str) -> Cow<'_, str> {
    let canonical =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'/');
    if path.bytes().all(canonical) {
        return Cow::Borrowed(path);
    }
    let segments = path.split('/').map(|segment| {
        let bytes: Vec<u8> = percent_decode_str(segment).collect();
        percent_encode(&bytes, PATH).to_string()
    });
    Cow::Owned(segments.collect::<Vec<_>>().join("/"))
}

fn hex(bytes: &[u8; 32]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
