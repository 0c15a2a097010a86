//! One load, from its start until it lands.

use std::convert::Infallible;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::FutureExt;
use futures::channel::oneshot;
use futures::future::{Either, select};
use tracing::Instrument;

use crate::cached::engine::{Core, MARGIN};
use crate::cached::gate::Gate;
use crate::cached::isolated::OwnLoad;
use crate::cached::shared::Shared;
use crate::cached::slot::Entry;
use crate::provider::DynProvider;
use crate::runtime::{Now, Runtime, Task, nanos};
use crate::{Identity, ProviderError};

/// A load under way, shared by all who wait for it: any of them can drive it.
pub(super) struct Flight<C> {
    landing: Shared<Landing<C>>,
    pub(super) id: u64,
    pub(super) started: u64,
    /// Dangles once the task that was spawned for it is gone. `None` if there never was one.
    pub(super) tether: Option<Weak<()>>,
}

/// How a load ended.
pub(super) enum Landing<C> {
    Loaded(Arc<Entry<C>>),
    Failed(ProviderError),
    /// Its runtime went away under it, or it was overtaken: look again.
    Lost,
}

/// What a caller waits for: the load that all share, or one of its own.
pub(super) enum Load<C> {
    Shared(Flight<C>),
    Own(OwnLoad<C>),
}

impl<C: Send + Sync + 'static> Load<C> {
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Landing<C>> {
        match self {
            Self::Shared(flight) => flight.poll(cx),
            Self::Own(own) => own.poll(cx),
        }
    }
}

/// What a load knows of its place: its number, and the generation that it is to follow.
#[derive(Clone, Copy)]
pub(super) struct Ticket {
    pub(super) id: u64,
    pub(super) base: u64,
}

impl<C: Send + Sync + 'static> Core<C> {
    /// Puts a load into the gate and gives the task to spawn for it, if it is to be driven. Runs no code but
    /// its own, for the gate is held.
    pub(super) fn launch(self: &Arc<Self>, gate: &mut Gate<C>, now: Now, drives: bool) -> Option<Task> {
        let ticket = gate.next_ticket(now);
        let tether = drives.then(|| Arc::new(()));
        let (alive, orphaned) = oneshot::channel::<Infallible>();
        let landing = self.fly(ticket, drives.then_some(orphaned));
        let mut landing = Shared::new(landing.boxed());
        let flight = Flight {
            landing: landing.clone(),
            id: ticket.id,
            started: now.mono,
            tether: tether.as_ref().map(Arc::downgrade),
        };
        gate.flight = Some(flight);
        let guard = (tether?, alive);
        Some(Box::pin(async move {
            poll_fn(|cx| landing.poll(cx)).await;
            drop(guard);
        }))
    }

    /// A load from start to landing. It keeps nothing of the cache alive but what it needs to load.
    pub(super) fn fly(
        self: &Arc<Self>,
        ticket: Ticket,
        orphaned: Option<oneshot::Receiver<Infallible>>,
    ) -> impl Future<Output = Landing<C>> + Send + use<C> {
        fly(
            Arc::downgrade(self),
            self.identity,
            ticket,
            Arc::clone(&self.source),
            Arc::clone(&self.runtime),
            self.load_deadline,
            orphaned,
        )
    }
}

impl<C> Flight<C> {
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Landing<C>> {
        self.landing.poll(cx).map(|landing| landing.unwrap_or(Landing::Lost))
    }

    pub(super) fn age(&self, now: Now) -> u64 {
        now.mono.saturating_sub(self.started)
    }

    /// Whether it will not land any more: the task that was to drive it is gone, nobody drove it for too long,
    /// or it ended without having taken itself out of the gate.
    pub(super) fn is_lost(&self, now: Now, deadline: Duration) -> bool {
        let deadline = nanos(deadline);
        let adrift = match &self.tether {
            Some(tether) => tether.strong_count() == 0 || self.age(now) > deadline.saturating_add(MARGIN),
            None => self.age(now) > deadline,
        };
        adrift || self.landing.is_over()
    }
}

impl<C> Clone for Flight<C> {
    fn clone(&self) -> Self {
        Self {
            landing: self.landing.clone(),
            id: self.id,
            started: self.started,
            tether: self.tether.clone(),
        }
    }
}

impl<C> Clone for Landing<C> {
    fn clone(&self) -> Self {
        match self {
            Self::Loaded(entry) => Self::Loaded(Arc::clone(entry)),
            Self::Failed(error) => Self::Failed(error.clone()),
            Self::Lost => Self::Lost,
        }
    }
}

/// One load from start to landing. A panic of the source ends in it, so that it cannot poison what is shared.
async fn fly<C: Send + Sync + 'static>(
    core: Weak<Core<C>>,
    identity: Identity,
    ticket: Ticket,
    source: Arc<dyn DynProvider<C>>,
    runtime: Arc<dyn Runtime>,
    deadline: Duration,
    orphaned: Option<oneshot::Receiver<Infallible>>,
) -> Landing<C> {
    let span = tracing::info_span!("credfed.refresh", %identity);
    let flight = async move {
        let started = runtime.now();
        if let Some(core) = core.upgrade() {
            let tell = AssertUnwindSafe(|| core.observe(|observer| observer.refresh_started(&identity)));
            let _ = tamed(catch_unwind(tell));
        }
        let load = AssertUnwindSafe(async {
            match select(source.provide_dyn(), runtime.sleep(deadline)).await {
                Either::Left((loaded, _)) => loaded,
                Either::Right(_) => Err(too_late()),
            }
        });
        let load = pin!(load.catch_unwind());
        let loaded = match orphaned {
            None => load.await,
            Some(orphaned) => match select(orphaned, load).await {
                Either::Left(_) => return Landing::Lost,
                Either::Right((loaded, _)) => loaded,
            },
        };
        let panicked = || ProviderError::transient("the source panicked");
        let loaded = tamed(loaded).unwrap_or_else(|| Err(panicked()));
        let Some(core) = core.upgrade() else {
            return Landing::Failed(ProviderError::transient("the cached provider is gone"));
        };
        tamed(catch_unwind(AssertUnwindSafe(|| core.land(&ticket, started, loaded)))).unwrap_or_else(|| {
            let error = panicked();
            let _ = core.note_failure(ticket.id, &error, core.runtime.now());
            Landing::Failed(error)
        })
    };
    flight.instrument(span).await
}

/// Drops what a panic carried; that drop may panic too.
pub(super) fn tamed<T>(outcome: std::thread::Result<T>) -> Option<T> {
    let drop_payload = |payload| drop(catch_unwind(AssertUnwindSafe(|| drop(payload))));
    outcome.map_err(drop_payload).ok()
}

/// Drops what is a source's own: what it panics with is not its caller's.
pub(super) fn let_go<T>(foreign: T) {
    tamed(catch_unwind(AssertUnwindSafe(|| drop(foreign))));
}

pub(super) fn too_late() -> ProviderError {
    ProviderError::transient("the source did not answer in time")
}
