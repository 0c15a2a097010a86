//! Adapters for object_store 0.14.

mod aws;
mod azure;
mod gcp;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use credfed_core::{CachedProvider, ErrorKind, ProviderError};
use object_store::CredentialProvider;

pub use aws::aws;
pub use azure::azure;
pub use gcp::gcp;

/// One cached provider in the shape that object_store asks for.
struct Adapter<C, T> {
    provider: CachedProvider<C>,
    store: &'static str,
    convert: fn(&C) -> T,
}

/// The credential in object_store's form, kept beside the one that it was made from. A type of its own, so
/// that nobody else's derived value is taken for it.
///
/// object_store's types do not wipe themselves, so this one does it for them when it goes. A request that still
/// holds a clone then needs the text; that last clone is object_store's, and goes unwiped.
struct Converted<T: Wipe>(Arc<T>);

/// Overwrites the secrets in a credential of object_store's.
trait Wipe {
    fn wipe(&mut self);
}

impl<T: Wipe> Drop for Converted<T> {
    fn drop(&mut self) {
        if let Some(credential) = Arc::get_mut(&mut self.0) {
            credential.wipe();
        }
    }
}

#[async_trait]
impl<C, T> CredentialProvider for Adapter<C, T>
where
    C: Send + Sync + 'static,
    T: Wipe + Send + Sync + 'static,
{
    type Credential = T;

    async fn get_credential(&self) -> object_store::Result<Arc<T>> {
        let cached = self.provider.get().await.map_err(|error| refused(error, self.store))?;
        let converted = cached.derive(|credential| Converted(Arc::new((self.convert)(credential))));
        Ok(Arc::clone(&converted.0))
    }
}

impl<C, T> fmt::Debug for Adapter<C, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Adapter").field("store", &self.store).field("provider", &self.provider).finish()
    }
}

fn refused(error: ProviderError, store: &'static str) -> object_store::Error {
    match error.kind() {
        ErrorKind::Rejected | ErrorKind::NotConfigured => {
            object_store::Error::Unauthenticated { path: String::from(store), source: Box::new(error) }
        }
        _ => object_store::Error::Generic { store, source: Box::new(error) },
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error;
    use std::sync::atomic::{AtomicU32, Ordering};

    use credfed_core::{Expiring, Identity, Rejection, provider_fn};
    use futures::executor::block_on;
    use object_store::aws::AwsCredential;
    use object_store::azure::AzureCredential;
    use object_store::gcp::GcpCredential;

    use super::*;

    /// A credential that counts how often it was wiped.
    struct Double(Arc<AtomicU32>);

    impl Wipe for Double {
        fn wipe(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn a_credential_is_wiped_when_the_cache_lets_go_of_it_unless_a_request_still_holds_it() {
        for held in [false, true] {
            let wiped = Arc::new(AtomicU32::new(0));
            let counter = Arc::clone(&wiped);
            let source = provider_fn(Identity::of("doubles").finish(), move || {
                let counter = Arc::clone(&counter);
                async move { Ok(Expiring::never(counter)) }
            });
            let provider = CachedProvider::new(source);
            let adapter = Adapter {
                provider: provider.clone(),
                store: "double",
                convert: |counter: &Arc<AtomicU32>| Double(Arc::clone(counter)),
            };
            let request = Some(block_on(adapter.get_credential()).unwrap()).filter(|_| held);
            assert_eq!(wiped.load(Ordering::SeqCst), 0, "the cache holds it");
            provider.invalidate(&block_on(provider.get()).unwrap(), Rejection::Expired);
            // The next one takes its place, and the rejected one is forgotten.
            let next = block_on(adapter.get_credential()).unwrap();
            let expected = if held { 0 } else { 1 };
            assert_eq!(wiped.load(Ordering::SeqCst), expected, "held by a request: {held}");
            drop((request, next));
            drop((adapter, provider));
            assert_eq!(wiped.load(Ordering::SeqCst), expected + 1, "the last generation, with the cache");
        }
    }

    #[test]
    fn wiping_leaves_no_secret_in_any_of_the_three() {
        let secret = || String::from("canary");
        let mut keys = AwsCredential { key_id: secret(), secret_key: secret(), token: Some(secret()) };
        keys.wipe();
        assert!(keys.secret_key.is_empty() && keys.token.is_none_or(|token| token.is_empty()));
        let mut token = AzureCredential::BearerToken(secret());
        token.wipe();
        assert!(matches!(token, AzureCredential::BearerToken(text) if text.is_empty()));
        let mut token = GcpCredential { bearer: secret() };
        token.wipe();
        assert!(token.bearer.is_empty());
    }

    #[test]
    fn the_kind_of_an_error_survives_and_its_chain_too() {
        let cause = "the assertion is older than its key";
        let error = refused(ProviderError::rejected("no").with_source(cause), "S3");
        assert!(matches!(error, object_store::Error::Unauthenticated { .. }));
        let inner = error.source().unwrap();
        assert_eq!(inner.downcast_ref::<ProviderError>().map(ProviderError::kind), Some(ErrorKind::Rejected));
        assert_eq!(inner.source().unwrap().to_string(), cause);

        for error in [
            ProviderError::transient("down"),
            ProviderError::throttled("slow down", None),
            ProviderError::misconfigured("half a pair"),
        ] {
            assert!(matches!(refused(error, "S3"), object_store::Error::Generic { store: "S3", .. }));
        }
    }
}
