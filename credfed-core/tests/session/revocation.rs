//! Threat B8.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use credfed_core::session::{
    Revocation, RevocationFull, RevocationUnavailable, RevokedError, Scratch, SessionClaimsRef, TokenId,
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
    assert_eq!(revocation.epochs().len(), 10_000);
    revocation.forget(noon() + 12 * HOUR + 60 * SECOND, 12 * HOUR);
    assert_eq!(revocation.epochs().len(), 5_000);
    revocation.revoke(ROLE, noon()).unwrap();
    assert_eq!(revocation.check(&claims("ci").as_ref(), &id()), Err(RevokedError::Revoked));
}
