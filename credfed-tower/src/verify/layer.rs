//! The layer: what all requests of a service share.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use credfed_core::{Clock, SystemClock};
use credfed_sigv4_verify::Verifier;
use http::Response;
use tower_layer::Layer;

use super::reject::Refusal;
use super::service::VerifySigV4;

/// Puts [`VerifySigV4`] in front of a service.
///
/// ```
/// use credfed_core::Secret;
/// use credfed_sigv4_verify::{Profile, Verifier};
/// use credfed_tower::{AllowVerified, StaticKeys, VerifySigV4Layer};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let verifier = Verifier::builder().profile(Profile::S3).region("eu-west-1").build()?;
/// let keys = StaticKeys::new().with_key("AKIAEXAMPLE", Secret::new("made at run time"), ());
/// let layer = VerifySigV4Layer::new(verifier, keys, AllowVerified);
/// # let _ = layer;
/// # Ok(()) }
/// ```
pub struct VerifySigV4Layer<R, A> {
    shared: Arc<Shared<R, A>>,
}

pub(super) struct Shared<R, A> {
    pub(super) verifier: Arc<Verifier>,
    pub(super) resolver: Arc<R>,
    pub(super) authorizer: Arc<A>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) on_refusal: Option<OnRefusal>,
    pub(super) evaluates_session_policies: bool,
    pub(super) shows_canonical_requests: bool,
}

pub(super) type OnRefusal = Arc<dyn Fn(&Refusal<'_>) -> Response<Bytes> + Send + Sync>;

impl<R, A> VerifySigV4Layer<R, A> {
    /// Verifies with `verifier`, finds keys with `resolver`, and asks `authorizer` about every verified request
    /// ([`AllowVerified`](crate::AllowVerified) where the service decides by itself).
    pub fn new(verifier: Verifier, resolver: R, authorizer: A) -> Self {
        let shared = Shared {
            verifier: Arc::new(verifier),
            resolver: Arc::new(resolver),
            authorizer: Arc::new(authorizer),
            clock: Arc::new(SystemClock),
            on_refusal: None,
            evaluates_session_policies: false,
            shows_canonical_requests: false,
        };
        Self { shared: Arc::new(shared) }
    }

    /// Judges requests by another clock.
    #[must_use]
    pub fn clock(self, clock: Arc<dyn Clock>) -> Self {
        self.change(|shared| shared.clock = clock)
    }

    /// Replaces the answer to a refused request. The typed reason is put into the extensions afterwards, and a
    /// `HEAD` request gets no body, whatever the closure returns.
    #[must_use]
    pub fn on_refusal(
        self,
        answer: impl Fn(&Refusal<'_>) -> Response<Bytes> + Send + Sync + 'static,
    ) -> Self {
        self.change(|shared| shared.on_refusal = Some(Arc::new(answer)))
    }

    /// Says that the authoriser, or the inner service, evaluates the policy of a session that has one: its rights are
    /// those of the role *and* of the policy. Without this such a session is refused (403), so that a restriction
    /// which nobody looks at does not turn into none.
    #[must_use]
    pub fn evaluates_session_policies(self) -> Self {
        self.change(|shared| shared.evaluates_session_policies = true)
    }

    /// Shows a client whose signature does not match its own canonical request and string to sign, as AWS does, but
    /// without session token, cookies and customer keys. Not where the hash of the real body is a line of it.
    ///
    /// Nothing of it is secret; it does tell whoever sends a request, by way of what a proxy added to it, of the proxy.
    #[must_use]
    pub fn shows_canonical_requests(self) -> Self {
        self.change(|shared| shared.shows_canonical_requests = true)
    }

    fn change(mut self, change: impl FnOnce(&mut Shared<R, A>)) -> Self {
        change(Arc::make_mut(&mut self.shared));
        self
    }
}

impl<R, A> Clone for Shared<R, A> {
    fn clone(&self) -> Self {
        Self {
            verifier: Arc::clone(&self.verifier),
            resolver: Arc::clone(&self.resolver),
            authorizer: Arc::clone(&self.authorizer),
            clock: Arc::clone(&self.clock),
            on_refusal: self.on_refusal.clone(),
            evaluates_session_policies: self.evaluates_session_policies,
            shows_canonical_requests: self.shows_canonical_requests,
        }
    }
}

impl<R, A> Clone for VerifySigV4Layer<R, A> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<R, A> fmt::Debug for VerifySigV4Layer<R, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifySigV4Layer").field("verifier", &self.shared.verifier).finish_non_exhaustive()
    }
}

impl<S, R, A> Layer<S> for VerifySigV4Layer<R, A> {
    type Service = VerifySigV4<S, R, A>;

    fn layer(&self, inner: S) -> Self::Service {
        VerifySigV4::new(inner, Arc::clone(&self.shared))
    }
}
