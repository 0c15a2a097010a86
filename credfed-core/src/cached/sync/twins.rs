//! Shuttle's primitives, and twins of those that it has not.
//!
//! Before each access another thread may run, so all orders of accesses are found, and no others: shuttle is
//! sequentially consistent. That a fence or an ordering is strong enough for real hardware is beyond it.

pub(in crate::cached) use shuttle::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
pub(in crate::cached) use shuttle::sync::{Mutex, MutexGuard};

use std::ops::Deref;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// Lets another thread run, if the schedule says so.
fn point() {
    shuttle::thread::sleep(Duration::ZERO);
}

/// The twin of arc-swap's `ArcSwapOption`.
pub(in crate::cached) struct Snapshot<T>(std::sync::Mutex<Option<Arc<T>>>);

impl<T> Snapshot<T> {
    pub(in crate::cached) fn empty() -> Self {
        Self(std::sync::Mutex::new(None))
    }

    pub(in crate::cached) fn load(&self) -> Loaded<T> {
        Loaded(self.load_full())
    }

    pub(in crate::cached) fn load_full(&self) -> Option<Arc<T>> {
        point();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(in crate::cached) fn swap(&self, new: Option<Arc<T>>) -> Option<Arc<T>> {
        point();
        std::mem::replace(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner), new)
    }
}

/// What a snapshot held when it was looked at.
pub(in crate::cached) struct Loaded<T>(Option<Arc<T>>);

impl<T> Deref for Loaded<T> {
    type Target = Option<Arc<T>>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

/// The twin of arc-swap's `Cache`.
pub(in crate::cached) struct View<P, S> {
    place: P,
    seen: S,
}

impl<P: Deref<Target = Snapshot<T>>, T> View<P, Option<Arc<T>>> {
    pub(in crate::cached) fn new(place: P) -> Self {
        Self { seen: place.load_full(), place }
    }

    pub(in crate::cached) fn load(&mut self) -> &Option<Arc<T>> {
        self.seen = self.place.load_full();
        &self.seen
    }
}

/// The twin of the standard library's: who comes while it is being filled waits for that.
pub(in crate::cached) struct OnceLock<T> {
    value: std::sync::OnceLock<T>,
    filling: Mutex<()>,
}

impl<T> OnceLock<T> {
    pub(in crate::cached) fn new() -> Self {
        Self { value: std::sync::OnceLock::new(), filling: Mutex::new(()) }
    }

    pub(in crate::cached) fn get(&self) -> Option<&T> {
        point();
        self.value.get()
    }

    pub(in crate::cached) fn set(&self, value: T) -> Result<(), T> {
        let _filling = self.filling.lock().unwrap_or_else(PoisonError::into_inner);
        self.value.set(value)
    }

    pub(in crate::cached) fn get_or_init(&self, make: impl FnOnce() -> T) -> &T {
        if let Some(value) = self.get() {
            return value;
        }
        let _filling = self.filling.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody else fills it now, so this runs `make` or finds what was made before.
        match self.value.get() {
            Some(value) => value,
            None => {
                let value = make();
                self.value.get_or_init(|| value)
            }
        }
    }
}

impl<T> Default for OnceLock<T> {
    fn default() -> Self {
        Self::new()
    }
}
