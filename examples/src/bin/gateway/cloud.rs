//! The upstream for when there is none: a cloud on a loopback port of its own. Its STS trusts the gateway's OpenID
//! provider and gives out sessions of one role; its S3 takes those sessions and nothing else. Behind that stands an S3
//! server of other people's making (s3s with s3s-fs) with its own signature check on: what credfed signs, a stranger
//! verifies.

use std::error::Error;
use std::io;
use std::net::Ipv4Addr;

use credfed_core::keyring::{KeyRing, SharedKeyRing};
use credfed_core::oidc::{TrustedIssuer, TrustedIssuers};
use credfed_core::session::SealedSessions;
use credfed_core::{AwsCredentials, CachedProvider, Clock, Secret, StaticProvider, SystemClock};
use credfed_sigv4_verify::{Profile, Verifier};
use credfed_tower::sign::SignError;
use credfed_tower::sts::{Account, InvalidName, IssuerFacts, Role, RoleTable, StsService, Trust};
use credfed_tower::verify::AnswerBody;
use credfed_tower::{
    AccessRequest, ByShape, Denied, Principal, SealedSessionResolver, SignSigV4Layer, StripCredentials,
    VerifySigV4Layer,
};
use http::{Response, StatusCode};
use s3s::HttpError;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tower::{ServiceBuilder, ServiceExt, service_fn};

use crate::background::{self, Background};
use crate::cli::RoleSettings;
use crate::endpoint::{Endpoint, Region};
use crate::front::Front;
use crate::identity::{Identity, network};
use crate::keys::Key;
use crate::serve::{self, Serves};
use crate::store::Store;

const ACCOUNT: &str = "111122223333";
const ROLE: &str = "gateway";
const SUBJECT: &str = "gateway";
const AUDIENCE: &str = "cloud.internal";

/// Runs until it is dropped; its folder goes with it.
#[derive(Debug)]
pub(crate) struct Cloud {
    endpoint: Endpoint,
    role_arn: String,
    _serving: Background,
    _folder: TempDir,
}

impl Cloud {
    /// Starts it. Whoever holds an assertion of `identity` about the gateway may assume its one role.
    pub(crate) async fn start(region: &Region, identity: &Identity) -> Result<Self, Box<dyn Error>> {
        Self::start_with(region, identity, &[ROLE]).await
    }

    /// With these roles, one as easy to assume as another; S3 takes sessions of [`ROLE`] alone.
    async fn start_with(
        region: &Region,
        identity: &Identity,
        names: &[&str],
    ) -> Result<Self, Box<dyn Error>> {
        let folder = background::folder("credfed-gateway-")?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let endpoint = Endpoint::local(address)?;

        let account = Account::new(ACCOUNT)?;
        let trust = Trust::web_identity(identity.url()).audience(AUDIENCE).subject(SUBJECT);
        let role = |name: &&str| Ok(Role::new(&account, name)?.trust(trust.clone()));
        let roles = names.iter().map(role).collect::<Result<Vec<_>, InvalidName>>()?;
        let role_arn = account.role_arn(ROLE);
        let issuer = TrustedIssuer::builder(identity.url())
            .audience(AUDIENCE)
            .network(network(identity.url()))
            .build()?;
        let issuers = TrustedIssuers::new([issuer])?;
        let roles = RoleTable::new(roles, &IssuerFacts::of(&issuers))?;

        // Its ring lives as long as it does, and so do the sessions that it gives out.
        let ring = SharedKeyRing::new(KeyRing::generate(SystemClock.wall())?);
        let sessions = SealedSessions::new(&endpoint.to_string(), ring);
        let keys = ByShape::<&str>::new().sealed(SealedSessionResolver::new(sessions.clone()));
        let sts =
            StsService::builder(account, sessions.clone(), keys).issuers(issuers).roles(roles).build()?;

        let s3 = s3(&folder, &endpoint, region, &sessions, role_arn.clone())?;
        let front = Front { discovery: None, sts: Some(sts), s3 };
        let serving = Background::spawn(serve::until_dropped(listener, front));
        Ok(Self { endpoint, role_arn, _serving: serving, _folder: folder })
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// How the gateway gets in.
    pub(crate) fn role(&self) -> RoleSettings {
        RoleSettings {
            sts: self.endpoint.clone(),
            role_arn: self.role_arn.clone(),
            session_name: "credfed-gateway".to_owned(),
            session_seconds: None,
            audience: AUDIENCE.to_owned(),
        }
    }
}

/// Sessions of the role may do everything; nobody else may do anything.
fn s3(
    folder: &TempDir,
    endpoint: &Endpoint,
    region: &Region,
    sessions: &SealedSessions,
    role_arn: String,
) -> Result<impl Serves, Box<dyn Error>> {
    let verifier = Verifier::builder().profile(Profile::S3).region(region.as_str()).build()?;
    let keys = ByShape::<()>::new().sealed(SealedSessionResolver::new(sessions.clone()));
    let may = move |request: &AccessRequest<'_, Principal<()>>| match request.claims().as_session() {
        Some(session) if session.claims().role() == Some(&role_arn) => Ok(()),
        _ => Err(Denied::new("not a session of the role")),
    };
    let (store, key) = store(folder)?;
    let key = CachedProvider::new(StaticProvider::new(key));
    let sign = SignSigV4Layer::new(key, region.as_str(), "s3").upstream(&endpoint.uri()?)?;
    let stack = ServiceBuilder::new()
        .layer(VerifySigV4Layer::new(verifier, keys, may))
        .layer(StripCredentials::new())
        .layer(sign)
        .service(store);
    Ok(service_fn(move |request| {
        let answer = stack.clone().oneshot(request);
        async move { Ok(answer.await.unwrap_or_else(|error| broken(&error))) }
    }))
}

/// The store, and the key that nobody but the layer before it ever learns.
fn store(folder: &TempDir) -> io::Result<(S3Service, AwsCredentials)> {
    let key = Key::generate().map_err(io::Error::other)?;
    let files = Store::new(folder.path()).map_err(|error| io::Error::other(format!("{error:?}")))?;
    let mut service = S3ServiceBuilder::new(files);
    service.set_auth(SimpleAuth::from_single(key.access_key_id.as_str(), key.secret.expose()));
    let secret = Secret::new(key.secret.expose().to_owned());
    Ok((service.build(), AwsCredentials::new(key.access_key_id, secret, None)))
}

fn broken<B>(error: &SignError<HttpError>) -> Response<AnswerBody<B>> {
    tracing::error!(%error, "the store inside does not answer");
    let mut response = Response::new(AnswerBody::default());
    *response.status_mut() = StatusCode::BAD_GATEWAY;
    response
}

#[cfg(test)]
mod tests {
    use credfed_core::Provider;
    use credfed_core::aws::sts::{AssumeRoleWithWebIdentity, AssumeRoleWithWebIdentityRequest, StsEndpoint};
    use credfed_core::transport::HttpTransport;
    use http::Request;

    use super::*;
    use crate::identity::LocalProvider;
    use crate::probe;

    const BYSTANDER: &str = "bystander";

    struct Stand {
        cloud: Cloud,
        provider: LocalProvider,
        region: Region,
    }

    impl Stand {
        async fn start() -> Self {
            let region = Region::parse("eu-west-1", "--region").unwrap();
            let provider = LocalProvider::start(SUBJECT).await.unwrap();
            let cloud = Cloud::start_with(&region, provider.identity(), &[ROLE, BYSTANDER]).await.unwrap();
            Self { cloud, provider, region }
        }

        /// A session of a role, for a web identity.
        async fn session(&self, role: &str, subject: &str, audience: &str) -> Result<AwsCredentials, String> {
            let arn = Account::new(ACCOUNT).unwrap().role_arn(role);
            let request = AssumeRoleWithWebIdentityRequest::builder(&arn, "test").build().unwrap();
            let sts = StsEndpoint::custom(&self.cloud.endpoint.to_string(), self.region.as_str()).unwrap();
            let assertions = self.provider.identity().of(subject, audience);
            let transport = HttpTransport::client().build().unwrap();
            let exchange = AssumeRoleWithWebIdentity::new(request, sts, assertions, transport);
            exchange.provide().await.map(|session| session.into_value()).map_err(|error| error.to_string())
        }

        /// What S3 says to a request for the list of buckets, and to one that would make a bucket.
        async fn list_and_create(&self, signer: AwsCredentials) -> [(u16, String); 2] {
            let ask = |request| probe::ask(&self.cloud.endpoint, &self.region, signer.clone(), request);
            [ask(Request::get("/")).await, ask(Request::put("/a-bucket")).await]
        }
    }

    #[tokio::test]
    async fn a_session_of_the_role_may_do_everything() {
        let stand = Stand::start().await;
        let session = stand.session(ROLE, SUBJECT, AUDIENCE).await.unwrap();
        let [listed, created] = stand.list_and_create(session).await;
        assert_eq!((listed.0, created.0), (200, 200), "{listed:?} {created:?}");
    }

    #[tokio::test]
    async fn the_store_has_a_key_beside_those_below_it_and_keeps_a_bucket_that_is_not_empty() {
        let stand = Stand::start().await;
        let session = stand.session(ROLE, SUBJECT, AUDIENCE).await.unwrap();
        let ask = |request| probe::ask(&stand.cloud.endpoint, &stand.region, session.clone(), request);
        for path in ["/a-bucket", "/a-bucket/a", "/a-bucket/a/b", "/a-bucket/a//b", "/a-bucket/a%20%2B/"] {
            let (status, body) = ask(Request::put(path)).await;
            assert_eq!(status, 200, "{path}: {body}");
        }
        let (_, listed) = ask(Request::get("/a-bucket?list-type=2&delimiter=%2F&encoding-type=url")).await;
        for shown in ["<Key>a</Key>", "<Prefix>a/</Prefix>", "<Prefix>a%20%2B/</Prefix>", "<KeyCount>3<"] {
            assert!(listed.contains(shown), "{shown}: {listed}");
        }
        let (status, body) = ask(Request::delete("/a-bucket")).await;
        assert!(status == 409 && body.contains("<Code>BucketNotEmpty</Code>"), "{status} {body}");
        let (status, body) = ask(Request::put("/no-bucket/a")).await;
        assert!(status == 404 && body.contains("<Code>NoSuchBucket</Code>"), "{status} {body}");
    }

    #[tokio::test]
    async fn a_session_of_another_role_may_do_nothing() {
        let stand = Stand::start().await;
        let session = stand.session(BYSTANDER, SUBJECT, AUDIENCE).await.unwrap();
        for (status, body) in stand.list_and_create(session).await {
            assert!(status == 403 && body.contains("<Code>AccessDenied</Code>"), "{status} {body}");
        }
        let session = stand.session(ROLE, SUBJECT, AUDIENCE).await.unwrap();
        let [(_, buckets), _] = stand.list_and_create(session).await;
        assert!(!buckets.contains("a-bucket"), "{buckets}");
    }

    #[tokio::test]
    async fn nobody_comes_in_by_a_key_or_by_the_session_of_another_cloud() {
        let stand = Stand::start().await;
        let other = Stand::start().await.session(ROLE, SUBJECT, AUDIENCE).await.unwrap();
        for (status, body) in stand.list_and_create(other).await {
            assert!(status == 400 && body.contains("<Code>InvalidToken</Code>"), "{status} {body}");
        }
        let key = Key::generate().unwrap();
        let key = AwsCredentials::new(key.access_key_id, key.secret, None);
        for (status, body) in stand.list_and_create(key).await {
            assert!(status == 403 && body.contains("<Code>InvalidAccessKeyId</Code>"), "{status} {body}");
        }
    }

    #[tokio::test]
    async fn only_the_gateways_own_identity_may_assume_the_role() {
        let stand = Stand::start().await;
        assert!(stand.session(ROLE, SUBJECT, AUDIENCE).await.is_ok());
        for (role, subject, audience, says) in [
            (ROLE, "visitor", AUDIENCE, "AccessDenied"),
            (ROLE, SUBJECT, "sts.gateway", "InvalidIdentityToken"),
            ("absent", SUBJECT, AUDIENCE, "AccessDenied"),
        ] {
            let refused = stand.session(role, subject, audience).await.unwrap_err();
            assert!(refused.contains(says), "{role} {subject} {audience}: {refused}");
        }
    }
}
