//! The gateway put together: verify, authorise, strip, sign, forward.

use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use credfed_core::aws::EnvProvider;
use credfed_core::{AwsCredentials, CachedProvider, StaticProvider};
use credfed_sigv4_verify::{Profile, Verifier};
use credfed_tower::{SignSigV4Layer, StaticKeys, StripCredentials, VerifySigV4Layer};
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use tower::{Service, ServiceBuilder};

use crate::answer::Settle;
use crate::cli::{Endpoint, ExternalUpstream, Region};
use crate::embedded::EmbeddedUpstream;
use crate::forward::Forward;
use crate::keys::Key;
use crate::linger::Linger;
use crate::{journal, policy};

/// Where requests go, and as whom.
#[derive(Debug)]
pub(crate) struct Upstream {
    endpoint: Endpoint,
    region: Region,
    credentials: CachedProvider<AwsCredentials>,
    /// Runs as long as this lives.
    embedded: Option<EmbeddedUpstream>,
}

impl Upstream {
    pub(crate) async fn start(
        external: Option<ExternalUpstream>,
        region: &Region,
    ) -> Result<Self, Box<dyn Error>> {
        let Some(external) = external else {
            let embedded = EmbeddedUpstream::start().await?;
            return Ok(Self {
                endpoint: Endpoint::local(embedded.address())?,
                region: region.clone(),
                credentials: CachedProvider::new(StaticProvider::new(embedded.credentials())),
                embedded: Some(embedded),
            });
        };
        let credentials = match external.credentials {
            Some(credentials) => CachedProvider::new(StaticProvider::new(credentials)),
            None => CachedProvider::new(EnvProvider::new()),
        };
        // A credential that is not there is found out now, not with the first request.
        credentials.get().await.map_err(|error| {
            let wanted = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment";
            format!("--upstream needs --upstream-access-key, or {wanted}: {error}")
        })?;
        Ok(Self { endpoint: external.endpoint, region: external.region, credentials, embedded: None })
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.embedded {
            Some(_) => write!(f, "{}, embedded, over a temporary folder", self.endpoint),
            None => self.endpoint.fmt(f),
        }
    }
}

/// The service that callers meet.
#[expect(clippy::type_complexity, reason = "a stack of layers has no shorter name")]
pub(crate) fn service(
    upstream: &Upstream,
    region: &Region,
    keys: Vec<Key>,
) -> Result<
    impl Service<
        Request<Incoming>,
        Response = Response<
            impl Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
        >,
        Error = Infallible,
        Future: Send,
    > + Clone
    + Send
    + 'static,
    Box<dyn Error>,
> {
    let verifier = Verifier::builder().profile(Profile::S3).region(region.as_str()).build()?;
    let keys = keys.into_iter().fold(StaticKeys::new(), |keys, key| {
        keys.with_key(key.access_key_id, key.secret, Arc::new(key.rights))
    });
    let sign = SignSigV4Layer::new(upstream.credentials.clone(), upstream.region.as_str(), "s3")
        .upstream(&upstream.endpoint.uri()?)?;
    Ok(ServiceBuilder::new()
        .layer(journal::layer())
        .layer_fn(Linger::new)
        .layer(VerifySigV4Layer::new(verifier, keys, policy::authorize))
        .layer(StripCredentials::new())
        .layer_fn(Settle::new)
        .layer(sign)
        .service(Forward::to(&upstream.endpoint)?))
}
