//! Why a JWT was not accepted.

use std::error::Error;
use std::fmt;

use crate::ProviderError;

/// Why a JWT was not accepted. The five cases are those that an STS endpoint tells apart.
///
/// No text of it holds anything of the token but the name of a claim that this crate checks.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum JwtError {
    /// It is not a token of the issuer that it names, or not one that may be used (`InvalidIdentityToken`).
    Invalid(Flaw),
    /// It was a good token until it expired (`ExpiredTokenException`).
    Expired,
    /// It was issued for somebody else (`InvalidIdentityToken`, "Incorrect token audience").
    IncorrectAudience,
    /// No issuer of that name is configured. Nothing was fetched (`InvalidIdentityToken`).
    UnknownIssuer,
    /// The issuer's keys are not at hand, so nothing is known about the token. The same call may work later
    /// (`IDPCommunicationError`).
    KeysUnavailable(ProviderError),
}

impl JwtError {
    /// Whether the same token may be accepted later without anybody changing anything.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::KeysUnavailable(_))
    }
}

impl fmt::Display for JwtError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(flaw) => write!(f, "the token is not valid: {flaw}"),
            Self::Expired => f.write_str("the token has expired"),
            Self::IncorrectAudience => f.write_str("the token is for another audience"),
            Self::UnknownIssuer => f.write_str("the issuer of the token is not configured"),
            Self::KeysUnavailable(_) => f.write_str("the keys of the issuer are not available"),
        }
    }
}

impl Error for JwtError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::KeysUnavailable(cause) => Some(cause),
            _ => None,
        }
    }
}

/// Two errors are equal if they say the same about the token; what made the keys unavailable does not count.
impl PartialEq for JwtError {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Invalid(one), Self::Invalid(other)) => one == other,
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }
}

impl Eq for JwtError {}

impl From<Flaw> for JwtError {
    fn from(flaw: Flaw) -> Self {
        Self::Invalid(flaw)
    }
}

/// The rule that a token breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Flaw {
    /// Longer than 16 KiB.
    TooLong,
    /// Not three parts with two dots between them, each of them there.
    Parts,
    /// A part is not base64url without padding in its one canonical form.
    Base64,
    /// Header or payload is not one JSON object, repeats a member, or nests too deeply.
    Json,
    /// The header has no algorithm, one that is not known here, or one that the issuer does not use.
    Algorithm,
    /// The header states a type that is not expected.
    Type,
    /// The header asks for something that is not understood: `crit`, `enc`, `zip`.
    Critical,
    /// The issuer has no key, or more than one, that fits the token.
    Key,
    /// The signature does not fit.
    Signature,
    /// A claim is missing or not of its type.
    Claim(&'static str),
    /// Not yet: `nbf` lies ahead.
    NotYetValid,
    /// `iat` lies ahead.
    IssuedAhead,
    /// It lives longer than the issuer's tokens may, or not at all.
    Lifetime,
    /// `azp` is missing beside several audiences, or is not configured.
    AuthorizedParty,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "it is too long",
            Self::Parts => "it does not have three parts",
            Self::Base64 => "a part is not base64url",
            Self::Json => "a part is not a plain json object",
            Self::Algorithm => "its algorithm is not accepted",
            Self::Type => "its type is not accepted",
            Self::Critical => "its header asks for what is not understood",
            Self::Key => "no one key of the issuer fits it",
            Self::Signature => "its signature does not fit",
            Self::Claim(name) => return write!(f, "claim {name} is missing or of the wrong type"),
            Self::NotYetValid => "it is not valid yet",
            Self::IssuedAhead => "it was issued in the future",
            Self::Lifetime => "its lifetime is not accepted",
            Self::AuthorizedParty => "its authorized party is not accepted",
        })
    }
}
