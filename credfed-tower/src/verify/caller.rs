//! What the inner service learns of a verified request: it stands in the request's extensions.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use credfed_sigv4_verify::{
    Algorithm, Carrier, KeyKind, SignedForm, SignedRequest, VerifiedForm, VerifiedHead,
};

/// The verified caller, in the extensions of every request that reaches the inner service.
///
/// Cheap to clone. With the feature `axum` it is an extractor.
pub struct Caller<C> {
    inner: Arc<Inner<C>>,
}

struct Inner<C> {
    access_key_id: Box<str>,
    region: Box<str>,
    region_set: Option<Box<str>>,
    service: Box<str>,
    key_kind: KeyKind,
    carrier: Carrier,
    algorithm: Algorithm,
    signed_at: SystemTime,
    session_end: Option<SystemTime>,
    claims: C,
}

impl<C> Caller<C> {
    /// Only a verified head makes a caller.
    pub(super) fn new(
        head: &VerifiedHead,
        request: &SignedRequest<'_>,
        session_end: Option<SystemTime>,
        claims: C,
    ) -> Self {
        let scope = request.scope();
        let inner = Inner {
            access_key_id: request.access_key().into(),
            region: scope.region().into(),
            region_set: request.region_set().map(Into::into),
            service: scope.service().into(),
            key_kind: head.key_kind(),
            carrier: head.carrier(),
            algorithm: head.algorithm(),
            signed_at: head.signed_at(),
            session_end,
            claims,
        };
        Self { inner: Arc::new(inner) }
    }

    /// Only a verified form makes one too.
    pub(super) fn of_form(
        verified: &VerifiedForm,
        form: &SignedForm<'_>,
        session_end: Option<SystemTime>,
        claims: C,
    ) -> Self {
        let scope = form.scope();
        let inner = Inner {
            access_key_id: form.access_key().into(),
            region: scope.region().into(),
            region_set: None,
            service: scope.service().into(),
            key_kind: verified.key_kind(),
            carrier: verified.carrier(),
            algorithm: Algorithm::HmacSha256,
            signed_at: verified.signed_at(),
            session_end,
            claims,
        };
        Self { inner: Arc::new(inner) }
    }

    /// The access key id whose signature was verified.
    pub fn access_key_id(&self) -> &str {
        &self.inner.access_key_id
    }

    /// What the resolver knows of the caller.
    pub fn claims(&self) -> &C {
        &self.inner.claims
    }

    /// Whether the key is long-lived or belongs to a session.
    pub fn key_kind(&self) -> KeyKind {
        self.inner.key_kind
    }

    /// Where the signature stood.
    pub fn carrier(&self) -> Carrier {
        self.inner.carrier
    }

    /// How the request was signed.
    pub fn algorithm(&self) -> Algorithm {
        self.inner.algorithm
    }

    /// The region of the verified scope; empty with SigV4A, see [`region_set`](Self::region_set).
    pub fn region(&self) -> &str {
        &self.inner.region
    }

    /// The regions that a SigV4A signature is for: names separated by commas, `*` for all. `None` with SigV4.
    pub fn region_set(&self) -> Option<&str> {
        self.inner.region_set.as_deref()
    }

    /// The service of the verified scope.
    pub fn service(&self) -> &str {
        &self.inner.service
    }

    /// The time that the caller signed, in whole seconds.
    pub fn signed_at(&self) -> SystemTime {
        self.inner.signed_at
    }

    /// When the caller's session ends; `None` for a key without an end.
    pub fn session_end(&self) -> Option<SystemTime> {
        self.inner.session_end
    }
}

impl<C> Clone for Caller<C> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<C> fmt::Debug for Caller<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller")
            .field("access_key_id", &self.inner.access_key_id)
            .field("key_kind", &self.inner.key_kind)
            .field("carrier", &self.inner.carrier)
            .finish_non_exhaustive()
    }
}
