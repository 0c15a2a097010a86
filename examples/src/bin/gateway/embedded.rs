//! The upstream for when there is none: an S3 server of other people's making (s3s with s3s-fs, its signature check
//! on) over a temporary folder, on a loopback port of its own.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use credfed_core::{AwsCredentials, Secret};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::keys::Key;

/// Runs until it is dropped; its folder goes with it.
#[derive(Debug)]
pub(crate) struct EmbeddedUpstream {
    address: SocketAddr,
    credentials: AwsCredentials,
    accepting: JoinHandle<()>,
    _folder: TempDir,
}

impl EmbeddedUpstream {
    /// Starts it, with a key that nobody but the gateway ever learns.
    pub(crate) async fn start() -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("credfed-gateway-").tempdir()?;
        let key = Key::generate().map_err(io::Error::other)?;
        let files = FileSystem::new(folder.path()).map_err(|error| io::Error::other(format!("{error:?}")))?;
        let mut service = S3ServiceBuilder::new(files);
        service.set_auth(SimpleAuth::from_single(key.access_key_id.as_str(), key.secret.expose()));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let accepting = tokio::spawn(accept(listener, service.build()));
        let credentials =
            AwsCredentials::new(key.access_key_id, Secret::new(key.secret.expose().to_owned()), None);
        Ok(Self { address, credentials, accepting, _folder: folder })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn credentials(&self) -> AwsCredentials {
        self.credentials.clone()
    }
}

impl Drop for EmbeddedUpstream {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, service: S3Service) {
    // The gateway is its only client and keeps its connections in check.
    while let Ok((stream, _)) = listener.accept().await {
        let service = service.clone();
        tokio::spawn(async move {
            let _ = stream.set_nodelay(true);
            let connection = Builder::new(TokioExecutor::new());
            if let Err(error) = connection.serve_connection(TokioIo::new(stream), service).await {
                tracing::debug!(%error, "the embedded upstream lost a connection");
            }
        });
    }
}
