//! Callers of the gateway that is started without any option: a role that may do everything, and a web identity for
//! it in a file, which is kept fresh while the gateway runs. Any AWS SDK makes sessions of the two by itself.

use std::collections::HashMap;
use std::error::Error;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use credfed_core::oidc::{IssuerAssertions, TrustedIssuer, TrustedIssuers};
use credfed_core::runtime::{Runtime, TokioRuntime};
use credfed_core::{Provider, Secret};
use credfed_tower::sts::{Account, IssuerFacts, Role, RoleTable, Trust};
use tempfile::{NamedTempFile, TempDir};

use crate::background::{self, Background};
use crate::identity::{Identity, network};
use crate::rights::RoleRights;
use crate::roles::Inbound;

const ACCOUNT: &str = "000000000000";
const ROLE: &str = "visitor";
const SUBJECT: &str = "visitor";
const AUDIENCE: &str = "sts.gateway";

/// An assertion lives for ten minutes; nobody ever reads one with less than half of that left.
const FRESH_FOR: Duration = Duration::from_secs(240);

/// A web identity in a file, for as long as this lives.
#[derive(Debug)]
pub(crate) struct Visitors {
    pub(crate) token_file: PathBuf,
    pub(crate) role_arn: String,
    _refreshing: Background,
    _folder: TempDir,
}

impl Visitors {
    pub(crate) async fn start(identity: &Identity) -> Result<Self, Box<dyn Error>> {
        let folder = background::folder("credfed-visitor-")?;
        let token_file = folder.path().join("web-identity-token");
        let assertions = identity.of(SUBJECT, AUDIENCE);
        write(&token_file, &assertions.provide().await?.into_value())?;
        let refreshing = Background::spawn(refresh(token_file.clone(), assertions));
        let role_arn = Account::new(ACCOUNT)?.role_arn(ROLE);
        Ok(Self { token_file, role_arn, _refreshing: refreshing, _folder: folder })
    }
}

/// What the gateway has to know of its visitors.
pub(crate) fn inbound(identity: &Identity) -> Result<Inbound, Box<dyn Error>> {
    let account = Account::new(ACCOUNT)?;
    let issuer =
        TrustedIssuer::builder(identity.url()).audience(AUDIENCE).network(network(identity.url())).build()?;
    let issuers = TrustedIssuers::new([issuer])?;
    let trust = Trust::web_identity(identity.url()).audience(AUDIENCE).subject(SUBJECT);
    let role = Role::new(&account, ROLE)?.trust(trust);
    let rights = HashMap::from([(role.arn().to_owned(), RoleRights::all())]);
    let roles = RoleTable::new([role], &IssuerFacts::of(&issuers))?;
    Ok(Inbound::new(account, issuers, roles, rights))
}

async fn refresh(token_file: PathBuf, assertions: IssuerAssertions) {
    loop {
        TokioRuntime.sleep(FRESH_FOR).await;
        let written = match assertions.provide().await {
            Ok(assertion) => write(&token_file, assertion.value()),
            Err(error) => Err(io::Error::other(error)),
        };
        if let Err(error) = written {
            tracing::warn!(%error, "the web identity for visitors was not renewed");
        }
    }
}

/// A reader sees the old one or the new one, whole; readable for this user alone.
fn write(token_file: &Path, assertion: &Secret) -> io::Result<()> {
    let folder = token_file.parent().unwrap_or(Path::new("."));
    let mut file = NamedTempFile::new_in(folder)?;
    file.write_all(assertion.expose().as_bytes())?;
    file.persist(token_file)?;
    Ok(())
}
