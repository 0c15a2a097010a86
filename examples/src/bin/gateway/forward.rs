//! The way to the upstream and back: bodies stream in both directions, connections are kept, no redirect is followed.

use std::error::Error;
use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::uri::Scheme;
use http::{Request, Response, Version};
use http_body::Body;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Builder, Client, Error as ClientError, ResponseFuture};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tower::Service;

use crate::endpoint::Endpoint;

/// Sends a request to the upstream that its URI names.
#[derive(Debug)]
pub(crate) enum Forward<B> {
    Http(Client<HttpConnector, B>),
    Https(Client<HttpsConnector<HttpConnector>, B>),
}

impl<B> Forward<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    /// A client for this endpoint. Certificates, where there are any, are checked as the platform does.
    pub(crate) fn to(endpoint: &Endpoint) -> io::Result<Self> {
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(Duration::from_secs(10)));
        let mut client = Client::builder(TokioExecutor::new());
        client.pool_timer(TokioTimer::new()).pool_idle_timeout(Duration::from_secs(60));
        if endpoint.scheme == Scheme::HTTP {
            Ok(Self::Http(client.build(tcp)))
        } else {
            Self::over_tls(&client, tcp)
        }
    }

    fn over_tls(client: &Builder, mut tcp: HttpConnector) -> io::Result<Self> {
        tcp.enforce_http(false);
        let tls = HttpsConnectorBuilder::new()
            .try_with_platform_verifier()
            .map_err(io::Error::other)?
            .https_only()
            .enable_http1()
            .wrap_connector(tcp);
        Ok(Self::Https(client.build(tls)))
    }
}

impl<B> Clone for Forward<B> {
    fn clone(&self) -> Self {
        match self {
            Self::Http(client) => Self::Http(client.clone()),
            Self::Https(client) => Self::Https(client.clone()),
        }
    }
}

impl<B> Service<Request<B>> for Forward<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Response = Response<Incoming>;
    type Error = ClientError;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ClientError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<B>) -> ResponseFuture {
        // The caller may have come over HTTP/2; this hop is a hop of its own.
        *request.version_mut() = Version::HTTP_11;
        match self {
            Self::Http(client) => client.request(request),
            Self::Https(client) => client.request(request),
        }
    }
}
