//! What a session token says.

mod builder;
mod encoding;
mod error;

use std::fmt;
use std::time::{Duration, SystemTime};

pub use self::builder::SessionClaimsBuilder;
use self::encoding::{Field, Layout, Reader, tag};
pub use self::error::ClaimsError;

/// The most that the claims of one session may take, encoded, in bytes: what fits into a token of 2 KiB.
pub const LONGEST_CLAIMS: usize =
    (super::token::LONGEST_MINTED - super::token::PREFIX) / 4 * 3 - super::token::NONCE - super::token::TAG;

/// The end of the year 9999.
pub(super) const LAST_SECOND: u64 = 253_402_300_799;

/// How a session came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SessionKind {
    /// AssumeRoleWithWebIdentity: a role, for the subject of an OpenID Connect issuer.
    WebIdentity,
    /// AssumeRole: a role, for the holder of another credential.
    AssumedRole,
    /// GetSessionToken: the rights of a long-lived key, for a time.
    SessionToken,
}

/// What is known of a session. A value of this type is within its limits and consistent.
///
/// `Debug` shows what kind of session it is and whose, not what its policy, tags or subject say.
#[derive(Clone)]
pub struct SessionClaims {
    encoded: Box<[u8]>,
    layout: Layout,
}

/// [`SessionClaims`] that are borrowed from an opened token.
#[derive(Clone, Copy)]
pub struct SessionClaimsRef<'a> {
    encoded: &'a [u8],
    layout: Layout,
}

/// One tag of a session.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionTag<'a> {
    /// Unique in the session, whatever the case of its letters.
    pub key: &'a str,
    /// May be empty.
    pub value: &'a str,
    /// Whether the tag goes on to sessions that this one assumes.
    pub transitive: bool,
}

impl fmt::Debug for SessionTag<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionTag").field("transitive", &self.transitive).finish_non_exhaustive()
    }
}

impl SessionClaims {
    /// Starts with what every session has: its kind; its principal, which is the ARN of the role (or, for
    /// [`SessionKind::SessionToken`], of the user) whose rights it has; when it was issued and when it is over, in
    /// whole seconds, fractions cut off.
    pub fn builder(
        kind: SessionKind,
        principal: impl Into<String>,
        issued: SystemTime,
        expires: SystemTime,
    ) -> SessionClaimsBuilder {
        SessionClaimsBuilder::new(kind, principal.into(), issued, expires)
    }

    /// The same claims, borrowed.
    pub fn as_ref(&self) -> SessionClaimsRef<'_> {
        SessionClaimsRef { encoded: &self.encoded, layout: self.layout }
    }

    /// How much of a token's room the claims take, in percent of [`LONGEST_CLAIMS`], rounded up: what AWS calls
    /// PackedPolicySize. Above 100 no token can be minted of them.
    pub fn packed_percent(&self) -> usize {
        (self.encoded.len() * 100).div_ceil(LONGEST_CLAIMS)
    }

    pub(super) fn encoded(&self) -> &[u8] {
        &self.encoded
    }
}

/// Each of these says what the method of the same name of [`SessionClaimsRef`] says.
#[allow(missing_docs, reason = "said above, and there")]
impl SessionClaims {
    pub fn kind(&self) -> SessionKind {
        self.layout.kind
    }

    pub fn issued(&self) -> SystemTime {
        self.as_ref().issued()
    }

    pub fn expires(&self) -> SystemTime {
        self.as_ref().expires()
    }

    pub fn generation(&self) -> u64 {
        self.layout.generation
    }

    pub fn principal(&self) -> &str {
        self.as_ref().principal()
    }

    pub fn role(&self) -> Option<&str> {
        self.as_ref().role()
    }

    pub fn session_name(&self) -> Option<&str> {
        self.as_ref().session_name()
    }

    pub fn subject(&self) -> Option<&str> {
        self.as_ref().subject()
    }

    pub fn issuer(&self) -> Option<&str> {
        self.as_ref().issuer()
    }

    pub fn source_identity(&self) -> Option<&str> {
        self.as_ref().source_identity()
    }

    pub fn policy(&self) -> Option<&str> {
        self.as_ref().policy()
    }

    pub fn tags(&self) -> SessionTags<'_> {
        self.as_ref().tags()
    }

    pub fn restricted(&self) -> bool {
        self.as_ref().restricted()
    }
}

impl<'a> SessionClaimsRef<'a> {
    /// How the session came about.
    pub fn kind(&self) -> SessionKind {
        self.layout.kind
    }

    /// When it was issued, in whole seconds.
    pub fn issued(&self) -> SystemTime {
        time(self.layout.issued)
    }

    /// When it is over, in whole seconds: from this moment on it is.
    pub fn expires(&self) -> SystemTime {
        time(self.layout.expires)
    }

    /// A number of the issuer's own, such as the generation of the role's definition; 0 if it set none.
    pub fn generation(&self) -> u64 {
        self.layout.generation
    }

    /// The ARN of the role or user whose rights the session has. [`Revocation`](super::Revocation) goes by it.
    pub fn principal(&self) -> &'a str {
        self.text(Field::Principal)
    }

    /// The ARN of the role; `None` for [`SessionKind::SessionToken`].
    pub fn role(&self) -> Option<&'a str> {
        (self.layout.kind != SessionKind::SessionToken).then(|| self.principal())
    }

    /// The name of the role session; role sessions have one.
    pub fn session_name(&self) -> Option<&'a str> {
        self.optional(Field::SessionName)
    }

    /// The subject of the web identity, as its issuer calls it; web identity sessions have one.
    pub fn subject(&self) -> Option<&'a str> {
        self.optional(Field::Subject)
    }

    /// The issuer of the web identity; web identity sessions have one.
    pub fn issuer(&self) -> Option<&'a str> {
        self.optional(Field::Issuer)
    }

    /// The source identity, which no later session of a chain can change.
    pub fn source_identity(&self) -> Option<&'a str> {
        self.optional(Field::SourceIdentity)
    }

    /// The session policy, as its text.
    pub fn policy(&self) -> Option<&'a str> {
        self.optional(Field::Policy)
    }

    /// The tags, ordered by their keys without regard to case.
    pub fn tags(&self) -> SessionTags<'a> {
        SessionTags { rest: Reader { bytes: self.layout.span(Field::Tag).of(self.encoded) } }
    }

    /// Whether a session policy cuts the rights down. Whoever does not evaluate policies must refuse such a session.
    pub fn restricted(&self) -> bool {
        !self.layout.span(Field::Policy).is_empty()
    }

    /// A copy that stands on its own; one allocation.
    pub fn to_owned(&self) -> SessionClaims {
        SessionClaims { encoded: self.encoded.into(), layout: self.layout }
    }

    /// Reads and checks an encoding; see the top of the file.
    pub(super) fn decode(encoded: &'a [u8]) -> Result<Self, ClaimsError> {
        let layout = Layout::of(encoded)?;
        Ok(Self { encoded, layout })
    }

    pub(super) fn issued_second(&self) -> u64 {
        self.layout.issued
    }

    pub(super) fn expires_second(&self) -> u64 {
        self.layout.expires
    }

    fn optional(&self, field: Field) -> Option<&'a str> {
        (!self.layout.span(field).is_empty()).then(|| self.text(field))
    }

    /// Found to be UTF-8 when it was decoded.
    fn text(&self, field: Field) -> &'a str {
        std::str::from_utf8(self.layout.span(field).of(self.encoded)).unwrap_or_default()
    }
}

/// The encoding is canonical, so equal claims are equal bytes.
impl PartialEq for SessionClaims {
    fn eq(&self, other: &Self) -> bool {
        self.encoded == other.encoded
    }
}

impl Eq for SessionClaims {}

impl PartialEq for SessionClaimsRef<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.encoded == other.encoded
    }
}

impl Eq for SessionClaimsRef<'_> {}

impl fmt::Debug for SessionClaims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}

impl fmt::Debug for SessionClaimsRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionClaims")
            .field("kind", &self.kind())
            .field("principal", &self.principal())
            .field("session_name", &self.session_name())
            .field("issued", &self.layout.issued)
            .field("expires", &self.layout.expires)
            .field("restricted", &self.restricted())
            .finish_non_exhaustive()
    }
}

/// The tags of a session; see [`SessionClaimsRef::tags`].
#[derive(Clone)]
pub struct SessionTags<'a> {
    rest: Reader<'a>,
}

impl<'a> Iterator for SessionTags<'a> {
    type Item = SessionTag<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let (_, bytes) = self.rest.field()?;
        tag(bytes).ok()
    }
}

impl fmt::Debug for SessionTags<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

fn time(second: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(second)
}

#[cfg(test)]
mod tests;
