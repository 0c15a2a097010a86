//! What the engine shares between threads, named in one place so that a model checker can put its own in.

pub(super) use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};

use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

pub(super) use arc_swap::ArcSwapOption as Snapshot;
pub(super) use arc_swap::Cache as View;

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
