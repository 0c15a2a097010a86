//! Sessions that are over before their time.

use std::collections::{BTreeMap, HashMap};
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
/// - An epoch per principal, and one for all: a session that was issued at that second or before is revoked. At most
///   10,000 principals have one.
/// - A [`DenyHook`], for what an epoch cannot say. If it cannot answer, the session is not let through.
///
/// # Keeping the epochs
/// Epochs live in memory, and in this process alone: a restart forgets them, and another replica does not know them.
/// A service that has to keep them stores what [`epochs`](Self::epochs) gives after each change, in whole seconds
/// (sessions are issued in whole seconds, so rounding down loses nothing), and plays it in with
/// [`restore`](Self::restore) before it answers the first request. Replicas share them in the same way: an epoch never
/// goes back, so they can be played in by everybody, again and again, in any order.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use credfed_core::session::Revocation;
///
/// let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
/// let before = Revocation::new();
/// before.revoke("arn:aws:iam::123456789012:role/reader", now)?;
/// before.revoke_all(now - Duration::from_secs(3600));
///
/// let after_the_restart = Revocation::new();
/// after_the_restart.restore(&before.epochs())?;
/// assert_eq!(after_the_restart.epochs(), before.epochs());
/// # Ok::<_, credfed_core::session::RevocationFull>(())
/// ```
#[derive(Clone, Default)]
pub struct Revocation {
    held: Arc<ArcSwap<Held>>,
    hook: Option<Arc<dyn DenyHook>>,
}

/// All that is revoked by epoch, at one moment: from [`Revocation::epochs`], and back by [`Revocation::restore`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Epochs {
    /// The epoch of everybody, if there is one.
    pub everybody: Option<SystemTime>,
    /// The epoch of each principal that has one of its own.
    pub principals: BTreeMap<String, SystemTime>,
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
        self.revoke_many([(principal, epoch)])
    }

    /// As [`revoke`](Self::revoke), for many principals in one step: no request sees some of them. Thousands cost
    /// little more than one.
    ///
    /// # Errors
    /// [`RevocationFull`]: none of them was revoked.
    pub fn revoke_many<P: AsRef<str>>(
        &self,
        epochs: impl IntoIterator<Item = (P, SystemTime)>,
    ) -> Result<(), RevocationFull> {
        let mut raised = HashMap::new();
        for (principal, epoch) in epochs {
            let latest = raised.entry(Arc::from(principal.as_ref())).or_insert(epoch);
            *latest = epoch.max(*latest);
            if raised.len() > MOST_EPOCHS {
                return Err(RevocationFull);
            }
        }
        let mut full = false;
        self.held.rcu(|held| {
            let mut new = Held::clone(held);
            new.raise(&raised);
            full = new.count > MOST_EPOCHS;
            if full { Arc::clone(held) } else { Arc::new(new) }
        });
        if full { Err(RevocationFull) } else { Ok(()) }
    }

    /// Revokes every session that was issued at `epoch` or before, whoever has it. An epoch never goes back.
    pub fn revoke_all(&self, epoch: SystemTime) {
        self.held.rcu(|held| {
            let mut new = Held::clone(held);
            new.everybody = new.everybody.max(Some(epoch));
            new
        });
    }

    /// Forgets the epochs of principals that no living session can fall under, if none lives longer than
    /// `longest_session`.
    pub fn forget(&self, now: SystemTime, longest_session: Duration) {
        // A session may be issued up to a minute ahead of the clock here, and then live its full time.
        let room = longest_session.saturating_add(super::sealed::ISSUED_AHEAD);
        self.held.rcu(|held| {
            let mut new = Held::clone(held);
            new.retain(|epoch| epoch.checked_add(room).is_none_or(|last_end| last_end > now));
            new
        });
    }

    /// All epochs, for who keeps them elsewhere.
    pub fn epochs(&self) -> Epochs {
        let held = self.held.load();
        let principals = held.settled.iter().chain(&held.recent);
        Epochs {
            everybody: held.everybody,
            principals: principals.map(|(principal, epoch)| (String::from(&**principal), *epoch)).collect(),
        }
    }

    /// Puts in what [`epochs`](Self::epochs) gave, here or elsewhere. What was revoked meanwhile stays so.
    ///
    /// # Errors
    /// [`RevocationFull`]: the epoch of everybody was put in, those of principals were not.
    pub fn restore(&self, epochs: &Epochs) -> Result<(), RevocationFull> {
        if let Some(epoch) = epochs.everybody {
            self.revoke_all(epoch);
        }
        self.revoke_many(epochs.principals.iter().map(|(principal, epoch)| (principal, *epoch)))
    }

    /// Passes a session that is not revoked. To be asked on every request, after every cache.
    ///
    /// # Errors
    /// [`RevokedError::Revoked`]; [`RevokedError::Unavailable`] where the hook could not tell.
    pub fn check(&self, session: &SessionClaimsRef<'_>, id: &TokenId) -> Result<(), RevokedError> {
        let held = self.held.load();
        let own = held.of(session.principal());
        let issued = session.issued();
        if held.everybody.max(own).is_some_and(|epoch| issued <= epoch) {
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
            .field("epochs", &self.held.load().count)
            .field("hook", &self.hook.is_some())
            .finish_non_exhaustive()
    }
}

/// One moment of the epochs, which requests read without a lock. Each change makes another one.
#[derive(Clone, Default)]
struct Held {
    everybody: Option<SystemTime>,
    /// Those of principals, for the most part; shared from change to change.
    settled: Arc<Principals>,
    /// Those that were raised since, which go before the settled ones. They are few, so that a change copies little.
    recent: Principals,
    /// How many principals there are in both.
    count: usize,
}

type Principals = HashMap<Arc<str>, SystemTime>;

impl Held {
    /// How many recent epochs are copied at each change, before all of them are copied once: about the square root of
    /// the most that there are, which makes both cost the same.
    const RECENT: usize = 100;

    fn of(&self, principal: &str) -> Option<SystemTime> {
        self.recent.get(principal).or_else(|| self.settled.get(principal)).copied()
    }

    fn raise(&mut self, raised: &Principals) {
        for (principal, epoch) in raised {
            let held = self.of(principal);
            self.count += usize::from(held.is_none());
            if held < Some(*epoch) {
                self.recent.insert(Arc::clone(principal), *epoch);
            }
        }
        if self.recent.len() > Self::RECENT {
            self.settle();
        }
    }

    fn retain(&mut self, keep: impl Fn(SystemTime) -> bool) {
        self.settle();
        let settled = Arc::make_mut(&mut self.settled);
        settled.retain(|_, epoch| keep(*epoch));
        self.count = settled.len();
    }

    fn settle(&mut self) {
        Arc::make_mut(&mut self.settled).extend(std::mem::take(&mut self.recent));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_more_epoch_copies_few_of_those_that_are_there() {
        let revocation = Revocation::new();
        let at = SystemTime::UNIX_EPOCH;
        revocation.revoke_many((0..9_000).map(|n| (n.to_string(), at))).unwrap();
        let mut copied_whole = 0;
        let mut before = revocation.held.load_full();
        for number in 9_000..10_000 {
            revocation.revoke(&number.to_string(), at).unwrap();
            let after = revocation.held.load_full();
            copied_whole += usize::from(!Arc::ptr_eq(&before.settled, &after.settled));
            assert!(after.recent.len() <= Held::RECENT);
            assert_eq!(after.count, number + 1);
            before = after;
        }
        assert_eq!(copied_whole, 9);
    }
}
