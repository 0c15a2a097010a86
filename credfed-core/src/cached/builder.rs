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

/// A load that hangs, or whose runtime went away, may hold up all others for as long as its deadline: never for good.
const LONGEST_LOAD: Duration = Duration::from_secs(900);

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
    pub(super) settings: Settings,
}

impl<C: Send + Sync + 'static> Builder<C> {
    pub(super) fn new(source: impl Provider<Credential = C>) -> Self {
        Self { identity: source.identity(), source: Arc::new(source), settings: Settings::default() }
    }

    /// All settings at once, in place of those made so far.
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// Clocks, timers and tasks. Default: [`default_runtime`].
    pub fn runtime(mut self, runtime: impl Runtime) -> Self {
        self.settings = self.settings.runtime(runtime);
        self
    }

    /// Who is told what happens. Default: nobody but `tracing`.
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.settings = self.settings.observer(observer);
        self
    }

    /// When a refresh begins. Default: the table of [`Windows`].
    pub fn windows(mut self, windows: Windows) -> Self {
        self.settings = self.settings.windows(windows);
        self
    }

    /// Who drives a load. Default: [`Mode::Spawned`].
    pub fn mode(mut self, mode: Mode) -> Self {
        self.settings = self.settings.mode(mode);
        self
    }

    /// How long one load may take before it counts as failed. Default: 15 s, at most 15 min: a load that hangs may
    /// hold up all others until then.
    ///
    /// A source that has a deadline of its own should end before, since only the source knows what went wrong: the
    /// error of this one says no more than that the load did not end in time.
    pub fn load_deadline(mut self, deadline: Duration) -> Self {
        self.settings = self.settings.load_deadline(deadline);
        self
    }

    /// The least time between two loads that [`CachedProvider::refresh`] asks for. Default: 5 s.
    pub fn refresh_cooldown(mut self, cooldown: Duration) -> Self {
        self.settings = self.settings.refresh_cooldown(cooldown);
        self
    }

    /// How long past its expiry a credential is still served by `get` while the source fails, flagged by
    /// [`is_stale`](super::Cached::is_stale); for sources that may extend what they gave. Default: not at all.
    pub fn serve_expired(mut self, at_most: Duration) -> Self {
        self.settings = self.settings.serve_expired(at_most);
        self
    }

    /// How many callers may be loading a credential at once where each makes a load of its own
    /// ([`Mode::Isolated`]) and there is none to serve; those beyond get an error of kind
    /// [`Throttled`](crate::ErrorKind::Throttled). Default: 16, at least 1.
    pub fn isolated_loads(mut self, at_most: usize) -> Self {
        self.settings = self.settings.isolated_loads(at_most);
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
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// The settings of a cached provider without its source: for several that are to be alike, such as those of a
/// [`ProviderPool`](super::ProviderPool). Each is the same as that of the [`Builder`], and so is its default.
#[derive(Clone)]
#[must_use = "settings do nothing until a builder takes them"]
pub struct Settings {
    pub(super) runtime: Arc<dyn Runtime>,
    pub(super) observer: Option<Arc<dyn Observer>>,
    pub(super) windows: Windows,
    pub(super) mode: Mode,
    pub(super) load_deadline: Duration,
    pub(super) refresh_cooldown: Duration,
    pub(super) serve_expired: Duration,
    pub(super) isolated_loads: usize,
}

impl Settings {
    /// The default settings.
    pub fn new() -> Self {
        Self::default()
    }

    /// See [`Builder::runtime`].
    pub fn runtime(mut self, runtime: impl Runtime) -> Self {
        self.runtime = Arc::new(runtime);
        self
    }

    /// See [`Builder::observer`].
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// See [`Builder::windows`].
    pub fn windows(mut self, windows: Windows) -> Self {
        self.windows = windows;
        self
    }

    /// See [`Builder::mode`].
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// See [`Builder::load_deadline`].
    pub fn load_deadline(mut self, deadline: Duration) -> Self {
        self.load_deadline = deadline.min(LONGEST_LOAD);
        self
    }

    /// See [`Builder::refresh_cooldown`].
    pub fn refresh_cooldown(mut self, cooldown: Duration) -> Self {
        self.refresh_cooldown = cooldown;
        self
    }

    /// See [`Builder::serve_expired`].
    pub fn serve_expired(mut self, at_most: Duration) -> Self {
        self.serve_expired = at_most;
        self
    }

    /// See [`Builder::isolated_loads`].
    pub fn isolated_loads(mut self, at_most: usize) -> Self {
        self.isolated_loads = at_most.max(1);
        self
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
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
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("runtime", &self.runtime)
            .field("windows", &self.windows)
            .field("mode", &self.mode)
            .field("load_deadline", &self.load_deadline)
            .field("refresh_cooldown", &self.refresh_cooldown)
            .field("serve_expired", &self.serve_expired)
            .field("isolated_loads", &self.isolated_loads)
            .finish_non_exhaustive()
    }
}
