//! Hosts: Host and `:authority`, ports, addresses.

use bytes::Bytes;
use http::{Request, StatusCode};

use super::support::wire::{Front, head_of};
use super::support::{layer, origin_form, run};
use super::{HOST, Http1, Http2, VERSIONS, assert_ok, sign, url};

/// Signed for the host of `uri`, which aws-sigv4 signs without the scheme's default port.
fn get(uri: &str) -> Request<Bytes> {
    sign(Request::get(uri))
}

#[test]
fn ports_and_addresses_are_signed_as_the_client_names_them() {
    run(async {
        let front = Front::new(layer()).await;
        for authority in [
            "files.example.org:9000",
            "192.0.2.1",
            "192.0.2.1:9000",
            "[::1]",
            "[::1]:9000",
            "[2001:db8::1]:8443",
            "localhost:9000",
            "files.example.org.",
            "bucket.files.example.org",
        ] {
            let request = get(&format!("http://{authority}/bucket/key"));
            for version in VERSIONS {
                let (status, answer) = front.send(version, request.clone()).await;
                assert_eq!(status, StatusCode::OK, "{version:?} {authority}: {answer}");
                let mut other = request.clone();
                *other.uri_mut() = "http://[::1]:9001/bucket/key".parse().unwrap();
                assert_eq!(front.send(version, other).await.0, StatusCode::FORBIDDEN, "{authority}");
            }
        }
    });
}

#[test]
fn the_default_port_is_left_out_by_signers_and_may_be_named_in_the_target() {
    run(async {
        let front = Front::new(layer()).await;
        for (uri, host, named) in [
            ("http://files.example.org:80/bucket/key", HOST, "http://files.example.org:80/bucket/key"),
            ("https://files.example.org:443/bucket/key", HOST, "https://files.example.org:443/bucket/key"),
        ] {
            // What aws-sigv4 signs of this is the host alone.
            let signed = get(uri);
            let mut parts = origin_form(signed.clone()).into_parts().0;
            parts.headers.insert("host", host.parse().unwrap());
            assert_ok(&front.raw(&head_of(&parts, "/bucket/key", &[])).await, uri);
            // The target names the port, Host does not.
            assert_ok(&front.raw(&head_of(&parts, named, &[])).await, named);
            let mut request = signed;
            request.headers_mut().insert("host", host.parse().unwrap());
            let (status, answer) = front.send(Http2, request).await;
            assert_eq!(status, StatusCode::OK, "{named}: {answer}");
        }
        // Where a client puts the default port into Host, it signs it; one that is there and was not signed is another
        // host.
        let named = sign(Request::get(url("/bucket/key")).header("host", "files.example.org:443"));
        let plain = sign(Request::get(url("/bucket/key")));
        for (request, host, accepted) in [
            (&named, "files.example.org:443", true),
            (&named, HOST, false),
            (&plain, HOST, true),
            (&plain, "files.example.org:443", false),
        ] {
            let mut parts = request.clone().into_parts().0;
            parts.headers.insert("host", host.parse().unwrap());
            let answer = front.raw(&head_of(&parts, "/bucket/key", &[])).await;
            assert_eq!(answer.starts_with("HTTP/1.1 200 "), accepted, "{host}: {answer}");
        }
    });
}

#[test]
fn the_authority_of_http2_is_the_signed_host() {
    run(async {
        let front = Front::new(layer()).await;
        let signed = get(&url("/bucket/key"));
        assert!(!signed.headers().contains_key("host"));
        let (status, answer) = front.send(Http2, signed.clone()).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        let call = front.calls().remove(0);
        assert_eq!((call.head.version, call.head.uri.host()), (http::Version::HTTP_2, Some(HOST)));
        assert!(!call.head.headers.contains_key("host"), "it came without");
        // A Host header beside it that says the same.
        for host in [HOST, "FILES.example.org"] {
            let mut both = sign(Request::get(url("/bucket/key")).header("host", host));
            both.headers_mut().insert("host", host.parse().unwrap());
            let (status, answer) = front.send(Http2, both).await;
            assert_eq!(status, StatusCode::OK, "{host}: {answer}");
            assert_eq!(front.calls()[0].head.headers["host"], host, "both came");
        }
    });
}

#[test]
fn a_host_beside_another_authority_is_refused() {
    run(async {
        let front = Front::new(layer()).await;
        for (authority, host) in [
            ("evil.example.org", HOST),
            (HOST, "evil.example.org"),
            ("files.example.org:8080", HOST),
            (HOST, "files.example.org:8080"),
        ] {
            // Whichever of the two was signed.
            for signed in [authority, host] {
                let mut request = get(&format!("http://{signed}/bucket/key"));
                *request.uri_mut() = format!("http://{authority}/bucket/key").parse().unwrap();
                request.headers_mut().insert("host", host.parse().unwrap());
                for version in [Http1, Http2] {
                    let (status, answer) = front.send(version, request.clone()).await;
                    assert_eq!(status, StatusCode::BAD_REQUEST, "{version:?} {authority} {host}: {answer}");
                    assert!(front.calls().is_empty());
                }
            }
        }
    });
}
