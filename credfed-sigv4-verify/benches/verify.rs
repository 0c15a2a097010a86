//! One verification, key warm, against its floor: SHA-256 over the canonical request and HMAC over the
//! string to sign with the key cached as a midstate. Ends with a table of ratios measured interleaved.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench prints its figures")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::hint::black_box;
use std::time::Duration;

use bytes::Bytes;
use credfed_sigv4_verify::{ResolvedKey, Verifier};
use criterion::measurement::{Measurement, WallTime};
use criterion::{Criterion, criterion_group};
use hmac::{Hmac, KeyInit, Mac};
use http::request::Parts;
use sha2::{Digest, Sha256};
use support::chunked::{Mode, Upload};

fn floor(canonical: &[u8], key: &Hmac<Sha256>, string_to_sign: &mut [u8; 132]) -> [u8; 32] {
    let hash: [u8; 32] = Sha256::digest(black_box(canonical)).into();
    string_to_sign[100..].copy_from_slice(&hash);
    let mut mac = black_box(key).clone();
    mac.update(string_to_sign.as_slice());
    mac.finalize().into_bytes().into()
}

fn verify(verifier: &Verifier, parts: &Parts, key: &ResolvedKey) {
    let request = verifier.parse(black_box(parts)).unwrap();
    black_box(request.session_token());
    drop(black_box(verifier.verify(&request, Some(key), support::now()).unwrap()));
}

fn both(criterion: &mut Criterion) {
    let mac = Hmac::<Sha256>::new_from_slice(&[7; 32]).unwrap();
    for (name, (parts, key)) in [
        ("R1", support::measured::r1()),
        ("R3", support::measured::r3()),
        ("R3 without escapes", support::measured::r3_alphanumeric()),
    ] {
        let canonical = vec![b'a'; support::measured::canonical_length(&parts)];
        let verifier = support::s3();
        let mut group = criterion.benchmark_group(name);
        let mut string_to_sign = [b'a'; 132];
        group.bench_function("floor", |b| b.iter(|| floor(&canonical, &mac, &mut string_to_sign)));
        group.bench_function("verify", |b| b.iter(|| verify(&verifier, &parts, &key)));
        group.finish();
        if std::env::args().any(|argument| argument == "--profile-time") {
            continue;
        }
        let ratio = interleaved(
            || {
                black_box(floor(&canonical, &mac, &mut string_to_sign));
            },
            || verify(&verifier, &parts, &key),
        );
        println!("{name}: {ratio:.2}x of the floor ({} bytes of canonical request)", canonical.len());
    }
}

/// The median, over many rounds, of `subject`'s time over `base`'s in the same round.
fn interleaved(base: impl FnMut(), subject: impl FnMut()) -> f64 {
    interleaved_by(500, 400, base, subject)
}

fn interleaved_by(times: usize, rounds: usize, mut base: impl FnMut(), mut subject: impl FnMut()) -> f64 {
    let clock = WallTime;
    let time = |work: &mut dyn FnMut()| -> Duration {
        let start = clock.start();
        for _ in 0..times {
            work();
        }
        clock.end(start)
    };
    let mut ratios: Vec<f64> = (0..rounds)
        .map(|_| {
            let base = time(&mut base);
            time(&mut subject).as_secs_f64() / base.as_secs_f64()
        })
        .collect();
    ratios.sort_by(f64::total_cmp);
    ratios[ratios.len() / 2]
}

/// R2: 64 KiB whose hash is signed, against hashing them and what R1 has for a floor.
fn hashed(_: &mut Criterion) {
    let body = Bytes::from(vec![7; 64 * 1024]);
    let (parts, key) = support::measured::r2(&body);
    let canonical = vec![b'a'; support::measured::canonical_length(&parts)];
    let (verifier, mac) = (support::s3(), Hmac::<Sha256>::new_from_slice(&[7; 32]).unwrap());
    let mut string_to_sign = [b'a'; 132];
    let ratio = interleaved_by(
        10,
        400,
        || {
            black_box(Sha256::digest(black_box(&body)));
            black_box(floor(&canonical, &mac, &mut string_to_sign));
        },
        || {
            let request = verifier.parse(black_box(&parts)).unwrap();
            let mut check = verifier.verify(&request, Some(&key), support::now()).unwrap().into_body_check();
            check.push(body.clone()).unwrap();
            check.finish().unwrap();
            black_box(check.pop());
        },
    );
    println!("R2: {ratio:.3}x of the floor");
}

/// R4: 8 MiB in signed chunks of 64 KiB, as frames of 16 KiB and of a whole chunk and more, against hashing the same
/// chunks and signing what has to be signed for each.
fn chunked(criterion: &mut Criterion) {
    const CHUNK: usize = 64 * 1024;
    let data = vec![7; 8 << 20];
    let upload = Upload::new(Mode::SignedChunks, &data, CHUNK);
    let body = Bytes::from(upload.body());
    let verifier = support::s3();
    let parts = upload.request.parts();
    let (request, key) = (verifier.parse(&parts).unwrap(), support::static_key());
    let mac = Hmac::<Sha256>::new_from_slice(&[7; 32]).unwrap();
    // Algorithm, date, scope, the signature before, two hashes.
    let mut string_to_sign = [b'a'; 24 + 1 + 16 + 1 + 46 + 1 + 64 + 1 + 64 + 1 + 64];
    let mut floor = || {
        for chunk in black_box(&data).chunks(CHUNK) {
            let hash: [u8; 32] = Sha256::digest(chunk).into();
            string_to_sign[220..252].copy_from_slice(&hash);
            let mut mac = black_box(&mac).clone();
            mac.update(&string_to_sign);
            black_box(mac.finalize());
        }
    };
    for frame in [16 * 1024, 256 * 1024] {
        let mut verify = || {
            let head = verifier.verify(black_box(&request), Some(&key), support::now()).unwrap();
            let mut check = head.into_body_check();
            for at in (0..body.len()).step_by(frame) {
                check.push(body.slice(at..body.len().min(at + frame))).unwrap();
                while let Some(data) = check.pop() {
                    black_box(data);
                }
            }
            check.finish().unwrap();
        };
        let name = format!("R4 in frames of {} KiB", frame / 1024);
        let mut group = criterion.benchmark_group(&name);
        group.sample_size(20);
        group.bench_function("floor", |b| b.iter(&mut floor));
        group.bench_function("verify", |b| b.iter(&mut verify));
        group.finish();
        if !std::env::args().any(|argument| argument == "--profile-time") {
            println!("{name}: {:.3}x of the floor", interleaved_by(1, 100, &mut floor, &mut verify));
        }
    }
}

criterion_group!(benches, both, hashed, chunked);

fn main() {
    benches();
    Criterion::default().configure_from_args().final_summary();
}
