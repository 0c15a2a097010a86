//! Every way to make a token say how it is to be verified.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::hmac;
use aws_lc_rs::signature::KeyPair;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use credfed_core::oidc::{Algorithm, Flaw, JwtError};
use serde_json::json;

use crate::support::{Key, all_keys, b64, claims, issuers, judge, jwks, refusal, trusted};

#[test]
fn each_algorithm_is_accepted_with_its_own_key() {
    let issuers = issuers(trusted(&all_keys()));
    for (key, kid) in
        [(Key::rsa(), "rsa"), (Key::p256(), "p256"), (Key::p384(), "p384"), (Key::ed25519(), "ed25519")]
    {
        assert_eq!(judge(&issuers, &key.token(kid)).unwrap().subject(), "caller", "{kid}");
    }
    let header = json!({"alg": "Ed25519", "kid": "ed25519"});
    assert!(judge(&issuers, &Key::ed25519().token_of(&header, &claims())).is_ok());
    let input =
        format!("{}.{}", b64(json!({"alg": "PS256", "kid": "rsa"}).to_string()), b64(claims().to_string()));
    assert!(judge(&issuers, &format!("{input}.{}", b64(Key::rsa().sign_pss(input.as_bytes())))).is_ok());
}

#[test]
fn a_public_key_is_no_secret_of_an_hmac() {
    let issuers = issuers(trusted(&all_keys()));
    let mut secrets: Vec<(&str, Vec<u8>)> = Vec::new();
    for (key, kid) in [(Key::rsa(), "rsa"), (Key::p256(), "p256"), (Key::p384(), "p384")] {
        let (raw, spki) = match key {
            Key::Rsa(pair) => (pair.public_key().as_ref().to_vec(), pair.public_key().as_der().unwrap()),
            Key::P256(pair) | Key::P384(pair) => {
                (pair.public_key().as_ref().to_vec(), pair.public_key().as_der().unwrap())
            }
            Key::Ed25519(_) => unreachable!(),
        };
        let wrapped: Vec<String> = STANDARD
            .encode(spki.as_ref())
            .as_bytes()
            .chunks(64)
            .map(|line| String::from_utf8(line.to_vec()).unwrap())
            .collect();
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----", wrapped.join("\n"));
        let jwk = key.jwk(kid);
        secrets.push((kid, raw));
        secrets.push((kid, spki.as_ref().to_vec()));
        secrets.push((kid, format!("{pem}\n").into_bytes()));
        secrets.push((kid, pem.into_bytes()));
        secrets.push((kid, jwk.to_string().into_bytes()));
        for member in ["n", "e", "x", "y"] {
            if let Some(text) = jwk[member].as_str() {
                secrets.push((kid, text.into()));
            }
        }
    }
    secrets.push(("rsa", Vec::new()));
    let hashes = [("HS256", hmac::HMAC_SHA256), ("HS384", hmac::HMAC_SHA384), ("HS512", hmac::HMAC_SHA512)];
    for (kid, secret) in secrets {
        for (name, hash) in hashes {
            // The honest name, and names of algorithms that the key does have.
            for alg in [name, &name.to_lowercase(), "RS256", "ES256", "ES384", "EdDSA", "PS256"] {
                let header = json!({"alg": alg, "kid": kid, "typ": "JWT"}).to_string();
                let input = format!("{}.{}", b64(header), b64(claims().to_string()));
                let tag = hmac::sign(&hmac::Key::new(hash, &secret), input.as_bytes());
                assert!(judge(&issuers, &format!("{input}.{}", b64(tag))).is_err(), "{alg} {kid}");
            }
        }
    }
}

#[test]
fn none_is_refused_in_all_spellings_with_or_without_a_signature() {
    let issuers = issuers(trusted(&all_keys()));
    let spellings = (0..16_u32).map(|bits| {
        let flip = |(index, letter): (usize, char)| {
            if bits >> index & 1 == 1 { letter.to_ascii_uppercase() } else { letter }
        };
        "none".chars().enumerate().map(flip).collect::<String>()
    });
    for alg in spellings.chain(["".into(), " none".into(), "none ".into(), "none\0".into(), "nоne".into()]) {
        for kid in [None, Some("rsa"), Some("p256")] {
            let header = match kid {
                Some(kid) => json!({"alg": alg, "kid": kid}),
                None => json!({"alg": alg}),
            };
            let input = format!("{}.{}", b64(header.to_string()), b64(claims().to_string()));
            for signature in [String::new(), "AA".into(), b64(Key::rsa().sign(input.as_bytes()))] {
                let error = refusal(&issuers, &format!("{input}.{signature}"));
                let flaw = if signature.is_empty() { Flaw::Parts } else { Flaw::Algorithm };
                assert_eq!(error, JwtError::Invalid(flaw), "{alg:?}");
            }
            assert_eq!(refusal(&issuers, &input), JwtError::Invalid(Flaw::Parts));
        }
    }
}

#[test]
fn algorithms_are_compared_byte_for_byte_and_unknown_ones_are_refused() {
    let issuers = issuers(trusted(&all_keys()));
    for alg in [
        json!("rs256"),
        json!("Rs256"),
        json!("RS256 "),
        json!("RS-256"),
        json!("RS384"),
        json!("RS512"),
        json!("RS1"),
        json!("PS384"),
        json!("PS512"),
        json!("ES512"),
        json!("ES256K"),
        json!("eddsa"),
        json!("Ed448"),
        json!("RSA-OAEP"),
        json!("dir"),
        json!("HS256"),
        json!(["RS256"]),
        json!({"a": "RS256"}),
        json!(256),
        json!(null),
        json!(true),
    ] {
        let token = Key::rsa().token_of(&json!({"alg": alg, "kid": "rsa"}), &claims());
        assert_eq!(refusal(&issuers, &token), JwtError::Invalid(Flaw::Algorithm), "{alg}");
    }
    let token = Key::rsa().token_of(&json!({"kid": "rsa"}), &claims());
    assert_eq!(refusal(&issuers, &token), JwtError::Invalid(Flaw::Algorithm));
}

#[test]
fn a_signature_of_one_algorithm_is_none_of_another() {
    let issuers = issuers(trusted(&all_keys()));
    let signed = |alg: &str, kid: &str, sign: &dyn Fn(&[u8]) -> Vec<u8>| {
        let header = json!({"alg": alg, "kid": kid}).to_string();
        let input = format!("{}.{}", b64(header), b64(claims().to_string()));
        let signature = sign(input.as_bytes());
        format!("{input}.{}", b64(signature))
    };
    let keys =
        [(Key::rsa(), "rsa"), (Key::p256(), "p256"), (Key::p384(), "p384"), (Key::ed25519(), "ed25519")];
    for (key, own) in keys {
        for (_, kid) in keys {
            for alg in ["RS256", "PS256", "ES256", "ES384", "EdDSA", "Ed25519"] {
                let fits = kid == own && (alg == key.algorithm() || (alg == "Ed25519" && own == "ed25519"));
                let token = signed(alg, kid, &|message| key.sign(message));
                assert_eq!(judge(&issuers, &token).is_ok(), fits, "{own} signs {alg} as {kid}");
            }
        }
    }
    let pss = |message: &[u8]| Key::rsa().sign_pss(message);
    assert!(judge(&issuers, &signed("RS256", "rsa", &pss)).is_err());
    assert!(judge(&issuers, &signed("PS256", "rsa", &pss)).is_ok());
}

#[test]
fn only_the_issuers_own_algorithms_count() {
    let issuers = issuers(trusted(&all_keys()).algorithms([Algorithm::Es256]));
    assert!(judge(&issuers, &Key::p256().token("p256")).is_ok());
    for (key, kid) in [(Key::rsa(), "rsa"), (Key::p384(), "p384"), (Key::ed25519(), "ed25519")] {
        assert_eq!(refusal(&issuers, &key.token(kid)), JwtError::Invalid(Flaw::Algorithm));
    }
}

#[test]
fn a_key_that_names_its_algorithm_is_good_for_no_other() {
    let mut rsa = Key::rsa().jwk("rsa");
    rsa["alg"] = json!("PS256");
    let issuers = issuers(trusted(&jwks(&[rsa])));
    assert_eq!(refusal(&issuers, &Key::rsa().token("rsa")), JwtError::Invalid(Flaw::Key));
}

#[test]
fn a_signature_of_zeros_or_of_the_wrong_length_is_refused() {
    let issuers = issuers(trusted(&all_keys()));
    for (alg, kid) in [("ES256", "p256"), ("ES384", "p384"), ("EdDSA", "ed25519"), ("RS256", "rsa")] {
        let header = json!({"alg": alg, "kid": kid}).to_string();
        let input = format!("{}.{}", b64(header), b64(claims().to_string()));
        for length in [1, 63, 64, 65, 95, 96, 97, 255, 256, 257, 4_000] {
            for byte in [0, 1, 0xff] {
                assert!(judge(&issuers, &format!("{input}.{}", b64(vec![byte; length]))).is_err());
            }
        }
    }
}
