//! A ring that is replaced while it is in use.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::{ArcSwap, Guard};

use super::key::{KeyId, MasterKey};
use super::ring::{KeyRing, KeyRingError};

/// The ring in use. Clones are one; all of them see a replacement at once.
///
/// A new text is taken as a whole or not at all. While it is refused the last good ring stays, an error is logged
/// once for each fault, and [`status`](Self::status) tells. Replacements happen one after the other, each from the
/// reading of its file to its end, so that what was read earlier never comes into use later.
#[derive(Clone)]
pub struct SharedKeyRing(Arc<Inner>);

struct Inner {
    ring: ArcSwap<KeyRing>,
    status: Mutex<KeyRingStatus>,
    replacing: Mutex<()>,
}

/// How the reloads went; for readiness probes and metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyRingStatus {
    /// How often a ring was taken since the first one.
    pub replaced: u64,
    /// How many tries in a row were refused, up to now.
    pub refused: u64,
    /// Why the last of them was; `None` once a ring was taken again.
    pub error: Option<KeyRingError>,
}

impl SharedKeyRing {
    /// Begins with a ring.
    pub fn new(ring: KeyRing) -> Self {
        let ring = ArcSwap::from_pointee(ring);
        Self(Arc::new(Inner { ring, status: Mutex::default(), replacing: Mutex::default() }))
    }

    /// The ring in use. Not to be held on to: a key that is removed must be gone.
    pub fn load(&self) -> Arc<KeyRing> {
        self.0.ring.load_full()
    }

    /// The ring in use, for a moment, without a reference count.
    pub(crate) fn peek(&self) -> Guard<Arc<KeyRing>> {
        self.0.ring.load()
    }

    /// The key of that name, whatever its state.
    pub(crate) fn key(&self, id: KeyId) -> Option<HeldKey> {
        let ring = self.peek();
        let position = ring.position(id)?;
        Some(HeldKey { ring, position })
    }

    /// Puts another ring in its place, after a reload that is under way.
    pub fn replace(&self, ring: KeyRing) {
        let taken = self.replace_by(|| Ok(ring));
        debug_assert!(taken.is_ok(), "a ring is good");
    }

    /// Reads a text and puts its ring in the place of the one in use; that one stays if the text is refused.
    ///
    /// # Errors
    /// See [`KeyRing::parse`].
    pub fn replace_from(&self, text: &str) -> Result<(), KeyRingError> {
        self.replace_by(|| KeyRing::parse(text))
    }

    /// Puts what `read` gives in the place of the ring in use; that one stays if there is none.
    pub(super) fn replace_by(
        &self,
        read: impl FnOnce() -> Result<KeyRing, KeyRingError>,
    ) -> Result<(), KeyRingError> {
        let _replacing = self.0.replacing.lock().unwrap_or_else(PoisonError::into_inner);
        match read() {
            Ok(ring) => {
                self.0.ring.store(Arc::new(ring));
                self.report(|status| {
                    status.replaced += 1;
                    status.refused = 0;
                    status.error = None;
                });
                Ok(())
            }
            Err(error) => {
                self.refused(&error);
                Err(error)
            }
        }
    }

    /// How the reloads went.
    pub fn status(&self) -> KeyRingStatus {
        self.0.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The alarm: what was to be loaded is no ring. It is raised once for each fault, however often that is met.
    fn refused(&self, error: &KeyRingError) {
        self.report(|status| {
            status.refused += 1;
            if status.error.as_ref() != Some(error) {
                tracing::error!(target: "credfed::keyring", %error, "the last good key ring stays in use");
                status.error = Some(error.clone());
            }
        });
    }

    fn report(&self, change: impl FnOnce(&mut KeyRingStatus)) {
        change(&mut self.0.status.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// A key of the ring that was in use when it was asked for. It is there until this is dropped, also if another ring
/// takes the place of its own.
pub(crate) struct HeldKey {
    ring: Guard<Arc<KeyRing>>,
    position: usize,
}

impl Deref for HeldKey {
    type Target = MasterKey;

    fn deref(&self) -> &MasterKey {
        self.ring.at(self.position)
    }
}

impl fmt::Debug for SharedKeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedKeyRing").field("ring", &self.0.ring.load()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn what_was_read_earlier_does_not_come_into_use_later() {
        let ring = || KeyRing::generate(SystemTime::UNIX_EPOCH).unwrap();
        let (earlier, later) = (ring(), ring());
        let text = later.to_text();
        let shared = SharedKeyRing::new(ring());
        std::thread::scope(|scope| {
            let slow = shared.replace_by(|| {
                // Another one, which reads what the file holds after this, has to wait.
                assert!(shared.0.replacing.try_lock().is_err());
                scope.spawn(|| shared.replace_by(|| Ok(later)));
                Ok(earlier)
            });
            assert!(slow.is_ok());
        });
        assert_eq!((shared.load().to_text(), shared.status().replaced), (text, 2));
    }
}
