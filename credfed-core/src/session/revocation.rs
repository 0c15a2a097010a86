//! Sessions that are over before their time.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;

use super::claims::SessionClaimsRef;
use super::token::TokenId;

/// The most principals that have an epoch of their own.
const MOST_EPOCHS: usize = 10_000;

/// Which sessions are revoked. Clones are one.
///
/// Sealed tokens stand for themselves, so a session ends early only through what is asked here, on **every**
/// request and after every cache:
///
/// - An epoch per principal, and one for all: a session that was issued at that second or before is revoked. Epochs
///   are kept in memory, at most 10,000; to keep them over a restart, or to share them between replicas, is the
///   caller's business ([`revoke`](Self::revoke) is idempotent, so they can be played in again).
/// - A [`DenyHook`], for what an epoch cannot say. If it cannot answer, the session is not let through.
#[derive(Clone, Default)]
pub struct Revocation {
    epochs: Arc<ArcSwap<Epochs>>,
    hook: Option<Arc<dyn DenyHook>>,
}

#[derive(Clone, Default)]
struct Epochs {
    everybody: Option<SystemTime>,
    principals: HashMap<Box<str>, SystemTime>,
}

/// A list of denied sessions that somebody else keeps.
///
/// It runs on every request, so it answers from memory. A hook that fails closes the door: the request is answered
/// with 503.
pub trait DenyHook: Send + Sync + 'static {
    /// Whether the session is denied.
    ///
    /// # Errors
    /// [`RevocationUnavailable`], where the list is not there or too old to be believed.
    fn is_denied(&self, session: &SessionClaimsRef<'_>, id: &TokenId) -> Result<bool, RevocationUnavailable>;
}

impl<F> DenyHook for F
where
    F: Fn(&SessionClaimsRef<'_>, &TokenId) -> Result<bool, RevocationUnavailable> + Send + Sync + 'static,
{
    fn is_denied(&self, session: &SessionClaimsRef<'_>, id: &TokenId) -> Result<bool, RevocationUnavailable> {
        self(session, id)
    }
}

impl Revocation {
    /// Nothing is revoked.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks `hook` too.
    #[must_use]
    pub fn with_hook(mut self, hook: impl DenyHook) -> Self {
        self.hook = Some(Arc::new(hook));
        self
    }

    /// Revokes every session of a principal that was issued at `epoch` or before. An epoch never goes back.
    ///
    /// # Errors
    /// [`RevocationFull`]: nothing was revoked. [`forget`](Self::forget) the epochs that are past, or
    /// [`revoke_all`](Self::revoke_all).
    pub fn revoke(&self, principal: &str, epoch: SystemTime) -> Result<(), RevocationFull> {
        let mut full = false;
        self.epochs.rcu(|epochs| {
            let mut epochs = Epochs::clone(epochs);
            full = epochs.principals.len() >= MOST_EPOCHS && !epochs.principals.contains_key(principal);
            if !full {
                let held = epochs.principals.entry(principal.into()).or_insert(epoch);
                *held = epoch.max(*held);
            }
            epochs
        });
        if full { Err(RevocationFull) } else { Ok(()) }
    }

    /// Revokes every session that was issued at `epoch` or before, whoever has it. An epoch never goes back.
    pub fn revoke_all(&self, epoch: SystemTime) {
        self.epochs.rcu(|epochs| {
            let mut epochs = Epochs::clone(epochs);
            epochs.everybody = epochs.everybody.max(Some(epoch));
            epochs
        });
    }

    /// Forgets the epochs that no living session can fall under, if none lives longer than `longest_session`.
    pub fn forget(&self, now: SystemTime, longest_session: Duration) {
        // A session may be issued up to a minute ahead of the clock here, and then live its full time.
        let room = longest_session.saturating_add(super::sealed::ISSUED_AHEAD);
        self.epochs.rcu(|epochs| {
            let mut epochs = Epochs::clone(epochs);
            epochs
                .principals
                .retain(|_, epoch| epoch.checked_add(room).is_none_or(|last_end| last_end > now));
            epochs
        });
    }

    /// The epoch of each principal that has one, for who keeps them elsewhere.
    pub fn epochs(&self) -> Vec<(String, SystemTime)> {
        let epochs = self.epochs.load();
        epochs.principals.iter().map(|(principal, epoch)| (String::from(&**principal), *epoch)).collect()
    }

    /// Passes a session that is not revoked. To be asked on every request, after every cache.
    ///
    /// # Errors
    /// [`RevokedError::Revoked`]; [`RevokedError::Unavailable`] where the hook could not tell.
    pub fn check(&self, session: &SessionClaimsRef<'_>, id: &TokenId) -> Result<(), RevokedError> {
        let epochs = self.epochs.load();
        let own = match epochs.principals.is_empty() {
            true => None,
            false => epochs.principals.get(session.principal()).copied(),
        };
        let issued = session.issued();
        if epochs.everybody.max(own).is_some_and(|epoch| issued <= epoch) {
            return Err(RevokedError::Revoked);
        }
        match self.hook.as_ref().map(|hook| hook.is_denied(session, id)) {
            None | Some(Ok(false)) => Ok(()),
            Some(Ok(true)) => Err(RevokedError::Revoked),
            Some(Err(RevocationUnavailable)) => Err(RevokedError::Unavailable),
        }
    }
}

impl fmt::Debug for Revocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Revocation")
            .field("epochs", &self.epochs.load().principals.len())
            .field("hook", &self.hook.is_some())
            .finish_non_exhaustive()
    }
}

/// The list of denied sessions cannot be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RevocationUnavailable;

impl fmt::Display for RevocationUnavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the list of denied sessions cannot be asked")
    }
}

impl Error for RevocationUnavailable {}

/// There are as many epochs as there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RevocationFull;

impl fmt::Display for RevocationFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{MOST_EPOCHS} principals are revoked already: forget old epochs, or revoke all")
    }
}

impl Error for RevocationFull {}

/// Why a session that is genuine and not over is not let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RevokedError {
    /// It was revoked.
    Revoked,
    /// It cannot be told.
    Unavailable,
}

impl fmt::Display for RevokedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Revoked => "the session was revoked",
            Self::Unavailable => "it cannot be told whether the session was revoked",
        })
    }
}

impl Error for RevokedError {}
