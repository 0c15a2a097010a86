//! object_store with credentials that nobody holds for long: an assertion of our own issuer is exchanged at an STS
//! (AWS's, Ceph's, or the gateway's own), and one cached provider keeps what comes back fresh.
//!
//! It puts, gets, lists and deletes one object, says what came of each, and ends with 1 if anything failed. The
//! documents of the issuer have to be served elsewhere, from the same state (`gateway --issuer … --issuer-state …`).

use std::error::Error;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use credfed_core::aws::sts::{
    AssumeRole, AssumeRoleRequest, AssumeRoleWithWebIdentity, AssumeRoleWithWebIdentityRequest, StsEndpoint,
};
use credfed_core::oidc::{AssertionClaims, Issuer, IssuerStateFile, Network};
use credfed_core::transport::HttpTransport;
use credfed_core::{AwsCredentials, CachedProvider};
use futures::TryStreamExt;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

/// Puts, gets, lists and deletes an object as a role that is assumed with a web identity of our own.
#[derive(Debug, Parser)]
#[command(name = "object_store_sts", version)]
struct Arguments {
    /// The S3 endpoint, path style
    #[arg(long, value_name = "URL")]
    endpoint: String,
    /// The STS endpoint
    #[arg(long, value_name = "URL")]
    sts: String,
    /// The role to assume with the web identity
    #[arg(long, value_name = "ARN")]
    role_arn: String,
    /// A role to assume after that, with a signature of the first one's session
    #[arg(long, value_name = "ARN")]
    chain_role_arn: Option<String>,
    /// The issuer's URL, as the STS knows it
    #[arg(long, value_name = "URL")]
    issuer: String,
    /// The issuer's keys, as the program `issuer` makes them
    #[arg(long, value_name = "FILE")]
    issuer_state: PathBuf,
    /// The subject of the web identity
    #[arg(long, value_name = "NAME", default_value = "gateway")]
    subject: String,
    /// The audience of the web identity
    #[arg(long, value_name = "AUDIENCE", default_value = "sts.amazonaws.com")]
    audience: String,
    /// A bucket that is there
    #[arg(long, value_name = "NAME")]
    bucket: String,
    /// The region in signatures
    #[arg(long, value_name = "REGION", default_value = "us-east-1")]
    region: String,
}

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match store(&Arguments::parse()) {
        Ok(store) => check(&store).await,
        Err(error) => Err(error),
    };
    match outcome {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(io::stderr(), "object_store_sts: {error}");
            ExitCode::FAILURE
        }
    }
}

fn store(arguments: &Arguments) -> Result<AmazonS3, Box<dyn Error>> {
    let provider = provider(arguments)?;
    Ok(AmazonS3Builder::new()
        .with_endpoint(&arguments.endpoint)
        .with_allow_http(arguments.endpoint.starts_with("http://"))
        .with_region(&arguments.region)
        .with_bucket_name(&arguments.bucket)
        .with_credentials(credfed_object_store::aws(provider))
        .build()?)
}

/// Issuer, exchange, cache: all there is to it.
fn provider(arguments: &Arguments) -> Result<CachedProvider<AwsCredentials>, Box<dyn Error>> {
    let network = if arguments.issuer.starts_with("http://") { Network::Loopback } else { Network::Public };
    let issuer = Issuer::builder(&arguments.issuer)
        .network(network)
        .state(IssuerStateFile::new(&arguments.issuer_state).read()?)
        .build()?;
    let assertions = issuer.assertions(AssertionClaims::new(&arguments.subject, &arguments.audience));

    let endpoint = StsEndpoint::custom(&arguments.sts, &arguments.region)?;
    let transport = HttpTransport::client().build()?;
    let request = AssumeRoleWithWebIdentityRequest::builder(&arguments.role_arn, "object-store").build()?;
    let session = CachedProvider::new(AssumeRoleWithWebIdentity::new(
        request,
        endpoint.clone(),
        assertions,
        transport.clone(),
    ));
    let Some(role) = &arguments.chain_role_arn else { return Ok(session) };
    let request = AssumeRoleRequest::builder(role, "object-store").build()?;
    Ok(CachedProvider::new(AssumeRole::new(request, endpoint, session, transport)?))
}

/// The number of checks that failed.
async fn check(store: &AmazonS3) -> Result<usize, Box<dyn Error>> {
    let key = Path::from("object-store-sts/note");
    let (mut passed, mut failed) = (0_usize, 0_usize);
    let mut out = io::stdout();
    let mut report = |name: &str, outcome: Result<(), Box<dyn Error>>| match outcome {
        Ok(()) => {
            passed += 1;
            writeln!(out, "ok      {name}")
        }
        Err(error) => {
            failed += 1;
            writeln!(out, "FAILED  {name}: {error}")
        }
    };
    report("put", store.put(&key, "a note".into()).await.map(drop).map_err(Into::into))?;
    report("get", get(store, &key).await)?;
    report("list", list(store, &key).await)?;
    report("delete", store.delete(&key).await.map_err(Into::into))?;
    writeln!(out, "{passed} passed, {failed} failed")?;
    Ok(failed)
}

async fn get(store: &AmazonS3, key: &Path) -> Result<(), Box<dyn Error>> {
    let body = store.get(key).await?.bytes().await?;
    if body == "a note" { Ok(()) } else { Err("another object came back".into()) }
}

async fn list(store: &AmazonS3, key: &Path) -> Result<(), Box<dyn Error>> {
    let folder = Path::from("object-store-sts");
    let found: Vec<_> = store.list(Some(&folder)).map_ok(|object| object.location).try_collect().await?;
    if found.contains(key) { Ok(()) } else { Err("what was put is not listed".into()) }
}
