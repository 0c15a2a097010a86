//! Threat B8.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use credfed_core::session::{
    Epochs, Revocation, RevocationFull, RevocationUnavailable, RevokedError, Scratch, SessionClaimsRef,
    TokenId,
};

use crate::support::{HOUR, ROLE, claims, mint, noon, sessions};

const SECOND: Duration = Duration::from_secs(1);

fn id() -> TokenId {
    let sessions = sessions();
    let held = mint(&sessions, "ci");
    let mut scratch = Scratch::new();
    let session = sessions.open(&held.access_key_id, &held.token, noon(), &mut scratch);
    session.unwrap().id()
}

#[test]
fn an_epoch_revokes_what_was_issued_at_that_second_or_before() {
    let revocation = Revocation::new();
    let (claims, id) = (claims("ci"), id());
    let check = || revocation.check(&claims.as_ref(), &id);
    assert_eq!(check(), Ok(()));
    revocation.revoke(ROLE, noon() - SECOND).unwrap();
    assert_eq!(check(), Ok(()));
    revocation.revoke("arn:aws:iam::123456789012:role/writer", noon()).unwrap();
    assert_eq!(check(), Ok(()), "another principal's");
    revocation.clone().revoke(ROLE, noon()).unwrap();
    assert_eq!(check(), Err(RevokedError::Revoked));
    revocation.revoke(ROLE, noon() - HOUR).unwrap();
    assert_eq!(check(), Err(RevokedError::Revoked), "an epoch never goes back");
}

#[test]
fn everybody_can_be_revoked_at_once() {
    let revocation = Revocation::new();
    revocation.revoke_all(noon());
    revocation.revoke_all(noon() - HOUR);
    assert_eq!(revocation.check(&claims("ci").as_ref(), &id()), Err(RevokedError::Revoked));
}

#[test]
fn the_hook_denies_and_fails_closed() {
    let down = Arc::new(AtomicBool::new(false));
    let denied = id();
    let hook = {
        let down = Arc::clone(&down);
        move |_: &SessionClaimsRef<'_>, id: &TokenId| match down.load(Ordering::Relaxed) {
            true => Err(RevocationUnavailable),
            false => Ok(*id == denied),
        }
    };
    let revocation = Revocation::new().with_hook(hook);
    let claims = claims("ci");
    assert_eq!(revocation.check(&claims.as_ref(), &id()), Ok(()));
    assert_eq!(revocation.check(&claims.as_ref(), &denied), Err(RevokedError::Revoked));
    down.store(true, Ordering::Relaxed);
    assert_eq!(revocation.check(&claims.as_ref(), &id()), Err(RevokedError::Unavailable));
}

#[test]
fn epochs_are_bounded_and_forgotten_when_no_session_can_fall_under_them() {
    let revocation = Revocation::new();
    let epochs = (0..10_000_u32).map(|n| (format!("principal-{n}"), noon() + n % 2 * HOUR));
    epochs.for_each(|(principal, epoch)| revocation.revoke(&principal, epoch).unwrap());
    assert_eq!(revocation.revoke(ROLE, noon()), Err(RevocationFull));
    assert_eq!(revocation.check(&claims("ci").as_ref(), &id()), Ok(()));
    // One that is there already can be moved.
    revocation.revoke("principal-7", noon() + HOUR).unwrap();
    revocation.forget(noon() + 12 * HOUR + 59 * SECOND, 12 * HOUR);
    assert_eq!(revocation.epochs().principals.len(), 10_000);
    revocation.forget(noon() + 12 * HOUR + 60 * SECOND, 12 * HOUR);
    assert_eq!(revocation.epochs().principals.len(), 5_000);
    revocation.revoke(ROLE, noon()).unwrap();
    assert_eq!(revocation.check(&claims("ci").as_ref(), &id()), Err(RevokedError::Revoked));
}

#[test]
fn what_is_revoked_survives_a_restart() {
    let before = Revocation::new();
    assert_eq!(before.epochs(), Epochs::default());
    before.revoke_all(noon() - HOUR);
    before.revoke_many((0..500_u32).map(|n| (format!("principal-{n}"), noon() + n * SECOND))).unwrap();
    before.revoke(ROLE, noon()).unwrap();
    before.revoke("principal-3", noon() + HOUR).unwrap();
    let kept = before.epochs();
    assert_eq!((kept.everybody, kept.principals.len()), (Some(noon() - HOUR), 501));
    assert_eq!(kept.principals["principal-3"], noon() + HOUR);

    let after = Revocation::new();
    // What was revoked since is not taken back.
    after.revoke("principal-3", noon() + 2 * HOUR).unwrap();
    after.restore(&kept).unwrap();
    assert_eq!(after.check(&claims("ci").as_ref(), &id()), Err(RevokedError::Revoked));
    let mut expected = kept.clone();
    expected.principals.insert("principal-3".into(), noon() + 2 * HOUR);
    assert_eq!(after.epochs(), expected);
    after.restore(&kept).unwrap();
    assert_eq!(after.epochs(), expected, "playing them in again changes nothing");

    let everybody = Revocation::new();
    let mut epochs = Epochs::default();
    epochs.everybody = Some(noon());
    everybody.restore(&epochs).unwrap();
    assert_eq!(everybody.check(&claims("ci").as_ref(), &id()), Err(RevokedError::Revoked));
}

#[test]
fn many_are_revoked_at_once_or_none_of_them() {
    let revocation = Revocation::new();
    let named = |from: u32, to: u32| (from..to).map(|n| (format!("principal-{n}"), noon()));
    revocation.revoke_many(named(0, 9_999)).unwrap();
    let before = revocation.epochs();
    assert_eq!(revocation.revoke_many(named(9_998, 10_001)), Err(RevocationFull));
    assert_eq!(revocation.revoke_many((0_u32..).map(|n| (n.to_string(), noon()))), Err(RevocationFull));
    assert_eq!(revocation.epochs(), before);
    // What is there already, or comes twice, takes no room.
    let last = [(ROLE, noon()), ("principal-7", noon() + HOUR), (ROLE, noon() - HOUR)];
    revocation.revoke_many(last).unwrap();
    assert_eq!(revocation.epochs().principals.len(), 10_000);
    assert_eq!(revocation.epochs().principals["principal-7"], noon() + HOUR);
    assert_eq!(revocation.check(&claims("ci").as_ref(), &id()), Err(RevokedError::Revoked));
    assert_eq!(revocation.revoke("one more", noon()), Err(RevocationFull));
}

#[test]
fn epochs_that_are_raised_at_the_same_time_are_all_there() {
    let revocation = Revocation::new();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let revocation = &revocation;
            scope.spawn(move || {
                for number in 0..500 {
                    revocation.revoke(&format!("{thread}-{number}"), noon()).unwrap();
                    revocation.revoke("all of them", noon() + (thread * 500 + number) * SECOND).unwrap();
                }
            });
        }
    });
    let epochs = revocation.epochs();
    assert_eq!(epochs.principals.len(), 2_001);
    assert_eq!(epochs.principals["all of them"], noon() + 1_999 * SECOND);
}
