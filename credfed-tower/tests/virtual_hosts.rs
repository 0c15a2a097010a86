//! Virtual-hosted style: the bucket stands in the host, the object is the whole path. Verification takes host and path
//! as they are; for a form the bucket is read from the host.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::time::Duration;

use aws_sigv4::http_request::SignableBody;
use bytes::Bytes;
use credfed_sigv4_verify::PostObject;
use credfed_tower::{AccessRequest, VerifySigV4Layer, virtual_hosted_bucket};
use http::{Request, StatusCode};
use support::form::{BOUNDARY, FILE, Form};
use support::upstream::Version::{Http1, Http2};
use support::wire::Front;
use support::{FixedClock, Signer, keys, layer, noon, run, sha256_hex, verifier};

fn bucket(host: &str, path: &str) -> Option<Box<str>> {
    let bucket = virtual_hosted_bucket(["s3.example.com", "Example.com", "a-b.example.org"]).unwrap();
    let in_header = Request::post(path).header("host", host).body(()).unwrap().into_parts().0;
    let found = bucket(&in_header);
    // As HTTP/2 has it, where the host can stand in a target.
    if let Ok(request) = Request::post(format!("https://{host}{path}")).body(()) {
        assert_eq!(bucket(&request.into_parts().0), found, "{host}");
    }
    found
}

#[test]
fn the_bucket_is_what_stands_before_the_domain() {
    for (host, expected) in [
        ("photos.s3.example.com", Some("photos")),
        ("photos.s3.example.com:9000", Some("photos")),
        ("Photos.S3.Example.COM", Some("photos")),
        ("my.photos.s3.example.com", Some("my.photos")),
        // Below the shorter domain, and not below the longer one.
        ("photos.example.com", Some("photos")),
        ("evil-s3.example.com", Some("evil-s3")),
        ("photos.a-b.example.org:80", Some("photos")),
        // No names of buckets.
        (".s3.example.com", None),
        ("a..s3.example.com", None),
        ("photos.s3.example.com.", None),
        ("photos.s3.example.com.:9000", None),
        ("a*b.s3.example.com", None),
        // A port is digits.
        ("photos.s3.example.com:x", None),
        // Neither names nor addresses: whoever reads them more freely finds a bucket.
        ("photos.s3.example.com..", None),
        ("photos.s3.example.com:80:80", None),
        ("photos.s3.example.com:80:", None),
        ("photos.s3.example.com :80", None),
        ("photos.s3.example.com, s3.example.com", None),
        ("photos.s3.example.com/", None),
        ("photos@s3.example.com", None),
        ("[photos].s3.example.com:80", None),
        ("[::1]x.s3.example.com:80", None),
        ("[::1", None),
    ] {
        assert_eq!(bucket(host, "/").as_deref(), expected, "{host}");
        // The path names an object in it, not another bucket.
        assert_eq!(bucket(host, "/other"), None, "{host}");
    }
}

#[test]
fn other_hosts_have_the_bucket_in_the_path() {
    for host in [
        "s3.example.com",
        "S3.EXAMPLE.COM:9000",
        "example.com",
        "localhost:9000",
        "127.0.0.1",
        "[::1]",
        "[::1]:9000",
        "[2001:db8::1]:443",
        "gateway_1:9000",
        "a-b.example.org.evil.net",
        "photosa-b.example.org",
    ] {
        assert_eq!(bucket(host, "/photos").as_deref(), Some("photos"), "{host}");
        assert_eq!(bucket(host, "/photos/").as_deref(), Some("photos"), "{host}");
        for path in ["/", "/photos/key", "//photos", "/ph%6ftos"] {
            assert_eq!(bucket(host, path), None, "{host} {path}");
        }
    }
}

#[test]
fn a_domain_that_no_host_lies_below_is_refused_at_once() {
    for domain in
        ["", ".", ".s3.example.com", "s3.example.com.", "s3.example.com:9000", "https://s3.example.com"]
    {
        assert!(virtual_hosted_bucket([domain]).is_err(), "{domain}");
    }
    for address in ["192.0.2.1", "::1", "[::1]", "*.example.com"] {
        assert!(virtual_hosted_bucket([address]).is_err(), "{address}");
    }
    assert!(virtual_hosted_bucket([] as [&str; 0]).is_ok(), "none: path style");
}

const HOST: &str = "bucket.s3.example.com";
const URL: &str = "http://bucket.s3.example.com/a%20key/b";

#[test]
fn headers_and_presigned_urls_are_verified_over_http1_and_http2() {
    run(async {
        let front = Front::new(layer()).await;
        let data = Bytes::from_static(b"data");
        for version in [Http1, Http2] {
            let put = || Request::put(URL).body(data.clone()).unwrap();
            let signed = Signer::default().sign(put(), SignableBody::Precomputed(sha256_hex(&data)));
            let presigner = Signer { presign: Some(Duration::from_secs(60)), ..Signer::default() };
            let presigned = presigner.sign(put(), SignableBody::UnsignedPayload);
            for request in [signed, presigned] {
                let query = request.uri().query().map(str::to_owned);
                let (status, answer) = front.send(version, request.clone()).await;
                assert_eq!(status, StatusCode::OK, "{version:?} {answer}");
                let call = front.calls().remove(0);
                assert_eq!((call.head.uri.path(), call.head.uri.query()), ("/a%20key/b", query.as_deref()));
                assert_eq!(call.body.as_deref(), Some(&b"data"[..]));
                // The same path in another bucket is another object.
                let mut elsewhere = request;
                let other = elsewhere.uri().to_string().replace(HOST, "other.s3.example.com");
                *elsewhere.uri_mut() = other.parse().unwrap();
                let (status, answer) = front.send(version, elsewhere).await;
                assert_eq!(status, StatusCode::FORBIDDEN, "{version:?}");
                assert!(answer.contains("<Code>SignatureDoesNotMatch</Code>"), "{answer}");
                assert!(front.calls().is_empty());
            }
        }
    });
}

fn form(url: &str) -> Request<Bytes> {
    Request::post(url)
        .header("content-type", format!("multipart/form-data; boundary={BOUNDARY}"))
        .body(Bytes::from(Form::new().body()))
        .unwrap()
}

#[test]
fn a_form_names_its_bucket_in_the_host_over_http1_and_http2() {
    run(async {
        let authorizer = |request: &AccessRequest<'_, &'static str>| {
            assert_eq!((request.host().as_ref(), request.path()), (HOST, "/user/photo.jpg"));
            Ok(())
        };
        let layer = VerifySigV4Layer::new(verifier(), keys(), authorizer)
            .clock(std::sync::Arc::new(FixedClock(noon())))
            .accept_forms(virtual_hosted_bucket(["s3.example.com"]).unwrap());
        let front = Front::new(layer).await;
        for version in [Http1, Http2] {
            let (status, answer) = front.send(version, form(&format!("http://{HOST}/"))).await;
            assert_eq!(status, StatusCode::OK, "{version:?} {answer}");
            let call = front.calls().remove(0);
            let object = call.head.extensions.get::<PostObject>().unwrap();
            assert_eq!((object.bucket(), object.key()), ("bucket", "user/photo.jpg"));
            assert_eq!(call.body.as_deref(), Some(FILE));
            // Signed for one bucket, sent to another; and to an object, which no form can be.
            for url in [
                "http://other.s3.example.com/",
                "http://other.s3.example.com/bucket",
                "http://bucket.s3.example.com/bucket",
            ] {
                let (status, answer) = front.send(version, form(url)).await;
                assert_eq!(status, StatusCode::FORBIDDEN, "{version:?} {url}");
                assert!(answer.contains("<Code>AccessDenied</Code>"), "{answer}");
            }
            assert!(front.calls().is_empty());
        }
    });
}

#[test]
fn n21_a_form_whose_host_and_authority_name_two_buckets_is_refused() {
    run(async {
        let bucket = virtual_hosted_bucket(["s3.example.com"]).unwrap();
        let front = Front::new(layer().accept_forms(bucket)).await;
        for (authority, host) in [("other.s3.example.com", HOST), (HOST, "other.s3.example.com")] {
            let mut request = form(&format!("http://{authority}/"));
            request.headers_mut().insert("host", host.parse().unwrap());
            for version in [Http1, Http2] {
                let (status, answer) = front.send(version, request.clone()).await;
                assert!(status.is_client_error(), "{version:?} {authority}: {status} {answer}");
                assert!(front.calls().is_empty(), "{version:?} {authority}");
            }
        }
    });
}
