//! Whom a role trusts, and under which conditions.
//!
//! A trust lists conditions; all of them have to hold, and each holds if one of its patterns matches. There is no
//! condition that holds because a claim is missing.

use credfed_core::Secret;

use super::caller::StsCaller;
use super::danger::Knobs;
use super::pattern::Pattern;

/// One trust of a role.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Trust {
    /// Subjects of an OpenID Connect issuer, through AssumeRoleWithWebIdentity.
    WebIdentity(WebIdentityTrust),
    /// Holders of this service's own keys and sessions, through AssumeRole.
    Principals(PrincipalTrust),
}

impl Trust {
    /// Trusts tokens of an issuer, once audiences (and, where tenants share it, subjects) are named.
    pub fn web_identity(issuer: impl Into<Box<str>>) -> WebIdentityTrust {
        WebIdentityTrust {
            issuer: issuer.into(),
            audiences: Vec::new(),
            among_others: false,
            subjects: Vec::new(),
            claims: Vec::new(),
            tags: false,
            source_identity: false,
            knobs: Knobs::new(),
        }
    }

    /// Trusts this service's own users, roles and role sessions, once they are named.
    pub fn principals() -> PrincipalTrust {
        PrincipalTrust {
            principals: Vec::new(),
            everybody: false,
            external_ids: Vec::new(),
            tags: false,
            source_identity: false,
            knobs: Knobs::new(),
        }
    }
}

impl From<WebIdentityTrust> for Trust {
    fn from(trust: WebIdentityTrust) -> Self {
        Self::WebIdentity(trust)
    }
}

impl From<PrincipalTrust> for Trust {
    fn from(trust: PrincipalTrust) -> Self {
        Self::Principals(trust)
    }
}

/// What tokens of one issuer have to say.
#[derive(Clone, Debug)]
pub struct WebIdentityTrust {
    pub(super) issuer: Box<str>,
    pub(super) audiences: Vec<Box<str>>,
    pub(super) among_others: bool,
    pub(super) subjects: Vec<Pattern>,
    pub(super) claims: Vec<ClaimCondition>,
    pub(super) tags: bool,
    pub(super) source_identity: bool,
    pub(super) knobs: Knobs,
}

/// A claim, by the names that lead to it, and what it may say.
#[derive(Clone, Debug)]
pub(super) struct ClaimCondition {
    pub(super) path: Vec<Box<str>>,
    pub(super) any_of: Vec<Pattern>,
    /// Names a tenant that keeps its number for good.
    pub(super) immutable: bool,
}

impl WebIdentityTrust {
    /// Adds an audience; at least one is required. It is compared exactly, and every audience of the token has to be
    /// among these.
    #[must_use]
    pub fn audience(mut self, audience: impl Into<Box<str>>) -> Self {
        self.audiences.push(audience.into());
        self
    }

    /// Accepts a token that names further audiences beside one of these (the issuer's own knob of that kind is
    /// another matter).
    #[must_use]
    pub fn audience_among_others(mut self) -> Self {
        self.among_others = true;
        self
    }

    /// Adds a subject that is admitted. Without any, every subject is: refused for issuers that tenants share, unless
    /// an immutable claim tells the tenants apart.
    #[must_use]
    pub fn subject(mut self, subject: impl Into<Pattern>) -> Self {
        self.subjects.push(subject.into());
        self
    }

    /// Adds a condition: the claim at the top level of the token is one of these. A text is compared as it is, a
    /// whole number and a truth value as JSON writes them, a list by any of its members. A claim that is missing or
    /// an object never matches.
    #[must_use]
    pub fn claim<P: Into<Pattern>>(self, name: &str, any_of: impl IntoIterator<Item = P>) -> Self {
        self.nested_claim(&[name], any_of)
    }

    /// As [`claim`](Self::claim), for a claim inside of others, such as `["kubernetes.io", "namespace"]`.
    #[must_use]
    pub fn nested_claim<P: Into<Pattern>>(
        mut self,
        path: &[&str],
        any_of: impl IntoIterator<Item = P>,
    ) -> Self {
        let any_of: Vec<Pattern> = any_of.into_iter().map(Into::into).collect();
        let path: Vec<Box<str>> = path.iter().map(|&name| name.into()).collect();
        let exact = !any_of.is_empty() && any_of.iter().all(|pattern| !pattern.is_glob());
        let immutable = exact && matches!(&*path, [name] if super::shared::is_immutable_claim(name));
        self.claims.push(ClaimCondition { path, any_of, immutable });
        self
    }

    /// As [`claim`](Self::claim), for a claim that names a tenant of the issuer for good, such as a repository's
    /// number (names can be given to others): in place of a condition on the subject. Compared exactly. The usual
    /// ones (`repository_id`, `repository_owner_id`, `project_id`, `namespace_id`, …) are known.
    #[must_use]
    pub fn immutable_claim(mut self, name: &str, value: impl Into<Box<str>>) -> Self {
        let any_of = vec![Pattern::exact(value)];
        self.claims.push(ClaimCondition { path: vec![name.into()], any_of, immutable: true });
        self
    }

    /// Lets the token pass session tags (`sts:TagSession`). They count only if the service's configuration says so
    /// of the issuer as well.
    #[must_use]
    pub fn allow_tags(mut self) -> Self {
        self.tags = true;
        self
    }

    /// Lets the token set a source identity (`sts:SetSourceIdentity`), under the same proviso.
    #[must_use]
    pub fn allow_source_identity(mut self) -> Self {
        self.source_identity = true;
        self
    }

    /// Loosens a rule.
    #[must_use]
    pub fn danger(mut self, knobs: Knobs) -> Self {
        self.knobs = knobs;
        self
    }

    /// Whether a condition tells the tenants of a shared issuer apart.
    pub(super) fn names_a_tenant(&self) -> bool {
        let by_subject = !self.subjects.is_empty() && !self.subjects.iter().any(Pattern::is_bare);
        by_subject || self.claims.iter().any(|claim| claim.immutable)
    }

    /// Whether a subject is one that several tenants of a shared issuer can have, as far as the issuer's grammar is
    /// known, and no immutable claim tells them apart.
    pub(super) fn spans_tenants(&self) -> bool {
        let known = super::shared::shared_issuer(&self.issuer);
        let spans = |subject: &Pattern| {
            let start = subject.fixed_start();
            match (known, subject.is_glob()) {
                (_, true) if start.is_empty() => true,
                (Some(issuer), true) => !issuer.fixes_the_tenant(start),
                // To the letter, it is whole where it ends.
                (Some(issuer), false) => !issuer.fixes_the_tenant(&format!("{start}:")),
                (None, _) => false,
            }
        };
        !self.claims.iter().any(|claim| claim.immutable) && self.subjects.iter().any(spans)
    }

    /// All patterns of subjects and claims.
    pub(super) fn patterns(&self) -> impl Iterator<Item = &Pattern> {
        self.subjects.iter().chain(self.claims.iter().flat_map(|claim| &claim.any_of))
    }

    pub(super) fn admits(&self, token: &dyn IdentityToken, is_shared: bool) -> bool {
        let audiences = || token.audiences();
        let known = |audience: &str| self.audiences.iter().any(|known| **known == *audience);
        let audience_fits = match self.among_others {
            true => audiences().any(known),
            false => audiences().next().is_some() && audiences().all(known),
        };
        let bare = !self.knobs.bare_wildcard && self.patterns().any(Pattern::is_bare);
        let several = !self.names_a_tenant() || self.spans_tenants();
        let whole = is_shared && several && !self.knobs.whole_shared_issuer;
        *self.issuer == *token.issuer()
            && !bare
            && !whole
            && audience_fits
            && (self.subjects.is_empty() || any_matches(&self.subjects, token.subject()))
            && self.claims.iter().all(|claim| {
                let path: Vec<&str> = claim.path.iter().map(|name| &**name).collect();
                token.any_value(&path, &mut |value| any_matches(&claim.any_of, value))
            })
    }
}

/// What a trust looks at in a token that was validated.
pub(super) trait IdentityToken {
    fn issuer(&self) -> &str;
    fn subject(&self) -> &str;
    fn audiences(&self) -> Box<dyn Iterator<Item = &str> + '_>;
    /// Whether the claim, or a member of it if it is a list, is one that `fits`.
    fn any_value(&self, path: &[&str], fits: &mut dyn FnMut(&str) -> bool) -> bool;
}

/// Which of this service's own principals are trusted.
#[derive(Clone, Debug)]
pub struct PrincipalTrust {
    pub(super) principals: Vec<Pattern>,
    pub(super) everybody: bool,
    pub(super) external_ids: Vec<Secret>,
    pub(super) tags: bool,
    pub(super) source_identity: bool,
    pub(super) knobs: Knobs,
}

impl PrincipalTrust {
    /// Adds a principal: the ARN of a user (their sessions of GetSessionToken are meant too), of a role (all of its
    /// sessions are meant), or of one session of a role (`arn:aws:sts::…:assumed-role/ROLE/SESSION`; its name is the
    /// caller's to choose).
    #[must_use]
    pub fn principal(mut self, arn: impl Into<Pattern>) -> Self {
        self.principals.push(arn.into());
        self
    }

    /// Admits every principal of the service who brings the external id.
    #[must_use]
    pub fn everybody(mut self) -> Self {
        self.everybody = true;
        self
    }

    /// Requires an external id: one of those that were added. 2 to 1224 of `[\w+=,.@:/-]`.
    #[must_use]
    pub fn external_id(mut self, external_id: impl Into<String>) -> Self {
        self.external_ids.push(Secret::new(external_id));
        self
    }

    /// Lets the caller pass session tags, and hand on transitive ones (`sts:TagSession`).
    #[must_use]
    pub fn allow_tags(mut self) -> Self {
        self.tags = true;
        self
    }

    /// Lets the caller set a source identity, or keep the one that is set (`sts:SetSourceIdentity`).
    #[must_use]
    pub fn allow_source_identity(mut self) -> Self {
        self.source_identity = true;
        self
    }

    /// Loosens a rule.
    #[must_use]
    pub fn danger(mut self, knobs: Knobs) -> Self {
        self.knobs = knobs;
        self
    }

    pub(super) fn admits(&self, caller: &StsCaller, external_id: Option<&Secret>) -> bool {
        let bare = !self.knobs.bare_wildcard && self.principals.iter().any(Pattern::is_bare);
        let unnamed = self.everybody && self.external_ids.is_empty() && !self.knobs.everybody;
        let is_named = self.principals.iter().any(|pattern| caller.arns().any(|arn| pattern.matches(arn)));
        let is_expected = self.external_ids.is_empty()
            || external_id.is_some_and(|given| {
                // All of them are compared, whichever fits.
                self.external_ids.iter().fold(false, |found, known| (known == given) | found)
            });
        !bare && !unnamed && (is_named || self.everybody) && is_expected
    }
}

fn any_matches(patterns: &[Pattern], text: &str) -> bool {
    patterns.iter().any(|pattern| pattern.matches(text))
}
