//! Prints what each verification costs, as a multiple of its floor, and how often it allocates.

use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use credfed_sigv4_verify_peers::{Row, Subject, peers, requests, rows};

/// Odd, so that there is one in the middle.
const ROUNDS: usize = 201;
const COLUMNS: [&str; 6] = ["floor", "credfed", "s3s-sigv4", "multistore", "s3s", "scratchstack"];

fn main() -> ExitCode {
    let Some(counted) = allocations() else {
        eprintln!("build all binaries first: cargo build --release");
        return ExitCode::FAILURE;
    };
    println!("|  | {} |", COLUMNS.join(" | "));
    println!("|{}", " --- |".repeat(COLUMNS.len() + 1));
    for mut row in rows() {
        let times = measure(&mut row);
        let cells = COLUMNS.map(|column| cell(&row, column, &times, &counted));
        println!("| {}: {} | {} |", row.name, row.what, cells.join(" | "));
    }
    if let Some(refusal) = peers::scratchstack::refusal(&requests::r3()) {
        println!("\nscratchstack about R3: {refusal}");
    }
    ExitCode::SUCCESS
}

fn cell(row: &Row, column: &str, times: &[(f64, f64)], counted: &str) -> String {
    let Some(at) = row.subjects.iter().position(|subject| subject.name == column) else { return "-".into() };
    let (nanoseconds, ratio) = times[at];
    if at == 0 {
        return format!("{nanoseconds:.0} ns");
    }
    let key = format!("{}\t{column}\t", row.name);
    let count = counted.lines().find_map(|line| line.strip_prefix(&key)).unwrap_or("?");
    format!("**{ratio:.2}x**, {nanoseconds:.0} ns, {count} allocations")
}

/// Of each subject the medians of its net time, in nanoseconds, and of the ratio to the floor of the same round.
fn measure(row: &mut Row) -> Vec<(f64, f64)> {
    let mut samples = vec![Vec::with_capacity(ROUNDS); row.subjects.len()];
    for _ in 0..ROUNDS {
        let times: Vec<f64> = row.subjects.iter_mut().map(|subject| net(subject, row.repeat)).collect();
        for (samples, time) in samples.iter_mut().zip(&times) {
            samples.push((*time, time / times[0]));
        }
    }
    let median = |values: &mut dyn Iterator<Item = f64>| {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    samples
        .iter()
        .map(|samples| (median(&mut samples.iter().map(|s| s.0)), median(&mut samples.iter().map(|s| s.1))))
        .collect()
}

fn net(subject: &mut Subject, repeat: usize) -> f64 {
    let time = |work: &mut dyn FnMut()| -> Duration {
        let start = Instant::now();
        (0..repeat).for_each(|_| work());
        start.elapsed()
    };
    let gross = time(&mut subject.run).as_secs_f64();
    let fixed = subject.fixed.as_mut().map_or(0.0, |fixed| time(fixed).as_secs_f64());
    (gross - fixed) * 1e9 / repeat as f64
}

/// What the other binary prints.
fn allocations() -> Option<String> {
    let binary = std::env::current_exe().ok()?.with_file_name("allocations");
    let output = Command::new(binary).output().ok().filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok()
}
