//! What the bench asks of a peer.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures::future::BoxFuture;

use crate::source::Source;

/// One cache of credentials in front of one [`Source`].
pub trait Peer: Send + Sync + 'static {
    /// One caller that wants a credential, in the way that the peer's documentation recommends.
    fn get(&self) -> BoxFuture<'_, Result<(), String>>;

    /// The ways to hit the cache. A credential is at hand when they run.
    fn hits(self: Arc<Self>) -> Vec<Hit>;
}

/// A way to hit a cache.
pub struct Hit {
    pub name: &'static str,
    /// Hits so many times in a row; gives how often a credential was there. Runs within a tokio context.
    pub run: Box<dyn Fn(usize) -> usize + Send + Sync>,
}

impl Hit {
    /// One hit is one call of `hit`, which the compiler inlines into the loop: no cost but the hit's own.
    pub fn new(name: &'static str, hit: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        let run = Box::new(move |times| (0..times).filter(|_| std::hint::black_box(hit())).count());
        Self { name, run }
    }
}

/// The outcome of a future that is ready at its first poll unless another thread holds what it needs.
#[inline]
pub fn at_once<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => futures::executor::block_on(future),
    }
}

/// A peer to be.
#[derive(Clone, Copy)]
pub struct Kind {
    /// As the tables call it.
    pub name: &'static str,
    /// The package whose version the tables give.
    pub package: &'static str,
    pub new: fn(Arc<Source>) -> Arc<dyn Peer>,
}

impl Kind {
    pub fn in_front_of(&self, source: &Arc<Source>) -> Arc<dyn Peer> {
        (self.new)(Arc::clone(source))
    }

    /// The version that was built, out of the lock file.
    pub fn version(&self) -> &'static str {
        let mut lines = include_str!("../Cargo.lock").lines();
        lines
            .by_ref()
            .find(|line| {
                line.strip_prefix("name = ").is_some_and(|name| name.trim_matches('"') == self.package)
            })
            .and_then(|_| lines.next()?.strip_prefix("version = "))
            .map_or("unknown", |version| version.trim_matches('"'))
    }
}
