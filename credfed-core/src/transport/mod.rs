//! The port to HTTP: any [`tower_service::Service`] that takes a request with its whole body.
//!
//! 1. An answer is read whole, up to a cap (64 KiB); what goes beyond is cut off and refused, as is an answer
//!    shorter than it said. So there is never a part of a credential, with one exception: an answer that states
//!    no length and ends with its connection cannot be told from one that was cut off, so what parses an answer
//!    must refuse what is not whole. The answer to a `HEAD` that states a length counts as shorter than it said;
//!    sources have no use for it.
//! 2. One attempt has one deadline (4 s), from readiness to the last byte.
//! 3. A redirect is refused, never followed: credentials go where the settings say.
//! 4. Nothing is retried here; the exchanges do that (`RetryPolicy`). A TLS handshake that failed is told apart, since
//!    trying it again within a call would only ask the same impostor twice.
//! 5. The buffer that an answer was read into is wiped when its last clone goes. What a client keeps in its
//!    own buffers is its own.
//!
//! ```
//! use std::convert::Infallible;
//! use std::task::{Context, Poll};
//!
//! use bytes::Bytes;
//! use credfed_core::transport::HttpTransport;
//! use http_body_util::Full;
//!
//! #[derive(Clone)]
//! struct Echo;
//!
//! impl tower_service::Service<http::Request<Bytes>> for Echo {
//!     type Response = http::Response<Full<Bytes>>;
//!     type Error = Infallible;
//!     type Future = std::future::Ready<Result<Self::Response, Infallible>>;
//!
//!     fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
//!         Poll::Ready(Ok(()))
//!     }
//!
//!     fn call(&mut self, request: http::Request<Bytes>) -> Self::Future {
//!         std::future::ready(Ok(http::Response::new(Full::new(request.into_body()))))
//!     }
//! }
//!
//! # futures::executor::block_on(async {
//! let answer = HttpTransport::new(Echo).send(http::Request::new(Bytes::from("hello"))).await?;
//! assert_eq!(answer.body(), "hello");
//! # Ok::<_, credfed_core::ProviderError>(())
//! # }).unwrap();
//! ```

mod address;
#[cfg(feature = "reqwest")]
mod client;
#[cfg(feature = "reqwest")]
mod guard;
#[cfg(feature = "aws")]
pub(crate) mod retry;

use std::error::Error;
use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Buf, Bytes};
use futures::FutureExt;
use futures::future::{BoxFuture, Either, select};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http_body::Body;
use http_body_util::BodyExt;
use tower_service::Service;
use zeroize::Zeroizing;

use crate::ProviderError;
use crate::runtime::{Runtime, default_runtime};

pub use address::Reach;
#[cfg(feature = "reqwest")]
pub use client::ClientBuilder;
#[cfg(feature = "aws")]
pub use retry::{RetryBudget, RetryPolicy};

/// The most that is taken before a byte has arrived, whatever the cap is and whatever the server claims.
const FIRST_BUFFER: usize = 64 * 1024;

/// Frames without data that an answer may have.
const MOST_HOLLOW: u32 = 1_000;

type BoxError = Box<dyn Error + Send + Sync>;
type Answer = Result<http::Response<Bytes>, ProviderError>;

/// An HTTP client of any make, its type erased. Cheap to clone. The rules are on the
/// [module's page](self).
#[derive(Clone)]
pub struct HttpTransport {
    client: Arc<dyn Client>,
    runtime: Arc<dyn Runtime>,
    deadline: Duration,
    cap: usize,
}

impl HttpTransport {
    /// Wraps a service. It must not follow redirects, and what its error says must not contain a URL's query:
    /// it becomes the source of a [`ProviderError`].
    pub fn new<S, B>(service: S) -> Self
    where
        S: Service<http::Request<Bytes>, Response = http::Response<B>> + Clone + Send + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send,
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        Self {
            client: Arc::new(Erased(Mutex::new(service))),
            runtime: default_runtime(),
            deadline: Duration::from_secs(4),
            cap: 64 * 1024,
        }
    }

    /// The default client: rustls with the platform's roots, no redirects, no retries.
    #[cfg(feature = "reqwest")]
    pub fn client() -> ClientBuilder {
        ClientBuilder::new()
    }

    /// Timers. Default: [`default_runtime`].
    #[must_use]
    pub fn runtime(mut self, runtime: impl Runtime) -> Self {
        self.runtime = Arc::new(runtime);
        self
    }

    #[cfg(feature = "aws")]
    pub(crate) fn clocks(&self) -> Arc<dyn Runtime> {
        Arc::clone(&self.runtime)
    }

    /// How long one attempt may take, from readiness to the last byte. Default: 4 s.
    #[must_use]
    pub fn attempt_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// The most bytes that an answer may have. Default: 65,536. Up to that much is taken before the first byte
    /// arrives; a larger cap takes more only as the answer grows, so even `usize::MAX` will do.
    #[must_use]
    pub fn answer_cap(mut self, bytes: usize) -> Self {
        self.cap = bytes;
        self
    }

    /// Sends a request once and reads the answer whole. Any status but a redirect is an answer.
    ///
    /// The `Debug` of the answer is `http`'s own and prints the body: never log it.
    ///
    /// # Errors
    ///
    /// [`Transient`](crate::ErrorKind::Transient): no connection, no answer in time, an answer that was cut
    /// off or is over the cap. [`Rejected`](crate::ErrorKind::Rejected): a redirect.
    pub fn send(&self, request: http::Request<Bytes>) -> impl Future<Output = Answer> + Send + 'static {
        let attempt = self.client.attempt(request, self.cap);
        let runtime = Arc::clone(&self.runtime);
        let deadline = self.deadline;
        async move {
            match select(attempt, runtime.sleep(deadline)).await {
                Either::Left((answer, _)) => answer,
                Either::Right(_) => Err(ProviderError::transient("the server did not answer in time")),
            }
        }
    }
}

impl fmt::Debug for HttpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpTransport")
            .field("runtime", &self.runtime)
            .field("deadline", &self.deadline)
            .field("cap", &self.cap)
            .finish_non_exhaustive()
    }
}

trait Client: Send + Sync {
    fn attempt(&self, request: http::Request<Bytes>, cap: usize) -> BoxFuture<'static, Answer>;
}

/// Services are seldom `Sync`; the lock is held for a clone only.
struct Erased<S>(Mutex<S>);

impl<S, B> Client for Erased<S>
where
    S: Service<http::Request<Bytes>, Response = http::Response<B>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    fn attempt(&self, request: http::Request<Bytes>, cap: usize) -> BoxFuture<'static, Answer> {
        let mut service = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        async move {
            let failed = |error: S::Error| failed(error.into());
            poll_fn(|cx| service.poll_ready(cx)).await.map_err(failed)?;
            let answer = service.call(request).await.map_err(failed)?;
            if answer.status().is_redirection() {
                return Err(ProviderError::rejected("the server answered with a redirect"));
            }
            read(answer, cap).await
        }
        .boxed()
    }
}

/// What a client's error means. TLS libraries report a peer that they do not accept as invalid data.
fn failed(error: BoxError) -> ProviderError {
    let error = if is_about_the_connection(&*error) { Unsent(error).into() } else { error };
    let is_tls = links(&*error).any(|cause| {
        cause.downcast_ref::<io::Error>().is_some_and(|io| io.kind() == io::ErrorKind::InvalidData)
    });
    if is_tls {
        return ProviderError::transient("no secure connection").with_source(TlsFailure(error));
    }
    ProviderError::transient("the request failed").with_source(error)
}

/// Marks an error of a [`HttpTransport`] as one of the TLS handshake.
#[derive(Debug)]
struct TlsFailure(BoxError);

impl fmt::Display for TlsFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the tls handshake failed")
    }
}

impl Error for TlsFailure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.0)
    }
}

#[cfg(feature = "aws")]
fn is_tls_failure(error: &ProviderError) -> bool {
    error.source().is_some_and(|source| source.is::<TlsFailure>())
}

/// Marks an error of a [`HttpTransport`] as one that came before there was a connection.
#[derive(Debug)]
struct Unsent(BoxError);

impl fmt::Display for Unsent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there was no connection")
    }
}

impl Error for Unsent {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.0)
    }
}

/// Whether a client says that it had no connection yet. Of a client that is not known, only a refused one is certain.
fn is_about_the_connection(error: &(dyn Error + 'static)) -> bool {
    links(error).any(|cause| {
        #[cfg(feature = "reqwest")]
        if cause.downcast_ref::<reqwest::Error>().is_some_and(reqwest::Error::is_connect) {
            return true;
        }
        cause.downcast_ref::<io::Error>().is_some_and(|io| io.kind() == io::ErrorKind::ConnectionRefused)
    })
}

/// Whether nothing of the request can have left this machine.
#[cfg(feature = "aws")]
pub(crate) fn is_unsent(error: &ProviderError) -> bool {
    error.source().is_some_and(|source| links(source).any(|cause| cause.is::<Unsent>()))
}

/// An error and what caused it.
fn links<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&cause| match cause.downcast_ref::<io::Error>() {
        // The source of an io::Error is that of what it wraps, not what it wraps.
        Some(io) => io.get_ref().map(|inner| inner as &(dyn Error + 'static)),
        None => cause.source(),
    })
}

async fn read<B>(answer: http::Response<B>, cap: usize) -> Answer
where
    B: Body,
    B::Error: Into<BoxError>,
{
    let too_long = || ProviderError::transient(format!("the answer is longer than {cap} bytes"));
    let (head, body) = answer.into_parts();
    // A client that decodes on the way takes the encoding's name away, and the length with it.
    let stated = match head.headers.get(CONTENT_LENGTH) {
        Some(length) if !head.headers.contains_key(CONTENT_ENCODING) => {
            length.to_str().ok().and_then(|length| length.parse::<usize>().ok())
        }
        _ => None,
    };
    if stated.is_some_and(|length| length > cap) {
        return Err(too_long());
    }
    let limit = stated.unwrap_or(cap);
    let mut whole = Zeroizing::new(Vec::with_capacity(limit.min(FIRST_BUFFER)));
    let (mut body, mut hollow) = (pin!(body), 0_u32);
    while let Some(frame) = body.as_mut().frame().await {
        let frame =
            frame.map_err(|error| ProviderError::transient("the answer broke off").with_source(error))?;
        let data = frame.into_data().ok().filter(Buf::has_remaining);
        let Some(mut data) = data else {
            // A body that is always ready with nothing would keep the deadline from being looked at.
            hollow += 1;
            if hollow > MOST_HOLLOW {
                return Err(ProviderError::transient("the answer makes no progress"));
            }
            continue;
        };
        while data.has_remaining() {
            let chunk = data.chunk();
            if chunk.len() > limit - whole.len() {
                return Err(too_long());
            }
            make_room(&mut whole, chunk.len(), limit)?;
            whole.extend_from_slice(chunk);
            let length = chunk.len();
            data.advance(length);
        }
    }
    if stated.is_some_and(|length| length != whole.len()) {
        return Err(ProviderError::transient("the answer is shorter than it said"));
    }
    Ok(http::Response::from_parts(head, Bytes::from_owner(whole)))
}

/// Makes room for `more` bytes by moving into a larger buffer. The outgrown one is wiped: a vector that grows by
/// itself would leave a part of a secret behind.
fn make_room(whole: &mut Zeroizing<Vec<u8>>, more: usize, limit: usize) -> Result<(), ProviderError> {
    if more <= whole.capacity() - whole.len() {
        return Ok(());
    }
    let needed = whole.len().saturating_add(more);
    let roomy = whole.capacity().saturating_mul(2).min(limit).max(needed);
    let mut larger = Zeroizing::new(Vec::new());
    larger
        .try_reserve_exact(roomy)
        .map_err(|_| ProviderError::transient("the answer is larger than the memory at hand"))?;
    larger.extend_from_slice(whole);
    *whole = larger;
    Ok(())
}
