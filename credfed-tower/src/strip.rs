//! What was verified is taken off before a request goes on: the caller's credentials never travel upstream.

use std::task::{Context, Poll};

use credfed_sigv4_verify::query::{Parameter, parameters};
use http::Request;
use http::header::{
    AUTHORIZATION, CONNECTION, EXPECT, FORWARDED, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, VIA,
};
use http::request::Parts;
use http::uri::{PathAndQuery, Uri};
use tower_layer::Layer;
use tower_service::Service;

use crate::payload::DecodedLength;

/// Removes from a request's head what belongs to the hop that was verified.
///
/// - `Authorization`, and the `x-amz-*` headers that carry a signature: date, content-sha256, security-token,
///   region-set, s3session-token.
/// - The hop-by-hop headers (RFC 9110, section 7.6.1), what `Connection` names, and what proxies add.
/// - Every `x-amz-*` parameter of the query. In a presigned request the ones that stand for headers become headers,
///   except those of server-side encryption, which are not effective in a URL. With credentials in the header they
///   have no effect, and none is given to them further on.
///
/// - Of a request whose body was decoded ([`DecodedLength`] in its extensions) what described the encoded one:
///   x-amz-decoded-content-length, x-amz-trailer, and x-amz-sdk-checksum-algorithm, which no upstream takes without the
///   checksum. `aws-chunked` and the length of the encoded body are gone already.
///
/// Path and all other parameters stay byte for byte. A parameter that no header can carry is dropped; the verifier
/// refuses such a request before.
pub fn strip_credentials(parts: &mut Parts) {
    // Authorization may be gone already: its absence makes no presigned query.
    let signature = |parameter: Parameter<'_>| parameter.as_str().starts_with("X-Amz-Signature=");
    let presigned = !parts.headers.contains_key(AUTHORIZATION)
        && parts.uri.query().is_some_and(|query| parameters(query).any(signature));
    strip_hop_by_hop(&mut parts.headers);
    for name in SIGNATURE_HEADERS {
        parts.headers.remove(name);
    }
    if parts.extensions.get::<DecodedLength>().is_some() {
        for name in ENCODED_HEADERS {
            parts.headers.remove(name);
        }
    }
    strip_query(parts, presigned);
}

/// Removes what belongs to one connection (RFC 9110, section 7.6.1), what `Connection` names, and what proxies add, from
/// the head of a request or of a response.
pub fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        .collect();
    for name in named.iter().chain([&CONNECTION]) {
        headers.remove(name);
    }
    for name in HOP_HEADERS {
        headers.remove(name);
    }
    let forwarded: Vec<HeaderName> =
        headers.keys().filter(|name| name.as_str().starts_with("x-forwarded-")).cloned().collect();
    for name in forwarded {
        headers.remove(name);
    }
}

/// [`strip_credentials`] as a layer.
///
/// ```
/// use credfed_tower::StripCredentials;
/// use tower::ServiceBuilder;
///
/// let stack = ServiceBuilder::new().layer(StripCredentials::new());
/// # let _ = stack;
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct StripCredentials {
    _private: (),
}

impl StripCredentials {
    /// The layer has no settings.
    pub fn new() -> Self {
        Self::default()
    }
}

impl<S> Layer<S> for StripCredentials {
    type Service = Stripped<S>;

    fn layer(&self, inner: S) -> Stripped<S> {
        Stripped { inner }
    }
}

/// The service that [`StripCredentials`] makes.
#[derive(Clone, Copy, Debug)]
pub struct Stripped<S> {
    inner: S,
}

impl<S, B> Service<Request<B>> for Stripped<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> S::Future {
        let (mut parts, body) = request.into_parts();
        strip_credentials(&mut parts);
        self.inner.call(Request::from_parts(parts, body))
    }
}

const SIGNATURE_HEADERS: [HeaderName; 6] = [
    AUTHORIZATION,
    HeaderName::from_static("x-amz-date"),
    HeaderName::from_static("x-amz-content-sha256"),
    HeaderName::from_static("x-amz-security-token"),
    HeaderName::from_static("x-amz-region-set"),
    HeaderName::from_static("x-amz-s3session-token"),
];

/// What is only true of an `aws-chunked` body.
const ENCODED_HEADERS: [HeaderName; 3] = [
    HeaderName::from_static("x-amz-decoded-content-length"),
    HeaderName::from_static("x-amz-trailer"),
    HeaderName::from_static("x-amz-sdk-checksum-algorithm"),
];

const HOP_HEADERS: [HeaderName; 13] = [
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    EXPECT,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    FORWARDED,
    VIA,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("http2-settings"),
    HeaderName::from_static("x-real-ip"),
];

fn strip_query(parts: &mut Parts, presigned: bool) {
    let Some(query) = parts.uri.query() else { return };
    if !parameters(query).any(|parameter| is_amz(&parameter)) {
        return;
    }
    let mut target = String::with_capacity(parts.uri.path().len() + query.len());
    target.push_str(parts.uri.path());
    let mut separator = '?';
    for parameter in parameters(query) {
        if is_amz(&parameter) {
            if presigned {
                hoist(&mut parts.headers, &parameter);
            }
        } else {
            target.push(separator);
            target.push_str(parameter.as_str());
            separator = '&';
        }
    }
    let mut uri = parts.uri.clone().into_parts();
    // Taking parameters out of a valid target leaves a valid one; if it did not, nothing of it may travel.
    uri.path_and_query = Some(PathAndQuery::try_from(target).unwrap_or(PathAndQuery::from_static("/")));
    parts.uri = Uri::from_parts(uri).unwrap_or_default();
}

fn is_amz(parameter: &Parameter<'_>) -> bool {
    parameter.is_credential() || parameter.hoisted().is_some()
}

/// Makes a header of a parameter that stands for one.
fn hoist(headers: &mut HeaderMap, parameter: &Parameter<'_>) {
    let Some(name) = parameter.hoisted() else { return };
    if name.starts_with("x-amz-server-side-encryption")
        || name.starts_with("x-amz-copy-source-server-side-encryption")
        || SIGNATURE_HEADERS.iter().any(|header| header.as_str() == name)
    {
        return;
    }
    let value = parameter.value().and_then(|value| HeaderValue::from_bytes(value.as_bytes()).ok());
    if let (Ok(name), Some(value)) = (HeaderName::try_from(name), value) {
        headers.entry(name).or_insert(value);
    }
}
