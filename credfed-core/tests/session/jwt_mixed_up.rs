//! Tokens of one kind where those of another belong: N11, N12, C1.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{EcdsaKeyPair, KeyPair};
use credfed_core::oidc::{
    Algorithm, AssertionClaims, Flaw, Issuer, IssuerState, JwtError, LocalSigner, TrustedIssuer,
    TrustedIssuers,
};
use credfed_core::session::{JwtSessions, OpenError, Scratch, SealedSessions};
use futures::FutureExt;
use serde_json::{Value, json};

use crate::jwt::{
    AUDIENCE, hold, hs256, input, join, json_of, mac, open, pair, public_jwk, signed_by, signing_key,
    with_token,
};
use crate::support::{HOUR, ISSUER, claims, mint, noon};

fn signer_of(pair: &EcdsaKeyPair) -> LocalSigner {
    LocalSigner::from_pkcs8_der(Algorithm::Es256, pair.to_pkcs8v1().unwrap().as_ref()).unwrap()
}

fn sign(pair: &EcdsaKeyPair, input: &str) -> String {
    join(input, pair.sign(&SystemRandom::new(), input.as_bytes()).unwrap())
}

fn with(value: &Value, name: &str, other: Value) -> Value {
    let mut value = value.clone();
    value[name] = other;
    value
}

#[test]
fn n12_a_public_key_is_never_the_secret_of_an_hmac() {
    let pair = pair();
    let sessions = signed_by(signer_of(&pair));
    let held = hold(&sessions, &claims("ci"));
    let (header, payload) = json_of(&held.token);
    let kid = header["kid"].as_str().unwrap();
    let point = pair.public_key().as_ref();
    let info = AsDer::<aws_lc_rs::encoding::PublicKeyX509Der<'_>>::as_der(pair.public_key()).unwrap();
    let jwk = public_jwk(&pair, Some(kid)).to_string();
    let keys: [&[u8]; 6] = [point, &point[1..], info.as_ref(), jwk.as_bytes(), kid.as_bytes(), b""];
    for key in keys {
        for algorithm in ["HS256", "HS384", "HS512", "hs256"] {
            let input = input(&with(&header, "alg", algorithm.into()), &payload);
            let verdict = open(&sessions, &with_token(&held, join(&input, mac(key, &input))));
            assert_eq!(verdict, Err(OpenError::Malformed), "{algorithm}");
        }
        // Under the name of the right algorithm it is no signature.
        let input = input(&header, &payload);
        let verdict = open(&sessions, &with_token(&held, join(&input, mac(key, &input))));
        assert_eq!(verdict, Err(OpenError::NotGenuine));
    }
    assert_eq!(open(&sessions, &held), Ok(()));
}

#[test]
fn n12_a_symmetric_verifier_takes_no_signature_and_an_asymmetric_one_no_mac() {
    let pair = pair();
    let hs = hs256();
    // One ring for both, so that everything else would fit.
    let keys = credfed_core::session::JwtSessionKeys::signing(signer_of(&pair)).unwrap();
    let es = JwtSessions::asymmetric(ISSUER, AUDIENCE, hs.ring().clone(), keys);
    let (by_hs, by_es) = (hold(&hs, &claims("ci")), hold(&es, &claims("ci")));
    assert_eq!(open(&hs, &by_es), Err(OpenError::Malformed));
    assert_eq!(open(&es, &by_hs), Err(OpenError::Malformed));
    let (header, payload) = json_of(&by_hs.token);
    for algorithm in ["ES256", "EdDSA", "RS256"] {
        let input = input(&with(&header, "alg", algorithm.into()), &payload);
        let tokens = [sign(&pair, &input), join(&input, mac(&signing_key(hs.ring()), &input))];
        for token in tokens {
            assert_eq!(open(&hs, &with_token(&by_hs, token)), Err(OpenError::Malformed), "{algorithm}");
        }
    }
}

#[test]
fn n12_no_other_algorithm_and_none_of_the_spellings_of_none_is_taken() {
    let pair = pair();
    let (es, hs) = (signed_by(signer_of(&pair)), hs256());
    let names = [
        "none", "None", "NONE", "nOnE", "", " ES256", "ES256 ", "es256", "ES384", "ES512", "PS256", "RS256",
        "HS384", "HS512", "hs256", "Ed448", "ES256K",
    ];
    for sessions in [&es, &hs] {
        let held = hold(sessions, &claims("ci"));
        let (header, payload) = json_of(&held.token);
        let signature = held.token.rsplit('.').next().unwrap();
        for name in names {
            let input = input(&with(&header, "alg", name.into()), &payload);
            let mut tokens = vec![format!("{input}."), input.clone(), format!("{input}.{signature}")];
            tokens.push(sign(&pair, &input));
            tokens.push(join(&input, mac(&signing_key(sessions.ring()), &input)));
            for token in tokens {
                assert_eq!(open(sessions, &with_token(&held, token)), Err(OpenError::Malformed), "{name}");
            }
        }
        for alg in [json!(null), json!(1), json!(["ES256"]), json!({})] {
            let input = input(&with(&header, "alg", alg), &payload);
            assert_eq!(open(sessions, &with_token(&held, sign(&pair, &input))), Err(OpenError::Malformed));
        }
    }
}

#[test]
fn a_key_in_the_header_means_nothing() {
    let (pair, own) = (pair(), pair());
    let sessions = signed_by(signer_of(&pair));
    let held = hold(&sessions, &claims("ci"));
    let (header, payload) = json_of(&held.token);
    let kid = header["kid"].as_str();
    for (name, value) in [
        ("jwk", public_jwk(&own, kid)),
        ("jku", json!("https://evil.example/jwks.json")),
        ("x5u", json!("https://evil.example/cert.pem")),
    ] {
        let input = input(&with(&header, name, value), &payload);
        assert_eq!(
            open(&sessions, &with_token(&held, sign(&own, &input))),
            Err(OpenError::NotGenuine),
            "{name}"
        );
    }
    let own_kid = with(&header, "kid", signer_of(&own).public_key().kid().into());
    let token = sign(&own, &input(&own_kid, &payload));
    assert_eq!(open(&sessions, &with_token(&held, token)), Err(OpenError::UnknownKey));
    let mut without = header.clone();
    without.as_object_mut().unwrap().remove("kid");
    let token = sign(&pair, &input(&without, &payload));
    assert_eq!(open(&sessions, &with_token(&held, token)), Err(OpenError::Malformed));
}

#[test]
fn n11_an_assertion_is_no_session_token_although_the_same_key_signed_it() {
    let pair = pair();
    let sessions = signed_by(signer_of(&pair));
    let held = hold(&sessions, &claims("ci"));
    let issuer = Issuer::builder(ISSUER).state(IssuerState::new(signer_of(&pair), noon())).build().unwrap();
    let about = AssertionClaims::new("gateway", AUDIENCE);
    let assertion = issuer.sign(&about, noon());
    let assertion = assertion.now_or_never().unwrap().unwrap().into_value();
    assert_eq!(open(&sessions, &with_token(&held, assertion.expose().to_owned())), Err(OpenError::Malformed));

    // One that says all that a session says, signed by the key and under the name of it.
    let (header, payload) = json_of(&held.token);
    assert_eq!(open(&sessions, &with_token(&held, sign(&pair, &input(&header, &payload)))), Ok(()));
    for typ in [
        json!("JWT"),
        json!("at+jwt"),
        json!("jwt"),
        json!(""),
        json!(null),
        json!(1),
        json!("credfed-session"),
    ] {
        let token = sign(&pair, &input(&with(&header, "typ", typ), &payload));
        assert_eq!(open(&sessions, &with_token(&held, token)), Err(OpenError::Malformed));
    }
    let mut untyped = header;
    untyped.as_object_mut().unwrap().remove("typ");
    let token = sign(&pair, &input(&untyped, &payload));
    assert_eq!(open(&sessions, &with_token(&held, token)), Err(OpenError::Malformed));
}

#[test]
fn n11_a_session_token_is_no_web_identity_although_the_issuer_has_its_key() {
    let pair = pair();
    let (es, hs) = (signed_by(signer_of(&pair)), hs256());
    let (by_es, by_hs) = (hold(&es, &claims("ci")), hold(&hs, &claims("ci")));
    let kid = json_of(&by_es.token).0["kid"].as_str().unwrap().to_owned();
    let trusted = TrustedIssuer::builder(ISSUER)
        .audience(AUDIENCE)
        .access_tokens(true)
        .jwks(json!({ "keys": [public_jwk(&pair, Some(&kid))] }).to_string())
        .build()
        .unwrap();
    let issuers = TrustedIssuers::new([trusted]).unwrap();
    let validate = |token: &str| issuers.validate(token, noon()).now_or_never().unwrap().map(drop);
    assert_eq!(validate(&by_es.token), Err(JwtError::Invalid(Flaw::Type)));
    assert_eq!(validate(&by_hs.token), Err(JwtError::Invalid(Flaw::Algorithm)));
    // It is the type alone that keeps it out.
    let (header, payload) = json_of(&by_es.token);
    let token = sign(&pair, &input(&with(&header, "typ", json!("JWT")), &payload));
    assert_eq!(validate(&token), Ok(()));
}

#[test]
fn n11_sealed_tokens_and_jwts_do_not_stand_in_for_each_other() {
    let hs = hs256();
    let sealed = SealedSessions::new(ISSUER, hs.ring().clone());
    let (jwt, cf1) = (hold(&hs, &claims("ci")), mint(&sealed, "ci"));
    assert_eq!(open(&hs, &cf1), Err(OpenError::Malformed));
    let mut scratch = Scratch::new();
    let opened = sealed.open(&jwt.access_key_id, &jwt.token, noon(), &mut scratch);
    assert_eq!(opened.err(), Some(OpenError::Malformed));
    // Neither is signed with a key that is known outside: the master itself, or that of the sealed secrets.
    let (header, payload) = json_of(&jwt.token);
    let input = input(&header, &payload);
    for key in [&jwt.secret, &cf1.secret] {
        let token = join(&input, mac(key.as_bytes(), &input));
        assert_eq!(open(&hs, &with_token(&jwt, token)), Err(OpenError::NotGenuine));
    }
    let late = hs.open(&jwt.access_key_id, &jwt.token, noon() + HOUR);
    assert_eq!(late.err(), Some(OpenError::Expired));
}

/// Whoever holds a secret of ours, or of a session, is no issuer: neither what a session signs its requests with nor
/// what a static key does makes a token.
#[test]
fn n12_neither_a_static_secret_nor_the_sessions_own_makes_a_token() {
    let sessions = hs256();
    let held = hold(&sessions, &claims("ci"));
    let (header, payload) = json_of(&held.token);
    let input = input(&header, &payload);
    assert_eq!(
        open(&sessions, &with_token(&held, join(&input, mac(&signing_key(sessions.ring()), &input)))),
        Ok(())
    );
    let root = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
    let derived = mac(format!("AWS4{}", held.secret).as_bytes(), "20261120");
    let keys: [&[u8]; 6] = [
        held.secret.as_bytes(),
        &derived,
        held.token.as_bytes(),
        held.access_key_id.as_bytes(),
        root.as_bytes(),
        &mac(format!("AWS4{root}").as_bytes(), "20261120"),
    ];
    for key in keys {
        let forged = with_token(&held, join(&input, mac(key, &input)));
        assert_eq!(open(&sessions, &forged), Err(OpenError::NotGenuine));
    }
}
