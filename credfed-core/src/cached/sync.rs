//! What the engine shares between threads, named in one place so that a model checker can put its own in.

pub(super) use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use std::sync::{Mutex, MutexGuard, PoisonError};

pub(super) use arc_swap::ArcSwapOption as Snapshot;
pub(super) use futures::future::Shared;

/// A mutex that a panic elsewhere does not close: what it guards is consistent between any two statements.
pub(super) struct Lock<T>(Mutex<T>);

impl<T> Lock<T> {
    pub(super) fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
