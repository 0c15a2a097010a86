//! What holds for every input of the fuzz target of session tokens. Run by the fuzzer, and by `cargo test` over the
//! corpus that is checked in.

use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use credfed_core::keyring::{KeyRing, SharedKeyRing};
use credfed_core::oidc::{Algorithm, LocalSigner};
use credfed_core::session::{
    JwtSessionKeys, JwtSessions, OpenError, Scratch, SealedSessions, SessionClaims, SessionKind,
};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;

const ISSUER: &str = "https://sts.example";

/// Input: a token; or, behind a NUL, edits of a genuine one: three bytes each, where and what. The same of JWTs; and
/// two lines, header and payload of one that is signed with the right key.
///
/// What is not the genuine token itself never opens, and never comes further than the seal.
pub(crate) fn session_token(data: &[u8]) {
    sealed(data);
    jwt(data);
}

fn sealed(data: &[u8]) {
    let (sessions, access_key_id, token) = genuine();
    let mutated = match data.strip_prefix(&[0]) {
        Some(edits) => edited(token, edits),
        None => data.to_vec(),
    };
    // A token comes out of a header or a query: it is text.
    let Ok(text) = std::str::from_utf8(&mutated) else { return };
    let mut scratch = Scratch::new();
    let opened = sessions.open(access_key_id, text, now(), &mut scratch);
    if text == token {
        assert!(opened.is_ok(), "the genuine token opens");
        return;
    }
    let error = opened.expect_err("what was not sealed here does not open");
    assert!(!matches!(error, OpenError::Claims(_) | OpenError::Expired | OpenError::NotYet), "{error}");
}

fn jwt(data: &[u8]) {
    let Jwts { services, key } = Jwts::get();
    for (sessions, access_key_id, token) in services {
        let mutated = match data.strip_prefix(&[0]) {
            Some(edits) => edited(token, edits),
            None => data.to_vec(),
        };
        let Ok(text) = std::str::from_utf8(&mutated) else { return };
        let opened = sessions.open(access_key_id, text, now());
        if text == token {
            assert!(opened.is_ok(), "the genuine token opens");
            continue;
        }
        let error = opened.expect_err("what was not signed here does not open");
        assert!(!matches!(error, OpenError::Claims(_) | OpenError::Expired | OpenError::NotYet), "{error}");
    }
    let Some((header, payload)) = std::str::from_utf8(data).ok().and_then(|text| text.split_once('\n'))
    else {
        return;
    };
    let [(sessions, access_key_id, token), ..] = services;
    let id = part(token, 1)["jti"].as_str().expect("an id").to_owned();
    // The names that the process drew, where the input leaves room for them.
    let (kid, now) = (part(token, 0)["kid"].as_str().expect("a name").to_owned(), now());
    let filled = |text: &str| text.replace("$kid", &kid).replace("$jti", &id);
    let (header, payload) = (filled(header), filled(payload));
    let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(&header), URL_SAFE_NO_PAD.encode(&payload));
    let text = format!("{input}.{}", URL_SAFE_NO_PAD.encode(mac(key, input.as_bytes())));
    let Ok(session) = sessions.open(access_key_id, &text, now) else { return };
    // Judged by other code.
    let header: Value = serde_json::from_str(&header).expect("a header is json");
    let said: Value = serde_json::from_str(&payload).expect("a payload is json");
    assert_eq!((&header["alg"], &header["kid"]), (&"HS256".into(), &kid.into()));
    assert!(
        header["typ"].as_str().is_some_and(|typ| typ.to_ascii_lowercase().ends_with("credfed-session+jwt"))
    );
    assert_eq!((&said["iss"], &said["aud"], &said["jti"]), (&ISSUER.into(), &"s3".into(), &id.into()));
    let claims = session.claims();
    assert!(claims.expires() > now && claims.issued() <= now + Duration::from_secs(60));
    assert_eq!(said["sub"].as_str(), Some(claims.principal()));
    assert_eq!(claims.restricted(), said.get("policy").is_some());
    assert_eq!(claims.tags().count(), said.get("tags").and_then(Value::as_array).map_or(0, Vec::len));
    // What was accepted can be minted, and is the same then; unless it takes more room than what we mint may.
    let Ok(keys) = sessions.mint(claims, now) else { return };
    let again = sessions.open(
        keys.value().access_key_id(),
        keys.value().session_token().expect("a token").expose(),
        now,
    );
    assert!(again.is_ok_and(|again| again.claims() == claims));
}

type Service = (JwtSessions, String, String);

/// HS256 with its key, and ES256. Drawn once in a process.
struct Jwts {
    services: [Service; 2],
    key: Vec<u8>,
}

impl Jwts {
    fn get() -> &'static Self {
        static JWTS: OnceLock<Jwts> = OnceLock::new();
        JWTS.get_or_init(|| {
            let ring = SharedKeyRing::new(KeyRing::generate(now()).expect("a ring"));
            let text: Value = serde_json::from_str(ring.load().to_text().expose()).expect("json");
            let master = STANDARD.decode(text["keys"][0]["key"].as_str().expect("a key")).expect("base64");
            let signer = LocalSigner::generate(Algorithm::Es256).expect("a key");
            let keys = JwtSessionKeys::signing(signer).expect("a key");
            let services = [
                JwtSessions::hs256(ISSUER, "s3", ring.clone()),
                JwtSessions::asymmetric(ISSUER, "s3", ring, keys),
            ];
            let services = services.map(|sessions| {
                let keys = sessions.mint(&claims(), now()).expect("a session").into_value();
                let token = keys.session_token().expect("a token").expose().to_owned();
                (sessions, keys.access_key_id().to_owned(), token)
            });
            Self { services, key: mac(&master, b"credfed session jwt v1\x01") }
        })
    }
}

fn mac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mac = Hmac::<Sha256>::new_from_slice(key).expect("any length");
    mac.chain_update(message).finalize().into_bytes().to_vec()
}

fn part(token: &str, at: usize) -> Value {
    let part = token.split('.').nth(at).expect("a part");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64")).expect("json")
}

fn claims() -> SessionClaims {
    let role = "arn:aws:iam::123456789012:role/reader";
    let hour = Duration::from_secs(3600);
    SessionClaims::builder(SessionKind::AssumedRole, role, now(), now() + hour)
        .session_name("fuzz")
        .build()
        .expect("claims")
}

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_176_000)
}

/// Drawn once in a process.
fn genuine() -> &'static (SealedSessions, String, String) {
    static GENUINE: OnceLock<(SealedSessions, String, String)> = OnceLock::new();
    GENUINE.get_or_init(|| {
        let ring = SharedKeyRing::new(KeyRing::generate(now()).expect("a ring"));
        let sessions = SealedSessions::new(ISSUER, ring);
        let keys = sessions.mint(&claims(), now()).expect("a session").into_value();
        let token = keys.session_token().expect("a token").expose().to_owned();
        (sessions, keys.access_key_id().to_owned(), token)
    })
}

/// Overwrites bytes with letters of the alphabet of tokens, cuts, or puts in.
fn edited(token: &str, edits: &[u8]) -> Vec<u8> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut bytes = token.as_bytes().to_vec();
    let (edits, _) = edits.as_chunks::<3>();
    for [high, low, what] in edits {
        let at = usize::from(u16::from_be_bytes([*high, *low])) % (bytes.len() + 1);
        let letter = LETTERS[usize::from(what & 63)];
        match what >> 6 {
            0 | 1 if at < bytes.len() => bytes[at] = letter,
            2 => bytes.insert(at, letter),
            _ => bytes.truncate(at),
        }
    }
    bytes
}
