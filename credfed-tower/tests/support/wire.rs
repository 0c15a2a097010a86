//! Requests on real connections, one each, exactly as the test has them: nothing is added but what HTTP needs.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use credfed_tower::{Authorize, ResolveKey, VerifiedBody, VerifySigV4Layer};
use http::request::Parts;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tower::{ServiceBuilder, service_fn};

use super::upstream::Version;
use super::{origin_form, serve};

/// What the inner service saw of a request; its body where that came to its end.
#[derive(Debug, Clone)]
pub struct Call {
    pub head: Parts,
    pub body: Option<Bytes>,
}

/// A server with the layer, whose inner service reads everything and answers 200.
pub struct Front {
    pub address: SocketAddr,
    calls: Arc<Mutex<Vec<Call>>>,
}

impl Front {
    pub async fn new<R, A>(layer: VerifySigV4Layer<R, A>) -> Self
    where
        R: ResolveKey + Send + Sync + 'static,
        R::Future: Send,
        R::Claims: Clone + Send + Sync + 'static,
        A: Authorize<R::Claims> + Send + Sync + 'static,
    {
        let calls = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&calls);
        let inner = service_fn(move |request: Request<VerifiedBody<Incoming>>| {
            let told = Arc::clone(&told);
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect().await.ok().map(|body| body.to_bytes());
                told.lock().unwrap().push(Call { head, body });
                Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
            }
        });
        Self { address: serve(ServiceBuilder::new().layer(layer).service(inner)).await, calls }
    }

    /// What reached the inner service since the last time this was asked.
    pub fn calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.calls.lock().unwrap())
    }

    /// Sends a request with an absolute target: over HTTP/1 in origin form with a Host header, over HTTP/2 with
    /// `:authority` and, if the request has one, a Host header beside it.
    pub async fn send(&self, version: Version, request: Request<Bytes>) -> (StatusCode, String) {
        let (head, body) = self.answer(version, request).await;
        (head.status, body)
    }

    /// As [`send`](Self::send), with the head of the answer.
    pub async fn answer(&self, version: Version, request: Request<Bytes>) -> (http::response::Parts, String) {
        self.try_answer(version, request).await.expect("an answer")
    }

    /// `None` where the server ends connection or stream in place of an answer.
    pub async fn try_answer(
        &self,
        version: Version,
        request: Request<Bytes>,
    ) -> Option<(http::response::Parts, String)> {
        let stream = TokioIo::new(TcpStream::connect(self.address).await.unwrap());
        let request = request.map(Full::new);
        let response = match version {
            Version::Http1 => {
                let (mut client, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
                tokio::spawn(connection);
                let has_host = request.headers().contains_key("host");
                client.send_request(if has_host { request } else { origin_form(request) }).await
            }
            Version::Http2 => {
                let executor = TokioExecutor::new();
                let (mut client, connection) =
                    hyper::client::conn::http2::handshake(executor, stream).await.unwrap();
                tokio::spawn(connection);
                client.send_request(request).await
            }
        };
        let (head, body) = response.ok()?.into_parts();
        let body = body.collect().await.ok()?.to_bytes();
        Some((head, String::from_utf8_lossy(&body).into_owned()))
    }

    /// Sends bytes as they stand, and returns what comes back until the connection ends.
    pub async fn raw(&self, message: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        // The server may have made up its mind and hung up already.
        let _ = stream.write_all(message).await;
        let _ = stream.shutdown().await;
        let mut answers = Vec::new();
        let _ = stream.read_to_end(&mut answers).await;
        String::from_utf8_lossy(&answers).into_owned()
    }
}

/// The head of an HTTP/1 request with another target, its headers in order, Host among them, and an empty line.
pub fn head_of(parts: &Parts, target: &str, more: &[(&str, &[u8])]) -> Vec<u8> {
    let mut head = format!("{} {target} HTTP/1.1\r\nconnection: close\r\n", parts.method).into_bytes();
    let headers = parts.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    for (name, value) in headers.chain(more.iter().copied()) {
        head.extend_from_slice(name.as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value);
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
    head
}
