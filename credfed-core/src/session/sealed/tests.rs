use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{KeyInit, Mac};
use xaes_256_gcm::Xaes256Gcm;
use xaes_256_gcm::aead::AeadInOut;

use super::super::claims::SessionKind;
use super::*;
use crate::keyring::KeyRing;

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_176_000)
}

fn sessions() -> SealedSessions {
    SealedSessions::new("https://sts.example", SharedKeyRing::new(KeyRing::generate(now()).unwrap()))
}

fn claims() -> SessionClaims {
    let user = "arn:aws:iam::123456789012:user/alice";
    SessionClaims::builder(SessionKind::SessionToken, user, now(), now() + Duration::from_secs(900))
        .build()
        .unwrap()
}

/// Seals by hand, with parts of one's own.
fn seal(
    sessions: &SealedSessions,
    plain: &[u8],
    associated: impl Fn(&KeyId, &AccessKeyId) -> Vec<u8>,
) -> [String; 2] {
    let ring = sessions.ring.load();
    let key = ring.current(now()).unwrap();
    let id = TokenId::new(std::array::from_fn(|at| at.to_le_bytes()[0]));
    let access_key_id = id.access_key_id();
    let mut sealed = [id.as_bytes(), plain].concat();
    let associated = associated(&key.id(), &access_key_id);
    let plain = (&mut sealed[NONCE..]).into();
    let tag = key.sealing().encrypt_inout_detached(id.as_bytes().into(), &associated, plain).unwrap();
    sealed.extend_from_slice(&tag);
    [access_key_id.as_str().to_owned(), token::text(key.id(), &sealed)]
}

fn framed(parts: &[&[u8]]) -> Vec<u8> {
    parts.iter().flat_map(|part| [&length(part), *part].concat()).collect()
}

#[test]
fn every_part_of_the_associated_data_binds() {
    let sessions = sessions();
    let claims = claims();
    let plain = claims.encoded();
    let issuer = sessions.issuer().as_bytes();
    let mut scratch = Scratch::new();
    let mut open = |[access_key_id, token]: [String; 2]| {
        sessions.open(&access_key_id, &token, now(), &mut scratch).map(drop)
    };
    let truth = seal(&sessions, plain, |key, akid| {
        framed(&[b"cf1", key.as_bytes(), b"sigv4-session", issuer, akid.as_bytes()])
    });
    assert_eq!(open(truth), Ok(()), "the test seals as the code does");
    let other = [b'A'; 20];
    type Lie<'a> = Box<dyn Fn(&KeyId, &AccessKeyId) -> Vec<u8> + 'a>;
    let lies: [Lie<'_>; 7] = [
        Box::new(|key, akid| framed(&[b"cf2", key.as_bytes(), PURPOSE, issuer, akid.as_bytes()])),
        Box::new(|_, akid| framed(&[VERSION, &[0; 8], PURPOSE, issuer, akid.as_bytes()])),
        Box::new(|key, akid| framed(&[VERSION, key.as_bytes(), b"console-login", issuer, akid.as_bytes()])),
        Box::new(|key, akid| framed(&[VERSION, key.as_bytes(), PURPOSE, b"https://other", akid.as_bytes()])),
        Box::new(|key, _| framed(&[VERSION, key.as_bytes(), PURPOSE, issuer, &other])),
        Box::new(|key, akid| [VERSION, key.as_bytes(), PURPOSE, issuer, akid.as_bytes()].concat()),
        Box::new(|_, _| Vec::new()),
    ];
    for (at, lie) in lies.into_iter().enumerate() {
        assert_eq!(open(seal(&sessions, plain, lie)), Err(OpenError::NotGenuine), "{at}");
    }
}

#[test]
fn genuine_bytes_that_are_no_claims_are_refused() {
    let sessions = sessions();
    let claims = claims();
    let issuer = sessions.issuer().as_bytes();
    let more = [claims.encoded(), &[9, 0, 0]].concat();
    let mut no_expiry = claims.encoded().to_vec();
    no_expiry[9..17].fill(0);
    let cases = [
        (&more[..], ClaimsError::Malformed),
        (&[][..], ClaimsError::Malformed),
        (&claims.encoded()[..25], ClaimsError::Missing("principal")),
        (&no_expiry, ClaimsError::Times),
    ];
    for (plain, error) in cases {
        let [access_key_id, token] = seal(&sessions, plain, |key, akid| {
            framed(&[VERSION, key.as_bytes(), PURPOSE, issuer, akid.as_bytes()])
        });
        let mut scratch = Scratch::new();
        let opened = sessions.open(&access_key_id, &token, now(), &mut scratch);
        assert_eq!(opened.unwrap_err(), OpenError::Claims(error));
    }
}

#[test]
fn a_scratch_is_wiped_before_it_is_used_again() {
    let sessions = sessions();
    let keys = sessions.mint(&claims(), now()).unwrap().into_value();
    let token = keys.session_token().unwrap().expose();
    let mut scratch = Scratch::new();
    sessions.open(keys.access_key_id(), token, now(), &mut scratch).unwrap();
    let holds = |scratch: &Scratch| scratch.bytes.windows(5).any(|window| window == b"alice");
    assert!(holds(&scratch));
    assert!(sessions.open("ASIA", "cf1.0011223344556677.AAAA", now(), &mut scratch).is_err());
    assert!(!holds(&scratch) && scratch.bytes[3..].iter().all(|byte| *byte == 0));
    sessions.open(keys.access_key_id(), token, now(), &mut scratch).unwrap();
    scratch.wipe();
    assert!(scratch.bytes.iter().all(|byte| *byte == 0));
}

#[test]
fn the_secret_access_key_is_a_digest_under_the_derivation_key() {
    // By hand, so that the derivation cannot change without notice: tokens of yesterday open tomorrow.
    let sessions = sessions();
    let keys = sessions.mint(&claims(), now()).unwrap().into_value();
    let mut scratch = Scratch::new();
    let token = keys.session_token().unwrap().expose();
    let id = sessions.open(keys.access_key_id(), token, now(), &mut scratch).unwrap().id();
    let ring = sessions.ring.load();
    let mut mac = ring.current(now()).unwrap().derivation();
    mac.update(&framed(&[b"credfed secret v1", id.as_bytes(), keys.access_key_id().as_bytes()]));
    let expected = STANDARD.encode(mac.finalize().into_bytes());
    assert_eq!(keys.secret_access_key().expose(), expected);
}

#[test]
fn keys_and_names_are_derived_by_the_labels_that_are_written_down() {
    // A label that changes locks out every session in the field, and nothing else would show it.
    let ring = KeyRing::generate(now()).unwrap();
    let text = ring.to_text();
    let (_, rest) = text.expose().split_once("\"key\": \"").unwrap();
    let master = STANDARD.decode(rest.split_once('"').unwrap().0).unwrap();
    let expand = |label: &[u8]| {
        let mac = <hmac::Hmac<sha2::Sha256> as KeyInit>::new_from_slice(&master).unwrap();
        mac.chain_update(label).chain_update([1]).finalize().into_bytes()
    };
    let sessions = SealedSessions::new("https://sts.example", SharedKeyRing::new(ring));
    let claims = claims();
    let keys = sessions.mint(&claims, now()).unwrap().into_value();
    let token = keys.session_token().unwrap().expose();
    let [_, kid, sealed] = token.split('.').collect::<Vec<_>>()[..] else { panic!("{token}") };
    let sealed = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(sealed).unwrap();
    let (nonce, rest) = sealed.split_first_chunk::<NONCE>().unwrap();
    let (plain, tag) = rest.split_last_chunk::<TAG>().unwrap();
    let access_key_id = keys.access_key_id().as_bytes();

    let kid = KeyId::parse(kid.as_bytes()).unwrap();
    let associated =
        framed(&[b"cf1", kid.as_bytes(), b"sigv4-session", b"https://sts.example", access_key_id]);
    let mut plain = plain.to_vec();
    Xaes256Gcm::new(&expand(b"credfed session seal v1"))
        .decrypt_inout_detached(nonce.into(), &associated, plain.as_mut_slice().into(), tag.into())
        .unwrap();
    assert_eq!(plain, claims.encoded());

    let derivation = expand(b"credfed session secret v1");
    let mac = <hmac::Hmac<sha2::Sha256> as KeyInit>::new_from_slice(&derivation).unwrap();
    let mac = mac.chain_update(framed(&[b"credfed secret v1", nonce, access_key_id]));
    assert_eq!(keys.secret_access_key().expose(), STANDARD.encode(mac.finalize().into_bytes()));

    // Computed elsewhere, with Python's hashlib and base64.
    let id = TokenId::new(std::array::from_fn(|at| at.to_le_bytes()[0]));
    assert_eq!(id.access_key_id().as_str(), "ASIAK6W7QH5T6MCKLGO7");
}
