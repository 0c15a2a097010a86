//! The client that comes with the crate.

use std::fmt;
use std::net::IpAddr;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use tower_service::Service;

use super::guard::GuardedResolver;
use super::{BoxError, HttpTransport, Reach};
use crate::ProviderError;

/// Settings of the default client; made by [`HttpTransport::client`].
///
/// ```no_run
/// use credfed_core::transport::HttpTransport;
///
/// // A metadata server is on this machine's own link: no proxy may see what it answers.
/// let transport = HttpTransport::client().without_proxy().build()?;
/// # let _ = transport;
/// # Ok::<_, credfed_core::ProviderError>(())
/// ```
#[must_use = "a builder does nothing until build()"]
pub struct ClientBuilder {
    proxy: bool,
    connect_timeout: Duration,
    reach: Reach,
}

impl ClientBuilder {
    pub(super) fn new() -> Self {
        Self { proxy: true, connect_timeout: Duration::from_secs(2), reach: Reach::Anywhere }
    }

    /// Ignores the proxies that the environment names. Default: they are used, but never for loopback addresses and
    /// `localhost`: what is on this machine, often plain http, is no other machine's business.
    pub fn without_proxy(mut self) -> Self {
        self.proxy = false;
        self
    }

    /// How long a connection may take to come about, TLS included. Default: 2 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Connects only to addresses within `reach`: a name is resolved and what it resolves to is checked, once, and
    /// the connection goes to those very addresses. For URLs that come out of a document. Any reach but
    /// [`Reach::Anywhere`] also ignores proxies, which would resolve the name once more.
    pub fn reach(mut self, reach: Reach) -> Self {
        self.reach = reach;
        self
    }

    /// The transport.
    ///
    /// # Errors
    ///
    /// [`Misconfigured`](crate::ErrorKind::Misconfigured) if TLS cannot be set up on this machine.
    pub fn build(self) -> Result<HttpTransport, ProviderError> {
        let guard = (self.reach != Reach::Anywhere).then(|| GuardedResolver::new(self.reach));
        let direct = self.client(guard.as_ref(), false)?;
        let client = match &guard {
            None if self.proxy => self.client(None, true)?,
            _ => direct.clone(),
        };
        Ok(HttpTransport::new(DefaultClient { client, direct, guard }))
    }

    fn client(&self, guard: Option<&GuardedResolver>, proxy: bool) -> Result<reqwest::Client, ProviderError> {
        let builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .connect_timeout(self.connect_timeout);
        let builder = if proxy { builder } else { builder.no_proxy() };
        let builder = match guard {
            Some(guard) => builder.dns_resolver(guard.clone()),
            None => builder,
        };
        builder
            .build()
            .map_err(|error| ProviderError::misconfigured("no http client").with_source(error.without_url()))
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("proxy", &self.proxy)
            .field("connect_timeout", &self.connect_timeout)
            .field("reach", &self.reach)
            .finish()
    }
}

#[derive(Clone)]
struct DefaultClient {
    client: reqwest::Client,
    /// For what is on this machine; knows no proxy.
    direct: reqwest::Client,
    guard: Option<GuardedResolver>,
}

impl Service<http::Request<Bytes>> for DefaultClient {
    type Response = http::Response<UnsyncBoxBody<Bytes, BoxError>>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    /// Errors lose their URL: a query may hold what nobody should read.
    fn call(&mut self, request: http::Request<Bytes>) -> Self::Future {
        let Self { client, direct, guard } = self.clone();
        async move {
            let request = reqwest::Request::try_from(request).map_err(reqwest::Error::without_url)?;
            if let Some(guard) = guard {
                guard.check_literal(request.url().host_str())?;
            }
            let client = if is_on_this_machine(request.url()) { direct } else { client };
            let answer = client.execute(request).await.map_err(reqwest::Error::without_url)?;
            let answer: http::Response<reqwest::Body> = answer.into();
            Ok(answer.map(|body| body.map_err(|error| error.without_url().into()).boxed_unsync()))
        }
        .boxed()
    }
}

fn is_on_this_machine(url: &reqwest::Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
