//! `[[role.trust]]` of the roles file: who may assume a role.
//!
//! A name that leads nowhere admits nobody, and whoever wrote it meant somebody. An issuer and a role stand in the
//! same file, so one that is not there can only be a mistake and is refused, as is a name that no key can have. A key
//! stands in a file of its own, from which it may have been taken this minute because it leaked, and a gateway that
//! did not start again for that would be worse: it is warned of.

use std::collections::{BTreeMap, HashSet};

use credfed_tower::sts::{Account, Pattern, Trust};
use serde::Deserialize;
use toml::Spanned;

use crate::config_file::{Fault, Text};
use crate::keys;

/// Of web identities if it names an issuer, of AssumeRole if it names keys or roles.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TrustEntry {
    issuer: Option<Spanned<String>>,
    #[serde(default)]
    audiences: Vec<String>,
    #[serde(default)]
    subjects: Vec<String>,
    #[serde(default)]
    claims: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    keys: Vec<Spanned<Text>>,
    #[serde(default)]
    roles: Vec<Spanned<Text>>,
    external_id: Option<Text>,
    #[serde(default)]
    session_tags: bool,
    #[serde(default)]
    source_identity: bool,
}

/// What the file has for a trust to name.
pub(crate) struct Known<'a> {
    pub(crate) issuers: HashSet<&'a str>,
    /// Those of the issuers whose claims on session tags, or on source identities, are believed.
    pub(crate) tagging: &'a [String],
    pub(crate) naming: &'a [String],
    pub(crate) roles: HashSet<String>,
}

impl TrustEntry {
    pub(crate) fn issuer(&self) -> Option<&str> {
        self.issuer.as_ref().map(|url| url.get_ref().as_str())
    }

    pub(crate) fn keys(&self) -> &[Spanned<Text>] {
        &self.keys
    }

    fn is_of_callers(&self) -> bool {
        !self.keys.is_empty() || !self.roles.is_empty() || self.external_id.is_some()
    }
}

/// The trust of one entry.
pub(crate) fn parse(
    account: &Account,
    known: &Known<'_>,
    entry: Spanned<TrustEntry>,
) -> Result<Trust, Fault> {
    let at = entry.span();
    let wrong = |what: &str| Fault::new(at.clone(), what);
    let entry = entry.into_inner();
    let Some(issuer) = &entry.issuer else {
        if !entry.audiences.is_empty() || !entry.subjects.is_empty() || !entry.claims.is_empty() {
            return Err(wrong("audiences, subjects and claims are an issuer's: name it"));
        }
        if entry.keys.is_empty() && entry.roles.is_empty() {
            return Err(wrong("a trust names an issuer, or keys and roles that may assume it"));
        }
        return of_callers(account, known, entry);
    };
    if entry.is_of_callers() {
        return Err(wrong("a trust is either of an issuer or of keys and roles: make two of it"));
    }
    if !known.issuers.contains(issuer.get_ref().as_str()) {
        let what = "no [[issuer]] of this file has this url, so nobody could come by it";
        return Err(Fault::new(issuer.span(), what));
    }
    let believed = |ours: &[String]| ours.contains(issuer.get_ref());
    if (entry.session_tags && !believed(known.tagging)) || (entry.source_identity && !believed(known.naming))
    {
        return Err(wrong(
            "session_tags and source_identity of a trust need the same line at its [[issuer]]",
        ));
    }
    Ok(of_web_identities(issuer.get_ref().clone(), entry))
}

fn of_callers(account: &Account, known: &Known<'_>, entry: TrustEntry) -> Result<Trust, Fault> {
    let mut trust = Trust::principals();
    for key in &entry.keys {
        let name = key.get_ref().as_str();
        if !keys::is_access_key_id(name) {
            let what = "keys needs names of keys, one by one (\"*\" is none): an access_key_id has 3 to 64 of \
                        A-Z a-z 0-9 - . _ = @";
            return Err(Fault::new(key.span(), what));
        }
        trust = trust.principal(account.user_arn(name));
    }
    for role in &entry.roles {
        let name = role.get_ref().as_str();
        if !known.roles.contains(name) {
            let what = "no [[role]] of this file has this name, path and all, so nobody could come by it";
            return Err(Fault::new(role.span(), what));
        }
        trust = trust.principal(account.role_arn(name));
    }
    if let Some(id) = entry.external_id {
        trust = trust.external_id(id.as_str());
    }
    if entry.session_tags {
        trust = trust.allow_tags();
    }
    if entry.source_identity {
        trust = trust.allow_source_identity();
    }
    Ok(trust.into())
}

fn of_web_identities(issuer: String, entry: TrustEntry) -> Trust {
    let mut trust = Trust::web_identity(issuer);
    trust = entry.audiences.into_iter().fold(trust, |trust, audience| trust.audience(audience));
    trust = entry.subjects.into_iter().fold(trust, |trust, subject| trust.subject(Pattern::glob(subject)));
    trust = entry
        .claims
        .into_iter()
        .fold(trust, |trust, (name, any_of)| trust.claim(&name, any_of.into_iter().map(Pattern::glob)));
    if entry.session_tags {
        trust = trust.allow_tags();
    }
    if entry.source_identity {
        trust = trust.allow_source_identity();
    }
    trust.into()
}
