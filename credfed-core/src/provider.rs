//! The port to whatever gives out credentials.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::FutureExt;
use futures::future::BoxFuture;

use crate::{Expiring, Identity, ProviderError, credentials};

/// A source of credentials: each call fetches one anew.
///
/// A source keeps nothing, retries only what its own protocol asks for, and never falls back to another
/// source after a failure. Caching, waiting, back-off and deadlines are
/// [`CachedProvider`](crate::CachedProvider)'s work, which drops a call that takes too long: `provide` must
/// be safe to drop at any `await`.
pub trait Provider: fmt::Debug + Send + Sync + 'static {
    /// What it gives out.
    type Credential: Send + Sync + 'static;

    /// Every input that shapes the credential. Equal identities may share one cached credential.
    fn identity(&self) -> Identity;

    /// Fetches a credential.
    fn provide(&self) -> impl Future<Output = Result<Expiring<Self::Credential>, ProviderError>> + Send;

    /// Whether a new credential is the very same as the held one. Some servers hand out one credential until
    /// minutes before it expires; the cache then asks again soon rather than at once.
    ///
    /// The default knows this crate's own credential types and answers `false` for others.
    fn is_same(&self, held: &Self::Credential, new: &Self::Credential) -> bool {
        credentials::same(held, new)
    }
}

impl<P: Provider> Provider for Arc<P> {
    type Credential = P::Credential;

    fn identity(&self) -> Identity {
        P::identity(self)
    }

    fn provide(&self) -> impl Future<Output = Result<Expiring<Self::Credential>, ProviderError>> + Send {
        P::provide(self)
    }

    fn is_same(&self, held: &Self::Credential, new: &Self::Credential) -> bool {
        P::is_same(self, held, new)
    }
}

/// A source that gives out one credential which never expires.
///
/// Its identity is its own: two of them never share a cache entry, even with equal contents.
#[derive(Clone)]
pub struct StaticProvider<C> {
    credential: C,
    identity: Identity,
}

impl<C: Clone + Send + Sync + 'static> StaticProvider<C> {
    /// Gives out clones of `credential`.
    pub fn new(credential: C) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        Self { credential, identity: Identity::of("static").part("instance", number.to_be_bytes()).finish() }
    }
}

impl<C: Clone + Send + Sync + 'static> Provider for StaticProvider<C> {
    type Credential = C;

    fn identity(&self) -> Identity {
        self.identity
    }

    async fn provide(&self) -> Result<Expiring<C>, ProviderError> {
        Ok(Expiring::never(self.credential.clone()))
    }
}

/// Leaves the credential out: nothing is known of how a foreign type prints itself.
impl<C> fmt::Debug for StaticProvider<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StaticProvider").field("identity", &self.identity).finish_non_exhaustive()
    }
}

/// Makes a source out of a closure.
///
/// ```
/// use std::time::Duration;
/// use credfed_core::{Azure, BearerToken, Expiring, Identity, Secret, provider_fn};
///
/// let source = provider_fn(Identity::of("vault").part("path", "kv/entra").finish(), || async {
///     let token: BearerToken<Azure> = BearerToken::new(Secret::new("eyJ0eXAi"));
///     Ok(Expiring::after(token, Duration::from_secs(3600)))
/// });
/// # let _ = source;
/// ```
pub fn provider_fn<F, Fut, C>(identity: Identity, fetch: F) -> ProviderFn<F>
where
    F: Fn() -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Expiring<C>, ProviderError>> + Send,
    C: Send + Sync + 'static,
{
    ProviderFn { identity, fetch }
}

/// The source that [`provider_fn`] makes.
#[derive(Clone)]
pub struct ProviderFn<F> {
    identity: Identity,
    fetch: F,
}

impl<F, Fut, C> Provider for ProviderFn<F>
where
    F: Fn() -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Expiring<C>, ProviderError>> + Send,
    C: Send + Sync + 'static,
{
    type Credential = C;

    fn identity(&self) -> Identity {
        self.identity
    }

    fn provide(&self) -> impl Future<Output = Result<Expiring<C>, ProviderError>> + Send {
        (self.fetch)()
    }
}

impl<F> fmt::Debug for ProviderFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderFn").field("identity", &self.identity).finish_non_exhaustive()
    }
}

/// What the cache holds: any [`Provider`] of one credential type.
pub(crate) trait DynProvider<C>: Send + Sync {
    fn provide_dyn(&self) -> BoxFuture<'_, Result<Expiring<C>, ProviderError>>;
    fn is_same_dyn(&self, held: &C, new: &C) -> bool;
    #[cfg(feature = "aws")]
    fn source_type(&self) -> std::any::TypeId;
}

impl<P: Provider> DynProvider<P::Credential> for P {
    fn provide_dyn(&self) -> BoxFuture<'_, Result<Expiring<P::Credential>, ProviderError>> {
        self.provide().boxed()
    }

    fn is_same_dyn(&self, held: &P::Credential, new: &P::Credential) -> bool {
        self.is_same(held, new)
    }

    #[cfg(feature = "aws")]
    fn source_type(&self) -> std::any::TypeId {
        std::any::TypeId::of::<P>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AwsCredentials, Secret};

    #[test]
    fn a_static_source_gives_what_it_was_given_and_shares_with_nobody() {
        let keys = AwsCredentials::new("AKID", Secret::new("s"), Some(Secret::new("t")));
        let source = StaticProvider::new(keys.clone());
        let other = StaticProvider::new(keys.clone());
        assert_ne!(source.identity(), other.identity());
        let got = futures::executor::block_on(source.provide()).unwrap();
        assert_eq!(got.into_value(), keys);
    }

    #[test]
    fn debug_of_a_source_shows_no_credential() {
        let source = StaticProvider::new(String::from("canary-1"));
        assert!(!format!("{source:?}").contains("canary"));
    }
}
