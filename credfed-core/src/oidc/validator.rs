//! The one strict validator of other issuers' tokens.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use super::algorithm::Algorithm;
use super::compact::Compact;
use super::rules;
use super::trusted::TrustedIssuer;
use super::{Flaw, JwtError, ValidatedToken};
use crate::ProviderError;
use crate::cached::Status;

/// The issuers whose tokens are accepted. Cheap to clone; all clones share the issuers' keys.
///
/// A token is taken apart first, then its issuer is found by its exact name, and only then anything may be
/// fetched: from the addresses in that issuer's settings, never from one in a token.
#[derive(Clone)]
pub struct TrustedIssuers {
    by_name: Arc<HashMap<String, Arc<TrustedIssuer>>>,
}

impl TrustedIssuers {
    /// All issuers together.
    ///
    /// # Errors
    ///
    /// [`Misconfigured`](crate::ErrorKind::Misconfigured) if two of them share a name or an alias.
    pub fn new(issuers: impl IntoIterator<Item = TrustedIssuer>) -> Result<Self, ProviderError> {
        let mut by_name = HashMap::new();
        for issuer in issuers.into_iter().map(Arc::new) {
            for name in issuer.names() {
                if by_name.insert(name.to_owned(), Arc::clone(&issuer)).is_some() {
                    return Err(ProviderError::misconfigured("two trusted issuers share a name or an alias"));
                }
            }
        }
        Ok(Self { by_name: Arc::new(by_name) })
    }

    /// The issuer of that exact name or alias.
    pub fn get(&self, name: &str) -> Option<&TrustedIssuer> {
        self.by_name.get(name).map(Arc::as_ref)
    }

    /// All issuers, each once, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &TrustedIssuer> {
        self.by_name
            .iter()
            .filter(|(name, issuer)| issuer.url() == name.as_str())
            .map(|(_, issuer)| &**issuer)
    }

    /// Decides on a token, at the time `now`.
    ///
    /// May wait for the issuer's keys: at most five seconds when there are none at hand, or when the token names
    /// a key that is not among them and the issuer was not asked within the last 30 s.
    ///
    /// # Errors
    ///
    /// [`JwtError`] says what became of it. [`KeysUnavailable`](JwtError::KeysUnavailable) is the only one that
    /// is not the token's fault.
    pub async fn validate(&self, jwt: &str, now: SystemTime) -> Result<ValidatedToken, JwtError> {
        let token = Compact::parse(jwt)?;
        let algorithm = Algorithm::from_name(&token.header.algorithm).ok_or(Flaw::Algorithm)?;
        let name = rules::text(&token.payload, "iss")?;
        let issuer = self.by_name.get(name).ok_or(JwtError::UnknownIssuer)?;
        issuer.rules.check_header(&token.header, algorithm)?;
        // What the claims are worth is said only about a token that the issuer signed. But one that would be
        // refused in any case is no reason to ask the issuer for a key that is not there.
        let verdict = issuer.rules.check_claims(&token.payload, now);
        let kid = token.header.kid.as_deref();
        issuer.keys.verify(kid, algorithm, token.signing_input, &token.signature, verdict.is_ok()).await?;
        let accepted = verdict?;
        Ok(ValidatedToken {
            issuer: Arc::clone(&issuer.url),
            shared: issuer.shared,
            expires: accepted.times.expires,
            issued: accepted.times.issued,
            audiences: accepted.audiences,
            claims: token.payload,
        })
    }

    /// The state of each issuer's keys, by the issuer's URL, for readiness probes; `None` where they are fixed.
    pub fn status(&self) -> Vec<(&str, Option<Status>)> {
        self.iter().map(|issuer| (issuer.url(), issuer.keys.status())).collect()
    }
}

impl fmt::Debug for TrustedIssuers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(TrustedIssuer::url)).finish()
    }
}
