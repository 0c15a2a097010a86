//! What is known of a token that was accepted.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use super::json::{Json, Object};

pub use super::json::Number;

/// A JWT that was accepted: who says what about whom. Only the validator makes one.
///
/// All of it is data from outside: nothing here is fit to be a template, a path or a pattern.
#[derive(Clone)]
pub struct ValidatedToken {
    pub(super) issuer: Arc<str>,
    pub(super) shared: bool,
    pub(super) expires: SystemTime,
    pub(super) issued: Option<SystemTime>,
    pub(super) audiences: Vec<String>,
    pub(super) claims: Object,
}

impl ValidatedToken {
    /// The issuer's configured URL, also if the token calls it by an alias.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Whether the issuer serves tenants that do not know each other
    /// ([`TrustedIssuerBuilder::shared`](super::TrustedIssuerBuilder::shared)): then its name alone says nothing.
    pub fn is_shared_issuer(&self) -> bool {
        self.shared
    }

    /// `sub`: who it is about, never empty.
    pub fn subject(&self) -> &str {
        self.claims.text("sub").unwrap_or_default()
    }

    /// `aud`: whom it is for, one or more.
    pub fn audiences(&self) -> &[String] {
        &self.audiences
    }

    /// `azp`: the party that it was issued to, if it says so.
    pub fn authorized_party(&self) -> Option<&str> {
        self.claims.text("azp")
    }

    /// `exp`, in whole seconds.
    pub fn expires(&self) -> SystemTime {
        self.expires
    }

    /// `iat`, in whole seconds. Absent only where the issuer's settings allow that.
    pub fn issued(&self) -> Option<SystemTime> {
        self.issued
    }

    /// `jti`: the token's own id, if it has one.
    pub fn id(&self) -> Option<&str> {
        self.claims.text("jti")
    }

    /// A claim, by the names that lead to it from the outermost object. `None` if there is none, or if it is
    /// `null`.
    ///
    /// ```
    /// # fn tags(token: &credfed_core::oidc::ValidatedToken) {
    /// let tags = token.claim(&["https://aws.amazon.com/tags", "principal_tags"]);
    /// # let _ = tags;
    /// # }
    /// ```
    pub fn claim(&self, path: &[&str]) -> Option<ClaimValue<'_>> {
        let (last, way) = path.split_last()?;
        let mut object = &self.claims;
        for name in way {
            object = object.get(name)?.as_object()?;
        }
        ClaimValue::of(object.get(last)?)
    }
}

/// Names the issuer and the expiry; claims are about people.
impl fmt::Debug for ValidatedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ValidatedToken")
            .field("issuer", &self.issuer)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

/// The value of a claim.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum ClaimValue<'a> {
    /// A text.
    Text(&'a str),
    /// A number.
    Number(Number),
    /// `true` or `false`.
    Bool(bool),
    /// A list of values.
    List(ClaimList<'a>),
    /// Values by their names.
    Object(ClaimObject<'a>),
}

impl<'a> ClaimValue<'a> {
    fn of(value: &'a Json) -> Option<Self> {
        Some(match value {
            Json::Null => return None,
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(number) => Self::Number(*number),
            Json::Text(text) => Self::Text(text),
            Json::List(items) => Self::List(ClaimList(items)),
            Json::Object(object) => Self::Object(ClaimObject(object)),
        })
    }

    /// The text, if it is one.
    pub fn as_text(self) -> Option<&'a str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// The items of a claim that is a list.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClaimList<'a>(&'a [Json]);

impl<'a> ClaimList<'a> {
    /// The items in their order; `null` ones are left out.
    pub fn iter(self) -> impl Iterator<Item = ClaimValue<'a>> {
        self.0.iter().filter_map(ClaimValue::of)
    }
}

/// The members of a claim that is an object.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClaimObject<'a>(&'a Object);

impl<'a> ClaimObject<'a> {
    /// A member, by its name.
    pub fn get(self, name: &str) -> Option<ClaimValue<'a>> {
        ClaimValue::of(self.0.get(name)?)
    }

    /// Names and values in their order; `null` ones are left out.
    pub fn iter(self) -> impl Iterator<Item = (&'a str, ClaimValue<'a>)> {
        self.0.iter().filter_map(|(name, value)| Some((name, ClaimValue::of(value)?)))
    }
}
