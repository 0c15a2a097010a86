//! The identity provider that we are.

use std::time::Duration;

use credfed_core::oidc::{
    Algorithm, AssertionClaims, AssertionSigner, AssertionValue, Issuer, IssuerState, KeyTimes, LocalSigner,
    Network, PublicJwk,
};
use credfed_core::{ErrorKind, Provider, ProviderError, VirtualRuntime};
use futures::executor::block_on;
use serde_json::{Value, json};

use crate::support::{AUDIENCE, ISSUER, NOW, at, issuers, judge, now, trusted};

const HOUR: Duration = Duration::from_secs(3600);

fn key() -> LocalSigner {
    LocalSigner::generate(Algorithm::Es256).unwrap()
}

fn issuer() -> Issuer {
    Issuer::builder(ISSUER).state(IssuerState::new(key(), now())).build().unwrap()
}

fn parts(token: &str) -> (Value, Value) {
    use base64::Engine;
    let read = |part: &str| {
        let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part).unwrap();
        serde_json::from_slice(&bytes).unwrap()
    };
    let parts: Vec<&str> = token.split('.').collect();
    (read(parts[0]), read(parts[1]))
}

fn kids(issuer: &Issuer, seconds: u64) -> Vec<String> {
    let set: Value = serde_json::from_slice(&issuer.jwks(at(seconds))).unwrap();
    set["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

fn signed_by(issuer: &Issuer, seconds: u64) -> String {
    let claims = AssertionClaims::new("gateway", AUDIENCE);
    let token = block_on(issuer.sign(&claims, at(seconds))).unwrap().into_value();
    parts(token.expose()).0["kid"].as_str().unwrap().to_owned()
}

#[test]
fn an_assertion_says_what_it_should_and_nothing_else() {
    let claims = AssertionClaims::new("gateway", AUDIENCE)
        .claim(
            "https://aws.amazon.com/tags",
            AssertionValue::Object(vec![(
                "principal_tags".into(),
                AssertionValue::Object(vec![("team".into(), vec!["storage"].into())]),
            )]),
        )
        .unwrap()
        .claim("level", 7)
        .unwrap()
        .claim("human", false)
        .unwrap();
    let token = block_on(issuer().sign(&claims, now() + Duration::from_millis(999))).unwrap();
    assert_eq!(token.lifetime(now()), Some(Duration::from_secs(600)));
    let (header, payload) = parts(token.value().expose());
    assert_eq!((header["alg"].as_str(), header["typ"].as_str()), (Some("ES256"), Some("JWT")));
    assert_eq!(header.as_object().unwrap().len(), 3);
    let id = payload["jti"].as_str().unwrap();
    assert_eq!(id.len(), 22);
    assert_eq!(
        payload,
        json!({
            "iss": ISSUER, "sub": "gateway", "aud": AUDIENCE, "iat": NOW, "nbf": NOW, "exp": NOW + 600, "jti": id,
            "https://aws.amazon.com/tags": {"principal_tags": {"team": ["storage"]}}, "level": 7, "human": false,
        })
    );
    let several = AssertionClaims::new("gateway", AUDIENCE).audience("second");
    let token = block_on(issuer().sign(&several, now())).unwrap().into_value();
    assert_eq!(parts(token.expose()).1["aud"], json!([AUDIENCE, "second"]));
}

#[test]
fn extra_claims_do_not_overwrite_the_issuers_own() {
    for name in ["iss", "sub", "aud", "iat", "nbf", "exp", "jti"] {
        let error = AssertionClaims::new("gateway", AUDIENCE).claim(name, "x").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misconfigured);
    }
    let twice = AssertionClaims::new("gateway", AUDIENCE).claim("a", 1).unwrap().claim("a", 2);
    assert!(twice.is_err());
}

#[test]
fn what_makes_no_assertion_is_refused() {
    let issuer = issuer();
    let sign = |claims: AssertionClaims| {
        block_on(issuer.sign(&claims, now())).map(drop).map_err(|error| error.kind())
    };
    let wrong = Err(ErrorKind::Misconfigured);
    assert_eq!(sign(AssertionClaims::new("", AUDIENCE)), wrong);
    assert_eq!(sign(AssertionClaims::new("gateway", "")), wrong);
    assert_eq!(sign(AssertionClaims::new("gateway", AUDIENCE).audience("")), wrong);
    for lifetime in [Duration::ZERO, Duration::from_millis(999), Duration::from_secs(86_401), Duration::MAX] {
        assert_eq!(sign(AssertionClaims::new("gateway", AUDIENCE).lifetime(lifetime)), wrong);
        assert!(
            Issuer::builder(ISSUER)
                .state(IssuerState::new(key(), now()))
                .assertion_lifetime(lifetime)
                .build()
                .is_err()
        );
    }
    assert_eq!(sign(AssertionClaims::new("gateway", AUDIENCE).lifetime(HOUR)), Ok(()));
    let early = block_on(issuer.sign(&AssertionClaims::new("gateway", AUDIENCE), at(NOW - 1)));
    assert_eq!(early.unwrap_err().kind(), ErrorKind::Misconfigured, "its key begins later");
    assert!(Issuer::builder(ISSUER).build().is_err());
    for url in [
        "http://id.example.com",
        "https://id.example.com?a",
        "https://id.example.com#a",
        "https://a@b.c",
        "x",
        "",
    ] {
        assert!(Issuer::builder(url).state(IssuerState::new(key(), now())).build().is_err(), "{url}");
    }
}

#[test]
fn each_call_of_the_source_makes_a_new_assertion_and_its_identity_holds_all_of_it() {
    let runtime = VirtualRuntime::new(now());
    let state = IssuerState::new(key(), now());
    let builder = || Issuer::builder(ISSUER).state(state.clone()).runtime(runtime.clone());
    let issuer = builder().build().unwrap();
    let claims = AssertionClaims::new("gateway", AUDIENCE);
    let source = issuer.assertions(claims.clone());
    let first = block_on(source.provide()).unwrap().into_value();
    runtime.advance(Duration::from_secs(5));
    let second = block_on(source.provide()).unwrap().into_value();
    let (first, second) = (parts(first.expose()).1, parts(second.expose()).1);
    assert_ne!(first["jti"], second["jti"]);
    assert_eq!(second["iat"], json!(NOW + 5));
    assert!(!format!("{source:?}").contains("gateway"));

    let shorter = builder().assertion_lifetime(Duration::from_secs(60)).build().unwrap();
    let elsewhere = Issuer::builder("https://other.example.com").state(state.clone()).build().unwrap();
    let identities: std::collections::HashSet<_> = [
        source.identity(),
        shorter.assertions(claims.clone()).identity(),
        elsewhere.assertions(claims.clone()).identity(),
        issuer.assertions(AssertionClaims::new("other", AUDIENCE)).identity(),
        issuer.assertions(AssertionClaims::new("gateway", "other")).identity(),
        issuer.assertions(claims.clone().audience("other")).identity(),
        issuer.assertions(claims.clone().lifetime(HOUR)).identity(),
        issuer.assertions(claims.clone().claim("a", "1").unwrap()).identity(),
        issuer.assertions(claims.clone().claim("a", 1).unwrap()).identity(),
        issuer.assertions(claims.clone().claim("b", "1").unwrap()).identity(),
    ]
    .into();
    assert_eq!(identities.len(), 10);
    assert_eq!(source.identity(), builder().build().unwrap().assertions(claims).identity());
}

#[test]
fn a_key_is_published_first_signs_later_and_is_retired_after_the_longest_life_and_the_one_that_signs_comes_first()
 {
    let mut state = IssuerState::new(key(), now());
    let old = state.keys().next().unwrap().0.kid().to_owned();
    let next = key();
    let new = next.public_key().kid().to_owned();
    state.rotate(next, at(NOW + 100), HOUR, Duration::from_secs(900)).unwrap();
    let issuer = Issuer::builder(ISSUER).state(state.clone()).build().unwrap();
    let activate = NOW + 100 + 3_600;
    for (seconds, published, signs) in [
        (NOW, vec![&old], &old),
        (NOW + 99, vec![&old], &old),
        (NOW + 100, vec![&old, &new], &old),
        (activate - 1, vec![&old, &new], &old),
        (activate, vec![&new, &old], &new),
        (activate + 899, vec![&new, &old], &new),
        (activate + 900, vec![&new], &new),
        (activate + 1_000_000, vec![&new], &new),
    ] {
        assert_eq!(kids(&issuer, seconds).iter().collect::<Vec<_>>(), published, "{}", seconds - NOW);
        assert_eq!(signed_by(&issuer, seconds), *signs, "{}", seconds - NOW);
    }
    assert!(state.rotate(key(), at(u64::MAX / 4), Duration::MAX, HOUR).is_err());
    assert_eq!(state.keys().count(), 2, "all or nothing");
    state.rotate(key(), at(activate + 900), HOUR, HOUR).unwrap();
    assert_eq!(state.keys().count(), 2, "the retired one is gone");
}

#[test]
fn a_state_survives_a_restart() {
    for algorithm in [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa] {
        let mut state = IssuerState::new(LocalSigner::generate(algorithm).unwrap(), now());
        state.rotate(key(), at(NOW), HOUR, HOUR).unwrap();
        let text = state.to_text().unwrap();
        let again = IssuerState::parse(text.expose()).unwrap();
        assert_eq!(again.to_text().unwrap(), text);
        let keys: Vec<_> = state.keys().collect();
        assert_eq!(again.keys().collect::<Vec<_>>(), keys);
        let (before, after) = (
            Issuer::builder(ISSUER).state(state.clone()).build().unwrap(),
            Issuer::builder(ISSUER).state(again).build().unwrap(),
        );
        assert_eq!(before.jwks(now()), after.jwks(now()));
        let token =
            block_on(after.sign(&AssertionClaims::new("gateway", AUDIENCE), now())).unwrap().into_value();
        let keys = String::from_utf8(before.jwks(now()).to_vec()).unwrap();
        assert!(judge(&issuers(trusted(&keys)), token.expose()).is_ok());
        let private = text.expose().split("\"pkcs8\": \"").nth(1).unwrap().split('"').next().unwrap();
        assert!(private.len() > 60 && !format!("{state:?}{after:?}").contains(private));
    }
}

#[test]
fn a_state_that_breaks_a_rule_is_refused_whole_and_the_last_good_one_stays() {
    let mut state = IssuerState::new(key(), now());
    state.rotate(key(), at(NOW), HOUR, HOUR).unwrap();
    let text = state.to_text().unwrap();
    let good: Value = serde_json::from_str(text.expose()).unwrap();
    let issuer = Issuer::builder(ISSUER).state(state.clone()).build().unwrap();
    let (published, signs) = (kids(&issuer, NOW), signed_by(&issuer, NOW));
    let edits: [fn(&mut Value); 17] = [
        |state| state["version"] = json!(2),
        |state| state["extra"] = json!(1),
        |state| state["keys"] = json!([]),
        |state| state["keys"] = json!(null),
        |state| state["keys"][0]["extra"] = json!(1),
        |state| state["keys"][0]["alg"] = json!("HS256"),
        |state| state["keys"][0]["alg"] = json!("RS256"),
        |state| state["keys"][0]["kid"] = json!("x"),
        |state| state["keys"][0]["kid"] = state["keys"][1]["kid"].clone(),
        |state| state["keys"][0] = state["keys"][1].clone(),
        |state| state["keys"][0]["pkcs8"] = json!("AAAA"),
        |state| state["keys"][0]["pkcs8"] = json!("****"),
        |state| state["keys"][0]["publish"] = json!(-1),
        |state| state["keys"][0]["publish"] = json!(NOW + 1),
        |state| state["keys"][0]["retire"] = json!(NOW),
        |state| state["keys"][0]["x5c"] = json!(["AAAA"]),
        |state| drop(state["keys"][0].as_object_mut().unwrap().remove("activate")),
    ];
    let mut bad: Vec<String> = edits
        .iter()
        .map(|edit| {
            let mut state = good.clone();
            edit(&mut state);
            state.to_string()
        })
        .collect();
    bad.push(String::new());
    bad.push(text.expose()[..text.len() / 2].to_owned());
    bad.push(text.expose().replacen("\"version\": 1,", "\"version\": 1, \"version\": 1,", 1));
    for text in bad {
        let error = issuer.reload(&text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misconfigured);
        assert_eq!((kids(&issuer, NOW), signed_by(&issuer, NOW)), (published.clone(), signs.clone()));
    }
    let other = IssuerState::new(key(), now());
    issuer.reload(other.to_text().unwrap().expose()).unwrap();
    assert_eq!(kids(&issuer, NOW), [other.keys().next().unwrap().0.kid()]);
}

#[test]
fn the_documents_name_each_other() {
    let state = || IssuerState::new(key(), now());
    for (url, stem) in [
        (ISSUER, "https://id.example.com"),
        ("https://id.example.com/", "https://id.example.com"),
        ("https://id.example.com/a/b", "https://id.example.com/a/b"),
        ("https://id.example.com/a/", "https://id.example.com/a"),
    ] {
        let issuer = Issuer::builder(url).state(state()).build().unwrap();
        let document: Value = serde_json::from_slice(&issuer.discovery_document()).unwrap();
        assert_eq!(document["issuer"], json!(url));
        assert_eq!(document["jwks_uri"], json!(format!("{stem}/.well-known/jwks.json")));
        assert_eq!(document["id_token_signing_alg_values_supported"], json!(["ES256"]));
        let path = stem.strip_prefix(ISSUER).unwrap();
        let expected =
            (format!("{path}/.well-known/openid-configuration"), format!("{path}/.well-known/jwks.json"));
        assert_eq!(issuer.paths(), expected);
    }
    let local = Issuer::builder("http://127.0.0.1:8080").network(Network::Loopback).state(state()).build();
    assert_eq!(local.unwrap().jwks_uri(), "http://127.0.0.1:8080/.well-known/jwks.json");
}

#[derive(Debug)]
struct Kms {
    signer: LocalSigner,
    claims_to_be: PublicJwk,
}

impl AssertionSigner for Kms {
    fn public_key(&self) -> &PublicJwk {
        &self.claims_to_be
    }

    async fn sign(&self, message: Vec<u8>) -> Result<Vec<u8>, ProviderError> {
        self.signer.sign(message).await
    }
}

#[test]
fn a_signer_of_ones_own_signs_and_what_does_not_fit_its_key_does_not_go_out() {
    let signer = key();
    let public = signer.public_key().clone();
    let issuer =
        Issuer::builder(ISSUER).signer(Kms { signer, claims_to_be: public.clone() }, KeyTimes::from(now()));
    let issuer = issuer.publish(key().public_key().clone(), KeyTimes::from(now())).build().unwrap();
    assert_eq!(kids(&issuer, NOW).len(), 2);
    assert_eq!(signed_by(&issuer, NOW), public.kid());
    let wrong = Kms { signer: key(), claims_to_be: public };
    let issuer = Issuer::builder(ISSUER).signer(wrong, KeyTimes::from(now())).build().unwrap();
    let error = block_on(issuer.sign(&AssertionClaims::new("gateway", AUDIENCE), now())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transient);
}

/// A certificate of a key, as little of one as has a place for it: DER by hand.
fn certificate(spki: &[u8]) -> Vec<u8> {
    fn element(tag: u8, contents: &[u8]) -> Vec<u8> {
        let length = contents.len();
        let mut out = vec![tag];
        match length {
            0..=0x7f => out.push(u8::try_from(length).unwrap()),
            0x80..=0xff => out.extend([0x81, u8::try_from(length).unwrap()]),
            _ => out.extend([0x82, u8::try_from(length >> 8).unwrap(), u8::try_from(length & 0xff).unwrap()]),
        }
        out.extend(contents);
        out
    }
    let version = element(0xa0, &element(2, &[2]));
    let empty = element(0x30, &[]);
    let body = [&version[..], &element(2, &[1]), &empty, &empty, &empty, &empty, spki].concat();
    element(0x30, &[&element(0x30, &body)[..], &empty, &element(3, &[0])].concat())
}

fn pem(label: &str, der: &[u8]) -> String {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

#[test]
fn a_key_and_its_certificate_are_taken_from_pem_and_must_belong_together() {
    use crate::support::Key;
    use aws_lc_rs::encoding::AsDer;
    use aws_lc_rs::signature::KeyPair;

    let Key::Rsa(rsa) = Key::rsa() else { unreachable!() };
    let Key::Rsa(other) = Key::other_rsa() else { unreachable!() };
    let pkcs8 = pem("PRIVATE KEY", rsa.as_der().unwrap().as_ref());
    let spki = rsa.public_key().as_der().unwrap();
    let own = certificate(spki.as_ref());
    let foreign = certificate(other.public_key().as_der().unwrap().as_ref());
    let chain = pem("CERTIFICATE", &own) + &pem("CERTIFICATE", &foreign);
    let signer = LocalSigner::from_pem(&pkcs8).unwrap().with_certificates_pem(&chain).unwrap();
    let state = IssuerState::new(signer, now());
    let state = IssuerState::parse(state.to_text().unwrap().expose()).unwrap();
    let issuer = Issuer::builder(ISSUER).state(state).build().unwrap();
    let set: Value = serde_json::from_slice(&issuer.jwks(now())).unwrap();
    use base64::Engine;
    let encode = |der: &[u8]| base64::engine::general_purpose::STANDARD.encode(der);
    assert_eq!(set["keys"][0]["x5c"], json!([encode(&own), encode(&foreign)]));
    let key = || LocalSigner::from_pem(&pkcs8).unwrap();
    for chain in [
        pem("CERTIFICATE", &foreign),
        pem("CERTIFICATE", &foreign) + &pem("CERTIFICATE", &own),
        pem("CERTIFICATE", &own[..own.len() - 1]),
        pem("CERTIFICATE", spki.as_ref()),
        pem("CERTIFICATE", &own) + &pem("CERTIFICATE", b"x"),
        String::new(),
        "-----BEGIN CERTIFICATE-----\nAAAA".into(),
    ] {
        assert!(key().with_certificates_pem(&chain).is_err(), "{chain}");
    }
    for text in [
        String::new(),
        pem("PUBLIC KEY", spki.as_ref()),
        pem("ENCRYPTED PRIVATE KEY", b"x"),
        pem("EC PRIVATE KEY", b"x"),
        pem("PRIVATE KEY", b"x"),
        pem("RSA PRIVATE KEY", rsa.as_der().unwrap().as_ref()),
        pkcs8.clone() + &pkcs8,
        pkcs8.replace("-----END", "----END"),
    ] {
        assert!(LocalSigner::from_pem(&text).is_err());
    }
}

#[test]
fn a_certificate_whose_key_ends_within_a_byte_is_refused() {
    use crate::support::Key;
    use aws_lc_rs::encoding::AsDer;
    use aws_lc_rs::signature::KeyPair;
    use base64::Engine;

    let Key::Rsa(rsa) = Key::rsa() else { unreachable!() };
    let pkcs8 = pem("PRIVATE KEY", rsa.as_der().unwrap().as_ref());
    let spki = rsa.public_key().as_der().unwrap().as_ref().to_vec();
    // The key is a bit string (03 82 length), which begins with how many bits of its last byte do not count.
    let unused = spki.windows(2).position(|two| two == [0x03, 0x82]).unwrap() + 4;
    for (bits, good) in [(0, true), (1, false), (7, false), (8, false), (255, false)] {
        let mut spki = spki.clone();
        spki[unused] = bits;
        assert_eq!(PublicJwk::from_spki_der(Algorithm::Rs256, &spki).is_ok(), good, "{bits} bits");
        let certificate = certificate(&spki);
        let key = LocalSigner::from_pem(&pkcs8).unwrap();
        let taken = key.with_certificates_pem(&pem("CERTIFICATE", &certificate));
        assert_eq!(taken.is_ok(), good, "{bits} bits");
        // The same in a state, where it stands beside the key that it was once accepted for.
        let state = IssuerState::new(LocalSigner::from_pem(&pkcs8).unwrap(), now());
        let mut text: Value = serde_json::from_str(state.to_text().unwrap().expose()).unwrap();
        text["keys"][0]["x5c"] = json!([base64::engine::general_purpose::STANDARD.encode(&certificate)]);
        assert_eq!(IssuerState::parse(&text.to_string()).is_ok(), good, "{bits} bits");
    }
}

#[test]
fn the_older_form_of_an_rsa_key_is_taken_too() {
    use crate::support::Key;
    use aws_lc_rs::encoding::AsDer;
    let Key::Rsa(rsa) = Key::rsa() else { unreachable!() };
    let pkcs8 = rsa.as_der().unwrap();
    // The PKCS#8 form ends with an octet string that is the older one: 04 82 length.
    let bytes = pkcs8.as_ref();
    let start = bytes.windows(2).position(|two| two == [0x04, 0x82]).unwrap() + 4;
    let signer = LocalSigner::from_pem(&pem("RSA PRIVATE KEY", &bytes[start..])).unwrap();
    assert_eq!(
        signer.public_key(),
        LocalSigner::from_pkcs8_der(Algorithm::Rs256, bytes).unwrap().public_key()
    );
}

#[test]
fn a_key_that_is_overtaken_before_it_signed_never_signs() {
    let (first, second, third) = (key(), key(), key());
    let overtaken = second.public_key().kid().to_owned();
    let last = third.public_key().kid().to_owned();
    let mut state = IssuerState::new(first, now());
    let (hour, overlap) = (Duration::from_secs(3_600), Duration::from_secs(900));
    state.rotate(second, now(), hour, overlap).unwrap();
    // In a hurry: the third key signs from now on, with the second one still waiting for its hour.
    state.rotate(third, at(NOW + 60), Duration::ZERO, overlap).unwrap();
    let issuer = Issuer::builder("https://id.example.com").state(state).build().unwrap();
    for seconds in [60, 3_599, 3_600, 3_601, 4_000, 4_500, 90_000] {
        let signs = signed_by(&issuer, NOW + seconds);
        assert_ne!(signs, overtaken, "it would be retired before what it signed expires: {seconds}");
        assert_eq!(signs, last, "{seconds}");
    }
}

#[test]
fn a_state_in_which_no_key_signs_is_refused_and_the_last_good_one_stays() {
    let time = VirtualRuntime::new(now());
    let state = IssuerState::new(key(), now());
    let issuer = Issuer::builder("https://id.example.com").state(state).runtime(time).build().unwrap();
    let before = signed_by(&issuer, NOW);
    let next = IssuerState::new(key(), at(NOW + 3_600));
    assert!(issuer.reload(next.to_text().unwrap().expose()).is_err());
    assert_eq!(signed_by(&issuer, NOW), before);
    let this = IssuerState::new(key(), now());
    assert!(issuer.reload(this.to_text().unwrap().expose()).is_ok());
    assert_ne!(signed_by(&issuer, NOW), before);
}

#[test]
fn a_key_that_is_there_twice_is_published_once() {
    let own = key();
    let times = KeyTimes::from(now());
    let public = own.public_key().clone();
    let issuer = Issuer::builder("https://id.example.com")
        .publish(public.clone(), times)
        .state(IssuerState::new(own, now()))
        .build()
        .unwrap();
    assert_eq!(kids(&issuer, NOW), [public.kid()]);
}

#[test]
fn a_key_signs_neither_before_it_is_published_nor_once_it_is_retired() {
    let times = KeyTimes { publish: at(NOW + 10), activate: now(), retire: Some(at(NOW + 20)) };
    let issuer = Issuer::builder(ISSUER).signer(key(), times).build().unwrap();
    for (seconds, signs) in
        [(NOW, false), (NOW + 9, false), (NOW + 10, true), (NOW + 19, true), (NOW + 20, false)]
    {
        let claims = AssertionClaims::new("gateway", AUDIENCE);
        assert_eq!(block_on(issuer.sign(&claims, at(seconds))).is_ok(), signs, "{}", seconds - NOW);
        assert_eq!(kids(&issuer, seconds).is_empty(), !signs, "{}", seconds - NOW);
    }
}
