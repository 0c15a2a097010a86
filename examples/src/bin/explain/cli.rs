//! What the command line says.

use std::path::PathBuf;
use std::time::SystemTime;

use clap::{Parser, ValueEnum};
use credfed_core::Secret;
use credfed_sigv4_verify::{Profile, Protocol};
use humantime::parse_rfc3339;

/// Says why the signature of a request does not match (AWS Signature Version 4).
///
/// Reads raw HTTP requests, each from a file of its own, with line ends of either kind. For each it prints the carrier,
/// the payload mode, the canonical request and the string to sign as they have to be, the verdict with AWS's code, and
/// for a refusal the rule that it breaks and the nearest likely cause. Of a POST form the policy is what is signed. The
/// secret is never printed, and neither is the signature that would have been right.
///
/// Ends with 0 if all requests are accepted, 1 if one is refused, 2 if it could not be used like this.
#[derive(Debug, Parser)]
#[command(name = "explain", version)]
pub(crate) struct Arguments {
    /// One JSON object per request and line, in place of text
    #[arg(long)]
    pub(crate) json: bool,

    /// Leave session tokens, cookies, customer keys and policies out of what is shown, to hand it on
    #[arg(long)]
    pub(crate) redact: bool,

    /// The access key id that signs
    #[arg(long, value_name = "ID", required_unless_present = "token_ring", requires = "secret_env")]
    pub(crate) access_key: Option<String>,

    /// The environment variable that holds its secret access key
    #[arg(long, value_name = "NAME", requires = "access_key")]
    pub(crate) secret_env: Option<String>,

    /// The session token that belongs to the key, where it is a temporary one
    #[arg(long, value_name = "TOKEN", requires = "access_key", value_parser = secret, hide_env_values = true)]
    pub(crate) session_token: Option<Secret>,

    /// The key ring that sealed the session tokens of the requests, a file made by the program `keyring`
    #[arg(long, value_name = "FILE", conflicts_with = "session_token")]
    pub(crate) token_ring: Option<PathBuf>,

    /// Who sealed them: the gateway with the account id of its --roles
    #[arg(
        long,
        value_name = "NAME",
        default_value = "credfed-gateway/000000000000",
        requires = "token_ring"
    )]
    pub(crate) token_issuer: String,

    /// The service that the request is for, as its scope names it: s3, sts, execute-api …
    #[arg(long, value_name = "NAME")]
    pub(crate) service: String,

    /// The region that the request is for
    #[arg(long, value_name = "NAME")]
    pub(crate) region: String,

    /// How the service canonicalises; s3 and sts are known by their names, all others are general
    #[arg(long, value_enum)]
    profile: Option<ProfileName>,

    /// Judge as if it were this time; else it is now
    #[arg(long, value_name = "2015-08-30T12:36:00Z", value_parser = parse_rfc3339)]
    pub(crate) now: Option<SystemTime>,

    /// Requests, one per file; - is standard input, and so is none at all
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ProfileName {
    /// Encoded once, never normalised
    S3,
    /// Normalised and encoded once more
    General,
    /// Encoded once more, not normalised
    GeneralRawPath,
    /// As general, with STS's clock skew and answers
    Sts,
}

impl Arguments {
    pub(crate) fn profile(&self) -> Profile {
        match (self.profile, self.service.as_str()) {
            (Some(ProfileName::S3), _) | (None, "s3") => Profile::S3,
            (Some(ProfileName::Sts), _) | (None, "sts") => Profile::Sts,
            (Some(ProfileName::General), _) | (None, _) => Profile::General { normalize: true },
            (Some(ProfileName::GeneralRawPath), _) => Profile::General { normalize: false },
        }
    }

    /// The family of answers of the profile.
    pub(crate) fn protocol(&self) -> Protocol {
        match self.profile() {
            Profile::S3 => Protocol::S3,
            Profile::Sts => Protocol::Query,
            _ => Protocol::Json,
        }
    }
}

fn secret(text: &str) -> Result<Secret, &'static str> {
    match text {
        "" => Err("a session token is not empty"),
        text => Ok(Secret::new(text)),
    }
}
