//! The form of a token, before anything in it is looked at.

use credfed_core::oidc::{Flaw, JwtError};
use proptest::prelude::*;
use serde_json::json;

use crate::support::{Key, all_keys, b64, claims, issuers, judge, refusal, trusted};

fn invalid(flaw: Flaw) -> JwtError {
    JwtError::Invalid(flaw)
}

#[test]
fn a_token_has_exactly_three_parts() {
    let issuers = issuers(trusted(&all_keys()));
    let good = Key::p256().token("p256");
    let (input, signature) = good.rsplit_once('.').unwrap();
    let (header, payload) = input.split_once('.').unwrap();
    for token in [
        String::new(),
        ".".into(),
        "..".into(),
        "...".into(),
        "....".into(),
        header.into(),
        input.into(),
        format!("{input}."),
        format!(".{payload}.{signature}"),
        format!("{header}..{signature}"),
        format!("{good}."),
        format!(".{good}"),
        format!("{good}.{signature}"),
        // A JWE has five.
        format!("{header}.{payload}.{payload}.{payload}.{signature}"),
        ".".repeat(16_384),
    ] {
        assert_eq!(refusal(&issuers, &token), invalid(Flaw::Parts), "{}", token.len());
    }
}

#[test]
fn length_comes_before_everything() {
    let issuers = issuers(trusted(&all_keys()));
    let started = std::hint::black_box(".".repeat(1_000_000));
    for _ in 0..10_000 {
        assert_eq!(refusal(&issuers, &started), invalid(Flaw::TooLong));
    }
    let fits = |padding: usize| {
        let mut claims = claims();
        claims["padding"] = json!("x".repeat(padding));
        Key::p256().token_of(&json!({"alg": "ES256", "kid": "p256"}), &claims)
    };
    let padding = (16_384 - fits(0).len()) * 3 / 4;
    let longest = (padding - 4..padding + 4).rev().map(fits).find(|token| token.len() <= 16_384).unwrap();
    assert!(longest.len() > 16_380 && judge(&issuers, &longest).is_ok());
    assert_eq!(refusal(&issuers, &fits(padding + 8)), invalid(Flaw::TooLong));
}

#[test]
fn base64_has_one_form() {
    let issuers = issuers(trusted(&all_keys()));
    let good = Key::p256().token("p256");
    assert!(judge(&issuers, &good).is_ok());
    for (from, to) in
        [("", "="), ("", "=="), ("", " "), ("", "\n"), ("", "+"), ("", "/"), ("", "%3D"), ("", "é")]
    {
        for part in 0..3 {
            let mut parts: Vec<String> = good.split('.').map(String::from).collect();
            parts[part] =
                if from.is_empty() { format!("{}{to}", parts[part]) } else { parts[part].replace(from, to) };
            assert_eq!(refusal(&issuers, &parts.join(".")), invalid(Flaw::Base64), "{to:?} in {part}");
        }
    }
    // 64 bytes leave four bits over, which another last letter sets.
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let last = good.chars().last().unwrap();
    let at = alphabet.find(last).unwrap();
    for other in alphabet[at + 1..at + 16].chars() {
        let token = format!("{}{other}", &good[..good.len() - 1]);
        assert_eq!(refusal(&issuers, &token), invalid(Flaw::Base64));
    }
}

#[test]
fn a_member_that_comes_twice_is_refused_though_it_is_signed() {
    let issuers = issuers(trusted(&all_keys()));
    let (header, payload) = (json!({"alg": "ES256", "kid": "p256"}).to_string(), claims().to_string());
    let twice = |text: &str, member: &str| format!("{{{member},{}", &text[1..]);
    for member in [r#""alg":"none""#, r#""alg":"ES256""#, r#""kid":"p256""#, r#""\u0061lg":"none""#] {
        let token = Key::p256().token_of_text(&twice(&header, member), &payload);
        assert_eq!(refusal(&issuers, &token), invalid(Flaw::Json), "{member}");
    }
    for member in [r#""sub":"admin""#, r#""exp":1800000600"#, r#""i\u0073s":"x""#, r#""a":{"b":1,"b":1}"#] {
        let token = Key::p256().token_of_text(&header, &twice(&payload, member));
        assert_eq!(refusal(&issuers, &token), invalid(Flaw::Json), "{member}");
    }
    assert!(judge(&issuers, &Key::p256().token_of_text(&header, &twice(&payload, r#""a":{"b":1}"#))).is_ok());
}

#[test]
fn header_and_payload_are_one_plain_object_each() {
    let issuers = issuers(trusted(&all_keys()));
    let (header, payload) = (json!({"alg": "ES256", "kid": "p256"}).to_string(), claims().to_string());
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(6_000), "]".repeat(6_000));
    for other in
        ["", "[]", "null", "1", "\"{}\"", "{}{}", "{} x", "\u{feff}{}", "{\"a\":1,}", "{'a':1}", "{", &deep]
    {
        assert_eq!(
            refusal(&issuers, &Key::p256().token_of_text(&header, other)),
            if other.is_empty() { invalid(Flaw::Parts) } else { invalid(Flaw::Json) },
            "{other:.20}"
        );
        assert_eq!(
            refusal(&issuers, &Key::p256().token_of_text(other, &payload)),
            if other.is_empty() { invalid(Flaw::Parts) } else { invalid(Flaw::Json) },
            "{other:.20}"
        );
    }
    // A token within a token.
    let nested =
        Key::p256().token_of_text(r#"{"alg":"ES256","kid":"p256","cty":"JWT"}"#, &Key::p256().token("p256"));
    assert_eq!(refusal(&issuers, &nested), invalid(Flaw::Json));
    let not_text = format!("{}.{}", b64(&header), b64(b"{\"a\":\"\xff\"}"));
    let signed = format!("{not_text}.{}", b64(Key::p256().sign(not_text.as_bytes())));
    assert_eq!(refusal(&issuers, &signed), invalid(Flaw::Json));
}

#[test]
fn what_must_be_understood_and_is_not_is_refused() {
    let issuers = issuers(trusted(&all_keys()));
    for (name, value) in [
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("crit", json!(["b64"])),
        ("crit", json!(null)),
        ("enc", json!("A256GCM")),
        ("zip", json!("DEF")),
    ] {
        let mut header = json!({"alg": "ES256", "kid": "p256", "b64": false});
        header[name] = value;
        assert_eq!(refusal(&issuers, &Key::p256().token_of(&header, &claims())), invalid(Flaw::Critical));
    }
}

#[test]
fn keys_and_addresses_of_keys_in_a_header_mean_nothing() {
    let issuers = issuers(trusted(&all_keys()));
    let header = json!({
        "alg": "ES256", "kid": "p256", "jwk": Key::new_p256().jwk("p256"), "jku": "https://evil.example/keys",
        "x5u": "https://evil.example/certificate", "x5c": ["AAAA"], "x5t": "AAAA",
    });
    assert!(judge(&issuers, &Key::p256().token_of(&header, &claims())).is_ok(), "they are passed over");
    let other = Key::new_p256();
    let header = json!({"alg": "ES256", "kid": "p256", "jwk": other.jwk("p256")});
    assert_eq!(refusal(&issuers, &other.token_of(&header, &claims())), invalid(Flaw::Signature));
}

#[test]
fn the_type_is_absent_or_that_of_a_jwt() {
    let plain = issuers(trusted(&all_keys()));
    let access = issuers(trusted(&all_keys()).access_tokens(true));
    let typed = |typ: serde_json::Value| {
        Key::p256().token_of(&json!({"alg": "ES256", "kid": "p256", "typ": typ}), &claims())
    };
    for typ in ["JWT", "jwt", "Jwt", "application/jwt", "APPLICATION/JWT"] {
        assert!(judge(&plain, &typed(json!(typ))).is_ok(), "{typ}");
    }
    for typ in ["at+jwt", "AT+JWT", "application/at+jwt"] {
        assert_eq!(refusal(&plain, &typed(json!(typ))), invalid(Flaw::Type), "{typ}");
        assert!(judge(&access, &typed(json!(typ))).is_ok(), "{typ}");
    }
    for typ in [
        json!(""),
        json!("JWT "),
        json!("dpop+jwt"),
        json!("logout+jwt"),
        json!("secevent+jwt"),
        json!("JWE"),
        json!("application/"),
        json!("application/application/jwt"),
        json!("text/jwt"),
        json!(null),
        json!(1),
        json!(["JWT"]),
    ] {
        assert_eq!(refusal(&access, &typed(typ.clone())), invalid(Flaw::Type), "{typ}");
    }
}

proptest! {
    #[test]
    fn no_text_is_accepted_or_panics(text in "[A-Za-z0-9_.=-]{0,200}|\\PC{0,100}") {
        prop_assert!(judge(&issuers(trusted(&all_keys())), &text).is_err());
    }

    #[test]
    fn no_signed_object_panics(header in "\\{\"alg\":\"ES256\",\"kid\":\"p256\"\\}", payload in "[{}\\[\\]\":,0-9a-z.eE+-]{0,80}") {
        let _ = judge(&issuers(trusted(&all_keys())), &Key::p256().token_of_text(&header, &payload));
    }
}
