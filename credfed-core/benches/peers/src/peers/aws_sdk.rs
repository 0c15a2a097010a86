//! The identity cache of the AWS SDK for Rust: `IdentityCache::lazy()` with its default settings, asked as the
//! SDK's orchestrator asks it. Of the runtime components only clock and timer matter to the cache, and those
//! are the real ones.

use std::fmt;
use std::hint::black_box;
use std::sync::Arc;

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_async::time::{SharedTimeSource, SystemTimeSource};
use aws_smithy_runtime::client::identity::IdentityCache;
use aws_smithy_runtime_api::client::identity::{
    Identity, ResolveCachedIdentity, SharedIdentityCache, SharedIdentityResolver,
};
use aws_smithy_runtime_api::client::runtime_components::{RuntimeComponents, RuntimeComponentsBuilder};
use aws_smithy_types::config_bag::ConfigBag;
use futures::FutureExt;
use futures::future::BoxFuture;

use crate::peer::{Hit, Peer, at_once};
use crate::source::Source;

struct AwsSdk {
    cache: SharedIdentityCache,
    resolver: SharedIdentityResolver,
    components: RuntimeComponents,
    config: ConfigBag,
}

struct Scripted(Arc<Source>);

pub fn new(source: Arc<Source>) -> Arc<dyn Peer> {
    let components = RuntimeComponentsBuilder::for_tests()
        .with_sleep_impl(Some(SharedAsyncSleep::new(TokioSleep::new())))
        .with_time_source(Some(SharedTimeSource::new(SystemTimeSource::new())))
        .build();
    #[expect(clippy::expect_used, reason = "settings of the bench's own")]
    let components = components.expect("the components are complete");
    Arc::new(AwsSdk {
        cache: IdentityCache::lazy().build(),
        resolver: SharedIdentityResolver::new(SharedCredentialsProvider::new(Scripted(source))),
        components,
        config: ConfigBag::base(),
    })
}

impl AwsSdk {
    async fn identity(&self) -> Result<Identity, String> {
        let resolver = self.resolver.clone();
        let resolved = self.cache.resolve_cached_identity(resolver, &self.components, &self.config);
        resolved.await.map_err(|error| error.to_string())
    }
}

impl Peer for AwsSdk {
    fn get(&self) -> BoxFuture<'_, Result<(), String>> {
        self.identity().map(|got| got.map(|_| ())).boxed()
    }

    fn hits(self: Arc<Self>) -> Vec<Hit> {
        vec![Hit::new("`resolve_cached_identity`", move || {
            let Ok(identity) = at_once(black_box(&self).identity()) else { return false };
            identity.data::<Credentials>().is_some_and(|keys| black_box(keys.access_key_id().len()) > 0)
        })]
    }
}

impl ProvideCredentials for Scripted {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            let keys = self.0.call().await.map_err(CredentialsError::provider_error)?;
            let (id, secret, token) = (keys.access_key_id, keys.secret_access_key, keys.session_token);
            Ok(Credentials::new(id, secret, Some(token), Some(keys.expires_at), "bench"))
        })
    }
}

impl fmt::Debug for Scripted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scripted")
    }
}
