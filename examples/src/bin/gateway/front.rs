//! What stands before S3 at the same address: the documents of an OpenID provider and the STS endpoint. Each request
//! goes to exactly one of the three, by its head alone, before anything is verified.

use std::convert::Infallible;
use std::error::Error;
use std::task::{Context, Poll};

use bytes::Bytes;
use credfed_tower::oidc::OidcDiscovery;
use credfed_tower::sts::StsService;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Request, Response};
use http_body::Body;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Either};
use tower::{Service, ServiceExt};

/// The services at one address. What is not there answers as S3 does.
#[derive(Clone, Debug)]
pub(crate) struct Front<S> {
    pub(crate) discovery: Option<OidcDiscovery>,
    pub(crate) sts: Option<StsService>,
    pub(crate) s3: S,
}

/// S3's own body as it streams, or a document that is in memory.
pub(crate) type FrontBody<B> = Either<B, UnsyncBoxBody<Bytes, Infallible>>;

impl<S, Q, B> Service<Request<Q>> for Front<S>
where
    S: Service<Request<Q>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    Q: Body<Data = Bytes> + Send + 'static,
    Q::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Send + 'static,
{
    type Response = Response<FrontBody<B>>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Q>) -> Self::Future {
        let (parts, body) = request.into_parts();
        let discovery = self.discovery.clone().filter(|discovery| discovery.handles(&parts));
        let sts = self.sts.clone().filter(|_| StsService::handles(&parts));
        let request = Request::from_parts(parts, body);
        if let Some(discovery) = discovery {
            return small(discovery.oneshot(request));
        }
        if let Some(sts) = sts {
            return small(sts.oneshot(request));
        }
        let s3 = self.s3.clone().oneshot(request);
        async move { Ok(s3.await?.map(Either::Left)) }.boxed()
    }
}

fn small<F, D, B>(answer: F) -> BoxFuture<'static, Result<Response<FrontBody<B>>, Infallible>>
where
    F: Future<Output = Result<Response<D>, Infallible>> + Send + 'static,
    D: Body<Data = Bytes, Error = Infallible> + Send + 'static,
{
    async move { Ok(answer.await?.map(|body| Either::Right(body.boxed_unsync()))) }.boxed()
}
