//! Prints both tables as Markdown; tells of its progress on stderr.

use std::collections::HashMap;
use std::process::{Command, ExitCode, Stdio};

use credfed_core_peers::hits::{self, Price, Subject};
use credfed_core_peers::source::PANIC;
use credfed_core_peers::table::Table;
use credfed_core_peers::{peers, scenarios};
use futures::future::join_all;
use tokio::runtime::Runtime;

const HELP: &str = "\
How credfed-core's cached provider behaves beside its peers: two Markdown tables from one run.

    cargo build --release && target/release/peers [--behaviour | --hits]

    --behaviour   only the table of the scenarios (about 50 s)
    --hits        only the table of the hits (about 20 s)
    --help        this text

Progress goes to stderr. The allocation columns come from the binary `allocations` beside this one.";

/// Rounds of samples, each of every way to hit every peer.
const ROUNDS: usize = 41;

fn main() -> ExitCode {
    let argument = std::env::args().nth(1);
    let (behaviour, hits) = match argument.as_deref() {
        None => (true, true),
        Some("--behaviour") => (true, false),
        Some("--hits") => (false, true),
        Some("--help" | "-h") => {
            println!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Some(other) => {
            eprintln!("unknown argument {other}; see --help");
            return ExitCode::from(2);
        }
    };
    match run(behaviour, hits) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(behaviour: bool, hits: bool) -> Result<(), String> {
    silence_the_play();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| format!("no runtime: {error}"))?;
    println!("Measured on {}.\n", chrono::Utc::now().format("%Y-%m-%d"));
    if behaviour {
        println!("{}", behaviour_table(&runtime));
    }
    if hits {
        println!("{}", hit_table(&runtime)?);
    }
    Ok(())
}

fn behaviour_table(runtime: &Runtime) -> Table {
    let heads = peers::ALL.iter().map(|kind| format!("{} {}", kind.name, kind.version()));
    let mut table = Table::new([String::new()].into_iter().chain(heads));
    let long = scenarios::ALL.iter().filter(|scenario| scenario.long);
    let long: Vec<_> =
        long.flat_map(|scenario| peers::ALL.map(|kind| (scenario.id, (scenario.run)(kind)))).collect();
    let mut cells: HashMap<char, Vec<String>> = HashMap::new();
    for scenario in scenarios::ALL.iter().filter(|scenario| !scenario.long) {
        for kind in peers::ALL {
            eprintln!("{}: {}", scenario.id, kind.name);
            let cell = runtime.block_on(async { tokio::spawn((scenario.run)(kind)).await });
            cells.entry(scenario.id).or_default().push(cell.unwrap_or_else(|error| error.to_string()));
        }
    }
    eprintln!("the long scenarios, all peers at once: 30 s");
    let (ids, runs): (Vec<_>, Vec<_>) = long.into_iter().unzip();
    let outcomes = runtime.block_on(async { join_all(runs.into_iter().map(tokio::spawn)).await });
    for (id, cell) in ids.into_iter().zip(outcomes) {
        cells.entry(id).or_default().push(cell.unwrap_or_else(|error| error.to_string()));
    }
    for scenario in &scenarios::ALL {
        let title = format!("{}. {}", scenario.id, scenario.title);
        table.row([title].into_iter().chain(cells.remove(&scenario.id).unwrap_or_default()));
    }
    table
}

fn hit_table(runtime: &Runtime) -> Result<Table, String> {
    let subjects = hits::subjects(runtime, &peers::ALL)?;
    let prices = hits::measure(runtime, &subjects, ROUNDS)?;
    let counts = allocations();
    let mut table = Table::new([
        "",
        "a hit",
        "one thread",
        "beside a second one",
        "allocations per hit",
        "allocations per cold caller",
    ]);
    let mut above = "";
    for (Subject { peer, hit }, Price { alone, beside_another }) in subjects.iter().zip(prices) {
        let is_first = std::mem::replace(&mut above, peer.name) != peer.name;
        let count = |of: &str| counts.get(&format!("{}\t{of}", peer.name)).map_or("-", String::as_str);
        table.row([
            if is_first { peer.name } else { "" },
            hit.name,
            &format!("{alone:.1} ns"),
            &format!("{beside_another:.1} ns"),
            count(hit.name),
            if is_first { count("cold") } else { "" },
        ]);
    }
    Ok(table)
}

/// What the binary beside this one counts: by peer and subject, separated by a tab.
fn allocations() -> HashMap<String, String> {
    eprintln!("allocations");
    let counted = std::env::current_exe()
        .and_then(|this| Command::new(this.with_file_name("allocations")).stderr(Stdio::inherit()).output());
    let Ok(counted) = counted else {
        eprintln!("no binary `allocations` beside this one: run `cargo build --release` for those columns");
        return HashMap::new();
    };
    let text = String::from_utf8_lossy(&counted.stdout).into_owned();
    text.lines()
        .filter_map(|line| line.rsplit_once('\t'))
        .map(|(subject, count)| (subject.to_owned(), count.to_owned()))
        .collect()
}

/// The panics of scenario e are no news; all others are.
fn silence_the_play() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if info.payload().downcast_ref::<&str>() != Some(&PANIC) {
            usual(info);
        }
    }));
}
