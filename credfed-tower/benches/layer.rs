//! What verification adds to a service call, beside the same call without the layer, in one run:
//! `cargo bench -p credfed-tower --bench layer`.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::convert::Infallible;
use std::hint::black_box;

use aws_sigv4::http_request::SignableBody;
use bytes::Bytes;
use credfed_tower::{AllowVerified, StripCredentials, VerifySigV4Layer};
use criterion::{Criterion, criterion_group, criterion_main};
use http::{Request, Response};
use http_body_util::Full;
use support::{FixedClock, Signer, keys, noon, origin_form, verifier};
use tower::{Layer, Service, ServiceBuilder, service_fn};

fn request() -> Request<Full<Bytes>> {
    let request = Request::get("http://files.example.org/bucket/key?x-id=GetObject")
        .header("user-agent", "bench")
        .header("accept", "*/*")
        .body(Full::default())
        .expect("a request");
    origin_form(Signer::default().sign(request, SignableBody::UnsignedPayload))
}

fn layers(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("one GET");
    let template = request();
    let fresh = || template.clone();
    let mut bare = service_fn(|request: Request<Full<Bytes>>| {
        black_box(&request);
        std::future::ready(Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())))
    });
    group.bench_function("without the layer", |bencher| {
        bencher.iter(|| futures::executor::block_on(bare.call(fresh())).expect("an answer").status());
    });
    let inner = || {
        service_fn(|request| {
            black_box::<&Request<_>>(&request);
            std::future::ready(Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())))
        })
    };
    let layer = VerifySigV4Layer::new(verifier(), keys(), AllowVerified)
        .clock(std::sync::Arc::new(FixedClock(noon())));
    let mut verified = layer.layer(inner());
    group.bench_function("verified", |bencher| {
        bencher.iter(|| futures::executor::block_on(verified.call(fresh())).expect("an answer").status());
    });
    let mut stripped = ServiceBuilder::new().layer(layer).layer(StripCredentials::new()).service(inner());
    group.bench_function("verified and stripped", |bencher| {
        bencher.iter(|| futures::executor::block_on(stripped.call(fresh())).expect("an answer").status());
    });
    group.finish();
}

criterion_group!(benches, layers);
criterion_main!(benches);
