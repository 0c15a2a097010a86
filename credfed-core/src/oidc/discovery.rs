//! Where an issuer's documents are, and what its discovery document must say.

use std::net::IpAddr;

use url::{Host, Url};

use super::json::Object;
use crate::ProviderError;
use crate::transport::Reach;

/// The longest discovery document, in bytes.
pub(crate) const LONGEST: usize = 64 * 1024;

/// Where an issuer may be: which schemes and addresses are good for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Network {
    /// On the public internet: https, and public addresses only.
    #[default]
    Public,
    /// On a private network: https, and private addresses (RFC 1918, RFC 6598, RFC 4193) for the origin that is
    /// configured, host and port. What its discovery document points to elsewhere must be public. Loopback,
    /// link-local and metadata addresses stay forbidden.
    Private,
    /// On this machine, for tests and sidecars: http or https, loopback addresses only, and the discovery document
    /// may not point anywhere else.
    Loopback,
}

/// An issuer's URL that keeps the rules (OpenID Connect Discovery 1.0 section 3).
#[derive(Clone, Debug)]
pub(crate) struct IssuerUrl {
    text: String,
    url: Url,
    network: Network,
}

impl IssuerUrl {
    /// Checks a configured URL: https, or http for [`Network::Loopback`]; no userinfo, query or fragment; no
    /// address that the network forbids.
    pub(crate) fn parse(text: &str, network: Network) -> Result<Self, ProviderError> {
        let url = address(text, network)?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err(ProviderError::misconfigured("an issuer's url has no query and no fragment"));
        }
        Ok(Self { text: text.to_owned(), url, network })
    }

    /// Where its discovery document is. The only place where a slash at the end is left out.
    pub(crate) fn discovery(&self) -> String {
        format!("{}/.well-known/openid-configuration", self.stem())
    }

    /// The URL without a slash at its end.
    pub(crate) fn stem(&self) -> &str {
        self.text.strip_suffix('/').unwrap_or(&self.text)
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The path without a slash at its end: one, as in [`stem`](Self::stem).
    pub(crate) fn path(&self) -> &str {
        let path = self.url.path();
        path.strip_suffix('/').unwrap_or(path)
    }

    /// The address of the keys that a discovery document names, if the document is this issuer's own.
    pub(crate) fn jwks_uri(&self, document: &[u8]) -> Result<KeyAddress, ProviderError> {
        let refused = ProviderError::transient;
        if document.len() > LONGEST {
            return Err(refused("the discovery document is too long"));
        }
        let document =
            Object::parse(document).ok_or_else(|| refused("the discovery document is not a json object"))?;
        if document.text("issuer") != Some(self.text.as_str()) {
            return Err(refused("the discovery document is another issuer's"));
        }
        let text =
            document.text("jwks_uri").ok_or_else(|| refused("the discovery document names no keys"))?;
        let home = self.url.origin();
        let elsewhere = |url: &Url| url.origin() != home;
        let parsed = Url::parse(text).map_err(|_| refused("the address of the keys is not a url"))?;
        let network = match self.network {
            Network::Private if elsewhere(&parsed) => Network::Public,
            Network::Loopback if elsewhere(&parsed) => {
                return Err(refused("the keys of an issuer on this machine are at another origin"));
            }
            network => network,
        };
        address(text, network).map_err(|_| refused("the address of the keys is not allowed"))?;
        Ok(KeyAddress { url: text.to_owned(), network })
    }
}

/// An address of keys that keeps the rules, and the network that it is on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyAddress {
    pub(crate) url: String,
    pub(crate) network: Network,
}

impl KeyAddress {
    pub(crate) fn parse(text: &str, network: Network) -> Result<Self, ProviderError> {
        address(text, network)?;
        Ok(Self { url: text.to_owned(), network })
    }
}

impl Network {
    pub(crate) fn reach(self) -> Reach {
        match self {
            Self::Public => Reach::Public,
            Self::Private => Reach::Private,
            Self::Loopback => Reach::Loopback,
        }
    }
}

/// A URL that may be fetched from on a network.
fn address(text: &str, network: Network) -> Result<Url, ProviderError> {
    let wrong = |what: &'static str| Err(ProviderError::misconfigured(what));
    // The parser takes out or turns around what another one may not.
    if text.chars().any(|c| c == '\\' || c.is_whitespace() || c.is_control()) {
        return wrong("an issuer's address is not a url");
    }
    let Ok(url) = Url::parse(text) else { return wrong("an issuer's address is not a url") };
    match (url.scheme(), network) {
        ("https", _) | ("http", Network::Loopback) => {}
        _ => return wrong("an issuer's address is https, or http on this machine where that is allowed"),
    }
    if !url.username().is_empty() || url.password().is_some() || text.contains('@') {
        return wrong("an issuer's address has no user name");
    }
    let ip: Option<IpAddr> = match url.host() {
        Some(Host::Ipv4(ip)) => Some(ip.into()),
        Some(Host::Ipv6(ip)) => Some(ip.into()),
        Some(Host::Domain(name)) => {
            let name = name.strip_suffix('.').unwrap_or(name);
            let local = name == "localhost" || name.ends_with(".localhost");
            if local != (network == Network::Loopback) {
                return wrong("the host of an issuer's address is not on its network");
            }
            None
        }
        None => return wrong("an issuer's address has no host"),
    };
    if ip.is_some_and(|ip| !network.reach().allows(ip)) {
        return wrong("the host of an issuer's address is not on its network");
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_discovery_document_is_served_where_it_is_looked_for() {
        for text in [
            "https://h",
            "https://h/",
            "https://h//",
            "https://h/x",
            "https://h/x/",
            "https://h/x//",
            "https://h/x///",
            "https://h//x",
            "https://h/x/.",
            "https://h/x/./",
            "https://h/x/y/..",
            "https://h/x//..",
            "https://h/x/%2e%2e/",
            "https://h/%C3%BC/\u{fc}/",
            "https://h/x%2F/",
            "https://h/x;a=1/",
        ] {
            let issuer = IssuerUrl::parse(text, Network::Public).unwrap();
            let asked = Url::parse(&issuer.discovery()).unwrap();
            assert_eq!(format!("{}/.well-known/openid-configuration", issuer.path()), asked.path(), "{text}");
        }
    }
}
