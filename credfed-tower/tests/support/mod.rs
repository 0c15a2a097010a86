//! What the tests of this crate share: requests signed by the `aws-sigv4` crate, real servers and raw upstreams.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used)]

pub mod chunked;
pub mod form;
pub mod log;
pub mod upstream;
pub mod wire;

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation,
    SigningSettings, UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::{v4, v4a};
use bytes::Bytes;
use credfed_core::{Clock, Secret};
use credfed_sigv4_verify::{Profile, Verifier};
use credfed_tower::{AllowVerified, StaticKeys, VerifySigV4Layer};
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tower::Service;

pub const ACCESS_KEY: &str = "AKIATESTKEY000000001";
pub const REGION: &str = "eu-west-1";

/// A secret of this process alone.
pub fn secret() -> &'static str {
    static SECRET: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    SECRET.get_or_init(|| {
        let seed = format!("{:?}", std::thread::current().id());
        Sha256::digest(format!("{seed}{}", std::process::id()))
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    })
}

/// 2026-11-20T12:00:00Z.
pub fn noon() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_176_000)
}

#[derive(Debug)]
pub struct FixedClock(pub SystemTime);

impl Clock for FixedClock {
    fn wall(&self) -> SystemTime {
        self.0
    }
}

pub fn verifier() -> Verifier {
    Verifier::builder().profile(Profile::S3).region(REGION).build().expect("a verifier")
}

pub fn keys() -> StaticKeys<&'static str> {
    StaticKeys::new().with_key(ACCESS_KEY, Secret::new(secret()), "alice")
}

pub fn layer() -> VerifySigV4Layer<StaticKeys<&'static str>, AllowVerified> {
    VerifySigV4Layer::new(verifier(), keys(), AllowVerified).clock(Arc::new(FixedClock(noon())))
}

pub fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// How a request is signed; the fields are what tests vary.
pub struct Signer {
    pub access_key: String,
    pub secret: String,
    pub token: Option<String>,
    pub region: String,
    /// Signs with SigV4A, for these regions.
    pub region_set: Option<String>,
    pub service: String,
    pub time: SystemTime,
    pub presign: Option<Duration>,
    /// Signs User-Agent, Transfer-Encoding and X-Amzn-Trace-Id too, which `aws-sigv4` leaves out by itself.
    pub leaves_nothing_out: bool,
    /// Of services other than S3: signs the path as it stands.
    pub keeps_path: bool,
}

impl Default for Signer {
    fn default() -> Self {
        Self {
            access_key: ACCESS_KEY.into(),
            secret: secret().into(),
            token: None,
            region: REGION.into(),
            region_set: None,
            service: "s3".into(),
            time: noon(),
            presign: None,
            leaves_nothing_out: false,
            keeps_path: false,
        }
    }
}

impl Signer {
    /// Signs `request` with `payload` as its declared payload; every header that is there gets signed.
    pub fn sign<B>(&self, mut request: Request<B>, payload: SignableBody<'_>) -> Request<B> {
        let identity =
            Credentials::new(&*self.access_key, &*self.secret, self.token.clone(), None, "test").into();
        let mut settings = SigningSettings::default();
        if self.service == "s3" {
            settings.percent_encoding_mode = PercentEncodingMode::Single;
            settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        }
        if self.keeps_path {
            settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        }
        if self.leaves_nothing_out {
            settings.excluded_headers = Some(vec!["authorization".into()]);
        }
        if let Some(expires) = self.presign {
            settings.signature_location = SignatureLocation::QueryParams;
            settings.payload_checksum_kind = PayloadChecksumKind::NoHeader;
            settings.expires_in = Some(expires);
        }
        let params = match &self.region_set {
            None => v4::SigningParams::builder()
                .identity(&identity)
                .region(&self.region)
                .name(&self.service)
                .time(self.time)
                .settings(settings)
                .build()
                .expect("parameters")
                .into(),
            Some(regions) => v4a::SigningParams::builder()
                .identity(&identity)
                .region_set(regions)
                .name(&self.service)
                .time(self.time)
                .settings(settings)
                .build()
                .expect("parameters")
                .into(),
        };
        let uri = request.uri().to_string();
        let instructions = {
            let headers =
                request.headers().iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap()));
            let signable =
                SignableRequest::new(request.method().as_str(), uri, headers, payload).expect("signable");
            sign(signable, &params).expect("signed").into_parts().0
        };
        instructions.apply_to_request_http1x(&mut request);
        request
    }
}

/// As an HTTP/1 client puts it on the wire: origin form and a Host header.
pub fn origin_form<B>(mut request: Request<B>) -> Request<B> {
    let host = request.uri().authority().expect("an authority").as_str().to_owned();
    let target = request.uri().path_and_query().expect("a target").clone();
    request.headers_mut().insert("host", host.parse().unwrap());
    *request.uri_mut() = target.as_str().parse().unwrap();
    request
}

/// Serves `service` on a loopback port, HTTP/1 and HTTP/2, until the test's runtime ends.
pub async fn serve<S, B>(service: S) -> SocketAddr
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Future: Send,
    S::Error: std::fmt::Debug,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = service.clone();
            tokio::spawn(async move {
                let handle = hyper::service::service_fn(move |request| {
                    let mut service = service.clone();
                    async move {
                        std::future::poll_fn(|cx| service.poll_ready(cx)).await.expect("ready");
                        Ok::<_, Infallible>(service.call(request).await.expect("an answer"))
                    }
                });
                let mut server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                // A client that has said all that it will is still answered.
                server.http1().half_close(true);
                let _ = server.serve_connection(TokioIo::new(stream), handle).await;
            });
        }
    });
    address
}

/// Runs a test on a runtime of its own. A hang is the harness's to end; nothing here waits for a clock.
pub fn run<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(test)
}
