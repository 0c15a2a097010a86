//! Who a caller is: from an access key id and a session token to a signing key and claims.
//!
//! A resolver answers what it knows and nothing else. It never sees the signature, and nothing that it returns
//! lets a request through: the verifier compares first, whatever the resolver says.

#[cfg(feature = "session")]
mod by_shape;
mod closure;
#[cfg(all(feature = "session", feature = "oidc"))]
mod jwt;
#[cfg(feature = "session")]
mod principal;
mod remote;
#[cfg(feature = "session")]
mod sealed;
mod static_keys;

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::time::SystemTime;

use credfed_sigv4_verify::{ResolvedKey, Scope};

#[cfg(feature = "session")]
pub use self::by_shape::{ByShape, ByShapeError, ByShapeFuture, NoOthers};
pub use self::closure::{KeysFn, keys_fn};
#[cfg(all(feature = "session", feature = "oidc"))]
pub use self::jwt::JwtSessionResolver;
#[cfg(feature = "session")]
pub use self::principal::{Principal, Session};
pub use self::remote::{LookUpKey, RemoteFuture, RemoteKeys, RemoteKeysBuilder, RemoteRequest};
#[cfg(feature = "session")]
pub use self::sealed::SealedSessionResolver;
pub use self::static_keys::StaticKeys;

/// Finds the secret behind an access key id.
///
/// # Contract
/// - The answer depends on the [`KeyRequest`] alone; it is not evidence that the caller holds the key.
/// - A key that does not exist is [`ResolveError::Unknown`]; a backend that cannot say is
///   [`ResolveError::Unavailable`] (503). Mixing up the two locks users out or hides an outage.
/// - The session token of a temporary key must be checked here: that it belongs to this access key, is genuine and
///   not over. The verifier only checks that it was signed and that it is present for temporary keys alone.
/// - A resolver that answers at once uses [`std::future::Ready`]; the layer then parses the request only once.
pub trait ResolveKey: Send + Sync + 'static {
    /// What is known of the caller; it goes into the request's extensions inside [`Caller`](crate::verify::Caller).
    type Claims: Clone + Send + Sync + 'static;
    /// The pending answer; it does not borrow from the request.
    type Future: Future<Output = Result<Resolved<Self::Claims>, ResolveError>> + Send + 'static;

    /// Starts to look up the key that `request` names.
    fn resolve(&self, request: KeyRequest<'_>) -> Self::Future;
}

/// What a resolver may look at: parsed, within limits, and not yet verified.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct KeyRequest<'a> {
    /// The access key id, as the credential of the request names it.
    pub access_key: &'a str,
    /// The session token, decoded; `None` where the request has none (an empty one was refused before).
    pub session_token: Option<&'a str>,
    /// Date, region and service that the request claims to be signed for; the region is empty with SigV4A, which names
    /// several elsewhere: a source whose keys hold in one region each should find none for it.
    pub scope: Scope<'a>,
    /// The time at which the request is judged.
    pub now: SystemTime,
}

impl<'a> KeyRequest<'a> {
    pub(crate) fn new(
        access_key: &'a str,
        session_token: Option<&'a str>,
        scope: Scope<'a>,
        now: SystemTime,
    ) -> Self {
        Self { access_key, session_token, scope, now }
    }
}

impl fmt::Debug for KeyRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRequest")
            .field("access_key", &self.access_key)
            .field("session_token", &self.session_token.map(|_| "[redacted]"))
            .field("scope", &self.scope)
            .field("now", &self.now)
            .finish()
    }
}

/// A key that was found, with what is known of its holder.
#[derive(Clone, Debug)]
pub struct Resolved<C> {
    pub(crate) key: ResolvedKey,
    pub(crate) claims: C,
    pub(crate) is_restricted: bool,
}

impl<C> Resolved<C> {
    /// A key with the claims of its holder. It ends when the key says so.
    pub fn new(key: ResolvedKey, claims: C) -> Self {
        Self { key, claims, is_restricted: false }
    }

    /// The end of the session: from this moment on the answer is `ExpiredToken`, and a presigned URL that was made
    /// with the session ends with it.
    #[must_use]
    pub fn not_after(self, end: SystemTime) -> Self {
        Self { key: self.key.not_after(end), ..self }
    }

    /// Says that a session policy takes something from the rights of the holder. The layer lets such a session in
    /// only where [somebody evaluates it](crate::VerifySigV4Layer::evaluates_session_policies).
    #[must_use]
    pub fn restricted(self, is_restricted: bool) -> Self {
        Self { is_restricted, ..self }
    }

    /// The same key for other claims.
    pub fn map<D>(self, f: impl FnOnce(C) -> D) -> Resolved<D> {
        Resolved { key: self.key, claims: f(self.claims), is_restricted: self.is_restricted }
    }
}

/// Why there is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResolveError {
    /// No such access key (403).
    Unknown,
    /// The session token is not genuine, was revoked, or belongs to another key.
    Invalid,
    /// The session is over.
    Expired,
    /// The answer could not be had; the caller may try again (503).
    Unavailable,
}

impl fmt::Display for ResolveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "no such access key",
            Self::Invalid => "the session token is not valid for this access key",
            Self::Expired => "the session is over",
            Self::Unavailable => "keys cannot be looked up at the moment",
        })
    }
}

impl Error for ResolveError {}
