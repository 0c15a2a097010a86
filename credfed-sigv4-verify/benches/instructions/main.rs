//! How many instructions a verification takes beside its hashing, key warm:
//! `cargo bench -p credfed-sigv4-verify --bench instructions`. Needs valgrind.
//!
//! valgrind's processor has no SHA instructions, so a block of SHA-256 costs far more here than it does elsewhere. The
//! rows of the floor hash as much as a verification has to; what matters is the difference.
#![allow(clippy::unwrap_used, reason = "a bench")]

#[expect(clippy::print_stdout, reason = "a report")]
#[path = "../../../credfed-core/benches/instructions/counted.rs"]
mod counted;
#[path = "../../tests/support/mod.rs"]
mod support;

use std::hint::black_box;
use std::process::ExitCode;

use counted::Row;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

fn main() -> ExitCode {
    counted::main(rows)
}

fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for (verify, floor, most, (parts, key)) in [
        ("R1", "R1 floor", 87_300, support::measured::r1()),
        ("R3", "R3 floor", 103_400, support::measured::r3()),
    ] {
        let mac = Hmac::<Sha256>::new_from_slice(&[7; 32]).unwrap();
        let canonical = vec![b'a'; support::measured::canonical_length(&parts)];
        let mut string_to_sign = [b'a'; 132];
        rows.push(row(floor, None, move || {
            let hash: [u8; 32] = Sha256::digest(black_box(&canonical)).into();
            string_to_sign[100..].copy_from_slice(&hash);
            let mut mac = black_box(&mac).clone();
            mac.update(string_to_sign.as_slice());
            black_box(mac.finalize().into_bytes());
        }));
        let verifier = support::s3();
        rows.push(row(verify, Some(most), move || {
            let request = verifier.parse(black_box(&parts)).unwrap();
            drop(black_box(verifier.verify(&request, Some(&key), support::now()).unwrap()));
        }));
    }
    rows
}

fn row(name: &'static str, most: Option<u64>, work: impl FnMut() + 'static) -> Row {
    Row { name, most, work: Box::new(work) }
}
