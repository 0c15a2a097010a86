//! Knobs that loosen a rule of trust. Each says which rule, and why one might; none is on by default.

/// Loosened rules of one trust, for [`WebIdentityTrust::danger`](super::WebIdentityTrust::danger) and
/// [`PrincipalTrust::danger`](super::PrincipalTrust::danger). The [lint](super::lint) still reports what they allow,
/// as a warning.
///
/// ```
/// use credfed_tower::sts::{Trust, danger::Knobs};
///
/// let trust = Trust::web_identity("https://token.actions.githubusercontent.com")
///     .audience("sts.example.org")
///     .danger(Knobs::new().whole_shared_issuer());
/// # let _ = trust;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Knobs {
    pub(super) whole_shared_issuer: bool,
    pub(super) bare_wildcard: bool,
    pub(super) everybody: bool,
}

impl Knobs {
    /// No rule loosened.
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts every tenant of an issuer that many tenants share: anybody who has an account there can assume the
    /// role. For a test role that may do nothing.
    #[must_use]
    pub fn whole_shared_issuer(mut self) -> Self {
        self.whole_shared_issuer = true;
        self
    }

    /// Accepts patterns without a single fixed character. For a condition that only wants a claim to be there.
    #[must_use]
    pub fn bare_wildcard(mut self) -> Self {
        self.bare_wildcard = true;
        self
    }

    /// Lets every principal of the service assume the role without an external id. For a role that everybody who
    /// can sign a request may have.
    #[must_use]
    pub fn everybody(mut self) -> Self {
        self.everybody = true;
        self
    }
}
