//! Accepts connections, in clear text or over TLS, until it is told to stop, then lets those that are under way end.

use std::convert::Infallible;
use std::error::Error;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use credfed_core::runtime::{Runtime, TokioRuntime};
use credfed_sigv4_verify::Connection;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tower::Service;
use tower::util::MapRequest;

use crate::tls::Tls;

/// How long a client may take to send a head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a connection may be without a request under way.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// How long requests under way may take to end once the gateway stops.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);

/// The most connections at a time. The next one waits in the system's own queue until one of them has ended.
const CONNECTIONS: usize = 2048;

/// Where connections come in.
pub(crate) struct Port {
    pub(crate) listener: TcpListener,
    /// Clear text without it.
    pub(crate) tls: Option<Tls>,
}

impl From<TcpListener> for Port {
    fn from(listener: TcpListener) -> Self {
        Self { listener, tls: None }
    }
}

/// A service that can be served: it answers every request, with a body that may stream.
pub(crate) trait Serves:
    Service<Request<Incoming>, Response = Response<<Self as Serves>::Body>, Error = Infallible, Future: Send>
    + Clone
    + Send
    + 'static
{
    type Body: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static;
}

impl<S, B> Serves for S
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Body = B;
}

/// Serves until `stop` ends, then drains; `hurry` ends the draining early.
pub(crate) async fn serve(
    port: Port,
    service: impl Serves,
    stop: impl Future<Output = ()>,
    hurry: impl Future<Output = ()>,
) {
    let Port { listener, tls } = port;
    let connections = GracefulShutdown::new();
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = accept(&listener, &slots) => accepted,
        };
        match accepted {
            Ok(accepted) => {
                tokio::spawn(converse(accepted, tls.clone(), service.clone(), connections.watcher()));
            }
            Err(error) => pause(&error).await,
        }
    }
    drop(listener);
    let under_way = connections.count();
    if under_way > 0 {
        tracing::info!(connections = under_way, "stopping: waiting for what is under way");
    }
    tokio::select! {
        () = connections.shutdown() => tracing::info!("stopped"),
        () = hurry => tracing::warn!("stopped at once, with requests under way"),
        () = TokioRuntime.sleep(DRAIN_TIMEOUT) => tracing::warn!("stopped, with requests still under way"),
    }
}

/// Serves for as long as it is polled, for what runs inside and stops with the gateway.
pub(crate) async fn until_dropped(listener: TcpListener, service: impl Serves) {
    serve(listener.into(), service, std::future::pending(), std::future::pending()).await;
}

/// A connection, and the place that it takes up.
struct Accepted {
    stream: TcpStream,
    peer: SocketAddr,
    _slot: Option<OwnedSemaphorePermit>,
}

/// Takes a connection once there is a place for it.
async fn accept(listener: &TcpListener, slots: &Arc<Semaphore>) -> io::Result<Accepted> {
    if slots.available_permits() == 0 {
        tracing::warn!("as many connections as there may be: the next one waits until one of them ends");
    }
    // It is never closed.
    let slot = Arc::clone(slots).acquire_owned().await.ok();
    let (stream, peer) = listener.accept().await?;
    Ok(Accepted { stream, peer, _slot: slot })
}

/// Everything with one client, the handshake first if there is one. It counts as under way from the start.
async fn converse(accepted: Accepted, tls: Option<Tls>, service: impl Serves, watcher: Watcher) {
    let Accepted { stream, peer, _slot } = accepted;
    let _ = stream.set_nodelay(true);
    let connection = Connection::new(peer.ip());
    let Some(tls) = tls else {
        return exchange(stream, connection, service, watcher, &TokioRuntime).await;
    };
    match tls.shake_hands(stream).await {
        Ok(stream) => exchange(stream, connection.over_tls(), service, watcher, &TokioRuntime).await,
        // The client does not trust the certificate, or speaks no TLS.
        Err(error) => tracing::debug!(%error, %peer, "no TLS handshake"),
    }
}

/// Requests and their answers, each request with what only the server knows of it.
async fn exchange<I>(
    stream: I,
    connection: Connection,
    service: impl Serves,
    watcher: Watcher,
    runtime: &dyn Runtime,
) where
    I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (under_way, changes) = watch::channel(0);
    let service = MapRequest::new(service, move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(connection);
        request
    });
    let service = Counted { inner: service, under_way: Arc::new(under_way) };
    let mut server = Builder::new(TokioExecutor::new());
    server.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    server.http2().timer(TokioTimer::new());
    let serving =
        server.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service)).into_owned();
    tokio::select! {
        ended = watcher.watch(serving) => if let Err(error) = ended {
            tracing::debug!(%error, "a connection ended badly");
        },
        () = idle(changes, runtime) => tracing::debug!("a connection without requests was ended"),
    }
}

/// Ends once nothing has been under way for long. HTTP/1 has a timeout for each head besides; but what a connection speaks
/// is known with its first bytes only, and in HTTP/2 nothing else ends one that asks for nothing.
async fn idle(mut under_way: watch::Receiver<usize>, runtime: &dyn Runtime) {
    loop {
        let is_quiet = *under_way.borrow_and_update() == 0;
        tokio::select! {
            // Not what it is now: a request may have come and gone in between.
            changed = under_way.changed() => if changed.is_err() {
                return;
            },
            () = runtime.sleep(IDLE_TIMEOUT), if is_quiet => return,
        }
    }
}

/// Counts the requests under way on one connection: each until its answer's body has gone out.
#[derive(Clone, Debug)]
struct Counted<S> {
    inner: S,
    under_way: Arc<watch::Sender<usize>>,
}

impl<S, Q, B> Service<Request<Q>> for Counted<S>
where
    S: Service<Request<Q>, Response = Response<B>, Error = Infallible>,
    S::Future: Send + 'static,
    B: Body + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Response = Response<UnderWay<B>>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Q>) -> Self::Future {
        let one = One::of(&self.under_way);
        let answering = self.inner.call(request);
        async move {
            let answer = answering.await?;
            Ok(answer.map(|body| UnderWay { body: Box::pin(body), _one: one }))
        }
        .boxed()
    }
}

/// A request that is counted as long as this lives.
#[derive(Debug)]
struct One(Arc<watch::Sender<usize>>);

impl One {
    fn of(under_way: &Arc<watch::Sender<usize>>) -> Self {
        under_way.send_modify(|count| *count = count.saturating_add(1));
        Self(Arc::clone(under_way))
    }
}

impl Drop for One {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count = count.saturating_sub(1));
    }
}

/// An answer's body, whose request is under way until it is dropped.
#[derive(Debug)]
struct UnderWay<B> {
    body: Pin<Box<B>>,
    _one: One,
}

impl<B: Body> Body for UnderWay<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        self.body.as_mut().poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// An `accept` that fails for one connection says nothing of the next; one that fails for want of descriptors would
/// fail again at once.
async fn pause(error: &io::Error) {
    tracing::warn!(%error, "cannot accept a connection");
    TokioRuntime.sleep(Duration::from_millis(100)).await;
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::net::Ipv4Addr;
    use std::time::UNIX_EPOCH;

    use credfed_core::runtime::VirtualRuntime;
    use futures::stream;
    use http::Version;
    use http_body_util::{BodyExt, Empty, Full, StreamBody};
    use hyper_rustls::HttpsConnectorBuilder;
    use hyper_util::client::legacy::Client;
    use tokio::io::{AsyncWriteExt, DuplexStream};
    use tokio::sync::oneshot;
    use tokio_rustls::rustls::crypto::aws_lc_rs;
    use tokio_rustls::rustls::pki_types::CertificateDer;
    use tokio_rustls::rustls::{ClientConfig, RootCertStore};
    use tower::service_fn;

    use super::*;
    use crate::background::Background;
    use crate::tls::made;

    /// Answers with how a request came.
    fn how() -> impl Serves {
        service_fn(|request: Request<Incoming>| async move {
            let how = (request.version(), request.extensions().get::<Connection>().copied());
            Ok::<_, Infallible>(Response::new(Full::from(format!("{how:?}"))))
        })
    }

    async fn start(tls: Option<Tls>) -> (SocketAddr, Background) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = serve(Port { listener, tls }, how(), pending(), pending());
        (address, Background::spawn(serving))
    }

    /// What a client that trusts this certificate, and speaks HTTP/2 or not, is answered.
    async fn ask(address: SocketAddr, trusted: &CertificateDer<'static>, http2: bool) -> String {
        let mut roots = RootCertStore::empty();
        roots.add(trusted.clone()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector = HttpsConnectorBuilder::new().with_tls_config(config).https_only();
        let connector =
            if http2 { connector.enable_http2().build() } else { connector.enable_http1().build() };
        let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build(connector);
        let answer = client.get(format!("https://{address}/").parse().unwrap()).await.unwrap();
        String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
    }

    fn came(version: Version, connection: Connection) -> String {
        format!("{:?}", (version, Some(connection)))
    }

    #[tokio::test]
    async fn over_tls_a_client_has_http_1_or_2_and_the_verifier_is_told_that_it_is_tls() {
        let folder = tempfile::tempdir().unwrap();
        let (files, certificate) = made::files(&folder);
        let (address, _serving) = start(Some(Tls::read(&files).unwrap())).await;
        let over_tls = Connection::new(address.ip()).over_tls();
        assert_eq!(ask(address, &certificate, false).await, came(Version::HTTP_11, over_tls));
        assert_eq!(ask(address, &certificate, true).await, came(Version::HTTP_2, over_tls));
    }

    #[tokio::test]
    async fn in_clear_text_the_verifier_is_told_the_peer_alone() {
        let (address, _serving) = start(None).await;
        let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
        let answer = client.get(format!("http://{address}/").parse().unwrap()).await.unwrap();
        let said = answer.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(said, came(Version::HTTP_11, Connection::new(address.ip())).as_bytes());
    }

    #[tokio::test]
    async fn a_client_that_never_shakes_hands_keeps_no_other_waiting() {
        let folder = tempfile::tempdir().unwrap();
        let (files, certificate) = made::files(&folder);
        let (address, _serving) = start(Some(Tls::read(&files).unwrap())).await;
        let _silent = TcpStream::connect(address).await.unwrap();
        assert!(ask(address, &certificate, true).await.contains("HTTP/2.0"));
    }

    /// A connection in memory: the client's end, and what serves it at a time that the test sets.
    fn in_memory(service: impl Serves) -> (DuplexStream, BoxFuture<'static, ()>, VirtualRuntime) {
        let (client, server) = tokio::io::duplex(1 << 16);
        let connection = Connection::new(Ipv4Addr::LOCALHOST.into());
        let time = VirtualRuntime::new(UNIX_EPOCH);
        let runtime = time.clone();
        let serving = async move {
            let connections = GracefulShutdown::new();
            exchange(server, connection, service, connections.watcher(), &runtime).await;
        };
        (client, serving.boxed(), time)
    }

    /// Whether it ends without any time passing.
    async fn ends(serving: &mut BoxFuture<'static, ()>) -> bool {
        for _ in 0..1000 {
            if futures::poll!(&mut *serving).is_ready() {
                return true;
            }
            tokio::task::yield_now().await;
        }
        false
    }

    /// Sends a request over HTTP/2, tells when its answer is there, and keeps all of it.
    async fn ask_and_stay(stream: DuplexStream, answered: oneshot::Sender<()>) {
        let (mut client, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let request = Request::get("http://gateway.example/").body(Empty::<Bytes>::new()).unwrap();
        let _answer = client.send_request(request).await.unwrap();
        answered.send(()).unwrap();
        pending::<()>().await;
    }

    #[tokio::test]
    async fn a_client_that_sends_nothing_is_hung_up_on() {
        for start in ["", "PRI * HTTP/2.0", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
            let (mut client, mut serving, time) = in_memory(how());
            client.write_all(start.as_bytes()).await.unwrap();
            assert!(!ends(&mut serving).await, "{start:?}");
            time.advance(IDLE_TIMEOUT);
            assert!(ends(&mut serving).await, "after {start:?} it holds its place for ever");
        }
    }

    #[tokio::test]
    async fn a_connection_of_http_2_without_requests_is_hung_up_on() {
        let (client, mut serving, time) = in_memory(how());
        let (answered, mut is_answered) = oneshot::channel();
        let _client = Background::spawn(ask_and_stay(client, answered));
        time.advance(IDLE_TIMEOUT / 2);
        assert!(!ends(&mut serving).await);
        is_answered.try_recv().unwrap();
        // Counted from the last request.
        time.advance(IDLE_TIMEOUT / 2);
        assert!(!ends(&mut serving).await);
        time.advance(IDLE_TIMEOUT / 2);
        assert!(ends(&mut serving).await, "it holds its place for ever");
    }

    #[tokio::test]
    async fn a_connection_with_an_answer_under_way_is_not_hung_up_on() {
        let (client, mut serving, time) = in_memory(service_fn(|_: Request<Incoming>| async {
            let frames = stream::pending::<Result<Frame<Bytes>, Infallible>>();
            Ok::<_, Infallible>(Response::new(StreamBody::new(frames)))
        }));
        let (answered, mut is_answered) = oneshot::channel();
        let _client = Background::spawn(ask_and_stay(client, answered));
        assert!(!ends(&mut serving).await);
        is_answered.try_recv().unwrap();
        time.advance(IDLE_TIMEOUT * 9);
        assert!(!ends(&mut serving).await);
    }

    #[tokio::test]
    async fn a_connection_takes_up_a_place_until_it_ends() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let slots = Arc::new(Semaphore::new(1));
        let _clients =
            (TcpStream::connect(address).await.unwrap(), TcpStream::connect(address).await.unwrap());
        let first = accept(&listener, &slots).await.unwrap();
        assert_eq!(slots.available_permits(), 0);
        let mut second = Box::pin(accept(&listener, &slots));
        assert!(futures::poll!(&mut second).is_pending());
        drop(first);
        second.await.unwrap();
        assert_eq!(slots.available_permits(), 1);
    }
}
