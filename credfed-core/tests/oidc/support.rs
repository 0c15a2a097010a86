//! An identity provider that says whatever a test wants, keys to sign it with, and a validator that trusts it.

#![allow(dead_code, reason = "each file uses its own")]

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
    RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair, RsaPublicKeyComponents,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use credfed_core::VirtualRuntime;
use credfed_core::oidc::{JwtError, TrustedIssuer, TrustedIssuerBuilder, TrustedIssuers, ValidatedToken};
use credfed_core::transport::HttpTransport;
use http_body_util::Full;
use serde_json::{Value, json};
use tower_service::Service;

pub(crate) const ISSUER: &str = "https://id.example.com";
pub(crate) const AUDIENCE: &str = "sts.example.com";
pub(crate) const NOW: u64 = 1_800_000_000;

pub(crate) fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

pub(crate) fn now() -> SystemTime {
    at(NOW)
}

pub(crate) fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A key of the identity provider's.
pub(crate) enum Key {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl Key {
    pub(crate) fn rsa() -> &'static Self {
        static KEY: OnceLock<Key> = OnceLock::new();
        KEY.get_or_init(Self::new_rsa)
    }

    pub(crate) fn other_rsa() -> &'static Self {
        static KEY: OnceLock<Key> = OnceLock::new();
        KEY.get_or_init(Self::new_rsa)
    }

    pub(crate) fn p256() -> &'static Self {
        static KEY: OnceLock<Key> = OnceLock::new();
        KEY.get_or_init(Self::new_p256)
    }

    pub(crate) fn p384() -> &'static Self {
        static KEY: OnceLock<Key> = OnceLock::new();
        KEY.get_or_init(|| Self::P384(EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap()))
    }

    pub(crate) fn ed25519() -> &'static Self {
        static KEY: OnceLock<Key> = OnceLock::new();
        KEY.get_or_init(|| Self::Ed25519(Ed25519KeyPair::generate().unwrap()))
    }

    pub(crate) fn new_rsa() -> Self {
        Self::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap())
    }

    pub(crate) fn new_p256() -> Self {
        Self::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    /// Its own algorithm: the first that it can sign with.
    pub(crate) fn algorithm(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "RS256",
            Self::P256(_) => "ES256",
            Self::P384(_) => "ES384",
            Self::Ed25519(_) => "EdDSA",
        }
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(_) => self.sign_rsa(&RSA_PKCS1_SHA256, message),
            Self::P256(key) | Self::P384(key) => key.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::Ed25519(key) => key.sign(message).as_ref().to_vec(),
        }
    }

    pub(crate) fn sign_pss(&self, message: &[u8]) -> Vec<u8> {
        self.sign_rsa(&RSA_PSS_SHA256, message)
    }

    fn sign_rsa(&self, encoding: &'static dyn RsaEncoding, message: &[u8]) -> Vec<u8> {
        let Self::Rsa(key) = self else { panic!("not an rsa key") };
        let mut signature = vec![0; key.public_modulus_len()];
        key.sign(encoding, &SystemRandom::new(), message, &mut signature).unwrap();
        signature
    }

    /// As it stands in a key set, without `alg`.
    pub(crate) fn jwk(&self, kid: &str) -> Value {
        let point = |key: &EcdsaKeyPair, curve: &str| {
            let (x, y) = key.public_key().as_ref()[1..].split_at(key.public_key().as_ref().len() / 2);
            json!({"kty": "EC", "crv": curve, "x": b64(x), "y": b64(y), "kid": kid})
        };
        match self {
            Self::Rsa(key) => {
                let public = RsaPublicKeyComponents::<Vec<u8>>::from(key.public_key());
                json!({"kty": "RSA", "n": b64(public.n), "e": b64(public.e), "kid": kid})
            }
            Self::P256(key) => point(key, "P-256"),
            Self::P384(key) => point(key, "P-384"),
            Self::Ed25519(key) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": b64(key.public_key()), "kid": kid})
            }
        }
    }

    /// A good token of the standard claims.
    pub(crate) fn token(&self, kid: &str) -> String {
        self.token_of(&json!({"alg": self.algorithm(), "kid": kid, "typ": "JWT"}), &claims())
    }

    pub(crate) fn token_of(&self, header: &Value, payload: &Value) -> String {
        self.token_of_text(&header.to_string(), &payload.to_string())
    }

    pub(crate) fn token_of_text(&self, header: &str, payload: &str) -> String {
        let input = format!("{}.{}", b64(header), b64(payload));
        format!("{input}.{}", b64(self.sign(input.as_bytes())))
    }
}

pub(crate) fn claims() -> Value {
    json!({"iss": ISSUER, "sub": "caller", "aud": AUDIENCE, "iat": NOW, "nbf": NOW, "exp": NOW + 600, "jti": "1"})
}

/// The standard claims with one of them changed, or taken out.
pub(crate) fn claims_with(name: &str, value: Option<Value>) -> Value {
    let mut claims = claims();
    let object = claims.as_object_mut().unwrap();
    match value {
        Some(value) => object.insert(name.into(), value),
        None => object.remove(name),
    };
    claims
}

pub(crate) fn jwks(keys: &[Value]) -> String {
    json!({ "keys": keys }).to_string()
}

/// All kinds of keys, each named after itself.
pub(crate) fn all_keys() -> String {
    jwks(&[
        Key::rsa().jwk("rsa"),
        Key::p256().jwk("p256"),
        Key::p384().jwk("p384"),
        Key::ed25519().jwk("ed25519"),
    ])
}

pub(crate) fn trusted(keys: &str) -> TrustedIssuerBuilder {
    TrustedIssuer::builder(ISSUER).audience(AUDIENCE).jwks(keys)
}

pub(crate) fn issuers(issuer: TrustedIssuerBuilder) -> TrustedIssuers {
    TrustedIssuers::new([issuer.build().unwrap()]).unwrap()
}

/// Decides where nothing has to be waited for.
pub(crate) fn judge(issuers: &TrustedIssuers, token: &str) -> Result<ValidatedToken, JwtError> {
    futures::executor::block_on(issuers.validate(token, now()))
}

pub(crate) fn refusal(issuers: &TrustedIssuers, token: &str) -> JwtError {
    judge(issuers, token).expect_err("accepted")
}

/// An HTTP server in memory: what it answers is set by path, and requests are counted.
#[derive(Clone, Default)]
pub(crate) struct Web {
    pages: Arc<Mutex<HashMap<String, Page>>>,
    seen: Arc<Mutex<Vec<String>>>,
    requests: Arc<AtomicUsize>,
}

#[derive(Clone)]
struct Page {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl Web {
    /// Serves a discovery document, and these keys.
    pub(crate) fn with_keys(keys: &str) -> Self {
        let web = Self::default();
        web.page("/.well-known/openid-configuration", &[], &discovery(&format!("{ISSUER}/keys")));
        web.page("/keys", &[], keys);
        web
    }

    pub(crate) fn page(&self, path: &str, headers: &[(&'static str, &str)], body: &str) {
        let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let page = Page { status: 200, headers, body: body.to_owned() };
        self.pages.lock().unwrap().insert(path.to_owned(), page);
    }

    /// From now on answers this status, whatever is asked.
    pub(crate) fn fails(&self, path: &str, status: u16) {
        let page = Page { status, headers: Vec::new(), body: String::new() };
        self.pages.lock().unwrap().insert(path.to_owned(), page);
    }

    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    /// How often a path was asked for.
    pub(crate) fn asked(&self, path: &str) -> usize {
        self.seen.lock().unwrap().iter().filter(|seen| *seen == path).count()
    }

    pub(crate) fn transport(&self) -> HttpTransport {
        HttpTransport::new(self.clone())
    }

    /// The issuer, trusted by discovery on a clock of the test's own.
    pub(crate) fn trusted(&self, runtime: &VirtualRuntime) -> TrustedIssuerBuilder {
        TrustedIssuer::builder(ISSUER).audience(AUDIENCE).transport(self.transport()).runtime(runtime.clone())
    }
}

pub(crate) fn discovery(jwks_uri: &str) -> String {
    json!({"issuer": ISSUER, "jwks_uri": jwks_uri}).to_string()
}

impl Service<http::Request<Bytes>> for Web {
    type Response = http::Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Bytes>) -> Self::Future {
        self.requests.fetch_add(1, Ordering::SeqCst);
        self.seen.lock().unwrap().push(request.uri().path().to_owned());
        let page = self.pages.lock().unwrap().get(request.uri().path()).cloned();
        let answer = match page {
            Some(page) => {
                let mut answer = http::Response::builder().status(page.status);
                for (name, value) in &page.headers {
                    answer = answer.header(*name, value);
                }
                answer.body(Full::from(page.body)).unwrap()
            }
            None => http::Response::builder().status(404).body(Full::default()).unwrap(),
        };
        ready(Ok(answer))
    }
}
