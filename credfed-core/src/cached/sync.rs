//! What the engine shares between threads, named in one place so that a model checker can put its own in.
//!
//! Built for tests with `--cfg credfed_shuttle`, all of it is shuttle's, or a twin on shuttle's primitives where
//! shuttle has none: `tests/shuttle` then runs the real engine under schedules of its choosing. `Arc` stays the
//! standard one, as in shuttle itself.

#[cfg(all(test, credfed_shuttle))]
mod twins;

#[cfg(not(all(test, credfed_shuttle)))]
mod real {
    pub(in crate::cached) use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
    pub(in crate::cached) use std::sync::{Mutex, MutexGuard, OnceLock};

    pub(in crate::cached) use arc_swap::{ArcSwapOption as Snapshot, Cache as View};
}

#[cfg(not(all(test, credfed_shuttle)))]
use real as chosen;
#[cfg(all(test, credfed_shuttle))]
use twins as chosen;

pub(super) use chosen::{AtomicBool, AtomicU64, OnceLock, Ordering, Snapshot, View, fence};

use std::sync::{PoisonError, TryLockError};

use chosen::{Mutex, MutexGuard};

/// A mutex that a panic elsewhere does not close: what it guards is consistent between any two statements.
pub(super) struct Lock<T>(Mutex<T>);

impl<T> Lock<T> {
    pub(super) fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `None` if it is held, be it by this very thread.
    pub(super) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        match self.0.try_lock() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}
