#![allow(clippy::expect_used, clippy::print_stdout, reason = "a bench")]
//! What a session token costs: `cargo bench -p credfed-core --features session --bench session`.
//!
//! `open` is the whole of what a request without a good signature costs, claims included; the secret access key comes
//! on top. The steps are done by themselves, with the same crates on the same sizes. `aead` compares what may seal a token: the extended nonce, and
//! a key of its own for each token, by HKDF, with the AES-GCM of aws-lc-rs.

use std::hint::black_box;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use credfed_core::keyring::{KeyRing, SharedKeyRing};
use credfed_core::session::{Scratch, SealedSessions, SessionClaims, SessionKind};
use criterion::{Criterion, criterion_group, criterion_main};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use xaes_256_gcm::Xaes256Gcm;
use xaes_256_gcm::aead::AeadInOut;

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_176_000)
}

/// A web identity as a CI system has one: 320 bytes of claims, a token of about 500 characters.
fn claims() -> SessionClaims {
    let role = "arn:aws:iam::123456789012:role/deploy/production-artifacts";
    SessionClaims::builder(SessionKind::WebIdentity, role, now(), now() + Duration::from_secs(3600))
        .session_name("build-4711@ci.example")
        .subject("repo:example-organisation/example-repository:environment:production")
        .issuer("https://token.actions.example.com")
        .source_identity("example-organisation")
        .tag("team", "artifacts", true)
        .tag("stage", "production", false)
        .build()
        .expect("claims")
}

fn session(c: &mut Criterion) {
    let ring = SharedKeyRing::new(KeyRing::generate(now()).expect("a ring"));
    let sessions = SealedSessions::new("https://sts.example.com", ring);
    let keys = sessions.mint(&claims(), now()).expect("a session").into_value();
    let token = keys.session_token().expect("a token").expose();
    let mut scratch = Scratch::new();
    println!("a token of {} characters", token.len());

    let mut group = c.benchmark_group("session");
    group.bench_function("open", |b| {
        b.iter(|| {
            let opened = sessions.open(keys.access_key_id(), black_box(token), now(), &mut scratch);
            black_box(opened.expect("a session").claims().principal().len())
        });
    });
    group.bench_function("open, and the secret access key", |b| {
        b.iter(|| {
            let opened = sessions.open(keys.access_key_id(), black_box(token), now(), &mut scratch);
            black_box(opened.expect("a session").secret_access_key())
        });
    });
    let claims = claims();
    group.bench_function("mint", |b| b.iter(|| sessions.mint(black_box(&claims), now()).expect("a session")));
    group.finish();
    steps(c, token);
    aead(c, token);
}

fn sealed(token: &str) -> Vec<u8> {
    let (_, sealed) = token.rsplit_once('.').expect("a token");
    URL_SAFE_NO_PAD.decode(sealed).expect("base64")
}

fn steps(c: &mut Criterion, token: &str) {
    let (_, text) = token.rsplit_once('.').expect("a token");
    let mut buffer = [0; 6 * 1024];
    let mut group = c.benchmark_group("session step");
    // What everything else is counted in: the length that fills a hundred blocks.
    let blocks = [7; 100 * 64 - 9];
    group.bench_function("100 blocks of sha-256", |b| b.iter(|| Sha256::digest(black_box(&blocks))));
    group.bench_function("base64 decode", |b| {
        b.iter(|| URL_SAFE_NO_PAD.decode_slice(black_box(text), &mut buffer).expect("base64"));
    });
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    {
        let engine = base64::engine::Simd::url_safe(base64::engine::general_purpose::NO_PAD);
        group.bench_function("base64 decode, many letters at a time", |b| {
            b.iter(|| engine.decode_slice(black_box(text), &mut buffer).expect("base64"));
        });
    }
    group.bench_function("access key id", |b| {
        b.iter(|| {
            let mut state = [7; 8];
            sha2::block_api::compress256(&mut state, &[black_box([7; 64])]);
            state
        });
    });
    group.bench_function("access key id, with a hasher", |b| {
        b.iter(|| Sha256::new().chain_update(b"credfed akid").chain_update(black_box([7; 24])).finalize());
    });
    let mac = Hmac::<Sha256>::new_from_slice(&[7; 32]).expect("a key");
    group.bench_function("secret access key", |b| {
        b.iter(|| {
            let mut mac = black_box(&mac).clone();
            mac.update(&[7; 85]);
            let mut secret = [0; 44];
            STANDARD.encode_slice(mac.finalize().into_bytes(), &mut secret).expect("44 bytes")
        });
    });
    group.finish();
}

fn aead(c: &mut Criterion, token: &str) {
    let sealed = sealed(token);
    let length = sealed.len() - 40;
    let associated = [7; 116];
    let mut group = c.benchmark_group("session aead");

    let cipher = Xaes256Gcm::new(&[7; 32].into());
    let mut data = vec![0; length];
    let nonce = [9; 24];
    let tag = cipher
        .encrypt_inout_detached(&nonce.into(), &associated, data.as_mut_slice().into())
        .expect("sealed");
    let ciphertext = data.clone();
    group.bench_function("the xaes-256-gcm crate", |b| {
        b.iter(|| {
            data.copy_from_slice(black_box(&ciphertext));
            let plain = data.as_mut_slice().into();
            cipher.decrypt_inout_detached(&nonce.into(), &associated, plain, &tag).expect("opened");
        });
    });

    #[cfg(feature = "oidc")]
    {
        use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
        let prk = Hmac::<Sha256>::new_from_slice(&[7; 32]).expect("a key");
        let key = |nonce: &[u8; 24]| {
            let mac = prk.clone().chain_update(b"label").chain_update(nonce).chain_update([1]);
            UnboundKey::new(&AES_256_GCM, &mac.finalize().into_bytes()).map(LessSafeKey::new).expect("a key")
        };
        let zero = || Nonce::assume_unique_for_key([0; 12]);
        let mut data = vec![0; length];
        key(&nonce).seal_in_place_append_tag(zero(), Aad::from(associated), &mut data).expect("sealed");
        let ciphertext = data.clone();
        group.bench_function("hkdf and the aes-256-gcm of aws-lc-rs", |b| {
            b.iter(|| {
                data.copy_from_slice(black_box(&ciphertext));
                key(&nonce).open_in_place(zero(), Aad::from(associated), &mut data).expect("opened").len()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, session);
criterion_main!(benches);
