//! Keys that a service elsewhere knows.

mod bounded;
mod budget;

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use credfed_core::runtime::{Runtime, default_runtime};
use credfed_core::{Identity, Secret};
use credfed_sigv4_verify::KeyKind;
use futures::future::{BoxFuture, Either, FutureExt, Shared, WeakShared, select};

use self::bounded::Bounded;
use self::budget::Budget;
use super::{KeyRequest, ResolveError, ResolveKey, Resolved};

/// Asks a service elsewhere for one key.
///
/// # Contract
/// - [`ResolveError::Unknown`], [`Invalid`](ResolveError::Invalid) and [`Expired`](ResolveError::Expired) are verdicts
///   and are remembered for a while; whatever goes wrong on the way is [`Unavailable`](ResolveError::Unavailable) and
///   is not.
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
///    the flood cannot lock out its holder either.
/// 6. A look-up that takes longer than its [`deadline`](RemoteKeysBuilder::deadline) is `Unavailable`: a 503, never
///    an unknown key.
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
    found: Bounded<Resolved<C>>,
    refused: Bounded<ResolveError>,
    flights: HashMap<Identity, Under<C>>,
    /// The number of the next flight.
    next: u64,
    budget: Budget,
}

/// A look-up that is under way, unless all who waited for it have gone away.
struct Under<C> {
    number: u64,
    flight: WeakShared<Flight<C>>,
}

type Answer<C> = Result<Resolved<C>, ResolveError>;
type Flight<C> = BoxFuture<'static, Answer<C>>;

impl<L: LookUpKey> RemoteKeys<L> {
    /// With the usual bounds; see [`builder`](Self::builder).
    pub fn new(source: L) -> Self {
        Self::builder(source).build()
    }

    /// Starts with the usual bounds.
    pub fn builder(source: L) -> RemoteKeysBuilder<L> {
        RemoteKeysBuilder {
            source,
            runtime: default_runtime(),
            ttl: Duration::from_secs(60),
            negative_ttl: Duration::from_secs(10),
            capacity: 10_000,
            per_second: 100,
            deadline: Duration::from_secs(3),
        }
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

/// The bounds of [`RemoteKeys`].
#[must_use = "keys are made by build()"]
pub struct RemoteKeysBuilder<L> {
    source: L,
    runtime: Arc<dyn Runtime>,
    ttl: Duration,
    negative_ttl: Duration,
    capacity: usize,
    per_second: u32,
    deadline: Duration,
}

impl<L: LookUpKey> RemoteKeysBuilder<L> {
    /// How long a found key is used again; 60 seconds if it is not set.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }

    /// How long a refusal is remembered, from 5 to 30 seconds; 10 if it is not set. What is outside is taken to the
    /// nearer end.
    pub fn negative_ttl(mut self, ttl: Duration) -> Self {
        self.negative_ttl = ttl.clamp(Duration::from_secs(5), Duration::from_secs(30));
        self
    }

    /// How many found keys are held, and as many refusals beside them; 10,000 if it is not set, at least one.
    pub fn capacity(mut self, capacity: usize) -> Self {
        self.capacity = capacity.max(1);
        self
    }

    /// How many look-ups of unknown keys may begin in a second, and as many at once after a pause; 100 if it is not
    /// set, at least one. No more than that many look-ups run at a time.
    pub fn per_second(mut self, per_second: u32) -> Self {
        self.per_second = per_second.max(1);
        self
    }

    /// The longest that a look-up may take; 3 seconds if it is not set.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Tells the time and sleeps.
    pub fn runtime(mut self, runtime: impl Runtime) -> Self {
        self.runtime = Arc::new(runtime);
        self
    }

    /// The resolver.
    pub fn build(self) -> RemoteKeys<L> {
        let now = self.runtime.coarse_now().monotonic();
        let state = State {
            found: Bounded::new(self.capacity),
            refused: Bounded::new(self.capacity),
            flights: HashMap::new(),
            next: 0,
            budget: Budget::new(self.per_second, now),
        };
        let inner = Inner {
            source: self.source,
            runtime: self.runtime,
            ttl: self.ttl,
            negative_ttl: self.negative_ttl,
            deadline: self.deadline,
            most_flights: usize::try_from(self.per_second).unwrap_or(usize::MAX),
            state: Mutex::new(state),
        };
        RemoteKeys { inner: Arc::new(inner) }
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
            return Ok(Ok(found.clone()));
        }
        if let Some(refused) = state.refused.get(&id, now) {
            return Ok(Err(*refused));
        }
        if let Some(flight) = state.flights.get(&id).and_then(|under| under.flight.upgrade()) {
            return Err(flight);
        }
        if state.flights.len() >= self.most_flights {
            // Those whose callers have all gone away.
            state.flights.retain(|_, under| under.flight.upgrade().is_some());
        }
        let known = state.found.knows(&id);
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
        let inner = Arc::clone(self);
        let has_token = request.session_token.is_some();
        let request = RemoteRequest {
            access_key: request.access_key.to_owned(),
            session_token: request.session_token.map(Secret::new),
            now: request.now,
        };
        async move {
            let deadline = inner.runtime.sleep(inner.deadline);
            // What panics must not take down those who wait for it too.
            let asked = AssertUnwindSafe(async { inner.source.look_up(request).await }).catch_unwind();
            let answer = match select(std::pin::pin!(asked), deadline).await {
                Either::Left((Ok(answer), _)) => answer,
                Either::Left((Err(_), _)) | Either::Right(_) => Err(ResolveError::Unavailable),
            };
            inner.land(id, number, has_token, &answer);
            answer
        }
    }

    fn land(&self, id: Identity, number: u64, has_token: bool, answer: &Answer<L::Claims>) {
        let now = self.runtime.now().monotonic();
        let mut state = self.lock();
        // Unless it was forgotten on the way: then another may be under way, and this one is of yesterday.
        if state.flights.get(&id).is_none_or(|under| under.number != number) {
            return;
        }
        state.flights.remove(&id);
        match answer {
            // The verifier refuses both, whatever they are signed with: a made-up token beside the id of a long-lived
            // key must take no room from those that can pass.
            Ok(resolved) if (resolved.key.kind() == KeyKind::Temporary) != has_token => {}
            Ok(resolved) => {
                state.refused.remove(&id);
                state.found.insert(id, resolved.clone(), now.saturating_add(self.ttl));
            }
            Err(ResolveError::Unavailable) => {
                tracing::warn!(target: "credfed::remote_keys", "a key could not be looked up");
            }
            Err(refused) => {
                state.found.remove(&id);
                state.refused.insert(id, *refused, now.saturating_add(self.negative_ttl));
            }
        }
    }

    /// Nothing that can panic runs while it is held.
    fn lock(&self) -> MutexGuard<'_, State<L::Claims>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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
    type Output = Answer<C>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer<C>> {
        match &mut self.0 {
            Pending::Known(answer) => Poll::Ready(answer.take().unwrap_or(Err(ResolveError::Unavailable))),
            Pending::Flight(flight) => flight.poll_unpin(cx),
        }
    }
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

impl<L> fmt::Debug for RemoteKeysBuilder<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteKeysBuilder")
            .field("ttl", &self.ttl)
            .field("negative_ttl", &self.negative_ttl)
            .field("capacity", &self.capacity)
            .field("per_second", &self.per_second)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
