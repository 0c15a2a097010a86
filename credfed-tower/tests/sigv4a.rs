//! SigV4A through the layer on real connections: heads and chunks, accepted and refused, and what the inner service
//! learns of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use aws_sigv4::http_request::SignableBody;
use aws_sigv4::sign::v4a;
use bytes::Bytes;
use credfed_sigv4_verify::{Algorithm, Reason, Verifier};
use credfed_tower::{
    AccessRequest, AllowVerified, Caller, Denied, StripCredentials, VerifiedBody, VerifySigV4Layer,
};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use support::{
    ACCESS_KEY, FixedClock, REGION, Signer, keys, noon, origin_form, run, secret, serve, sha256_hex,
};
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};

const DATA: &[u8] = b"what the caller signed, and nothing else, is what the inner service reads";

fn verifier() -> Verifier {
    Verifier::builder().region(REGION).accept_sigv4a().build().unwrap()
}

fn signer() -> Signer {
    Signer { region_set: Some(format!("us-east-1,{REGION}")), ..Signer::default() }
}

/// A service that answers with what it sees: the caller, its headers, the body. `None` where it was not asked, or the
/// body failed.
async fn front(verifier: Verifier) -> SocketAddr {
    let layer = VerifySigV4Layer::new(verifier, keys(), AllowVerified).clock(Arc::new(FixedClock(noon())));
    let inner = service_fn(|request: Request<VerifiedBody<Incoming>>| async move {
        let caller = request.extensions().get::<Caller<&'static str>>().unwrap();
        let head = format!(
            "{} {:?} {:?} {:?} {:?} {:?}\n",
            caller.access_key_id(),
            caller.algorithm(),
            caller.region(),
            caller.region_set(),
            request.uri().query(),
            request.headers().keys().filter(|name| name.as_str().starts_with("x-amz-")).collect::<Vec<_>>(),
        );
        match request.into_body().collect().await {
            Ok(body) => Ok::<_, Infallible>(Response::new(Full::new(
                [head.as_bytes(), &body.to_bytes()].concat().into(),
            ))),
            Err(_) => Ok(Response::new(Full::new(Bytes::from_static(b"a body that failed")))),
        }
    });
    serve(ServiceBuilder::new().layer(layer).layer(StripCredentials::new()).service(inner)).await
}

async fn send(request: Request<Vec<Bytes>>) -> (StatusCode, String) {
    let (head, frames) = request.into_parts();
    let frames = futures::stream::iter(frames.into_iter().map(|data| Ok::<_, Infallible>(Frame::data(data))));
    let client = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
    let response =
        client.request(Request::from_parts(head, StreamBody::new(frames))).await.expect("an answer");
    let status = response.status();
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    (status, String::from_utf8_lossy(&body).into_owned())
}

fn put(front: SocketAddr) -> Request<Vec<Bytes>> {
    let request = Request::put(format!("http://{front}/bucket/a%20key")).body(vec![DATA.into()]).unwrap();
    signer().sign(request, SignableBody::Bytes(DATA))
}

/// Chunks of 20 bytes under a head of SigV4A, signed by aws-sigv4's own functions.
fn chunked(front: SocketAddr) -> Request<Vec<Bytes>> {
    let mode = "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD";
    let request = Request::put(format!("http://{front}/bucket/a%20key"))
        .header("content-encoding", "aws-chunked")
        .header("x-amz-decoded-content-length", DATA.len());
    let request = signer().sign(request.body(()).unwrap(), SignableBody::Precomputed(mode.into()));
    let authorization = request.headers()["authorization"].to_str().unwrap();
    let mut previous = authorization.rsplit('=').next().unwrap().to_owned();
    let key = v4a::generate_signing_key(ACCESS_KEY, secret());
    let nothing = sha256_hex(b"");
    let mut frames = Vec::new();
    for chunk in DATA.chunks(20).chain([&[][..]]) {
        let hash = sha256_hex(chunk);
        let text = format!(
            "AWS4-ECDSA-P256-SHA256-PAYLOAD\n20261120T120000Z\n20261120/s3/aws4_request\n{previous}\n{nothing}\n{hash}"
        );
        previous = v4a::calculate_signature(&key, text.as_bytes());
        let line = format!("{:x};chunk-signature={previous:*<144}\r\n", chunk.len());
        frames.extend([line.into(), Bytes::copy_from_slice(chunk), Bytes::from_static(b"\r\n")]);
    }
    request.map(|()| frames)
}

fn seen() -> String {
    format!(
        "{ACCESS_KEY} EcdsaP256Sha256 \"\" Some(\"us-east-1,{REGION}\") None []\n{}",
        String::from_utf8_lossy(DATA)
    )
}

#[track_caller]
fn assert_refused((status, answer): (StatusCode, String), expected: StatusCode, code: &str) {
    assert_eq!(status, expected, "{answer}");
    assert!(answer.contains(&format!("<Code>{code}</Code>")), "{answer}");
}

#[test]
fn what_was_signed_with_sigv4a_reaches_the_inner_service_without_its_credentials() {
    run(async {
        let front = front(verifier()).await;
        assert_eq!(send(put(front)).await, (StatusCode::OK, seen()));
        assert_eq!(send(chunked(front)).await, (StatusCode::OK, seen()));
        let presigned = Signer { presign: Some(Duration::from_secs(60)), ..signer() };
        let request = Request::put(format!("http://{front}/bucket/key")).body(vec![DATA.into()]).unwrap();
        let request = presigned.sign(request, SignableBody::UnsignedPayload);
        assert!(request.uri().query().unwrap().contains("X-Amz-Region-Set=us-east-1%2Ceu-west-1"));
        assert_eq!(send(request).await, (StatusCode::OK, seen()));
    });
}

#[test]
fn one_change_and_the_inner_service_gets_nothing() {
    run(async {
        let front = front(verifier()).await;
        let mut other = put(front);
        other.headers_mut().insert("x-amz-region-set", REGION.parse().unwrap());
        assert_refused(send(other).await, StatusCode::FORBIDDEN, "SignatureDoesNotMatch");
        let mut other = put(front);
        *other.uri_mut() = format!("http://{front}/bucket/other").parse().unwrap();
        assert_refused(send(other).await, StatusCode::FORBIDDEN, "SignatureDoesNotMatch");
        let mut other = put(front);
        other.body_mut()[0] = DATA.to_ascii_uppercase().into();
        assert_refused(send(other).await, StatusCode::BAD_REQUEST, "XAmzContentSHA256Mismatch");
        // The data of a chunk, and its signature's padding.
        let mut other = chunked(front);
        other.body_mut()[4] = other.body()[4].to_ascii_uppercase().into();
        assert_refused(send(other).await, StatusCode::FORBIDDEN, "SignatureDoesNotMatch");
        let mut other = chunked(front);
        let unpadded = String::from_utf8(other.body()[0].to_vec()).unwrap().replacen("\r\n", "*\r\n", 1);
        other.body_mut()[0] = unpadded.into();
        assert_refused(send(other).await, StatusCode::BAD_REQUEST, "IncompleteBody");
        // The last chunk left off.
        let mut other = chunked(front);
        let last = other.body().len() - 3;
        other.body_mut().truncate(last);
        assert_refused(send(other).await, StatusCode::BAD_REQUEST, "IncompleteBody");
    });
}

#[test]
fn other_regions_and_a_verifier_that_was_not_told_refuse() {
    run(async {
        let elsewhere =
            front(Verifier::builder().region("ap-south-1").accept_sigv4a().build().unwrap()).await;
        let refused = send(put(elsewhere)).await;
        assert!(refused.1.contains("<Region>ap-south-1</Region>"), "{}", refused.1);
        assert_refused(refused, StatusCode::BAD_REQUEST, "AuthorizationHeaderMalformed");
        let untold = front(support::verifier()).await;
        for request in [put(untold), chunked(untold)] {
            assert_refused(send(request).await, StatusCode::BAD_REQUEST, "InvalidRequest");
        }
    });
}

#[test]
fn an_authorizer_learns_the_regions_and_the_algorithm() {
    let authorize = |request: &AccessRequest<'_, &'static str>| {
        assert_eq!(request.algorithm(), Algorithm::EcdsaP256Sha256);
        match request.region_set() {
            Some(regions) if regions.split(',').any(|region| region == "*") => {
                Err(Denied::new("too many regions"))
            }
            _ => Ok(()),
        }
    };
    run(async {
        let layer = VerifySigV4Layer::new(verifier(), keys(), authorize).clock(Arc::new(FixedClock(noon())));
        let service = layer.layer(service_fn(|_: Request<VerifiedBody<Full<Bytes>>>| async {
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::new())))
        }));
        for (regions, expected) in [(REGION, None), ("*", Some(Reason::AccessDenied))] {
            let request =
                Request::get("http://example.com/bucket/key").body(Full::new(Bytes::new())).unwrap();
            let signer = Signer { region_set: Some(regions.into()), ..Signer::default() };
            let request = origin_form(signer.sign(request, SignableBody::Bytes(b"")));
            let response = service.clone().oneshot(request).await.unwrap();
            assert_eq!(response.extensions().get::<Reason>().cloned(), expected, "{regions}");
        }
    });
}
