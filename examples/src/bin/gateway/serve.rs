//! Accepts connections, in clear text or over TLS, until it is told to stop, then lets those that are under way end.

use std::convert::Infallible;
use std::error::Error;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use credfed_core::runtime::{Runtime, TokioRuntime};
use credfed_sigv4_verify::Connection;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::Service;
use tower::util::MapRequest;

use crate::tls::Tls;

/// How long a client may take to send a head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

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
        return exchange(stream, connection, service, watcher).await;
    };
    match tls.shake_hands(stream).await {
        Ok(stream) => exchange(stream, connection.over_tls(), service, watcher).await,
        // The client does not trust the certificate, or speaks no TLS.
        Err(error) => tracing::debug!(%error, %peer, "no TLS handshake"),
    }
}

/// Requests and their answers, each request with what only the server knows of it.
async fn exchange<I>(stream: I, connection: Connection, service: impl Serves, watcher: Watcher)
where
    I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let service = MapRequest::new(service, move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(connection);
        request
    });
    let mut server = Builder::new(TokioExecutor::new());
    server.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    server.http2().timer(TokioTimer::new());
    let serving =
        server.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service)).into_owned();
    if let Err(error) = watcher.watch(serving).await {
        tracing::debug!(%error, "a connection ended badly");
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

    use http::Version;
    use http_body_util::{BodyExt, Empty, Full};
    use hyper_rustls::HttpsConnectorBuilder;
    use hyper_util::client::legacy::Client;
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
