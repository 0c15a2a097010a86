//! Makes, rotates and shows the key ring that seals session tokens (`gateway --token-ring FILE`).
//!
//! No key is ever printed. Every change is written all or nothing, by one at a time, for the file's owner alone; a
//! gateway that has the file open reads it again by itself.

use std::error::Error;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use clap::{Parser, Subcommand};
use credfed_core::keyring::{KeyRing, KeyRingFile, KeyState};
use credfed_core::{Clock, SystemClock};
use humantime::{format_duration, format_rfc3339_seconds, parse_duration};

/// Makes, rotates and shows the key ring that seals session tokens. Keys themselves are never shown.
///
/// A rotation in three steps, none of which any session notices: `rotate` adds a key that waits; when its time has
/// come every replica seals with it; `retire` takes out what no session needs any more.
#[derive(Debug, Parser)]
#[command(name = "keyring", version)]
struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a ring with one key, current at once. An existing file is left alone
    New { file: PathBuf },
    /// Add a key that takes over after a time
    Rotate {
        file: PathBuf,
        /// When the new key takes over: later than every replica has read the file again
        #[arg(long, value_name = "TIME", default_value = "5m", value_parser = parse_duration)]
        activate_in: Duration,
        /// How often replicas read the file
        #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse_duration)]
        reload_interval: Duration,
        /// Take over at once, for a key that leaked; a replica that has not read the file yet refuses new sessions
        #[arg(long, conflicts_with_all = ["activate_in", "reload_interval"])]
        at_once: bool,
    },
    /// Take out previous keys that no session can need any more
    Retire {
        file: PathBuf,
        /// The longest that a session lasts: 36 hours for GetSessionToken at most
        #[arg(long, value_name = "TIME", default_value = "36h", value_parser = parse_duration)]
        longest_session: Duration,
    },
    /// Take out one key; everything that it sealed is refused as soon as the file is read again
    Remove {
        file: PathBuf,
        /// The key's name, as `show` has it
        kid: String,
    },
    /// Show names, states and times of the keys
    Show { file: PathBuf },
}

fn main() -> ExitCode {
    // The library warns of a file that others may read.
    tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_target(false)
        .without_time()
        .init();
    match run(Arguments::parse().action, SystemClock.wall()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "keyring: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(action: Action, now: SystemTime) -> Result<(), Box<dyn Error>> {
    let ring = match action {
        Action::New { file } => {
            let ring = KeyRing::generate(now)?;
            KeyRingFile::new(file).create(&ring)?;
            ring
        }
        Action::Rotate { file, activate_in, reload_interval, at_once } => {
            update(file, |ring| match at_once {
                true => Ok(ring.rotate_at_once(now)?),
                false => {
                    let activates =
                        now.checked_add(activate_in).ok_or("--activate-in is beyond the calendar")?;
                    Ok(ring.rotate(now, activates, reload_interval)?)
                }
            })?
        }
        Action::Retire { file, longest_session } => {
            update(file, |ring| Ok(ring.retire(now, longest_session)))?
        }
        Action::Remove { file, kid } => update(file, |ring| {
            let key = ring.keys(now).find(|key| key.id.to_string() == kid);
            let key = key.ok_or("the ring has no such key: `keyring show` names those that it has")?;
            Ok(ring.remove(key.id, now)?)
        })?,
        Action::Show { file } => KeyRingFile::new(file).read()?,
    };
    Ok(show(&ring, now)?)
}

fn update(
    file: PathBuf,
    change: impl FnOnce(&KeyRing) -> Result<KeyRing, Box<dyn Error>>,
) -> Result<KeyRing, Box<dyn Error>> {
    KeyRingFile::new(file).update(change)
}

fn show(ring: &KeyRing, now: SystemTime) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{:16}  {:8}  {:20}  {:20}", "kid", "state", "created", "activates")?;
    for key in ring.keys(now) {
        let created = format_rfc3339_seconds(key.created).to_string();
        let activates = format_rfc3339_seconds(key.activates).to_string();
        write!(out, "{:16}  {:8}  {created:20}  {activates:20}", key.id.to_string(), key.state.to_string())?;
        match key.activates.duration_since(now) {
            Ok(wait) if key.state == KeyState::Next => {
                writeln!(out, "  in {}", format_duration(Duration::from_secs(wait.as_secs())))?;
            }
            _ => writeln!(out)?,
        }
    }
    out.flush()
}
