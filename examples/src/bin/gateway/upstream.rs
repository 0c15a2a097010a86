//! Where requests go, and as whom: with a key, or with a session of a role that is assumed with a web identity.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use credfed_core::aws::EnvProvider;
use credfed_core::aws::sts::{AssumeRoleWithWebIdentity, AssumeRoleWithWebIdentityRequest, StsEndpoint};
use credfed_core::runtime::{Runtime, TokioRuntime};
use credfed_core::transport::HttpTransport;
use credfed_core::{AwsCredentials, CachedProvider, ErrorKind, ProviderError, StaticProvider};

use crate::cli::{ExternalUpstream, RoleSettings, UpstreamCredentials};
use crate::cloud::Cloud;
use crate::endpoint::{Endpoint, Region};
use crate::identity::Identity;

/// Where requests go, and as whom.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) endpoint: Endpoint,
    pub(crate) region: Region,
    pub(crate) credentials: CachedProvider<AwsCredentials>,
    is_federated: bool,
    /// Runs as long as this lives.
    cloud: Option<Cloud>,
}

impl Upstream {
    /// A server that runs elsewhere. `identity` is whom a role is assumed as.
    pub(crate) fn elsewhere(
        external: ExternalUpstream,
        identity: Option<&Identity>,
    ) -> Result<Self, Box<dyn Error>> {
        let ExternalUpstream { endpoint, region, credentials } = external;
        let is_federated = matches!(credentials, UpstreamCredentials::Federated(_));
        let credentials = match (credentials, identity) {
            (UpstreamCredentials::Given(credentials), _) => {
                CachedProvider::new(StaticProvider::new(credentials))
            }
            (UpstreamCredentials::Environment, _) => CachedProvider::new(EnvProvider::new()),
            (UpstreamCredentials::Federated(role), Some(identity)) => federated(&role, &region, identity)?,
            (UpstreamCredentials::Federated(_), None) => {
                return Err("--upstream-sts needs --issuer, whom the role trusts".into());
            }
        };
        Ok(Self { endpoint, region, credentials, is_federated, cloud: None })
    }

    /// The cloud that is inside, where the gateway has no key and assumes a role like anybody else.
    pub(crate) async fn inside(region: &Region, identity: &Identity) -> Result<Self, Box<dyn Error>> {
        let cloud = Cloud::start(region, identity).await?;
        let credentials = federated(&cloud.role(), region, identity)?;
        let endpoint = cloud.endpoint().clone();
        let region = region.clone();
        Ok(Self { endpoint, region, credentials, is_federated: true, cloud: Some(cloud) })
    }

    /// Finds out now, and not with the first request, whether there is a credential. What may be better in a moment
    /// is only warned of. A role is asked for again for some seconds when it is refused: whoever gives it out may not
    /// have read the issuer's newest keys yet, or may not have reached this gateway, which has only just begun to
    /// serve them.
    pub(crate) async fn check(&self) -> Result<(), ProviderError> {
        const STEP: Duration = Duration::from_millis(500);
        let mut steps = if self.is_federated { 20 } else { 0 };
        loop {
            let error = match self.credentials.get().await {
                Ok(_) => return Ok(()),
                Err(error) => error,
            };
            if error.is_transient() {
                tracing::warn!(%error, "no credential for the upstream yet; it is asked for again with each request");
                return Ok(());
            }
            if steps == 0 || error.kind() != ErrorKind::Rejected {
                return Err(error);
            }
            if steps == 20 {
                tracing::warn!(%error, "the role was refused; trying for ten seconds");
            }
            steps -= 1;
            TokioRuntime.sleep(STEP).await;
        }
    }
}

/// What to do about a credential that cannot be had.
pub(crate) fn advice(error: &ProviderError) -> String {
    let advice = match error.kind() {
        ErrorKind::NotConfigured => {
            "--upstream needs --upstream-access-key, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the \
             environment, or --upstream-sts with --role-arn and --issuer"
        }
        ErrorKind::Rejected => {
            "the upstream gives no credential: does the role trust --issuer, with --issuer-subject and \
             --upstream-audience?"
        }
        _ => "there is no credential for the upstream",
    };
    format!("{advice}: {error}")
}

fn federated(
    role: &RoleSettings,
    region: &Region,
    identity: &Identity,
) -> Result<CachedProvider<AwsCredentials>, ProviderError> {
    let mut request = AssumeRoleWithWebIdentityRequest::builder(&role.role_arn, &role.session_name);
    if let Some(seconds) = role.session_seconds {
        request = request.duration(Duration::from_secs(seconds.into()));
    }
    let endpoint = StsEndpoint::custom(&role.sts.to_string(), region.as_str())?;
    let assertions = identity.of_the_gateway(&role.audience);
    let transport = HttpTransport::client().build()?;
    Ok(CachedProvider::new(AssumeRoleWithWebIdentity::new(request.build()?, endpoint, assertions, transport)))
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cloud {
            Some(_) => write!(f, "{}, a cloud inside, over a temporary folder", self.endpoint),
            None => self.endpoint.fmt(f),
        }
    }
}
