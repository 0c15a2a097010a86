//! The command line, and its values once they are known to be good.

use std::ffi::OsString;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;
use credfed_core::{AwsCredentials, Secret};
use http::Uri;
use http::uri::{Authority, Scheme};

/// An S3 gateway that knows no S3 operation: it verifies the caller's signature, asks what the caller's key may do,
/// and signs what is allowed anew, with its own credential, for the upstream. No caller holds that credential.
///
/// Without any option it starts an S3 server of its own in a temporary folder behind itself, makes a key that may
/// do everything, and prints lines to paste into another terminal.
#[derive(Debug, Parser)]
#[command(name = "gateway", version)]
pub(crate) struct Arguments {
    /// Address and port to listen on; port 0 takes a free one. Plain HTTP: put TLS in front of anything but loopback
    #[arg(
        long,
        value_name = "ADDR:PORT",
        env = "GATEWAY_LISTEN",
        hide_env_values = true,
        default_value = "127.0.0.1:8014"
    )]
    listen: SocketAddr,

    /// The S3 endpoint to forward to, for example `https://s3.eu-west-1.amazonaws.com`; path-style, no path of its
    /// own. Without it an embedded server in a temporary folder, whose content goes when the gateway ends
    #[arg(long, value_name = "URL", env = "GATEWAY_UPSTREAM", hide_env_values = true)]
    upstream: Option<String>,

    /// Access key for the upstream. Without it AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN of
    /// the environment
    #[arg(
        long,
        value_name = "KEY",
        env = "GATEWAY_UPSTREAM_ACCESS_KEY",
        hide_env_values = true,
        requires = "upstream"
    )]
    upstream_access_key: Option<String>,

    /// The NAME of the environment variable that holds the secret of --upstream-access-key (a secret on the command
    /// line would be visible to every user of the machine)
    #[arg(long, value_name = "NAME", default_value = "GATEWAY_UPSTREAM_SECRET_KEY", requires = "upstream")]
    upstream_secret_key_env: String,

    /// The NAME of the environment variable that holds the session token of --upstream-access-key, if it has one
    #[arg(long, value_name = "NAME", requires = "upstream_access_key")]
    upstream_session_token_env: Option<String>,

    /// The region that the upstream wants in signatures; that of --region unless told
    #[arg(long, value_name = "REGION", env = "GATEWAY_UPSTREAM_REGION", hide_env_values = true)]
    upstream_region: Option<String>,

    /// The region that callers must sign for
    #[arg(
        long,
        value_name = "REGION",
        env = "GATEWAY_REGION",
        hide_env_values = true,
        default_value = "us-east-1"
    )]
    region: String,

    /// A TOML file that says which key may do what in which bucket, under which prefix (examples/README.md shows
    /// one). Without it one key with every right is made and printed
    #[arg(long, value_name = "FILE", env = "GATEWAY_KEYS", hide_env_values = true)]
    keys: Option<PathBuf>,

    /// Run a client through everything, good and bad requests, say what came of each, and end; 1 if one failed
    #[arg(long, conflicts_with_all = ["keys", "listen"])]
    self_test: bool,
}

/// What to do, every value checked.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) listen: SocketAddr,
    pub(crate) region: Region,
    pub(crate) upstream: Option<ExternalUpstream>,
    pub(crate) keys: Option<PathBuf>,
    pub(crate) self_test: bool,
}

/// An upstream that runs elsewhere.
#[derive(Debug)]
pub(crate) struct ExternalUpstream {
    pub(crate) endpoint: Endpoint,
    pub(crate) region: Region,
    /// `None`: from the environment's own AWS variables.
    pub(crate) credentials: Option<AwsCredentials>,
}

/// Scheme and authority, and nothing else.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    pub(crate) scheme: Scheme,
    pub(crate) authority: Authority,
}

/// A region's name as it stands in a credential scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Region(String);

/// A bad value, and where it came from. Does not repeat the value, which may hold a secret.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadSetting(String);

impl Settings {
    /// Checks the arguments; `variable` looks up an environment variable.
    pub(crate) fn parse(
        arguments: Arguments,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Self, BadSetting> {
        let region = Region::parse(&arguments.region, "--region")?;
        let upstream_region = match &arguments.upstream_region {
            Some(name) => Region::parse(name, "--upstream-region")?,
            None => region.clone(),
        };
        let upstream = match &arguments.upstream {
            None => None,
            Some(url) => Some(ExternalUpstream {
                endpoint: Endpoint::parse(url)?,
                region: upstream_region,
                credentials: upstream_credentials(&arguments, variable)?,
            }),
        };
        Ok(Self {
            listen: arguments.listen,
            region,
            upstream,
            keys: arguments.keys,
            self_test: arguments.self_test,
        })
    }
}

fn upstream_credentials(
    arguments: &Arguments,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<Option<AwsCredentials>, BadSetting> {
    let Some(access_key) = &arguments.upstream_access_key else { return Ok(None) };
    if access_key.is_empty() || !access_key.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/') {
        return Err(BadSetting(
            "--upstream-access-key needs visible ASCII characters without \"/\"".to_owned(),
        ));
    }
    let secret_from = |name: &str, option: &str| {
        let value = variable(name).filter(|value| !value.is_empty()).ok_or_else(|| {
            BadSetting(format!("{option} names the environment variable {name}, which is not set"))
        })?;
        let text = value.into_string().map_err(|_| BadSetting(format!("{name} is not valid UTF-8")))?;
        if text.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Secret::new(text))
        } else {
            Err(BadSetting(format!("{name} holds blanks or characters that no key has")))
        }
    };
    let secret = secret_from(&arguments.upstream_secret_key_env, "--upstream-secret-key-env")?;
    let token = arguments.upstream_session_token_env.as_ref();
    let token = token.map(|name| secret_from(name, "--upstream-session-token-env")).transpose()?;
    Ok(Some(AwsCredentials::new(access_key.as_str(), secret, token)))
}

impl Endpoint {
    fn parse(text: &str) -> Result<Self, BadSetting> {
        let bad = |what: &str| BadSetting(format!("--upstream {what}"));
        let url = url::Url::parse(text)
            .map_err(|error| bad(&format!("is no URL ({error}); http://127.0.0.1:9000 is one")))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(bad("needs http:// or https://"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(bad("must not hold a user or password: see --upstream-access-key"));
        }
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(bad("must be scheme, host and port alone: callers' paths start at its root"));
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
    fn parse(text: &str, option: &str) -> Result<Self, BadSetting> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if (1..=64).contains(&text.len()) && text.bytes().all(plain) {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadSetting(format!("{option} needs 1 to 64 of a-z 0-9 -, for example eu-west-1")))
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BadSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadSetting {}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(line: &[&str], variables: &[(&str, &str)]) -> Result<Settings, String> {
        let line = std::iter::once("gateway").chain(line.iter().copied());
        let arguments = Arguments::try_parse_from(line).map_err(|error| error.to_string())?;
        let variable = |name: &str| {
            variables.iter().find(|(found, _)| *found == name).map(|(_, value)| OsString::from(value))
        };
        Settings::parse(arguments, variable).map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_is_needed() {
        let settings = settings(&[], &[]).unwrap();
        assert_eq!(settings.listen.to_string(), "127.0.0.1:8014");
        assert_eq!(settings.region.as_str(), "us-east-1");
        assert!(settings.upstream.is_none() && settings.keys.is_none() && !settings.self_test);
    }

    #[test]
    fn an_upstream_is_scheme_host_and_port() {
        let line = ["--upstream", "https://s3.example:9000/", "--upstream-region", "eu-west-1"];
        let upstream = settings(&line, &[]).unwrap().upstream.unwrap();
        assert_eq!(upstream.endpoint.to_string(), "https://s3.example:9000");
        assert_eq!(upstream.region.as_str(), "eu-west-1");
        assert!(upstream.credentials.is_none());
        let ipv6 = settings(&["--upstream", "http://[::1]:9000"], &[]).unwrap().upstream.unwrap();
        assert_eq!(ipv6.endpoint.to_string(), "http://[::1]:9000");
        for bad in [
            "s3.example",
            "ftp://s3.example",
            "http://",
            "http://s3.example/folder",
            "http://s3.example/?x",
            "http://user:hidden@s3.example",
        ] {
            let error = settings(&["--upstream", bad], &[]).unwrap_err();
            assert!(error.contains("--upstream"), "{error}");
            assert!(!error.contains("hidden"), "{error}");
        }
    }

    #[test]
    fn the_upstreams_secret_comes_from_the_environment_only() {
        let line = [
            "--upstream",
            "http://localhost",
            "--upstream-access-key",
            "me",
            "--upstream-secret-key-env",
            "S",
        ];
        let found = settings(&line, &[("S", "hidden-secret")]).unwrap();
        let credentials = found.upstream.as_ref().unwrap().credentials.as_ref().unwrap();
        assert_eq!(credentials.access_key_id(), "me");
        assert_eq!(credentials.secret_access_key().expose(), "hidden-secret");
        assert!(credentials.session_token().is_none());
        assert!(!format!("{found:?}").contains("hidden"));

        let mut with_token = line.to_vec();
        with_token.extend(["--upstream-session-token-env", "T"]);
        assert!(settings(&with_token, &[("S", "hidden-secret")]).unwrap_err().contains("variable T"));
        assert!(settings(&line, &[]).unwrap_err().contains("variable S"));
        assert!(settings(&line, &[("S", "")]).unwrap_err().contains("variable S"));
        let blank = settings(&line, &[("S", "hidden secret")]).unwrap_err();
        assert!(blank.contains('S') && !blank.contains("hidden"), "{blank}");
    }

    #[test]
    fn bad_values_are_named() {
        for (line, says) in [
            (&["--listen", "localhost"][..], "--listen"),
            (&["--listen", "127.0.0.1:99999"], "--listen"),
            (&["--region", "EU West"], "--region"),
            (&["--region", ""], "--region"),
            (&["--upstream-access-key", "k"], "--upstream"),
            (&["--self-test", "--keys", "f"], "--keys"),
            (&["--nonsense"], "--nonsense"),
        ] {
            let error = settings(line, &[]).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }
}
