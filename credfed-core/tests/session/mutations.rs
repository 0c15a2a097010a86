//! Tokens that somebody tampered with, in great number.
//!
//! `cargo test` tries 50,000. For a million:
//! `CREDFED_MUTATIONS=1000000 cargo test --release -p credfed-core --features session,test-util --test session mutations`

use credfed_core::session::{OpenError, SealedSessions};

use crate::support::{Dice, Held, ISSUER, fitting_access_key_id, join, mint, open, parts, ring, sessions};

#[test]
fn no_tampered_token_is_accepted() {
    let count =
        std::env::var("CREDFED_MUTATIONS").ok().and_then(|count| count.parse().ok()).unwrap_or(50_000);
    let ring = ring();
    let here = SealedSessions::new(ISSUER, ring.clone());
    // Other services, under the same ring and under another.
    let same_ring = SealedSessions::new("https://other.example", ring);
    let foreign = sessions();
    let own: Vec<Held> = (0..20).map(|n| mint(&here, &format!("session-{n}"))).collect();
    let others = (0..10).flat_map(|n| [&same_ring, &foreign].map(|from| mint(from, &format!("session-{n}"))));
    let others: Vec<Held> = others.collect();
    for held in &own {
        assert_eq!(open(&here, &held.access_key_id, &held.token), Ok(()));
    }

    let mut dice = Dice(std::process::id().into());
    let seed = dice.0;
    let mut reached = 0;
    for n in 0..count {
        let (access_key_id, token) = tamper(&mut dice, &own, &others);
        if own.iter().any(|held| held.token == token && held.access_key_id == access_key_id) {
            continue;
        }
        match open(&here, &access_key_id, &token) {
            Ok(()) => panic!("accepted: mutation {n} of seed {seed}"),
            Err(OpenError::NotGenuine) => reached += 1,
            Err(OpenError::Malformed | OpenError::OtherAccessKey | OpenError::UnknownKey) => {}
            Err(error) => panic!("what nobody sealed was opened: {error}, mutation {n} of seed {seed}"),
        }
    }
    // Otherwise it was the shape alone that was tested.
    assert!(reached > count / 4, "{reached} of {count} came as far as the tag");
}

/// One to three tamperings, on the text or on what it decodes to; most often with an access key id that fits.
fn tamper(dice: &mut Dice, own: &[Held], others: &[Held]) -> (String, String) {
    let pick = |dice: &mut Dice| match dice.below(4) {
        0 => others[dice.below(others.len())].clone(),
        _ => own[dice.below(own.len())].clone(),
    };
    let held = pick(dice);
    let (mut version, mut kid, mut sealed) = parts(&held.token);
    for _ in 0..=dice.below(3) {
        let donor = pick(dice);
        let (_, other_kid, other) = parts(&donor.token);
        match dice.below(9) {
            0 => kid = other_kid,
            1 | 2 => flip(dice, &mut sealed),
            3 => sealed.truncate(dice.below(sealed.len())),
            4 => {
                let cut = dice.below(sealed.len().min(other.len()));
                sealed = [&sealed[..cut], &other[cut..]].concat();
            }
            5 => {
                let at = dice.below(sealed.len() + 1);
                sealed.insert(at, dice.roll().to_le_bytes()[0]);
            }
            6 if !sealed.is_empty() => {
                sealed.remove(dice.below(sealed.len()));
            }
            7 => {
                // A nonce of one's own, or another token's.
                let nonce: Vec<u8> = (0..24).map(|at| other.get(at).copied().unwrap_or(0)).collect();
                sealed.splice(..24.min(sealed.len()), nonce);
            }
            _ if dice.below(20) == 0 => version = ["cf0", "cf2", "CF1", "", "cf1."][dice.below(5)].into(),
            _ => flip(dice, &mut sealed),
        }
    }
    let mut token = join(&version, &kid, &sealed);
    if dice.below(8) == 0 {
        let mut bytes = token.into_bytes();
        flip(dice, &mut bytes);
        token = String::from_utf8_lossy(&bytes).into_owned();
    }
    let access_key_id = match dice.below(10) {
        0 => held.access_key_id,
        1 => pick(dice).access_key_id,
        _ => fitting_access_key_id(&sealed),
    };
    (access_key_id, token)
}

fn flip(dice: &mut Dice, bytes: &mut [u8]) {
    if !bytes.is_empty() {
        bytes[dice.below(bytes.len())] ^= 1 << dice.below(8);
    }
}
