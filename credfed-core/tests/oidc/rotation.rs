//! Keys that come and go, on a clock of the test's own.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use credfed_core::VirtualRuntime;
use credfed_core::oidc::{Flaw, JwtError, Network, TrustedIssuer, TrustedIssuers};
use credfed_core::transport::HttpTransport;
use futures::FutureExt;
use futures::channel::oneshot;
use futures::future::BoxFuture;
use http_body_util::Full;
use serde_json::json;
use tower_service::Service;

use crate::support::{AUDIENCE, Key, NOW, Web, at, claims, discovery, jwks, now, trusted};

const MINUTE: u64 = 60;

struct Stage {
    runtime: VirtualRuntime,
    web: Web,
    issuers: TrustedIssuers,
    one: Key,
    other: Key,
}

impl Stage {
    fn new() -> Self {
        Self::with(|issuer| issuer)
    }

    fn with(
        set: impl FnOnce(credfed_core::oidc::TrustedIssuerBuilder) -> credfed_core::oidc::TrustedIssuerBuilder,
    ) -> Self {
        let runtime = VirtualRuntime::new(now());
        let (one, other) = (Key::new_p256(), Key::new_p256());
        let web = Web::with_keys(&jwks(&[one.jwk("one")]));
        let issuers = TrustedIssuers::new([set(web.trusted(&runtime)).build().unwrap()]).unwrap();
        Self { runtime, web, issuers, one, other }
    }

    /// Decides on a fresh token of a key, now.
    fn judge(&self, key: &Key, kid: &str) -> Result<(), JwtError> {
        let token = self.token(key, kid);
        self.runtime.block_on(self.issuers.validate(&token, at(self.seconds()))).unwrap().map(drop)
    }

    fn token(&self, key: &Key, kid: &str) -> String {
        let seconds = self.seconds();
        let mut claims = claims();
        claims["iat"] = json!(seconds);
        claims["nbf"] = json!(seconds);
        claims["exp"] = json!(seconds + 300);
        key.token_of(&json!({"alg": "ES256", "kid": kid}), &claims)
    }

    fn seconds(&self) -> u64 {
        use credfed_core::Clock;
        self.runtime.wall().duration_since(at(0)).unwrap().as_secs()
    }

    fn advance(&self, seconds: u64) {
        self.runtime.advance(Duration::from_secs(seconds));
    }

    fn publish(&self, keys: &[(&Key, &str)]) {
        let keys: Vec<_> = keys.iter().map(|(key, kid)| key.jwk(kid)).collect();
        self.web.page("/keys", &[], &jwks(&keys));
    }

    fn fetches(&self) -> usize {
        self.web.asked("/keys")
    }
}

const UNKNOWN: Result<(), JwtError> = Err(JwtError::Invalid(Flaw::Key));

#[test]
fn keys_are_fetched_once_and_kept() {
    let stage = Stage::new();
    assert_eq!(stage.web.requests(), 0, "nothing is fetched before the first token");
    for _ in 0..100 {
        assert_eq!(stage.judge(&stage.one, "one"), Ok(()));
    }
    assert_eq!((stage.fetches(), stage.web.requests()), (1, 2));
}

#[test]
fn nothing_is_fetched_for_a_token_of_no_configured_issuer_or_of_no_form() {
    let stage = Stage::new();
    let mut claims = claims();
    claims["iss"] = json!("https://evil.example");
    let header = json!({"alg": "ES256", "kid": "one", "jku": "https://evil.example/keys"});
    let token = stage.one.token_of(&header, &claims);
    let verdict =
        |token: &str| stage.runtime.block_on(stage.issuers.validate(token, now())).unwrap().map(drop);
    assert_eq!(verdict(&token), Err(JwtError::UnknownIssuer));
    let token = stage.one.token("one");
    for token in [&token[1..], &token.replace('.', ""), &token.repeat(200)] {
        assert!(verdict(token).is_err());
    }
    let header = json!({"alg": "none", "kid": "one"});
    assert!(verdict(&stage.one.token_of(&header, &crate::support::claims())).is_err());
    assert_eq!(stage.web.requests(), 0);
}

#[test]
fn a_new_key_works_at_once_if_the_issuer_was_not_asked_lately() {
    let stage = Stage::new();
    assert_eq!(stage.judge(&stage.one, "one"), Ok(()));
    stage.publish(&[(&stage.one, "one"), (&stage.other, "other")]);
    assert_eq!(stage.judge(&stage.other, "other"), Ok(()));
    assert_eq!(stage.fetches(), 2);
    assert_eq!(stage.judge(&stage.one, "one"), Ok(()));
}

#[test]
fn a_new_key_works_within_the_cool_down_whoever_asked_before() {
    let stage = Stage::new();
    assert_eq!(stage.judge(&stage.one, "one"), Ok(()));
    // Somebody has the id before the issuer publishes it.
    assert_eq!(stage.judge(&stage.other, "other"), UNKNOWN);
    assert_eq!(stage.fetches(), 2);
    stage.publish(&[(&stage.one, "one"), (&stage.other, "other")]);
    for second in 0..30 {
        assert_eq!(stage.judge(&stage.other, "other"), UNKNOWN, "after {second} s");
        stage.advance(1);
    }
    assert_eq!(stage.fetches(), 2);
    assert_eq!(stage.judge(&stage.other, "other"), Ok(()));
    assert_eq!(stage.fetches(), 3);
}

#[test]
fn a_key_that_is_named_late_in_the_cool_down_works_when_it_ends() {
    let stage = Stage::new();
    assert_eq!(stage.judge(&stage.one, "one"), Ok(()));
    assert_eq!(stage.judge(&stage.other, "somebody's invention"), UNKNOWN);
    assert_eq!(stage.fetches(), 2);
    stage.publish(&[(&stage.one, "one"), (&stage.other, "other")]);
    stage.advance(29);
    assert_eq!(stage.judge(&stage.other, "other"), UNKNOWN, "the issuer was asked lately");
    stage.advance(1);
    assert_eq!(stage.judge(&stage.other, "other"), Ok(()));
    assert_eq!(stage.fetches(), 3);
}

#[test]
fn a_key_works_after_a_fetch_that_failed_as_soon_as_the_issuer_may_be_asked_again() {
    let stage = Stage::new();
    assert_eq!(stage.judge(&stage.one, "one"), Ok(()));
    stage.web.fails("/keys", 503);
    assert_eq!(stage.judge(&stage.other, "somebody's invention"), UNKNOWN);
    stage.publish(&[(&stage.one, "one"), (&stage.other, "other")]);
    stage.advance(15);
    assert_eq!(stage.judge(&stage.other, "other"), UNKNOWN);
    stage.advance(15);
    assert_eq!(stage.judge(&stage.other, "other"), Ok(()));
}

#[test]
fn what_was_unknown_is_forgotten_with_the_next_key_set() {
    let stage = Stage::new();
    assert_eq!(stage.judge(&stage.one, "one"), Ok(()));
    assert_eq!(stage.judge(&stage.other, "other"), UNKNOWN);
    stage.publish(&[(&stage.one, "one"), (&stage.other, "other")]);
    stage.advance(30);
    // Another unknown id brings the newer set; its keys are good although one of them was unknown.
    assert_eq!(stage.judge(&stage.one, "third"), UNKNOWN);
    assert_eq!(stage.judge(&stage.other, "other"), Ok(()));
    assert_eq!(stage.fetches(), 3);
}

#[test]
fn a_token_that_would_be_refused_in_any_case_asks_for_no_key() {
    let stage = Stage::new();
    assert_eq!(stage.judge(&stage.one, "one"), Ok(()));
    for (name, value) in [("exp", json!(NOW - 100)), ("aud", json!("another")), ("nbf", json!(NOW + 100))] {
        let mut claims = claims();
        claims["iat"] = json!(NOW - 400);
        claims[name] = value;
        let token = stage.one.token_of(&json!({"alg": "ES256", "kid": "unknown"}), &claims);
        let verdict = stage.runtime.block_on(stage.issuers.validate(&token, now())).unwrap();
        assert_eq!(verdict.map(drop), UNKNOWN);
    }
    assert_eq!(stage.fetches(), 1);
}

#[test]
fn a_removed_key_stops_when_the_set_has_had_its_time() {
    let stage = Stage::new();
    assert_eq!(stage.judge(&stage.one, "one"), Ok(()));
    stage.publish(&[(&stage.other, "other")]);
    // Traffic of the removed key alone; nobody names an unknown one.
    let mut last = 0;
    for second in 0..20 * MINUTE {
        if stage.judge(&stage.one, "one").is_ok() {
            last = second;
        }
        stage.advance(1);
    }
    assert!((9 * MINUTE..15 * MINUTE).contains(&last), "{last}");
    assert_eq!(stage.judge(&stage.other, "other"), Ok(()));
}

#[test]
fn how_long_a_set_serves_is_the_issuers_to_say_within_bounds() {
    for (header, minutes) in [
        ("max-age=600", 10),
        ("public, MAX-AGE=600, must-revalidate", 10),
        ("max-age=\"600\"", 10),
        ("max-age=0", 5),
        ("max-age=1", 5),
        ("max-age=86400", 24 * 60),
        ("max-age=31536000", 24 * 60),
        ("max-age=99999999999999999999999", 24 * 60),
        ("max-age=-1", 15),
        ("max-age=", 15),
        ("no-store", 15),
        ("x", 15),
        ("s-maxage=7200", 15),
    ] {
        let stage = Stage::new();
        stage.web.page("/keys", &[("cache-control", header)], &jwks(&[stage.one.jwk("one")]));
        assert_eq!(stage.judge(&stage.one, "one"), Ok(()));
        let (_, status) = stage.issuers.status().remove(0);
        assert_eq!(status.unwrap().expires_in, Some(Duration::from_secs(minutes * 60)), "{header}");
    }
}

#[test]
fn an_issuer_that_is_down_leaves_its_last_keys_for_a_day_and_no_longer() {
    let stage = Stage::new();
    assert_eq!(stage.judge(&stage.one, "one"), Ok(()));
    stage.web.fails("/keys", 503);
    stage.web.fails("/.well-known/openid-configuration", 503);
    let day = 24 * 60 * MINUTE;
    let mut most = 0;
    let mut before = stage.fetches() + stage.web.asked("/.well-known/openid-configuration");
    for _ in 0..day / MINUTE + 15 {
        assert_eq!(stage.judge(&stage.one, "one"), Ok(()), "at {}", stage.seconds() - NOW);
        for _ in 0..4 {
            assert_eq!(stage.judge(&stage.other, "other"), UNKNOWN);
            stage.advance(15);
        }
        let after = stage.web.requests();
        most = most.max(after - before);
        before = after;
    }
    assert!(most <= 5, "{most} requests in a minute");
    stage.advance(60);
    assert!(matches!(stage.judge(&stage.one, "one"), Err(JwtError::KeysUnavailable(_))));
    stage.publish(&[(&stage.other, "other")]);
    stage.web.page("/.well-known/openid-configuration", &[], &discovery("https://id.example.com/keys"));
    stage.advance(20);
    assert_eq!(stage.judge(&stage.other, "other"), Ok(()), "back, with another key");
    assert_eq!(stage.judge(&stage.one, "one"), UNKNOWN);
}

#[test]
fn stale_keys_can_be_turned_off() {
    let stage = Stage::with(|issuer| issuer.max_stale(Duration::ZERO));
    assert_eq!(stage.judge(&stage.one, "one"), Ok(()));
    stage.web.fails("/keys", 500);
    stage.advance(15 * MINUTE - 1);
    assert_eq!(stage.judge(&stage.one, "one"), Ok(()));
    stage.advance(1);
    assert!(matches!(stage.judge(&stage.one, "one"), Err(JwtError::KeysUnavailable(_))));
}

#[test]
fn without_keys_the_first_token_is_refused_and_nothing_is_cached_for_good() {
    let stage = Stage::new();
    stage.web.fails("/keys", 500);
    let error = stage.judge(&stage.one, "one").unwrap_err();
    assert!(error.is_transient());
    stage.publish(&[(&stage.one, "one")]);
    stage.advance(5);
    assert_eq!(stage.judge(&stage.one, "one"), Ok(()));
}

#[test]
fn documents_of_the_wrong_kind_are_failed_fetches() {
    let good = jwks(&[Key::p256().jwk("p256")]);
    for page in ["<html>welcome</html>", "", "[]", "{\"keys\":null}", "{\"keys\":[],\"keys\":[]}", &good[1..]]
    {
        let stage = Stage::new();
        assert_eq!(stage.judge(&stage.one, "one"), Ok(()));
        stage.web.page("/keys", &[("content-type", "text/html")], page);
        stage.advance(15 * MINUTE);
        assert_eq!(stage.judge(&stage.one, "one"), Ok(()), "the last good ones stay: {page}");
    }
    // A set that is empty is an answer: all keys were taken back.
    let stage = Stage::new();
    assert_eq!(stage.judge(&stage.one, "one"), Ok(()));
    stage.publish(&[]);
    stage.advance(15 * MINUTE);
    assert_eq!(stage.judge(&stage.one, "one"), UNKNOWN);
}

#[test]
fn a_discovery_document_must_be_the_issuers_own_and_point_where_it_may() {
    let key = Key::p256();
    let uri = "https://keys.example.com/keys";
    let stage = |document: &str| {
        let runtime = VirtualRuntime::new(now());
        let web = Web::with_keys(&jwks(&[key.jwk("p256")]));
        web.page("/.well-known/openid-configuration", &[], document);
        let issuers = TrustedIssuers::new([web.trusted(&runtime).build().unwrap()]).unwrap();
        let verdict = runtime.block_on(issuers.validate(&key.token("p256"), now())).unwrap();
        (verdict.map(drop), web.asked("/keys"))
    };
    assert_eq!(stage(&discovery(uri)), (Ok(()), 1), "another public host is fine");
    let of = |issuer: &str, uri: &str| json!({"issuer": issuer, "jwks_uri": uri}).to_string();
    let long = discovery(uri).replacen('{', &format!("{{\"padding\":\"{}\",", "x".repeat(64 * 1024)), 1);
    for document in [
        of("https://id.example.com/", uri),
        of("https://ID.example.com", uri),
        of("http://id.example.com", uri),
        of("https://evil.example", uri),
        of("", uri),
        json!({"jwks_uri": uri}).to_string(),
        json!({"issuer": ["https://id.example.com"], "jwks_uri": uri}).to_string(),
        json!({"issuer": "https://id.example.com"}).to_string(),
        discovery(uri).replacen('{', "{\"issuer\":\"https://id.example.com\",", 1),
        "<html></html>".into(),
        String::new(),
        long,
    ] {
        let (verdict, fetched) = stage(&document);
        assert!(matches!(verdict, Err(JwtError::KeysUnavailable(_))), "{document:.80}");
        assert_eq!(fetched, 0, "{document:.80}");
    }
    for uri in [
        "http://id.example.com/keys",
        "ftp://id.example.com/keys",
        "file:///keys",
        "/keys",
        "https://user@id.example.com/keys",
        "https://user:password@id.example.com/keys",
        "https://127.0.0.1/keys",
        "https://127.1/keys",
        "https://0x7f000001/keys",
        "https://2130706433/keys",
        "https://localhost/keys",
        "https://localhost./keys",
        "https://a.localhost/keys",
        "https://10.0.0.1/keys",
        "https://192.168.1.1/keys",
        "https://172.16.0.1/keys",
        "https://100.64.0.1/keys",
        "https://169.254.169.254/keys",
        "https://[::1]/keys",
        "https://[::]/keys",
        "https://[fd00:ec2::254]/keys",
        "https://[::ffff:10.0.0.1]/keys",
        "https://[64:ff9b::a00:1]/keys",
        "https://[fe80::1]/keys",
        "https://[fd12::1]/keys",
        "https://0.0.0.0/keys",
        "https://id.example.com\\@10.0.0.1/keys",
        "https://",
        "",
    ] {
        let (verdict, fetched) = stage(&discovery(uri));
        assert!(matches!(verdict, Err(JwtError::KeysUnavailable(_))), "{uri}");
        assert_eq!(fetched, 0, "{uri}");
    }
}

#[test]
fn a_private_issuer_points_to_its_own_origin_or_to_public_hosts_and_nowhere_else() {
    let key = Key::p256();
    let home = "https://10.0.0.5:8443";
    for (uri, fetched) in [
        ("https://10.0.0.5:8443/keys", 1),
        ("https://keys.example.com/keys", 1),
        ("https://10.0.0.5/keys", 0),
        ("https://10.0.0.5:8444/keys", 0),
        ("https://10.0.0.6:8443/keys", 0),
        ("https://192.168.0.1/keys", 0),
        ("https://[fd12::1]/keys", 0),
        ("https://127.0.0.1/keys", 0),
        ("http://10.0.0.5:8443/keys", 0),
        ("https://169.254.169.254/keys", 0),
    ] {
        let runtime = VirtualRuntime::new(now());
        let web = Web::with_keys(&jwks(&[key.jwk("p256")]));
        let document = json!({"issuer": home, "jwks_uri": uri}).to_string();
        web.page("/.well-known/openid-configuration", &[], &document);
        let issuer = TrustedIssuer::builder(home)
            .audience(AUDIENCE)
            .network(Network::Private)
            .transport(web.transport())
            .runtime(runtime.clone());
        let issuers = TrustedIssuers::new([issuer.build().unwrap()]).unwrap();
        let mut claims = claims();
        claims["iss"] = json!(home);
        let token = key.token_of(&json!({"alg": "ES256", "kid": "p256"}), &claims);
        let verdict = runtime.block_on(issuers.validate(&token, now())).unwrap();
        assert_eq!((verdict.is_ok(), web.asked("/keys")), (fetched == 1, fetched), "{uri}");
    }
}

#[test]
fn an_issuer_that_never_answered_is_asked_three_times_a_minute() {
    let stage = Stage::new();
    stage.web.fails("/.well-known/openid-configuration", 503);
    for minute in 0..5 {
        let before = stage.web.requests();
        for _ in 0..60 {
            assert!(stage.judge(&stage.one, "one").unwrap_err().is_transient());
            stage.advance(1);
        }
        // The first three tries come quickly.
        let most = if minute == 0 { 5 } else { 3 };
        let asked = stage.web.requests() - before;
        assert!((2..=most).contains(&asked), "{asked} requests in minute {minute}");
    }
}

#[test]
fn the_address_of_the_keys_is_looked_up_again_when_it_fails() {
    let stage = Stage::new();
    assert_eq!(stage.judge(&stage.one, "one"), Ok(()));
    stage.web.fails("/keys", 404);
    stage.web.page("/moved", &[], &jwks(&[stage.other.jwk("other")]));
    stage.web.page("/.well-known/openid-configuration", &[], &discovery("https://id.example.com/moved"));
    stage.advance(15 * MINUTE);
    assert_eq!(stage.judge(&stage.one, "one"), Ok(()), "that fetch failed");
    stage.advance(30);
    assert_eq!(stage.judge(&stage.other, "other"), Ok(()));
    assert_eq!(stage.web.asked("/moved"), 1);
}

#[test]
fn keys_at_a_fixed_address_need_no_discovery() {
    let runtime = VirtualRuntime::new(now());
    let web = Web::with_keys(&jwks(&[Key::p256().jwk("p256")]));
    let issuer = web.trusted(&runtime).jwks_uri("https://keys.example.com/keys").build().unwrap();
    let issuers = TrustedIssuers::new([issuer]).unwrap();
    assert!(runtime.block_on(issuers.validate(&Key::p256().token("p256"), now())).unwrap().is_ok());
    assert_eq!((web.requests(), web.asked("/keys")), (1, 1));
    for uri in ["http://keys.example.com/keys", "https://10.0.0.1/keys", "keys"] {
        assert!(web.trusted(&runtime).jwks_uri(uri).build().is_err(), "{uri}");
    }
    assert!(trusted("").jwks_uri("https://keys.example.com").transport(web.transport()).build().is_ok());
}

/// `CREDFED_RANDOM_KIDS` sets how many (default 20,000; 1,000,000 take a release build a minute).
#[test]
fn random_key_ids_cause_three_fetches_a_minute_and_disturb_nobody() {
    let count: u64 =
        std::env::var("CREDFED_RANDOM_KIDS").ok().and_then(|count| count.parse().ok()).unwrap_or(20_000);
    let stage = Stage::new();
    assert_eq!(stage.judge(&stage.one, "one"), Ok(()));
    // The claims are good and the signature is not looked at: nobody has the key.
    let mut claims = claims();
    claims["exp"] = json!(NOW + 600);
    let good = stage.one.token_of(&json!({"alg": "ES256", "kid": "one"}), &claims);
    let (_, tail) = good.split_once('.').unwrap();
    let per_minute = count / 5;
    for minute in 0..5 {
        let before = stage.web.requests();
        for number in 0..per_minute {
            let header = format!("{{\"alg\":\"ES256\",\"kid\":\"random-{minute}-{number}\"}}");
            let token = format!("{}.{tail}", crate::support::b64(header));
            let verdict = stage.runtime.block_on(stage.issuers.validate(&token, now())).unwrap();
            assert_eq!(verdict.map(drop), UNKNOWN);
            if number % 100 == 0 {
                let verdict = stage.runtime.block_on(stage.issuers.validate(&good, now())).unwrap();
                assert!(verdict.is_ok());
            }
            if number % (per_minute / 60).max(1) == 0 {
                stage.advance(1);
            }
        }
        let fetches = stage.web.requests() - before;
        assert!((1..=3).contains(&fetches), "{fetches} requests in minute {minute}");
    }
    stage.publish(&[(&stage.one, "one"), (&stage.other, "other")]);
    stage.advance(30);
    assert_eq!(stage.judge(&stage.other, "other"), Ok(()), "a rotated key works after the storm");
}

#[test]
fn many_who_wait_for_one_unknown_key_cause_one_fetch() {
    let stage = Stage::new();
    assert_eq!(stage.judge(&stage.one, "one"), Ok(()));
    stage.publish(&[(&stage.one, "one"), (&stage.other, "other")]);
    let token = stage.other.token("other");
    let all = futures::future::join_all((0..1_000).map(|_| stage.issuers.validate(&token, now())));
    let verdicts = stage.runtime.block_on(all).unwrap();
    assert!(verdicts.iter().all(Result::is_ok));
    assert_eq!(stage.fetches(), 2);
}

#[test]
fn a_key_that_a_refresh_which_was_due_did_not_bring_is_asked_for_as_any_other() {
    let slow = Slow::default();
    let stage = Stage::with(|issuer| issuer.transport(HttpTransport::new(slow.clone())));
    *slow.web.lock().unwrap() = Some(stage.web.clone());
    assert_eq!(stage.judge(&stage.one, "one"), Ok(()));
    // The set is about to expire: a refresh begins, and somebody who needs a new key waits for it.
    stage.advance(13 * MINUTE);
    let (release, released) = oneshot::channel();
    *slow.held.lock().unwrap() = Some(released);
    assert_eq!(stage.judge(&stage.one, "one"), Ok(()));
    let token = stage.token(&stage.other, "other");
    let mut waiting = Box::pin(stage.issuers.validate(&token, at(stage.seconds())));
    assert!(waiting.as_mut().now_or_never().is_none());
    release.send(()).unwrap();
    assert_eq!(stage.runtime.block_on(waiting).unwrap().map(drop), UNKNOWN);
    assert_eq!(stage.fetches(), 2);
    // That refresh was nobody's question: the first one about a key is still to be asked.
    stage.publish(&[(&stage.one, "one"), (&stage.other, "other")]);
    assert_eq!(stage.judge(&stage.other, "other"), Ok(()));
    assert_eq!(stage.fetches(), 3);
}

/// Answers as the web does; the next answer is held back if a test says so.
#[derive(Clone, Default)]
struct Slow {
    web: Arc<Mutex<Option<Web>>>,
    held: Arc<Mutex<Option<oneshot::Receiver<()>>>>,
}

impl Service<http::Request<Bytes>> for Slow {
    type Response = http::Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Bytes>) -> Self::Future {
        let answer = self.web.lock().unwrap().as_mut().unwrap().call(request);
        let held = self.held.lock().unwrap().take();
        async move {
            if let Some(held) = held {
                let _ = held.await;
            }
            answer.await
        }
        .boxed()
    }
}
