//! The discovery document and the key set of an [`Issuer`], as a service.
//!
//! 1. Two paths, those of [`Issuer::paths`], each with a cache header that states how long a client may keep it. All
//!    else is 404.
//! 2. `GET` and `HEAD` only, else 405. The query is not looked at.
//! 3. There is nothing secret in it, and nobody is asked who they are.
//!
//! ```
//! use credfed_core::oidc::{Algorithm, Issuer, IssuerState, LocalSigner};
//! use credfed_tower::oidc::OidcDiscovery;
//! # use std::time::{Duration, SystemTime};
//!
//! # let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
//! let state = IssuerState::new(LocalSigner::generate(Algorithm::Es256)?, now);
//! let issuer = Issuer::builder("https://id.example.com/tenant").state(state).build()?;
//! let service = OidcDiscovery::new(issuer);
//! let (parts, _) = http::Request::get("/tenant/.well-known/jwks.json").body(()).unwrap().into_parts();
//! assert!(service.handles(&parts));
//! # Ok::<_, credfed_core::ProviderError>(())
//! ```

use std::convert::Infallible;
use std::fmt;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use credfed_core::oidc::Issuer;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use tower_service::Service;

/// Answers for the discovery document and the key set of an issuer. The rules are on the [module's page](self).
///
/// The issuer's clock decides which keys are published.
#[derive(Clone)]
pub struct OidcDiscovery {
    issuer: Issuer,
    paths: Arc<(String, String)>,
    max_age: Duration,
}

impl OidcDiscovery {
    /// Serves the documents of `issuer`. Clients may keep them for five minutes.
    pub fn new(issuer: Issuer) -> Self {
        let paths = Arc::new(issuer.paths());
        Self { issuer, paths, max_age: Duration::from_secs(300) }
    }

    /// How long clients may keep the documents, in whole seconds. Default: 5 min. A new key has to be published for
    /// longer than that before it signs ([`IssuerState::rotate`](credfed_core::oidc::IssuerState::rotate)).
    #[must_use]
    pub fn max_age(mut self, max_age: Duration) -> Self {
        self.max_age = max_age;
        self
    }

    /// Whether a request is for one of the two paths, whatever its method: to route it here.
    pub fn handles(&self, parts: &Parts) -> bool {
        self.document(parts.uri.path()).is_some()
    }

    fn document(&self, path: &str) -> Option<Document> {
        let (discovery, keys) = &*self.paths;
        if path == discovery {
            Some(Document::Discovery)
        } else if path == keys {
            Some(Document::Keys)
        } else {
            None
        }
    }

    fn answer(&self, method: &Method, path: &str) -> Response<Full<Bytes>> {
        let Some(document) = self.document(path) else { return bare(StatusCode::NOT_FOUND) };
        if method != Method::GET && method != Method::HEAD {
            let mut answer = bare(StatusCode::METHOD_NOT_ALLOWED);
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return answer;
        }
        let (body, kind) = match document {
            Document::Discovery => (self.issuer.discovery_document(), "application/json"),
            Document::Keys => (self.issuer.jwks(self.issuer.now()), "application/jwk-set+json"),
        };
        let length = HeaderValue::from(body.len());
        let mut answer = Response::new(Full::new(if method == Method::HEAD { Bytes::new() } else { body }));
        let headers = answer.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        headers.insert(CONTENT_LENGTH, length);
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        let age = format!("public, max-age={}", self.max_age.as_secs());
        if let Ok(age) = HeaderValue::try_from(age) {
            headers.insert(CACHE_CONTROL, age);
        }
        answer
    }
}

impl<B> Service<Request<B>> for OidcDiscovery {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Full<Bytes>>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        ready(Ok(self.answer(request.method(), request.uri().path())))
    }
}

impl fmt::Debug for OidcDiscovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OidcDiscovery").field("issuer", &self.issuer.url()).finish_non_exhaustive()
    }
}

#[derive(Clone, Copy)]
enum Document {
    Discovery,
    Keys,
}

fn bare(status: StatusCode) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(Bytes::new()));
    *answer.status_mut() = status;
    answer
}
