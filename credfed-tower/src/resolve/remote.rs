//! Keys that a service elsewhere knows.

mod bounded;
mod budget;
mod builder;
mod spread;

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use credfed_core::runtime::Runtime;
use credfed_core::{Identity, Secret};
use credfed_sigv4_verify::KeyKind;
use futures::future::{BoxFuture, Either, FutureExt, Shared, WeakShared, select};

use self::bounded::Bounded;
use self::budget::Budget;
use self::builder::LEAST_NEGATIVE_TTL;
pub use self::builder::RemoteKeysBuilder;
use self::spread::Spread;
use super::{KeyRequest, ResolveError, ResolveKey, Resolved};

/// Asks a service elsewhere for one key.
///
/// # Contract
/// - [`ResolveError::Unknown`], [`Invalid`](ResolveError::Invalid) and [`Expired`](ResolveError::Expired) are verdicts
///   and are remembered for a while; whatever goes wrong on the way is [`Unavailable`](ResolveError::Unavailable) and
///   is not, apart from a pause of up to 5 s before a key that was found is asked for again.
/// - The answer depends on the request alone. A session token must be checked: that it is genuine and of that key.
/// - It need not bound its own time, and it may be dropped at any await.
pub trait LookUpKey: Send + Sync + 'static {
    /// What is known of the holder.
    type Claims: Clone + Send + Sync + 'static;

    /// Looks up the key.
    fn look_up(
        &self,
        request: RemoteRequest,
    ) -> impl Future<Output = Result<Resolved<Self::Claims>, ResolveError>> + Send + 'static;
}

impl<F, A, C> LookUpKey for F
where
    F: Fn(RemoteRequest) -> A + Send + Sync + 'static,
    A: Future<Output = Result<Resolved<C>, ResolveError>> + Send + 'static,
    C: Clone + Send + Sync + 'static,
{
    type Claims = C;

    fn look_up(
        &self,
        request: RemoteRequest,
    ) -> impl Future<Output = Result<Resolved<C>, ResolveError>> + Send + 'static {
        self(request)
    }
}

/// What a [`LookUpKey`] is asked; the token is redacted in `Debug`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RemoteRequest {
    /// The access key id.
    pub access_key: String,
    /// The session token, if the request has one.
    pub session_token: Option<Secret>,
    /// The time at which the request is judged.
    pub now: SystemTime,
}

/// Keys from elsewhere, within bounds. Clones are one.
///
/// 1. What does not look like an access key id is [`Unknown`](ResolveError::Unknown) at once.
/// 2. A found key is used again for [`ttl`](RemoteKeysBuilder::ttl), at most
///    [`capacity`](RemoteKeysBuilder::capacity) of them. So a key that was revoked elsewhere lives on for that long.
/// 3. A refusal is remembered for [`negative_ttl`](RemoteKeysBuilder::negative_ttl), in a room of its own: a flood of
///    made-up keys cannot push out one that was found. Neither can made-up tokens beside a long-lived key: what the
///    verifier refuses in any case is not held.
/// 4. All who ask for one key (and token) at a time share one look-up.
/// 5. Look-ups of keys that were never found share a budget of so many a second; over it, the answer is
///    [`Unavailable`](ResolveError::Unavailable). A key that was found before is asked for outside of that budget, so
///    the flood cannot lock out its holder either. While that fails it is asked for ever more seldom (after 0 to
///    100 ms, doubling, at most 5 s), and is `Unavailable` in between. One that all who waited for it left is followed
///    by the first of these pauses.
/// 6. A look-up that takes longer than its [`deadline`](RemoteKeysBuilder::deadline) is `Unavailable`: a 503, never
///    an unknown key. So is one that panics when it is polled, or claims that panic when they are copied.
pub struct RemoteKeys<L: LookUpKey> {
    inner: Arc<Inner<L>>,
}

struct Inner<L: LookUpKey> {
    source: L,
    runtime: Arc<dyn Runtime>,
    ttl: Duration,
    negative_ttl: Duration,
    deadline: Duration,
    most_flights: usize,
    state: Mutex<State<L::Claims>>,
}

struct State<C> {
    found: Bounded<Found<C>>,
    refused: Bounded<ResolveError>,
    flights: HashMap<Identity, Under<C>>,
    /// The number of the next flight.
    next: u64,
    budget: Budget,
    spread: Spread,
}

struct Found<C> {
    resolved: Arc<Resolved<C>>,
    /// Look-ups that failed in a row since.
    failures: u32,
    /// The moment of the monotonic clock before which there is no other one.
    quiet_until: Duration,
}

/// A look-up that is under way; it takes itself out when it ends or the last who waits goes away.
struct Under<C> {
    number: u64,
    flight: WeakShared<Flight<C>>,
}

/// Claims are a user's, and copying them may fail: shared until they are outside of every lock and flight.
type Answer<C> = Result<Arc<Resolved<C>>, ResolveError>;
type Flight<C> = BoxFuture<'static, Answer<C>>;

impl<L: LookUpKey> RemoteKeys<L> {
    /// With the usual bounds; see [`builder`](Self::builder).
    pub fn new(source: L) -> Self {
        Self::builder(source).build()
    }

    /// Starts with the usual bounds.
    pub fn builder(source: L) -> RemoteKeysBuilder<L> {
        RemoteKeysBuilder::new(source)
    }

    /// Forgets everything that was found or refused, as after a revocation elsewhere.
    pub fn clear(&self) {
        let mut state = self.inner.lock();
        state.found.clear();
        state.refused.clear();
        // What is on its way was asked before; it must not be taken for an answer of now.
        state.flights.clear();
    }
}

impl<L: LookUpKey> ResolveKey for RemoteKeys<L> {
    type Claims = L::Claims;
    type Future = RemoteFuture<L::Claims>;

    fn resolve(&self, request: KeyRequest<'_>) -> Self::Future {
        let answer = match looks_like_a_key(request.access_key) {
            true => self.inner.resolve(&request),
            false => Ok(Err(ResolveError::Unknown)),
        };
        match answer {
            Ok(known) => RemoteFuture(Pending::Known(Some(known))),
            Err(flight) => RemoteFuture(Pending::Flight(flight)),
        }
    }
}

impl<L: LookUpKey> Inner<L> {
    /// What is known already, or the look-up that will tell.
    fn resolve(
        self: &Arc<Self>,
        request: &KeyRequest<'_>,
    ) -> Result<Answer<L::Claims>, Shared<Flight<L::Claims>>> {
        let id = Identity::of("remote-key")
            .part("access-key", request.access_key)
            .optional("session-token", request.session_token)
            .finish();
        let now = self.runtime.coarse_now().monotonic();
        let mut state = self.lock();
        if let Some(found) = state.found.get(&id, now) {
            return Ok(Ok(Arc::clone(&found.resolved)));
        }
        if let Some(refused) = state.refused.get(&id, now) {
            return Ok(Err(*refused));
        }
        if let Some(flight) = state.flights.get(&id).and_then(|under| under.flight.upgrade()) {
            return Err(flight);
        }
        let known = match state.found.known(&id) {
            Some(found) if now < found.quiet_until => return Ok(Err(ResolveError::Unavailable)),
            found => found.is_some(),
        };
        let room = state.flights.len() < self.most_flights;
        let allowed = known || (room && state.budget.take(now));
        if !allowed {
            tracing::warn!(target: "credfed::remote_keys", "over the budget of look-ups");
            return Ok(Err(ResolveError::Unavailable));
        }
        let number = state.next;
        state.next += 1;
        let flight = self.look_up(id, number, request).boxed().shared();
        if let Some(weak) = flight.downgrade() {
            state.flights.insert(id, Under { number, flight: weak });
        }
        Err(flight)
    }

    fn look_up(
        self: &Arc<Self>,
        id: Identity,
        number: u64,
        request: &KeyRequest<'_>,
    ) -> impl Future<Output = Answer<L::Claims>> + Send + 'static {
        let landing = Landing { inner: Arc::clone(self), id, number };
        let has_token = request.session_token.is_some();
        let request = RemoteRequest {
            access_key: request.access_key.to_owned(),
            session_token: request.session_token.map(Secret::new),
            now: request.now,
        };
        async move {
            let inner = &landing.inner;
            let deadline = inner.runtime.sleep(inner.deadline);
            // What panics must not take down those who wait for it too.
            let asked = AssertUnwindSafe(async { inner.source.look_up(request).await }).catch_unwind();
            let answer = match select(std::pin::pin!(asked), deadline).await {
                Either::Left((Ok(answer), _)) => answer.map(Arc::new),
                Either::Left((Err(_), _)) | Either::Right(_) => Err(ResolveError::Unavailable),
            };
            landing.land(has_token, &answer);
            answer
        }
    }

    /// No code of a user's runs while it is held, but what drops the claims that were pushed out, and who listens to
    /// the log.
    fn lock(&self) -> MutexGuard<'_, State<L::Claims>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Belongs to a look-up, and ends with it.
struct Landing<L: LookUpKey> {
    inner: Arc<Inner<L>>,
    id: Identity,
    number: u64,
}

impl<L: LookUpKey> Landing<L> {
    fn land(&self, has_token: bool, answer: &Answer<L::Claims>) {
        let Self { inner, id, .. } = self;
        let id = *id;
        let now = inner.runtime.now().monotonic();
        let mut state = inner.lock();
        let state = &mut *state;
        // Unless it was forgotten on the way: then another may be under way, and this one is of yesterday.
        if !self.take_out(state) {
            return;
        }
        match answer {
            // The verifier refuses both, whatever they are signed with: a made-up token beside the id of a long-lived
            // key must take no room from those that can pass.
            Ok(resolved) if (resolved.key.kind() == KeyKind::Temporary) != has_token => {}
            Ok(resolved) => {
                state.refused.remove(&id);
                let found =
                    Found { resolved: Arc::clone(resolved), failures: 0, quiet_until: Duration::ZERO };
                state.found.insert(id, found, now.saturating_add(inner.ttl));
            }
            Err(ResolveError::Unavailable) => {
                if let Some(found) = state.found.known_mut(&id) {
                    found.failures = found.failures.saturating_add(1);
                    found.quiet_until = now.saturating_add(state.spread.pause(found.failures));
                }
                tracing::warn!(target: "credfed::remote_keys", "a key could not be looked up");
            }
            Err(refused) => {
                state.found.remove(&id);
                let least = LEAST_NEGATIVE_TTL.max(inner.negative_ttl * 3 / 4);
                let ttl = state.spread.between(least, inner.negative_ttl);
                state.refused.insert(id, *refused, now.saturating_add(ttl));
            }
        }
    }

    /// Takes its look-up out of those under way; whether it was there.
    fn take_out(&self, state: &mut State<L::Claims>) -> bool {
        let is_there = state.flights.get(&self.id).is_some_and(|under| under.number == self.number);
        if is_there {
            state.flights.remove(&self.id);
        }
        is_there
    }
}

impl<L: LookUpKey> Drop for Landing<L> {
    fn drop(&mut self) {
        let now = self.inner.runtime.coarse_now().monotonic();
        let mut state = self.inner.lock();
        let state = &mut *state;
        // All who waited left. One of them must not cost the holder more than the shortest pause, and many of them must
        // not cost the service a look-up each.
        if self.take_out(state)
            && let Some(found) = state.found.known_mut(&self.id)
        {
            found.quiet_until = found.quiet_until.max(now.saturating_add(state.spread.pause(1)));
        }
    }
}

/// 16 to 128 letters, digits and underscores, as the IAM reference bounds an access key id.
fn looks_like_a_key(access_key: &str) -> bool {
    (16..=128).contains(&access_key.len())
        && access_key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// The answer of [`RemoteKeys`].
pub struct RemoteFuture<C>(Pending<C>);

enum Pending<C> {
    Known(Option<Answer<C>>),
    Flight(Shared<Flight<C>>),
}

/// Nothing in it is pinned in place: a flight has its own allocation.
impl<C> Unpin for RemoteFuture<C> {}

impl<C: Clone> Future for RemoteFuture<C> {
    type Output = Result<Resolved<C>, ResolveError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Pending::Known(answer) => {
                Poll::Ready(answer.take().unwrap_or(Err(ResolveError::Unavailable)).and_then(copied))
            }
            Pending::Flight(flight) => flight.poll_unpin(cx).map(|answer| answer.and_then(copied)),
        }
    }
}

fn copied<C: Clone>(resolved: Arc<Resolved<C>>) -> Result<Resolved<C>, ResolveError> {
    std::panic::catch_unwind(AssertUnwindSafe(|| Resolved::clone(&resolved)))
        .map_err(|_| ResolveError::Unavailable)
}

impl<C> fmt::Debug for RemoteFuture<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteFuture").finish_non_exhaustive()
    }
}

impl<L: LookUpKey> Clone for RemoteKeys<L> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<L: LookUpKey> fmt::Debug for RemoteKeys<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.inner.lock();
        f.debug_struct("RemoteKeys")
            .field("found", &state.found.len())
            .field("refused", &state.refused.len())
            .field("flights", &state.flights.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
