//! What only the server knows of a request: whom it came from, and over what (rules 8 and 10).

use std::net::IpAddr;

use http::request::Parts;
use ipnet::IpNet;

use crate::verifier::BuildError;

/// How a request came in. Whoever accepts the connection puts it into the request's extensions; no client can.
///
/// Needed by [`trusted_proxies`](crate::VerifierBuilder::trusted_proxies) and
/// [`UnsignedPayload::OverTls`](crate::UnsignedPayload::OverTls) alone. A request without it came from nobody who is
/// trusted, and not over TLS.
///
/// ```
/// use std::net::IpAddr;
/// use credfed_sigv4_verify::Connection;
///
/// # let peer = IpAddr::from([10, 0, 0, 7]);
/// # let mut request = http::Request::new(());
/// request.extensions_mut().insert(Connection::new(peer).over_tls());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connection {
    peer: IpAddr,
    is_tls: bool,
}

impl Connection {
    /// A connection of this peer, in clear text.
    pub fn new(peer: IpAddr) -> Self {
        Self { peer: peer.to_canonical(), is_tls: false }
    }

    /// The same over TLS; also where a trusted proxy in front ended it.
    #[must_use]
    pub fn over_tls(mut self) -> Self {
        self.is_tls = true;
        self
    }

    /// Whether the request in question came over TLS, as far as the server says.
    pub(crate) fn is_tls(parts: &Parts) -> bool {
        parts.extensions.get().is_some_and(|connection: &Self| connection.is_tls)
    }
}

/// Whose word on the host is taken.
#[derive(Debug, Clone, Default)]
pub(crate) struct TrustedProxies(Box<[IpNet]>);

impl TrustedProxies {
    pub(crate) fn parse<'a>(networks: impl IntoIterator<Item = &'a str>) -> Result<Self, BuildError> {
        let networks: Option<Box<[IpNet]>> = networks.into_iter().map(network).collect();
        match networks {
            Some(networks) if !networks.is_empty() => Ok(Self(networks)),
            _ => Err(BuildError::TrustedProxies),
        }
    }

    /// The host that a trusted peer forwards for, if it says so.
    pub(crate) fn forwarded_host<'a>(&self, parts: &'a Parts) -> Option<Forwarded<'a>> {
        if self.0.is_empty() {
            return None;
        }
        let peer = parts.extensions.get::<Connection>()?.peer;
        if !self.0.iter().any(|network| network.contains(&peer)) {
            return None;
        }
        let mut values = parts.headers.get_all("x-forwarded-host").iter();
        let host = values.next()?.as_bytes().trim_ascii();
        let is_one = values.next().is_none() && !host.is_empty() && host.iter().all(|&byte| is_host(byte));
        Some(Forwarded(is_one.then_some(host)))
    }
}

/// What stands in x-forwarded-host; `None` if it is not one host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Forwarded<'a>(pub(crate) Option<&'a [u8]>);

/// An address alone is a network of one. None is of IPv4 in the spelling of IPv6, which no peer has.
fn network(text: &str) -> Option<IpNet> {
    let network = text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
    network.filter(|network: &IpNet| network.addr().to_canonical() == network.addr())
}

/// A list of hosts, and whatever a proxy before the trusted one may have added, is no host.
fn is_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~:[]".contains(&byte)
}
