//! POST forms through the layer: on real hyper connections, and frame by frame where it matters how they are split.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use credfed_core::Secret;
use credfed_sigv4_verify::{Carrier, Limits, PostFault, PostObject, Reason, Verifier};
use credfed_tower::{
    AccessRequest, AllowVerified, Authorize, Caller, Denied, KeyRequest, ResolveError, ResolveKey, Resolved,
    StaticKeys, VerifiedBody, VerifySigV4Layer, path_style_bucket,
};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Body, Frame, Incoming};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use support::form::{BOUNDARY, FILE, Form, part};
use support::upstream::{self, Seen};
use support::{ACCESS_KEY, FixedClock, REGION, keys, noon, run, secret, serve, verifier};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tower::{Layer, Service, ServiceExt, service_fn};

type Keys = StaticKeys<&'static str>;

fn layer() -> VerifySigV4Layer<Keys, AllowVerified> {
    support::layer().accept_forms(path_style_bucket)
}

/// What the inner service was called with.
#[derive(Debug, Default, Clone)]
struct Call {
    method: Method,
    target: String,
    content: [Option<String>; 2],
    key: String,
    acl: Option<String>,
    carrier: Option<Carrier>,
    /// The whole body, or `None` where it did not come to its end.
    file: Option<Vec<u8>>,
}

type Calls = Arc<Mutex<Vec<Call>>>;

/// Reads the body to its end where `reads`, and answers 200 whatever happens.
async fn inner<B>(
    request: Request<VerifiedBody<B>>,
    calls: Calls,
    reads: bool,
) -> Result<Response<Full<Bytes>>, Infallible>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (parts, body) = request.into_parts();
    let header = |name| parts.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    let object = parts.extensions.get::<PostObject>().expect("an object");
    let mut call = Call {
        method: parts.method.clone(),
        target: parts.uri.to_string(),
        content: [header("content-length"), header("content-type")],
        key: object.key().into(),
        acl: object.field("acl").map(str::to_owned),
        carrier: parts.extensions.get::<Caller<&'static str>>().map(Caller::carrier),
        file: None,
    };
    if reads {
        call.file = body.collect().await.ok().map(|body| body.to_bytes().to_vec());
    } else {
        drop(body);
    }
    calls.lock().unwrap().push(call);
    Ok(Response::new(Full::from("stored")))
}

/// Sends `body` in `frames` through the layer, without a connection.
async fn in_frames(body: &[u8], size: usize, reads: bool) -> (StatusCode, Option<Reason>, Vec<Call>) {
    let calls = Calls::default();
    let told = Arc::clone(&calls);
    let service = layer().layer(service_fn(move |request| inner(request, Arc::clone(&told), reads)));
    let frames: Vec<_> = body
        .chunks(size)
        .map(|data| Ok::<_, Infallible>(Frame::data(Bytes::copy_from_slice(data))))
        .collect();
    let response =
        service.oneshot(request("/bucket", StreamBody::new(futures::stream::iter(frames)))).await.unwrap();
    let calls = calls.lock().unwrap().clone();
    (response.status(), response.extensions().get::<Reason>().cloned(), calls)
}

fn request<B>(target: &str, body: B) -> Request<B> {
    Request::post(target)
        .header("host", "s3.example.com")
        .header("content-type", format!("multipart/form-data; boundary={BOUNDARY}"))
        .body(body)
        .unwrap()
}

/// Serves the layer on a port, and keeps what its inner service saw.
async fn front<A: Authorize<&'static str>>(layer: VerifySigV4Layer<Keys, A>) -> (SocketAddr, Calls) {
    let calls = Calls::default();
    let told = Arc::clone(&calls);
    let service = layer.layer(service_fn(move |request: Request<VerifiedBody<Incoming>>| {
        inner(request, Arc::clone(&told), true)
    }));
    (serve(service).await, calls)
}

/// One HTTP/1 request on a bare socket; the answer up to the end of the connection.
async fn on_a_socket(front: SocketAddr, target: &str, headers: &str, body: &[u8]) -> String {
    let mut stream = TcpStream::connect(front).await.unwrap();
    let head = format!(
        "POST {target} HTTP/1.1\r\nhost: {front}\r\nconnection: close\r\n\
         content-type: multipart/form-data; boundary={BOUNDARY}\r\n{headers}\r\n"
    );
    // In one piece that the server reads at once: an answer before the last byte would be lost to a reset.
    let message = [head.as_bytes(), body].concat();
    assert!(message.len() < 8192, "{}", message.len());
    stream.write_all(&message).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

async fn with_length(front: SocketAddr, body: &[u8]) -> String {
    on_a_socket(front, "/bucket", &format!("content-length: {}\r\n", body.len()), body).await
}

fn chunked(body: &[u8], size: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for piece in body.chunks(size) {
        out.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        out.extend_from_slice(piece);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"0\r\n\r\n");
    out
}

#[track_caller]
fn refused(answer: &str, status: u16, code: &str) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    assert!(answer.contains(&format!("<Code>{code}</Code>")), "{answer}");
}

#[test]
fn the_inner_service_sees_the_file_the_key_and_the_covered_fields() {
    run(async {
        let (front, calls) = front(layer()).await;
        let body =
            Form::new().field("aCl", "private").condition(r#"{"acl":"private"}"#).size(0, FILE.len()).body();
        let answer = with_length(front, &body).await;
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("stored"), "{answer}");
        let calls = calls.lock().unwrap();
        let call = &calls[0];
        assert_eq!((&call.method, call.target.as_str()), (&Method::POST, "/bucket"));
        assert_eq!(call.content, [None, None]);
        assert_eq!(call.key, "user/photo.jpg");
        assert_eq!(call.acl.as_deref(), Some("private"));
        assert_eq!(call.carrier, Some(Carrier::PostForm));
        assert_eq!(call.file.as_deref(), Some(FILE));
    });
}

#[test]
fn a_form_without_a_content_length_is_accepted() {
    run(async {
        let (front, calls) = front(layer()).await;
        let body = Form::new().size(FILE.len(), FILE.len()).body();
        for size in [7, body.len()] {
            let headers = "transfer-encoding: chunked\r\n";
            let answer = on_a_socket(front, "/bucket/", headers, &chunked(&body, size)).await;
            assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        }
        assert!(calls.lock().unwrap().iter().all(|call| call.file.as_deref() == Some(FILE)));
    });
}

#[test]
fn a_form_over_http2_is_judged_as_over_http1() {
    run(async {
        let (front, calls) = front(layer()).await;
        let client = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
        for (form, status) in [
            (Form::new().size(1, 1000), StatusCode::OK),
            (Form::new().size(0, 5), StatusCode::BAD_REQUEST),
            (Form::new().size(1000, 2000), StatusCode::BAD_REQUEST),
        ] {
            let mut request = request(&format!("http://{front}/bucket"), Full::new(Bytes::from(form.body())));
            request.headers_mut().remove("host");
            assert_eq!(client.request(request).await.unwrap().status(), status);
        }
        let files: Vec<_> = calls.lock().unwrap().iter().map(|call| call.file.is_some()).collect();
        assert_eq!(files, [true, false, false]);
    });
}

#[test]
fn a_boundary_may_be_split_over_frames_anywhere() {
    run(async {
        let body = Form::new().size(FILE.len(), FILE.len()).body();
        for size in [1, 2, 3, 5, 17, 64, body.len()] {
            let (status, reason, calls) = in_frames(&body, size, true).await;
            assert_eq!((status, reason), (StatusCode::OK, None), "{size}");
            assert_eq!(calls[0].file.as_deref(), Some(FILE), "{size}");
        }
    });
}

#[test]
fn the_verdict_on_a_bad_form_does_not_depend_on_its_frames() {
    run(async {
        let cut = |mut form: Form, change: fn(&mut Form)| {
            change(&mut form);
            form.body()
        };
        for (body, reason) in [
            (Form::new().size(0, 5).body(), Reason::UploadTooLarge { most: 5 }),
            (Form::new().size(100, 500).body(), Reason::UploadTooSmall { least: 100 }),
            (cut(Form::new(), |form| form.last_boundary = false), Reason::IncompleteBody),
            (
                cut(Form::new(), |form| form.after_file = part("submit", "", "Upload")),
                Reason::PostForm(PostFault::AfterFile),
            ),
            (
                cut(Form::new(), |form| form.after_file = part("file", "; filename=\"b\"", "second")),
                Reason::PostForm(PostFault::AfterFile),
            ),
            (cut(Form::new(), |form| form.file = None), Reason::PostForm(PostFault::FileMissing)),
            (Form::new().field("acl", "private").body(), Reason::ExtraInputField("acl".into())),
            (
                Form::new().field("KEY", "user/b").body(),
                Reason::PostForm(PostFault::RepeatedField("key".into())),
            ),
            (b"no form at all".to_vec(), Reason::IncompleteBody),
            (Vec::new(), Reason::IncompleteBody),
        ] {
            for size in [1, 10, 10_000] {
                for reads in [true, false] {
                    let (status, told, calls) = in_frames(&body, size, reads).await;
                    assert_eq!(told, Some(reason.clone()), "{size} {reads}");
                    assert!(status.is_client_error());
                    assert!(calls.iter().all(|call| call.file.is_none()), "{reason:?} {size}");
                }
            }
        }
    });
}

/// Whatever the inner service answers: it let go of the file, and the client learns that the file is too small.
#[test]
fn an_answer_of_success_is_replaced_where_the_form_is_not_verified_to_its_end() {
    run(async {
        let body = Form::new().size(100, 500).body();
        let (status, reason, calls) = in_frames(&body, 50, false).await;
        assert_eq!((status, reason), (StatusCode::BAD_REQUEST, Some(Reason::UploadTooSmall { least: 100 })));
        assert_eq!(calls.len(), 1);
        let body = Form::new().body();
        assert_eq!(in_frames(&body, 50, false).await.0, StatusCode::OK);
    });
}

#[test]
fn on_a_connection_bad_forms_are_answered_as_s3_does() {
    run(async {
        let (front, calls) = front(layer()).await;
        refused(&with_length(front, &Form::new().size(0, 5).body()).await, 400, "EntityTooLarge");
        refused(&with_length(front, &Form::new().size(100, 500).body()).await, 400, "EntityTooSmall");
        let mut form = Form::new();
        form.last_boundary = false;
        refused(&with_length(front, &form.body()).await, 400, "IncompleteBody");
        let mut form = Form::new();
        form.after_file = part("submit", "", "Upload");
        refused(&with_length(front, &form.body()).await, 400, "MalformedPOSTRequest");
        let mut form = Form::new();
        form.file = None;
        refused(&with_length(front, &form.body()).await, 400, "IncorrectNumberOfFilesInPostRequest");
        let mut form = Form::new();
        form.secret = "another".into();
        refused(&with_length(front, &form.body()).await, 403, "SignatureDoesNotMatch");
        let mut form = Form::new();
        form.fields[0].1 = "other/${filename}".into();
        let answer = with_length(front, &form.body()).await;
        refused(&answer, 403, "AccessDenied");
        let told = "Invalid according to Policy: Policy Condition failed: [&quot;starts-with&quot;, &quot;$key&quot;, ...]";
        assert!(answer.contains(told), "{answer}");
        assert!(calls.lock().unwrap().iter().all(|call| call.file.is_none()));
    });
}

#[test]
fn a_message_that_ends_early_behind_the_last_boundary_is_incomplete() {
    run(async {
        let (front, calls) = front(layer()).await;
        let body = Form::new().body();
        let longer = format!("content-length: {}\r\n", body.len() + 1);
        refused(&on_a_socket(front, "/bucket", &longer, &body).await, 400, "IncompleteBody");
        let mut chunks = chunked(&body, 64);
        chunks.truncate(chunks.len() - 5);
        let answer = on_a_socket(front, "/bucket", "transfer-encoding: chunked\r\n", &chunks).await;
        refused(&answer, 400, "IncompleteBody");
        assert!(calls.lock().unwrap().iter().all(|call| call.file.is_none()));
    });
}

#[test]
fn an_epilogue_is_read_and_ignored() {
    run(async {
        for length in [2, 1000, 20_000] {
            let body = [Form::new().body(), vec![b'e'; length]].concat();
            for size in [1, 1000, 100_000] {
                let (status, _, calls) = in_frames(&body, size, true).await;
                assert_eq!(
                    (status, calls[0].file.as_deref()),
                    (StatusCode::OK, Some(FILE)),
                    "{length} {size}"
                );
            }
        }
    });
}

/// A resolver that counts how often it is asked.
struct Counting(Arc<AtomicUsize>, Keys);

impl ResolveKey for Counting {
    type Claims = &'static str;
    type Future = <Keys as ResolveKey>::Future;

    fn resolve(&self, request: KeyRequest<'_>) -> Self::Future {
        self.0.fetch_add(1, Ordering::Relaxed);
        self.1.resolve(request)
    }
}

#[test]
fn fields_are_bounded_before_any_key_is_looked_up() {
    run(async {
        let asked = Arc::new(AtomicUsize::new(0));
        let endless_head =
            format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{}", "n".repeat(1 << 20));
        let preamble = "p".repeat(1 << 20);
        let many: String = (0..200).map(|at| part(&format!("x-ignore-{at}"), "", "")).collect();
        let huge = Form::new().field("x-ignore-a", &"v".repeat(1 << 20)).body();
        let policy = part("policy", "", &"A".repeat(1 << 20));
        for body in
            [endless_head.into_bytes(), preamble.into_bytes(), many.into_bytes(), huge, policy.into_bytes()]
        {
            let counting = Counting(Arc::clone(&asked), keys());
            let service = VerifySigV4Layer::new(verifier(), counting, AllowVerified)
                .clock(Arc::new(FixedClock(noon())))
                .accept_forms(path_style_bucket)
                .layer(service_fn(|_: Request<VerifiedBody<Full<Bytes>>>| async {
                    Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
                }));
            let response = service.oneshot(request("/bucket", Full::new(Bytes::from(body)))).await.unwrap();
            let reason = response.extensions().get::<Reason>().cloned();
            assert!(matches!(reason, Some(Reason::LimitExceeded(_))), "{reason:?}");
            assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        }
        assert_eq!(asked.load(Ordering::Relaxed), 0);
    });
}

#[test]
fn a_huge_field_ends_the_connection_and_not_the_server() {
    run(async {
        let mut limits = Limits::default();
        limits.form_value_bytes = 500;
        let verifier = Verifier::builder().region(REGION).limits(limits).build().unwrap();
        let layer = VerifySigV4Layer::new(verifier, keys(), AllowVerified)
            .clock(Arc::new(FixedClock(noon())))
            .accept_forms(path_style_bucket);
        let (front, calls) = front(layer).await;
        let body = Form::new().field("x-ignore-a", &"v".repeat(501)).body();
        refused(&with_length(front, &body).await, 400, "MaxPostPreDataLengthExceededError");
        assert!(with_length(front, &Form::new().body()).await.starts_with("HTTP/1.1 200 "));
        assert_eq!(calls.lock().unwrap().len(), 1);
    });
}

#[test]
fn n07_a_form_beside_another_carrier_is_refused() {
    run(async {
        let (front, calls) = front(layer()).await;
        let body = Form::new().body();
        let length = format!("content-length: {}\r\n", body.len());
        let header = format!("{length}authorization: AWS4-HMAC-SHA256 Credential=x\r\n");
        let answer = on_a_socket(front, "/bucket", &header, &body).await;
        refused(&answer, 400, "InvalidArgument");
        assert!(answer.contains("Only one auth mechanism allowed"));
        let presigned = on_a_socket(front, "/bucket?X-Amz-Signature=0", &length, &body).await;
        refused(&presigned, 400, "InvalidArgument");
        let unsigned =
            on_a_socket(front, "/bucket", &format!("{length}x-amz-acl: public-read\r\n"), &body).await;
        refused(&unsigned, 403, "AccessDenied");
        assert!(unsigned.contains("<HeadersNotSigned>x-amz-acl</HeadersNotSigned>"), "{unsigned}");
        let query = on_a_socket(front, "/bucket?delete", &length, &body).await;
        refused(&query, 400, "MalformedPOSTRequest");
        assert!(calls.lock().unwrap().is_empty());
    });
}

#[test]
fn without_the_knob_and_beside_a_bucket_a_form_is_no_credential() {
    run(async {
        let body = Form::new().body();
        let length = format!("content-length: {}\r\n", body.len());
        let (closed, calls) = front(support::layer()).await;
        refused(&on_a_socket(closed, "/bucket", &length, &body).await, 403, "AccessDenied");
        assert!(calls.lock().unwrap().is_empty());
        let (open, calls) = front(layer()).await;
        for target in ["/", "/bucket/key", "//bucket", "/buck%65t"] {
            refused(&on_a_socket(open, target, &length, &body).await, 403, "AccessDenied");
        }
        refused(&on_a_socket(open, "/other", &length, &body).await, 403, "AccessDenied");
        assert!(calls.lock().unwrap().is_empty());
    });
}

#[test]
fn a_form_is_authorised_as_the_put_of_its_object() {
    run(async {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let tell = Arc::clone(&seen);
        let authorizer = move |request: &AccessRequest<'_, &'static str>| {
            let acl = request.effective_header("acl").map(|acl| acl.into_owned());
            assert!(request.post_object().is_some());
            tell.lock().unwrap().push((request.method().clone(), request.path().to_owned(), acl));
            assert_eq!((request.access_key_id(), *request.claims()), (ACCESS_KEY, "alice"));
            if request.path().contains("secret") { Err(Denied::new("not there")) } else { Ok(()) }
        };
        let layer = VerifySigV4Layer::new(verifier(), keys(), authorizer)
            .clock(Arc::new(FixedClock(noon())))
            .accept_forms(path_style_bucket);
        let (front, calls) = front(layer).await;
        let mut form = Form::new().field("acl", "private").condition(r#"{"acl":"private"}"#);
        form.fields[0].1 = "user/a b/ü?#/${filename}".into();
        assert!(with_length(front, &form.body()).await.starts_with("HTTP/1.1 200 "));
        form.fields[0].1 = "user/secret/${filename}".into();
        refused(&with_length(front, &form.body()).await, 403, "AccessDenied");
        let seen = seen.lock().unwrap();
        let path = "/bucket/user/a%20b/%C3%BC%3F%23/photo.jpg";
        assert_eq!(seen[0], (Method::PUT, path.into(), Some("private".into())));
        assert_eq!(calls.lock().unwrap().len(), 1);
    });
}

#[test]
fn an_unknown_key_is_refused_whatever_the_policy_says() {
    run(async {
        let nobody = StaticKeys::new().with_key("AKIAANOTHER", Secret::new(secret()), "bob");
        let layer = VerifySigV4Layer::new(verifier(), nobody, AllowVerified)
            .clock(Arc::new(FixedClock(noon())))
            .accept_forms(path_style_bucket);
        let (front, calls) = front(layer).await;
        refused(&with_length(front, &Form::new().body()).await, 403, "InvalidAccessKeyId");
        assert!(calls.lock().unwrap().is_empty());
    });
}

/// Forwards the file to a bare socket with the length that the client's form would have.
#[test]
fn an_upstream_never_has_the_whole_of_a_file_that_was_not_verified() {
    run(async {
        let mut unfinished = Form::new();
        unfinished.last_boundary = false;
        let mut second = Form::new();
        second.after_file = part("file", "; filename=\"b\"", "second");
        for (form, is_whole) in [
            (Form::new(), true),
            (Form::new().size(FILE.len() + 1, 1000), false),
            (unfinished, false),
            (second, false),
        ] {
            let (upstream, seen) = upstream::http1().await;
            let front = serve(layer().layer(service_fn(move |request| relay(request, upstream)))).await;
            let answer = with_length(front, &form.body()).await;
            let seen: Seen = seen.await.unwrap();
            assert_eq!(answer.starts_with("HTTP/1.1 200 "), is_whole, "{answer}");
            assert_eq!(seen.complete, is_whole);
            if is_whole {
                assert_eq!(seen.body, FILE);
            } else {
                assert!(seen.body.len() < FILE.len(), "{}", seen.body.len());
            }
        }
    });
}

async fn relay(
    request: Request<VerifiedBody<Incoming>>,
    upstream: SocketAddr,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let key = parts.extensions.get::<PostObject>().unwrap().key().to_owned();
    let put = Request::put(format!("http://{upstream}/bucket/{key}"))
        .header("content-length", FILE.len())
        .body(body)
        .unwrap();
    let client = Client::builder(TokioExecutor::new()).build_http();
    let status = match client.request(put).await {
        Ok(response) => response.status(),
        Err(_) => StatusCode::BAD_GATEWAY,
    };
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    Ok(response)
}

/// A resolver that cannot say.
#[derive(Clone, Copy)]
struct Down;

impl ResolveKey for Down {
    type Claims = &'static str;
    type Future = std::future::Ready<Result<Resolved<&'static str>, ResolveError>>;

    fn resolve(&self, _: KeyRequest<'_>) -> Self::Future {
        std::future::ready(Err(ResolveError::Unavailable))
    }
}

#[test]
fn a_resolver_that_is_down_is_not_the_clients_fault() {
    run(async {
        let mut service = VerifySigV4Layer::new(verifier(), Down, AllowVerified)
            .clock(Arc::new(FixedClock(noon())))
            .accept_forms(path_style_bucket)
            .layer(service_fn(|_: Request<VerifiedBody<Full<Bytes>>>| async {
                Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
            }));
        let body = Full::new(Bytes::from(Form::new().body()));
        let response = service.ready().await.unwrap().call(request("/bucket", body)).await.unwrap();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    });
}
