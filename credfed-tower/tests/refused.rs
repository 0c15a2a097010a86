//! What has to be refused, through the layer on real connections, HTTP/1 and HTTP/2, by its number: the cases about the
//! head. Those about bodies: `chunked`, `held_back_body`, `framing`, `post_forms`; all of them on the verifier alone: the
//! tests of `credfed-sigv4-verify`, whose README has the index.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use aws_sigv4::http_request::SignableBody;
use bytes::Bytes;
use credfed_sigv4_verify::{KeyKind, ResolvedKey};
use credfed_tower::{AllowVerified, KeyRequest, ResolveError, Resolved, VerifySigV4Layer, keys_fn};
use http::{HeaderName, HeaderValue, Method, Request, Uri};
use support::upstream::Version::{Http1, Http2};
use support::wire::{Front, head_of};
use support::{ACCESS_KEY, FixedClock, REGION, Signer, layer, noon, origin_form, run, secret, verifier};

const URL: &str = "http://files.example.org/bucket/key";
const DAY: Duration = Duration::from_secs(86_400);

fn front() -> impl Future<Output = Front> {
    Front::new(layer())
}

/// A PUT signed with UNSIGNED-PAYLOAD.
fn signed_by(signer: &Signer) -> Request<Bytes> {
    let request = Request::put(URL).body(Bytes::from_static(b"data")).unwrap();
    signer.sign(request, SignableBody::UnsignedPayload)
}

fn signed() -> Request<Bytes> {
    signed_by(&Signer::default())
}

fn presigner() -> Signer {
    Signer { presign: Some(Duration::from_secs(600)), ..Signer::default() }
}

fn presigned() -> Request<Bytes> {
    signed_by(&presigner())
}

fn with(mut request: Request<Bytes>, name: &str, value: &str) -> Request<Bytes> {
    request.headers_mut().append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
    request
}

fn with_query(mut request: Request<Bytes>, change: impl FnOnce(&str) -> String) -> Request<Bytes> {
    let query = change(request.uri().query().unwrap_or_default());
    *request.uri_mut() = format!("http://files.example.org{}?{query}", request.uri().path()).parse().unwrap();
    request
}

fn authorization(request: &Request<Bytes>) -> String {
    request.headers()["authorization"].to_str().unwrap().to_owned()
}

fn with_authorization(mut request: Request<Bytes>, change: impl FnOnce(&str) -> String) -> Request<Bytes> {
    let changed = change(&authorization(&request));
    assert_ne!(changed, authorization(&request));
    request.headers_mut().insert("authorization", changed.parse().unwrap());
    request
}

/// Over both versions the answer has this status and code, and the inner service is not asked.
async fn refused(front: &Front, request: Request<Bytes>, (status, code): (u16, &str)) {
    for version in [Http1, Http2] {
        let (had, answer) = front.send(version, request.clone()).await;
        let what = format!("{version:?} {} {}", request.method(), request.uri());
        assert_eq!(had.as_u16(), status, "{what}: {answer}");
        assert!(answer.contains(&format!("<Code>{code}</Code>")), "{what}: {answer}");
        assert!(front.calls().is_empty(), "{what}");
    }
}

const MISMATCH: (u16, &str) = (403, "SignatureDoesNotMatch");
const TWO_CARRIERS: (u16, &str) = (400, "InvalidArgument");
const HEADER_MALFORMED: (u16, &str) = (400, "AuthorizationHeaderMalformed");
const QUERY_MALFORMED: (u16, &str) = (400, "AuthorizationQueryParametersError");
const NOT_SIGNED: (u16, &str) = (403, "AccessDenied");

#[test]
fn what_was_not_touched_is_accepted() {
    run(async {
        let front = front().await;
        for request in [signed(), presigned()] {
            for version in [Http1, Http2] {
                let (status, answer) = front.send(version, request.clone()).await;
                assert_eq!(status.as_u16(), 200, "{version:?}: {answer}");
                assert_eq!(front.calls()[0].body.as_deref(), Some(&b"data"[..]));
            }
        }
    });
}

#[test]
fn n01_n09_no_streaming_mode_goes_without_a_signature() {
    run(async {
        let front = front().await;
        for line in [
            "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
        ] {
            let body = Bytes::from_static(b"4\r\ndata\r\n0\r\nx-amz-checksum-crc32:rfPwZA==\r\n\r\n");
            let mut request = Request::put(URL)
                .header("x-amz-content-sha256", line)
                .header("x-amz-decoded-content-length", "4")
                .header("content-encoding", "aws-chunked");
            if line.ends_with("TRAILER") {
                request = request.header("x-amz-trailer", "x-amz-checksum-crc32");
            }
            let anonymous = request.body(body).unwrap();
            refused(&front, anonymous.clone(), NOT_SIGNED).await;
            // By a secret that is not the key's.
            let forger = Signer { secret: "another".into(), ..Signer::default() };
            let mut forged = forger.sign(anonymous, SignableBody::Precomputed(line.into()));
            forged.headers_mut().insert("x-amz-content-sha256", HeaderValue::from_static(line));
            refused(&front, forged, MISMATCH).await;
        }
    });
}

#[test]
fn n02_credentials_in_query_and_header_are_refused() {
    run(async {
        let front = front().await;
        let both = with(presigned(), "authorization", &authorization(&signed()));
        refused(&front, both, TWO_CARRIERS).await;
        let victim = format!("X-Amz-Credential={ACCESS_KEY}%2F20261120%2F{REGION}%2Fs3%2Faws4_request");
        refused(&front, with_query(signed(), |_| victim.clone()), TWO_CARRIERS).await;
        let mut alone = Request::put(URL).body(Bytes::new()).unwrap();
        alone = with_query(alone, |_| victim);
        refused(&front, alone, QUERY_MALFORMED).await;
    });
}

#[test]
fn n04_n05_headers_that_act_and_are_not_signed_are_refused() {
    run(async {
        let front = front().await;
        for (name, value) in [
            ("x-amz-acl", "public-read"),
            ("x-amz-copy-source", "/other/secret"),
            ("x-amz-meta-owner", "mallory"),
            ("x-amz-server-side-encryption", "aws:kms"),
            ("x-amz-server-side-encryption-customer-key", "a2V5"),
            ("x-amz-storage-class", "GLACIER"),
            ("x-amz-tagging", "a=b"),
        ] {
            refused(&front, with(presigned(), name, value), NOT_SIGNED).await;
            refused(&front, with(signed(), name, value), NOT_SIGNED).await;
        }
    });
}

#[test]
fn n06_a_presigned_url_beside_any_payload_header_is_refused() {
    run(async {
        let front = front().await;
        for line in [
            "UNSIGNED-PAYLOAD",
            "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
            "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD",
            "STREAMING-AWS4-HMAC-SHA256-EVENTS",
            &support::sha256_hex(b"data"),
        ] {
            refused(&front, with(presigned(), "x-amz-content-sha256", line), NOT_SIGNED).await;
        }
    });
}

#[test]
fn n07_n27_parameters_of_one_carrier_mean_nothing_in_the_other() {
    run(async {
        let front = front().await;
        let signature = authorization(&signed()).rsplit('=').next().unwrap().to_owned();
        for more in [
            format!("X-Amz-Signature={signature}"),
            "X-Amz-SignedHeaders=host%3Bx-amz-acl".to_owned(),
            "x-amz-signedheaders=host%3Bx-amz-acl".to_owned(),
        ] {
            let request = with_query(signed(), |_| more.clone());
            refused(&front, request.clone(), TWO_CARRIERS).await;
            refused(&front, with(request, "x-amz-acl", "public-read"), TWO_CARRIERS).await;
        }
    });
}

#[test]
fn n08_another_algorithm_is_refused() {
    run(async {
        let front = front().await;
        for algorithm in ["AWS4-HMAC-SHA1", "aws4-hmac-sha256", "AWS4-HMAC-SHA512"] {
            let other = with_authorization(signed(), |text| text.replace("AWS4-HMAC-SHA256", algorithm));
            refused(&front, other, (400, "InvalidRequest")).await;
            let other = with_query(presigned(), |query| query.replace("AWS4-HMAC-SHA256", algorithm));
            refused(&front, other, QUERY_MALFORMED).await;
        }
    });
}

#[test]
fn n13_a_scope_of_another_service_or_region_is_refused() {
    run(async {
        let front = front().await;
        for (service, region) in [("sts", REGION), ("s3-object-lambda", REGION), ("s3", "us-east-2")] {
            let signer = |signer: Signer| Signer { service: service.into(), region: region.into(), ..signer };
            refused(&front, signed_by(&signer(Signer::default())), HEADER_MALFORMED).await;
            refused(&front, signed_by(&signer(presigner())), QUERY_MALFORMED).await;
        }
    });
}

#[test]
fn n18_host_and_date_have_to_be_signed() {
    run(async {
        let front = front().await;
        for name in ["host;", ";x-amz-date"] {
            let fewer = with_authorization(signed(), |text| text.replacen(name, "", 1));
            refused(&front, fewer, NOT_SIGNED).await;
        }
    });
}

#[test]
fn n19_n20_outside_of_its_time_a_request_is_refused() {
    run(async {
        let front = front().await;
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        for time in [
            noon() - minutes(15) - Duration::from_secs(1),
            noon() + minutes(15) + Duration::from_secs(1),
            noon() + DAY,
        ] {
            let request = signed_by(&Signer { time, ..Signer::default() });
            refused(&front, request, (403, "RequestTimeTooSkewed")).await;
        }
        for time in
            [noon() - minutes(10) - Duration::from_secs(1), noon() + minutes(15) + Duration::from_secs(1)]
        {
            refused(&front, signed_by(&Signer { time, ..presigner() }), NOT_SIGNED).await;
        }
        let mut undated = signed();
        undated.headers_mut().insert("x-amz-date", "not-a-date".parse().unwrap());
        refused(&front, undated, HEADER_MALFORMED).await;
        for expires in ["0", "-1", "604801", "1.5", "%205", "18446744073709551616", "600&X-Amz-Expires=600"] {
            let request =
                with_query(presigned(), |query| query.replace("Expires=600", &format!("Expires={expires}")));
            refused(&front, request, QUERY_MALFORMED).await;
        }
    });
}

#[test]
fn n22_repeated_headers_are_refused() {
    run(async {
        let front = front().await;
        let token = Signer { token: Some("a/token".into()), ..Signer::default() };
        let request = signed_by(&token);
        for name in ["authorization", "x-amz-date", "x-amz-content-sha256", "x-amz-security-token"] {
            let again = request.headers()[name].to_str().unwrap().to_owned();
            refused(&front, with(request.clone(), name, &again), (400, "InvalidRequest")).await;
        }
        let request = Request::put(URL).header("x-other", "one").body(Bytes::new()).unwrap();
        let request = Signer::default().sign(request, SignableBody::UnsignedPayload);
        refused(&front, with(request, "x-other", "two"), MISMATCH).await;
        // Two of Host, on a bare socket: client libraries send one.
        let parts = origin_form(signed()).into_parts().0;
        for host in ["files.example.org", "evil.example.org"] {
            let mut message =
                head_of(&parts, "/bucket/key", &[("host", host.as_bytes()), ("content-length", b"4")]);
            message.extend_from_slice(b"data");
            let answer = front.raw(&message).await;
            assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
            assert!(front.calls().is_empty());
        }
    });
}

#[test]
fn n23_lists_of_signed_headers_are_read_strictly() {
    run(async {
        let front = front().await;
        for (from, to) in [
            ("=host;", "=;host;"),
            ("x-amz-date,", "x-amz-date;,"),
            ("=host;", "=host;;"),
            ("=host;", "=host; "),
        ] {
            let request = with_authorization(signed(), |text| text.replace(from, to));
            refused(&front, request, HEADER_MALFORMED).await;
        }
    });
}

#[test]
fn n24_token_and_key_have_to_belong_together() {
    run(async {
        let front = with_session().await;
        let token = |token: &str, signer: Signer| Signer { token: Some(token.into()), ..signer };
        let session = |signer: Signer| token("a/session+token==", signer);
        for signer in [Signer::default(), presigner()] {
            // A token of nobody, and none where the signature is a session's.
            refused(&front, signed_by(&token("another", signer)), (400, "InvalidToken")).await;
        }
        let request = signed_by(&session(Signer::default()));
        let mut without = request.clone();
        without.headers_mut().remove("x-amz-security-token");
        refused(&front, without, MISMATCH).await;
        // One in the header, another in the query.
        refused(&front, with_query(request, |_| "X-Amz-Security-Token=b".into()), TWO_CARRIERS).await;
        let request = signed_by(&session(presigner()));
        refused(&front, with(request, "x-amz-security-token", "b"), TWO_CARRIERS).await;
        // A static key alone.
        let front = Front::new(layer()).await;
        for signer in [session(Signer::default()), session(presigner())] {
            refused(&front, signed_by(&signer), (400, "InvalidToken")).await;
        }
    });
}

#[test]
fn n25_another_spelling_of_another_key_and_forwarded_hosts_are_refused() {
    run(async {
        let front = front().await;
        let request = Request::get("http://files.example.org/bucket/a%2520b").body(Bytes::new()).unwrap();
        let mut request = Signer::default().sign(request, SignableBody::UnsignedPayload);
        *request.uri_mut() = Uri::from_static("http://files.example.org/bucket/a%20b");
        refused(&front, request, MISMATCH).await;
        for name in ["x-forwarded-host", "forwarded", "x-original-host", "x-host"] {
            let mut request = with(signed(), name, "files.example.org");
            *request.uri_mut() = Uri::from_static("http://evil.example.org/bucket/key");
            refused(&front, request, MISMATCH).await;
        }
        for (name, value) in
            [("x-original-url", "/admin"), ("x-rewrite-url", "/admin"), ("x-http-method-override", "DELETE")]
        {
            for version in [Http1, Http2] {
                let (status, _) = front.send(version, with(signed(), name, value)).await;
                let call = front.calls().remove(0);
                assert_eq!(
                    (status.as_u16(), call.head.uri.path(), &call.head.method),
                    (200, "/bucket/key", &Method::PUT)
                );
            }
        }
    });
}

#[test]
fn n26_a_signed_header_is_not_read_from_the_query() {
    run(async {
        let front = front().await;
        let request = Request::put(URL).header("x-amz-acl", "private").body(Bytes::new()).unwrap();
        for signer in [Signer::default(), presigner()] {
            let mut request = signer.sign(request.clone(), SignableBody::UnsignedPayload);
            request.headers_mut().remove("x-amz-acl");
            refused(&front, with_query(request, |query| format!("{query}&x-amz-acl=private")), MISMATCH)
                .await;
        }
    });
}

/// A layer that knows a session beside the static key.
fn with_session() -> impl Future<Output = Front> {
    let keys = keys_fn(|request: KeyRequest<'_>| match request.session_token {
        None => Ok(Resolved::new(ResolvedKey::new(secret(), KeyKind::Static, 1), "alice")),
        Some("a/session+token==") => {
            Ok(Resolved::new(ResolvedKey::new(secret(), KeyKind::Temporary, 1), "bob")
                .not_after(noon() + DAY))
        }
        Some(_) => Err(ResolveError::Invalid),
    });
    Front::new(VerifySigV4Layer::new(verifier(), keys, AllowVerified).clock(Arc::new(FixedClock(noon()))))
}

#[test]
fn n31_a_presigned_url_is_for_its_method_and_resource() {
    run(async {
        let front = with_session().await;
        for token in [None, Some("a/session+token==".to_owned())] {
            let request = Request::get(URL).body(Bytes::new()).unwrap();
            let signer = Signer { token, ..presigner() };
            let request = signer.sign(request, SignableBody::UnsignedPayload);
            for method in [Method::HEAD, Method::PUT, Method::DELETE, Method::POST] {
                let mut other = request.clone();
                *other.method_mut() = method;
                for version in [Http1, Http2] {
                    let (status, _) = front.send(version, other.clone()).await;
                    assert_eq!(status.as_u16(), 403, "{version:?} {}", other.method());
                    assert!(front.calls().is_empty());
                }
            }
            for more in ["acl", "tagging", "versionId=1", "response-content-type=text%2Fhtml", "uploads"] {
                refused(&front, with_query(request.clone(), |query| format!("{query}&{more}")), MISMATCH)
                    .await;
            }
            for path in ["/bucket/other", "/bucket/", "/other/key"] {
                let mut other = request.clone();
                let target = format!("http://files.example.org{path}?{}", request.uri().query().unwrap());
                *other.uri_mut() = target.parse().unwrap();
                refused(&front, other, MISMATCH).await;
            }
            assert_eq!(front.send(Http2, request).await.0.as_u16(), 200);
            front.calls();
        }
    });
}

/// HTTP/2 has no such header: hyper takes it off on either side, so that nothing could be lost by it.
#[test]
fn n33_connection_may_not_name_what_the_signature_covers() {
    run(async {
        let front = front().await;
        let request = Request::put(URL).header("x-amz-copy-source", "/a/b").body(Bytes::new()).unwrap();
        let parts =
            origin_form(Signer::default().sign(request, SignableBody::UnsignedPayload)).into_parts().0;
        for value in ["x-amz-copy-source", "close, X-Amz-Copy-Source", "host", "x-amz-date", "x-amz-anything"]
        {
            let head =
                head_of(&parts, "/bucket/key", &[("connection", value.as_bytes()), ("content-length", b"0")]);
            let answer = front.raw(&head).await;
            assert!(answer.starts_with("HTTP/1.1 400 "), "{value}: {answer}");
            assert!(front.calls().is_empty(), "{value}");
        }
    });
}
