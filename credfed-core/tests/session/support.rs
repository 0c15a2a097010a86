//! What the tests of this binary share. Keys are drawn when a test runs.
#![allow(unreachable_pub)]

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use credfed_core::keyring::{KeyRing, SharedKeyRing};
use credfed_core::session::{OpenError, Scratch, SealedSessions, SessionClaims, SessionKind};
use sha2::{Digest, Sha256};

pub const ISSUER: &str = "https://sts.example";
pub const ROLE: &str = "arn:aws:iam::123456789012:role/reader";
pub const HOUR: Duration = Duration::from_secs(3600);

/// 2026-11-20T12:00:00Z.
pub fn noon() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_176_000)
}

pub fn ring() -> SharedKeyRing {
    SharedKeyRing::new(KeyRing::generate(noon()).unwrap())
}

pub fn sessions() -> SealedSessions {
    SealedSessions::new(ISSUER, ring())
}

pub fn claims(name: &str) -> SessionClaims {
    claims_at(name, noon())
}

pub fn claims_at(name: &str, issued: SystemTime) -> SessionClaims {
    SessionClaims::builder(SessionKind::WebIdentity, ROLE, issued, issued + HOUR)
        .session_name(name)
        .subject("repo:example/repository")
        .issuer("https://issuer.example")
        .build()
        .unwrap()
}

/// What a client holds.
#[derive(Clone, Debug)]
pub struct Held {
    pub access_key_id: String,
    pub secret: String,
    pub token: String,
}

pub fn mint(sessions: &SealedSessions, name: &str) -> Held {
    mint_at(sessions, name, noon())
}

pub fn mint_at(sessions: &SealedSessions, name: &str, now: SystemTime) -> Held {
    let keys = sessions.mint(&claims_at(name, now), now).unwrap().into_value();
    Held {
        access_key_id: keys.access_key_id().to_owned(),
        secret: keys.secret_access_key().expose().to_owned(),
        token: keys.session_token().unwrap().expose().to_owned(),
    }
}

pub fn open(sessions: &SealedSessions, access_key_id: &str, token: &str) -> Result<(), OpenError> {
    open_at(sessions, access_key_id, token, noon())
}

pub fn open_at(
    sessions: &SealedSessions,
    access_key_id: &str,
    token: &str,
    now: SystemTime,
) -> Result<(), OpenError> {
    sessions.open(access_key_id, token, now, &mut Scratch::new()).map(drop)
}

/// The three parts of a token, the last one decoded.
pub fn parts(token: &str) -> (String, String, Vec<u8>) {
    let mut parts = token.splitn(3, '.');
    let mut part = || parts.next().unwrap().to_owned();
    (part(), part(), URL_SAFE_NO_PAD.decode(part()).unwrap())
}

pub fn join(version: &str, kid: &str, sealed: &[u8]) -> String {
    format!("{version}.{kid}.{}", URL_SAFE_NO_PAD.encode(sealed))
}

/// The access key id that fits a token, as anybody can compute it: whoever alters a nonce will have altered the
/// access key id to go with it.
pub fn fitting_access_key_id(sealed: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let digest = Sha256::digest([b"credfed akid", sealed.get(..24).unwrap_or_default()].concat());
    let bit = |at: usize| usize::from(digest[at / 8] >> (7 - at % 8) & 1);
    let letter = |at: usize| (0..5).fold(0, |letter, n| letter << 1 | bit(at * 5 + n));
    let letters = (0..16).map(|at| char::from(ALPHABET[letter(at)]));
    format!("ASIA{}", letters.collect::<String>())
}

/// Repeatable, and not secret (SplitMix64).
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.roll() % end.max(1) as u64).unwrap()
    }
}
