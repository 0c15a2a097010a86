//! What a hit costs: `cargo bench -p credfed-core --bench hit`.

use std::hint::black_box;
use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::Duration;

use credfed_core::runtime::{Runtime, TokioRuntime};
use credfed_core::{AwsCredentials, CachedProvider, Expiring, Identity, ProviderPool, Secret, provider_fn};
use criterion::{Criterion, criterion_group, criterion_main};

#[expect(clippy::unwrap_used, reason = "a bench")]
fn hit(c: &mut Criterion) {
    let source = provider_fn(Identity::of("bench").finish(), || async {
        let keys = AwsCredentials::new("AKID", Secret::new("secret"), Some(Secret::new("token")));
        Ok(Expiring::after(keys, Duration::from_secs(12 * 3600)))
    });
    let provider = CachedProvider::new(source);
    futures::executor::block_on(provider.get()).unwrap();

    let mut group = c.benchmark_group("hit");
    group.bench_function("with", |b| {
        b.iter(|| black_box(&provider).with(|keys| black_box(keys.access_key_id().len())));
    });
    let mut reader = provider.reader();
    group.bench_function("reader", |b| {
        b.iter(|| black_box(&mut reader).read().map(|keys| black_box(keys.access_key_id().len())));
    });
    group.bench_function("try_get", |b| b.iter(|| black_box(&provider).try_get()));
    group.bench_function("get", |b| {
        b.iter(|| {
            let mut get = black_box(&provider).get();
            Future::poll(Pin::new(&mut get), &mut Context::from_waker(Waker::noop()))
        });
    });
    let cached = provider.try_get().unwrap();
    group.bench_function("derive", |b| {
        b.iter(|| black_box(&cached).derive(|keys| keys.access_key_id().len()));
    });
    let (pool, identities) = full_pool();
    let mut next = identities.iter().cycle();
    group.bench_function("pool get", |b| b.iter(|| black_box(&pool).get(&identities[0])));
    group.bench_function("pool get, one of 1,024 in turn", |b| {
        b.iter(|| next.next().map(|identity| black_box(&pool).get(identity)));
    });
    group.bench_function("coarse clocks alone", |b| b.iter(|| black_box(&TokioRuntime).coarse_now()));
    group.finish();

    let mut group = c.benchmark_group("hit beside another thread");
    std::thread::scope(|scope| {
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let other = provider.clone();
        scope.spawn(move || {
            while stopped.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
                for _ in 0..1_000 {
                    black_box(&other).with(|keys| black_box(keys.access_key_id().len()));
                }
            }
        });
        group.bench_function("with", |b| {
            b.iter(|| black_box(&provider).with(|keys| black_box(keys.access_key_id().len())));
        });
        drop(stop);
    });
    group.finish();
}

/// As many proven providers as fit by default.
#[expect(clippy::unwrap_used, reason = "a bench")]
fn full_pool() -> (ProviderPool<u32>, Vec<Identity>) {
    let pool = ProviderPool::new();
    let identities: Vec<_> = (0..1_024_u32)
        .map(|number| Identity::of("bench").part("number", number.to_be_bytes()).finish())
        .collect();
    for &identity in &identities {
        let make =
            || provider_fn(identity, || async { Ok(Expiring::after(7, Duration::from_secs(12 * 3600))) });
        futures::executor::block_on(pool.get_or_insert_with(identity, make).unwrap().get()).unwrap();
    }
    (pool, identities)
}

criterion_group!(benches, hit);
criterion_main!(benches);
