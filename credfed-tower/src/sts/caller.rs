//! Who signed a request to STS.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use credfed_core::session::{SessionClaims, SessionKind};
use credfed_sigv4_verify::KeyKind;

use super::arn::{Account, RoleArn, is_name, unique_id};
use super::tags::Tag;
use crate::resolve::{Principal, Session};

/// What an application knows of a long-lived key, as far as STS has to know it: whose it is.
///
/// Implemented for texts; implement it for claims of your own.
pub trait KeyHolder {
    /// The name of the user whose key it is, 1 to 64 of `[\w+=,.@-]`. It becomes `arn:aws:iam::ACCOUNT:user/NAME`,
    /// which trusts of roles name.
    fn user_name(&self) -> Cow<'_, str>;

    /// The session policy that restricts the holder. For claims of temporary keys that something else issued (a
    /// resolver for [`ByShape::other`](crate::ByShape::other)); a long-lived key has none.
    fn session_policy(&self) -> Option<Cow<'_, str>> {
        None
    }
}

impl KeyHolder for &'static str {
    fn user_name(&self) -> Cow<'_, str> {
        Cow::Borrowed(self)
    }
}

impl KeyHolder for String {
    fn user_name(&self) -> Cow<'_, str> {
        Cow::Borrowed(self)
    }
}

impl KeyHolder for Box<str> {
    fn user_name(&self) -> Cow<'_, str> {
        Cow::Borrowed(self)
    }
}

impl KeyHolder for Arc<str> {
    fn user_name(&self) -> Cow<'_, str> {
        Cow::Borrowed(self)
    }
}

/// A verified caller of a signed action.
#[derive(Clone)]
pub struct StsCaller {
    kind: CallerKind,
    /// Of the user, or of the session of a role.
    arn: String,
    /// Of the user or role.
    principal: String,
    user_id: String,
    policy: Option<String>,
    session: Option<Session>,
}

/// What kind of credential a caller signed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CallerKind {
    /// A user's long-lived key.
    User,
    /// A user's session of GetSessionToken.
    UserSession,
    /// A session of a role.
    RoleSession,
    /// A temporary key that this service did not issue, of a user. Whether a role is behind it is not known, so it
    /// is treated as one of a role: no GetSessionToken, and what it assumes lasts an hour at most.
    ForeignSession,
}

/// Leaves the policy out, which is the caller's own.
impl fmt::Debug for StsCaller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StsCaller")
            .field("kind", &self.kind)
            .field("arn", &self.arn)
            .field("is_restricted", &self.is_restricted())
            .finish_non_exhaustive()
    }
}

impl StsCaller {
    /// `None` if the holder's name, or what the session says of itself, makes no ARN.
    pub(super) fn new<C: KeyHolder>(
        principal: &Principal<C>,
        key_kind: KeyKind,
        account: &Account,
    ) -> Option<Self> {
        match principal {
            Principal::Static(holder) => {
                let name = holder.user_name();
                if !(1..=64).contains(&name.len()) || !is_name(&name) {
                    return None;
                }
                let arn = account.user_arn(&name);
                let user_id = unique_id("AIDA", &arn);
                let kind = match key_kind {
                    KeyKind::Static => CallerKind::User,
                    _ => CallerKind::ForeignSession,
                };
                let policy = holder.session_policy().map(Cow::into_owned);
                Some(Self { kind, principal: arn.clone(), arn, user_id, policy, session: None })
            }
            Principal::Session(session) => {
                let claims = session.claims();
                let principal = claims.principal().to_owned();
                let (kind, arn, user_id) = match (claims.kind(), claims.session_name()) {
                    (SessionKind::SessionToken, _) => {
                        (CallerKind::UserSession, principal.clone(), unique_id("AIDA", &principal))
                    }
                    (_, Some(name)) => {
                        let arn = RoleArn::parse(&principal)?.session(name);
                        (CallerKind::RoleSession, arn, format!("{}:{name}", unique_id("AROA", &principal)))
                    }
                    _ => return None,
                };
                let policy = claims.policy().map(str::to_owned);
                Some(Self { kind, arn, principal, user_id, policy, session: Some(session.clone()) })
            }
        }
    }

    /// What kind of credential the caller signed with.
    pub fn kind(&self) -> CallerKind {
        self.kind
    }

    /// `arn:aws:iam::ACCOUNT:user/NAME`, or `arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION`.
    pub fn arn(&self) -> &str {
        &self.arn
    }

    /// The user or role whose rights the caller has.
    pub fn principal(&self) -> &str {
        &self.principal
    }

    /// The caller's session, if it has one.
    pub fn session(&self) -> Option<&Session> {
        self.session.as_ref()
    }

    /// The session policy that restricts the caller.
    pub fn policy(&self) -> Option<&str> {
        self.policy.as_deref()
    }

    /// The source identity that the caller's session has.
    pub fn source_identity(&self) -> Option<&str> {
        self.claims().and_then(SessionClaims::source_identity)
    }

    pub(super) fn is_restricted(&self) -> bool {
        self.policy.is_some()
    }

    /// Assuming a role from a session of a role is chaining; from a user's session it is not.
    pub(super) fn is_chaining(&self) -> bool {
        matches!(self.kind, CallerKind::RoleSession | CallerKind::ForeignSession)
    }

    /// What a session that this caller begins inherits.
    pub(super) fn transitive_tags(&self) -> Vec<Tag> {
        let tags = self.claims().map(SessionClaims::tags).into_iter().flatten();
        tags.filter(|tag| tag.transitive)
            .map(|tag| Tag { key: tag.key.to_owned(), value: tag.value.to_owned(), transitive: true })
            .collect()
    }

    /// The ARNs under which a trust can name the caller.
    pub(super) fn arns(&self) -> impl Iterator<Item = &str> {
        let session = Some(&*self.arn).filter(|&arn| arn != self.principal);
        std::iter::once(&*self.principal).chain(session)
    }

    /// Of the account that the ARN names.
    pub(super) fn account(&self) -> &str {
        self.arn.split(':').nth(4).unwrap_or_default()
    }

    pub(super) fn user_id(&self) -> &str {
        &self.user_id
    }

    fn claims(&self) -> Option<&SessionClaims> {
        self.session.as_ref().map(Session::claims)
    }
}
