//! An S3 gateway in front of any S3 server: callers' signatures are verified, their rights judged, and what is
//! allowed is signed anew with a credential that no caller holds.
//!
//! Read `gateway.rs` first: the layers in their order, and STS beside them. `policy.rs`, `needs.rs`, `rights.rs`,
//! `keys.rs`, `roles.rs` and `trusts.rs` say who may do what; `upstream.rs` and `identity.rs`, how the gateway gets
//! a credential without having one; `cloud.rs` is the cloud behind it when no upstream is named; `self_test/`
//! drives all of it.

mod answer;
mod background;
mod banner;
mod causes;
mod cli;
mod cloud;
mod config_file;
mod endpoint;
mod forward;
mod front;
mod gateway;
mod grants;
mod house;
mod identity;
mod journal;
mod keys;
mod linger;
mod names;
mod needs;
mod policy;
#[cfg(test)]
mod probe;
mod rights;
mod roles;
mod self_test;
mod serve;
mod store;
mod tls;
mod trusts;
mod upstream;
mod visitors;

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::causes::causes;
use crate::cli::{Arguments, Settings};
use crate::house::House;
use crate::serve::Port;
use crate::tls::Tls;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    journal::start();
    let settings = match Settings::parse(arguments, |name| std::env::var_os(name)) {
        Ok(settings) => settings,
        Err(error) => return complain(&error, 2),
    };
    let outcome = if settings.self_test { self_test::run(settings).await } else { run(settings).await };
    match outcome {
        Ok(code) => code,
        Err(error) => complain(&*error, 1),
    }
}

async fn run(mut settings: Settings) -> Result<ExitCode, Box<dyn Error>> {
    // First of all, so that no interruption leaves a folder behind.
    let (stop, hurry) = interrupts()?;
    let tls = settings.tls.as_ref().map(Tls::read).transpose()?;
    let is_tls = tls.is_some();
    let listener = TcpListener::bind(settings.listen)
        .await
        .map_err(|error| format!("cannot listen on {}: {}", settings.listen, why_not(&error)))?;
    let address = listener.local_addr()?;
    let mut house = House::build(&mut settings).await?;
    let (keys, roles) = (house.callers.keys.len(), house.callers.roles());
    let port = Port { listener, tls };
    let Some(serving) = house.open(port, &settings.region, stop, hurry).await? else {
        return Ok(ExitCode::SUCCESS);
    };
    let House { upstream, visitors, made, .. } = &house;
    if !is_tls && !address.ip().is_loopback() {
        tracing::warn!(%address, "other machines can reach this plain HTTP port: put TLS in front of it, or name a \
                                  certificate with --tls-cert and --tls-key");
    }
    tracing::info!(%address, %upstream, keys, roles, "the gateway listens; paste the lines below elsewhere");
    banner::print(io::stdout(), address, is_tls, &settings.region, visitors.as_ref(), made.as_ref())?;
    serving.await?;
    Ok(ExitCode::SUCCESS)
}

/// Why an address cannot be had, and what to do.
fn why_not(error: &io::Error) -> String {
    let advice = match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another program does, perhaps another gateway: take another port with --listen (0 is any that is free)"
        }
        io::ErrorKind::AddrNotAvailable => {
            "no interface of this machine has this address: 127.0.0.1 is for this machine alone, 0.0.0.0 is all of them"
        }
        io::ErrorKind::PermissionDenied => {
            "it takes more rights, as ports below 1024 do: --listen names another"
        }
        _ => return error.to_string(),
    };
    format!("{advice} ({error})")
}

/// Two futures: the first SIGINT or SIGTERM, and the second one.
fn interrupts() -> io::Result<(impl Future<Output = ()>, impl Future<Output = ()>)> {
    let (first, stop) = oneshot::channel::<()>();
    let (second, hurry) = oneshot::channel::<()>();
    let mut signals = Signals::new()?;
    tokio::spawn(async move {
        signals.next().await;
        let _ = first.send(());
        signals.next().await;
        let _ = second.send(());
    });
    let ended = |receiver: oneshot::Receiver<()>| async move {
        let _ = receiver.await;
    };
    Ok((ended(stop), ended(hurry)))
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        let _ = tokio::signal::ctrl_c().await;
    }
}

fn complain(error: &(dyn Error + 'static), code: u8) -> ExitCode {
    let _ = writeln!(io::stderr(), "gateway: {}", causes(error));
    ExitCode::from(code)
}
