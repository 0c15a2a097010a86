//! Trust that is easy to write and dangerous to have: found before a role is served.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use credfed_core::oidc::TrustedIssuers;

use super::pattern::{LONGEST_GLOB, Pattern};
use super::role::Role;
use super::shared::shared_issuer;
use super::trust::{PrincipalTrust, Trust, WebIdentityTrust};

/// Sessions longer than this are worth a warning: they cannot be taken back one by one without a deny hook.
const LONG: Duration = Duration::from_secs(4 * 3600);

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Severity {
    /// Worth a look.
    Warning,
    /// The trust admits nobody until this is changed, or loosened by a knob in [`danger`](super::danger).
    Error,
}

/// Which rule of the lint was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Rule {
    /// A web identity trust without an audience.
    NoAudience,
    /// An issuer that tenants share, and no condition that tells them apart.
    SharedIssuerWithoutSubject,
    /// An issuer that tenants share, and a subject glob that matches tenants whose name begins alike, or all.
    SubjectOfManyTenants,
    /// A pattern without a single fixed character, or a condition without a pattern.
    BareWildcard,
    /// A glob that is too long to be compared: it matches nothing.
    PatternTooLong,
    /// A trust in everybody without an external id.
    Everybody,
    /// A trust in principals that names none.
    NoPrincipal,
    /// An external id that no caller can send.
    ImpossibleExternalId,
    /// Two roles of one name: their sessions could not be told apart.
    DuplicateName,
    /// An issuer that this service does not trust: nobody is admitted.
    UnknownIssuer,
    /// Any subject of the issuer is admitted.
    AnySubject,
    /// Two issuers are trusted with the same audience.
    SharedAudience,
    /// Sessions of more than four hours.
    LongSession,
    /// A role that trusts nobody.
    NoTrust,
}

/// What the lint found at a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    severity: Severity,
    rule: Rule,
    role: Box<str>,
}

impl Finding {
    /// How bad it is.
    pub fn severity(&self) -> Severity {
        self.severity
    }

    /// Which rule was broken.
    pub fn rule(&self) -> Rule {
        self.rule
    }

    /// The ARN of the role.
    pub fn role(&self) -> &str {
        &self.role
    }

    /// What it means and what to do, in a sentence.
    pub fn advice(&self) -> &'static str {
        match self.rule {
            Rule::NoAudience => {
                "a web identity trust names no audience: tokens made for others would be accepted"
            }
            Rule::SharedIssuerWithoutSubject => {
                "its issuer serves many tenants, and neither a subject nor an immutable claim tells them apart"
            }
            Rule::SubjectOfManyTenants => {
                "its issuer serves many tenants, and a subject glob has its wildcard before the end of the tenant's name"
            }
            Rule::BareWildcard => "a condition holds whatever the claim says: write what it has to say",
            Rule::PatternTooLong => "a glob is longer than 512 bytes and matches nothing",
            Rule::Everybody => "it trusts every principal without an external id: name the principals",
            Rule::NoPrincipal => "a trust in principals names none of them and admits nobody",
            Rule::ImpossibleExternalId => {
                "an external id is not 2 to 1224 of [\\w+=,.@:/-]: no caller can send it"
            }
            Rule::DuplicateName => "another role has the same name: their sessions would have the same ARN",
            Rule::UnknownIssuer => "it trusts an issuer that this service does not: nobody is admitted",
            Rule::AnySubject => "every subject of its issuer may assume it: name the subjects",
            Rule::SharedAudience => {
                "it trusts two issuers with the same audience: give each issuer an audience of its own"
            }
            Rule::LongSession => {
                "its sessions last longer than four hours and end only on time or by revocation"
            }
            Rule::NoTrust => "it trusts nobody",
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.role, self.advice())
    }
}

/// Which issuers a service trusts, and which of them many tenants share.
///
/// The issuers of GitHub Actions, GitLab.com, Google, Bitbucket, CircleCI, Buildkite, HCP Terraform and others are
/// known to be shared, whatever this says.
#[derive(Clone, Debug, Default)]
pub struct IssuerFacts {
    shared: BTreeMap<Box<str>, bool>,
}

impl IssuerFacts {
    /// No issuer at all.
    pub fn new() -> Self {
        Self::default()
    }

    /// Those of a service's trusted issuers.
    pub fn of(issuers: &TrustedIssuers) -> Self {
        issuers.iter().fold(Self::new(), |facts, issuer| facts.issuer(issuer.url(), issuer.is_shared()))
    }

    /// Adds an issuer, and whether tenants share it.
    #[must_use]
    pub fn issuer(mut self, issuer: impl Into<Box<str>>, is_shared: bool) -> Self {
        self.shared.insert(issuer.into(), is_shared);
        self
    }

    /// Whether tenants share the issuer.
    pub fn is_shared(&self, issuer: &str) -> bool {
        self.shared.get(issuer).copied().unwrap_or(false) || shared_issuer(issuer).is_some()
    }

    fn is_trusted(&self, issuer: &str) -> bool {
        self.shared.contains_key(issuer)
    }
}

/// Looks for dangerous trust in `roles`. Errors come from trusts that admit nobody as they are; a rule that was
/// loosened through [`danger`](super::danger) is a warning.
pub fn lint(roles: &[Role], issuers: &IssuerFacts) -> Vec<Finding> {
    let mut names = BTreeSet::new();
    let mut findings = Vec::new();
    for role in roles {
        let mut report = Report { role, findings: &mut findings };
        if !names.insert(role.name()) {
            report.error(Rule::DuplicateName);
        }
        if role.longest_session() > LONG {
            report.warning(Rule::LongSession);
        }
        if role.trusts().is_empty() {
            report.warning(Rule::NoTrust);
        }
        for trust in role.trusts() {
            match trust {
                Trust::WebIdentity(trust) => web_identity(&mut report, trust, issuers),
                Trust::Principals(trust) => principals(&mut report, trust),
            }
        }
        shared_audiences(&mut report);
    }
    findings
}

fn web_identity(report: &mut Report<'_>, trust: &WebIdentityTrust, issuers: &IssuerFacts) {
    if trust.audiences.is_empty() || trust.audiences.iter().any(|audience| audience.is_empty()) {
        report.error(Rule::NoAudience);
    }
    if !issuers.is_trusted(&trust.issuer) {
        report.warning(Rule::UnknownIssuer);
    }
    let is_bare = trust.patterns().any(Pattern::is_bare);
    let is_empty = trust.claims.iter().any(|claim| claim.any_of.is_empty());
    report.unless(trust.knobs.bare_wildcard, is_bare || is_empty, Rule::BareWildcard);
    too_long(report, trust.patterns());
    if !issuers.is_shared(&trust.issuer) {
        if trust.subjects.is_empty() && trust.claims.is_empty() {
            report.warning(Rule::AnySubject);
        }
        return;
    }
    let loosened = trust.knobs.whole_shared_issuer;
    report.unless(loosened, !trust.names_a_tenant(), Rule::SharedIssuerWithoutSubject);
    report.unless(loosened, trust.spans_tenants(), Rule::SubjectOfManyTenants);
}

fn principals(report: &mut Report<'_>, trust: &PrincipalTrust) {
    let is_bare = trust.principals.iter().any(Pattern::is_bare);
    report.unless(trust.knobs.bare_wildcard, is_bare, Rule::BareWildcard);
    too_long(report, trust.principals.iter());
    let is_open = trust.everybody && trust.external_ids.is_empty();
    report.unless(trust.knobs.everybody, is_open, Rule::Everybody);
    if trust.principals.is_empty() && !trust.everybody {
        report.warning(Rule::NoPrincipal);
    }
    if trust.external_ids.iter().any(|id| !super::call::is_external_id(id.expose())) {
        report.error(Rule::ImpossibleExternalId);
    }
}

fn too_long<'a>(report: &mut Report<'_>, mut patterns: impl Iterator<Item = &'a Pattern>) {
    if patterns.any(|pattern| pattern.is_glob() && pattern.as_str().len() > LONGEST_GLOB) {
        report.error(Rule::PatternTooLong);
    }
}

fn shared_audiences(report: &mut Report<'_>) {
    let mut owners: BTreeMap<&str, &str> = BTreeMap::new();
    let mut is_shared = false;
    for trust in report.role.trusts() {
        let Trust::WebIdentity(trust) = trust else { continue };
        for audience in &trust.audiences {
            let owner = owners.entry(audience).or_insert(&trust.issuer);
            is_shared |= *owner != &*trust.issuer;
        }
    }
    if is_shared {
        report.warning(Rule::SharedAudience);
    }
}

struct Report<'a> {
    role: &'a Role,
    findings: &'a mut Vec<Finding>,
}

impl Report<'_> {
    fn error(&mut self, rule: Rule) {
        self.add(Severity::Error, rule);
    }

    fn warning(&mut self, rule: Rule) {
        self.add(Severity::Warning, rule);
    }

    fn unless(&mut self, loosened: bool, is_broken: bool, rule: Rule) {
        if is_broken {
            self.add(if loosened { Severity::Warning } else { Severity::Error }, rule);
        }
    }

    fn add(&mut self, severity: Severity, rule: Rule) {
        self.findings.push(Finding { severity, rule, role: self.role.arn().into() });
    }
}
