//! What holds for every input of the fuzz target of session tokens. Run by the fuzzer, and by `cargo test` over the
//! corpus that is checked in.

use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use credfed_core::keyring::{KeyRing, SharedKeyRing};
use credfed_core::session::{OpenError, Scratch, SealedSessions, SessionClaims, SessionKind};

/// Input: a token; or, behind a NUL, edits of a genuine one: three bytes each, where and what.
///
/// What is not the genuine token itself never opens, and never comes further than the seal.
pub(crate) fn session_token(data: &[u8]) {
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

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_176_000)
}

/// Drawn once in a process.
fn genuine() -> &'static (SealedSessions, String, String) {
    static GENUINE: OnceLock<(SealedSessions, String, String)> = OnceLock::new();
    GENUINE.get_or_init(|| {
        let ring = SharedKeyRing::new(KeyRing::generate(now()).expect("a ring"));
        let sessions = SealedSessions::new("https://sts.example", ring);
        let role = "arn:aws:iam::123456789012:role/reader";
        let hour = Duration::from_secs(3600);
        let claims = SessionClaims::builder(SessionKind::AssumedRole, role, now(), now() + hour)
            .session_name("fuzz")
            .build()
            .expect("claims");
        let keys = sessions.mint(&claims, now()).expect("a session").into_value();
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
