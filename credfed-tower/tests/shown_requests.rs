//! A client whose signature does not match may be shown what it should have signed, and no more.
#![allow(clippy::unwrap_used)]

mod support;

use std::convert::Infallible;
use std::sync::Arc;

use aws_sigv4::http_request::SignableBody;
use bytes::Bytes;
use credfed_core::Secret;
use credfed_sigv4_verify::{Profile, Verifier};
use credfed_tower::{AllowVerified, StaticKeys, VerifiedBody, VerifySigV4Layer};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use support::{ACCESS_KEY, FixedClock, Signer, keys, noon, origin_form, run, verifier};
use tower::{Layer, ServiceExt, service_fn};

type In = Full<Bytes>;
type Verifying = VerifySigV4Layer<StaticKeys<&'static str>, AllowVerified>;

fn layer(verifier: Verifier) -> Verifying {
    VerifySigV4Layer::new(verifier, keys(), AllowVerified).clock(Arc::new(FixedClock(noon())))
}

/// The answer, after the path was changed behind the signer's back.
async fn answer(layer: Verifying, signer: &Signer) -> String {
    let request = Request::get("https://files.example.org/bucket/key&more")
        .header("cookie", "cookie-of-the-client")
        .header("x-amz-meta-a", "<tag>")
        .body(In::default())
        .unwrap();
    let mut request = origin_form(signer.sign(request, SignableBody::Bytes(b"")));
    let changed = request.uri().to_string().replacen("more", "other", 1);
    *request.uri_mut() = changed.parse().unwrap();
    let inner = service_fn(async |_: Request<VerifiedBody<In>>| {
        Ok::<_, Infallible>(Response::new(In::new(Bytes::from_static(b"reached"))))
    });
    let response = layer.layer(inner).oneshot(request).await.unwrap();
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

#[test]
fn nothing_is_shown_unless_the_layer_says_so() {
    run(async {
        let answer = answer(layer(verifier()), &Signer::default()).await;
        assert!(answer.contains("<Code>SignatureDoesNotMatch</Code>"), "{answer}");
        assert!(!answer.contains("CanonicalRequest") && !answer.contains("cookie"), "{answer}");
    });
}

#[test]
fn the_canonical_request_is_shown_escaped_and_without_what_is_the_clients_own_secret() {
    run(async {
        let signer = Signer { token: Some("token-of-the-client".into()), ..Signer::default() };
        let answer = answer(layer(verifier()).shows_canonical_requests(), &signer).await;
        assert!(answer.contains("<CanonicalRequest>GET\n/bucket/key%26other\n"), "{answer}");
        assert!(answer.contains("cookie:&lt;redacted&gt;\n"), "{answer}");
        assert!(answer.contains("x-amz-security-token:&lt;redacted&gt;\n"), "{answer}");
        assert!(answer.contains("x-amz-meta-a:&lt;tag&gt;\n"), "{answer}");
        assert!(answer.contains("<StringToSign>AWS4-HMAC-SHA256\n"), "{answer}");
        assert!(!answer.contains("of-the-client"), "{answer}");
    });
}

#[test]
fn the_other_protocols_say_it_in_their_message() {
    run(async {
        let general =
            Verifier::builder().profile(Profile::General { normalize: true }).service("execute-api");
        let signer = Signer { service: "execute-api".into(), ..Signer::default() };
        let verifier = general.region(support::REGION).build().unwrap();
        let request = Request::get("https://files.example.org/a")
            .header("x-amz-content-sha256", support::sha256_hex(b""));
        let request = request.body(In::default()).unwrap();
        let mut request = origin_form(signer.sign(request, SignableBody::Bytes(b"")));
        *request.uri_mut() = "/b".parse().unwrap();
        let inner = service_fn(async |_: Request<VerifiedBody<In>>| {
            Ok::<_, Infallible>(Response::new(In::default()))
        });
        let response =
            layer(verifier).shows_canonical_requests().layer(inner).oneshot(request).await.unwrap();
        let answer = response.into_body().collect().await.unwrap().to_bytes();
        let answer = String::from_utf8(answer.to_vec()).unwrap();
        assert!(answer.contains("\"__type\":\"InvalidSignatureException\""), "{answer}");
        assert!(answer.contains(r"should have been\u000a'GET\u000a/b\u000a"), "{answer}");
    });
}

#[test]
fn other_refusals_show_nothing() {
    run(async {
        let stranger = StaticKeys::new().with_key("AKIAOTHER", Secret::new(support::secret()), "bob");
        let layer =
            VerifySigV4Layer::new(verifier(), stranger, AllowVerified).clock(Arc::new(FixedClock(noon())));
        let answer = answer(layer.shows_canonical_requests(), &Signer::default()).await;
        assert!(answer.contains("InvalidAccessKeyId") && !answer.contains("CanonicalRequest"), "{answer}");
        assert!(!answer.contains(ACCESS_KEY), "{answer}");
    });
}
