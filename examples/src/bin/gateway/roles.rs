//! The roles file: which issuers are believed, which roles there are, whom they trust and what they may do.
//!
//! ```toml
//! account = "123456789012"          # of the ARNs: arn:aws:iam::123456789012:role/NAME; zeros unless told
//!
//! [[issuer]]
//! url = "https://token.actions.githubusercontent.com"
//! audiences = ["sts.example.org"]
//! algorithms = ["RS256"]            # those that it signs with; all that are sound unless told
//! types = ["JWT"]                   # and "at+jwt", for access tokens; "JWT" alone unless told
//! network = "public"                # or "private", or "loopback", where http is allowed
//! shared = true                     # tenants who do not know each other; known ones are, others not, unless told
//! session_tags = false              # believe its claim https://aws.amazon.com/tags
//! source_identity = false           # believe its claim https://aws.amazon.com/source_identity
//!
//! [[role]]
//! name = "reader"
//! max_session_seconds = 3600        # 900 to 43200; an hour unless told
//! list_buckets = false
//!
//! [[role.trust]]                    # web identities of one issuer …
//! issuer = "https://token.actions.githubusercontent.com"
//! audiences = ["sts.example.org"]
//! subjects = ["repo:acme/site:*"]   # `*` and `?` as in a file name
//! claims = { repository_id = ["1234"] }
//!
//! [[role.trust]]                    # … or callers of AssumeRole, by the names of keys and of roles
//! keys = ["AKIABACKUP"]
//! roles = ["deployer"]
//! external_id = "…"
//!
//! [[role.allow]]
//! bucket = "reports"
//! prefix = "users/{subject}/"       # claims of the session, each a whole segment: {subject}, {source_identity}, {tag:KEY}
//! actions = ["read", "list"]
//! ```

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::time::Duration;

use credfed_core::ProviderError;
use credfed_core::oidc::{Algorithm, Network, TrustedIssuer, TrustedIssuers};
use credfed_tower::sts::{Account, IssuerFacts, Pattern, Role, RoleTable, Trust};
use serde::Deserialize;
use toml::Spanned;

use crate::config_file::{self, Fault, FileError};
use crate::grants::{AllowEntry, GrantTemplate};
use crate::rights::RoleRights;

/// Everything that a roles file says.
#[derive(Debug)]
pub(crate) struct Inbound {
    pub(crate) account: Account,
    pub(crate) issuers: TrustedIssuers,
    /// Issuers whose claims on session tags, or on source identities, are believed.
    pub(crate) tagging: Vec<String>,
    pub(crate) naming: Vec<String>,
    pub(crate) roles: RoleTable,
    /// What sessions of a role may do, by its ARN.
    pub(crate) rights: HashMap<String, RoleRights>,
}

/// Reads and checks a roles file as a whole.
pub(crate) fn read(path: &Path) -> Result<Inbound, FileError> {
    let inbound = config_file::read(path, parse)?;
    for finding in inbound.roles.warnings() {
        tracing::warn!(file = %path.display(), %finding, "a trust to think about");
    }
    Ok(inbound)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    account: Option<Spanned<String>>,
    #[serde(default)]
    issuer: Vec<Spanned<IssuerEntry>>,
    #[serde(default)]
    role: Vec<Spanned<RoleEntry>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IssuerEntry {
    url: Spanned<String>,
    audiences: Vec<String>,
    algorithms: Option<Spanned<Vec<String>>>,
    types: Option<Spanned<Vec<String>>>,
    #[serde(default)]
    network: NetworkEntry,
    shared: Option<bool>,
    #[serde(default)]
    session_tags: bool,
    #[serde(default)]
    source_identity: bool,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum NetworkEntry {
    #[default]
    Public,
    Private,
    Loopback,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RoleEntry {
    name: Spanned<String>,
    max_session_seconds: Option<Spanned<u64>>,
    #[serde(default)]
    list_buckets: bool,
    #[serde(default)]
    trust: Vec<Spanned<TrustEntry>>,
    #[serde(default)]
    allow: Vec<AllowEntry>,
}

/// Of web identities if it names an issuer, of AssumeRole if it names keys or roles.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TrustEntry {
    issuer: Option<String>,
    #[serde(default)]
    audiences: Vec<String>,
    #[serde(default)]
    subjects: Vec<String>,
    #[serde(default)]
    claims: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    keys: Vec<String>,
    #[serde(default)]
    roles: Vec<String>,
    external_id: Option<String>,
    #[serde(default)]
    session_tags: bool,
    #[serde(default)]
    source_identity: bool,
}

pub(crate) fn parse(text: &str) -> Result<Inbound, Fault> {
    let file: File = config_file::entries(text)?;
    let account = match file.account {
        None => Account::new("000000000000").map_err(|error| Fault::somewhere(error.to_string()))?,
        Some(id) => Account::new(id.get_ref()).map_err(|error| Fault::new(id.span(), error.to_string()))?,
    };
    let (mut trusted, mut tagging, mut naming) = (Vec::new(), Vec::new(), Vec::new());
    for (index, entry) in file.issuer.into_iter().enumerate() {
        let url = entry.get_ref().url.get_ref();
        tagging.extend(entry.get_ref().session_tags.then(|| url.clone()));
        naming.extend(entry.get_ref().source_identity.then(|| url.clone()));
        trusted.push(issuer(entry).map_err(|fault| fault.of(format!("issuer {}", index + 1)))?);
    }
    let issuers = TrustedIssuers::new(trusted).map_err(|error| Fault::somewhere(error.to_string()))?;
    if file.role.is_empty() {
        return Err(Fault::somewhere("there is no [[role]] in it, so nobody could assume any"));
    }
    let (mut roles, mut rights, mut seen) = (Vec::new(), HashMap::new(), HashSet::new());
    for (index, entry) in file.role.into_iter().enumerate() {
        let name = format!("role {}", index + 1);
        let at = entry.get_ref().name.span();
        let (role, may) = role(&account, entry).map_err(|fault| fault.of(&name))?;
        if !seen.insert(role.arn().to_owned()) {
            return Err(Fault::new(at, "this name was given before").of(&name));
        }
        rights.insert(role.arn().to_owned(), may);
        roles.push(role);
    }
    let roles = RoleTable::new(roles, &IssuerFacts::of(&issuers))
        .map_err(|refused| Fault::somewhere(refused.to_string()))?;
    Ok(Inbound { account, issuers, tagging, naming, roles, rights })
}

fn issuer(entry: Spanned<IssuerEntry>) -> Result<TrustedIssuer, Fault> {
    let whole = entry.span();
    let entry = entry.into_inner();
    let mut issuer =
        TrustedIssuer::builder(entry.url.get_ref()).audiences(entry.audiences).network(match entry.network {
            NetworkEntry::Public => Network::Public,
            NetworkEntry::Private => Network::Private,
            NetworkEntry::Loopback => Network::Loopback,
        });
    if let Some(names) = entry.algorithms {
        let known = names.get_ref().iter().map(|name| Algorithm::from_name(name)).collect::<Option<Vec<_>>>();
        let what = "algorithms are RS256, PS256, ES256, ES384 and EdDSA";
        issuer = issuer.algorithms(known.ok_or_else(|| Fault::new(names.span(), what))?);
    }
    if let Some(types) = entry.types {
        if !types.get_ref().iter().all(|name| matches!(name.as_str(), "JWT" | "at+jwt")) {
            return Err(Fault::new(types.span(), "types are JWT and at+jwt"));
        }
        issuer = issuer.access_tokens(types.get_ref().iter().any(|name| name == "at+jwt"));
    }
    if let Some(shared) = entry.shared {
        issuer = issuer.shared(shared);
    }
    issuer.build().map_err(|error: ProviderError| Fault::new(whole, error.to_string()))
}

fn role(account: &Account, entry: Spanned<RoleEntry>) -> Result<(Role, RoleRights), Fault> {
    let whole = entry.span();
    let RoleEntry { name, max_session_seconds, list_buckets, trust, allow } = entry.into_inner();
    let mut role =
        Role::new(account, name.get_ref()).map_err(|error| Fault::new(name.span(), error.to_string()))?;
    if let Some(seconds) = max_session_seconds {
        role = role
            .max_session(Duration::from_secs(*seconds.get_ref()))
            .map_err(|error| Fault::new(seconds.span(), error.to_string()))?;
    }
    if trust.is_empty() {
        return Err(Fault::new(whole, "it has no [[role.trust]], so nobody could assume it"));
    }
    let issuers: HashSet<_> = trust.iter().filter_map(|entry| entry.get_ref().issuer.clone()).collect();
    for entry in trust {
        role = role.trust(trusted(account, entry)?);
    }
    if allow.is_empty() && !list_buckets {
        return Err(Fault::new(whole, "it has no [[role.allow]] and no list_buckets, so it may do nothing"));
    }
    let grants = allow.into_iter().map(AllowEntry::template).collect::<Result<Vec<_>, _>>()?;
    if issuers.len() > 1 && grants.iter().any(GrantTemplate::names_the_subject) {
        let what = "a prefix has {subject} and the role trusts several issuers, who may call two people by one \
                    name: make a role for each issuer";
        return Err(Fault::new(name.span(), what));
    }
    Ok((role, RoleRights { list_buckets, grants }))
}

fn trusted(account: &Account, entry: Spanned<TrustEntry>) -> Result<Trust, Fault> {
    let at = entry.span();
    let wrong = |what: &str| Fault::new(at.clone(), what);
    let entry = entry.into_inner();
    let of_callers = !entry.keys.is_empty() || !entry.roles.is_empty() || entry.external_id.is_some();
    let Some(issuer) = entry.issuer else {
        if !entry.audiences.is_empty() || !entry.subjects.is_empty() || !entry.claims.is_empty() {
            return Err(wrong("audiences, subjects and claims are an issuer's: name it"));
        }
        if entry.keys.is_empty() && entry.roles.is_empty() {
            return Err(wrong("a trust names an issuer, or keys and roles that may assume it"));
        }
        let users = entry.keys.iter().map(|name| account.user_arn(name));
        let roles = entry.roles.iter().map(|name| account.role_arn(name));
        let mut trust = users.chain(roles).fold(Trust::principals(), |trust, arn| trust.principal(arn));
        if let Some(id) = entry.external_id {
            trust = trust.external_id(id);
        }
        if entry.session_tags {
            trust = trust.allow_tags();
        }
        if entry.source_identity {
            trust = trust.allow_source_identity();
        }
        return Ok(trust.into());
    };
    if of_callers {
        return Err(wrong("a trust is either of an issuer or of keys and roles: make two of it"));
    }
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
    Ok(trust.into())
}
