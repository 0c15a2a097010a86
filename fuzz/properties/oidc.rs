//! What holds for every input of the fuzz targets of OpenID Connect. Run by the fuzzer, and by `cargo test` over the
//! corpus that is checked in.
#![allow(dead_code, reason = "each target uses its own")]

use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use credfed_core::oidc::{Algorithm, TrustedIssuer, TrustedIssuers};
use futures::FutureExt;
use serde_json::{Value, json};

const ISSUER: &str = "https://id.example.com";
const AUDIENCES: [&str; 2] = ["one", "two"];
const NOW: u64 = 1_800_000_000;

/// Input: any text; and its first two lines as header and payload that are signed with a good key. Tells whether that
/// was accepted.
pub(crate) fn jwt(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let keys = Keys::get();
    assert!(keys.judge(text).is_none(), "nobody has the keys");
    let Some((header, payload)) = text.split_once('\n') else { return false };
    let mut accepted = false;
    let input = format!("{}.{}", b64(header), b64(payload));
    for signature in [keys.p256(input.as_bytes()), keys.ed25519.sign(input.as_bytes()).as_ref().to_vec()] {
        let token = format!("{input}.{}", b64(signature));
        if keys.judge(&token).is_some() {
            keys.must_please_others(header, payload, &token);
            accepted = true;
        }
    }
    accepted
}

/// Input: a key set.
pub(crate) fn jwks(data: &[u8]) {
    let Ok(issuer) = TrustedIssuer::builder(ISSUER).audience("one").jwks(data).build() else { return };
    let document: Value = serde_json::from_slice(data).expect("a key set is json");
    let keys = document["keys"].as_array().expect("a key set has keys");
    assert!(keys.len() <= 64 && data.len() <= 256 * 1024);
    let usable: Vec<_> = issuer.fixed_keys().collect();
    assert!(!usable.is_empty());
    for (kid, algorithm) in usable {
        assert!(
            keys.iter().any(|key| key["kid"].as_str() == kid && may(key, algorithm)),
            "{kid:?} {algorithm}"
        );
    }
}

/// Whether a key may be used with an algorithm, judged by other code.
fn may(key: &Value, algorithm: Algorithm) -> bool {
    let length =
        |name: &str| key[name].as_str().and_then(|text| URL_SAFE_NO_PAD.decode(text).ok()).map(|it| it.len());
    let names: &[&str] = match algorithm {
        Algorithm::EdDsa => &["EdDSA", "Ed25519"],
        other => &[other.name()],
    };
    let of_type = match algorithm {
        Algorithm::Rs256 | Algorithm::Ps256 => {
            key["kty"] == "RSA"
                && length("n").is_some_and(|bytes| (256..=1024).contains(&bytes))
                && key["e"] != "AQ"
        }
        Algorithm::Es256 => key["kty"] == "EC" && key["crv"] == "P-256" && length("x") == Some(32),
        Algorithm::Es384 => key["kty"] == "EC" && key["crv"] == "P-384" && length("x") == Some(48),
        Algorithm::EdDsa => key["kty"] == "OKP" && key["crv"] == "Ed25519" && length("x") == Some(32),
        _ => false,
    };
    of_type
        && key.get("d").is_none()
        && key.get("use").is_none_or(|purpose| purpose == "sig")
        && key.get("alg").is_none_or(|name| names.iter().any(|one| name == one))
        && key
            .get("key_ops")
            .is_none_or(|all| all.as_array().is_some_and(|all| all.contains(&json!("verify"))))
}

/// Keys of this run, and a validator that trusts them.
struct Keys {
    p256: EcdsaKeyPair,
    ed25519: Ed25519KeyPair,
    issuers: TrustedIssuers,
    set: jsonwebtoken::jwk::JwkSet,
}

impl Keys {
    fn get() -> &'static Self {
        static KEYS: OnceLock<Keys> = OnceLock::new();
        KEYS.get_or_init(|| Self::new().expect("keys"))
    }

    fn new() -> Option<Self> {
        let p256 = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).ok()?;
        let ed25519 = Ed25519KeyPair::generate().ok()?;
        let (x, y) = p256.public_key().as_ref().get(1..)?.split_at(32);
        let set = json!({"keys": [
            {"kty": "EC", "crv": "P-256", "x": b64(x), "y": b64(y), "kid": "p"},
            {"kty": "OKP", "crv": "Ed25519", "x": b64(ed25519.public_key()), "kid": "e"},
        ]});
        let issuer =
            TrustedIssuer::builder(ISSUER).audiences(AUDIENCES).jwks(set.to_string()).build().ok()?;
        let set = serde_json::from_value(set).ok()?;
        Some(Self { p256, ed25519, issuers: TrustedIssuers::new([issuer]).ok()?, set })
    }

    fn p256(&self, message: &[u8]) -> Vec<u8> {
        let random = aws_lc_rs::rand::SystemRandom::new();
        self.p256.sign(&random, message).map(|signature| signature.as_ref().to_vec()).unwrap_or_default()
    }

    fn judge(&self, token: &str) -> Option<()> {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW);
        self.issuers.validate(token, now).now_or_never()?.ok().map(drop)
    }

    /// Whatever we accept, jsonwebtoken accepts by the same rules. It reads more of a header than we do, and does not
    /// know the newer name of Ed25519.
    fn must_please_others(&self, header: &str, payload: &str, token: &str) {
        let header: Value = serde_json::from_str(header).expect("accepted headers are json");
        let members = header.as_object().expect("accepted headers are objects");
        if members.keys().any(|name| !["alg", "kid", "typ"].contains(&name.as_str()))
            || header["alg"] == "Ed25519"
        {
            return;
        }
        let (kid, algorithm) = match header["alg"].as_str() {
            Some("ES256") => ("p", jsonwebtoken::Algorithm::ES256),
            Some("EdDSA") => ("e", jsonwebtoken::Algorithm::EdDSA),
            other => panic!("accepted with {other:?}"),
        };
        let mut rules = jsonwebtoken::Validation::new(algorithm);
        rules.set_issuer(&[ISSUER]);
        rules.set_audience(&AUDIENCES);
        rules.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        rules.validate_exp = false;
        let jwk = self.set.find(kid).expect("the key");
        let key = jsonwebtoken::DecodingKey::from_jwk(jwk).expect("the key");
        let read = jsonwebtoken::decode::<Value>(token, &key, &rules).expect("jsonwebtoken refuses it");
        assert_eq!(read.claims, serde_json::from_str::<Value>(payload).expect("claims are json"));
        let time = |name: &str| read.claims[name].as_f64();
        #[allow(clippy::cast_precision_loss, reason = "small")]
        let now = NOW as f64;
        assert!(time("exp").is_some_and(|exp| exp > now - 31.0 && exp < now + 86_400.0 + 61.0));
        assert!(time("iat").is_some_and(|iat| iat < now + 31.0));
        assert!(read.claims.get("nbf").is_none() || time("nbf").is_some_and(|nbf| nbf < now + 31.0));
    }
}

fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
