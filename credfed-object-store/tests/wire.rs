//! Real builders of object_store against a socket that records what arrives.

use std::error::Error;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use credfed_core::{
    AwsCredentials, Azure, BearerToken, CachedProvider, Expiring, Google, Identity, ProviderError, Secret,
    VirtualRuntime, provider_fn,
};
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::path::Path;
use object_store::{ClientOptions, ObjectStore, ObjectStoreExt, RetryConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn s3_requests_carry_the_session_token_and_the_rotated_key() {
    let server = Server::start().await;
    let (clock, provider) = rotating(|number| {
        let secret = Secret::new(format!("canary-secret-{number}"));
        AwsCredentials::new(format!("AKID{number}"), secret, Some(Secret::new(format!("token-{number}"))))
    });
    let credentials = credfed_object_store::aws(provider);
    assert!(!format!("{credentials:?} {credentials:#?}").contains("canary"));
    let store = AmazonS3Builder::new()
        .with_bucket_name("lake")
        .with_region("eu-west-1")
        .with_endpoint(server.url())
        .with_client_options(options())
        .with_credentials(credentials)
        .build()
        .unwrap();
    fetch(&store).await;
    fetch(&store).await;
    clock.advance(2 * HOUR);
    fetch(&store).await;

    let requests = server.requests();
    assert_eq!(requests.len(), 3);
    for (request, number) in requests.iter().zip([1, 1, 2]) {
        assert_eq!(header(request, "x-amz-security-token"), Some(format!("token-{number}").as_str()));
        let authorization = header(request, "authorization").unwrap();
        assert!(authorization.starts_with(&format!("AWS4-HMAC-SHA256 Credential=AKID{number}/")));
        assert!(authorization.contains("x-amz-security-token"), "the token is signed");
        assert!(!request.contains("canary"), "the secret key stays at home");
    }
}

#[tokio::test]
async fn azure_requests_carry_the_bearer_token_and_the_rotated_one() {
    let server = Server::start().await;
    let (clock, provider) =
        rotating(|number| BearerToken::<Azure>::new(Secret::new(format!("token-{number}"))));
    let credentials = credfed_object_store::azure(provider);
    assert!(!format!("{credentials:?}").contains("token-"));
    let store = MicrosoftAzureBuilder::new()
        .with_account("account")
        .with_container_name("lake")
        .with_endpoint(server.url())
        .with_client_options(options())
        .with_credentials(credentials)
        .build()
        .unwrap();
    fetch(&store).await;
    clock.advance(2 * HOUR);
    fetch(&store).await;
    let sent: Vec<_> = server.requests().iter().map(|request| bearer(request)).collect();
    assert_eq!(sent, ["Bearer token-1", "Bearer token-2"]);
}

#[tokio::test]
async fn gcs_requests_carry_the_bearer_token_and_the_rotated_one() {
    let server = Server::start().await;
    let (clock, provider) =
        rotating(|number| BearerToken::<Google>::new(Secret::new(format!("token-{number}"))));
    let store = GoogleCloudStorageBuilder::new()
        .with_bucket_name("lake")
        .with_base_url(&server.url())
        .with_client_options(options())
        .with_credentials(credfed_object_store::gcp(provider))
        .build()
        .unwrap();
    fetch(&store).await;
    clock.advance(2 * HOUR);
    fetch(&store).await;
    let sent: Vec<_> = server.requests().iter().map(|request| bearer(request)).collect();
    assert_eq!(sent, ["Bearer token-1", "Bearer token-2"]);
}

#[tokio::test]
async fn a_source_that_is_down_fails_the_request_and_nothing_is_sent() {
    let server = Server::start().await;
    let source = provider_fn(Identity::of("down").finish(), || async {
        let error = ProviderError::rejected("the role may not be assumed").with_code("AccessDenied");
        Err::<Expiring<AwsCredentials>, _>(error)
    });
    let store = AmazonS3Builder::new()
        .with_bucket_name("lake")
        .with_region("eu-west-1")
        .with_endpoint(server.url())
        .with_client_options(options())
        .with_retry(RetryConfig { max_retries: 0, ..RetryConfig::default() })
        .with_credentials(credfed_object_store::aws(CachedProvider::new(source)))
        .build()
        .unwrap();
    let error = store.get(&Path::from("key")).await.unwrap_err();
    assert!(matches!(error, object_store::Error::Unauthenticated { .. }), "{error:?}");
    let cause = error.source().and_then(|cause| cause.downcast_ref::<ProviderError>()).unwrap();
    assert_eq!(cause.code(), Some("AccessDenied"));
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn a_failing_refresh_does_not_fail_a_request() {
    let server = Server::start().await;
    let calls = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&calls);
    let source = provider_fn(Identity::of("once").finish(), move || {
        let first = counter.fetch_add(1, Ordering::SeqCst) == 0;
        async move {
            let token = BearerToken::<Google>::new(Secret::new("token-1"));
            if first { Ok(Expiring::after(token, HOUR)) } else { Err(ProviderError::transient("down")) }
        }
    });
    let clock = VirtualRuntime::new(SystemTime::UNIX_EPOCH).with_spawner(false);
    let provider = CachedProvider::builder(source).runtime(clock.clone()).build();
    let store = GoogleCloudStorageBuilder::new()
        .with_bucket_name("lake")
        .with_base_url(&server.url())
        .with_client_options(options())
        .with_credentials(credfed_object_store::gcp(provider))
        .build()
        .unwrap();
    fetch(&store).await;
    clock.advance(HOUR - Duration::from_secs(30));
    fetch(&store).await;
    assert_eq!(calls.load(Ordering::SeqCst), 2);
    assert_eq!(server.requests().len(), 2);
}

/// A cache whose source numbers what it gives, each for an hour of virtual time.
fn rotating<C: Send + Sync + 'static>(
    make: impl Fn(u32) -> C + Send + Sync + 'static,
) -> (VirtualRuntime, CachedProvider<C>) {
    let calls = AtomicU32::new(0);
    let source = provider_fn(Identity::of("rotating").finish(), move || {
        let credential = make(calls.fetch_add(1, Ordering::SeqCst) + 1);
        async move { Ok(Expiring::after(credential, HOUR)) }
    });
    let clock = VirtualRuntime::new(SystemTime::UNIX_EPOCH).with_spawner(false);
    let provider = CachedProvider::builder(source).runtime(clock.clone()).build();
    (clock, provider)
}

fn options() -> ClientOptions {
    ClientOptions::new().with_allow_http(true)
}

#[expect(clippy::unwrap_used, reason = "only tests call this")]
async fn fetch(store: &impl ObjectStore) {
    let body = store.get(&Path::from("key")).await.unwrap().bytes().await.unwrap();
    assert_eq!(&body[..], b"hello");
}

fn header<'a>(request: &'a str, name: &str) -> Option<&'a str> {
    request.lines().find_map(|line| {
        let (key, value) = line.split_once(": ")?;
        key.eq_ignore_ascii_case(name).then_some(value)
    })
}

fn bearer(request: &str) -> String {
    String::from(header(request, "authorization").unwrap_or_default())
}

/// Answers every request with the same small object, and keeps the heads.
struct Server {
    address: std::net::SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
}

#[expect(clippy::unwrap_used, reason = "only tests call this")]
impl Server {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&requests);
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    match socket.read_u8().await {
                        Ok(byte) => head.push(byte),
                        Err(_) => break,
                    }
                }
                sink.lock().unwrap().push(String::from_utf8(head).unwrap());
                let answer = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\netag: \"1\"\r\n\
                     last-modified: Fri, 20 Nov 2026 20:00:00 GMT\r\nconnection: close\r\n\r\nhello";
                socket.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        Self { address, requests }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}
