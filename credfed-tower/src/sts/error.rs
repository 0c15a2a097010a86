//! Why a request to STS is refused, and what the client learns of it.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use http::StatusCode;

/// Why a request to STS was refused. It stands in the extensions of the answer; what the client learns is
/// [`code`](Self::code), [`status`](Self::status) and [`message`](Self::message).
///
/// No variant carries a token or a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StsError {
    /// Neither GET nor POST.
    Method,
    /// Query and form, a repeated parameter, an escape that is none, or too many of them.
    Parameters(&'static str),
    /// More than 64 KiB.
    TooLarge,
    /// The body could not be read to its end.
    Body,
    /// No `Action`.
    MissingAction,
    /// An action, or a version of it, that is not served.
    InvalidAction,
    /// A parameter is missing.
    Missing(&'static str),
    /// A parameter does not fit its rule.
    Invalid {
        /// The parameter's name.
        parameter: &'static str,
        /// What it has to be.
        rule: &'static str,
    },
    /// A parameter that this action does not have here. It is never ignored: it may have been meant as a restriction.
    UnknownParameter,
    /// `DurationSeconds` is more than the role allows.
    DurationOfRole,
    /// `DurationSeconds` is more than an hour for a role that was assumed by a role session.
    DurationOfChain,
    /// Tags that break a rule.
    Tags(&'static str),
    /// The session policy is no JSON object.
    MalformedPolicy,
    /// Policy, tags and names do not fit into a session token.
    PackedPolicyTooLarge,
    /// The web identity token.
    Identity(IdentityFault),
    /// Not allowed.
    Denied {
        /// What the operator learns.
        why: Denial,
        /// What the client learns.
        message: Cow<'static, str>,
    },
    /// Roles, or the hook's decision, cannot be had now.
    Unavailable,
    /// A fault of this service.
    Internal,
}

/// What is wrong with a web identity token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IdentityFault {
    /// Its issuer is not trusted here.
    Issuer,
    /// It is for somebody else.
    Audience,
    /// It is over.
    Expired,
    /// It is not genuine, or not of the form that is required.
    Invalid,
    /// What it says of tags or source identity breaks a rule.
    Claims,
    /// The keys of its issuer cannot be had now.
    KeysUnavailable,
}

/// Why a request was denied. The client learns none of this but what it can tell by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Denial {
    /// There is no such role.
    UnknownRole,
    /// No trust of the role admits the caller.
    Trust,
    /// The trust does not let the caller pass tags.
    TagSession,
    /// The trust does not let the caller set a source identity.
    SetSourceIdentity,
    /// The caller's session has another source identity.
    SourceIdentityChanged,
    /// The caller's session is restricted by a session policy.
    RestrictedSession,
    /// The hook said no.
    Hook,
    /// GetSessionToken with session credentials.
    SessionCredentials,
    /// A presigned request for another action than GetCallerIdentity.
    Presigned,
}

impl StsError {
    /// AWS's error code.
    pub fn code(&self) -> &'static str {
        self.row().0
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.row().1).unwrap_or(StatusCode::BAD_REQUEST)
    }

    /// The text for the client. Of what the client sent it repeats ARNs at most.
    pub fn message(&self) -> Cow<'_, str> {
        match self {
            Self::Missing(name) => format!(
                "1 validation error detected: '{name}' failed to satisfy constraint: Member must not be null"
            )
            .into(),
            Self::Invalid { parameter, rule } => {
                format!("1 validation error detected: '{parameter}' failed to satisfy constraint: {rule}")
                    .into()
            }
            Self::Parameters(message) | Self::Tags(message) => Cow::Borrowed(message),
            Self::Denied { message, .. } => Cow::Borrowed(message),
            _ => self.row().2.into(),
        }
    }

    fn row(&self) -> (&'static str, u16, &'static str) {
        const VALIDATION: (&str, u16, &str) = ("ValidationError", 400, "");
        match self {
            Self::Method => ("InvalidAction", 405, "The method is neither GET nor POST"),
            Self::TooLarge => {
                ("RequestEntityTooLarge", 413, "The request is larger than this service accepts")
            }
            Self::Body => ("ValidationError", 400, "The body could not be read to its end"),
            Self::MissingAction => ("MissingAction", 400, "The request must contain the parameter Action"),
            Self::InvalidAction => {
                ("InvalidAction", 400, "There is no such operation in version 2011-06-15 of this service")
            }
            Self::Missing(_) | Self::Invalid { .. } | Self::Parameters(_) | Self::Tags(_) => VALIDATION,
            Self::UnknownParameter => {
                ("ValidationError", 400, "The request has a parameter that this service does not support")
            }
            Self::DurationOfRole => (
                "ValidationError",
                400,
                "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
            ),
            Self::DurationOfChain => (
                "ValidationError",
                400,
                "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.",
            ),
            Self::MalformedPolicy => ("MalformedPolicyDocument", 400, "The policy is not a JSON object"),
            Self::PackedPolicyTooLarge => (
                "PackedPolicyTooLarge",
                400,
                "Packed policy consumes more than 100% of the space of a session token",
            ),
            Self::Identity(fault) => fault.row(),
            Self::Denied { .. } => ("AccessDenied", 403, ""),
            Self::Unavailable => ("ServiceUnavailable", 503, "Please try again later"),
            Self::Internal => ("InternalFailure", 500, "The request failed because of an internal error"),
        }
    }

    /// The denial of a web identity: the same whatever the role lacks, and whether there is one or not.
    pub(super) fn web_identity_denied(why: Denial) -> Self {
        Self::Denied { why, message: "Not authorized to perform sts:AssumeRoleWithWebIdentity".into() }
    }

    /// The denial of a signed AssumeRole: it names what the caller knows, which are itself and what it asked for.
    pub(super) fn assume_role_denied(why: Denial, caller: &str, role: &str) -> Self {
        let message =
            format!("User: {caller} is not authorized to perform: sts:AssumeRole on resource: {role}");
        Self::Denied { why, message: message.into() }
    }
}

impl IdentityFault {
    fn row(self) -> (&'static str, u16, &'static str) {
        match self {
            Self::Issuer => {
                ("InvalidIdentityToken", 400, "The issuer of the token is not known to this service")
            }
            Self::Audience => ("InvalidIdentityToken", 400, "Incorrect token audience"),
            Self::Expired => (
                "ExpiredTokenException",
                400,
                "Token expired: current date/time must be before the expiration date/time",
            ),
            Self::Invalid => ("InvalidIdentityToken", 400, "The web identity token could not be validated"),
            Self::Claims => ("InvalidIdentityToken", 400, "The session claims of the token are not valid"),
            Self::KeysUnavailable => (
                "IDPCommunicationError",
                400,
                "The keys of the identity provider could not be retrieved; please try again",
            ),
        }
    }
}

/// For the operator's log.
impl fmt::Display for StsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied { why, .. } => write!(f, "access denied: {why:?}"),
            Self::Missing(name) => write!(f, "{name} is missing"),
            Self::Invalid { parameter, .. } => write!(f, "{parameter} is not valid"),
            Self::Identity(fault) => write!(f, "web identity token: {fault:?}"),
            other => write!(f, "{}: {}", other.code(), other.message()),
        }
    }
}

impl Error for StsError {}
