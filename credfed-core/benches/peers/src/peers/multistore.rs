//! multistore-oidc-provider: its public `CredentialCache`, which `OidcCredentialProvider` wraps. The wrapper would
//! add an RSA signature to each load, and that would drown what is measured.

use std::hint::black_box;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use multistore_oidc_provider::BackendCredentials;
use multistore_oidc_provider::cache::CredentialCache;

use crate::peer::{Hit, Peer, at_once};
use crate::source::{Down, Source};

const ROLE: &str = "arn:aws:iam::123456789012:role/bench";

struct Multistore {
    cache: CredentialCache,
    source: Arc<Source>,
}

pub fn new(source: Arc<Source>) -> Arc<dyn Peer> {
    Arc::new(Multistore { cache: CredentialCache::new(), source })
}

impl Multistore {
    async fn keys(&self) -> Result<Arc<BackendCredentials>, Down> {
        self.cache
            .get_or_fetch(ROLE, || async {
                let keys = self.source.call().await?;
                Ok(Arc::new(BackendCredentials {
                    access_key_id: keys.access_key_id,
                    secret_access_key: keys.secret_access_key,
                    session_token: keys.session_token,
                    expiration: keys.expires_at.into(),
                }))
            })
            .await
    }
}

impl Peer for Multistore {
    fn get(&self) -> BoxFuture<'_, Result<(), String>> {
        self.keys().map(|got| got.map(|_| ()).map_err(|error| error.to_string())).boxed()
    }

    fn hits(self: Arc<Self>) -> Vec<Hit> {
        vec![Hit::new("`get_or_fetch`", move || {
            let got = at_once(black_box(&self).keys());
            got.is_ok_and(|keys| black_box(keys.access_key_id.len()) > 0)
        })]
    }
}
