//! What is left of a request's body when the answer stands already.
//!
//! A server that answers early and closes, with the client still writing, resets the connection, and the client may
//! never read why it was refused; over HTTP/2 it resets the stream, and some clients take that for a failure of the
//! transport. So a moderate rest is read and thrown away first; where it is large, or the client waits for
//! `100 Continue` before it sends anything, the answer over HTTP/1 says that the connection ends with it.

use std::error::Error;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use credfed_core::runtime::{Runtime, Sleep, TokioRuntime};
use futures::FutureExt;
use futures::future::BoxFuture;
use http::header::{CONNECTION, EXPECT, HeaderValue};
use http::{Request, Response, Version};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tower::Service;

/// The most that is read of a body for which there is no use.
const LIMIT: usize = 4 << 20;

/// The longest that a client is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// The longest that a body may say nothing to whoever reads it.
const STALL: Duration = Duration::from_secs(60);

/// Hands the body on, and looks at what came back of it once the answer stands.
#[derive(Clone, Debug)]
pub(crate) struct Linger<S> {
    inner: S,
    runtime: Arc<dyn Runtime>,
}

impl<S> Linger<S> {
    pub(crate) fn new(inner: S) -> Self {
        Self { inner, runtime: Arc::new(TokioRuntime) }
    }
}

impl<S, B> Service<Request<Incoming>> for Linger<S>
where
    S: Service<Request<LentBody>, Response = Response<B>>,
    S::Future: Send + 'static,
    B: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = Response<B>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response<B>, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let waits = request.headers().contains_key(EXPECT);
        let one_by_one = request.version() < Version::HTTP_2;
        let home = Home::default();
        let lender = Arc::clone(&home);
        let runtime = Arc::clone(&self.runtime);
        let lent = |body| LentBody { body: Some(body), stall: None, runtime, home: lender };
        let answering = self.inner.call(request.map(lent));
        async move {
            let mut response = answering.await?;
            let rest = home.lock().unwrap_or_else(PoisonError::into_inner).take();
            let Some(mut rest) = rest.filter(|body| !body.is_end_stream()) else {
                return Ok(response);
            };
            if (waits || !read_away(&mut rest).await) && one_by_one {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok(response)
        }
        .boxed()
    }
}

/// Whether the body came to its end within the bounds.
async fn read_away(body: &mut Incoming) -> bool {
    let reading = async {
        let mut read = 0;
        while let Some(frame) = body.frame().await {
            read += frame.map_or(LIMIT, |frame| frame.data_ref().map_or(0, Bytes::len));
            if read >= LIMIT {
                return false;
            }
        }
        true
    };
    tokio::select! {
        ended = reading => ended,
        () = TokioRuntime.sleep(PATIENCE) => false,
    }
}

type Home = Arc<Mutex<Option<Incoming>>>;

/// A request's body, which comes back when it is dropped. One of which nothing comes for long has failed.
pub(crate) struct LentBody {
    body: Option<Incoming>,
    /// Runs while it is waited for.
    stall: Option<Sleep>,
    runtime: Arc<dyn Runtime>,
    home: Home,
}

impl Drop for LentBody {
    fn drop(&mut self) {
        *self.home.lock().unwrap_or_else(PoisonError::into_inner) = self.body.take();
    }
}

impl Body for LentBody {
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        let Some(body) = &mut this.body else { return Poll::Ready(None) };
        match Pin::new(body).poll_frame(cx) {
            Poll::Pending => {
                let stall = this.stall.get_or_insert_with(|| this.runtime.sleep(STALL));
                ready!(stall.as_mut().poll(cx));
                this.body = None;
                Poll::Ready(Some(Err("nothing of the body came for a minute".into())))
            }
            Poll::Ready(frame) => {
                this.stall = None;
                if frame.is_none() {
                    this.body = None;
                }
                Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::time::UNIX_EPOCH;

    use credfed_core::runtime::VirtualRuntime;
    use futures::stream::{self, StreamExt};
    use http_body_util::{Empty, Full, StreamBody};
    use hyper_util::rt::{TokioExecutor, TokioIo};
    use hyper_util::server::conn::auto::Builder;
    use hyper_util::service::TowerToHyperService;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tower::service_fn;

    use super::*;

    /// More than a window: it comes to its end only where somebody reads it.
    const FRAMES: usize = 512;

    #[tokio::test]
    async fn over_http_2_an_early_answer_waits_for_a_moderate_rest_too() {
        let refusing = Linger::new(service_fn(|_: Request<LentBody>| async {
            Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
        }));
        let (client, server) = tokio::io::duplex(1 << 16);
        let server = Builder::new(TokioExecutor::new())
            .serve_connection(TokioIo::new(server), TowerToHyperService::new(refusing))
            .into_owned();
        tokio::spawn(server);
        let (mut client, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(client)).await.unwrap();
        tokio::spawn(connection);

        let ended = Arc::new(Mutex::new(false));
        let frames =
            stream::iter(0..FRAMES).map(|_| Ok::<_, Infallible>(Frame::data(Bytes::from(vec![0; 4096]))));
        let told = Arc::clone(&ended);
        let end = stream::poll_fn(move |_| {
            *told.lock().unwrap() = true;
            Poll::Ready(None)
        });
        let request =
            Request::put("http://gateway.example/").body(StreamBody::new(frames.chain(end))).unwrap();
        let answer = client.send_request(request).await.unwrap();
        assert!(answer.status().is_success());
        assert!(*ended.lock().unwrap(), "the answer came first, and with it a reset of the stream");
    }

    #[tokio::test]
    async fn a_body_that_does_not_come_is_waited_for_for_a_while_only() {
        let time = VirtualRuntime::new(UNIX_EPOCH);
        let inner = service_fn(|request: Request<LentBody>| async {
            let came = request.into_body().collect().await.is_ok();
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::from(if came { "whole" } else { "broken off" })))
        });
        let reading = Linger { inner, runtime: Arc::new(time.clone()) };
        let (mut client, server) = tokio::io::duplex(1 << 16);
        let builder = Builder::new(TokioExecutor::new());
        let mut serving =
            Box::pin(builder.serve_connection(TokioIo::new(server), TowerToHyperService::new(reading)));
        client.write_all(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nA").await.unwrap();
        for _ in 0..100 {
            assert!(futures::poll!(&mut serving).is_pending());
        }
        time.advance(STALL);
        let mut ended = false;
        for _ in 0..100 {
            ended = ended || futures::poll!(&mut serving).is_ready();
        }
        assert!(ended, "it is waited for for ever");
        drop(serving);
        let mut said = Vec::new();
        client.read_to_end(&mut said).await.unwrap();
        assert!(said.ends_with(b"broken off"), "{}", String::from_utf8_lossy(&said));
    }
}
