//! Which bucket the URL of a form names, in virtual-hosted style.

use std::fmt;
use std::net::Ipv6Addr;
use std::sync::Arc;

use http::header::HOST;
use http::request::Parts;

use super::{is_plain, path_style_bucket};

/// Reads the bucket of a form from the host that it was sent to: `bucket` of `bucket.s3.example.com` where
/// `s3.example.com` is among `domains`. For [`VerifySigV4Layer::accept_forms`](super::super::VerifySigV4Layer::accept_forms).
///
/// The host is Host, or `:authority` where that is missing; case and port make no difference. Below a domain:
/// - the path is `/`, or the URL names an object and the request is no form;
/// - the bucket is what stands before the domain, in lower case. It may have dots: of several domains that fit the
///   longest counts, whole labels only, and a domain that is the host itself before all.
///
/// A host with a dot at its end is not one of a bucket, and neither is what is no host at all. Any other host (a domain itself, an address, `[::1]:9000`)
/// takes [`path_style_bucket`].
///
/// Where a proxy rewrites Host the bucket is lost: only path style works then.
///
/// ```
/// use credfed_tower::virtual_hosted_bucket;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let bucket = virtual_hosted_bucket(["s3.example.com"])?;
/// let parts = |host: &str, path: &str| {
///     http::Request::post(path).header("host", host).body(()).map(|request| request.into_parts().0)
/// };
/// assert_eq!(bucket(&parts("photos.s3.example.com:9000", "/")?).as_deref(), Some("photos"));
/// assert_eq!(bucket(&parts("s3.example.com", "/photos")?).as_deref(), Some("photos"));
/// assert_eq!(bucket(&parts("photos.s3.example.com", "/key")?), None);
/// # Ok(()) }
/// ```
///
/// # Errors
/// A domain that no host can lie below: empty, an address, or with a port, a scheme or an empty label.
pub fn virtual_hosted_bucket<D: AsRef<str>>(
    domains: impl IntoIterator<Item = D>,
) -> Result<impl Fn(&Parts) -> Option<Box<str>> + Clone + Send + Sync + 'static, InvalidDomain> {
    let domains = domains.into_iter().map(|domain| checked(domain.as_ref()));
    let domains: Arc<[Box<str>]> = domains.collect::<Result<Vec<_>, _>>()?.into();
    Ok(move |parts: &Parts| match place(&domains, parts) {
        Place::Below(bucket) if parts.uri.path() == "/" => bucket,
        Place::Below(_) => None,
        Place::Elsewhere => path_style_bucket(parts),
    })
}

/// A domain that [`virtual_hosted_bucket`] can find no bucket below.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct InvalidDomain;

impl fmt::Display for InvalidDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no domain name: write it without scheme and port, such as s3.example.com")
    }
}

impl std::error::Error for InvalidDomain {}

/// Where a host lies.
enum Place {
    /// Below a domain; `None` where what stands before it is no bucket.
    Below(Option<Box<str>>),
    Elsewhere,
}

fn place(domains: &[Box<str>], parts: &Parts) -> Place {
    let host = match (parts.headers.get(HOST), parts.uri.authority()) {
        (Some(host), _) => host.as_bytes(),
        (None, Some(authority)) => authority.as_str().as_bytes(),
        (None, None) => return Place::Elsewhere,
    };
    let Ok(host) = str::from_utf8(host.trim_ascii()) else { return Place::Below(None) };
    let host = host.to_ascii_lowercase();
    if is_ipv6(&host) {
        return Place::Elsewhere;
    }
    // What is neither an address nor a name may be read as below a domain by others: it has no bucket.
    let Some(name) = without_port(&host).filter(|name| is_name(name.strip_suffix('.').unwrap_or(name)))
    else {
        return Place::Below(None);
    };
    if domains.iter().any(|domain| **domain == *name) {
        return Place::Elsewhere;
    }
    // How long the longest domain is that the name lies below.
    let above = |name: &str| {
        let below = |domain: &str| name.strip_suffix(domain).is_some_and(|before| before.ends_with('.'));
        domains.iter().filter(|domain| below(domain)).map(|domain| domain.len()).max()
    };
    match above(name) {
        Some(domain) => {
            let bucket = &name[..name.len() - domain - 1];
            Place::Below(is_name(bucket).then(|| bucket.into()))
        }
        None if name.strip_suffix('.').is_some_and(|name| above(name).is_some()) => Place::Below(None),
        None => Place::Elsewhere,
    }
}

/// In brackets, with a port or without.
fn is_ipv6(host: &str) -> bool {
    let address = without_port(host).unwrap_or(host);
    let inside = |text: &str| Some(text.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().is_ok());
    [address, host].into_iter().any(|text| inside(text) == Some(true))
}

/// `None` where what stands behind the colon is no port.
fn without_port(host: &str) -> Option<&str> {
    match host.rsplit_once(':') {
        Some((name, port)) => port.bytes().all(|byte| byte.is_ascii_digit()).then_some(name),
        None => Some(host),
    }
}

/// Labels with a dot between them, none empty.
fn is_name(name: &str) -> bool {
    name.split('.').all(|label| !label.is_empty() && label.bytes().all(is_plain))
}

fn checked(domain: &str) -> Result<Box<str>, InvalidDomain> {
    let is_address = domain.parse::<std::net::IpAddr>().is_ok();
    if is_name(domain) && !is_address { Ok(domain.to_ascii_lowercase().into()) } else { Err(InvalidDomain) }
}
