//! Signing leaves the process's logging as the application set it. One test, since that is set once in a process.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::convert::Infallible;

use bytes::Bytes;
use credfed_core::{AwsCredentials, CachedProvider, Secret, StaticProvider};
use credfed_tower::SignSigV4Layer;
use http::{Request, Response};
use http_body_util::Full;
use support::{ACCESS_KEY, run, secret};
use tower::{Layer, ServiceExt, service_fn};
use tracing::level_filters::LevelFilter;

#[test]
fn a_signature_does_not_open_the_log_for_everybody() {
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::WARN).finish();
    tracing::subscriber::set_global_default(subscriber).expect("the first one");
    assert_eq!(LevelFilter::current(), LevelFilter::WARN);
    run(async {
        let credentials = AwsCredentials::new(ACCESS_KEY, Secret::new(secret()), None);
        let provider = CachedProvider::new(StaticProvider::new(credentials));
        let client = SignSigV4Layer::new(provider, "eu-west-1", "s3").layer(service_fn(
            |_: Request<Full<Bytes>>| async { Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())) },
        ));
        let request = Request::get("https://h.example.org/b/k").body(Full::default()).unwrap();
        client.oneshot(request).await.expect("an answer");
    });
    assert_eq!(LevelFilter::current(), LevelFilter::WARN);
}
