//! Behind `Router::layer` handlers learn who asks, and nobody else gets to them (feature `axum`).
#![cfg(feature = "axum")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::time::Duration;

use aws_sigv4::http_request::SignableBody;
use axum::Router;
use axum::body::Body;
use axum::routing::{get, put};
use bytes::Bytes;
use credfed_tower::Caller;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use support::{ACCESS_KEY, Signer, layer, origin_form, run};
use tower::ServiceExt;

fn app() -> Router {
    Router::new()
        .route(
            "/{bucket}/{key}",
            get(async |caller: Caller<&'static str>| {
                format!("{} {}", caller.access_key_id(), caller.claims())
            }),
        )
        .route("/upload/{key}", put(async |body: Bytes| format!("{} bytes", body.len())))
        .layer(layer())
}

async fn send(request: Request<Body>) -> (StatusCode, String) {
    let response = app().oneshot(request).await.expect("an answer");
    let status = response.status();
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    (status, String::from_utf8_lossy(&body).into_owned())
}

fn signed(builder: http::request::Builder, body: &'static [u8], declared: &'static [u8]) -> Request<Body> {
    let request = builder.body(Body::from(body)).expect("a request");
    origin_form(Signer::default().sign(request, SignableBody::Bytes(declared)))
}

#[test]
fn a_handler_learns_who_asks() {
    run(async {
        let request = signed(Request::get("http://h/bucket/key"), b"", b"");
        assert_eq!(send(request).await, (StatusCode::OK, format!("{ACCESS_KEY} alice")));
        let unsigned = Request::get("/bucket/key").header("host", "h").body(Body::empty()).unwrap();
        assert_eq!(send(unsigned).await.0, StatusCode::FORBIDDEN);
    });
}

#[test]
fn an_extractor_of_the_body_meets_the_mismatch_and_the_client_its_code() {
    run(async {
        let request = signed(Request::put("http://h/upload/k"), b"hello", b"hello");
        assert_eq!(send(request).await, (StatusCode::OK, "5 bytes".into()));
        let (status, body) = send(signed(Request::put("http://h/upload/k"), b"hellO", b"hello")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(body.contains("<Code>XAmzContentSHA256Mismatch</Code>"), "{body}");
    });
}

#[test]
fn n03_a_handler_outside_of_the_layer_fails_closed() {
    run(async {
        let open = Router::new().route("/", get(async |caller: Caller<&'static str>| *caller.claims()));
        let response = open.oneshot(Request::get("/").body(Body::empty()).unwrap()).await.expect("an answer");
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    });
}

#[test]
fn a_real_server_serves_a_presigned_url() {
    run(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move { axum::serve(listener, app()).await });
        let signer = Signer { presign: Some(Duration::from_secs(60)), ..Signer::default() };
        let request =
            Request::get(format!("http://{address}/bucket/key")).body(Full::<Bytes>::default()).unwrap();
        let request = signer.sign(request, SignableBody::UnsignedPayload);
        let response =
            Client::builder(TokioExecutor::new()).build_http().request(request).await.expect("an answer");
        assert_eq!(response.status(), StatusCode::OK);
    });
}
