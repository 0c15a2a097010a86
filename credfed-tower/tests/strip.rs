//! Nothing of the hop that was verified travels further, and nothing else changes.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use credfed_tower::strip_credentials;
use http::Request;
use http::request::Parts;

fn stripped(request: http::request::Builder) -> Parts {
    let (mut parts, ()) = request.body(()).expect("a request").into_parts();
    strip_credentials(&mut parts);
    parts
}

#[test]
fn the_headers_that_carry_a_signature_go_and_the_others_stay() {
    let parts = stripped(
        Request::put("/b/k?uploads")
            .header("authorization", "AWS4-HMAC-SHA256 …".replace('…', "x"))
            .header("x-amz-date", "20261120T120000Z")
            .header("x-amz-content-sha256", "UNSIGNED-PAYLOAD")
            .header("x-amz-security-token", "canary")
            .header("x-amz-region-set", "*")
            .header("x-amz-s3session-token", "canary")
            .header("x-amz-meta-owner", "alice")
            .header("content-type", "text/plain"),
    );
    let mut names: Vec<_> = parts.headers.keys().map(|name| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["content-type", "x-amz-meta-owner"]);
    assert_eq!(parts.uri, "/b/k?uploads");
}

#[test]
fn hop_by_hop_and_proxy_headers_go_and_what_connection_names() {
    let parts = stripped(
        Request::get("/b/k")
            .header("connection", "close, X-Hop")
            .header("connection", "x-other")
            .header("x-hop", "1")
            .header("x-other", "1")
            .header("keep-alive", "timeout=5")
            .header("te", "trailers")
            .header("upgrade", "h2c")
            .header("expect", "100-continue")
            .header("proxy-authorization", "canary")
            .header("x-forwarded-for", "10.0.0.1")
            .header("x-forwarded-host", "elsewhere")
            .header("forwarded", "for=10.0.0.1")
            .header("via", "1.1 proxy")
            .header("range", "bytes=0-1"),
    );
    let names: Vec<_> = parts.headers.keys().map(|name| name.as_str()).collect();
    assert_eq!(names, ["range"]);
}

const PRESIGNED: &str = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AK%2F20261120%2Feu-west-1%2Fs3%2Faws4_request\
&X-Amz-Date=20261120T120000Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Security-Token=canary&X-Amz-Signature=00";

#[test]
fn a_presigned_query_goes_and_what_it_stands_for_becomes_headers() {
    let uri = format!(
        "/b/k%20k?versionId=1&{PRESIGNED}&x-amz-acl=private&X-Amz-Meta-Name=a%20b\
         &x-amz-server-side-encryption-customer-key=canary&response-content-type=text%2Fplain"
    );
    let parts = stripped(Request::put(uri).header("host", "h"));
    assert_eq!(parts.uri, "/b/k%20k?versionId=1&response-content-type=text%2Fplain");
    assert_eq!(parts.headers["x-amz-acl"], "private");
    assert_eq!(parts.headers["x-amz-meta-name"], "a b");
    assert_eq!(parts.headers.len(), 3);
    assert!(!format!("{parts:?}").contains("canary"));
}

#[test]
fn a_query_of_nothing_but_credentials_leaves_a_bare_path() {
    assert_eq!(stripped(Request::get(format!("/b/k?{PRESIGNED}"))).uri, "/b/k");
    assert_eq!(stripped(Request::get(format!("http://h:9000/b/k?{PRESIGNED}"))).uri, "http://h:9000/b/k");
}

#[test]
fn beside_a_header_signature_amz_parameters_have_no_effect_further_on() {
    let parts = stripped(
        Request::put("/b/k?x-amz-acl=public-read&x-id=PutObject&X%2DAmz-Tagging=a")
            .header("authorization", "AWS4-HMAC-SHA256 x"),
    );
    assert_eq!(parts.uri, "/b/k?x-id=PutObject");
    assert!(parts.headers.is_empty());
}

#[test]
fn a_header_is_not_overwritten_by_a_parameter() {
    let parts = stripped(
        Request::put(format!("/b/k?{PRESIGNED}&x-amz-acl=public-read")).header("x-amz-acl", "private"),
    );
    assert_eq!(parts.headers.get_all("x-amz-acl").iter().collect::<Vec<_>>(), ["private"]);
}
