//! The last word on an assumption: a hook of the service's own, after all rules of trust.

use std::borrow::Cow;
use std::fmt;
use std::future::{Future, ready};
use std::pin::Pin;

use super::caller::StsCaller;
use super::role::Role;
use super::tags::Tag;

/// Decides about an assumption that the role's trust admits.
///
/// It is asked last: the web identity was validated or the signature verified, and a trust of the role admits the
/// caller with these tags and this source identity. It can say no, and it can lift the one barrier that stands
/// behind the trust: a caller whose own session is restricted by a session policy does not assume roles. It cannot
/// widen a trust.
pub trait AssumeHook: Send + Sync + 'static {
    /// Decides.
    fn decide(&self, request: &AssumeRequest<'_>) -> impl Future<Output = Verdict> + Send;
}

/// What an [`AssumeHook`] says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// The rules decide: an unrestricted caller passes, a restricted one is denied.
    Default,
    /// It passes, also if the caller is restricted. For hooks that evaluated
    /// [`caller_policy`](AssumeRequest::caller_policy).
    Allow,
    /// Denied. The note is for the log alone; no secret belongs there.
    Deny(Cow<'static, str>),
    /// The decision cannot be had now (503).
    Unavailable,
}

/// An assumption that the trust admits, as a hook sees it.
pub struct AssumeRequest<'a> {
    pub(super) role: &'a Role,
    pub(super) session_name: &'a str,
    pub(super) caller: Option<&'a StsCaller>,
    pub(super) web_identity: Option<(&'a str, &'a str)>,
    pub(super) policy: Option<&'a str>,
    pub(super) tags: &'a [Tag],
    pub(super) source_identity: Option<&'a str>,
}

impl<'a> AssumeRequest<'a> {
    /// The role.
    pub fn role(&self) -> &'a Role {
        self.role
    }

    /// The name that the session would have.
    pub fn session_name(&self) -> &'a str {
        self.session_name
    }

    /// Who signed the request; `None` for a web identity.
    pub fn caller(&self) -> Option<&'a StsCaller> {
        self.caller
    }

    /// The issuer of the web identity.
    pub fn issuer(&self) -> Option<&'a str> {
        self.web_identity.map(|(issuer, _)| issuer)
    }

    /// The subject of the web identity.
    pub fn subject(&self) -> Option<&'a str> {
        self.web_identity.map(|(_, subject)| subject)
    }

    /// The session policy that restricts the caller's own session.
    pub fn caller_policy(&self) -> Option<&'a str> {
        self.caller.and_then(StsCaller::policy)
    }

    /// The session policy that would restrict the new session.
    pub fn policy(&self) -> Option<&'a str> {
        self.policy
    }

    /// The tags that the new session would have, inherited ones among them.
    pub fn tags(&self) -> &'a [Tag] {
        self.tags
    }

    /// The source identity that the new session would have.
    pub fn source_identity(&self) -> Option<&'a str> {
        self.source_identity
    }
}

impl fmt::Debug for AssumeRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AssumeRequest")
            .field("role", &self.role.arn())
            .field("session_name", &self.session_name)
            .field("is_restricted", &self.policy.is_some())
            .finish_non_exhaustive()
    }
}

/// No hook: the rules decide.
#[derive(Clone, Copy, Debug, Default)]
pub struct DefaultRules;

impl AssumeHook for DefaultRules {
    fn decide(&self, _: &AssumeRequest<'_>) -> impl Future<Output = Verdict> + Send {
        ready(Verdict::Default)
    }
}

/// [`AssumeHook`], erased.
pub(super) trait DynAssumeHook: Send + Sync {
    fn decide<'a>(
        &'a self,
        request: &'a AssumeRequest<'a>,
    ) -> Pin<Box<dyn Future<Output = Verdict> + Send + 'a>>;
}

impl<T: AssumeHook> DynAssumeHook for T {
    fn decide<'a>(
        &'a self,
        request: &'a AssumeRequest<'a>,
    ) -> Pin<Box<dyn Future<Output = Verdict> + Send + 'a>> {
        Box::pin(AssumeHook::decide(self, request))
    }
}
