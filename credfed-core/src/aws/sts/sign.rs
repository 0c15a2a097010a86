//! Signs a request to the service with aws-sigv4.

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};

use crate::{AwsCredentials, ProviderError};

/// Puts date, token and signature on a request. Every header that it has is signed.
pub(super) fn sign_request(
    request: &mut http::Request<Bytes>,
    credentials: &AwsCredentials,
    region: &str,
    now: SystemTime,
) -> Result<(), ProviderError> {
    // What the signer's error says may quote what it was given.
    let wrong = |why: &'static str| ProviderError::misconfigured(why);
    let identity = Credentials::new(
        credentials.access_key_id(),
        credentials.secret_access_key().expose(),
        credentials.session_token().map(|token| token.expose().to_owned()),
        None,
        "credfed",
    )
    .into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("sts")
        .time(now)
        .settings(SigningSettings::default())
        .build()
        .map_err(|_| wrong("the signing parameters are incomplete"))?
        .into();
    let mut headers = Vec::with_capacity(request.headers().len());
    for (name, value) in request.headers() {
        headers.push((name.as_str(), value.to_str().map_err(|_| wrong("a header is not text"))?));
    }
    let signable = SignableRequest::new(
        request.method().as_str(),
        request.uri().to_string(),
        headers.into_iter(),
        SignableBody::Bytes(request.body()),
    )
    .map_err(|_| wrong("the request cannot be signed"))?;
    // At TRACE the signer prints what it signs.
    let signed = tracing::dispatcher::with_default(&tracing::Dispatch::none(), || sign(signable, &params));
    let (instructions, _) = signed.map_err(|_| wrong("the request cannot be signed"))?.into_parts();
    let (signed, _) = instructions.into_parts();
    for header in signed {
        let name = HeaderName::from_static(header.name());
        let mut value =
            HeaderValue::from_str(header.value()).map_err(|_| wrong("the credential fits no header"))?;
        value.set_sensitive(name == AUTHORIZATION || name.as_str() == "x-amz-security-token");
        request.headers_mut().insert(name, value);
    }
    Ok(())
}
