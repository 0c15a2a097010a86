//! Endpoints and regions, as the command line names them.

use std::fmt;
use std::net::SocketAddr;

use http::Uri;
use http::uri::{Authority, Scheme};

use crate::cli::BadSetting;

/// Scheme and authority, and nothing else.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    pub(crate) scheme: Scheme,
    pub(crate) authority: Authority,
}

/// A region's name as it stands in a credential scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Region(String);

impl Endpoint {
    pub(crate) fn parse(text: &str, option: &str) -> Result<Self, BadSetting> {
        let bad = |what: &str| BadSetting::new(format!("{option} {what}"));
        let url = url::Url::parse(text)
            .map_err(|error| bad(&format!("is no URL ({error}); http://127.0.0.1:9000 is one")))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(bad("needs http:// or https://"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(bad("must not hold a user or password"));
        }
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(bad("must be scheme, host and port alone"));
        }
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| bad("needs a host"))?;
        let authority = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        Ok(Self {
            scheme: if url.scheme() == "https" { Scheme::HTTPS } else { Scheme::HTTP },
            authority: authority.parse().map_err(|_| bad("needs a host that HTTP can name"))?,
        })
    }

    pub(crate) fn uri(&self) -> Result<Uri, http::Error> {
        Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query("/")
            .build()
    }

    /// An HTTP server on this machine.
    pub(crate) fn local(address: SocketAddr) -> Result<Self, http::uri::InvalidUri> {
        Ok(Self { scheme: Scheme::HTTP, authority: address.to_string().parse()? })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.authority)
    }
}

impl Region {
    pub(crate) fn parse(text: &str, option: &str) -> Result<Self, BadSetting> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if (1..=64).contains(&text.len()) && text.bytes().all(plain) {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadSetting::new(format!("{option} needs 1 to 64 of a-z 0-9 -, for example eu-west-1")))
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_scheme_host_and_port() {
        let parse = |text: &str| Endpoint::parse(text, "--upstream").map_err(|error| error.to_string());
        assert_eq!(parse("https://s3.example:9000/").unwrap().to_string(), "https://s3.example:9000");
        assert_eq!(parse("http://[::1]:9000").unwrap().to_string(), "http://[::1]:9000");
        for bad in [
            "s3.example",
            "ftp://s3.example",
            "http://",
            "http://s3.example/folder",
            "http://s3.example/?x",
            "http://user:hidden@s3.example",
        ] {
            let error = parse(bad).unwrap_err();
            assert!(error.contains("--upstream"), "{error}");
            assert!(!error.contains("hidden"), "{error}");
        }
    }

    #[test]
    fn a_region_is_what_stands_in_a_scope() {
        assert_eq!(Region::parse("eu-west-1", "--region").unwrap().as_str(), "eu-west-1");
        for bad in ["", "EU West", "a/b", &"x".repeat(65)] {
            assert!(Region::parse(bad, "--region").unwrap_err().to_string().contains("--region"));
        }
    }
}
