//! A handle of one thread or task, which looks at what it holds before it looks at what all share.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use crate::cached::engine::Core;
use crate::cached::slot::{Cached, Entry};
use crate::cached::sync::{Snapshot, View};

/// A handle that remembers the credential it saw last: the cheapest hit for whoever reads again and again and can
/// keep a `&mut` handle, such as a worker thread. Made by [`CachedProvider::reader`](super::CachedProvider::reader);
/// clones go their own way.
///
/// It serves what [`CachedProvider::with`](super::CachedProvider::with) serves, judged anew at each call: nothing
/// expired, nothing rejected. A reader that is not used keeps the credential it saw last in memory, so drop those that
/// are at rest.
///
/// ```
/// # use credfed_core::{CachedProvider, StaticProvider, Secret};
/// # futures::executor::block_on(async {
/// let provider = CachedProvider::new(StaticProvider::new(Secret::new("token")));
/// provider.get().await?;
/// let mut reader = provider.reader();
/// assert_eq!(reader.read().map(Secret::expose), Some("token"));
/// # Ok::<_, credfed_core::ProviderError>(())
/// # }).unwrap();
/// ```
pub struct Reader<C> {
    core: Arc<Core<C>>,
    view: View<Place<C>, Option<Arc<Entry<C>>>>,
}

/// Where the snapshot is.
struct Place<C>(Arc<Core<C>>);

impl<C: Send + Sync + 'static> Reader<C> {
    pub(super) fn new(core: Arc<Core<C>>) -> Self {
        Self { view: View::new(Place(Arc::clone(&core))), core }
    }

    /// The credential at hand, without waiting. `None` if there is no valid one; use
    /// [`get`](super::CachedProvider::get) then.
    ///
    /// Starts a load where one is due and somebody would drive it ([`Mode`](super::Mode)).
    #[inline]
    pub fn read(&mut self) -> Option<&C> {
        Some(&self.current()?.credential)
    }

    /// What follows from the credential at hand, as [`Cached::derive`] has it.
    #[inline]
    pub fn derive<T: Send + Sync + 'static>(&mut self, f: impl FnOnce(&C) -> T) -> Option<&T> {
        Some(self.current()?.derive(f))
    }

    /// The credential at hand, for as long as somebody holds it.
    #[inline]
    pub fn cached(&mut self) -> Option<Cached<C>> {
        self.current().cloned().map(|entry| Cached { entry, stale: false })
    }

    #[inline]
    fn current(&mut self) -> Option<&Arc<Entry<C>>> {
        let fresh = match self.view.load() {
            Some(entry) => self.core.hit_of(entry),
            None => false,
        };
        if !fresh {
            // What this found valid is what the view finds, or what came after it.
            self.core.ageing()?;
        }
        self.view.load().as_ref()
    }
}

impl<C> Deref for Place<C> {
    type Target = Snapshot<Entry<C>>;

    fn deref(&self) -> &Self::Target {
        &self.0.snapshot
    }
}

impl<C> Clone for Reader<C> {
    fn clone(&self) -> Self {
        Self { core: Arc::clone(&self.core), view: View::new(Place(Arc::clone(&self.core))) }
    }
}

impl<C> fmt::Debug for Reader<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("identity", &self.core.identity()).finish_non_exhaustive()
    }
}
