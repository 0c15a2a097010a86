//! Roles: what can be assumed, by whom, for how long; and where they are kept.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::arn::{Account, InvalidName, is_name, unique_id};
use super::lint::{Finding, IssuerFacts, Severity, lint};
use super::trust::Trust;

/// The shortest session of a role.
pub(super) const SHORTEST: Duration = Duration::from_secs(900);
/// The longest session of a role, and the longest that a role may allow.
pub(super) const LONGEST: Duration = Duration::from_secs(43_200);
/// How long a session lasts if nothing is asked for, and a chained one at most.
pub(super) const HOUR: Duration = Duration::from_secs(3600);

/// A role: its name, whom it trusts, and how long its sessions may last.
///
/// What a session of the role may do is the concern of the service that serves it (an
/// [`Authorize`](crate::Authorize) that looks at the role), not of STS.
///
/// ```
/// use credfed_tower::sts::{Account, Pattern, Role, Trust};
///
/// # fn main() -> Result<(), credfed_tower::sts::InvalidName> {
/// let account = Account::new("123456789012")?;
/// let role = Role::new(&account, "deploy")?.trust(
///     Trust::web_identity("https://token.actions.githubusercontent.com")
///         .audience("sts.example.org")
///         .subject(Pattern::glob("repo:octo-org/site:ref:refs/heads/*")),
/// );
/// assert_eq!(role.arn(), "arn:aws:iam::123456789012:role/deploy");
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Role {
    arn: Box<str>,
    name: Box<str>,
    unique_id: Box<str>,
    max_session: Duration,
    cap_to_token: bool,
    generation: u64,
    trusts: Vec<Trust>,
}

impl Role {
    /// A role that nobody may assume yet, with sessions of an hour at most. `name` may be led by a path, as in
    /// `team/reader`.
    ///
    /// # Errors
    /// The last part of `name` is not 1 to 64 of `[\w+=,.@-]`, or a part of the path is empty or has other characters.
    pub fn new(account: &Account, name: &str) -> Result<Self, InvalidName> {
        let last = name.rsplit('/').next().unwrap_or_default();
        let fits = name.len() <= 512 && last.len() <= 64;
        if !fits || !name.split('/').all(|part| !part.is_empty() && is_name(part)) {
            return Err(InvalidName {
                what: "role name",
                rule: "1 to 64 of [\\w+=,.@-], perhaps with a path",
            });
        }
        let arn = account.role_arn(name);
        Ok(Self {
            unique_id: unique_id("AROA", &arn).into(),
            name: last.into(),
            arn: arn.into(),
            max_session: HOUR,
            cap_to_token: false,
            generation: 0,
            trusts: Vec::new(),
        })
    }

    /// The longest session, 15 minutes to 12 hours; by default an hour.
    ///
    /// # Errors
    /// Another duration, or one that is not of whole seconds.
    pub fn max_session(mut self, longest: Duration) -> Result<Self, InvalidName> {
        if !(SHORTEST..=LONGEST).contains(&longest) || longest.subsec_nanos() != 0 {
            return Err(InvalidName { what: "longest session", rule: "900 to 43200 whole seconds" });
        }
        self.max_session = longest;
        Ok(self)
    }

    /// Ends a session of a web identity with the token that it was given for, if that is earlier. Without this a
    /// session outlives its token, as it does at AWS.
    #[must_use]
    pub fn cap_to_token(mut self) -> Self {
        self.cap_to_token = true;
        self
    }

    /// A number of your own that the role's sessions carry, such as the generation of its definition.
    #[must_use]
    pub fn generation(mut self, generation: u64) -> Self {
        self.generation = generation;
        self
    }

    /// Adds a trust. One that admits the caller is enough.
    #[must_use]
    pub fn trust(mut self, trust: impl Into<Trust>) -> Self {
        self.trusts.push(trust.into());
        self
    }

    /// `arn:aws:iam::123456789012:role/reader`
    pub fn arn(&self) -> &str {
        &self.arn
    }

    /// The name without its path.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whom the role trusts.
    pub fn trusts(&self) -> &[Trust] {
        &self.trusts
    }

    /// The longest session.
    pub fn longest_session(&self) -> Duration {
        self.max_session
    }

    /// `AROA` and 16 characters that follow from the ARN.
    pub(super) fn unique_id(&self) -> &str {
        &self.unique_id
    }

    pub(super) fn caps_to_token(&self) -> bool {
        self.cap_to_token
    }

    pub(super) fn generation_number(&self) -> u64 {
        self.generation
    }
}

/// Where roles are found. [`RoleTable`] keeps them in memory; implement this to keep them elsewhere.
///
/// # Contract
/// - `None` means that there is no such role; a store that cannot say answers [`RolesUnavailable`] (503).
/// - The caller's identity was verified before this is asked, but nothing was allowed yet.
/// - A trust that the [lint](super::lint) calls an error admits nobody, wherever the role comes from; run the lint
///   where roles are written, so that somebody learns of it.
pub trait Roles: Send + Sync + 'static {
    /// Finds the role with this ARN, byte for byte.
    fn find(&self, arn: &str) -> impl Future<Output = Result<Option<Arc<Role>>, RolesUnavailable>> + Send;
}

/// Roles cannot be looked up now; the caller may try again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RolesUnavailable;

impl fmt::Display for RolesUnavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("roles cannot be looked up at the moment")
    }
}

impl Error for RolesUnavailable {}

type PendingRole<'a> = Pin<Box<dyn Future<Output = Result<Option<Arc<Role>>, RolesUnavailable>> + Send + 'a>>;

/// [`Roles`], erased.
pub(super) trait DynRoles: Send + Sync {
    fn find<'a>(&'a self, arn: &'a str) -> PendingRole<'a>;
}

impl<T: Roles> DynRoles for T {
    fn find<'a>(&'a self, arn: &'a str) -> PendingRole<'a> {
        Box::pin(Roles::find(self, arn))
    }
}

/// Roles in memory, linted when they are put together.
#[derive(Clone, Debug, Default)]
pub struct RoleTable {
    roles: BTreeMap<Box<str>, Arc<Role>>,
    findings: Vec<Finding>,
}

impl RoleTable {
    /// Puts roles together, and refuses them if the lint finds an error in the trust of any. A rule is loosened at
    /// the trust itself, through a [`danger::Knobs`](super::danger::Knobs), never for a whole table.
    ///
    /// `issuers` says which issuers are trusted at all and which of them many tenants share:
    /// [`IssuerFacts::of`] of the service's trusted issuers.
    ///
    /// # Errors
    /// [`RefusedRoles`] with all that was found.
    pub fn new(roles: impl IntoIterator<Item = Role>, issuers: &IssuerFacts) -> Result<Self, RefusedRoles> {
        let roles: Vec<Role> = roles.into_iter().collect();
        let findings = lint(&roles, issuers);
        if findings.iter().any(|finding| finding.severity() == Severity::Error) {
            return Err(RefusedRoles { findings });
        }
        let roles = roles.into_iter().map(|role| (role.arn.clone(), Arc::new(role))).collect();
        Ok(Self { roles, findings })
    }

    /// The warnings that the lint left.
    pub fn warnings(&self) -> &[Finding] {
        &self.findings
    }

    /// All roles, by their ARNs.
    pub fn iter(&self) -> impl Iterator<Item = &Role> {
        self.roles.values().map(|role| &**role)
    }
}

impl Roles for RoleTable {
    fn find(&self, arn: &str) -> impl Future<Output = Result<Option<Arc<Role>>, RolesUnavailable>> + Send {
        ready(Ok(self.roles.get(arn).cloned()))
    }
}

/// Roles whose trust is dangerous.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedRoles {
    findings: Vec<Finding>,
}

impl RefusedRoles {
    /// What was found, errors and warnings.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }
}

impl fmt::Display for RefusedRoles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the trust of these roles is not safe")?;
        let errors = self.findings.iter().filter(|finding| finding.severity() == Severity::Error);
        for (nth, finding) in errors.enumerate() {
            write!(f, "{} {finding}", if nth == 0 { ":" } else { ";" })?;
        }
        Ok(())
    }
}

impl Error for RefusedRoles {}
