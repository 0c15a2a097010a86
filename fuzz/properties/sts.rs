//! What holds for every request to STS. Run by the fuzzer, and by `cargo test` over the corpus that is checked in.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use credfed_core::keyring::{KeyRing, SharedKeyRing};
use credfed_core::session::SealedSessions;
use credfed_core::{Clock, Secret};
use credfed_tower::sts::{Account, IssuerFacts, Role, RoleTable, StsService, Trust};
use credfed_tower::{ByShape, SealedSessionResolver, StaticKeys};
use futures::executor::block_on;
use http::Request;
use http_body_util::{BodyExt, Full};
use tower_service::Service;

const KEY: &str = "AKIAFUZZ";

static SECRET: LazyLock<String> = LazyLock::new(|| RandomState::new().hash_one(KEY).to_string());

static STS: LazyLock<StsService> = LazyLock::new(|| service().expect("a service"));

#[derive(Debug)]
struct Noon;

impl Clock for Noon {
    fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_176_000)
    }
}

/// Input: a byte of choices (GET, POST, HEAD, PUT; whether it is signed), then lines: the query, the content type,
/// and the body, which takes the rest.
pub(crate) fn sts_form(data: &[u8]) {
    let Some((choices, rest)) = data.split_first() else { return };
    let mut lines = rest.splitn(3, |&byte| byte == b'\n');
    let mut line = || lines.next().unwrap_or_default();
    let (query, content_type, body) = (line(), line(), line());
    let uri = match query {
        b"" => b"http://sts.example.org/".to_vec(),
        query => [b"http://sts.example.org/?", query].concat(),
    };
    let method = ["POST", "GET", "HEAD", "PUT"][usize::from(choices & 3)];
    let mut request = Request::builder().method(method).uri(uri).header("host", "sts.example.org");
    if !content_type.is_empty() {
        request = request.header("content-type", content_type);
    }
    let Ok(mut request) = request.body(Full::new(Bytes::copy_from_slice(body))) else { return };
    let is_signed = choices & 4 != 0;
    if is_signed && signed(&mut request, body).is_none() {
        return;
    }
    let (parts, full) = request.into_parts();
    StsService::handles(&parts);
    // Without what follows a `#`, which no client sends and the URI does not keep.
    let query = parts.uri.query().unwrap_or_default().to_owned();

    let answer =
        block_on(STS.clone().call(Request::from_parts(parts, full))).unwrap_or_else(|never| match never {});
    let status = answer.status().as_u16();
    let xml = block_on(answer.into_body().collect()).unwrap_or_else(|never| match never {}).to_bytes();
    assert!([200, 400, 403, 405, 413, 501].contains(&status), "{status}");
    assert_eq!(xml.is_empty(), method == "HEAD");
    if status == 200 {
        assert!(is_signed, "nobody signed it, and no issuer is known");
        assert!(query.is_empty() || body.is_empty(), "parameters come from one place");
        assert!(come_once(if body.is_empty() { query.as_bytes() } else { body }), "parameters come once");
        assert!(method == "GET" || method == "POST");
    }
}

fn service() -> Result<StsService, Box<dyn std::error::Error>> {
    let ring = KeyRing::generate(Noon.wall() - Duration::from_secs(60))?;
    let sessions = SealedSessions::new("https://sts.example.org", SharedKeyRing::new(ring));
    let keys = ByShape::new()
        .static_keys(StaticKeys::new().with_key(KEY, Secret::new(SECRET.as_str()), "alice"))?
        .sealed(SealedSessionResolver::new(sessions.clone()));
    let account = Account::new("123456789012")?;
    let trust = Trust::principals().principal(account.user_arn("alice")).allow_tags().allow_source_identity();
    let roles = RoleTable::new([Role::new(&account, "r")?.trust(trust)], &IssuerFacts::new())?;
    Ok(StsService::builder(account, sessions, keys).roles(roles).clock(Arc::new(Noon)).build()?)
}

fn signed(request: &mut Request<Full<Bytes>>, body: &[u8]) -> Option<()> {
    let identity = Credentials::new(KEY, SECRET.as_str(), None, None, "fuzz").into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region("us-east-1")
        .name("sts")
        .time(Noon.wall())
        .settings(SigningSettings::default())
        .build()
        .ok()?
        .into();
    let instructions = {
        let headers =
            request.headers().iter().map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
        let headers: Vec<_> = headers.collect::<Option<_>>()?;
        let uri = request.uri().to_string();
        let method = request.method().as_str();
        let signable =
            SignableRequest::new(method, uri, headers.into_iter(), SignableBody::Bytes(body)).ok()?;
        sign(signable, &params).ok()?.into_parts().0
    };
    instructions.apply_to_request_http1x(request);
    Some(())
}

/// Whether no name occurs twice, read in the plainest way.
fn come_once(parameters: &[u8]) -> bool {
    let mut names = BTreeSet::new();
    let mut pairs = parameters.split(|&byte| byte == b'&').filter(|pair| !pair.is_empty());
    pairs.all(|pair| {
        let name = pair.split(|&byte| byte == b'=').next().unwrap_or_default();
        names.insert(percent_encoding::percent_decode(name).collect::<Vec<u8>>())
    })
}
