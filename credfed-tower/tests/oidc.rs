//! The discovery document and the key set, as a service.

#![allow(clippy::unwrap_used, reason = "only tests are here")]

use std::time::{Duration, SystemTime};

use credfed_core::VirtualRuntime;
use credfed_core::oidc::{
    Algorithm, AssertionClaims, Issuer, IssuerState, LocalSigner, TrustedIssuer, TrustedIssuers,
};
use credfed_core::transport::HttpTransport;
use credfed_tower::oidc::OidcDiscovery;
use futures::executor::block_on;
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use tower::ServiceExt;

const HOUR: Duration = Duration::from_secs(3600);

fn start() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

fn key() -> LocalSigner {
    LocalSigner::generate(Algorithm::Es256).unwrap()
}

fn issuer(url: &str, runtime: &VirtualRuntime) -> Issuer {
    Issuer::builder(url).state(IssuerState::new(key(), start())).runtime(runtime.clone()).build().unwrap()
}

fn ask(service: &OidcDiscovery, method: Method, uri: &str) -> (Response<()>, Vec<u8>) {
    let request = Request::builder().method(method).uri(uri).body(()).unwrap();
    let handled = service.handles(&request.clone().into_parts().0);
    let answer = block_on(service.clone().oneshot(request)).unwrap();
    assert_eq!(handled, answer.status() != StatusCode::NOT_FOUND);
    let (parts, body) = answer.into_parts();
    (Response::from_parts(parts, ()), block_on(body.collect()).unwrap().to_bytes().to_vec())
}

#[test]
fn both_documents_are_served_with_their_types_and_how_long_they_may_be_kept() {
    let runtime = VirtualRuntime::new(start());
    let issuer = issuer("https://id.example.com/tenant/", &runtime);
    let service = OidcDiscovery::new(issuer.clone()).max_age(Duration::from_secs(60));
    for (path, kind, document) in [
        ("/tenant/.well-known/openid-configuration", "application/json", issuer.discovery_document()),
        ("/tenant/.well-known/jwks.json", "application/jwk-set+json", issuer.jwks(start())),
    ] {
        for uri in [path.to_owned(), format!("{path}?a=b"), format!("https://id.example.com{path}")] {
            let (answer, body) = ask(&service, Method::GET, &uri);
            assert_eq!((answer.status(), &body[..]), (StatusCode::OK, &document[..]));
            assert_eq!(answer.headers()["content-type"], kind);
            assert_eq!(answer.headers()["cache-control"], "public, max-age=60");
            assert_eq!(answer.headers()["content-length"], document.len().to_string());
        }
        let (answer, body) = ask(&service, Method::HEAD, path);
        assert_eq!((answer.status(), body.len()), (StatusCode::OK, 0));
        assert_eq!(answer.headers()["content-length"], document.len().to_string());
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS, Method::PATCH] {
            let (answer, body) = ask(&service, method, path);
            assert_eq!((answer.status(), body.len()), (StatusCode::METHOD_NOT_ALLOWED, 0));
            assert_eq!(answer.headers()["allow"], "GET, HEAD");
        }
    }
    for path in [
        "/",
        "/.well-known/openid-configuration",
        "/.well-known/jwks.json",
        "/tenant/.well-known/openid-configuration/",
        "//tenant/.well-known/jwks.json",
        "/tenant/%2ewell-known/jwks.json",
        "/tenant/.well-known/JWKS.json",
    ] {
        assert_eq!(ask(&service, Method::GET, path).0.status(), StatusCode::NOT_FOUND, "{path}");
    }
}

#[test]
fn a_validator_that_discovers_the_service_accepts_its_assertions_while_keys_rotate() {
    let runtime = VirtualRuntime::new(start());
    let mut state = IssuerState::new(key(), start());
    let issuer = Issuer::builder("https://id.example.com").state(state.clone()).runtime(runtime.clone());
    let issuer = issuer.build().unwrap();
    let transport = HttpTransport::new(OidcDiscovery::new(issuer.clone()));
    let trusted = TrustedIssuer::builder("https://id.example.com").audience("sts").transport(transport);
    let issuers = TrustedIssuers::new([trusted.runtime(runtime.clone()).build().unwrap()]).unwrap();
    for minute in 0..240 {
        if minute % 60 == 30 {
            state.rotate(key(), issuer.now(), HOUR / 2, HOUR / 4).unwrap();
            issuer.reload(state.to_text().unwrap().expose()).unwrap();
        }
        let now = issuer.now();
        let assertion = block_on(issuer.sign(&AssertionClaims::new("gateway", "sts"), now)).unwrap();
        let verdict = runtime.block_on(issuers.validate(assertion.value().expose(), now)).unwrap();
        assert_eq!(verdict.unwrap().subject(), "gateway", "minute {minute}");
        runtime.advance(Duration::from_secs(60));
    }
}
