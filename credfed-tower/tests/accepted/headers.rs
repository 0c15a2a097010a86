//! Headers: what clients sign and what they leave unsigned, and how it is written.

use aws_sigv4::http_request::SignableBody;
use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode};

use super::support::wire::{Front, head_of};
use super::support::{Signer, layer, origin_form, run, sha256_hex};
use super::{Http2, VERSIONS, assert_ok, sign, url};

const BODY: &[u8] = b"signed";

/// A PUT whose every header is signed.
fn all_signed(headers: &[(&'static str, &str)]) -> Request<Bytes> {
    let mut request = Request::put(url("/bucket/key"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let signer = Signer { leaves_nothing_out: true, ..Signer::default() };
    let request = request.body(Bytes::from_static(BODY)).unwrap();
    let request = signer.sign(request, SignableBody::Precomputed(sha256_hex(BODY)));
    let list = request.headers()["authorization"].to_str().unwrap();
    assert!(headers.iter().all(|(name, _)| list.contains(name)), "{list}");
    request
}

#[test]
fn signed_expect_length_agent_and_sdk_headers_are_accepted() {
    run(async {
        let front = Front::new(layer()).await;
        let headers = [
            ("amz-sdk-invocation-id", "a1"),
            ("amz-sdk-request", "attempt=1; max=3"),
            ("content-length", "6"),
            ("expect", "100-continue"),
            ("user-agent", "aws-sdk-test/1.0"),
            ("x-amzn-trace-id", "Root=1-5759e988-bd862e3fe1be46a994272793"),
        ];
        let request = all_signed(&headers);
        let parts = origin_form(request.clone()).into_parts().0;
        let message = [head_of(&parts, "/bucket/key", &[]), BODY.to_vec()].concat();
        let answer = front.raw(&message).await;
        assert!(answer.contains("HTTP/1.1 200 "), "{answer}");
        let (status, answer) = front.send(Http2, request).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        let calls = front.calls();
        assert_eq!(calls.len(), 2);
        for call in calls {
            assert_eq!(call.body.as_deref(), Some(BODY));
            for (name, value) in headers {
                assert_eq!(call.head.headers[name], value);
            }
        }
    });
}

/// HTTP/2 has no such header.
#[test]
fn signed_transfer_encoding_is_accepted() {
    run(async {
        let front = Front::new(layer()).await;
        let request = all_signed(&[("transfer-encoding", "chunked")]);
        let parts = origin_form(request).into_parts().0;
        let body = format!("{:x}\r\nsigned\r\n0\r\n\r\n", BODY.len()).into_bytes();
        let answer = front.raw(&[head_of(&parts, "/bucket/key", &[]), body].concat()).await;
        assert_ok(&answer, "chunked");
        assert_eq!(front.calls()[0].body.as_deref(), Some(BODY));
    });
}

#[test]
fn headers_of_proxies_and_runtimes_need_not_be_signed() {
    run(async {
        let front = Front::new(layer()).await;
        let unsigned: [(&'static str, &[u8]); 7] = [
            ("content-type", b"text/plain"),
            ("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
            ("x-amzn-trace-id", b"Root=1-5759e988-bd862e3fe1be46a994272793"),
            ("x-forwarded-for", b"192.0.2.1"),
            ("x-forwarded-host", b"evil.example.org"),
            ("x-latin", b"caf\xe9"),
            ("x-utf8", "caf\u{e9}".as_bytes()),
        ];
        let signed = sign(Request::get(url("/bucket/key")));
        let parts = origin_form(signed.clone()).into_parts().0;
        assert_ok(&front.raw(&head_of(&parts, "/bucket/key", &unsigned)).await, "HTTP/1");
        let mut request = signed;
        for (name, value) in unsigned {
            request.headers_mut().append(name, HeaderValue::from_bytes(value).unwrap());
        }
        assert_eq!(front.send(Http2, request).await.0, StatusCode::OK);
        for call in front.calls() {
            assert_eq!(call.head.headers["x-latin"], HeaderValue::from_bytes(b"caf\xe9").unwrap());
        }
    });
}

#[test]
fn blanks_around_and_within_signed_values_are_folded() {
    run(async {
        let front = Front::new(layer()).await;
        let signed = sign(Request::get(url("/bucket/key")).header("x-amz-meta-note", "a b \"c d\""));
        let spaced = HeaderValue::from_static("  a \t b   \"c  d\"\t");
        let mut on_the_wire = signed.clone();
        on_the_wire.headers_mut().insert("x-amz-meta-note", spaced);
        let parts = origin_form(on_the_wire.clone()).into_parts().0;
        assert_ok(&front.raw(&head_of(&parts, "/bucket/key", &[])).await, "HTTP/1");
        assert_eq!(front.send(Http2, on_the_wire).await.0, StatusCode::OK);
        // A blank where none was signed is another value.
        let mut other = signed;
        other.headers_mut().insert("x-amz-meta-note", HeaderValue::from_static("a b \"c d \""));
        for version in VERSIONS {
            assert_eq!(front.send(version, other.clone()).await.0, StatusCode::FORBIDDEN);
        }
    });
}

#[test]
fn repeated_metadata_is_joined_in_the_order_of_arrival() {
    run(async {
        let front = Front::new(layer()).await;
        let request = |values: [&'static str; 3]| {
            values.into_iter().fold(Request::get(url("/bucket/key")), |request, value| {
                request.header("x-amz-meta-list", value)
            })
        };
        let signed = sign(request(["2", "1", "1,3"]));
        for version in VERSIONS {
            let (status, answer) = front.send(version, signed.clone()).await;
            assert_eq!(status, StatusCode::OK, "{version:?} {answer}");
            // One header that says all of it is the same.
            let mut joined = signed.clone();
            joined.headers_mut().insert("x-amz-meta-list", HeaderValue::from_static("2,1,1,3"));
            assert_eq!(front.send(version, joined).await.0, StatusCode::OK);
            let mut other = signed.clone();
            other.headers_mut().insert("x-amz-meta-list", HeaderValue::from_static("1"));
            other.headers_mut().append("x-amz-meta-list", HeaderValue::from_static("2"));
            other.headers_mut().append("x-amz-meta-list", HeaderValue::from_static("1,3"));
            assert_eq!(front.send(version, other).await.0, StatusCode::FORBIDDEN);
        }
    });
}

#[test]
fn authorization_is_accepted_as_clients_write_it() {
    run(async {
        let front = Front::new(layer()).await;
        let signed = sign(Request::get(url("/bucket/key")).header("range", "bytes=0-9"));
        let text = signed.headers()["authorization"].to_str().unwrap().to_owned();
        let names = text.split("SignedHeaders=").nth(1).unwrap().split(',').next().unwrap();
        for written in [
            text.replace(", ", ","),
            text.replace(", ", ",   "),
            text.replace(names, &names.to_uppercase()),
            text.replace(names, &names.replace("host", "Host")),
        ] {
            assert_ne!(written, text);
            let mut request = signed.clone();
            request.headers_mut().insert("authorization", written.parse().unwrap());
            for version in VERSIONS {
                let (status, answer) = front.send(version, request.clone()).await;
                assert_eq!(status, StatusCode::OK, "{version:?} {written}: {answer}");
            }
        }
    });
}

/// Names of headers in capitals, and no blank behind the colon: as old clients write them.
#[test]
fn names_of_headers_come_in_any_case() {
    run(async {
        let front = Front::new(layer()).await;
        let parts = origin_form(sign(Request::get(url("/bucket/key")))).into_parts().0;
        let mut head = "GET /bucket/key HTTP/1.1\r\nConnection:close\r\n".to_owned();
        for (name, value) in &parts.headers {
            head.push_str(&format!("{}:{}\r\n", name.as_str().to_uppercase(), value.to_str().unwrap()));
        }
        assert_ok(&front.raw(format!("{head}\r\n").as_bytes()).await, "capitals");
    });
}

/// RFC 9112, 5.2: a line that goes on in the next one. The library reads it as blanks; hyper refuses the message, so that
/// it never gets that far.
#[test]
fn a_folded_line_is_refused_by_the_http_server_before_us() {
    run(async {
        let front = Front::new(layer()).await;
        let signed = sign(Request::get(url("/bucket/key")).header("x-amz-meta-note", "a b"));
        let parts = origin_form(signed).into_parts().0;
        let head = head_of(&parts, "/bucket/key", &[]);
        assert_ok(&front.raw(&head).await, "in one line");
        front.calls();
        let text =
            String::from_utf8(head).unwrap().replace("x-amz-meta-note: a b", "x-amz-meta-note: a\r\n b");
        let answer = front.raw(text.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        assert!(front.calls().is_empty());
    });
}
