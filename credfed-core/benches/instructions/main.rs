//! How many instructions a hit takes: `cargo bench -p credfed-core --bench instructions`. Needs valgrind.
//!
//! The clocks stand still: reading them is the kernel's work, in a page of its own that valgrind hides from programs.

#[expect(clippy::print_stdout, reason = "a report")]
mod counted;

use std::hint::black_box;
use std::pin::Pin;
use std::process::ExitCode;
use std::task::{Context, Waker};
use std::time::{Duration, SystemTime};

use counted::Row;
use credfed_core::cached::Settings;
use credfed_core::runtime::{Now, Runtime, Sleep};
use credfed_core::{AwsCredentials, CachedProvider, Expiring, Identity, ProviderPool, Secret, provider_fn};

fn main() -> ExitCode {
    counted::main(hits)
}

#[expect(clippy::unwrap_used, reason = "a bench")]
fn hits() -> Vec<Row> {
    let identity = Identity::of("bench").finish();
    let source = || {
        provider_fn(identity, || async {
            let keys = AwsCredentials::new("AKID", Secret::new("secret"), Some(Secret::new("token")));
            Ok(Expiring::after(keys, Duration::from_secs(12 * 3600)))
        })
    };
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_764_000_000);
    let still = Still(Now::new(Duration::from_secs(3600), now));
    let pool = ProviderPool::builder().settings(Settings::new().runtime(still)).build();
    let provider = pool.provider(source()).unwrap();
    futures::executor::block_on(provider.get()).unwrap();
    let mut reader = provider.reader();
    let cached = provider.try_get().unwrap();
    let with = |provider: CachedProvider<AwsCredentials>| {
        move || {
            black_box(provider.with(|keys| black_box(keys.access_key_id().len())));
        }
    };
    let try_get = provider.clone();
    let get = provider.clone();
    vec![
        row("with", 122, with(provider)),
        row("reader", 100, move || {
            black_box(reader.read().map(|keys| black_box(keys.access_key_id().len())));
        }),
        row("try_get", 142, move || drop(black_box(try_get.try_get()))),
        row("get, ready at once", 216, move || {
            let mut get = get.get();
            drop(black_box(Future::poll(Pin::new(&mut get), &mut Context::from_waker(Waker::noop()))));
        }),
        row("derive", 49, move || {
            black_box(cached.derive(|keys| keys.access_key_id().len()));
        }),
        row("pool.get", 670, move || drop(black_box(pool.get(&identity)))),
    ]
}

fn row(name: &'static str, most: u64, work: impl FnMut() + 'static) -> Row {
    Row { name, most: Some(most), work: Box::new(work) }
}

#[derive(Debug)]
struct Still(Now);

impl Runtime for Still {
    fn now(&self) -> Now {
        self.0
    }

    fn sleep(&self, _: Duration) -> Sleep {
        Box::pin(std::future::pending())
    }
}
