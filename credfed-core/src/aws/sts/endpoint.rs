//! Where the service is.

use std::ffi::OsString;
use std::fmt;

use http::Uri;
use url::{Host, Url};

use crate::ProviderError;
use crate::identity::IdentityBuilder;

/// The address of a Security Token Service, and the region that requests to it are signed for.
///
/// ```
/// use credfed_core::aws::sts::StsEndpoint;
///
/// let aws = StsEndpoint::regional("cn-north-1")?;
/// assert_eq!(aws.uri(), "https://sts.cn-north-1.amazonaws.com.cn/");
/// let ceph = StsEndpoint::custom("https://rgw.example.org:8443", "default")?;
/// assert_eq!(ceph.region(), "default");
/// assert!(StsEndpoint::custom("http://rgw.example.org", "default").is_err(), "no token goes out in the clear");
/// # Ok::<_, credfed_core::ProviderError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct StsEndpoint {
    uri: Uri,
    host: String,
    region: String,
}

impl StsEndpoint {
    /// AWS's own endpoint of a region, in whichever partition that is. `aws-global` is the old global endpoint
    /// (`sts.amazonaws.com`, signed for `us-east-1`).
    ///
    /// # Errors
    ///
    /// [`Misconfigured`](crate::ErrorKind::Misconfigured) if that is no name of a region.
    pub fn regional(region: &str) -> Result<Self, ProviderError> {
        if region == "aws-global" {
            return Self::at("https://sts.amazonaws.com/", "us-east-1", false);
        }
        let region = checked(region)?;
        Self::at(&format!("https://sts.{region}.{}/", suffix(region)), region, false)
    }

    /// AWS's endpoint of a region with FIPS 140 validated cryptography. In GovCloud that is the usual one.
    ///
    /// # Errors
    ///
    /// As [`regional`](Self::regional).
    pub fn fips(region: &str) -> Result<Self, ProviderError> {
        let region = checked(region)?;
        let name = if region.starts_with("us-gov-") { "sts" } else { "sts-fips" };
        Self::at(&format!("https://{name}.{region}.{}/", suffix(region)), region, false)
    }

    /// Any other address, with its port and path if it has them. `http` is for loopback addresses only.
    ///
    /// # Errors
    ///
    /// [`Misconfigured`](crate::ErrorKind::Misconfigured) if it is no URL, or one with a user, a query or a fragment,
    /// or `http` to another machine; or if that is no name of a region.
    pub fn custom(url: &str, region: &str) -> Result<Self, ProviderError> {
        Self::at(url, region, false)
    }

    /// As [`custom`](Self::custom), but `http` may go to any machine: **whoever is on the way reads the assertion and
    /// the credentials.** For a network that encrypts by itself.
    ///
    /// # Errors
    ///
    /// As [`custom`](Self::custom).
    pub fn custom_in_the_clear(url: &str, region: &str) -> Result<Self, ProviderError> {
        Self::at(url, region, true)
    }

    /// What the environment names: `AWS_ENDPOINT_URL_STS`, else `AWS_ENDPOINT_URL` (neither if
    /// `AWS_IGNORE_CONFIGURED_ENDPOINT_URLS` is `true`), else the endpoint of `AWS_REGION` or `AWS_DEFAULT_REGION`
    /// (with FIPS if `AWS_USE_FIPS_ENDPOINT` is `true`). An empty variable counts as absent. A URL without a region is
    /// signed for `us-east-1`.
    ///
    /// # Errors
    ///
    /// [`NotConfigured`](crate::ErrorKind::NotConfigured) if there is neither a URL nor a region;
    /// [`Misconfigured`](crate::ErrorKind::Misconfigured), by the variable's name, if one of them cannot be used.
    pub fn from_env() -> Result<Self, ProviderError> {
        Self::from_variables(&|name| std::env::var_os(name))
    }

    pub(super) fn from_variables(read: &dyn Fn(&str) -> Option<OsString>) -> Result<Self, ProviderError> {
        let on = |name| Ok(variable(read, name)?.is_some_and(|text| text.eq_ignore_ascii_case("true")));
        let first = |names: [&'static str; 2]| {
            for name in names {
                if let Some(text) = variable(read, name)? {
                    return Ok(Some((name, text)));
                }
            }
            Ok(None)
        };
        let url = match on("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")? {
            true => None,
            false => first(["AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL"])?,
        };
        let region = first(["AWS_REGION", "AWS_DEFAULT_REGION"])?;
        let (name, made) = match (url, region) {
            (Some((name, url)), region) => {
                let region = region.map_or_else(|| String::from("us-east-1"), |(_, region)| region);
                (name, Self::custom(&url, &region))
            }
            (None, Some((name, region))) if on("AWS_USE_FIPS_ENDPOINT")? => (name, Self::fips(&region)),
            (None, Some((name, region))) => (name, Self::regional(&region)),
            (None, None) => {
                return Err(ProviderError::not_configured("AWS_REGION is missing in the environment"));
            }
        };
        made.map_err(|error| ProviderError::misconfigured(format!("{name}: {error}")))
    }

    /// The URL that requests go to.
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    /// The region that requests are signed for.
    pub fn region(&self) -> &str {
        &self.region
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    pub(super) fn identify(&self, identity: IdentityBuilder) -> IdentityBuilder {
        identity.part("endpoint", self.uri.to_string()).part("region", &self.region)
    }

    fn at(url: &str, region: &str, clear: bool) -> Result<Self, ProviderError> {
        let region = checked(region)?;
        // Neither the URL nor the parser's words: either may hold a password.
        let wrong = |why: &'static str| Err(ProviderError::misconfigured(why));
        let Ok(url) = Url::parse(url) else { return wrong("the endpoint is not a URL") };
        let loopback = match url.host() {
            Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => return wrong("the endpoint names no host"),
        };
        match url.scheme() {
            "https" => {}
            "http" if clear || loopback => {}
            "http" => return wrong("the endpoint is http and not on this machine"),
            _ => return wrong("the endpoint is neither https nor http"),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return wrong("the endpoint holds a user or a password");
        }
        if url.query().is_some() || url.fragment().is_some() {
            return wrong("the endpoint holds a query or a fragment");
        }
        let Some(host) = url.host_str() else { return wrong("the endpoint names no host") };
        let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        match Uri::try_from(url.as_str()) {
            Ok(uri) => Ok(Self { uri, host, region: region.to_owned() }),
            Err(_) => wrong("the endpoint is not a URL"),
        }
    }
}

impl fmt::Debug for StsEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StsEndpoint").field("uri", &self.uri).field("region", &self.region).finish()
    }
}

/// A variable of the environment; empty and blank ones are absent.
pub(super) fn variable(
    read: &dyn Fn(&str) -> Option<OsString>,
    name: &str,
) -> Result<Option<String>, ProviderError> {
    let Some(value) = read(name) else { return Ok(None) };
    let text =
        value.into_string().map_err(|_| ProviderError::misconfigured(format!("{name} is not text")))?;
    Ok(Some(text).filter(|text| !text.trim().is_empty()))
}

/// A region becomes a part of a host name and of a credential scope.
fn checked(region: &str) -> Result<&str, ProviderError> {
    let alphabet = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let fits = (1..=63).contains(&region.len()) && region.bytes().all(alphabet);
    if fits && !region.starts_with('-') && !region.ends_with('-') {
        return Ok(region);
    }
    Err(ProviderError::misconfigured("that is no name of a region"))
}

/// The domain of a region's partition.
fn suffix(region: &str) -> &'static str {
    const PARTITIONS: [(&str, &str); 6] = [
        ("cn-", "amazonaws.com.cn"),
        ("us-iso-", "c2s.ic.gov"),
        ("us-isob-", "sc2s.sgov.gov"),
        ("eu-isoe-", "cloud.adc-e.uk"),
        ("us-isof-", "csp.hci.ic.gov"),
        ("eusc-", "amazonaws.eu"),
    ];
    PARTITIONS
        .iter()
        .find(|(prefix, _)| region.starts_with(prefix))
        .map_or("amazonaws.com", |(_, domain)| domain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn each_partition_has_its_domain() {
        for (region, host) in [
            ("eu-central-1", "sts.eu-central-1.amazonaws.com"),
            ("cn-northwest-1", "sts.cn-northwest-1.amazonaws.com.cn"),
            ("us-gov-west-1", "sts.us-gov-west-1.amazonaws.com"),
            ("us-iso-east-1", "sts.us-iso-east-1.c2s.ic.gov"),
            ("us-isob-east-1", "sts.us-isob-east-1.sc2s.sgov.gov"),
            ("eu-isoe-west-1", "sts.eu-isoe-west-1.cloud.adc-e.uk"),
            ("us-isof-south-1", "sts.us-isof-south-1.csp.hci.ic.gov"),
            ("eusc-de-east-1", "sts.eusc-de-east-1.amazonaws.eu"),
        ] {
            let endpoint = StsEndpoint::regional(region).unwrap();
            assert_eq!(endpoint.uri().to_string(), format!("https://{host}/"));
            assert_eq!((endpoint.host(), endpoint.region()), (host, region));
        }
        let global = StsEndpoint::regional("aws-global").unwrap();
        assert_eq!((global.host(), global.region()), ("sts.amazonaws.com", "us-east-1"));
        assert_eq!(StsEndpoint::fips("us-east-2").unwrap().host(), "sts-fips.us-east-2.amazonaws.com");
        assert_eq!(StsEndpoint::fips("us-gov-east-1").unwrap().host(), "sts.us-gov-east-1.amazonaws.com");
    }

    #[test]
    fn a_region_cannot_lead_the_token_to_another_host() {
        for region in ["", "evil.example/", "a.b", "a@b", "-a", "a-", "EU-CENTRAL-1", "a b", &"a".repeat(64)]
        {
            for made in [StsEndpoint::regional(region), StsEndpoint::fips(region)] {
                assert_eq!(made.unwrap_err().kind(), ErrorKind::Misconfigured, "{region}");
            }
            assert!(StsEndpoint::custom("https://sts.example.org", region).is_err());
        }
    }

    #[test]
    fn a_custom_endpoint_keeps_its_port_and_path() {
        for (url, uri, host) in [
            ("http://127.0.0.1:9000", "http://127.0.0.1:9000/", "127.0.0.1:9000"),
            ("http://[::1]:9000/sts", "http://[::1]:9000/sts", "[::1]:9000"),
            ("http://localhost:80", "http://localhost/", "localhost"),
            ("https://RGW.example.org:443/", "https://rgw.example.org/", "rgw.example.org"),
            ("https://rgw.example.org:8443", "https://rgw.example.org:8443/", "rgw.example.org:8443"),
        ] {
            let endpoint = StsEndpoint::custom(url, "us-east-1").unwrap();
            assert_eq!((endpoint.uri().to_string().as_str(), endpoint.host()), (uri, host));
        }
    }

    #[test]
    fn what_would_leak_is_refused_and_not_repeated() {
        for url in [
            "",
            "canary",
            "/canary",
            "ftp://canary.example",
            "https://canary@h/",
            "https://u:canary@h/",
            "https://h/?canary",
            "https://h/#canary",
            "https://h/?",
            "http://canary.example:9000/",
            "http://10.0.0.1/",
            "http://0.0.0.0/",
            "http://127.0.0.1.canary.example/",
            "http://127.0.0.1@canary.example/",
            "http://[::]/",
            "http://[::ffff:10.0.0.1]/",
            "http://localhost./",
            "http://167772161/",
            "http://localhost.canary.example/",
        ] {
            let error = StsEndpoint::custom(url, "us-east-1").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Misconfigured, "{url}");
            assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
        }
        let clear = StsEndpoint::custom_in_the_clear("http://rgw.example.org:9000/", "us-east-1").unwrap();
        assert_eq!(clear.host(), "rgw.example.org:9000");
        assert!(StsEndpoint::custom_in_the_clear("ftp://rgw.example.org/", "us-east-1").is_err());
    }

    #[test]
    fn the_environment_is_read_in_the_order_of_the_sdks() {
        let made = |variables: &'static [(&str, &str)]| {
            let found = move |name: &str| {
                variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into())
            };
            StsEndpoint::from_variables(&found)
        };
        let both = &[
            ("AWS_ENDPOINT_URL_STS", "https://a.example"),
            ("AWS_ENDPOINT_URL", "https://b.example"),
            ("AWS_REGION", "eu-west-1"),
        ];
        let endpoint = made(both).unwrap();
        assert_eq!((endpoint.host(), endpoint.region()), ("a.example", "eu-west-1"));
        assert_eq!(made(&[("AWS_ENDPOINT_URL", "https://b.example")]).unwrap().region(), "us-east-1");
        let ignored = &[
            ("AWS_ENDPOINT_URL_STS", "https://a.example"),
            ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true"),
            ("AWS_REGION", " "),
            ("AWS_DEFAULT_REGION", "eu-west-1"),
            ("AWS_USE_FIPS_ENDPOINT", "true"),
        ];
        assert_eq!(made(ignored).unwrap().host(), "sts-fips.eu-west-1.amazonaws.com");
        assert_eq!(made(&[]).unwrap_err().kind(), ErrorKind::NotConfigured);
        let error = made(&[("AWS_ENDPOINT_URL_STS", "http://far.example")]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misconfigured);
        assert!(error.to_string().starts_with("AWS_ENDPOINT_URL_STS: "), "{error}");
        let error = made(&[("AWS_DEFAULT_REGION", "a.b")]).unwrap_err();
        assert!(error.to_string().starts_with("AWS_DEFAULT_REGION: "), "{error}");
    }
}
