//! Threats B1 to B3 and B5, and N10 to N12 and N24 as far as they concern tokens alone.

use std::collections::HashSet;

use credfed_core::session::{
    LONGEST_CLAIMS, LONGEST_TOKEN, MintError, OpenError, Scratch, SealedSessions, SessionClaims, SessionKind,
};
use std::time::Duration;

use crate::support::{
    HOUR, Held, ISSUER, ROLE, claims, fitting_access_key_id, join, mint, mint_at, noon, open, open_at, parts,
    ring, sessions,
};

#[test]
fn a_session_opens_with_what_it_was_minted_with() {
    let sessions = sessions();
    let minted = sessions.mint(&claims("ci"), noon()).unwrap();
    assert_eq!(minted.lifetime(noon()), Some(HOUR));
    let keys = minted.into_value();
    let token = keys.session_token().unwrap().expose();
    assert!(
        token.len() <= 2048
            && token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
    );
    assert_eq!(keys.access_key_id(), fitting_access_key_id(&parts(token).2));

    let mut scratch = Scratch::new();
    let session = sessions.open(keys.access_key_id(), token, noon(), &mut scratch).unwrap();
    assert_eq!(session.claims(), claims("ci").as_ref());
    assert_eq!(session.secret_access_key().expose(), keys.secret_access_key().expose());
    assert_eq!(session.id().as_bytes()[..], parts(token).2[..24]);
    assert_eq!(session.key().to_string(), parts(token).1);
}

#[test]
fn a_session_is_over_at_the_very_second_and_may_be_issued_a_minute_ahead() {
    let sessions = sessions();
    let held = mint(&sessions, "ci");
    let second = Duration::from_secs(1);
    let nanosecond = Duration::from_nanos(1);
    let at = |now| open_at(&sessions, &held.access_key_id, &held.token, now);
    assert_eq!(at(noon() + HOUR - nanosecond), Ok(()));
    assert_eq!(at(noon() + HOUR), Err(OpenError::Expired));
    assert_eq!(at(noon() + HOUR * 24 * 365 * 5000), Err(OpenError::Expired));
    assert_eq!(at(noon() - 60 * second), Ok(()));
    assert_eq!(at(noon() - 60 * second - nanosecond), Err(OpenError::NotYet));
    assert_eq!(at(std::time::SystemTime::UNIX_EPOCH - second), Err(OpenError::NotYet));
}

#[test]
fn nothing_is_minted_that_would_not_open() {
    let sessions = sessions();
    let claims =
        |from, to| SessionClaims::builder(SessionKind::SessionToken, ROLE, from, to).build().unwrap();
    let minute = Duration::from_secs(60);
    let cases = [
        (claims(noon() - HOUR, noon()), Some(MintError::Times)),
        (claims(noon() - HOUR, noon() + minute / 60), None),
        (claims(noon() + minute, noon() + HOUR), None),
        (claims(noon() + minute + minute / 60, noon() + HOUR), Some(MintError::Times)),
    ];
    for (claims, error) in cases {
        assert_eq!(sessions.mint(&claims, noon()).err(), error);
    }
}

#[test]
fn a_minted_token_is_two_kibibytes_at_most() {
    let sessions = sessions();
    let with_policy = |length: usize| {
        SessionClaims::builder(SessionKind::AssumedRole, ROLE, noon(), noon() + HOUR)
            .session_name("ci")
            .policy("x".repeat(length))
            .build()
            .unwrap()
    };
    // 25 bytes of head, three fields with three bytes before each.
    let room = LONGEST_CLAIMS - 25 - 9 - ROLE.len() - 2;
    let keys = sessions.mint(&with_policy(room), noon()).unwrap().into_value();
    let token = keys.session_token().unwrap().expose();
    assert!((2044..=2048).contains(&token.len()), "{}", token.len());
    assert_eq!(open(&sessions, keys.access_key_id(), token), Ok(()));
    assert_eq!(with_policy(room).packed_percent(), 100);
    assert_eq!(sessions.mint(&with_policy(room + 1), noon()).err(), Some(MintError::TooLong));
    assert_eq!(with_policy(room + 1).packed_percent(), 101);
}

#[test]
fn a_token_that_is_too_long_is_refused_before_it_is_decoded() {
    let sessions = sessions();
    let held = mint(&sessions, "ci");
    for length in [LONGEST_TOKEN - 1, LONGEST_TOKEN, LONGEST_TOKEN + 1, 1 << 20] {
        let long = format!("{}{}", held.token, "A".repeat(length - held.token.len()));
        assert!(open(&sessions, &held.access_key_id, &long).is_err());
        // Not base64 behind the limit: told apart from one that was decoded by the error of the key id.
        assert_eq!(open(&sessions, "ASIA", &long).is_err_and(|error| error == OpenError::Malformed), {
            length > LONGEST_TOKEN || long.len() % 4 == 1 || !decodes(&long)
        });
    }
}

fn decodes(token: &str) -> bool {
    use base64::Engine;
    let sealed = token.rsplit_once('.').unwrap().1;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(sealed).is_ok()
}

#[test]
fn every_flip_of_one_bit_is_refused() {
    let sessions = sessions();
    let tokens =
        std::env::var("CREDFED_BIT_FLIP_TOKENS").ok().and_then(|count| count.parse().ok()).unwrap_or(3);
    for n in 0..tokens {
        let held = mint(&sessions, &format!("session-{n}"));
        // In the text.
        for bit in 0..held.token.len() * 8 {
            let mut text = held.token.clone().into_bytes();
            text[bit / 8] ^= 1 << (bit % 8);
            if let Ok(text) = String::from_utf8(text) {
                assert!(open(&sessions, &held.access_key_id, &text).is_err(), "bit {bit} of the text");
            }
        }
        // In what it decodes to, by somebody who alters the access key id to go with it.
        let (version, kid, sealed) = parts(&held.token);
        for bit in 0..sealed.len() * 8 {
            let mut sealed = sealed.clone();
            sealed[bit / 8] ^= 1 << (bit % 8);
            let text = join(&version, &kid, &sealed);
            let verdict = open(&sessions, &fitting_access_key_id(&sealed), &text);
            assert_eq!(verdict, Err(OpenError::NotGenuine), "bit {bit}");
        }
        // In the access key id.
        for bit in 0..held.access_key_id.len() * 8 {
            let mut id = held.access_key_id.clone().into_bytes();
            id[bit / 8] ^= 1 << (bit % 8);
            if let Ok(id) = String::from_utf8(id) {
                assert_eq!(open(&sessions, &id, &held.token), Err(OpenError::OtherAccessKey), "bit {bit}");
            }
        }
    }
}

#[test]
fn every_truncation_and_every_extension_is_refused() {
    let sessions = sessions();
    let held = mint(&sessions, "ci");
    for end in 0..held.token.len() {
        assert!(open(&sessions, &held.access_key_id, &held.token[..end]).is_err(), "{end}");
    }
    let (version, kid, sealed) = parts(&held.token);
    for end in 0..sealed.len() {
        let text = join(&version, &kid, &sealed[..end]);
        assert!(open(&sessions, &fitting_access_key_id(&sealed[..end]), &text).is_err(), "{end}");
    }
    for more in ["A", "AA", "AAAA", "=", "==", ".", " ", "\n", "\0", ".x"] {
        assert!(open(&sessions, &held.access_key_id, &format!("{}{more}", held.token)).is_err(), "{more:?}");
        assert!(open(&sessions, &held.access_key_id, &format!("{more}{}", held.token)).is_err(), "{more:?}");
    }
}

#[test]
fn the_parts_of_two_tokens_never_make_a_third() {
    let (sessions, others) = (sessions(), sessions_of_two_keys());
    let mut held: Vec<Held> = (0..5).map(|n| mint(&sessions, &format!("session-{n}"))).collect();
    held.extend((0..3).map(|n| mint(&others, &format!("session-{n}"))));
    let mut tried = 0;
    for a in &held {
        for b in &held {
            for c in &held {
                let (version, kid, _) = parts(&a.token);
                let sealed = parts(&b.token).2;
                let text = join(&version, &kid, &sealed);
                let genuine =
                    held.iter().any(|held| held.token == text && held.access_key_id == c.access_key_id);
                for verifier in [&sessions, &others] {
                    let home = [&sessions, &others].iter().position(|s| std::ptr::eq(*s, verifier)).unwrap();
                    let minted_there =
                        (held.iter().position(|held| held.token == text).unwrap_or(0) >= 5) == (home == 1);
                    let verdict = open(verifier, &c.access_key_id, &text);
                    assert_eq!(verdict.is_ok(), genuine && minted_there);
                    tried += 1;
                }
            }
            // The nonce of one, the rest of another; the ciphertext of one, the tag of another.
            if a.token != b.token {
                let (version, kid, x) = parts(&a.token);
                let y = parts(&b.token).2;
                for cut in [24, x.len() - 16] {
                    let spliced = [&x[..cut], &y[cut.min(y.len())..]].concat();
                    let text = join(&version, &kid, &spliced);
                    let verdict = open(&sessions, &fitting_access_key_id(&spliced), &text);
                    assert!(verdict.is_err());
                }
            }
        }
    }
    assert_eq!(tried, 2 * 8 * 8 * 8);
}

fn sessions_of_two_keys() -> SealedSessions {
    let ring = ring();
    let rotated = ring.load().rotate_at_once(noon() + Duration::from_secs(1)).unwrap();
    ring.replace(rotated);
    SealedSessions::new(ISSUER, ring)
}

#[test]
fn a_token_of_another_ring_or_issuer_is_refused() {
    let ring = ring();
    let here = SealedSessions::new(ISSUER, ring.clone());
    let held = mint(&here, "ci");
    assert_eq!(open(&here, &held.access_key_id, &held.token), Ok(()));
    for issuer in ["", "https://sts.exampl", "https://sts.example/", "https://STS.example"] {
        let there = SealedSessions::new(issuer, ring.clone());
        assert_eq!(open(&there, &held.access_key_id, &held.token), Err(OpenError::NotGenuine), "{issuer}");
        let foreign = mint(&there, "ci");
        assert_eq!(open(&here, &foreign.access_key_id, &foreign.token), Err(OpenError::NotGenuine));
    }
    assert_eq!(open(&sessions(), &held.access_key_id, &held.token), Err(OpenError::UnknownKey));
}

#[test]
fn n10_the_secret_is_another_one_under_another_key_although_all_that_shows_is_the_same() {
    // B1, N10: who knows nonce, access key id and token knows nothing of the secret. It moves with the key alone.
    let sessions = sessions();
    let (a, b) = (mint(&sessions, "ci"), mint(&sessions, "ci"));
    assert_ne!(a.secret, b.secret);
    let mut secrets = HashSet::new();
    for _ in 0..200 {
        let held = mint(&sessions, "ci");
        assert_eq!(held.secret.len(), 44);
        assert!(!held.token.contains(held.secret.trim_end_matches('=')));
        let sealed = parts(&held.token).2;
        use base64::Engine;
        let secret = base64::engine::general_purpose::STANDARD.decode(&held.secret).unwrap();
        assert!(!sealed.windows(8).any(|window| secret.windows(8).any(|part| part == window)));
        assert!(secrets.insert(held.secret));
    }
}

#[test]
fn n11_other_kinds_of_tokens_are_no_sealed_ones() {
    let sessions = sessions();
    let held = mint(&sessions, "ci");
    let sealed = held.token.rsplit_once('.').unwrap().1.to_owned();
    let others = [
        // A JWT, one that names no algorithm, a key of our own kinds, and what AWS hands out.
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln".to_owned(),
        "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.".to_owned(),
        format!("eyJhbGciOiJub25lIn0.{sealed}.{sealed}"),
        "FwoGZXIvYXdzEBYaD".to_owned(),
        held.secret.clone(),
        held.access_key_id.clone(),
        held.token.replacen("cf1", "cf2", 1),
        held.token.replacen("cf1", "CF1", 1),
        held.token.replacen("cf1.", "cf1..", 1),
        format!("Bearer {}", held.token),
        String::new(),
    ];
    for other in others {
        assert_eq!(open(&sessions, &held.access_key_id, &other), Err(OpenError::Malformed), "{other}");
    }
}

#[test]
fn nonces_do_not_repeat() {
    let sessions = sessions();
    let mut seen = HashSet::new();
    let mut keys = HashSet::new();
    for _ in 0..10_000 {
        let held = mint_at(&sessions, "ci", noon());
        assert!(seen.insert(parts(&held.token).2[..24].to_vec()));
        assert!(keys.insert(held.access_key_id));
    }
}
