//! `--self-test`: the whole gateway, met by a real client and by requests that must be refused.

mod chunked;
mod client;
mod federation;
mod raw;
mod refusals;
mod rights;
mod sessions;
mod sts;
mod web_identity;

use std::error::Error;
use std::fmt::Display;
use std::future::{self, Future};
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use credfed_core::keyring::{KeyRing, SharedKeyRing};
use credfed_core::session::{Revocation, SealedSessions};
use credfed_core::{AwsCredentials, CachedProvider, Clock, Secret, SystemClock};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::cli::Settings;
use crate::endpoint::Region;
use crate::gateway::{self, Callers};
use crate::identity::{Identity, LocalProvider};
use crate::keys::Key;
use crate::names::{BucketName, KeyPrefix};
use crate::rights::{Action, Buckets, Grant, Rights};
use crate::upstream::Upstream;
use crate::{roles, serve};

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
    /// Whose web identities the gateway believes.
    identity: Identity,
    /// What the gateway's own sessions are sealed with, and taken back by.
    sessions: SealedSessions,
    revocation: Revocation,
    /// The gateway's credential for the upstream.
    upstream: CachedProvider<AwsCredentials>,
}

const AUDIENCE: &str = "self-test.sts";
const TENANT: &str = "tenant";
const READER: &str = "reader";
const PARTNER: &str = "partner";
/// A user whom a trust names and nobody is any more.
const GONE: &str = "gone-user";

fn arn(role: &str) -> String {
    format!("arn:aws:iam::000000000000:role/{role}")
}

type BoxError = Box<dyn Error + Send + Sync>;
type Outcome = Result<(), BoxError>;

pub(crate) async fn run(settings: Settings) -> Result<ExitCode, Box<dyn Error>> {
    let provider = LocalProvider::start("gateway").await?;
    let upstream = match settings.upstream {
        Some(external) => Upstream::elsewhere(external, None)?,
        None => Upstream::inside(&settings.region, provider.identity()).await?,
    };
    let (owner, mut guest) = (Key::generate()?, Key::generate()?);
    let bucket = format!("credfed-self-test-{}", owner.access_key_id.to_ascii_lowercase());
    guest.rights = guest_rights(&bucket)?;
    let inbound =
        roles::parse(&roles_file(provider.identity().url(), &bucket, &owner)).map_err(|fault| fault.what)?;
    // Of an hour ago, so that there can be a session that is over.
    let ring = SharedKeyRing::new(KeyRing::generate(SystemClock.wall() - Duration::from_secs(3600))?);
    let sessions = SealedSessions::new("self-test", ring);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let bench = Bench {
        address: listener.local_addr()?,
        region: settings.region.clone(),
        bucket,
        owner: credentials(&owner),
        guest: credentials(&guest),
        identity: provider.identity().clone(),
        sessions: sessions.clone(),
        revocation: Revocation::new(),
        upstream: upstream.credentials.clone(),
    };
    let callers = Callers {
        keys: vec![owner, guest],
        sts: Some((inbound, sessions)),
        revocation: bench.revocation.clone(),
    };
    let service = gateway::service(&upstream, &settings.region, callers, None)?;
    let (stop, stopped) = oneshot::channel::<()>();
    let stopping = async move {
        let _ = stopped.await;
    };
    let serving = tokio::spawn(serve::serve(listener.into(), service, stopping, future::pending()));

    let mut report = Report::default();
    federation::check(&bench, &mut report).await?;
    client::check(&bench, &mut report).await?;
    refusals::check(&bench, &mut report).await?;
    chunked::check(&bench, &mut report).await?;
    rights::check(&bench, &mut report).await?;
    sts::check(&bench, &mut report).await?;
    web_identity::check(&bench, &mut report).await?;
    sessions::check(&bench, &mut report).await?;
    report.check("delete the bucket", client::delete_the_bucket(&bench)).await?;
    let _ = stop.send(());
    report.check("drain and stop", async { Ok(serving.await?) }).await?;
    Ok(report.finish()?)
}

/// Tenants with a folder each, and a role that some of the others may assume.
fn roles_file(issuer: &str, bucket: &str, owner: &Key) -> String {
    let owner = &owner.access_key_id;
    format!(
        r#"
[[issuer]]
url = "{issuer}"
audiences = ["{AUDIENCE}"]
algorithms = ["RS256"]
network = "loopback"

[[role]]
name = "{TENANT}"
max_session_seconds = 7200
[[role.trust]]
issuer = "{issuer}"
audiences = ["{AUDIENCE}"]
subjects = ["tenant-*"]
[[role.allow]]
bucket = "{bucket}"
prefix = "public/{{subject}}/"
actions = ["read", "write", "list", "delete"]

[[role]]
name = "{READER}"
max_session_seconds = 7200
[[role.trust]]
keys = ["{owner}", "{GONE}"]
roles = ["{TENANT}"]
[[role.allow]]
bucket = "{bucket}"
prefix = "public/"
actions = ["read"]

[[role]]
name = "{PARTNER}"
[[role.trust]]
keys = ["{owner}"]
external_id = "ticket-1234"
[[role.allow]]
bucket = "{bucket}"
actions = ["read"]
"#
    )
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
