//! What a session costs at the STS endpoint, in one thread, and how much of it the signatures are:
//! `cargo bench -p credfed-tower --features sts --bench sts`.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

#[path = "../tests/support/mod.rs"]
mod support;

#[allow(dead_code, reason = "shared with the tests")]
#[path = "../tests/sts/world.rs"]
mod world;

use std::hint::black_box;
use std::time::Duration;

use aws_sigv4::http_request::SignableBody;
use bytes::Bytes;
use credfed_core::oidc::{Algorithm, Issuer, IssuerState, LocalSigner, TrustedIssuer, TrustedIssuers};
use credfed_core::session::{SessionClaims, SessionKind};
use credfed_tower::sts::Trust;
use criterion::{Criterion, criterion_group, criterion_main};
use futures::executor::block_on;
use http::Request;
use http_body_util::{BodyExt, Full};
use support::{noon, origin_form};
use tower::Service;
use world::{ALICE, AUDIENCE, ISSUER, SUBJECT, World, alice, arn, claims, form, role};

fn sessions(criterion: &mut Criterion) {
    let own = Trust::principals().principal(ALICE);
    let web = || Trust::web_identity(ISSUER).audience(AUDIENCE).subject(SUBJECT);
    let world = World::new([role("r").trust(own)]);
    let mut group = criterion.benchmark_group("one session");

    let end = noon() + Duration::from_secs(3600);
    group.bench_function("claims and minting", |bencher| {
        bencher.iter(|| {
            let claims = SessionClaims::builder(SessionKind::AssumedRole, arn("r"), noon(), end)
                .session_name("batch")
                .build()
                .unwrap();
            black_box(world.sessions.mint(&claims, noon()).unwrap())
        });
    });

    let parameters = [
        ("Action", "AssumeRole"),
        ("Version", "2011-06-15"),
        ("RoleArn", &*arn("r")),
        ("RoleSessionName", "batch"),
    ];
    let request = signed(form(&parameters));
    let mut sts = world.sts.clone();
    group.bench_function("AssumeRole (SigV4)", |bencher| {
        bencher.iter(|| {
            let answer = block_on(sts.call(request.clone())).unwrap();
            assert_eq!(answer.status(), 200);
        });
    });

    for algorithm in [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa] {
        let key = LocalSigner::generate(algorithm).unwrap();
        let state = IssuerState::new(key, noon() - Duration::from_secs(3600));
        let issuer = Issuer::builder(ISSUER).state(state).build().unwrap();
        let trusted = || {
            let keys = issuer.jwks(noon());
            TrustedIssuers::new([TrustedIssuer::builder(ISSUER)
                .audience(AUDIENCE)
                .jwks(keys)
                .build()
                .unwrap()])
            .unwrap()
        };
        let world = World::with([role("r").trust(web())], |sts| sts.issuers(trusted()));
        let token = block_on(issuer.sign(&claims(), noon())).unwrap().into_value();
        let issuers = trusted();
        group.bench_function(format!("validating a JWT alone ({algorithm:?})"), |bencher| {
            bencher.iter(|| block_on(issuers.validate(token.expose(), noon())).unwrap());
        });
        let request = form(&[
            ("Action", "AssumeRoleWithWebIdentity"),
            ("Version", "2011-06-15"),
            ("RoleArn", &arn("r")),
            ("RoleSessionName", "batch"),
            ("WebIdentityToken", token.expose()),
        ]);
        let mut sts = world.sts.clone();
        group.bench_function(format!("AssumeRoleWithWebIdentity ({algorithm:?})"), |bencher| {
            bencher.iter(|| {
                let answer = block_on(sts.call(request.clone())).unwrap();
                assert_eq!(answer.status(), 200);
            });
        });
    }
    group.finish();
}

fn signed(request: Request<Full<Bytes>>) -> Request<Full<Bytes>> {
    let body = block_on(request.body().clone().collect()).unwrap().to_bytes();
    origin_form(alice().sign(request, SignableBody::Bytes(&body)))
}

criterion_group!(benches, sessions);
criterion_main!(benches);
