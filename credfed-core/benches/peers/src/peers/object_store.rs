//! object_store: the container credentials of `AmazonS3Builder`, whose cache is the crate's one `TokenCache`.
//!
//! The HTTP client is the builder's own port, answered in this process, so that there is no socket in the way.
//! Its retries are off: an attempt is an attempt here, whoever retries.

use std::hint::black_box;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, SecondsFormat, Utc};
use futures::FutureExt;
use futures::future::BoxFuture;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, AwsCredentialProvider};
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody,
    HttpService,
};
use object_store::{BackoffConfig, ClientOptions, RetryConfig};

use crate::peer::{Hit, Peer, at_once};
use crate::source::{Keys, Source};

struct ObjectStore(AwsCredentialProvider);

#[derive(Clone, Debug)]
struct Container(Arc<Source>);

pub fn new(source: Arc<Source>) -> Arc<dyn Peer> {
    let store = AmazonS3Builder::new()
        .with_bucket_name("bench")
        .with_region("us-east-1")
        .with_config(AmazonS3ConfigKey::ContainerCredentialsRelativeUri, "/keys")
        .with_http_connector(Container(source))
        .with_retry(RetryConfig { max_retries: 0, backoff: BackoffConfig::default(), ..Default::default() })
        .build();
    #[expect(clippy::expect_used, reason = "settings of the bench's own")]
    let store = store.expect("the settings are complete");
    Arc::new(ObjectStore(Arc::clone(store.credentials())))
}

impl Peer for ObjectStore {
    fn get(&self) -> BoxFuture<'_, Result<(), String>> {
        self.0.get_credential().map(|got| got.map(|_| ()).map_err(|error| error.to_string())).boxed()
    }

    fn hits(self: Arc<Self>) -> Vec<Hit> {
        vec![Hit::new("`get_credential`", move || {
            let got = at_once(black_box(&self.0).get_credential());
            got.is_ok_and(|keys| black_box(keys.key_id.len()) > 0)
        })]
    }
}

impl HttpConnector for Container {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait]
impl HttpService for Container {
    async fn call(&self, _: HttpRequest) -> Result<HttpResponse, HttpError> {
        let keys = self.0.call().await.map_err(|down| HttpError::new(HttpErrorKind::Unknown, down))?;
        Ok(HttpResponse::new(HttpResponseBody::from(document(&keys))))
    }
}

/// As a container's endpoint answers.
fn document(keys: &Keys) -> String {
    format!(
        r#"{{"AccessKeyId":"{}","SecretAccessKey":"{}","Token":"{}","Expiration":"{}"}}"#,
        keys.access_key_id,
        keys.secret_access_key,
        keys.session_token,
        DateTime::<Utc>::from(keys.expires_at).to_rfc3339_opts(SecondsFormat::Millis, true),
    )
}
