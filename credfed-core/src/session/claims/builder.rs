//! How claims are put together.

use std::fmt;
use std::time::SystemTime;

use super::encoding::{Field, Layout, check_tag, put, without_case};
use super::{ClaimsError, LAST_SECOND, SessionClaims, SessionKind};

/// Collects [`SessionClaims`]; see [`SessionClaims::builder`].
#[must_use = "claims are made by build()"]
pub struct SessionClaimsBuilder {
    kind: SessionKind,
    issued: SystemTime,
    expires: SystemTime,
    generation: u64,
    fields: Vec<(Field, String)>,
    tags: Vec<(String, String, bool)>,
}

impl SessionClaimsBuilder {
    pub(super) fn new(kind: SessionKind, principal: String, issued: SystemTime, expires: SystemTime) -> Self {
        let fields = vec![(Field::Principal, principal)];
        Self { kind, issued, expires, generation: 0, fields, tags: Vec::new() }
    }

    /// The name of a role session, 1 to 64 bytes; required for the two kinds that have a role, else refused.
    pub fn session_name(self, name: impl Into<String>) -> Self {
        self.with(Field::SessionName, name)
    }

    /// The subject of the web identity, 1 to 255 bytes; required for that kind, else refused.
    pub fn subject(self, subject: impl Into<String>) -> Self {
        self.with(Field::Subject, subject)
    }

    /// The issuer of the web identity, 1 to 255 bytes; required for that kind, else refused.
    pub fn issuer(self, issuer: impl Into<String>) -> Self {
        self.with(Field::Issuer, issuer)
    }

    /// The source identity, 1 to 64 bytes.
    pub fn source_identity(self, identity: impl Into<String>) -> Self {
        self.with(Field::SourceIdentity, identity)
    }

    /// The session policy, 1 to 2048 bytes. It has to fit into the token, too.
    pub fn policy(self, policy: impl Into<String>) -> Self {
        self.with(Field::Policy, policy)
    }

    /// Adds a tag; 50 at most, keys of 1 to 512 bytes and unique without case, values of up to 1024 bytes.
    pub fn tag(mut self, key: impl Into<String>, value: impl Into<String>, transitive: bool) -> Self {
        self.tags.push((key.into(), value.into(), transitive));
        self
    }

    /// A number of the issuer's own.
    pub fn generation(mut self, generation: u64) -> Self {
        self.generation = generation;
        self
    }

    /// Checks and encodes.
    ///
    /// # Errors
    /// The first [`ClaimsError`] that is met. The room in a token is judged by
    /// [`mint`](crate::session::SealedSessions::mint) alone.
    pub fn build(mut self) -> Result<SessionClaims, ClaimsError> {
        let mut bytes = Vec::with_capacity(256);
        bytes.push(match self.kind {
            SessionKind::WebIdentity => 1,
            SessionKind::AssumedRole => 2,
            SessionKind::SessionToken => 3,
        });
        for number in [seconds(self.issued)?, seconds(self.expires)?, self.generation] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        // Stable, and the last of two values of one field counts.
        self.fields.sort_by_key(|(field, _)| *field);
        for (at, (field, text)) in self.fields.iter().enumerate() {
            if self.fields.get(at + 1).is_none_or(|(next, _)| next != field) {
                put(&mut bytes, *field, &[text.as_bytes()])?;
            }
        }
        self.tags.sort_by(|(a, ..), (b, ..)| without_case(a.as_bytes(), b.as_bytes()));
        for (key, value, transitive) in &self.tags {
            check_tag(key.as_bytes(), value.as_bytes())?;
            let length = u16::try_from(key.len()).map_err(|_| ClaimsError::TooLong("tag"))?;
            let head = [&[u8::from(*transitive)][..], &length.to_be_bytes()].concat();
            put(&mut bytes, Field::Tag, &[&head, key.as_bytes(), value.as_bytes()])?;
        }
        let layout = Layout::of(&bytes)?;
        Ok(SessionClaims { encoded: bytes.into(), layout })
    }

    fn with(mut self, field: Field, text: impl Into<String>) -> Self {
        self.fields.push((field, text.into()));
        self
    }
}

impl fmt::Debug for SessionClaimsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionClaimsBuilder").field("kind", &self.kind).finish_non_exhaustive()
    }
}

fn seconds(time: SystemTime) -> Result<u64, ClaimsError> {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).map_err(|_| ClaimsError::Times)?;
    Some(since.as_secs()).filter(|second| *second <= LAST_SECOND).ok_or(ClaimsError::Times)
}
