//! Which keys of a set count, and which of them a token gets.

use credfed_core::oidc::{Flaw, JwtError, TrustedIssuers};
use serde_json::{Value, json};

use crate::support::{Key, all_keys, claims, issuers, judge, jwks, refusal, trusted};

/// A validator whose set has these keys, and a good one that shows that the set stayed.
fn with(keys: &[Value]) -> TrustedIssuers {
    let mut keys = keys.to_vec();
    keys.push(Key::ed25519().jwk("good"));
    let issuers = issuers(trusted(&jwks(&keys)));
    assert!(judge(&issuers, &Key::ed25519().token("good")).is_ok(), "the set stays");
    issuers
}

fn changed(key: &Key, changes: &[(&str, Option<Value>)]) -> Value {
    let mut jwk = key.jwk("k");
    for (name, value) in changes {
        match value {
            Some(value) => jwk[*name] = value.clone(),
            None => drop(jwk.as_object_mut().unwrap().remove(*name)),
        }
    }
    jwk
}

/// The very same point, with one byte of `y` at the end of `x`.
fn shifted(key: &Key) -> Vec<(&'static str, Option<Value>)> {
    use base64::Engine;
    let engine = base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let jwk = key.jwk("k");
    let part = |name: &str| engine.decode(jwk[name].as_str().unwrap()).unwrap();
    let (mut x, mut y) = (part("x"), part("y"));
    x.push(y.remove(0));
    vec![("x", Some(json!(crate::support::b64(x)))), ("y", Some(json!(crate::support::b64(y))))]
}

#[test]
fn keys_that_cannot_be_used_are_left_out_and_the_set_stays() {
    let set = |name: &'static str, value: Value| (name, Some(value));
    let big = |bits: usize| {
        let mut n = vec![0xff_u8; bits / 8];
        n[0] = 0x80;
        crate::support::b64(n)
    };
    let (rsa, p256, p384) = (Key::rsa(), Key::p256(), Key::p384());
    let x_of_another = Key::new_p256().jwk("k")["x"].clone();
    let padded = format!("{}=", rsa.jwk("k")["n"].as_str().unwrap());
    for (key, changes) in [
        (rsa, vec![set("use", json!("enc"))]),
        (rsa, vec![set("use", json!("SIG"))]),
        (rsa, vec![set("use", json!(["sig"]))]),
        (rsa, vec![set("key_ops", json!(["sign"]))]),
        (rsa, vec![set("key_ops", json!([]))]),
        (rsa, vec![set("key_ops", json!("verify"))]),
        (rsa, vec![set("alg", json!("RS512"))]),
        (rsa, vec![set("alg", json!("RSA-OAEP"))]),
        (rsa, vec![set("alg", json!("ES256"))]),
        (rsa, vec![set("alg", json!("HS256"))]),
        (rsa, vec![set("alg", json!(null))]),
        (rsa, vec![set("kty", json!("oct")), set("k", json!("AAAA"))]),
        (rsa, vec![set("kty", json!("rsa"))]),
        (rsa, vec![("kty", None)]),
        (rsa, vec![set("kid", json!(7))]),
        (rsa, vec![set("d", json!("AAAA"))]),
        (rsa, vec![set("n", json!(big(1024)))]),
        (rsa, vec![set("n", json!(big(2040)))]),
        (rsa, vec![set("n", json!(big(8200)))]),
        (rsa, vec![set("n", json!(big(16384)))]),
        (rsa, vec![set("n", json!(padded))]),
        (rsa, vec![set("n", json!(""))]),
        (rsa, vec![("n", None)]),
        (rsa, vec![set("e", json!("AQ"))]),
        (rsa, vec![set("e", json!("AA"))]),
        (rsa, vec![set("e", json!("Ag"))]),
        (rsa, vec![set("e", json!("AAEAAQ"))]),
        (rsa, vec![set("e", json!("_________w"))]),
        (rsa, vec![set("e", json!(65537))]),
        (p256, vec![set("crv", json!("P-384"))]),
        (p256, vec![set("crv", json!("secp256k1"))]),
        (p256, vec![set("crv", json!("P-521"))]),
        (p256, vec![("crv", None)]),
        (p256, vec![set("x", json!("AAAA"))]),
        (p256, vec![set("x", x_of_another)]),
        (p256, vec![set("y", json!(crate::support::b64([0; 32])))]),
        (p256, shifted(p256)),
        (p256, vec![set("alg", json!("ES384"))]),
        (p384, vec![set("crv", json!("P-256"))]),
    ] {
        let issuers = with(&[changed(key, &changes)]);
        assert_eq!(refusal(&issuers, &key.token("k")), JwtError::Invalid(Flaw::Key), "{changes:?}");
    }
    with(&[
        json!(null),
        json!(7),
        json!("key"),
        json!([]),
        json!({}),
        json!({"kty": "OKP", "crv": "X25519", "x": "AAAA"}),
    ]);
}

#[test]
fn what_a_key_may_leave_out_or_say_besides() {
    let set = |name: &'static str, value: Value| (name, Some(value));
    let rsa = Key::rsa();
    for changes in [
        vec![],
        vec![set("use", json!("sig")), set("alg", json!("RS256"))],
        vec![set("key_ops", json!(["verify", "encrypt"]))],
        vec![set("x5c", json!(["AAAA"])), set("x5t", json!("AAAA")), set("issuer", json!("x"))],
        vec![set("crv", json!("P-256"))],
    ] {
        assert!(judge(&with(&[changed(rsa, &changes)]), &rsa.token("k")).is_ok(), "{changes:?}");
    }
}

#[test]
fn a_key_is_found_by_its_exact_id_and_the_algorithm() {
    let (one, other) = (Key::new_p256(), Key::new_p256());
    let issuers = with(&[one.jwk("one"), other.jwk("other"), Key::rsa().jwk("one")]);
    assert!(judge(&issuers, &one.token("one")).is_ok());
    assert!(
        judge(&issuers, &Key::rsa().token("one")).is_ok(),
        "an id may be shared by keys of different types"
    );
    assert_eq!(refusal(&issuers, &one.token("other")), JwtError::Invalid(Flaw::Signature));
    for kid in ["One", "one ", "", "on", "one\u{0}", "../one"] {
        assert_eq!(refusal(&issuers, &one.token(kid)), JwtError::Invalid(Flaw::Key), "{kid:?}");
    }
    for kid in [json!(null), json!(1), json!(["one"])] {
        let token = one.token_of(&json!({"alg": "ES256", "kid": kid}), &claims());
        assert_eq!(refusal(&issuers, &token), JwtError::Invalid(Flaw::Key));
    }
}

#[test]
fn two_keys_of_one_id_and_one_algorithm_are_none() {
    let (one, other) = (Key::new_p256(), Key::new_p256());
    let issuers = with(&[one.jwk("k"), other.jwk("k")]);
    assert_eq!(refusal(&issuers, &one.token("k")), JwtError::Invalid(Flaw::Key));
    assert_eq!(refusal(&issuers, &other.token("k")), JwtError::Invalid(Flaw::Key));
}

#[test]
fn without_an_id_there_must_be_one_key_that_fits() {
    let unnamed = |key: &Key| key.token_of(&json!({"alg": key.algorithm()}), &claims());
    let single = with(&[Key::rsa().jwk("rsa"), Key::p256().jwk("p256")]);
    assert!(judge(&single, &unnamed(Key::rsa())).is_ok());
    assert!(judge(&single, &unnamed(Key::p256())).is_ok());
    assert_eq!(refusal(&single, &unnamed(Key::p384())), JwtError::Invalid(Flaw::Key));
    let several = with(&[Key::rsa().jwk("a"), Key::other_rsa().jwk("b")]);
    assert_eq!(refusal(&several, &unnamed(Key::rsa())), JwtError::Invalid(Flaw::Key));
    // A key without an id is not the one of a token's id.
    let mut jwk = Key::p256().jwk("");
    jwk.as_object_mut().unwrap().remove("kid");
    let nameless = with(&[jwk]);
    assert!(judge(&nameless, &unnamed(Key::p256())).is_ok());
    assert_eq!(refusal(&nameless, &Key::p256().token("p256")), JwtError::Invalid(Flaw::Key));
}

#[test]
fn a_document_that_is_no_set_of_keys_is_refused_whole() {
    let key = Key::p256().jwk("p256");
    let many = |count: usize| jwks(&vec![key.clone(); count]);
    assert!(trusted(&many(64)).build().is_ok());
    let twice = all_keys().replacen('{', "{\"keys\":[],", 1);
    let long = all_keys().replacen('{', &format!("{{\"padding\":\"{}\",", "x".repeat(256 * 1024)), 1);
    for text in [
        "",
        "[]",
        "null",
        "{}",
        "{\"keys\":null}",
        "{\"keys\":{}}",
        "<html></html>",
        &many(65),
        &twice,
        &long,
    ] {
        assert!(trusted(text).build().is_err(), "{text:.40}");
    }
}
