//! When a failed attempt is made again.
//!
//! The decision is a state machine without I/O or clock ([`Series`]); [`Pace`] drives it through the runtime port.

use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::{Either, select};

use super::is_tls_failure;
use crate::cached::LOAD_DEADLINE;
use crate::dice::Dice;
use crate::runtime::{Runtime, Sleep};
use crate::{ErrorKind, ProviderError};

/// A second for the last failure to be told before a cache gives up.
const DEADLINE: Duration = LOAD_DEADLINE.saturating_sub(Duration::from_secs(1));

/// How often, and how soon, a failed exchange is tried again within one call.
///
/// | failure | tried again |
/// |---|---|
/// | [`Transient`](ErrorKind::Transient) | after 0 to 50 ms, doubling, at most 2 s |
/// | [`Throttled`](ErrorKind::Throttled) | after 0 to 1 s, doubling, at most 2 s, never sooner than the server asked for; if that is more than 2 s, not within this call |
/// | TLS, a redirect, a refusal, settings that cannot work | no |
///
/// Three attempts and 14 s in all, the answers' own time included: one second less than a cache gives a load, so that
/// what a caller of the cache reads is what the server said last, not that the cache waited in vain. On top of that, a
/// [`RetryBudget`] keeps a fleet of callers from multiplying the load on a server that is down. Clones of one policy
/// share its budget.
#[derive(Clone, Debug)]
pub struct RetryPolicy {
    attempts: u32,
    base: Duration,
    throttled_base: Duration,
    longest_delay: Duration,
    deadline: Duration,
    budget: RetryBudget,
}

impl RetryPolicy {
    /// The policy of the table.
    pub fn new() -> Self {
        Self {
            attempts: 3,
            base: Duration::from_millis(50),
            throttled_base: Duration::from_secs(1),
            longest_delay: Duration::from_secs(2),
            deadline: DEADLINE,
            budget: RetryBudget::new(),
        }
    }

    /// How many attempts one call makes, the first one included; at least 1. Default: 3.
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// How long one call may take in all. Default: 14 s.
    ///
    /// Keep it below the [load deadline](crate::cached::Builder::load_deadline) of the cache in front (15 s by
    /// default): of the two, the first to end decides which error is read, and only this one knows the last failure.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Takes its retries out of this budget. Default: one of its own.
    #[must_use]
    pub fn budget(mut self, budget: RetryBudget) -> Self {
        self.budget = budget;
        self
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self::new()
    }
}

/// A bucket of tokens that retries are paid from. Clones are one bucket.
///
/// It holds 500 tokens; a retry costs 5. A call that works gives back what its retries cost, and one token more; beyond
/// that, a token comes back every 10 s, so that a provider which calls once an hour does not live through its next
/// trouble on an empty bucket. A server that stays down is soon asked once per call, whatever the number of callers,
/// and once more every 50 s.
#[derive(Clone)]
pub struct RetryBudget(Arc<Mutex<Bucket>>);

struct Bucket {
    tokens: u32,
    /// The moment of the monotonic clock up to which tokens have come back; none before the first retry.
    filled: Option<Duration>,
}

impl RetryBudget {
    const FULL: u32 = 500;
    const COST: u32 = 5;
    /// For one token to come back.
    const REFILL: Duration = Duration::from_secs(10);

    /// A full bucket.
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(Bucket { tokens: Self::FULL, filled: None })))
    }

    /// The tokens that are left, 0 to 500, as of the last retry or success.
    pub fn tokens(&self) -> u32 {
        self.lock().tokens
    }

    fn take(&self, now: Duration) -> bool {
        let mut bucket = self.lock();
        bucket.refill(now);
        let left = bucket.tokens.checked_sub(Self::COST);
        bucket.tokens = left.unwrap_or(bucket.tokens);
        left.is_some()
    }

    fn give(&self, tokens: u32, now: Duration) {
        let mut bucket = self.lock();
        bucket.refill(now);
        bucket.add(tokens);
    }

    /// Nothing that can panic runs while it is held.
    fn lock(&self) -> MutexGuard<'_, Bucket> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bucket {
    fn refill(&mut self, now: Duration) {
        let filled = *self.filled.get_or_insert(now);
        let intervals = now.saturating_sub(filled).as_secs() / RetryBudget::REFILL.as_secs();
        self.add(u32::try_from(intervals).unwrap_or(u32::MAX));
        self.filled = Some(match self.tokens {
            // A full bucket saves nothing up.
            RetryBudget::FULL => filled.max(now),
            _ => filled.saturating_add(Duration::from_secs(intervals * RetryBudget::REFILL.as_secs())),
        });
    }

    fn add(&mut self, tokens: u32) {
        self.tokens = self.tokens.saturating_add(tokens).min(RetryBudget::FULL);
    }
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for RetryBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RetryBudget").field(&self.tokens()).finish()
    }
}

/// An attempt that failed, and what its protocol says of another one.
#[derive(Clone, Debug)]
pub(crate) struct Failed {
    pub(crate) error: ProviderError,
    pub(crate) again: Again,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    /// As the kind of the error has it.
    ByKind,
    Never,
    /// At once with fresh input, whatever the kind; one second chance in a series.
    Once,
    /// After half a second to a second, whatever the kind; one second chance in a series.
    OnceLater,
}

impl From<ProviderError> for Failed {
    fn from(error: ProviderError) -> Self {
        Self { error, again: Again::ByKind }
    }
}

/// One call's attempts. Says after each failure how long to wait, or that this was the last one.
#[derive(Debug)]
pub(crate) struct Series {
    policy: RetryPolicy,
    dice: Dice,
    failures: u32,
    second_chance: bool,
    paid: u32,
    started: Duration,
}

impl Series {
    /// A series that begins at `started`; all times are of one monotonic clock.
    pub(crate) fn new(policy: &RetryPolicy, seed: u64, started: Duration) -> Self {
        let (policy, dice) = (policy.clone(), Dice::new(seed));
        Self { policy, dice, failures: 0, second_chance: true, paid: 0, started }
    }

    /// The pause before the next attempt, after one that failed at `now`. `None`: no other attempt.
    pub(crate) fn after(&mut self, failed: &Failed, now: Duration) -> Option<Duration> {
        self.failures = self.failures.saturating_add(1);
        if self.failures >= self.policy.attempts || is_tls_failure(&failed.error) {
            return None;
        }
        let asked = failed.error.retry_after().unwrap_or_default();
        let delay = self.delay(failed)?.max(asked);
        let elapsed = now.saturating_sub(self.started);
        let in_time = elapsed.saturating_add(delay) < self.policy.deadline;
        if asked > self.policy.longest_delay || !in_time || !self.policy.budget.take(now) {
            return None;
        }
        self.paid = self.paid.saturating_add(RetryBudget::COST);
        Some(delay)
    }

    pub(crate) fn worked(self, now: Duration) {
        self.policy.budget.give(self.paid.saturating_add(1), now);
    }

    fn delay(&mut self, failed: &Failed) -> Option<Duration> {
        match (failed.again, failed.error.kind()) {
            (Again::Once, _) => std::mem::take(&mut self.second_chance).then_some(Duration::ZERO),
            (Again::OnceLater, _) => {
                let most = self.policy.throttled_base;
                std::mem::take(&mut self.second_chance).then(|| self.dice.between(most / 2, most))
            }
            (Again::ByKind, ErrorKind::Transient) => Some(self.jittered(self.policy.base)),
            (Again::ByKind, ErrorKind::Throttled) => Some(self.jittered(self.policy.throttled_base)),
            (Again::ByKind | Again::Never, _) => None,
        }
    }

    fn jittered(&mut self, base: Duration) -> Duration {
        let doublings = self.failures.saturating_sub(1).min(10);
        let most = base.saturating_mul(1 << doublings).min(self.policy.longest_delay);
        self.dice.between(Duration::ZERO, most)
    }
}

/// Drives a [`Series`] through the runtime port, all of it within the policy's deadline.
///
/// ```text
/// let mut pace = Pace::new(policy, runtime);
/// loop {
///     match pace.run(attempt()).await {
///         Ok(value) => return Ok(pace.worked(value)),
///         Err(failed) => pace.pause(failed).await?,
///     }
/// }
/// ```
pub(crate) struct Pace {
    series: Series,
    runtime: Arc<dyn Runtime>,
    end: Sleep,
    last: Option<ProviderError>,
}

impl Pace {
    pub(crate) fn new(policy: &RetryPolicy, runtime: Arc<dyn Runtime>) -> Self {
        Self {
            series: Series::new(policy, runtime.seed(), runtime.now().monotonic()),
            end: runtime.sleep(policy.deadline),
            runtime,
            last: None,
        }
    }

    /// One attempt. At the deadline of the whole it is dropped, and the failure is the one before it.
    pub(crate) async fn run<T>(
        &mut self,
        attempt: impl Future<Output = Result<T, Failed>>,
    ) -> Result<T, Failed> {
        match select(pin!(attempt), self.end.as_mut()).await {
            Either::Left((answer, _)) => answer,
            Either::Right(_) => {
                let late = || ProviderError::transient("the exchange did not end in time");
                Err(Failed { error: self.last.take().unwrap_or_else(late), again: Again::Never })
            }
        }
    }

    /// Waits until the next attempt is due.
    ///
    /// # Errors
    ///
    /// The failure itself, if there is to be no other attempt.
    pub(crate) async fn pause(&mut self, failed: Failed) -> Result<(), ProviderError> {
        let now = self.runtime.now().monotonic();
        let Some(delay) = self.series.after(&failed, now) else { return Err(failed.error) };
        tracing::debug!(
            kind = ?failed.error.kind(),
            code = failed.error.code(),
            attempt = self.series.failures,
            delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX),
            "the attempt failed and is made again"
        );
        self.last = Some(failed.error);
        if !delay.is_zero() {
            self.runtime.sleep(delay).await;
        }
        Ok(())
    }

    pub(crate) fn worked<T>(self, value: T) -> T {
        self.series.worked(self.runtime.now().monotonic());
        value
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::VirtualRuntime;

    const MS: Duration = Duration::from_millis(1);

    fn failed(error: ProviderError, again: Again) -> Failed {
        Failed { error, again }
    }

    fn begun(policy: &RetryPolicy) -> Series {
        Series::new(policy, 1, Duration::ZERO)
    }

    #[test]
    fn pauses_are_jittered_over_their_whole_width_and_grow_up_to_the_cap() {
        let policy = RetryPolicy::new().attempts(20).deadline(Duration::from_secs(1_000));
        for (error, base) in
            [(ProviderError::transient("down"), 50), (ProviderError::throttled("slow down", None), 1_000)]
        {
            let mut longest = [Duration::ZERO; 10];
            for seed in 0..300 {
                let mut series =
                    Series::new(&policy.clone().budget(RetryBudget::new()), seed, Duration::ZERO);
                for (number, longest) in (0_u32..).zip(&mut longest) {
                    let pause = series.after(&error.clone().into(), Duration::ZERO).unwrap();
                    let most = (base * MS * (1 << number)).min(Duration::from_secs(2));
                    assert!(pause <= most, "{number}: {pause:?}");
                    *longest = pause.max(*longest);
                }
            }
            assert!(longest[0] > base * MS * 9 / 10 && longest[9] > 1_800 * MS, "{longest:?}");
        }
    }

    #[test]
    fn a_series_ends_at_its_attempts_its_deadline_or_its_budget() {
        let down: Failed = ProviderError::transient("down").into();
        let policy = RetryPolicy::new();
        let mut series = begun(&policy);
        assert!(series.after(&down, Duration::ZERO).is_some());
        assert!(series.after(&down, Duration::ZERO).is_some());
        assert_eq!(series.after(&down, Duration::ZERO), None);
        let late = Duration::from_secs(14);
        assert_eq!(begun(&policy).after(&down, late), None);
        assert_eq!(begun(&policy.clone().attempts(0)).after(&down, Duration::ZERO), None);
        assert_eq!(policy.budget.tokens(), 490);
        while policy.budget.take(Duration::ZERO) {}
        assert_eq!(begun(&policy).after(&down, Duration::ZERO), None);
    }

    #[test]
    fn what_a_series_paid_comes_back_when_it_works() {
        let policy = RetryPolicy::new();
        let mut series = begun(&policy);
        series.after(&ProviderError::transient("down").into(), Duration::ZERO);
        assert_eq!(policy.budget.tokens(), 495);
        series.worked(Duration::ZERO);
        assert_eq!(policy.budget.tokens(), 500);
        let clone = policy.clone();
        while clone.budget.take(Duration::ZERO) {}
        assert_eq!(policy.budget.tokens(), 0, "clones share one budget");
    }

    #[test]
    fn a_token_comes_back_every_ten_seconds_and_never_more_than_a_full_bucket() {
        let second = |n| Duration::from_secs(n);
        let budget = RetryBudget::new();
        while budget.take(second(100)) {}
        assert!(!budget.take(second(149)));
        assert!(budget.take(second(150)) && !budget.take(second(150)));
        // What is left of an interval counts towards the next one.
        assert!(!budget.take(second(159)) && budget.tokens() == 0);
        budget.give(0, second(169));
        budget.give(0, second(170));
        assert_eq!(budget.tokens(), 2);
        // A clock that goes back, or is another machine's, gives nothing twice.
        budget.give(0, second(5));
        budget.give(0, second(170));
        assert_eq!(budget.tokens(), 2);
        budget.give(0, Duration::MAX);
        assert_eq!(budget.tokens(), 500);
        assert!(budget.take(Duration::MAX));

        let budget = RetryBudget::new();
        budget.give(1, second(0));
        assert!(budget.take(second(9_999)) && budget.tokens() == 495, "a full bucket saves nothing up");
        budget.give(0, second(10_008));
        assert_eq!(budget.tokens(), 495);
    }

    #[test]
    fn there_is_one_second_chance_in_a_series() {
        let rejected = ProviderError::rejected("expired");
        let mut series = begun(&RetryPolicy::new());
        assert_eq!(
            series.after(&failed(rejected.clone(), Again::Once), Duration::ZERO),
            Some(Duration::ZERO)
        );
        assert_eq!(series.after(&failed(rejected.clone(), Again::OnceLater), Duration::ZERO), None);
        let mut series = begun(&RetryPolicy::new());
        let pause = series.after(&failed(rejected.clone(), Again::OnceLater), Duration::ZERO).unwrap();
        assert!(pause >= 500 * MS && pause <= 1_000 * MS);
        for (error, again) in [
            (ProviderError::transient("down"), Again::Never),
            (rejected, Again::ByKind),
            (ProviderError::misconfigured("no"), Again::ByKind),
            (ProviderError::not_configured("no"), Again::ByKind),
        ] {
            assert_eq!(begun(&RetryPolicy::new()).after(&failed(error, again), Duration::ZERO), None);
        }
    }

    #[test]
    fn the_servers_wish_is_the_least_pause_and_a_long_one_ends_the_series() {
        for (asked, least) in [(0, Some(0)), (1_500, Some(1_500)), (2_000, Some(2_000)), (2_001, None)] {
            let error = ProviderError::throttled("slow down", Some(asked * MS));
            let pause = begun(&RetryPolicy::new()).after(&error.into(), Duration::ZERO);
            assert_eq!(pause.map(|pause| pause >= asked * MS), least.map(|_| true), "{asked}");
        }
    }

    #[test]
    fn the_deadline_of_the_whole_ends_an_attempt_with_the_error_before_it() {
        let time = VirtualRuntime::new(SystemTime::UNIX_EPOCH);
        let call = |first: Option<&'static str>| {
            let runtime = Arc::new(time.clone());
            async move {
                let mut pace = Pace::new(&RetryPolicy::new(), runtime);
                let mut first = first.map(ProviderError::transient);
                loop {
                    let failure = first.take();
                    let attempt = async {
                        match failure {
                            Some(error) => Err::<(), _>(Failed::from(error)),
                            None => std::future::pending().await,
                        }
                    };
                    match pace.run(attempt).await {
                        Ok(()) => return Ok::<_, ProviderError>(()),
                        Err(failed) => pace.pause(failed).await?,
                    }
                }
            }
        };
        for (first, text) in [(None, "the exchange did not end in time"), (Some("down"), "down")] {
            let (sender, mut receiver) = futures::channel::oneshot::channel::<Result<(), ProviderError>>();
            let call = call(first);
            time.spawn(Box::pin(async move {
                let _ = sender.send(call.await);
            }));
            time.advance(Duration::from_millis(13_999));
            assert_eq!(receiver.try_recv().unwrap().map(|_| ()), None);
            time.advance(2 * MS);
            let error = receiver.try_recv().unwrap().unwrap().unwrap_err();
            assert_eq!(error.to_string(), text);
        }
    }
}
