//! Says in one screen why the signature of a request does not match: reads raw HTTP requests, verifies each as a
//! server would, and shows what was signed, what came of it, and the likely cause.

mod causes;
mod cli;
mod form;
mod judge;
mod raw;
mod report;

use std::fs;
use std::io::{self, Read, Write};
use std::process::ExitCode;

use bytes::Bytes;
use clap::Parser;

use crate::cli::Arguments;
use crate::judge::{Judge, Judgement};

/// The name of standard input, among files.
const STANDARD_INPUT: &str = "-";

/// A file of this size or more is no request that was caught on the wire to be looked at.
const LONGEST: u64 = 1 << 30;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            let _ = writeln!(io::stderr(), "explain: {error}");
            ExitCode::from(2)
        }
    }
}

/// Whether all were accepted.
fn run(arguments: &Arguments) -> Result<bool, Box<dyn std::error::Error>> {
    let judge = Judge::new(arguments)?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let mut out = io::stdout().lock();
    let mut all_accepted = true;
    let shown = (arguments.protocol(), arguments.redact);
    let standard_input = [STANDARD_INPUT.into()];
    let files = if arguments.files.is_empty() { &standard_input } else { arguments.files.as_slice() };
    for file in files {
        let bytes = read(file).map_err(|error| format!("{}: {error}", report::visible(file)))?;
        let judgement = runtime.block_on(async {
            match raw::request(bytes).await {
                Ok(request) => judge.judge(&request).await,
                Err(why) => Judgement::no_request(why),
            }
        });
        all_accepted &= judgement.is_accepted();
        match arguments.json {
            true => report::json(&mut out, file, &judge, &judgement, shown)?,
            false => report::text(&mut out, file, &judge, &judgement, shown)?,
        }
    }
    out.flush()?;
    Ok(all_accepted)
}

fn read(file: &str) -> io::Result<Bytes> {
    let mut bytes = Vec::new();
    let read = match file {
        STANDARD_INPUT => io::stdin().lock().take(LONGEST).read_to_end(&mut bytes)?,
        path => fs::File::open(path)?.take(LONGEST).read_to_end(&mut bytes)?,
    };
    if read as u64 == LONGEST {
        return Err(io::Error::other("a gigabyte and more is no single request"));
    }
    Ok(bytes.into())
}
