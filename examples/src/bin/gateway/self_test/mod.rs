//! `--self-test`: the whole gateway, met by a real client and by requests that must be refused.

mod client;
mod raw;
mod refusals;
mod rights;

use std::error::Error;
use std::fmt::Display;
use std::future::{self, Future};
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;

use credfed_core::{AwsCredentials, Secret};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::cli::Settings;
use crate::endpoint::Region;
use crate::gateway::{self, Upstream};
use crate::keys::Key;
use crate::names::{BucketName, KeyPrefix};
use crate::rights::{Action, Buckets, Grant, Rights};
use crate::serve;

/// What every check works with.
struct Bench {
    address: SocketAddr,
    region: Region,
    /// Made for this run.
    bucket: String,
    /// May do everything.
    owner: AwsCredentials,
    /// May read, write and list below `public/`, and nothing else.
    guest: AwsCredentials,
}

type Outcome = Result<(), Box<dyn Error + Send + Sync>>;

pub(crate) async fn run(settings: Settings) -> Result<ExitCode, Box<dyn Error>> {
    let upstream = Upstream::start(settings.upstream, &settings.region).await?;
    let (owner, mut guest) = (Key::generate()?, Key::generate()?);
    let bucket = format!("credfed-self-test-{}", owner.access_key_id.to_ascii_lowercase());
    guest.rights = guest_rights(&bucket)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let bench = Bench {
        address: listener.local_addr()?,
        region: settings.region.clone(),
        bucket,
        owner: credentials(&owner),
        guest: credentials(&guest),
    };
    let service = gateway::service(&upstream, &settings.region, vec![owner, guest])?;
    let (stop, stopped) = oneshot::channel::<()>();
    let stopping = async move {
        let _ = stopped.await;
    };
    let serving = tokio::spawn(serve::serve(listener, service, stopping, future::pending()));

    let mut report = Report::default();
    client::check(&bench, &mut report).await?;
    refusals::check(&bench, &mut report).await?;
    rights::check(&bench, &mut report).await?;
    report.check("delete the bucket", client::delete_the_bucket(&bench)).await?;
    let _ = stop.send(());
    report.check("drain and stop", async { Ok(serving.await?) }).await?;
    Ok(report.finish()?)
}

fn guest_rights(bucket: &str) -> Result<Rights, &'static str> {
    let bucket = BucketName::parse(bucket).ok_or("the bucket's name is not valid")?;
    let grant = Grant {
        buckets: Buckets::Named(bucket),
        prefix: KeyPrefix::parse("public/".to_owned()).ok_or("the prefix is not valid")?,
        actions: vec![Action::Read, Action::Write, Action::List],
    };
    Ok(Rights { list_buckets: false, grants: vec![grant] })
}

fn credentials(key: &Key) -> AwsCredentials {
    AwsCredentials::new(key.access_key_id.as_str(), Secret::new(key.secret.expose().to_owned()), None)
}

/// Says what came of each check, as it comes.
#[derive(Default)]
struct Report {
    passed: usize,
    failed: usize,
}

impl Report {
    async fn check(&mut self, name: &str, check: impl Future<Output = Outcome>) -> io::Result<()> {
        match check.await {
            Ok(()) => {
                self.passed += 1;
                writeln!(io::stdout(), "ok      {name}")
            }
            Err(why) => {
                self.failed += 1;
                writeln!(io::stdout(), "FAILED  {name}: {why}")
            }
        }
    }

    fn finish(&self) -> io::Result<ExitCode> {
        writeln!(io::stdout(), "{} passed, {} failed", self.passed, self.failed)?;
        Ok(if self.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn expect(holds: bool, otherwise: impl Display) -> Outcome {
    if holds { Ok(()) } else { Err(otherwise.to_string().into()) }
}
