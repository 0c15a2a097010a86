//! The service: moves each request into a [`SignFuture`] together with the client that was polled ready.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::error::SignError;
use super::future::SignFuture;
use super::inspect::UpstreamBody;
use super::layer::Shared;
use super::replay::{Replay, ReplayEmpty};

/// Signs each request before the inner client sends it; see [the module](super).
pub struct SignSigV4<S, P = ReplayEmpty> {
    inner: S,
    shared: Arc<Shared<P>>,
}

impl<S, P> SignSigV4<S, P> {
    pub(super) fn new(inner: S, shared: Arc<Shared<P>>) -> Self {
        Self { inner, shared }
    }
}

impl<S: Clone, P> Clone for SignSigV4<S, P> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), shared: Arc::clone(&self.shared) }
    }
}

impl<S, P> fmt::Debug for SignSigV4<S, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignSigV4")
            .field("region", &self.shared.region)
            .field("service", &self.shared.service)
            .finish_non_exhaustive()
    }
}

impl<S, P, B, ResBody> Service<Request<B>> for SignSigV4<S, P>
where
    S: Service<Request<B>, Response = Response<ResBody>> + Clone,
    P: Replay<B>,
    B: Body,
    ResBody: Body<Data = Bytes> + Unpin,
{
    type Response = Response<UpstreamBody<ResBody>>;
    type Error = SignError<S::Error>;
    type Future = SignFuture<S, P, B, ResBody>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(SignError::Inner)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let next = self.inner.clone();
        let ready = std::mem::replace(&mut self.inner, next);
        SignFuture::new(request, ready, Arc::clone(&self.shared))
    }
}
