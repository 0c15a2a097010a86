//! Threat B6: two replicas that reload at different times, threads that open without pause, and a key that becomes
//! current at every tick of the clock. No genuine token is refused, none of a removed key is accepted.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, RwLock};
use std::time::Duration;

use credfed_core::keyring::{KeyId, KeyRing, SharedKeyRing};
use credfed_core::session::{OpenError, SealedSessions};

use crate::support::{HOUR, Held, ISSUER, mint_at, noon, open_at};

const TICK: Duration = Duration::from_secs(60);
const TICKS: u32 = 150;
/// Keys leave the ring this many ticks after they became current.
const LIFE: u32 = 8;

/// What was minted, by which replica, and the key that it names.
struct Issued {
    held: Held,
    key: KeyId,
}

fn key_of(held: &Held) -> KeyId {
    held.token.split('.').nth(1).unwrap().parse().unwrap()
}

#[test]
fn rotating_under_load_refuses_nothing_genuine_and_accepts_nothing_removed() {
    let mut text = KeyRing::generate(noon()).unwrap().to_text();
    let load = |text: &credfed_core::Secret| KeyRing::parse(text.expose()).unwrap();
    let rings = [SharedKeyRing::new(load(&text)), SharedKeyRing::new(load(&text))];
    let replicas = rings.each_ref().map(|ring| SealedSessions::new(ISSUER, ring.clone()));
    let issued = RwLock::new(VecDeque::new());
    let removed = Mutex::new(Vec::<Issued>::new());
    let stop = AtomicBool::new(false);
    // Seconds since noon.
    let clock = AtomicU64::new(0);
    let time = || noon() + Duration::from_secs(clock.load(Ordering::SeqCst));
    let (opened, wrong) = (AtomicUsize::new(0), AtomicUsize::new(0));

    std::thread::scope(|scope| {
        for replica in &replicas {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    // Nothing leaves the ring while this lock is held, so every one of these must open.
                    let issued = issued.read().unwrap();
                    for Issued { held, .. } in issued.iter() {
                        let verdict = open_at(replica, &held.access_key_id, &held.token, time());
                        wrong.fetch_add(usize::from(verdict.is_err()), Ordering::Relaxed);
                        opened.fetch_add(1, Ordering::Relaxed);
                    }
                    drop(issued);
                    std::thread::yield_now();
                }
            });
        }
        for tick in 0..TICKS {
            let now = noon() + tick * TICK;
            clock.store(u64::from(tick) * TICK.as_secs(), Ordering::SeqCst);
            // The new key is current from the tick after the next on; both replicas have read the file by then.
            let mut ring = load(&text).rotate(now, now + 2 * TICK, TICK).unwrap();
            let keys: Vec<_> = ring.keys(now).collect();
            let old = keys.iter().filter(|key| key.activates + LIFE * TICK <= now).map(|key| key.id);
            let old: Vec<KeyId> = old.collect();
            for id in &old {
                ring = ring.remove(*id, now).unwrap();
            }
            text = ring.to_text();
            // Tokens of what is about to be removed are not expected to open any more.
            let mut live = issued.write().unwrap();
            let (gone, stay) = live.drain(..).partition::<Vec<Issued>, _>(|token| old.contains(&token.key));
            live.extend(stay);
            drop(live);
            removed.lock().unwrap().extend(gone);
            // One replica reads the file now and the other one later, and both mint in between.
            for (at, reader) in rings.iter().enumerate() {
                reader.replace_from(text.expose()).unwrap();
                let later = now + TICK / 2 * u32::try_from(at).unwrap();
                for replica in &replicas {
                    let held = mint_at(replica, "ci", later);
                    let key = key_of(&held);
                    let current = ring.keys(later).find(|key| key.state.to_string() == "current").unwrap();
                    assert_eq!(key, current.id, "both replicas seal with the same key");
                    issued.write().unwrap().push_back(Issued { held, key });
                }
            }
            for token in removed.lock().unwrap().drain(..) {
                for replica in &replicas {
                    let verdict = open_at(replica, &token.held.access_key_id, &token.held.token, now);
                    assert_eq!(verdict, Err(OpenError::UnknownKey));
                }
            }
        }
        while opened.load(Ordering::Relaxed) < 1_000 {
            std::thread::yield_now();
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(wrong.into_inner(), 0);
    assert!(u64::from(TICKS) * TICK.as_secs() > HOUR.as_secs());
}
