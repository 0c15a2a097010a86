//! Where the inner service must see something else than what is on the wire: by rules that were loosened, or for a proxy
//! that is trusted.

use std::borrow::Cow;

use credfed_sigv4_verify::{Reason, SignedRequest};
use http::header::HOST;
use http::request::Parts;
use http::uri::{Authority, PathAndQuery};
use http::{HeaderValue, Uri};

/// What is to be changed of a head that was verified. Nothing, by default.
#[derive(Default)]
pub(super) struct Changes {
    /// The normal path, where the verifier was told to accept another one.
    path: Option<Box<str>>,
    /// The host that a trusted proxy told of: the one that was verified.
    host: Option<Box<str>>,
    /// Headers that passed unsigned: they end here.
    exempted: Vec<&'static str>,
}

impl Changes {
    pub(super) fn of(signed: &SignedRequest<'_>) -> Self {
        let path = match signed.normal_path() {
            Cow::Borrowed(_) => None,
            Cow::Owned(path) => Some(path.into()),
        };
        let host = signed.forwarded_host().map(|host| host.into_owned().into());
        Self { path, host, exempted: signed.exempted_headers().collect() }
    }

    pub(super) fn apply(self, parts: &mut Parts) -> Result<(), Reason> {
        let Self { path, host, exempted } = self;
        for name in exempted {
            parts.headers.remove(name);
        }
        if let Some(host) = &host {
            let value = HeaderValue::from_str(host).map_err(|_| Reason::Internal)?;
            parts.headers.insert(HOST, value);
        }
        if path.is_some() || host.is_some() && parts.uri.authority().is_some() {
            parts.uri = rewritten(&parts.uri, path.as_deref(), host.as_deref()).ok_or(Reason::Internal)?;
        }
        Ok(())
    }
}

fn rewritten(uri: &Uri, path: Option<&str>, host: Option<&str>) -> Option<Uri> {
    let mut parts = uri.clone().into_parts();
    if let Some(path) = path {
        let target = match uri.query() {
            Some(query) => PathAndQuery::try_from(format!("{path}?{query}")),
            None => PathAndQuery::try_from(path),
        };
        parts.path_and_query = Some(target.ok()?);
    }
    if let (Some(host), Some(_)) = (host, &parts.authority) {
        parts.authority = Some(Authority::try_from(host).ok()?);
    }
    Uri::from_parts(parts).ok()
}
