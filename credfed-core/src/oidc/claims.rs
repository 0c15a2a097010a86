//! What an assertion of ours says.

use std::fmt;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::{IdentityBuilder, ProviderError};

/// The claims that the issuer sets itself, and no caller may.
const OWN: [&str; 7] = ["iss", "sub", "aud", "iat", "nbf", "exp", "jti"];

/// About whom an assertion is, for whom, and what else it says.
///
/// ```
/// use credfed_core::oidc::AssertionClaims;
///
/// let claims = AssertionClaims::new("gateway", "sts.amazonaws.com").claim("environment", "production")?;
/// assert!(claims.claim("exp", 4_102_444_800_i64).is_err(), "the issuer sets this one");
/// # Ok::<_, credfed_core::ProviderError>(())
/// ```
#[derive(Clone, PartialEq)]
pub struct AssertionClaims {
    pub(super) subject: String,
    pub(super) audiences: Vec<String>,
    pub(super) lifetime: Option<Duration>,
    extra: Vec<(String, AssertionValue)>,
}

impl AssertionClaims {
    /// Claims about `subject`, for `audience`.
    pub fn new(subject: impl Into<String>, audience: impl Into<String>) -> Self {
        Self { subject: subject.into(), audiences: vec![audience.into()], lifetime: None, extra: Vec::new() }
    }

    /// Adds an audience. With one `aud` is a text, with several a list.
    #[must_use]
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audiences.push(audience.into());
        self
    }

    /// How long the assertion lives, instead of the issuer's own setting.
    #[must_use]
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = Some(lifetime);
        self
    }

    /// Adds a claim.
    ///
    /// # Errors
    ///
    /// [`Misconfigured`](crate::ErrorKind::Misconfigured) if the issuer sets that claim itself (`iss`, `sub`,
    /// `aud`, `iat`, `nbf`, `exp`, `jti`), or if it is there already.
    pub fn claim(
        mut self,
        name: impl Into<String>,
        value: impl Into<AssertionValue>,
    ) -> Result<Self, ProviderError> {
        let name = name.into();
        if OWN.contains(&name.as_str()) || self.extra.iter().any(|(one, _)| *one == name) {
            return Err(ProviderError::misconfigured("a claim is the issuer's own, or comes twice"));
        }
        self.extra.push((name, value.into()));
        Ok(self)
    }

    /// Puts all that shapes the assertion into an identity.
    pub(super) fn identify(&self, identity: IdentityBuilder) -> IdentityBuilder {
        let lifetime = self.lifetime.map(|lifetime| lifetime.as_nanos().to_be_bytes());
        let identity = identity
            .part("subject", &self.subject)
            .list("audiences", &self.audiences)
            .optional("lifetime", lifetime);
        self.extra.iter().fold(identity, |identity, (name, value)| {
            identity.part("claim", name).part("value", value.to_json().to_string())
        })
    }

    /// The extra claims, to which the issuer adds its own.
    pub(super) fn to_json(&self) -> Map<String, Value> {
        self.extra.iter().map(|(name, value)| (name.clone(), value.to_json())).collect()
    }
}

/// Shows for whom, and leaves out about whom and what.
impl fmt::Debug for AssertionClaims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AssertionClaims").field("audiences", &self.audiences).finish_non_exhaustive()
    }
}

/// The value of an extra claim.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum AssertionValue {
    /// A text.
    Text(String),
    /// A whole number.
    Number(i64),
    /// `true` or `false`.
    Bool(bool),
    /// A list of values.
    List(Vec<AssertionValue>),
    /// Values by name. Of equal names the last one counts.
    Object(Vec<(String, AssertionValue)>),
}

impl AssertionValue {
    fn to_json(&self) -> Value {
        match self {
            Self::Text(text) => Value::from(text.as_str()),
            Self::Number(number) => Value::from(*number),
            Self::Bool(value) => Value::from(*value),
            Self::List(items) => items.iter().map(Self::to_json).collect(),
            Self::Object(members) => {
                members.iter().map(|(name, value)| (name.clone(), value.to_json())).collect()
            }
        }
    }
}

impl From<&str> for AssertionValue {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for AssertionValue {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for AssertionValue {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for AssertionValue {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl<T: Into<Self>> From<Vec<T>> for AssertionValue {
    fn from(items: Vec<T>) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }
}
