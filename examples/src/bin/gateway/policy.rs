//! The authoriser: what the caller may do against what the request needs. It runs after the signature was verified
//! and before anything goes on, so that nobody without rights causes an exchange for the gateway's own credential.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::future::{Future, Ready, ready};
use std::sync::Arc;

use credfed_core::session::SessionClaims;
use credfed_tower::sts::{Account, AssumeHook, AssumeRequest, KeyHolder, Verdict};
use credfed_tower::{AccessRequest, Authorize, Denied, Principal, Session};

use crate::grants::Claim;
use crate::needs;
use crate::rights::{Rights, RoleRights};

/// Whose long-lived key it is. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Holder(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: String,
    rights: Rights,
}

/// Rights by name, for sessions: they have those of their role, or of the user whose key they were made with. A
/// long-lived key brings its own.
#[derive(Debug, Default)]
pub(crate) struct Policy {
    users: HashMap<String, Holder>,
    roles: HashMap<String, RoleRights>,
}

impl Holder {
    /// The name of the key is the name of its user.
    pub(crate) fn new(name: String, rights: Rights) -> Self {
        Self(Arc::new(Inner { name, rights }))
    }

    pub(crate) fn name(&self) -> &str {
        &self.0.name
    }
}

impl KeyHolder for Holder {
    fn user_name(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.0.name)
    }
}

impl Policy {
    pub(crate) fn new<'a>(
        account: &Account,
        users: impl IntoIterator<Item = &'a Holder>,
        roles: HashMap<String, RoleRights>,
    ) -> Self {
        let users = users.into_iter().map(|user| (account.user_arn(&user.0.name), user.clone())).collect();
        Self { users, roles }
    }

    /// Whom it knows.
    pub(crate) fn existing(&self) -> Existing {
        Existing(self.users.keys().chain(self.roles.keys()).cloned().collect())
    }

    /// `None` for a role or user that is gone.
    fn rights<'a>(&'a self, principal: &'a Principal<Holder>) -> Option<Cow<'a, Rights>> {
        match principal {
            Principal::Static(holder) => Some(Cow::Borrowed(&holder.0.rights)),
            Principal::Session(session) => self.rights_of_session(session.claims()),
        }
    }

    fn rights_of_session<'a>(&'a self, claims: &'a SessionClaims) -> Option<Cow<'a, Rights>> {
        match claims.role() {
            Some(arn) => self.roles.get(arn).map(|role| Cow::Owned(role.of(|name| value(claims, name)))),
            None => self.users.get(claims.principal()).map(|user| Cow::Borrowed(&user.0.rights)),
        }
    }

    /// Allows a request when every one of its needs is covered by the caller's rights.
    fn judge(&self, request: &AccessRequest<'_, Principal<Holder>>) -> Result<(), Denied> {
        let needs = needs::of(request.parts()).map_err(|unclear| Denied::new(unclear.to_string()))?;
        let rights = self.rights(request.claims()).ok_or_else(|| Denied::new("its role or user is gone"))?;
        match needs.iter().find(|need| !rights.cover(need)) {
            None => Ok(()),
            Some(need) => Err(Denied::new(format!("{} has no right to {need}", who(request)))),
        }
    }
}

/// The users and roles that there are. A session can outlive the one that it was made for, and a trust can go on
/// naming it: such a session assumes no role.
#[derive(Debug)]
pub(crate) struct Existing(HashSet<String>);

impl AssumeHook for Existing {
    fn decide(&self, request: &AssumeRequest<'_>) -> impl Future<Output = Verdict> + Send {
        let is_gone = request.caller().is_some_and(|caller| !self.0.contains(caller.principal()));
        ready(if is_gone {
            Verdict::Deny("the caller's user or role is gone".into())
        } else {
            Verdict::Default
        })
    }
}

impl Authorize<Principal<Holder>> for Policy {
    type Future = Ready<Result<(), Denied>>;

    fn authorize(&self, request: &AccessRequest<'_, Principal<Holder>>) -> Self::Future {
        ready(self.judge(request))
    }
}

/// For the log: a key's id, or a session's role.
fn who(request: &AccessRequest<'_, Principal<Holder>>) -> String {
    let session = request.claims().as_session().map(Session::claims).and_then(SessionClaims::role);
    match session {
        Some(role) => format!("{} ({role})", request.access_key_id()),
        None => request.access_key_id().to_owned(),
    }
}

/// What a session says under the name that a grant may use.
fn value<'a>(claims: &'a SessionClaims, name: &Claim) -> Option<&'a str> {
    match name {
        Claim::Subject => claims.subject(),
        Claim::SourceIdentity => claims.source_identity(),
        Claim::Tag(key) => claims.tags().find(|tag| tag.key.eq_ignore_ascii_case(key)).map(|tag| tag.value),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use credfed_core::session::{SessionClaimsBuilder, SessionKind};

    use super::*;
    use crate::roles;

    const ROLES: &str = r#"
[[role]]
name = "reader"
[[role.trust]]
keys = ["alice"]
[[role.allow]]
bucket = "home"
prefix = "{subject}/{source_identity}/{tag:Team}/"
actions = ["read"]
"#;

    fn policy() -> Policy {
        let inbound = roles::parse(ROLES).ok().unwrap();
        let alice = Holder::new("alice".to_owned(), Rights { list_buckets: true, grants: Vec::new() });
        Policy::new(&inbound.account, [&alice], inbound.rights)
    }

    fn claims(kind: SessionKind, principal: &str) -> SessionClaimsBuilder {
        let arn = format!("arn:aws:iam::000000000000:{principal}");
        let claims = SessionClaims::builder(kind, arn, UNIX_EPOCH, UNIX_EPOCH + Duration::from_secs(900));
        if kind == SessionKind::SessionToken { claims } else { claims.session_name("chosen") }
    }

    fn reader() -> SessionClaimsBuilder {
        claims(SessionKind::WebIdentity, "role/reader").subject("sub").issuer("https://id.example.com")
    }

    fn reads(claims: SessionClaimsBuilder, path: &str) -> bool {
        let (policy, claims) = (policy(), claims.build().unwrap());
        let request = http::Request::get(path).body(()).unwrap().into_parts().0;
        let rights = policy.rights_of_session(&claims).unwrap();
        needs::of(&request).unwrap().iter().all(|need| rights.cover(need))
    }

    #[test]
    fn each_claim_goes_where_its_name_stands() {
        let whole = || reader().source_identity("src").tag("other", "x", false).tag("team", "blue", false);
        assert!(reads(whole(), "/home/sub/src/blue/key"));
        for other in
            ["chosen/src/blue", "sub/chosen/blue", "sub/src/x", "sub/src/Blue", "sub/src", "src/sub/blue"]
        {
            assert!(!reads(whole(), &format!("/home/{other}/key")), "{other}");
        }
    }

    #[test]
    fn a_claim_that_is_missing_covers_nothing() {
        assert!(!reads(reader().source_identity("src"), "/home/sub/src/blue/key"));
        assert!(!reads(reader().tag("team", "blue", false), "/home/sub/chosen/blue/key"));
    }

    #[test]
    fn who_is_gone_has_no_rights() {
        let rights =
            |claims: SessionClaimsBuilder| policy().rights_of_session(&claims.build().unwrap()).is_some();
        assert!(rights(reader()) && rights(claims(SessionKind::SessionToken, "user/alice")));
        assert!(!rights(claims(SessionKind::AssumedRole, "role/gone")));
        assert!(
            !rights(claims(SessionKind::AssumedRole, "role/alice")),
            "the name of a user is none of a role"
        );
        assert!(!rights(claims(SessionKind::SessionToken, "user/bob")));
        assert!(!rights(claims(SessionKind::SessionToken, "user/reader")));
    }
}
