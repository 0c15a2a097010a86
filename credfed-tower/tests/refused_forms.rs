//! POST forms that have to be refused, through the layer over HTTP/1 and HTTP/2: N21. The same on the verifier alone, case
//! by case: `credfed-sigv4-verify/tests/post_policy.rs` and `post_forms.rs`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use credfed_tower::path_style_bucket;
use http::Request;
use support::form::{BOUNDARY, FILE, Form};
use support::upstream::Version::{Http1, Http2};
use support::wire::Front;
use support::{FixedClock, layer, noon, run};

fn request(bucket: &str, body: Vec<u8>) -> Request<Bytes> {
    Request::post(format!("http://s3.example.org/{bucket}"))
        .header("content-type", format!("multipart/form-data; boundary={BOUNDARY}"))
        .body(Bytes::from(body))
        .unwrap()
}

/// `body` with one text replaced once; the policy is in base64, so that a field is meant.
fn replaced(body: &[u8], from: &str, to: &str) -> Vec<u8> {
    let at = body.windows(from.len()).position(|window| window == from.as_bytes()).expect("it is there");
    [&body[..at], to.as_bytes(), &body[at + from.len()..]].concat()
}

fn keyed(key: &str) -> Form {
    let mut form = Form::new();
    form.fields[0].1 = key.into();
    form
}

#[test]
fn n21_a_form_that_its_policy_does_not_allow_is_refused() {
    let good = Form::new().body();
    let cases = [
        ("a key outside of its prefix", "bucket", keyed("other/photo.jpg").body(), 403, "AccessDenied"),
        (
            "a field that nothing covers",
            "bucket",
            Form::new().field("acl", "private").body(),
            403,
            "AccessDenied",
        ),
        ("another bucket", "other", good.clone(), 403, "AccessDenied"),
        (
            "a file that is too large",
            "bucket",
            Form::new().size(0, FILE.len() - 1).body(),
            400,
            "EntityTooLarge",
        ),
        (
            "a file that is too small",
            "bucket",
            Form::new().size(FILE.len() + 1, 1000).body(),
            400,
            "EntityTooSmall",
        ),
        (
            "a member twice",
            "bucket",
            Form::new().field("acl", "private").condition(r#"{"acl":"private","acl":"public-read"}"#).body(),
            400,
            "InvalidPolicyDocument",
        ),
        (
            "another date",
            "bucket",
            replaced(&good, "20261120T120000Z", "20261120T120001Z"),
            403,
            "AccessDenied",
        ),
    ];
    run(async {
        let front = Front::new(layer().accept_forms(path_style_bucket)).await;
        for version in [Http1, Http2] {
            let (status, answer) = front.send(version, request("bucket", good.clone())).await;
            assert_eq!(status.as_u16(), 200, "{version:?}: {answer}");
            assert_eq!(front.calls()[0].body.as_deref(), Some(FILE));
            for (what, bucket, body, status, code) in &cases {
                let (had, answer) = front.send(version, request(bucket, body.clone())).await;
                assert_eq!(had.as_u16(), *status, "{version:?} {what}: {answer}");
                assert!(answer.contains(&format!("<Code>{code}</Code>")), "{version:?} {what}: {answer}");
                // Of a file of the wrong size the inner service has seen the start, and never the end.
                assert!(front.calls().iter().all(|call| call.body.is_none()), "{version:?} {what}");
            }
        }
    });
}

#[test]
fn n21_a_form_outside_of_its_time_is_refused() {
    run(async {
        let minute = Duration::from_secs(60);
        for (time, accepted) in [
            (noon() - 15 * minute, true),
            (noon() - 15 * minute - Duration::from_secs(1), false),
            (noon() + 60 * minute, true),
            (noon() + 60 * minute + Duration::from_secs(1), false),
        ] {
            let layer = layer().clock(Arc::new(FixedClock(time))).accept_forms(path_style_bucket);
            let front = Front::new(layer).await;
            for version in [Http1, Http2] {
                let (status, answer) = front.send(version, request("bucket", Form::new().body())).await;
                assert_eq!(status.as_u16() == 200, accepted, "{version:?} {time:?}: {answer}");
                assert_eq!(front.calls().len(), usize::from(accepted));
            }
        }
    });
}

#[test]
fn a_form_signed_by_another_secret_is_refused() {
    run(async {
        let front = Front::new(layer().accept_forms(path_style_bucket)).await;
        let mut form = Form::new();
        form.secret = "another".into();
        for version in [Http1, Http2] {
            let (status, answer) = front.send(version, request("bucket", form.body())).await;
            assert_eq!(status.as_u16(), 403, "{version:?}: {answer}");
            assert!(answer.contains("<Code>SignatureDoesNotMatch</Code>"), "{answer}");
            assert!(front.calls().is_empty());
        }
    });
}
