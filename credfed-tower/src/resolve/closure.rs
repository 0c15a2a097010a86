//! Keys that a closure knows.

use std::fmt;
use std::future::{Ready, ready};

use super::{KeyRequest, ResolveError, ResolveKey, Resolved};

/// A resolver out of a closure that answers from memory; see [`keys_fn`].
#[derive(Clone)]
pub struct KeysFn<F>(F);

/// Makes a resolver of a closure that answers at once. For one that waits, implement [`ResolveKey`], or use
/// [`RemoteKeys`](super::RemoteKeys), which brings the bounds that a remote look-up needs.
///
/// ```
/// use credfed_sigv4_verify::{KeyKind, ResolvedKey};
/// use credfed_tower::{KeyRequest, ResolveError, Resolved, keys_fn};
///
/// let secret = std::env::var("REPORT_SECRET").unwrap_or_default();
/// let keys = keys_fn(move |request: KeyRequest<'_>| match request.access_key {
///     "AKIAREPORT" => Ok(Resolved::new(ResolvedKey::new(secret.as_str(), KeyKind::Static, 0), "report")),
///     _ => Err(ResolveError::Unknown),
/// });
/// # let _ = keys;
/// ```
pub fn keys_fn<F, C>(look_up: F) -> KeysFn<F>
where
    F: Fn(KeyRequest<'_>) -> Result<Resolved<C>, ResolveError>,
{
    KeysFn(look_up)
}

impl<F, C> ResolveKey for KeysFn<F>
where
    F: Fn(KeyRequest<'_>) -> Result<Resolved<C>, ResolveError> + Send + Sync + 'static,
    C: Clone + Send + Sync + 'static,
{
    type Claims = C;
    type Future = Ready<Result<Resolved<C>, ResolveError>>;

    fn resolve(&self, request: KeyRequest<'_>) -> Self::Future {
        ready((self.0)(request))
    }
}

impl<F> fmt::Debug for KeysFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeysFn").finish_non_exhaustive()
    }
}
