//! Threats B4 and B6: what is no key ring, and what follows from one.

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use credfed_core::keyring::{KeyId, KeyRing, KeyRingError, KeyState, SharedKeyRing};
use credfed_core::session::{MintError, OpenError, SealedSessions};
use sha2::{Digest, Sha256};

use crate::support::{HOUR, ISSUER, claims_at, mint_at, noon, open_at};

const MINUTE: Duration = Duration::from_secs(60);

fn kid(key: &[u8]) -> String {
    let digest = Sha256::digest([b"credfed kid", key].concat());
    digest[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

fn random() -> [u8; 32] {
    let mut key = [0; 32];
    getrandom::fill(&mut key).unwrap();
    key
}

fn entry(key: &[u8], activates: u64) -> String {
    format!(
        r#"{{"kid":"{}","key":"{}","created":1,"activates":{activates}}}"#,
        kid(key),
        STANDARD.encode(key)
    )
}

fn kid_of(entry: &str) -> KeyId {
    entry.split('"').nth(3).unwrap().parse().unwrap()
}

fn ring(entries: &[String]) -> String {
    format!(r#"{{"version":1,"keys":[{}]}}"#, entries.join(","))
}

fn refusal(text: &str) -> KeyRingError {
    KeyRing::parse(text).err().unwrap_or_else(|| panic!("accepted"))
}

#[test]
fn a_ring_comes_back_from_its_text() {
    let first = KeyRing::generate(noon()).unwrap();
    let ring = first.rotate(noon(), noon() + HOUR, MINUTE).unwrap();
    let text = ring.to_text();
    let read = KeyRing::parse(text.expose()).unwrap();
    assert_eq!(read.to_text(), text);
    assert!(read.keys(noon()).eq(ring.keys(noon())));
    assert_eq!(read.keys(noon()).count(), 2);
}

#[test]
fn states_follow_from_the_time() {
    use KeyState::{Current, Next, Previous};
    let ring = KeyRing::generate(noon()).unwrap();
    let ring = ring.rotate(noon(), noon() + HOUR, MINUTE).unwrap();
    let ring = ring.rotate(noon(), noon() + 2 * HOUR, MINUTE).unwrap();
    let states = |now| ring.keys(now).map(|key| key.state).collect::<Vec<_>>();
    let nanosecond = Duration::from_nanos(1);
    assert_eq!(states(noon() - nanosecond), [Next, Next, Next]);
    assert_eq!(states(noon()), [Current, Next, Next]);
    assert_eq!(states(noon() + HOUR - nanosecond), [Current, Next, Next]);
    assert_eq!(states(noon() + HOUR), [Previous, Current, Next]);
    assert_eq!(states(noon() + 2 * HOUR), [Previous, Previous, Current]);
}

#[test]
fn a_ring_whose_keys_are_all_to_come_opens_and_does_not_mint() {
    let ring = SharedKeyRing::new(KeyRing::generate(noon() + HOUR).unwrap());
    let sessions = SealedSessions::new(ISSUER, ring);
    let early = sessions.mint(&claims_at("ci", noon()), noon());
    assert_eq!(early.err(), Some(MintError::NoCurrentKey));
}

#[test]
fn what_nobody_drew_at_random_refuses_the_load_and_says_what_to_do() {
    let counting: Vec<u8> = (0..32).collect();
    let passphrase = b"correct horse battery staple 123";
    for weak in [&[0; 32][..], &[0xAB; 32], &counting, passphrase, &[[1, 2].as_slice(); 16].concat()] {
        let error = refusal(&ring(&[entry(weak, 1)]));
        assert!(matches!(error, KeyRingError::NotRandom(_)), "{error:?}");
        assert!(error.to_string().contains("draw 32 bytes at random"), "{error}");
    }
    for length in [0, 1, 16, 31] {
        let error = refusal(&ring(&[entry(&random()[..length], 1)]));
        assert!(
            matches!(error, KeyRingError::Short(_)) && error.to_string().contains("draw 32 bytes"),
            "{error}"
        );
    }
    let long = [random(), random()].concat();
    assert!(matches!(refusal(&ring(&[entry(&long, 1)])), KeyRingError::Long(_)));
    assert_eq!(refusal(&ring(&[])), KeyRingError::NoKeys);
}

#[test]
fn what_contradicts_itself_refuses_the_load() {
    let (a, b) = (random(), random());
    let good = entry(&a, 1);
    assert!(KeyRing::parse(&ring(std::slice::from_ref(&good))).is_ok());
    // One key under two times, one name for two keys, a name that is another key's.
    assert!(matches!(refusal(&ring(&[good.clone(), entry(&a, 2)])), KeyRingError::Duplicate(_)));
    let misnamed = entry(&b, 2).replace(&kid(&b), &kid(&a));
    assert!(matches!(refusal(&ring(&[good.clone(), misnamed])), KeyRingError::OtherKeyId { .. }));
    assert!(matches!(refusal(&ring(&[good.clone(), entry(&b, 1)])), KeyRingError::SameActivation(..)));
    let capitals = good.replace(&kid(&a), &kid(&a).to_uppercase());
    if capitals != good {
        assert_eq!(refusal(&ring(&[capitals])), KeyRingError::NoKeyId);
    }
    let late = entry(&a, 253_402_300_800);
    assert!(matches!(refusal(&ring(&[late])), KeyRingError::Times(_)));
    let unpadded = good.replace('=', "");
    assert!(matches!(refusal(&ring(&[unpadded])), KeyRingError::NoKey(_)));
}

#[test]
fn times_that_no_ring_gives_itself_refuse_the_load() {
    let good = entry(&random(), 2_000);
    let with_created = |created: u64| {
        KeyRing::parse(&ring(&[good.replace("\"created\":1", &format!("\"created\":{created}"))])).map(drop)
    };
    let id = kid_of(&good);
    assert_eq!(with_created(2_000), Ok(()), "at once");
    // Current before it was there.
    assert_eq!(with_created(2_001), Err(KeyRingError::Times(id)));
    assert_eq!(with_created(253_402_300_799), Err(KeyRingError::Times(id)));
    // After the year 9999, whatever the other one is.
    assert_eq!(with_created(253_402_300_800), Err(KeyRingError::Times(id)));
    assert_eq!(with_created(u64::MAX), Err(KeyRingError::Times(id)));
    let last = good.replace("2000", "253402300799").replace("\"created\":1", "\"created\":253402300799");
    assert!(KeyRing::parse(&ring(std::slice::from_ref(&last))).is_ok());
    let beyond = last.replace("253402300799", "253402300800");
    assert_eq!(refusal(&ring(&[beyond])), KeyRingError::Times(id));
}

#[test]
fn what_is_not_the_format_refuses_the_load() {
    let good = ring(&[entry(&random(), 1)]);
    let broken = [
        String::new(),
        "{".into(),
        "[]".into(),
        "null".into(),
        good.replace("\"version\":1,", ""),
        good.replace("\"version\":1", "\"version\":1,\"version\":1"),
        good.replace("\"version\":1", "\"version\":1,\"comment\":\"x\""),
        good.replace("\"created\":1", "\"created\":1,\"retired\":2"),
        good.replace("\"created\":1", "\"created\":1,\"created\":1"),
        good.replace("\"created\":1,", ""),
        good.replace("\"created\":1", "\"created\":-1"),
        good.replace("\"created\":1", "\"created\":1.5"),
        good.replace("\"created\":1", "\"created\":\"1\""),
        good.replace("\"created\":1", "\"created\":99999999999999999999"),
        format!("{good} x"),
        format!("{good}{good}"),
    ];
    for text in broken {
        assert!(matches!(refusal(&text), KeyRingError::Malformed { .. }), "{text}");
    }
    assert_eq!(refusal(&good.replace("\"version\":1", "\"version\":2")), KeyRingError::Version(2));
    assert_eq!(refusal(&format!("{good}{}", " ".repeat(64 * 1024))), KeyRingError::TooLong);
    let many: Vec<String> = (1..34).map(|at| entry(&random(), at)).collect();
    assert_eq!(refusal(&ring(&many)), KeyRingError::TooManyKeys);
    assert!(KeyRing::parse(&ring(&many[..32])).is_ok());
}

#[test]
fn no_error_and_no_debug_shows_a_key() {
    let key = random();
    let secret = STANDARD.encode(key);
    let good = ring(&[entry(&key, 1)]);
    // The key where a number belongs: what a JSON parser says of it quotes it.
    let misplaced = good.replace("\"created\":1", &format!("\"created\":\"{secret}\""));
    let unknown = good.replace("\"created\":1", &format!("\"created\":1,\"{secret}\":1"));
    for text in [misplaced, unknown] {
        let error = refusal(&text);
        assert!(!format!("{error} {error:?} {error:#?}").contains(&secret[..8]));
    }
    let parsed = KeyRing::parse(&good).unwrap();
    let shared = SharedKeyRing::new(KeyRing::parse(&good).unwrap());
    let text = format!("{parsed:?} {parsed:#?} {shared:?} {:?}", parsed.to_text());
    assert!(!text.contains(&secret[..8]) && text.contains(&kid(&key)), "{text}");
    assert!(!text.contains(&format!("{}, {}", key[0], key[1])));
}

#[test]
fn a_key_is_not_activated_before_every_replica_has_it() {
    let ring = KeyRing::generate(noon()).unwrap();
    let rotate = |activates: SystemTime| ring.rotate(noon() + HOUR, activates, MINUTE).map(drop);
    assert_eq!(rotate(noon() + HOUR), Err(KeyRingError::TooSoon));
    assert_eq!(rotate(noon() + HOUR + MINUTE - Duration::from_nanos(1)), Err(KeyRingError::TooSoon));
    assert_eq!(rotate(noon() + HOUR + MINUTE), Ok(()));
    assert!(ring.rotate_at_once(noon() + HOUR).is_ok());
}

#[test]
fn the_current_key_stays_and_others_can_be_removed() {
    let ring = KeyRing::generate(noon()).unwrap();
    let ring = ring.rotate(noon(), noon() + HOUR, MINUTE).unwrap();
    let ids: Vec<_> = ring.keys(noon()).map(|key| key.id).collect();
    assert_eq!(ring.remove(ids[0], noon()).unwrap_err(), KeyRingError::CurrentKey(ids[0]));
    let without = ring.remove(ids[1], noon()).unwrap();
    assert!(without.keys(noon()).map(|key| key.id).eq([ids[0]]));
    assert_eq!(without.remove(ids[1], noon()).unwrap_err(), KeyRingError::UnknownKey(ids[1]));
    let later = ring.remove(ids[0], noon() + HOUR).unwrap();
    assert!(later.keys(noon()).map(|key| key.id).eq([ids[1]]));
}

#[test]
fn a_key_retires_when_its_last_session_is_over() {
    let ring = KeyRing::generate(noon()).unwrap();
    let ring = ring.rotate(noon(), noon() + HOUR, MINUTE).unwrap();
    let left = |now| ring.retire(now, 12 * HOUR).keys(now).count();
    assert_eq!(left(noon() + 13 * HOUR - Duration::from_nanos(1)), 2);
    assert_eq!(left(noon() + 13 * HOUR), 1);
    // The current key and those to come stay for ever.
    assert_eq!(left(noon() + 1300 * HOUR), 1);
}

#[test]
fn a_removed_key_opens_nothing_from_that_moment_on() {
    let shared = SharedKeyRing::new(KeyRing::generate(noon()).unwrap());
    let sessions = SealedSessions::new(ISSUER, shared.clone());
    let held = mint_at(&sessions, "ci", noon());
    let rotated = shared.load().rotate_at_once(noon() + MINUTE).unwrap();
    shared.replace(rotated);
    let open = || open_at(&sessions, &held.access_key_id, &held.token, noon() + MINUTE);
    assert_eq!(open(), Ok(()));
    let leaked = shared.load().keys(noon()).next().unwrap().id;
    let without = shared.load().remove(leaked, noon() + MINUTE).unwrap();
    shared.replace(without);
    assert_eq!(open(), Err(OpenError::UnknownKey));
}

#[test]
fn a_refused_text_leaves_the_last_good_ring_in_place_and_raises_the_alarm() {
    let shared = SharedKeyRing::new(KeyRing::generate(noon()).unwrap());
    let before = shared.load().to_text();
    let half = ring(&[entry(&random(), 1), entry(&[0; 32], 2)]);
    for tries in 1..=3 {
        assert!(shared.replace_from(&half).is_err());
        let status = shared.status();
        assert_eq!((status.replaced, status.refused), (0, tries));
        assert!(matches!(status.error, Some(KeyRingError::NotRandom(_))));
        assert_eq!(shared.load().to_text(), before);
    }
    shared.replace_from(&ring(&[entry(&random(), 1)])).unwrap();
    let status = shared.status();
    assert_eq!((status.replaced, status.refused, status.error), (1, 0, None));
    assert_ne!(shared.load().to_text(), before);
}

#[test]
fn no_ring_is_made_that_its_own_text_would_not_load() {
    let last = SystemTime::UNIX_EPOCH + Duration::from_secs(253_402_300_799);
    let ring = KeyRing::generate(noon()).unwrap();
    let latest = ring.rotate(noon(), last, MINUTE).unwrap();
    assert!(KeyRing::parse(latest.to_text().expose()).is_ok());
    for late in [last + Duration::from_nanos(1), last + Duration::from_secs(1), last + 9_000 * HOUR] {
        assert_eq!(ring.rotate(noon(), late, MINUTE).err(), Some(KeyRingError::Clock), "{late:?}");
    }
    assert_eq!(KeyRing::generate(last + Duration::from_secs(1)).err(), Some(KeyRingError::Clock));
    assert_eq!(ring.rotate_at_once(last + Duration::from_secs(1)).err(), Some(KeyRingError::Clock));
    let early = SystemTime::UNIX_EPOCH - Duration::from_nanos(1);
    assert_eq!(KeyRing::generate(early).err(), Some(KeyRingError::Clock));
}

#[test]
fn a_rotation_at_a_fraction_of_a_second_is_not_earlier_than_every_reload() {
    let ring = KeyRing::generate(noon()).unwrap();
    let now = noon() + HOUR + Duration::from_millis(900);
    let rotated = ring.rotate(now, now + MINUTE, MINUTE).unwrap();
    let activates = rotated.keys(now).last().unwrap().activates;
    assert_eq!(activates, noon() + HOUR + MINUTE + Duration::from_secs(1));
    // One that leaked is followed at once all the same.
    let at_once = ring.rotate_at_once(now).unwrap();
    assert_eq!(at_once.keys(now).last().unwrap().state, KeyState::Current);
}
