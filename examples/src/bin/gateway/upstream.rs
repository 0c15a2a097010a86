//! Where requests go, and as whom: with a key, or with a session of a role that is assumed with a web identity.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use credfed_core::aws::EnvProvider;
use credfed_core::aws::sts::{AssumeRoleWithWebIdentity, AssumeRoleWithWebIdentityRequest, StsEndpoint};
use credfed_core::runtime::Runtime;
use credfed_core::transport::HttpTransport;
use credfed_core::{AwsCredentials, CachedProvider, ErrorKind, ProviderError, StaticProvider};

use crate::causes::causes;
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
    pub(crate) async fn check(&self, runtime: &dyn Runtime) -> Result<(), ProviderError> {
        const STEP: Duration = Duration::from_millis(500);
        let mut steps = if self.is_federated { 20 } else { 0 };
        loop {
            let error = match self.credentials.get().await {
                Ok(_) => return Ok(()),
                Err(error) => error,
            };
            if error.is_transient() {
                tracing::warn!(error = causes(&error), "{}", self.not_yet());
                return Ok(());
            }
            if steps == 0 || error.kind() != ErrorKind::Rejected {
                return Err(error);
            }
            if steps == 20 {
                tracing::warn!(%error, "the role was refused; trying for ten seconds");
            }
            steps -= 1;
            runtime.sleep(STEP).await;
        }
    }

    fn not_yet(&self) -> &'static str {
        if self.is_federated {
            "no credential for the upstream yet: does --upstream-sts answer, and does it reach --issuer? It is asked \
             again with the requests"
        } else {
            "no credential for the upstream yet; it is asked for again with the requests"
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
    format!("{advice}: {}", causes(error))
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

#[cfg(test)]
mod tests {
    use std::future::ready;
    use std::pin::pin;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::UNIX_EPOCH;

    use credfed_core::runtime::VirtualRuntime;
    use credfed_core::{Expiring, Secret, provider_fn};
    use http::Request;

    use super::*;
    use crate::gateway::Callers;
    use crate::identity::LocalProvider;
    use crate::keys::Key;
    use crate::probe::{self, Served};

    fn region() -> Region {
        Region::parse("eu-west-1", "--region").unwrap()
    }

    fn at(address: &str) -> Endpoint {
        Endpoint::parse(address, "--upstream").unwrap()
    }

    fn elsewhere(endpoint: Endpoint, credentials: UpstreamCredentials) -> ExternalUpstream {
        ExternalUpstream { endpoint, region: region(), credentials }
    }

    /// What the check says of a source that fails so before it has a credential, and after how much time.
    fn checked(is_federated: bool, fails: u32, kind: ErrorKind) -> (Result<(), ErrorKind>, Duration) {
        let runtime = VirtualRuntime::new(UNIX_EPOCH);
        let asked = AtomicU32::new(0);
        let source = provider_fn(credfed_core::Identity::of("scripted").finish(), move || {
            let nth = asked.fetch_add(1, Ordering::Relaxed);
            ready(if nth < fails {
                Err(ProviderError::new(kind, "not now"))
            } else {
                Ok(Expiring::never(AwsCredentials::new("AKIAEXAMPLE", Secret::new("secret"), None)))
            })
        });
        let credentials = CachedProvider::builder(source).runtime(runtime.clone()).build();
        let endpoint = at("http://127.0.0.1:9");
        let upstream = Upstream { endpoint, region: region(), credentials, is_federated, cloud: None };
        let mut check = pin!(upstream.check(&runtime));
        for waited in 0..=120 {
            match runtime.block_on(check.as_mut()) {
                Ok(checked) => {
                    return (checked.map_err(|error| error.kind()), Duration::from_millis(waited * 100));
                }
                Err(_) => runtime.advance(Duration::from_millis(100)),
            }
        }
        panic!("the check does not end");
    }

    #[test]
    fn what_may_be_better_in_a_moment_does_not_end_the_start() {
        for is_federated in [false, true] {
            assert_eq!(checked(is_federated, 0, ErrorKind::Transient), (Ok(()), Duration::ZERO));
            for kind in [ErrorKind::Transient, ErrorKind::Throttled] {
                assert_eq!(checked(is_federated, u32::MAX, kind), (Ok(()), Duration::ZERO), "{kind:?}");
            }
        }
    }

    #[test]
    fn a_role_that_is_refused_is_asked_for_again_for_ten_seconds() {
        let (outcome, waited) = checked(true, 1, ErrorKind::Rejected);
        assert!(outcome.is_ok() && waited > Duration::ZERO && waited < Duration::from_secs(10), "{waited:?}");
        let refused = checked(true, u32::MAX, ErrorKind::Rejected);
        assert_eq!(refused, (Err(ErrorKind::Rejected), Duration::from_secs(10)));
    }

    #[test]
    fn what_cannot_work_ends_the_start_at_once() {
        assert_eq!(checked(false, 1, ErrorKind::Rejected), (Err(ErrorKind::Rejected), Duration::ZERO));
        for is_federated in [false, true] {
            for kind in [ErrorKind::Misconfigured, ErrorKind::NotConfigured] {
                assert_eq!(checked(is_federated, 1, kind), (Err(kind), Duration::ZERO));
            }
        }
    }

    #[test]
    fn advice_says_what_to_set_and_why() {
        let error = ProviderError::new(ErrorKind::NotConfigured, "nothing is set");
        let says = advice(&error);
        assert!(says.contains("--upstream-access-key") && says.ends_with("nothing is set"), "{says}");
        assert!(advice(&ProviderError::rejected("no")).contains("--issuer-subject"));
    }

    #[tokio::test]
    async fn a_role_takes_an_identity() {
        let role = RoleSettings {
            sts: at("http://127.0.0.1:9"),
            role_arn: "arn:aws:iam::123456789012:role/gateway".to_owned(),
            session_name: "gateway".to_owned(),
            session_seconds: None,
            audience: "sts".to_owned(),
        };
        let federated = elsewhere(at("http://127.0.0.1:9"), UpstreamCredentials::Federated(role));
        let error = Upstream::elsewhere(federated, None).unwrap_err().to_string();
        assert!(error.contains("--issuer"), "{error}");
    }

    /// A gateway in front of it, and a key that may do everything.
    fn gateway(upstream: &Upstream) -> (Served, AwsCredentials) {
        let key = Key::generate().unwrap();
        let signer = AwsCredentials::new(key.access_key_id.as_str(), key.secret.clone(), None);
        let callers = Callers { keys: vec![key], ..Callers::default() };
        let service = crate::gateway::service(upstream, &region(), callers, None).unwrap();
        (Served::start(service), signer)
    }

    #[tokio::test]
    async fn an_sts_that_is_away_is_the_gateways_trouble_and_not_the_callers() {
        let provider = LocalProvider::start("gateway").await.unwrap();
        let cloud = Cloud::start(&region(), provider.identity()).await.unwrap();
        let mut role = cloud.role();
        // Nobody listens there.
        role.sts = at("http://127.0.0.1:9");
        let external = elsewhere(cloud.endpoint().clone(), UpstreamCredentials::Federated(role));
        let upstream = Upstream::elsewhere(external, Some(provider.identity())).unwrap();
        assert!(upstream.check(&credfed_core::runtime::TokioRuntime).await.is_ok(), "it may come back");

        let (served, signer) = gateway(&upstream);
        let (status, body) = probe::ask(served.endpoint(), &region(), signer, Request::get("/")).await;
        assert!(status == 503 && body.contains("<Code>ServiceUnavailable</Code>"), "{status} {body}");
        // Who has no key does not learn even that.
        let nobody = AwsCredentials::new("AKIANOBODY", Secret::new("nobody's secret"), None);
        let (status, body) = probe::ask(served.endpoint(), &region(), nobody, Request::get("/")).await;
        assert!(status == 403 && body.contains("<Code>InvalidAccessKeyId</Code>"), "{status} {body}");
    }

    #[tokio::test]
    async fn a_session_that_the_upstream_refuses_is_the_gateways_fault_and_not_the_callers() {
        let provider = LocalProvider::start("gateway").await.unwrap();
        let gives = Cloud::start(&region(), provider.identity()).await.unwrap();
        let refuses = Cloud::start(&region(), provider.identity()).await.unwrap();
        let role = UpstreamCredentials::Federated(gives.role());
        let external = elsewhere(refuses.endpoint().clone(), role);
        let upstream = Upstream::elsewhere(external, Some(provider.identity())).unwrap();
        let (served, signer) = gateway(&upstream);
        for _ in 0..2 {
            let (status, body) =
                probe::ask(served.endpoint(), &region(), signer.clone(), Request::get("/")).await;
            assert!(status == 502 && body.contains("<Code>BadGateway</Code>"), "{status} {body}");
            assert!(!body.contains("InvalidToken") && !body.contains("cf1."), "{body}");
        }
    }

    #[tokio::test]
    async fn the_cloud_inside_takes_the_session_that_it_gives() {
        let provider = LocalProvider::start("gateway").await.unwrap();
        let upstream = Upstream::inside(&region(), provider.identity()).await.unwrap();
        upstream.check(&credfed_core::runtime::TokioRuntime).await.unwrap();
        let (served, signer) = gateway(&upstream);
        let (status, body) = probe::ask(served.endpoint(), &region(), signer, Request::get("/")).await;
        assert!(status == 200 && body.contains("ListAllMyBucketsResult"), "{status} {body}");
    }
}
