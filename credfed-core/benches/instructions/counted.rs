//! Instructions per round of some work, counted by valgrind: the same figure however busy the machine is.
//!
//! The program runs itself under callgrind, with few rounds and with many. What start-up and preparation cost falls out
//! of the difference.

use std::io;
use std::process::{Command, ExitCode};

/// A round of work, and how many instructions it may take.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// On x86-64. A tenth above what was counted, for the next compiler; `None` for what is there to compare with.
    pub(crate) most: Option<u64>,
    pub(crate) work: Box<dyn FnMut()>,
}

const FEW: u64 = 1_000;
const MANY: u64 = 5_000;

/// Counts every row, prints the figures, and fails if one is above its limit. `prepare` makes the rows anew in each of
/// the processes.
pub(crate) fn main(prepare: impl FnOnce() -> Vec<Row>) -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.as_slice() {
        [] => judge(&prepare()),
        [name, rounds] if let Ok(rounds) = rounds.parse() => run(prepare(), name, rounds),
        _ => {
            println!("prints how many instructions a hit takes; takes no arguments, needs valgrind");
            ExitCode::from(2)
        }
    }
}

fn run(rows: Vec<Row>, name: &str, rounds: u64) -> ExitCode {
    let Some(mut row) = rows.into_iter().find(|row| row.name == name) else { return ExitCode::from(2) };
    (0..rounds).for_each(|_| (row.work)());
    ExitCode::SUCCESS
}

fn judge(rows: &[Row]) -> ExitCode {
    let mut within = true;
    println!("{:28} {:>12} {:>8}", "", "instructions", "limit");
    for row in rows {
        let counted = count(row.name, FEW).and_then(|few| Ok((count(row.name, MANY)? - few) / (MANY - FEW)));
        let counted = match counted {
            Ok(counted) => counted,
            Err(error) => {
                println!("{}: {error}", row.name);
                return ExitCode::FAILURE;
            }
        };
        let is_within = row.most.is_none_or(|most| counted <= most) || !cfg!(target_arch = "x86_64");
        let limit = row.most.map_or_else(String::new, |most| most.to_string());
        println!("{:28} {counted:>12} {limit:>8}{}", row.name, if is_within { "" } else { "  TOO MANY" });
        within &= is_within;
    }
    if within { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn count(name: &str, rounds: u64) -> io::Result<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe()?)
        .args([name, &rounds.to_string()])
        .output()
        .map_err(|error| {
            io::Error::new(error.kind(), format!("cannot run valgrind ({error}); install it"))
        })?;
    let told = String::from_utf8_lossy(&output.stderr);
    let collected = told.lines().rev().find_map(|line| line.split_once("Collected :")?.1.trim().parse().ok());
    match collected {
        Some(collected) if output.status.success() => Ok(collected),
        _ => Err(io::Error::other(format!("valgrind counted nothing ({}):\n{told}", output.status))),
    }
}
