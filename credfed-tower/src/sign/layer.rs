//! The layer: for whom, for what and with which credential requests are signed.

use std::fmt;
use std::sync::Arc;

use credfed_core::{AwsCredentials, CachedProvider, Clock, SystemClock};
use http::Uri;
use http::uri::{Authority, Scheme};
use tower_layer::Layer;

use super::replay::ReplayEmpty;
use super::service::SignSigV4;

/// Puts [`SignSigV4`] around a client.
///
/// ```
/// use credfed_core::{AwsCredentials, CachedProvider, Secret, StaticProvider};
/// use credfed_tower::SignSigV4Layer;
///
/// # fn main() {
/// let secret = std::env::var("UPSTREAM_SECRET").unwrap_or_default();
/// let credentials = AwsCredentials::new("AKIAUPSTREAM", Secret::new(secret), None);
/// let provider = CachedProvider::new(StaticProvider::new(credentials));
/// let layer = SignSigV4Layer::new(provider, "eu-west-1", "s3");
/// # let _ = layer;
/// # }
/// ```
pub struct SignSigV4Layer<P = ReplayEmpty> {
    shared: Arc<Shared<P>>,
}

#[derive(Clone)]
pub(super) struct Shared<P> {
    pub(super) provider: CachedProvider<AwsCredentials>,
    pub(super) region: Box<str>,
    pub(super) service: Box<str>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) upstream: Option<Upstream>,
    pub(super) authorities: Option<Arc<[Upstream]>>,
    pub(super) replay: P,
}

/// A place to send requests to; the scheme's own port is left out.
#[derive(Clone, PartialEq)]
pub(super) struct Upstream {
    pub(super) scheme: Scheme,
    pub(super) authority: Authority,
}

impl Upstream {
    /// `None` for other schemes than http and https, and with user information.
    pub(super) fn new(scheme: Scheme, authority: Authority) -> Option<Self> {
        let default = match scheme.as_str() {
            "http" => 80,
            "https" => 443,
            _ => return None,
        };
        if authority.as_str().contains('@') {
            return None;
        }
        let authority = match authority.port_u16() {
            Some(port) if port == default => Authority::try_from(authority.host()).ok()?,
            _ => authority,
        };
        Some(Self { scheme, authority })
    }

    fn named_by(uri: &Uri) -> Result<Self, NotAnUpstream> {
        let parts = uri.clone().into_parts();
        parts
            .scheme
            .zip(parts.authority)
            .and_then(|(scheme, authority)| Self::new(scheme, authority))
            .ok_or(NotAnUpstream)
    }
}

impl SignSigV4Layer {
    /// Signs with the credential of `provider` for `region` and `service` (`s3`, `sts`, `execute-api` …).
    pub fn new(
        provider: CachedProvider<AwsCredentials>,
        region: impl Into<String>,
        service: impl Into<String>,
    ) -> Self {
        let shared = Shared {
            provider,
            region: region.into().into_boxed_str(),
            service: service.into().into_boxed_str(),
            clock: Arc::new(SystemClock),
            upstream: None,
            authorities: None,
            replay: ReplayEmpty,
        };
        Self { shared: Arc::new(shared) }
    }
}

impl<P: Clone> SignSigV4Layer<P> {
    /// Sends every request to the scheme and authority of `upstream`, whatever it named before. A path or query in
    /// `upstream` has no effect.
    ///
    /// # Errors
    /// [`NotAnUpstream`] without a scheme (http or https) or an authority, or with user information.
    pub fn upstream(self, upstream: &Uri) -> Result<Self, NotAnUpstream> {
        let upstream = Upstream::named_by(upstream)?;
        Ok(self.change(|shared| shared.upstream = Some(upstream)))
    }

    /// Signs for these places alone, each with its scheme and authority; a request for another one is
    /// [`SignError::AuthorityNotAllowed`](super::SignError::AuthorityNotAllowed). Paths and queries have no effect.
    ///
    /// Only with such a list does a request in origin form go (by https) where its `Host` says: on a server that is
    /// the caller's choice.
    ///
    /// # Errors
    /// [`NotAnUpstream`] if one of them is none.
    pub fn authorities<'a>(self, places: impl IntoIterator<Item = &'a Uri>) -> Result<Self, NotAnUpstream> {
        let places = places.into_iter().map(Upstream::named_by).collect::<Result<_, _>>()?;
        Ok(self.change(|shared| shared.authorities = Some(places)))
    }

    /// Takes the signing time from another clock.
    #[must_use]
    pub fn clock(self, clock: Arc<dyn Clock>) -> Self {
        self.change(|shared| shared.clock = clock)
    }

    /// Which bodies may be sent a second time after the credential was rejected; by default empty ones
    /// ([`ReplayEmpty`]).
    #[must_use]
    pub fn replay<Q>(self, replay: Q) -> SignSigV4Layer<Q> {
        let Shared { provider, region, service, clock, upstream, authorities, replay: _ } =
            Arc::unwrap_or_clone(self.shared);
        let shared = Shared { provider, region, service, clock, upstream, authorities, replay };
        SignSigV4Layer { shared: Arc::new(shared) }
    }

    fn change(mut self, change: impl FnOnce(&mut Shared<P>)) -> Self {
        change(Arc::make_mut(&mut self.shared));
        self
    }
}

/// A URI that names no place to send requests to: it needs `http` or `https`, an authority, and no user information.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAnUpstream;

impl fmt::Display for NotAnUpstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "an upstream is http://host or https://host, with a port where needed and no user information",
        )
    }
}

impl std::error::Error for NotAnUpstream {}

impl<P> Clone for SignSigV4Layer<P> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<P> fmt::Debug for SignSigV4Layer<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignSigV4Layer")
            .field("region", &self.shared.region)
            .field("service", &self.shared.service)
            .finish_non_exhaustive()
    }
}

impl<S, P> Layer<S> for SignSigV4Layer<P> {
    type Service = SignSigV4<S, P>;

    fn layer(&self, inner: S) -> Self::Service {
        SignSigV4::new(inner, Arc::clone(&self.shared))
    }
}
