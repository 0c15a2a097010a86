//! moka: `future::Cache::try_get_with`, with the per-entry expiry that its documentation recommends for values
//! that know how long they last: until five minutes before they expire, or three quarters of a short life.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use futures::FutureExt;
use futures::future::BoxFuture;
use moka::Expiry;
use moka::future::Cache;

use crate::peer::{Hit, Peer, at_once};
use crate::source::{Down, Keys, Source};

const ROLE: &str = "arn:aws:iam::123456789012:role/bench";

struct Moka {
    cache: Cache<&'static str, Arc<Keys>>,
    source: Arc<Source>,
}

struct BeforeItExpires;

pub fn new(source: Arc<Source>) -> Arc<dyn Peer> {
    let cache = Cache::builder().max_capacity(1_000).expire_after(BeforeItExpires).build();
    Arc::new(Moka { cache, source })
}

impl Moka {
    async fn keys(&self) -> Result<Arc<Keys>, Arc<Down>> {
        self.cache.try_get_with(ROLE, async { self.source.call().await.map(Arc::new) }).await
    }
}

impl Peer for Moka {
    fn get(&self) -> BoxFuture<'_, Result<(), String>> {
        self.keys().map(|got| got.map(|_| ()).map_err(|error| error.to_string())).boxed()
    }

    fn hits(self: Arc<Self>) -> Vec<Hit> {
        vec![Hit::new("`try_get_with`", move || {
            let got = at_once(black_box(&self).keys());
            got.is_ok_and(|keys| black_box(keys.access_key_id.len()) > 0)
        })]
    }
}

impl Expiry<&'static str, Arc<Keys>> for BeforeItExpires {
    fn expire_after_create(&self, _: &&'static str, keys: &Arc<Keys>, _: Instant) -> Option<Duration> {
        let lifetime = keys.expires_at.duration_since(SystemTime::now()).unwrap_or_default();
        Some(lifetime.saturating_sub(Duration::from_secs(300).min(lifetime / 4)))
    }
}
