//! Counts allocations for `peers`, one `peer TAB subject TAB count` a line. A binary of its own, since a counting
//! allocator makes those slower that allocate.

use std::alloc::System;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use credfed_core_peers::callers::{Tally, crowd};
use credfed_core_peers::peer::{Hit, Kind, Peer};
use credfed_core_peers::source::Source;
use credfed_core_peers::{hits, peers};
use futures::future::BoxFuture;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tokio::runtime::Runtime;

#[global_allocator]
static GLOBAL: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const CALLERS: usize = 10_000;

fn main() -> ExitCode {
    match count() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn count() -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| format!("no runtime: {error}"))?;
    for subject in hits::subjects(&runtime, &peers::ALL)? {
        let _context = runtime.enter();
        (subject.hit.run)(1_000);
        let region = Region::new(GLOBAL);
        (subject.hit.run)(1_000);
        let change = region.change();
        let per_hit = (change.allocations + change.reallocations) as f64 / 1_000.0;
        println!("{}\t{}\t{per_hit:.0}", subject.peer.name, subject.hit.name);
    }
    // What a caller costs by itself: its task, and the box of the bench's own trait.
    let nobody = Kind { name: "nobody", package: "", new: |_| Arc::new(Nobody) };
    let own = cold(&runtime, nobody);
    for kind in peers::ALL {
        let (allocations, bytes) = cold(&runtime, kind);
        println!("{}\tcold\t{:.1} ({:.0} B)", kind.name, allocations - own.0, bytes - own.1);
    }
    Ok(())
}

/// Allocations and bytes for each of many callers that wait for one load.
fn cold(runtime: &Runtime, kind: Kind) -> (f64, f64) {
    let peer = kind.in_front_of(&Source::works(Duration::from_millis(500)));
    runtime.block_on(async move {
        let region = Region::new(GLOBAL);
        Tally::of(crowd(&peer, CALLERS)).await;
        let change = region.change();
        let allocations = (change.allocations + change.reallocations) as f64;
        (allocations / CALLERS as f64, change.bytes_allocated as f64 / CALLERS as f64)
    })
}

struct Nobody;

impl Peer for Nobody {
    fn get(&self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn hits(self: Arc<Self>) -> Vec<Hit> {
        Vec::new()
    }
}
