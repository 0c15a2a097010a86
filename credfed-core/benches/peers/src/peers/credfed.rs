//! Ours, with the default settings: `Mode::Spawned`.

use std::hint::black_box;
use std::sync::Arc;

use credfed_core::{AwsCredentials, CachedProvider, Expiring, Identity, ProviderError, Secret, provider_fn};
use futures::FutureExt;
use futures::future::BoxFuture;

use crate::peer::{Hit, Peer, at_once};
use crate::source::Source;

struct Credfed(CachedProvider<AwsCredentials>);

pub fn new(source: Arc<Source>) -> Arc<dyn Peer> {
    let provider = provider_fn(Identity::of("bench").finish(), move || {
        let source = Arc::clone(&source);
        async move {
            let keys = source.call().await.map_err(|down| ProviderError::transient(down.to_string()))?;
            let token = Some(Secret::new(keys.session_token));
            let credentials =
                AwsCredentials::new(keys.access_key_id, Secret::new(keys.secret_access_key), token);
            Ok(Expiring::at(credentials, keys.expires_at))
        }
    });
    Arc::new(Credfed(CachedProvider::new(provider)))
}

impl Peer for Credfed {
    fn get(&self) -> BoxFuture<'_, Result<(), String>> {
        let get = self.0.get();
        async { get.await.map(|_| ()).map_err(|error| error.to_string()) }.boxed()
    }

    fn hits(self: Arc<Self>) -> Vec<Hit> {
        let [of_reader, with, try_get, get] = [(); 4].map(|()| self.0.clone());
        // A reader belongs to one thread.
        let reader = move |times| {
            let mut reader = of_reader.reader();
            let mut hit = || {
                black_box(&mut reader).read().is_some_and(|keys| black_box(keys.access_key_id().len()) > 0)
            };
            (0..times).filter(|_| black_box(hit())).count()
        };
        vec![
            Hit { name: "`reader`", run: Box::new(reader) },
            Hit::new("`with`", move || {
                black_box(&with).with(|keys| black_box(keys.access_key_id().len())).is_some()
            }),
            Hit::new("`try_get`", move || {
                black_box(&try_get).try_get().is_some_and(|keys| black_box(keys.access_key_id().len()) > 0)
            }),
            Hit::new("`get`", move || {
                let got = at_once(black_box(&get).get());
                got.is_ok_and(|keys| black_box(keys.access_key_id().len()) > 0)
            }),
        ]
    }
}
