//! What is left of a request's body when the answer stands already.
//!
//! A server that answers early and closes, with the client still writing, resets the connection, and the client may
//! never read why it was refused. So a moderate rest is read and thrown away first; where it is large, or the client
//! waits for `100 Continue` before it sends anything, the answer says that the connection ends with it.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use credfed_core::runtime::{Runtime, TokioRuntime};
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

/// Hands the body on, and looks at what came back of it once the answer stands.
#[derive(Clone, Debug)]
pub(crate) struct Linger<S> {
    inner: S,
}

impl<S> Linger<S> {
    pub(crate) fn new(inner: S) -> Self {
        Self { inner }
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
        let answering = self.inner.call(request.map(|body| LentBody { body: Some(body), home: lender }));
        async move {
            let mut response = answering.await?;
            let rest = home.lock().unwrap_or_else(PoisonError::into_inner).take();
            let Some(mut rest) = rest.filter(|body| one_by_one && !body.is_end_stream()) else {
                return Ok(response);
            };
            if waits || !read_away(&mut rest).await {
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

/// A request's body, which comes back when it is dropped.
#[derive(Debug)]
pub(crate) struct LentBody {
    body: Option<Incoming>,
    home: Home,
}

impl Drop for LentBody {
    fn drop(&mut self) {
        *self.home.lock().unwrap_or_else(PoisonError::into_inner) = self.body.take();
    }
}

impl Body for LentBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = Pin::new(body).poll_frame(cx);
        if let Poll::Ready(None) = frame {
            self.body = None;
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}
