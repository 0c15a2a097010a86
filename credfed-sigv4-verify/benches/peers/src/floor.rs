//! What no verification can do without: SHA-256 over the canonical request and the body, HMAC over each string to sign,
//! with the key at hand as a midstate.

use std::hint::black_box;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use crate::Subject;
use crate::requests::{CHUNK, Request};

pub fn of(request: &Request) -> Subject {
    let mac = Hmac::<Sha256>::new_from_slice(&[7; 32]).unwrap();
    let (canonical, data, is_chunked) =
        (vec![b'a'; request.canonical], request.data.clone(), request.is_chunked);
    // Algorithm, date, scope, hash; and for a chunk the signature before it and the hash of nothing.
    let mut head = [b'a'; 132];
    let mut chunk = [b'a'; 281];
    Subject::new("floor", move || {
        signed(&mac, &mut head, black_box(&canonical));
        match black_box(is_chunked) {
            true => data.chunks(CHUNK).chain([[].as_slice()]).for_each(|data| signed(&mac, &mut chunk, data)),
            false if data.is_empty() => {}
            false => drop(black_box(Sha256::digest(&data))),
        }
    })
}

fn signed(mac: &Hmac<Sha256>, string_to_sign: &mut [u8], hashed: &[u8]) {
    let hash: [u8; 32] = Sha256::digest(hashed).into();
    string_to_sign[100..132].copy_from_slice(&hash);
    let mut mac = black_box(mac).clone();
    mac.update(string_to_sign);
    black_box(mac.finalize());
}
