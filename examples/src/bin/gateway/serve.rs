//! Accepts connections until it is told to stop, then lets those that are under way end.

use std::convert::Infallible;
use std::error::Error;
use std::future::Future;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use credfed_core::runtime::{Runtime, TokioRuntime};
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tower::Service;

/// How long a client may take to send a head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// How long requests under way may take to end once the gateway stops.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);

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
    listener: TcpListener,
    service: impl Serves,
    stop: impl Future<Output = ()>,
    hurry: impl Future<Output = ()>,
) {
    let connections = GracefulShutdown::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => spawn(stream, service.clone(), &connections),
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
    serve(listener, service, std::future::pending(), std::future::pending()).await;
}

fn spawn(stream: TcpStream, service: impl Serves, connections: &GracefulShutdown) {
    let _ = stream.set_nodelay(true);
    let mut server = Builder::new(TokioExecutor::new());
    server.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    server.http2().timer(TokioTimer::new());
    let connection =
        server.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service)).into_owned();
    let connection = connections.watch(connection);
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection ended badly");
        }
    });
}

/// An `accept` that fails for one connection says nothing of the next; one that fails for want of descriptors would
/// fail again at once.
async fn pause(error: &io::Error) {
    tracing::warn!(%error, "cannot accept a connection");
    TokioRuntime.sleep(Duration::from_millis(100)).await;
}
