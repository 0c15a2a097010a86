//! Tokens that were good until somebody touched them. `CREDFED_JWT_MUTATIONS` sets how many (default 20,000):
//!
//! `CREDFED_JWT_MUTATIONS=1000000 cargo test --release -p credfed-core --all-features --test oidc mutations`

use serde_json::json;

use crate::support::{Key, all_keys, b64, claims, claims_with, issuers, judge, trusted};

/// SplitMix64: a fixed run, so that a failure can be run again.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) >> 33).unwrap() % limit.max(1)
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/";

fn mutate(dice: &mut Dice, good: &[String], token: &str) -> String {
    let other = dice.pick(good).clone();
    let mut bytes = token.as_bytes().to_vec();
    let mut parts: Vec<String> = token.split('.').map(String::from).collect();
    let others: Vec<&str> = other.split('.').collect();
    let at = dice.below(bytes.len());
    match dice.below(9) {
        0 => bytes[at] = *dice.pick(ALPHABET),
        1 => bytes[at] ^= 1 << dice.below(7),
        2 => bytes.truncate(at),
        3 => drop(bytes.remove(at)),
        4 => bytes.insert(at, *dice.pick(ALPHABET)),
        5 => {
            let cut = dice.below(other.len());
            bytes.truncate(at);
            bytes.extend_from_slice(&other.as_bytes()[cut..]);
        }
        6 => {
            // Header, payload or signature of another good token.
            let part = dice.below(3);
            parts[part] = others[part].to_owned();
            bytes = parts.join(".").into_bytes();
        }
        7 => {
            // Another header for the same signature.
            let alg = *dice.pick(&["none", "HS256", "RS256", "PS256", "ES256", "ES384", "EdDSA"]);
            let kid = *dice.pick(&["rsa", "p256", "p384", "ed25519", "?"]);
            parts[0] = b64(json!({"alg": alg, "kid": kid}).to_string());
            bytes = parts.join(".").into_bytes();
        }
        _ => {
            // Other claims for the same signature.
            let name = *dice.pick(&["sub", "aud", "exp", "iat", "iss", "nbf"]);
            let value = [json!("admin"), json!(1_800_000_500), json!(["sts.example.com"]), json!(null)];
            parts[1] = b64(claims_with(name, Some(dice.pick(&value).clone())).to_string());
            bytes = parts.join(".").into_bytes();
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn no_token_that_was_touched_is_accepted() {
    let count =
        std::env::var("CREDFED_JWT_MUTATIONS").ok().and_then(|count| count.parse().ok()).unwrap_or(20_000);
    let issuers = issuers(trusted(&all_keys()));
    let mut good = Vec::new();
    for (key, kid) in
        [(Key::rsa(), "rsa"), (Key::p256(), "p256"), (Key::p384(), "p384"), (Key::ed25519(), "ed25519")]
    {
        for subject in ["caller", "admin", "c"] {
            let header = json!({"alg": key.algorithm(), "kid": kid});
            good.push(key.token_of(&header, &claims_with("sub", Some(json!(subject)))));
        }
        good.push(key.token_of(&json!({"alg": key.algorithm()}), &claims()));
    }
    for token in &good {
        assert!(judge(&issuers, token).is_ok());
    }
    let mut dice = Dice(7);
    let (mut tried, mut accepted) = (0_usize, Vec::new());
    while tried < count {
        let token = dice.pick(&good).clone();
        let mut mutant = mutate(&mut dice, &good, &token);
        for _ in 0..dice.below(3) {
            mutant = if mutant.is_empty() || mutant.split('.').count() != 3 || !mutant.is_ascii() {
                mutant
            } else {
                mutate(&mut dice, &good, &mutant)
            };
        }
        if good.contains(&mutant) {
            continue;
        }
        tried += 1;
        if judge(&issuers, &mutant).is_ok() {
            accepted.push(mutant);
        }
    }
    assert!(accepted.is_empty(), "{} of {tried} accepted, such as {:?}", accepted.len(), accepted.first());
}
