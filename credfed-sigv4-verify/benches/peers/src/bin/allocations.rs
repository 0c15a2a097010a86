//! Counts allocations for `peers`, one `row TAB subject TAB count` a line. A binary of its own, since a counting
//! allocator makes those slower that allocate.

use std::alloc::System;

use credfed_sigv4_verify_peers::rows;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static GLOBAL: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const TIMES: usize = 10;

fn main() {
    for row in rows() {
        for mut subject in row.subjects {
            let count = |work: &mut dyn FnMut()| {
                // What is kept between two requests is there by then.
                (0..TIMES).for_each(|_| work());
                let region = Region::new(GLOBAL);
                (0..TIMES).for_each(|_| work());
                let change = region.change();
                (change.allocations + change.reallocations) / TIMES
            };
            let fixed = subject.fixed.as_mut().map_or(0, |fixed| count(fixed));
            println!("{}\t{}\t{}", row.name, subject.name, count(&mut subject.run).saturating_sub(fixed));
        }
    }
}
