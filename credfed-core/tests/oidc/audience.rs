//! Whom a token is for.

use credfed_core::oidc::{Flaw, JwtError};
use serde_json::{Value, json};

use crate::support::{AUDIENCE, Key, all_keys, claims_with, issuers, judge, refusal, trusted};

fn token(aud: Value, azp: Option<&str>) -> String {
    let mut claims = claims_with("aud", Some(aud));
    if let Some(azp) = azp {
        claims["azp"] = json!(azp);
    }
    Key::p256().token_of(&json!({"alg": "ES256", "kid": "p256"}), &claims)
}

#[test]
fn an_audience_is_a_text_or_a_list_of_texts_that_is_not_empty() {
    let issuers = issuers(trusted(&all_keys()).contains_audience(true));
    for aud in [
        json!(null),
        json!(7),
        json!(true),
        json!({}),
        json!({AUDIENCE: 1}),
        json!([]),
        json!(""),
        json!([""]),
        json!([AUDIENCE, ""]),
        json!([AUDIENCE, 7]),
        json!([AUDIENCE, null]),
        json!([[AUDIENCE]]),
        json!([null]),
    ] {
        assert_eq!(
            refusal(&issuers, &token(aud.clone(), Some(AUDIENCE))),
            JwtError::Invalid(Flaw::Claim("aud")),
            "{aud}"
        );
    }
}

#[test]
fn every_member_must_be_configured() {
    let issuers = issuers(trusted(&all_keys()).audience("second"));
    for (aud, azp, expected) in [
        (json!(AUDIENCE), None, Ok(())),
        (json!([AUDIENCE]), None, Ok(())),
        (json!("second"), None, Ok(())),
        (json!([AUDIENCE, "second"]), Some("second"), Ok(())),
        (json!([AUDIENCE, "second"]), None, Err(JwtError::Invalid(Flaw::AuthorizedParty))),
        (json!([AUDIENCE, AUDIENCE]), None, Err(JwtError::Invalid(Flaw::AuthorizedParty))),
        (json!([AUDIENCE, "other"]), Some(AUDIENCE), Err(JwtError::IncorrectAudience)),
        (json!(["other"]), None, Err(JwtError::IncorrectAudience)),
        (json!("other"), Some("other"), Err(JwtError::IncorrectAudience)),
        (json!("STS.example.com"), None, Err(JwtError::IncorrectAudience)),
        (json!("sts.example.com/"), None, Err(JwtError::IncorrectAudience)),
        (json!(" sts.example.com"), None, Err(JwtError::IncorrectAudience)),
        (json!("sts.example.com\u{0}"), None, Err(JwtError::IncorrectAudience)),
        (json!("*"), None, Err(JwtError::IncorrectAudience)),
    ] {
        assert_eq!(judge(&issuers, &token(aud.clone(), azp)).map(drop), expected, "{aud} {azp:?}");
    }
}

#[test]
fn one_is_enough_only_where_the_issuer_is_set_so() {
    let issuers = issuers(trusted(&all_keys()).contains_audience(true));
    assert!(judge(&issuers, &token(json!(["other", AUDIENCE]), Some(AUDIENCE))).is_ok());
    assert_eq!(refusal(&issuers, &token(json!(["other"]), Some(AUDIENCE))), JwtError::IncorrectAudience);
    let unnamed = JwtError::Invalid(Flaw::AuthorizedParty);
    assert_eq!(refusal(&issuers, &token(json!(["other", AUDIENCE]), None)), unnamed);
    assert_eq!(refusal(&issuers, &token(json!(["other", AUDIENCE]), Some("other"))), unnamed);
}

#[test]
fn an_authorized_party_must_be_configured() {
    let strict = issuers(trusted(&all_keys()));
    assert!(judge(&strict, &token(json!(AUDIENCE), Some(AUDIENCE))).is_ok());
    assert_eq!(
        refusal(&strict, &token(json!(AUDIENCE), Some("client"))),
        JwtError::Invalid(Flaw::AuthorizedParty)
    );
    let named = issuers(trusted(&all_keys()).authorized_party("client"));
    assert!(judge(&named, &token(json!(AUDIENCE), Some("client"))).is_ok());
    assert!(judge(&named, &token(json!(AUDIENCE), None)).is_ok());
    assert_eq!(
        refusal(&named, &token(json!("client"), None)),
        JwtError::IncorrectAudience,
        "a party is no audience"
    );
    let any = issuers(trusted(&all_keys()).audience("second").any_authorized_party(true));
    assert!(judge(&any, &token(json!(AUDIENCE), Some("client"))).is_ok());
    assert!(judge(&any, &token(json!([AUDIENCE, "second"]), Some("client"))).is_err());
}

#[test]
fn an_issuer_without_audiences_is_an_error_of_the_settings() {
    use credfed_core::oidc::{Algorithm, TrustedIssuer, TrustedIssuers};

    use crate::support::ISSUER;
    assert!(TrustedIssuer::builder(ISSUER).jwks(all_keys()).build().is_err());
    assert!(trusted(&all_keys()).audience("").build().is_err());
    assert!(trusted(&all_keys()).algorithms(Vec::<Algorithm>::new()).build().is_err());
    assert!(trusted(&all_keys()).alias("").build().is_err());
    assert!(trusted("{}").build().is_err());
    assert!(trusted("{\"keys\":[]}").build().is_err());
    let twice = [trusted(&all_keys()).build().unwrap(), trusted(&all_keys()).build().unwrap()];
    assert!(TrustedIssuers::new(twice).is_err());
}

#[test]
fn an_issuer_is_found_by_its_exact_name_or_alias() {
    let issuers = issuers(trusted(&all_keys()).alias("id.example.com"));
    let named = |iss: &str| {
        let claims = claims_with("iss", Some(json!(iss)));
        Key::p256().token_of(&json!({"alg": "ES256", "kid": "p256"}), &claims)
    };
    assert_eq!(judge(&issuers, &named("id.example.com")).unwrap().issuer(), "https://id.example.com");
    for iss in
        ["https://id.example.com/", "https://ID.example.com", "http://id.example.com", "id.example.com/", "x"]
    {
        assert_eq!(refusal(&issuers, &named(iss)), JwtError::UnknownIssuer, "{iss}");
    }
    assert_eq!(issuers.iter().count(), 1);
}
