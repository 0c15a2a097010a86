//! For tests: a service on a loopback port, and a signed request to one.

use std::net::{Ipv4Addr, TcpListener};

use bytes::Bytes;
use credfed_core::{AwsCredentials, CachedProvider, StaticProvider};
use credfed_tower::SignSigV4Layer;
use http_body_util::{BodyExt, Full};
use tower::{ServiceBuilder, ServiceExt};

use crate::background::Background;
use crate::endpoint::{Endpoint, Region};
use crate::forward::Forward;
use crate::serve::{self, Serves};

/// Serves for as long as it lives.
pub(crate) struct Served {
    endpoint: Endpoint,
    _serving: Background,
}

impl Served {
    pub(crate) fn start(service: impl Serves) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let endpoint = Endpoint::local(listener.local_addr().unwrap()).unwrap();
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        Self { endpoint, _serving: Background::spawn(serve::until_dropped(listener, service)) }
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }
}

/// The status and the body of an answer.
pub(crate) async fn ask(
    endpoint: &Endpoint,
    region: &Region,
    signer: AwsCredentials,
    request: http::request::Builder,
) -> (u16, String) {
    let signer = CachedProvider::new(StaticProvider::new(signer));
    let sign = SignSigV4Layer::new(signer, region.as_str(), "s3").upstream(&endpoint.uri().unwrap()).unwrap();
    let client = ServiceBuilder::new().layer(sign).service(Forward::to(endpoint).unwrap());
    let answer = client.oneshot(request.body(Full::<Bytes>::default()).unwrap()).await.unwrap();
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}
