//! Makes, rotates and shows the keys of an OpenID provider without users (`gateway --issuer-state FILE`).
//!
//! No private key is ever printed. Every change is written all or nothing, by one at a time, for the file's owner
//! alone; a gateway that has the file open reads it again by itself.

use std::error::Error;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use clap::{Args, Parser, Subcommand, ValueEnum};
use credfed_core::oidc::{Algorithm, IssuerState, IssuerStateFile, KeyTimes, LocalSigner};
use credfed_core::{Clock, Secret, SystemClock};
use humantime::{format_rfc3339_seconds, parse_duration};

/// Makes, rotates and shows the keys of an OpenID provider without users. Private keys are never shown.
///
/// A rotation that nobody notices: `rotate` publishes a key that signs only once everybody can have read it, and goes
/// on publishing the old one until the last assertion that it signed is over.
#[derive(Debug, Parser)]
#[command(name = "issuer", version)]
struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a state with one key, in use at once. An existing file is left alone
    New {
        file: PathBuf,
        #[command(flatten)]
        key: KeyArguments,
    },
    /// Publish a key that signs after a time
    Rotate {
        file: PathBuf,
        #[command(flatten)]
        key: KeyArguments,
        /// When the new key begins to sign: later than those who trust this issuer keep its keys
        #[arg(long, value_name = "TIME", default_value = "1h", value_parser = parse_duration)]
        activate_in: Duration,
        /// How long the old key stays published after that: the longest that an assertion lives, and a little more
        #[arg(long, value_name = "TIME", default_value = "15m", value_parser = parse_duration)]
        overlap: Duration,
    },
    /// Show names, states and times of the keys, and the thumbprints of their certificates
    Show { file: PathBuf },
}

#[derive(Debug, Args)]
struct KeyArguments {
    /// The algorithm of a key that is made: RS256 is the one that everybody knows
    #[arg(long, value_enum, default_value_t = KeyKind::Rs256, conflicts_with = "key")]
    alg: KeyKind,
    /// A private key to use instead, in PEM (PKCS#8, or PKCS#1 for RSA)
    #[arg(long, value_name = "PEM")]
    key: Option<PathBuf>,
    /// The certificate of --key, with its chain, in PEM: published as x5c, for servers that ask for one (Ceph)
    #[arg(long, value_name = "PEM", requires = "key")]
    cert: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum KeyKind {
    #[value(name = "RS256")]
    Rs256,
    #[value(name = "ES256")]
    Es256,
    #[value(name = "EdDSA")]
    EdDsa,
}

fn main() -> ExitCode {
    // The library warns of a file that others may read.
    let log = tracing_subscriber::fmt().with_writer(io::stderr).with_ansi(io::stderr().is_terminal());
    log.with_target(false).without_time().init();
    match run(Arguments::parse().action, SystemClock.wall()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "issuer: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(action: Action, now: SystemTime) -> Result<(), Box<dyn Error>> {
    let state = match action {
        Action::New { file, key } => {
            let state = IssuerState::new(key.signer()?, now);
            IssuerStateFile::new(file).create(&state)?;
            state
        }
        Action::Rotate { file, key, activate_in, overlap } => {
            let key = key.signer()?;
            let rotate = |state: &mut IssuerState| state.rotate(key, now, activate_in, overlap);
            IssuerStateFile::new(file).update(rotate)?
        }
        Action::Show { file } => IssuerStateFile::new(file).read()?,
    };
    Ok(show(&state, now)?)
}

impl KeyArguments {
    fn signer(&self) -> Result<LocalSigner, Box<dyn Error>> {
        let Some(key) = &self.key else {
            let algorithm = match self.alg {
                KeyKind::Rs256 => Algorithm::Rs256,
                KeyKind::Es256 => Algorithm::Es256,
                KeyKind::EdDsa => Algorithm::EdDsa,
            };
            return Ok(LocalSigner::generate(algorithm)?);
        };
        let signer = LocalSigner::from_pem(read(key)?.expose())?;
        Ok(match &self.cert {
            Some(certificate) => signer.with_certificates_pem(read(certificate)?.expose())?,
            None => signer,
        })
    }
}

fn read(path: &Path) -> Result<Secret, String> {
    std::fs::read_to_string(path).map(Secret::new).map_err(|error| format!("{}: {error}", path.display()))
}

fn show(state: &IssuerState, now: SystemTime) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{:43}  {:5}  {:9}  {:20}  {:20}", "kid", "alg", "state", "signs from", "published until")?;
    let signing = state
        .keys()
        .filter(|(_, times)| times.activate <= now && times.retire.is_none_or(|end| end > now))
        .max_by_key(|(_, times)| times.activate)
        .map(|(key, _)| key.kid());
    for (key, times) in state.keys() {
        let from = format_rfc3339_seconds(times.activate).to_string();
        let until = times.retire.map_or("-".to_owned(), |end| format_rfc3339_seconds(end).to_string());
        let kind = state_of(Some(key.kid()) == signing, times, now);
        writeln!(out, "{:43}  {:5}  {kind:9}  {from:20}  {until:20}", key.kid(), key.algorithm().name())?;
        for certificate in key.certificates().take(1) {
            let thumbprint = digest(&SHA1_FOR_LEGACY_USE_ONLY, certificate);
            let hex: String = thumbprint.as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
            writeln!(out, "  thumbprint (SHA-1 of its certificate, as AWS and Ceph want it): {hex}")?;
        }
    }
    out.flush()
}

fn state_of(signs: bool, times: KeyTimes, now: SystemTime) -> &'static str {
    match times.activate > now {
        true => "next",
        false if signs => "current",
        false if times.retire.is_some_and(|end| end <= now) => "retired",
        false => "previous",
    }
}
