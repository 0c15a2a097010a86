//! Those who wait in the machine.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use credfed_core::cached::Refreshed;
use credfed_core::{AwsCredentials, Cached, Get, ProviderError};

use crate::model::{At, DEADLINE, Load, MARGIN, Model};

pub(crate) type Answer = Result<Cached<AwsCredentials>, ProviderError>;

pub(crate) enum Call {
    Get(Get<AwsCredentials>),
    /// For a newer one than this generation.
    Refreshed(Refreshed<AwsCredentials>, u64),
}

pub(crate) struct Waiter {
    pub(crate) call: Call,
    woken: Arc<Flag>,
    /// Since when it waits for this load, and since when at all.
    pub(crate) since: i128,
    pub(crate) came: i128,
    /// After so many loads that were lost or over before it came to look, it gives up.
    pub(crate) restarts: u32,
    /// The call to the source that is its own, where each makes its own.
    pub(crate) own: Option<u32>,
    /// What was valid all the time since.
    valid: Option<u64>,
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Waiter {
    pub(crate) fn new(call: Call, model: &Model, now: At) -> Self {
        let valid = model.valid(now).map(|held| held.generation);
        let woken = Arc::new(Flag(AtomicBool::new(false)));
        Self { call, woken, since: now.mono, came: now.mono, restarts: 0, own: None, valid }
    }

    /// Whether it was woken since this was asked last.
    pub(crate) fn is_woken(&self) -> bool {
        self.woken.0.swap(false, Ordering::SeqCst)
    }

    /// It is right in waiting, and nobody forgot to wake it.
    pub(crate) fn check(&mut self, model: &Model, now: At) {
        assert!(self.poll().is_pending(), "not woken, and yet it need not wait: {model:?}");
        let valid = model.valid(now).map(|held| held.generation);
        self.valid = self.valid.filter(|generation| valid == Some(*generation));
        let mine = |load: &&Load| self.own.is_none_or(|own| load.call == own);
        let youngest = model.loads.iter().filter(mine).max_by_key(|load| load.since.mono);
        let Some(load) = youngest else { panic!("waits for nothing: {model:?}") };
        let served = matches!(self.call, Call::Get(_)) && self.valid.is_some();
        let most = if served { load.patience } else { DEADLINE + MARGIN };
        assert!(now.mono - load.since.mono < most, "the load is too old to wait for: {model:?}");
        assert!(now.mono - self.came < DEADLINE + MARGIN, "waits past the deadline: {model:?}");
    }

    pub(crate) fn poll(&mut self) -> Poll<Option<Answer>> {
        let waker = Waker::from(Arc::clone(&self.woken));
        let mut cx = Context::from_waker(&waker);
        match &mut self.call {
            Call::Get(get) => Pin::new(get).poll(&mut cx).map(Some),
            Call::Refreshed(refreshed, _) => Pin::new(refreshed).poll(&mut cx).map(|newer| newer.map(Ok)),
        }
    }
}
