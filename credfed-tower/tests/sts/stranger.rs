//! The AWS SDK for Rust as a client, over a real connection: what it signs is accepted, what is answered it reads.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use aws_sdk_sts::Client;
use aws_sdk_sts::config::retry::RetryConfig;
use aws_sdk_sts::config::timeout::TimeoutConfig;
use aws_sdk_sts::config::{
    BehaviorVersion, Credentials, HttpClient, IdentityCache, Region, RuntimeComponents,
    StalledStreamProtectionConfig,
};
use aws_sdk_sts::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sts::operation::RequestId;
use aws_sdk_sts::types::Tag;
use aws_smithy_async::time::StaticTimeSource;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use bytes::Bytes;
use credfed_core::oidc::AssertionClaims;
use credfed_tower::sts::Trust;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector as Tcp;
use hyper_util::rt::TokioExecutor;

use crate::support::{ACCESS_KEY, noon, run, secret, serve};
use crate::world::{ALICE, AUDIENCE, ISSUER, SUBJECT, World, arn, claims, role, token};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The SDK's requests over hyper: the SDK's own client would bring a TLS stack.
#[derive(Clone, Debug)]
struct Plain(legacy::Client<Tcp, Full<Bytes>>);

impl Plain {
    async fn send(self, request: HttpRequest) -> Result<HttpResponse, Failure> {
        let body = request.body().bytes().unwrap_or_default().to_vec();
        let mut builder = http::Request::builder().method(request.method()).uri(request.uri());
        for (name, value) in request.headers() {
            builder = builder.header(name, value);
        }
        let answer = self.0.request(builder.body(Full::new(Bytes::from(body)))?).await?;
        let (parts, body) = answer.into_parts();
        let body = body.collect().await?.to_bytes().to_vec();
        let mut response = HttpResponse::new(parts.status.as_u16().try_into()?, body.into());
        for (name, value) in &parts.headers {
            response.headers_mut().append(name.as_str().to_owned(), value.to_str()?.to_owned());
        }
        Ok(response)
    }
}

impl HttpConnector for Plain {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let plain = self.clone();
        HttpConnectorFuture::new(async move {
            plain.send(request).await.map_err(|error| ConnectorError::other(error, None))
        })
    }
}

impl HttpClient for Plain {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

fn client(address: SocketAddr, credentials: Option<Credentials>) -> Client {
    let plain = Plain(legacy::Client::builder(TokioExecutor::new()).build_http());
    let mut config = aws_sdk_sts::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(format!("http://{address}"))
        .region(Region::new("eu-west-1"))
        .http_client(plain)
        .identity_cache(IdentityCache::no_cache())
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::disabled())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .time_source(StaticTimeSource::new(noon()));
    config = match credentials {
        Some(credentials) => config.credentials_provider(credentials),
        None => config.allow_no_auth(),
    };
    Client::from_conf(config.build())
}

fn alice() -> Credentials {
    Credentials::new(ACCESS_KEY, secret(), None, None, "test")
}

fn keys(credentials: &aws_sdk_sts::types::Credentials) -> Credentials {
    let token = Some(credentials.session_token().to_owned());
    Credentials::new(credentials.access_key_id(), credentials.secret_access_key(), token, None, "test")
}

fn after(seconds: u64) -> SystemTime {
    noon() + Duration::from_secs(seconds)
}

async fn server() -> SocketAddr {
    let web = Trust::web_identity(ISSUER).audience(AUDIENCE).subject(SUBJECT);
    let own = Trust::principals().principal(ALICE).allow_tags().allow_source_identity();
    let roles = [role("r").trust(web).trust(own)];
    serve(World::new(roles).sts).await
}

#[test]
fn the_sdk_turns_a_web_identity_into_a_session_and_uses_it() {
    run(async {
        let address = server().await;
        let answer = client(address, None)
            .assume_role_with_web_identity()
            .role_arn(arn("r"))
            .role_session_name("ci-run")
            .web_identity_token(token(claims()).await)
            .duration_seconds(900)
            .policy("{\"Statement\":[]}")
            .send()
            .await
            .unwrap();
        assert_eq!(answer.subject_from_web_identity_token(), Some(SUBJECT));
        assert_eq!((answer.audience(), answer.provider()), (Some(AUDIENCE), Some(ISSUER)));
        assert!(answer.session_token_utilization().is_some_and(|share| (1..=100).contains(&share)));
        let length = answer.credentials().map(|keys| i32::try_from(keys.session_token().len()).unwrap());
        assert_eq!(answer.session_token_size(), length);
        let user = answer.assumed_role_user().unwrap();
        assert_eq!(user.arn(), "arn:aws:sts::123456789012:assumed-role/r/ci-run");
        assert!(user.assumed_role_id().ends_with(":ci-run"));
        let credentials = answer.credentials().unwrap();
        assert_eq!(SystemTime::try_from(*credentials.expiration()).unwrap(), after(900));
        assert!(answer.request_id().is_some());

        let who = client(address, Some(keys(credentials))).get_caller_identity().send().await.unwrap();
        assert_eq!(who.arn(), Some(user.arn()));
        assert_eq!((who.user_id(), who.account()), (Some(user.assumed_role_id()), Some("123456789012")));
    });
}

#[test]
fn the_sdk_assumes_a_role_with_tags_and_source_identity() {
    run(async {
        let address = server().await;
        let tag = |key: &str, value: &str| Tag::builder().key(key).value(value).build().unwrap();
        let answer = client(address, Some(alice()))
            .assume_role()
            .role_arn(arn("r"))
            .role_session_name("batch")
            .tags(tag("team", "storage + more"))
            .tags(tag("stage", ""))
            .transitive_tag_keys("team")
            .source_identity("alice.s")
            .send()
            .await
            .unwrap();
        assert_eq!(answer.source_identity(), Some("alice.s"));
        assert_eq!(SystemTime::try_from(*answer.credentials().unwrap().expiration()).unwrap(), after(3600));
        let session = client(address, Some(alice())).get_session_token().send().await.unwrap();
        assert_eq!(
            SystemTime::try_from(*session.credentials().unwrap().expiration()).unwrap(),
            after(43_200)
        );
    });
}

/// Code, message, request id and status of what the SDK made of an error.
macro_rules! fault {
    ($sent:expr) => {{
        let error = $sent.await.expect_err("an error");
        assert!(matches!(error, SdkError::ServiceError(_)), "{error:?}");
        let status = error.raw_response().map(|answer| answer.status().as_u16());
        assert!(error.request_id().is_some());
        let code = error.code().map(str::to_owned).unwrap_or_default();
        (status.unwrap_or_default(), code, error.message().map(str::to_owned).unwrap_or_default())
    }};
}

#[test]
fn the_sdk_reads_our_errors() {
    run(async {
        let address = server().await;
        let web = |token: String| {
            client(address, None)
                .assume_role_with_web_identity()
                .role_arn(arn("r"))
                .role_session_name("ci-run")
                .web_identity_token(token)
        };
        let foreign = token(AssertionClaims::new(SUBJECT, "somebody-else")).await;
        let (status, code, message) = fault!(web(foreign).send());
        assert_eq!((status, &*code, &*message), (400, "InvalidIdentityToken", "Incorrect token audience"));
        let stranger = token(AssertionClaims::new("workload:other", AUDIENCE)).await;
        let (status, code, message) = fault!(web(stranger).send());
        assert_eq!((status, &*code), (403, "AccessDenied"));
        assert_eq!(message, "Not authorized to perform sts:AssumeRoleWithWebIdentity");
        let (status, code, _) = fault!(web(token(claims()).await).duration_seconds(43_200).send());
        assert_eq!((status, &*code), (400, "ValidationError"));
        let modelled = web("abcd".into()).send().await.unwrap_err().into_service_error();
        assert!(modelled.is_invalid_identity_token_exception());

        let session = client(address, Some(alice())).get_session_token().send().await.unwrap();
        let session = client(address, Some(keys(session.credentials().unwrap())));
        let (status, code, message) = fault!(session.get_session_token().send());
        assert_eq!((status, &*code), (403, "AccessDenied"));
        assert_eq!(message, "Cannot call GetSessionToken with session credentials");
        let wrong = Credentials::new(ACCESS_KEY, "another", None, None, "test");
        let (status, code, _) = fault!(client(address, Some(wrong)).get_caller_identity().send());
        assert_eq!((status, &*code), (403, "SignatureDoesNotMatch"));
    });
}
