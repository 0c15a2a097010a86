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
struct Converted<T>(Arc<T>);

#[async_trait]
impl<C, T> CredentialProvider for Adapter<C, T>
where
    C: Send + Sync + 'static,
    T: Send + Sync + 'static,
{
    type Credential = T;

    async fn get_credential(&self) -> object_store::Result<Arc<T>> {
        let cached = self.provider.get().await.map_err(|error| refused(error, self.store))?;
        let Converted(credential) =
            cached.derive(|credential| Converted(Arc::new((self.convert)(credential))));
        Ok(Arc::clone(credential))
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

    use super::*;

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
