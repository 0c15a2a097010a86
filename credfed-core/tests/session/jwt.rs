//! Session tokens that are JWTs: threats B1 to B3 and C1, N10 to N12.

use std::collections::HashSet;
use std::time::{Duration, SystemTime};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use credfed_core::keyring::SharedKeyRing;
use credfed_core::oidc::{Algorithm, LocalSigner};
use credfed_core::session::{
    ClaimsError, JwtKeysError, JwtSessionKeys, JwtSessions, MintError, OpenError, Revocation, RevokedError,
    SessionClaims, SessionKind, looks_jwt, looks_sealed,
};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::support::{HOUR, Held, ISSUER, ROLE, claims, fitting_access_key_id, noon, ring};

pub(crate) const AUDIENCE: &str = "s3.example";
const SECOND: Duration = Duration::from_secs(1);

pub(crate) fn hs256() -> JwtSessions {
    JwtSessions::hs256(ISSUER, AUDIENCE, ring())
}

pub(crate) fn signed_by(signer: LocalSigner) -> JwtSessions {
    JwtSessions::asymmetric(ISSUER, AUDIENCE, ring(), JwtSessionKeys::signing(signer).unwrap())
}

fn asymmetric(algorithm: Algorithm) -> JwtSessions {
    signed_by(LocalSigner::generate(algorithm).unwrap())
}

fn each() -> [JwtSessions; 3] {
    [hs256(), asymmetric(Algorithm::Es256), asymmetric(Algorithm::EdDsa)]
}

pub(crate) fn hold(sessions: &JwtSessions, claims: &SessionClaims) -> Held {
    let keys = sessions.mint(claims, noon()).unwrap().into_value();
    Held {
        access_key_id: keys.access_key_id().to_owned(),
        secret: keys.secret_access_key().expose().to_owned(),
        token: keys.session_token().unwrap().expose().to_owned(),
    }
}

pub(crate) fn open(sessions: &JwtSessions, held: &Held) -> Result<(), OpenError> {
    open_at(sessions, held, noon())
}

fn open_at(sessions: &JwtSessions, held: &Held, now: SystemTime) -> Result<(), OpenError> {
    sessions.open(&held.access_key_id, &held.token, now).map(drop)
}

pub(crate) fn with_token(held: &Held, token: String) -> Held {
    Held { token, ..held.clone() }
}

pub(crate) fn json_of(token: &str) -> (Value, Value) {
    let part = |at: usize| {
        let bytes = URL_SAFE_NO_PAD.decode(token.split('.').nth(at).unwrap()).unwrap();
        serde_json::from_slice(&bytes).unwrap()
    };
    (part(0), part(1))
}

pub(crate) fn input(header: &Value, payload: &Value) -> String {
    let text = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", text(header), text(payload))
}

pub(crate) fn join(input: &str, signature: impl AsRef<[u8]>) -> String {
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
}

pub(crate) fn mac(key: &[u8], message: &str) -> Vec<u8> {
    Hmac::<Sha256>::new_from_slice(key).unwrap().chain_update(message).finalize().into_bytes().to_vec()
}

/// The key that signs, by hand, so that it cannot change without notice: HKDF-Expand (RFC 5869, section 2.3).
pub(crate) fn signing_key(ring: &SharedKeyRing) -> Vec<u8> {
    let text: Value = serde_json::from_str(ring.load().to_text().expose()).unwrap();
    let master = STANDARD.decode(text["keys"][0]["key"].as_str().unwrap()).unwrap();
    mac(&master, "credfed session jwt v1\u{1}")
}

fn user() -> SessionClaims {
    let user = "arn:aws:iam::123456789012:user/alice";
    SessionClaims::builder(SessionKind::SessionToken, user, noon(), noon() + HOUR).build().unwrap()
}

fn full() -> SessionClaims {
    SessionClaims::builder(SessionKind::WebIdentity, ROLE, noon(), noon() + HOUR)
        .session_name("ci")
        .subject("repo:a/b")
        .issuer("https://issuer.example")
        .source_identity("alice \u{fc} \"quoted\"")
        .policy("{\n\t\"Statement\": []\r\n}")
        .tag("Team", "storage", true)
        .tag("cost", "", false)
        .generation(u64::MAX)
        .build()
        .unwrap()
}

#[test]
fn a_session_opens_with_what_it_was_minted_with() {
    let assumed = SessionClaims::builder(SessionKind::AssumedRole, ROLE, noon(), noon() + HOUR)
        .session_name("x")
        .build()
        .unwrap();
    for sessions in each() {
        for claims in [&full(), &assumed, &user()] {
            let held = hold(&sessions, claims);
            // Twice: the second time from memory, if there is one.
            for _ in 0..2 {
                let session = sessions.open(&held.access_key_id, &held.token, noon()).unwrap();
                assert_eq!(session.claims(), claims);
                assert_eq!(session.secret_access_key().expose(), held.secret);
                assert_eq!(json_of(&held.token).1["jti"], session.id().to_string());
                assert_eq!(held.access_key_id, fitting_access_key_id(session.id().as_bytes()));
                assert!(!format!("{session:?} {sessions:?}").contains(&held.secret));
            }
            assert!(looks_jwt(&held.token) && !looks_sealed(&held.token));
            assert!(held.token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)));
        }
    }
}

#[test]
fn a_session_is_over_at_the_very_second_and_may_be_issued_a_minute_ahead_with_a_warm_memory() {
    for sessions in each() {
        let held = hold(&sessions, &user());
        let at = |now| open_at(&sessions, &held, now);
        for _ in 0..2 {
            assert_eq!(at(noon() - 60 * SECOND - Duration::from_nanos(1)), Err(OpenError::NotYet));
            assert_eq!(at(noon() - 60 * SECOND), Ok(()));
            assert_eq!(at(noon() + HOUR - Duration::from_nanos(1)), Ok(()));
            assert_eq!(at(noon() + HOUR), Err(OpenError::Expired));
            assert_eq!(at(SystemTime::UNIX_EPOCH - SECOND), Err(OpenError::NotYet));
        }
    }
}

#[test]
fn a_warm_memory_spares_the_signature_and_nothing_else() {
    let signer = LocalSigner::generate(Algorithm::Es256).unwrap();
    let public = signer.public_key().clone();
    let sessions = signed_by(signer);
    let (held, other) = (hold(&sessions, &claims("a")), hold(&sessions, &claims("b")));
    for held in [&held, &other, &held, &other] {
        assert_eq!(open(&sessions, held), Ok(()));
    }
    // The access key id of another session.
    assert_eq!(open(&sessions, &with_token(&other, held.token.clone())), Err(OpenError::OtherAccessKey));
    // One byte more or less is another token.
    for altered in [format!("{}A", held.token), held.token[..held.token.len() - 1].to_owned()] {
        assert!(open(&sessions, &with_token(&held, altered)).is_err());
    }
    // Epoch and hook.
    let revocation = Revocation::new();
    let judged = || {
        let session = sessions.open(&held.access_key_id, &held.token, noon()).unwrap();
        revocation.check(&session.claims().as_ref(), &session.id())
    };
    assert_eq!(judged(), Ok(()));
    revocation.revoke(ROLE, noon()).unwrap();
    assert_eq!(judged(), Err(RevokedError::Revoked));
    // Another key that signs: what the former one signed is refused, until it is among the keys that verify.
    let new = || JwtSessionKeys::signing(LocalSigner::generate(Algorithm::EdDsa).unwrap()).unwrap();
    sessions.replace_keys(new()).unwrap();
    assert_eq!(open(&sessions, &held), Err(OpenError::UnknownKey));
    sessions.replace_keys(new().and_key(&public).unwrap()).unwrap();
    assert_eq!(open(&sessions, &held), Ok(()));
    // The key of the ring that led to the secret.
    let ring = sessions.ring();
    let rotated = ring.load().rotate_at_once(noon() + SECOND).unwrap();
    let first = rotated.keys(noon()).next().unwrap().id;
    ring.replace(rotated);
    assert_eq!(open(&sessions, &held), Ok(()));
    let without = ring.load().remove(first, noon() + SECOND).unwrap();
    ring.replace(without);
    assert_eq!(open(&sessions, &held), Err(OpenError::UnknownKey));
}

#[test]
fn the_ring_rotates_under_hs256() {
    let sessions = hs256();
    let old = hold(&sessions, &user());
    let ring = sessions.ring();
    let rotated = ring.load().rotate_at_once(noon() + SECOND).unwrap();
    let first = rotated.keys(noon()).next().unwrap().id;
    ring.replace(rotated);
    let keys = sessions.mint(&user(), noon() + SECOND).unwrap().into_value();
    assert_ne!(json_of(keys.session_token().unwrap().expose()).0["kid"], json_of(&old.token).0["kid"]);
    assert_eq!(open(&sessions, &old), Ok(()));
    ring.replace(ring.load().remove(first, noon() + SECOND).unwrap());
    assert_eq!(open(&sessions, &old), Err(OpenError::UnknownKey));
    assert_eq!(sessions.replace_keys(keys_of(Algorithm::Es256).unwrap()), Err(JwtKeysError::Symmetric));
}

fn keys_of(algorithm: Algorithm) -> Result<JwtSessionKeys, JwtKeysError> {
    JwtSessionKeys::signing(LocalSigner::generate(algorithm).unwrap())
}

#[test]
fn keys_are_for_es256_and_eddsa_alone() {
    assert!(keys_of(Algorithm::Es256).is_ok() && keys_of(Algorithm::EdDsa).is_ok());
    assert_eq!(keys_of(Algorithm::Rs256).err(), Some(JwtKeysError::Algorithm));
    assert_eq!(JwtSessionKeys::of_set(b"{").err(), Some(JwtKeysError::Set));
    for unusable in [
        json!({ "keys": [] }),
        json!({ "keys": [{ "kty": "oct", "k": "AAAA", "kid": "a" }] }),
        json!({ "keys": [public_jwk(&pair(), None)] }),
    ] {
        let keys = JwtSessionKeys::of_set(unusable.to_string().as_bytes());
        assert_eq!(keys.err(), Some(JwtKeysError::Unusable), "{unusable}");
    }
}

#[test]
fn a_replica_that_only_verifies_mints_nothing() {
    let pair = pair();
    let ring = ring();
    let pkcs8 = pair.to_pkcs8v1().unwrap();
    let signer = LocalSigner::from_pkcs8_der(Algorithm::Es256, pkcs8.as_ref()).unwrap();
    let kid = signer.public_key().kid().to_owned();
    let keys = JwtSessionKeys::signing(signer).unwrap();
    let signs = JwtSessions::asymmetric(ISSUER, AUDIENCE, ring.clone(), keys);
    let set = json!({ "keys": [public_jwk(&pair, Some(&kid))] }).to_string();
    let verifies = |issuer: &str, audience: &str, ring: SharedKeyRing| {
        let keys = JwtSessionKeys::of_set(set.as_bytes()).unwrap();
        JwtSessions::asymmetric(issuer, audience, ring, keys)
    };
    let held = hold(&signs, &user());
    let here = verifies(ISSUER, AUDIENCE, ring.clone());
    assert_eq!(open(&here, &held), Ok(()));
    assert_eq!(here.mint(&user(), noon()).err(), Some(MintError::NoSigner));
    // Issuer and audience are compared whole, and the secret needs the ring.
    let other_issuer = verifies("https://sts.example/", AUDIENCE, ring.clone());
    assert_eq!(open(&other_issuer, &held), Err(OpenError::NotGenuine));
    assert_eq!(open(&verifies(ISSUER, "s3.exampl", ring), &held), Err(OpenError::NotGenuine));
    assert_eq!(open(&verifies(ISSUER, AUDIENCE, crate::support::ring()), &held), Err(OpenError::UnknownKey));
}

pub(crate) fn pair() -> EcdsaKeyPair {
    EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap()
}

pub(crate) fn public_jwk(pair: &EcdsaKeyPair, kid: Option<&str>) -> Value {
    let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
    let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let mut jwk = json!({ "kty": "EC", "crv": "P-256", "alg": "ES256", "x": text(x), "y": text(y) });
    if let Some(kid) = kid {
        jwk["kid"] = kid.into();
    }
    jwk
}

#[test]
fn nothing_is_minted_that_would_not_open() {
    let sessions = hs256();
    let claims =
        |from, to| SessionClaims::builder(SessionKind::SessionToken, ROLE, from, to).build().unwrap();
    let cases = [
        (claims(noon() - HOUR, noon()), Some(MintError::Times)),
        (claims(noon() + 61 * SECOND, noon() + HOUR), Some(MintError::Times)),
        (claims(noon() + 60 * SECOND, noon() + HOUR), None),
    ];
    for (claims, error) in cases {
        assert_eq!(sessions.mint(&claims, noon()).err(), error);
    }
    // What is most of JSON: quotes, and many tags.
    let with = |policy: usize, tags: usize| {
        let builder = SessionClaims::builder(SessionKind::AssumedRole, ROLE, noon(), noon() + HOUR);
        let builder = builder.session_name("ci").policy("\"".repeat(policy));
        let builder = (0..tags).fold(builder, |builder, n| builder.tag(format!("{n:02}"), "\"\\", true));
        builder.build().unwrap()
    };
    let held = hold(&sessions, &with(900, 50));
    assert!((2048..=8192).contains(&held.token.len()), "{}", held.token.len());
    assert_eq!(open(&sessions, &held), Ok(()));
    assert_eq!(sessions.mint(&with(1500, 50), noon()).err(), Some(MintError::TooLong));
}

#[test]
fn every_flip_of_one_bit_every_truncation_and_every_extension_is_refused() {
    for sessions in each() {
        let held = hold(&sessions, &user());
        assert_eq!(open(&sessions, &held), Ok(()));
        for bit in 0..held.token.len() * 8 {
            let mut text = held.token.clone().into_bytes();
            text[bit / 8] ^= 1 << (bit % 8);
            if let Ok(text) = String::from_utf8(text) {
                assert!(open(&sessions, &with_token(&held, text)).is_err(), "bit {bit}");
            }
        }
        for end in 0..held.token.len() {
            assert!(open(&sessions, &with_token(&held, held.token[..end].to_owned())).is_err(), "{end}");
        }
        for more in ["A", "AAAA", "=", ".", " ", "\n", "\0", ".x"] {
            for text in [format!("{}{more}", held.token), format!("{more}{}", held.token)] {
                assert!(open(&sessions, &with_token(&held, text)).is_err(), "{more:?}");
            }
        }
        let long = with_token(&held, format!("{}{}", held.token, "A".repeat(8192)));
        assert_eq!(open(&sessions, &long), Err(OpenError::Malformed));
    }
}

#[test]
fn the_parts_of_two_tokens_never_make_a_third() {
    for sessions in each() {
        let held: Vec<Held> = (0..4).map(|n| hold(&sessions, &claims(&format!("s{n}")))).collect();
        held.iter().for_each(|held| assert_eq!(open(&sessions, held), Ok(())));
        for n in 0..4_usize.pow(4) {
            let [a, b, c, d] = [n / 64, n / 16 % 4, n / 4 % 4, n % 4];
            let part = |which: usize, at: usize| held[which].token.split('.').nth(at).unwrap();
            let token = format!("{}.{}.{}", part(a, 0), part(b, 1), part(c, 2));
            // All headers are one.
            let verdict = open(&sessions, &Held { token, ..held[d].clone() });
            assert_eq!(verdict.is_ok(), b == c && c == d, "{a} {b} {c} {d}");
        }
    }
}

#[test]
fn n10_the_secret_moves_with_the_ring_alone_and_is_in_no_token() {
    // B1, N10: all that shows is the same, also to who has the key that signs.
    let mut secrets = HashSet::new();
    for sessions in each() {
        for _ in 0..50 {
            let held = hold(&sessions, &user());
            let secret = STANDARD.decode(&held.secret).unwrap();
            assert_eq!(secret.len(), 32);
            let signature = URL_SAFE_NO_PAD.decode(held.token.rsplit('.').next().unwrap()).unwrap();
            let (header, payload) = json_of(&held.token);
            let shown =
                [header.to_string().into_bytes(), payload.to_string().into_bytes(), signature].concat();
            assert!(!shown.windows(8).any(|window| secret.windows(8).any(|part| part == window)));
            assert!(!held.token.contains(held.secret.trim_end_matches('=')));
            assert!(secrets.insert(held.secret));
        }
    }
}

#[test]
fn a_token_signed_by_hand_opens_and_each_claim_is_required_and_of_its_type() {
    let sessions = hs256();
    let key = signing_key(sessions.ring());
    let held = hold(&sessions, &full());
    let (header, payload) = json_of(&held.token);
    let with = |header: &Value, payload: &Value| {
        let input = input(header, payload);
        open(&sessions, &with_token(&held, join(&input, mac(&key, &input))))
    };
    assert_eq!(with(&header, &payload), Ok(()), "the test signs as the code does");
    for name in ["iss", "aud", "sub", "iat", "exp", "jti", "key", "kind"] {
        let mut values =
            vec![json!(null), json!(""), json!([]), json!({}), json!(true), json!("x"), json!(-1)];
        if !["iat", "exp"].contains(&name) {
            values.push(json!(1_795_176_000));
        }
        for value in values {
            // `sub` may be any text.
            let fine = name == "sub" && value == json!("x");
            let mut payload = payload.clone();
            payload[name] = value;
            assert_eq!(with(&header, &payload).is_ok(), fine, "{name} {}", payload[name]);
        }
        let mut payload = payload.clone();
        payload.as_object_mut().unwrap().remove(name);
        assert!(with(&header, &payload).is_err(), "without {name}");
    }
    let malformed = Err(OpenError::Claims(ClaimsError::Malformed));
    let cases = [
        ("scope", json!("x"), malformed),
        ("nbf", json!(0), malformed),
        ("generation", json!(7), malformed),
        ("generation", json!("07"), malformed),
        ("generation", json!("+7"), malformed),
        ("generation", json!("18446744073709551616"), malformed),
        ("tags", json!([["a", "b"]]), malformed),
        ("tags", json!([["a", "b", "c"]]), malformed),
        ("tags", json!({ "a": "b" }), malformed),
        ("tags", json!([["a", "", true], ["A", "", true]]), Err(OpenError::Claims(ClaimsError::RepeatedTag))),
        ("aud", json!([AUDIENCE]), malformed),
        ("policy", json!(null), malformed),
        ("session_name", json!("x".repeat(65)), Err(OpenError::Claims(ClaimsError::TooLong("session name")))),
        ("kind", json!("session-token"), Err(OpenError::Claims(ClaimsError::Unexpected("session name")))),
        ("kind", json!("Assumed-Role"), malformed),
        ("exp", payload["iat"].clone(), Err(OpenError::Claims(ClaimsError::Times))),
        ("exp", json!("1795179600"), Err(OpenError::Claims(ClaimsError::Times))),
        ("exp", json!(1e300), Err(OpenError::Claims(ClaimsError::Times))),
    ];
    for (name, value, verdict) in cases {
        let mut payload = payload.clone();
        payload[name] = value;
        assert_eq!(with(&header, &payload), verdict, "{name} {}", payload[name]);
    }
    // The key that leads to the secret is the one that signed.
    let mut other = payload.clone();
    other["key"] = json!("0011223344556677");
    assert_eq!(with(&header, &other), Err(OpenError::NotGenuine));
    for (name, value) in [("kid", json!("0011223344556677")), ("kid", json!("x"))] {
        let mut header = header.clone();
        header[name] = value;
        assert_eq!(with(&header, &payload), Err(OpenError::UnknownKey));
    }
}
