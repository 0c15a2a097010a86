//! The command line, and its values once they are known to be good.

use std::ffi::OsString;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;
use credfed_core::aws::sts::{AssumeRoleWithWebIdentityRequest, StsEndpoint};
use credfed_core::{AwsCredentials, ProviderError, Secret};

use crate::endpoint::{Endpoint, Region};
use crate::tls::TlsFiles;

/// An S3 gateway that knows no S3 operation: it verifies the caller's signature, asks what the caller's key may do,
/// and signs what is allowed anew, with its own credential, for the upstream. No caller holds that credential.
///
/// Clients sign with long-lived keys (--keys), or with a session that they get for a web identity from the STS
/// endpoint at the same address (--roles). For the upstream the gateway has a key, or a session of a role that it
/// assumes with a web identity of its own (--upstream-sts, --role-arn): then it holds no long-lived secret at all.
///
/// Without any option it starts a cloud of its own behind itself (an STS and an S3 server in a temporary folder),
/// assumes a role there, makes a role and a key that may do everything, and prints lines to paste into another
/// terminal.
#[derive(Debug, Parser)]
#[command(name = "gateway", version)]
pub(crate) struct Arguments {
    /// Address and port to listen on; port 0 takes a free one. Plain HTTP unless there is --tls-cert: put TLS in
    /// front of anything but loopback
    #[arg(
        long,
        value_name = "ADDR:PORT",
        env = "GATEWAY_LISTEN",
        hide_env_values = true,
        default_value = "127.0.0.1:8014",
        value_parser = address
    )]
    listen: SocketAddr,

    /// Serve TLS (1.2 and 1.3; HTTP/2 and HTTP/1.1) with this certificate: a file in PEM, the gateway's own
    /// certificate first and those between it and the root after it. Read at the start; it has to name the host that
    /// clients connect to
    #[arg(long, value_name = "PATH", env = "GATEWAY_TLS_CERT", hide_env_values = true, requires = "tls_key")]
    tls_cert: Option<PathBuf>,

    /// The private key of --tls-cert: a file in PEM, not encrypted, which nobody else should be able to read
    #[arg(long, value_name = "PATH", env = "GATEWAY_TLS_KEY", hide_env_values = true, requires = "tls_cert")]
    tls_key: Option<PathBuf>,

    /// The S3 endpoint to forward to, for example `https://s3.eu-west-1.amazonaws.com`; path-style, no path of its
    /// own. Without it an embedded cloud in a temporary folder, whose content goes when the gateway ends
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

    /// The STS where the gateway assumes --role-arn with a web identity of its own, for example
    /// `https://sts.eu-west-1.amazonaws.com`. Needs --issuer, under which that STS knows the gateway
    #[arg(
        long,
        value_name = "URL",
        env = "GATEWAY_UPSTREAM_STS",
        hide_env_values = true,
        requires_all = ["upstream", "role_arn", "issuer"],
        conflicts_with = "upstream_access_key"
    )]
    upstream_sts: Option<String>,

    /// The role that the gateway assumes at --upstream-sts
    #[arg(
        long,
        value_name = "ARN",
        env = "GATEWAY_ROLE_ARN",
        hide_env_values = true,
        requires = "upstream_sts"
    )]
    role_arn: Option<String>,

    /// How the gateway names its session at --upstream-sts
    #[arg(long, value_name = "NAME", default_value = "credfed-gateway", requires = "upstream_sts")]
    upstream_session_name: String,

    /// How long a session at --upstream-sts lasts, 900 to 43200 seconds; as the role has it unless told
    #[arg(
        long,
        value_name = "SECONDS",
        requires = "upstream_sts",
        value_parser = clap::value_parser!(u32).range(900..=43_200)
    )]
    upstream_session_seconds: Option<u32>,

    /// The audience of the web identity that goes to --upstream-sts
    #[arg(long, value_name = "AUDIENCE", default_value = "sts.amazonaws.com", requires = "upstream_sts")]
    upstream_audience: String,

    /// The URL under which the world finds this gateway as an OpenID provider. Its discovery document and its keys
    /// are served on --listen at /.well-known/openid-configuration and /.well-known/jwks.json
    #[arg(long, value_name = "URL", env = "GATEWAY_ISSUER", hide_env_values = true)]
    issuer: Option<String>,

    /// The keys of --issuer, a file made and rotated by the program `issuer` and read again while the gateway runs.
    /// Without it a key is made at start, and nobody can check older web identities after a restart
    #[arg(
        long,
        value_name = "FILE",
        env = "GATEWAY_ISSUER_STATE",
        hide_env_values = true,
        requires = "issuer"
    )]
    issuer_state: Option<PathBuf>,

    /// The subject (`sub`) of the gateway's own web identity
    #[arg(long, value_name = "NAME", default_value = "gateway", requires = "issuer")]
    issuer_subject: String,

    /// A TOML file that says which key may do what in which bucket, under which prefix (examples/README.md shows
    /// one). Without it and without --roles one key with every right is made and printed
    #[arg(long, value_name = "FILE", env = "GATEWAY_KEYS", hide_env_values = true)]
    keys: Option<PathBuf>,

    /// A TOML file of issuers, roles, whom they trust and what they may do (examples/README.md shows one). With it
    /// the gateway serves STS at its own address
    #[arg(long, value_name = "FILE", env = "GATEWAY_ROLES", hide_env_values = true)]
    roles: Option<PathBuf>,

    /// The key ring that seals session tokens, a file made and rotated by the program `keyring` and read again
    /// while the gateway runs. Without it a ring is made at start, and sessions end with the gateway
    #[arg(long, value_name = "FILE", env = "GATEWAY_TOKEN_RING", hide_env_values = true)]
    token_ring: Option<PathBuf>,

    /// Run a client through everything, good and bad requests, say what came of each, and end; 1 if one failed
    #[arg(long, conflicts_with_all = ["keys", "listen", "roles", "tls_cert", "token_ring", "issuer", "upstream_sts"])]
    self_test: bool,
}

fn address(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse().map_err(|_| "an address and a port are needed, such as 127.0.0.1:8014 or [::1]:8014")
}

/// What to do, every value checked.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) listen: SocketAddr,
    pub(crate) tls: Option<TlsFiles>,
    pub(crate) region: Region,
    pub(crate) upstream: Option<ExternalUpstream>,
    pub(crate) issuer: Option<IssuerSettings>,
    pub(crate) keys: Option<PathBuf>,
    pub(crate) roles: Option<PathBuf>,
    pub(crate) token_ring: Option<PathBuf>,
    pub(crate) self_test: bool,
}

/// An upstream that runs elsewhere.
#[derive(Debug)]
pub(crate) struct ExternalUpstream {
    pub(crate) endpoint: Endpoint,
    pub(crate) region: Region,
    pub(crate) credentials: UpstreamCredentials,
}

/// As whom requests go on.
#[derive(Debug)]
pub(crate) enum UpstreamCredentials {
    /// The environment's own AWS variables.
    Environment,
    Given(AwsCredentials),
    Federated(RoleSettings),
}

/// A role to be assumed with a web identity.
#[derive(Clone, Debug)]
pub(crate) struct RoleSettings {
    pub(crate) sts: Endpoint,
    pub(crate) role_arn: String,
    pub(crate) session_name: String,
    pub(crate) session_seconds: Option<u32>,
    pub(crate) audience: String,
}

/// The gateway as an OpenID provider.
#[derive(Clone, Debug)]
pub(crate) struct IssuerSettings {
    pub(crate) url: String,
    pub(crate) state: Option<PathBuf>,
    pub(crate) subject: String,
}

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
                endpoint: Endpoint::parse(url, "--upstream")?,
                region: upstream_region,
                credentials: match role(&arguments, &region)? {
                    Some(role) => UpstreamCredentials::Federated(role),
                    None => upstream_key(&arguments, variable)?,
                },
            }),
        };
        let Arguments {
            listen,
            tls_cert,
            tls_key,
            issuer,
            issuer_state,
            issuer_subject,
            keys,
            roles,
            token_ring,
            ..
        } = arguments;
        let issuer = issuer.map(|url| IssuerSettings { url, state: issuer_state, subject: issuer_subject });
        let tls = tls_cert.zip(tls_key).map(|(cert, key)| TlsFiles { cert, key });
        Ok(Self {
            listen,
            tls,
            region,
            upstream,
            issuer,
            keys,
            roles,
            token_ring,
            self_test: arguments.self_test,
        })
    }
}

fn role(arguments: &Arguments, region: &Region) -> Result<Option<RoleSettings>, BadSetting> {
    let (Some(sts), Some(role_arn)) = (&arguments.upstream_sts, &arguments.role_arn) else { return Ok(None) };
    let wrong = |option: &str, error: ProviderError| BadSetting(format!("{option}: {error}"));
    let sts = Endpoint::parse(sts, "--upstream-sts")?;
    StsEndpoint::custom(&sts.to_string(), region.as_str()).map_err(|error| wrong("--upstream-sts", error))?;
    // First with a name that is good, so that each option hears of its own fault.
    for (name, option) in [
        ("credfed-gateway", "--role-arn"),
        (arguments.upstream_session_name.as_str(), "--upstream-session-name"),
    ] {
        let request = AssumeRoleWithWebIdentityRequest::builder(role_arn, name).build();
        request.map_err(|error| wrong(option, error))?;
    }
    Ok(Some(RoleSettings {
        sts,
        role_arn: role_arn.clone(),
        session_name: arguments.upstream_session_name.clone(),
        session_seconds: arguments.upstream_session_seconds,
        audience: arguments.upstream_audience.clone(),
    }))
}

fn upstream_key(
    arguments: &Arguments,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<UpstreamCredentials, BadSetting> {
    let Some(access_key) = &arguments.upstream_access_key else {
        return Ok(UpstreamCredentials::Environment);
    };
    if access_key.is_empty() || !access_key.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/') {
        return Err(BadSetting(
            "--upstream-access-key needs visible ASCII characters without \"/\"".to_owned(),
        ));
    }
    let secret_from = |name: &str, option: &str| {
        let value = variable(name).filter(|value| !value.is_empty()).ok_or_else(|| {
            BadSetting(format!(
                "{option} names the environment variable {name}, which is not set: export it, or name another"
            ))
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
    Ok(UpstreamCredentials::Given(AwsCredentials::new(access_key.as_str(), secret, token)))
}

impl BadSetting {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self(what.into())
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

    const FEDERATED: [&str; 8] = [
        "--upstream",
        "https://s3.example",
        "--upstream-sts",
        "https://sts.example",
        "--role-arn",
        "arn:aws:iam::123456789012:role/gateway",
        "--issuer",
        "https://gateway.example",
    ];

    #[test]
    fn a_role_takes_the_place_of_a_key() {
        let found = settings(&FEDERATED, &[]).unwrap();
        let UpstreamCredentials::Federated(role) = found.upstream.unwrap().credentials else {
            panic!("the role was given");
        };
        assert_eq!(role.sts.to_string(), "https://sts.example");
        assert_eq!(role.session_name, "credfed-gateway");
        assert_eq!(role.audience, "sts.amazonaws.com");
        let issuer = found.issuer.unwrap();
        assert_eq!((issuer.url.as_str(), issuer.subject.as_str()), ("https://gateway.example", "gateway"));
    }

    #[test]
    fn nothing_is_needed() {
        let settings = settings(&[], &[]).unwrap();
        assert_eq!(settings.listen.to_string(), "127.0.0.1:8014");
        assert_eq!(settings.region.as_str(), "us-east-1");
        assert!(settings.upstream.is_none() && settings.keys.is_none() && !settings.self_test);
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
        let UpstreamCredentials::Given(credentials) = &found.upstream.as_ref().unwrap().credentials else {
            panic!("the key was given");
        };
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
            (&["--self-test", "--issuer", "https://gateway.example"], "--issuer"),
            (&[&FEDERATED[..], &["--self-test"]].concat(), "--self-test"),
            (&["--role-arn", "arn:aws:iam::1:role/r"], "--upstream-sts"),
            (&["--upstream", "http://localhost", "--upstream-sts", "http://localhost"], "--role-arn"),
            (&["--issuer-state", "f"], "--issuer"),
            (&[&FEDERATED[..], &["--upstream-access-key", "k"]].concat(), "--upstream-access-key"),
            (
                &[&FEDERATED[..], &["--upstream-session-seconds", "899"]].concat(),
                "--upstream-session-seconds",
            ),
            (&["--nonsense"], "--nonsense"),
        ] {
            let error = settings(line, &[]).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }
}
