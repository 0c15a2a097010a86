//! Settings of a cached provider.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::cached::engine::Core;
use crate::cached::{CachedProvider, Mode, Observer, Windows};
use crate::provider::DynProvider;
use crate::runtime::{Runtime, default_runtime};
use crate::{Identity, Provider};

/// How long a load may take unless a setting says otherwise.
pub(crate) const LOAD_DEADLINE: Duration = Duration::from_secs(15);

/// Settings of a [`CachedProvider`]; made by [`CachedProvider::builder`].
///
/// ```
/// use std::time::Duration;
/// use credfed_core::{CachedProvider, Secret, StaticProvider};
///
/// let provider = CachedProvider::builder(StaticProvider::new(Secret::new("token")))
///     .load_deadline(Duration::from_secs(5))
///     .build();
/// # let _ = provider;
/// ```
#[must_use = "a builder does nothing until build()"]
pub struct Builder<C> {
    pub(super) source: Arc<dyn DynProvider<C>>,
    pub(super) identity: Identity,
    pub(super) runtime: Arc<dyn Runtime>,
    pub(super) observer: Option<Arc<dyn Observer>>,
    pub(super) windows: Windows,
    pub(super) mode: Mode,
    pub(super) load_deadline: Duration,
    pub(super) refresh_cooldown: Duration,
    pub(super) serve_expired: Duration,
    pub(super) isolated_loads: usize,
}

impl<C: Send + Sync + 'static> Builder<C> {
    pub(super) fn new(source: impl Provider<Credential = C>) -> Self {
        Self {
            identity: source.identity(),
            source: Arc::new(source),
            runtime: default_runtime(),
            observer: None,
            windows: Windows::default(),
            mode: Mode::default(),
            load_deadline: LOAD_DEADLINE,
            refresh_cooldown: Duration::from_secs(5),
            serve_expired: Duration::ZERO,
            isolated_loads: 16,
        }
    }

    /// Clocks, timers and tasks. Default: [`default_runtime`].
    pub fn runtime(mut self, runtime: impl Runtime) -> Self {
        self.runtime = Arc::new(runtime);
        self
    }

    /// Who is told what happens. Default: nobody but `tracing`.
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// When a refresh begins. Default: the table of [`Windows`].
    pub fn windows(mut self, windows: Windows) -> Self {
        self.windows = windows;
        self
    }

    /// Who drives a load. Default: [`Mode::Spawned`].
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// How long one load may take before it counts as failed. Default: 15 s.
    ///
    /// A source that has a deadline of its own should end before, since only the source knows what went wrong: the
    /// error of this one says no more than that the load did not end in time.
    pub fn load_deadline(mut self, deadline: Duration) -> Self {
        self.load_deadline = deadline;
        self
    }

    /// The least time between two loads that [`CachedProvider::refresh`] asks for. Default: 5 s.
    pub fn refresh_cooldown(mut self, cooldown: Duration) -> Self {
        self.refresh_cooldown = cooldown;
        self
    }

    /// How long past its expiry a credential is still served by `get` while the source fails, flagged by
    /// [`is_stale`](super::Cached::is_stale); for sources that may extend what they gave. Default: not at all.
    pub fn serve_expired(mut self, at_most: Duration) -> Self {
        self.serve_expired = at_most;
        self
    }

    /// How many callers may be loading a credential at once where each makes a load of its own
    /// ([`Mode::Isolated`]) and there is none to serve; those beyond get an error of kind
    /// [`Throttled`](crate::ErrorKind::Throttled). Default: 16, at least 1.
    pub fn isolated_loads(mut self, at_most: usize) -> Self {
        self.isolated_loads = at_most.max(1);
        self
    }

    /// The cached provider. Nothing is loaded yet.
    pub fn build(self) -> CachedProvider<C> {
        CachedProvider { core: Arc::new(Core::new(self)) }
    }
}

impl<C> fmt::Debug for Builder<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("identity", &self.identity)
            .field("runtime", &self.runtime)
            .field("windows", &self.windows)
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}
