//! Every claim that is checked, with every type that JSON has.

use std::time::Duration;

use credfed_core::oidc::{ClaimValue, Flaw, JwtError};
use serde_json::{Value, json};

use crate::support::{
    AUDIENCE, ISSUER, Key, NOW, all_keys, at, claims, claims_with, issuers, judge, refusal, trusted,
};

fn token(claims: &Value) -> String {
    Key::p256().token_of(&json!({"alg": "ES256", "kid": "p256"}), claims)
}

/// The standard claims with the text of one of them replaced by what `serde_json` would not write.
fn token_with_raw(name: &str, raw: &str) -> String {
    let marked = claims_with(name, Some(json!("@@")));
    let payload = marked.to_string().replace("\"@@\"", raw);
    Key::p256().token_of_text(r#"{"alg":"ES256","kid":"p256"}"#, &payload)
}

#[test]
fn what_is_accepted_is_told() {
    let mut claims = claims();
    claims["aud"] = json!([AUDIENCE]);
    claims["azp"] = json!(AUDIENCE);
    claims["https://aws.amazon.com/tags"] =
        json!({"principal_tags": {"team": ["a", null, "b"], "level": [7]}});
    claims["admin"] = json!(false);
    claims["nothing"] = json!(null);
    let issuers = issuers(trusted(&all_keys()).shared(true));
    let token = judge(&issuers, &token(&claims)).unwrap();
    assert_eq!((token.issuer(), token.subject(), token.id()), (ISSUER, "caller", Some("1")));
    assert_eq!((token.audiences(), token.authorized_party()), (&[AUDIENCE.to_owned()][..], Some(AUDIENCE)));
    assert_eq!((token.issued(), token.expires()), (Some(at(NOW)), at(NOW + 600)));
    assert!(token.is_shared_issuer());
    assert_eq!(token.claim(&["admin"]), Some(ClaimValue::Bool(false)));
    assert_eq!(token.claim(&["nothing"]), None);
    assert_eq!(token.claim(&[]), None);
    assert_eq!(token.claim(&["sub", "caller"]), None);
    let tags = ["https://aws.amazon.com/tags", "principal_tags"];
    let Some(ClaimValue::List(team)) = token.claim(&[tags[0], tags[1], "team"]) else { panic!() };
    let team: Vec<_> = team.iter().filter_map(ClaimValue::as_text).collect();
    assert_eq!(team, ["a", "b"]);
    let Some(ClaimValue::Object(all)) = token.claim(&tags) else { panic!() };
    assert_eq!(all.iter().count(), 2);
    let Some(ClaimValue::List(level)) = all.get("level") else { panic!() };
    let Some(ClaimValue::Number(level)) = level.iter().next() else { panic!() };
    assert_eq!((level.as_i64(), level.to_string()), (Some(7), String::from("7")));
    assert!(!format!("{token:?}").contains("caller"), "claims are about people");
}

#[test]
fn times_of_another_type_are_refused() {
    let issuers = issuers(trusted(&all_keys()).require_iat(false));
    let others = [
        "null",
        "true",
        "\"1800000300\"",
        "\"\"",
        "[]",
        "[1800000300]",
        "{}",
        "{\"a\":1}",
        "-1",
        "-1800000300",
        "-0.1",
        "1e300",
        "253402300800",
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551615",
        "18446744073709551616",
        "1e19",
        "-1e308",
    ];
    for name in ["exp", "iat", "nbf"] {
        for raw in others {
            let error = refusal(&issuers, &token_with_raw(name, raw));
            assert_eq!(error, JwtError::Invalid(Flaw::Claim(name)), "{name}: {raw}");
        }
        for raw in
            ["1e400", "-1e400", "NaN", "Infinity", "01800000300", "+1800000300", "0x10", "1800000300.", ""]
        {
            let error = refusal(&issuers, &token_with_raw(name, raw));
            assert_eq!(error, JwtError::Invalid(Flaw::Json), "{name}: {raw}");
        }
    }
}

#[test]
fn finite_numbers_are_floored() {
    let issuers = issuers(trusted(&all_keys()).leeway(Duration::ZERO));
    for raw in ["1800000000.999", "1.8e9", "18000000e2", "1800000000.0"] {
        assert!(judge(&issuers, &token_with_raw("nbf", raw)).is_ok(), "{raw}");
        assert_eq!(judge(&issuers, &token_with_raw("iat", raw)).unwrap().issued(), Some(at(NOW)), "{raw}");
    }
    let accepted = judge(&issuers, &token_with_raw("exp", "1800000300.999")).unwrap();
    assert_eq!(accepted.expires(), at(NOW + 300));
    // 0.999 s before the second that it would be rounded up to.
    assert_eq!(
        refusal(&issuers, &token_with_raw("exp", "1800000000.999")),
        JwtError::Invalid(Flaw::Lifetime)
    );
}

#[test]
fn texts_of_another_type_and_empty_ones_are_refused() {
    let issuers = issuers(trusted(&all_keys()));
    let others =
        [json!(null), json!(true), json!(7), json!(1.5), json!([]), json!(["caller"]), json!({}), json!("")];
    for name in ["iss", "sub", "azp", "jti"] {
        for value in &others {
            let error = refusal(&issuers, &token(&claims_with(name, Some(value.clone()))));
            assert_eq!(error, JwtError::Invalid(Flaw::Claim(name)), "{name}: {value}");
        }
    }
}

#[test]
fn what_is_required_must_be_there() {
    let strict = issuers(trusted(&all_keys()));
    for name in ["exp", "iat", "iss", "aud", "sub"] {
        let error = refusal(&strict, &token(&claims_with(name, None)));
        assert_eq!(error, JwtError::Invalid(Flaw::Claim(name)));
    }
    for name in ["nbf", "jti"] {
        assert!(judge(&strict, &token(&claims_with(name, None))).is_ok(), "{name}");
    }
    let lenient = issuers(trusted(&all_keys()).require_iat(false));
    let accepted = judge(&lenient, &token(&claims_with("iat", None))).unwrap();
    assert_eq!(accepted.issued(), None);
    // Then the lifetime counts from now.
    let mut claims = claims_with("iat", None);
    claims["exp"] = json!(NOW + 86_400 + 31);
    assert_eq!(refusal(&lenient, &token(&claims)), JwtError::Invalid(Flaw::Lifetime));
    claims["exp"] = json!(NOW - 31);
    assert_eq!(refusal(&lenient, &token(&claims)), JwtError::Expired);
}

#[test]
fn the_edges_of_time_are_sharp() {
    let issuers =
        issuers(trusted(&all_keys()).leeway(Duration::from_secs(60)).max_age(Duration::from_secs(600)));
    let judge = |iat: u64, nbf: u64, exp: u64| {
        let mut claims = claims();
        claims["iat"] = json!(iat);
        claims["nbf"] = json!(nbf);
        claims["exp"] = json!(exp);
        judge(&issuers, &token(&claims)).map(drop)
    };
    let flaw = |flaw| Err(JwtError::Invalid(flaw));
    assert_eq!(judge(NOW - 600, NOW, NOW - 59), Ok(()));
    assert_eq!(judge(NOW - 600, NOW, NOW - 60), Err(JwtError::Expired));
    assert_eq!(judge(NOW, NOW + 60, NOW + 600), Ok(()));
    assert_eq!(judge(NOW, NOW + 61, NOW + 600), flaw(Flaw::NotYetValid));
    assert_eq!(judge(NOW + 60, NOW, NOW + 600), Ok(()));
    assert_eq!(judge(NOW + 61, NOW, NOW + 600), flaw(Flaw::IssuedAhead));
    assert_eq!(judge(NOW, NOW, NOW + 660), Ok(()));
    assert_eq!(judge(NOW, NOW, NOW + 661), flaw(Flaw::Lifetime));
    assert_eq!(judge(NOW, NOW, NOW), flaw(Flaw::Lifetime));
    assert_eq!(judge(NOW, NOW, NOW - 1), flaw(Flaw::Lifetime));
    assert_eq!(judge(0, 0, 253_402_300_799), flaw(Flaw::Lifetime));
    assert_eq!(judge(0, 0, 1), Err(JwtError::Expired));
}

#[test]
fn the_ends_of_the_calendar_do_not_panic() {
    let issuers = issuers(trusted(&all_keys()));
    for time in [at(0), at(1), at(253_402_300_799), at(1 << 55)] {
        let verdict = futures::executor::block_on(issuers.validate(&token(&claims()), time));
        assert!(verdict.is_err());
    }
}

#[test]
fn a_day_is_the_default_limit_and_leeway_has_one() {
    let issuers = issuers(trusted(&all_keys()));
    assert!(judge(&issuers, &token(&claims_with("exp", Some(json!(NOW + 86_430))))).is_ok());
    let error = refusal(&issuers, &token(&claims_with("exp", Some(json!(NOW + 86_431)))));
    assert_eq!(error, JwtError::Invalid(Flaw::Lifetime));
    assert!(trusted(&all_keys()).leeway(Duration::from_secs(61)).build().is_err());
}

#[test]
fn what_claims_are_worth_is_said_about_signed_tokens_only() {
    let issuers = issuers(trusted(&all_keys()));
    for claims in [
        claims_with("exp", Some(json!(NOW - 100))),
        claims_with("aud", Some(json!("another"))),
        claims_with("nbf", Some(json!(NOW + 1_000))),
    ] {
        let mut forged = token(&claims);
        let last = forged.pop().unwrap();
        forged.push(if last == 'A' { 'Q' } else { 'A' });
        assert_eq!(refusal(&issuers, &forged), JwtError::Invalid(Flaw::Signature));
    }
}
