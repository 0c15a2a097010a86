use std::sync::Arc;

use credfed_core::{BearerToken, CachedProvider, Google};
use object_store::gcp::{GcpCredential, GcpCredentialProvider};

use zeroize::Zeroize;

use super::{Adapter, Wipe};

/// What `GoogleCloudStorageBuilder::with_credentials` takes: a token of Google's with a scope for storage.
///
/// It does not sign URLs; that is object_store's `with_signing_credentials`.
pub fn gcp(provider: CachedProvider<BearerToken<Google>>) -> GcpCredentialProvider {
    Arc::new(Adapter { provider, store: "GCS", convert })
}

impl Wipe for GcpCredential {
    fn wipe(&mut self) {
        self.bearer.zeroize();
    }
}

fn convert(token: &BearerToken<Google>) -> GcpCredential {
    GcpCredential { bearer: String::from(token.secret().expose()) }
}
