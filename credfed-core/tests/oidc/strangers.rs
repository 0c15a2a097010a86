//! Strangers' software on the other side: the `jsonwebtoken` crate reads our assertions, and we read its tokens.

use aws_lc_rs::encoding::AsDer;
use credfed_core::oidc::{Algorithm, AssertionClaims, Issuer, IssuerState, LocalSigner, PublicJwk};
use futures::executor::block_on;
use jsonwebtoken::jwk::{Jwk, JwkSet, ThumbprintHash};
use jsonwebtoken::{DecodingKey, EncodingKey, Header, Validation};
use serde_json::Value;

use crate::support::{AUDIENCE, ISSUER, Key, NOW, claims, issuers, judge, jwks, now, trusted};

fn validation(algorithm: jsonwebtoken::Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.set_issuer(&[ISSUER]);
    validation.set_audience(&[AUDIENCE]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub", "nbf"]);
    validation.validate_exp = false;
    validation
}

#[test]
fn jsonwebtoken_accepts_our_assertions_and_names_our_keys_as_we_do() {
    for (ours, theirs) in [
        (Algorithm::Rs256, jsonwebtoken::Algorithm::RS256),
        (Algorithm::Es256, jsonwebtoken::Algorithm::ES256),
        (Algorithm::EdDsa, jsonwebtoken::Algorithm::EdDSA),
    ] {
        let state = IssuerState::new(LocalSigner::generate(ours).unwrap(), now());
        let issuer = Issuer::builder(ISSUER).state(state).build().unwrap();
        let claims = AssertionClaims::new("gateway", AUDIENCE).claim("team", "storage").unwrap();
        let assertion = block_on(issuer.sign(&claims, now())).unwrap().into_value();
        let set: JwkSet = serde_json::from_slice(&issuer.jwks(now())).unwrap();
        let header = jsonwebtoken::decode_header(assertion.expose()).unwrap();
        let jwk: &Jwk = set.find(&header.kid.unwrap()).unwrap();
        assert_eq!(jwk.thumbprint(ThumbprintHash::SHA256).unwrap(), *jwk.common.key_id.as_ref().unwrap());
        let key = DecodingKey::from_jwk(jwk).unwrap();
        let read = jsonwebtoken::decode::<Value>(assertion.expose(), &key, &validation(theirs)).unwrap();
        assert_eq!(
            (read.claims["sub"].as_str(), read.claims["team"].as_str()),
            (Some("gateway"), Some("storage"))
        );
        assert_eq!((read.claims["iat"].as_u64(), read.claims["exp"].as_u64()), (Some(NOW), Some(NOW + 600)));
        // And our own validator accepts them too.
        let keys = String::from_utf8(issuer.jwks(now()).to_vec()).unwrap();
        assert_eq!(judge(&issuers(trusted(&keys)), assertion.expose()).unwrap().subject(), "gateway");
    }
}

#[test]
fn we_accept_what_jsonwebtoken_signs() {
    for key in [Key::rsa(), Key::p256(), Key::p384(), Key::ed25519()] {
        let (pairs, encoding) = match key {
            Key::Rsa(pair) => {
                let pkcs8 = pair.as_der().unwrap();
                let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", {
                    use base64::Engine;
                    base64::engine::general_purpose::STANDARD.encode(pkcs8.as_ref())
                });
                let encoding = EncodingKey::from_rsa_pem(pem.as_bytes()).unwrap();
                (vec![jsonwebtoken::Algorithm::RS256, jsonwebtoken::Algorithm::PS256], encoding)
            }
            Key::P256(pair) => {
                let der = pair.to_pkcs8v1().unwrap();
                (vec![jsonwebtoken::Algorithm::ES256], EncodingKey::from_ec_der(der.as_ref()))
            }
            Key::P384(pair) => {
                let der = pair.to_pkcs8v1().unwrap();
                (vec![jsonwebtoken::Algorithm::ES384], EncodingKey::from_ec_der(der.as_ref()))
            }
            Key::Ed25519(pair) => {
                let der = pair.to_pkcs8v1().unwrap();
                (vec![jsonwebtoken::Algorithm::EdDSA], EncodingKey::from_ed_der(der.as_ref()))
            }
        };
        let issuers = issuers(trusted(&jwks(&[key.jwk("theirs")])));
        for algorithm in pairs {
            let mut header = Header::new(algorithm);
            header.kid = Some("theirs".into());
            let token = jsonwebtoken::encode(&header, &claims(), &encoding).unwrap();
            assert_eq!(judge(&issuers, &token).unwrap().subject(), "caller", "{algorithm:?}");
            header.kid = None;
            let token = jsonwebtoken::encode(&header, &claims(), &encoding).unwrap();
            assert!(judge(&issuers, &token).is_ok(), "{algorithm:?}");
        }
    }
}

#[test]
fn a_key_read_from_a_kms_answer_has_the_id_that_jsonwebtoken_computes() {
    use aws_lc_rs::signature::KeyPair;
    let Key::Rsa(pair) = Key::rsa() else { unreachable!() };
    let spki = pair.public_key().as_der().unwrap();
    let ours = PublicJwk::from_spki_der(Algorithm::Rs256, spki.as_ref()).unwrap();
    let theirs: Jwk = serde_json::from_value(Key::rsa().jwk("x")).unwrap();
    assert_eq!(ours.kid(), theirs.thumbprint(ThumbprintHash::SHA256).unwrap());
    assert!(PublicJwk::from_spki_der(Algorithm::Es256, spki.as_ref()).is_err());
    let Key::P384(pair) = Key::p384() else { unreachable!() };
    let spki = pair.public_key().as_der().unwrap();
    assert!(PublicJwk::from_spki_der(Algorithm::Es384, spki.as_ref()).is_ok());
    assert!(PublicJwk::from_spki_der(Algorithm::Es256, spki.as_ref()).is_err());
}
