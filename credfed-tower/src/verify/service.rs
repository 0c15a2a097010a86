//! The service: moves each request into a [`VerifyFuture`] together with the inner service that was polled ready.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::body::VerifiedBody;
use super::future::VerifyFuture;
use super::layer::Shared;
use super::reject::AnswerBody;
use crate::authorize::Authorize;
use crate::resolve::ResolveKey;

/// Verifies each request before the inner service sees it; see [the module](super).
pub struct VerifySigV4<S, R, A> {
    inner: S,
    shared: Arc<Shared<R, A>>,
}

impl<S, R, A> VerifySigV4<S, R, A> {
    pub(super) fn new(inner: S, shared: Arc<Shared<R, A>>) -> Self {
        Self { inner, shared }
    }
}

impl<S: Clone, R, A> Clone for VerifySigV4<S, R, A> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), shared: Arc::clone(&self.shared) }
    }
}

impl<S, R, A> fmt::Debug for VerifySigV4<S, R, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifySigV4").field("verifier", &self.shared.verifier).finish_non_exhaustive()
    }
}

impl<S, R, A, B, ResBody> Service<Request<B>> for VerifySigV4<S, R, A>
where
    S: Service<Request<VerifiedBody<B>>, Response = Response<ResBody>> + Clone,
    R: ResolveKey,
    A: Authorize<R::Claims>,
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Response = Response<AnswerBody<ResBody>>;
    type Error = S::Error;
    type Future = VerifyFuture<S, R, A, B>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let next = self.inner.clone();
        let ready = std::mem::replace(&mut self.inner, next);
        VerifyFuture::new(request, ready, Arc::clone(&self.shared))
    }
}
