//! What the caller is told of the upstream's answer, or of its absence.
//!
//! Two kinds of answer are the gateway's own affair and end here: redirects, and refusals of the gateway's own
//! signature. The latter may quote the canonical request, session token included, and to the caller they would read
//! as if the caller's key were wrong.

use std::convert::Infallible;
use std::error::Error;
use std::task::{Context, Poll};

use bytes::Bytes;
use credfed_tower::BodyError;
use credfed_tower::sign::{SignError, UpstreamBody};
use credfed_tower::strip_hop_by_hop;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Either, Full, Limited};
use hyper::body::Incoming;
use hyper_util::client::legacy::Error as ClientError;
use tower::{Service, ServiceExt};

use crate::causes::{causes, chain};

/// The upstream's body as it streams, or a document of the gateway's own.
pub(crate) type AnswerBody = Either<UpstreamBody<Incoming>, Full<Bytes>>;

/// Codes with which an upstream refuses the signature, not what was asked for.
const ABOUT_THE_SIGNATURE: [&str; 9] = [
    "AuthorizationHeaderMalformed",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidToken",
    "NotSignedUp",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
    "TokenRefreshRequired",
    "UnrecognizedClientException",
];

/// Error documents are small; a larger one is not an S3 server's.
const DOCUMENT_LIMIT: usize = 64 * 1024;

/// Answers every request: with what the upstream says, or with why it says nothing.
#[derive(Clone, Debug)]
pub(crate) struct Settle<S> {
    inner: S,
}

impl<S> Settle<S> {
    pub(crate) fn new(inner: S) -> Self {
        Self { inner }
    }
}

impl<S, B> Service<Request<B>> for Settle<S>
where
    S: Service<Request<B>, Response = Response<UpstreamBody<Incoming>>, Error = SignError<ClientError>>,
    S: Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
{
    type Response = Response<AnswerBody>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<AnswerBody>, Infallible>>;

    /// A client that is not ready is waited for in the call, where its error has an answer.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let inner = self.inner.clone();
        async move {
            Ok(match inner.oneshot(request).await {
                Ok(response) => of_upstream(response).await,
                Err(error) => of_failure(&error),
            })
        }
        .boxed()
    }
}

async fn of_upstream(mut response: Response<UpstreamBody<Incoming>>) -> Response<AnswerBody> {
    let status = response.status();
    strip_hop_by_hop(response.headers_mut());
    if status.is_redirection() && status != StatusCode::NOT_MODIFIED {
        tracing::error!(%status, "the upstream redirects; is it the right one, and its region?");
        return document(StatusCode::BAD_GATEWAY, "BadGateway", "The upstream answered with a redirect.");
    }
    if !matches!(status, StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        return response.map(Either::Left);
    }
    let (parts, body) = response.into_parts();
    let Ok(text) = Limited::new(body, DOCUMENT_LIMIT).collect().await.map(|body| body.to_bytes()) else {
        tracing::error!(%status, "the upstream's error document breaks off or is too long");
        return document(StatusCode::BAD_GATEWAY, "BadGateway", "The upstream's answer could not be read.");
    };
    if let Some(code) = code_about_the_signature(&text) {
        tracing::error!(%status, code, "the upstream refuses the gateway's own credential or clock");
        return document(
            StatusCode::BAD_GATEWAY,
            "BadGateway",
            "The upstream refuses the gateway's own credential.",
        );
    }
    Response::from_parts(parts, Either::Right(Full::new(text)))
}

fn of_failure(error: &SignError<ClientError>) -> Response<AnswerBody> {
    match error {
        SignError::Credential(cause) => {
            tracing::error!(error = causes(cause), "no credential for the upstream");
            document(
                StatusCode::SERVICE_UNAVAILABLE,
                "ServiceUnavailable",
                "The gateway has no credential for the upstream.",
            )
        }
        SignError::Unsignable(why) => {
            tracing::info!(why, "cannot be signed for the upstream");
            document(StatusCode::BAD_REQUEST, "InvalidRequest", "The request cannot be forwarded as it is.")
        }
        // The verifying layer answers in its own words.
        error if is_about_the_payload(error) => {
            document(StatusCode::BAD_REQUEST, "IncompleteBody", "The payload is not the one that was signed.")
        }
        error => {
            tracing::error!(
                error = causes(error),
                "the upstream cannot be reached: is --upstream right, and does it run?"
            );
            document(StatusCode::BAD_GATEWAY, "BadGateway", "The upstream cannot be reached.")
        }
    }
}

fn document(status: StatusCode, code: &str, message: &str) -> Response<AnswerBody> {
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    );
    let mut response = Response::new(Either::Right(Full::new(Bytes::from(text))));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    response
}

fn code_about_the_signature(text: &[u8]) -> Option<&'static str> {
    let text = String::from_utf8_lossy(text);
    ABOUT_THE_SIGNATURE.into_iter().find(|code| text.contains(&format!("<Code>{code}</Code>")))
}

fn is_about_the_payload(error: &(dyn Error + 'static)) -> bool {
    chain(error).any(|cause| cause.is::<BodyError>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_refusals_of_the_signature_are_the_gateways_own() {
        let document =
            |code: &str| format!("<Error><Code>{code}</Code><StringToSign>x</StringToSign></Error>");
        for code in ABOUT_THE_SIGNATURE {
            assert_eq!(code_about_the_signature(document(code).as_bytes()), Some(code));
        }
        for code in ["AccessDenied", "NoSuchKey", "BadDigest"] {
            assert_eq!(code_about_the_signature(document(code).as_bytes()), None);
        }
    }
}
