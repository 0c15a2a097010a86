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
//! [[role.trust]]                    # … or callers of AssumeRole, by the names of keys and of roles, one by one
//! keys = ["AKIABACKUP"]             # of the keys file; one that is not there is warned of
//! roles = ["deployer"]              # of this file
//! external_id = "…"
//!
//! [[role.allow]]
//! bucket = "reports"
//! prefix = "users/{subject}/"       # claims of the session, each a whole segment: {subject}, {source_identity}, {tag:KEY}
//! actions = ["read", "list"]
//! ```

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::time::Duration;

use credfed_core::ProviderError;
use credfed_core::oidc::{Algorithm, Network, TrustedIssuer, TrustedIssuers};
use credfed_tower::sts::{Account, IssuerFacts, Role, RoleTable, Severity};
use serde::Deserialize;
use toml::Spanned;

use crate::config_file::{self, Fault, FileError, line_of};
use crate::grants::{AllowEntry, GrantTemplate};
use crate::keys::Key;
use crate::rights::RoleRights;
use crate::trusts::{self, Known, TrustEntry};

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
    /// The keys that trusts name, each with its line.
    trusted_keys: Vec<(usize, String)>,
}

impl Inbound {
    /// Roles that no trust in keys leads to.
    pub(crate) fn new(
        account: Account,
        issuers: TrustedIssuers,
        roles: RoleTable,
        rights: HashMap<String, RoleRights>,
    ) -> Self {
        let (tagging, naming, trusted_keys) = Default::default();
        Self { account, issuers, tagging, naming, roles, rights, trusted_keys }
    }

    /// The lines at which a trust names a key that is not among `keys`.
    pub(crate) fn lines_of_strangers(&self, keys: &[Key]) -> Vec<usize> {
        let is_there = |name: &str| keys.iter().any(|key| key.access_key_id == name);
        let strangers = self.trusted_keys.iter().filter(|(_, name)| !is_there(name));
        strangers.map(|(line, _)| *line).collect()
    }
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

pub(crate) fn parse(text: &str) -> Result<Inbound, Fault> {
    let file: File = config_file::entries(text)?;
    let account = match file.account {
        None => Account::new("000000000000").map_err(|error| Fault::somewhere(error.to_string()))?,
        Some(id) => Account::new(id.get_ref()).map_err(|error| Fault::new(id.span(), error.to_string()))?,
    };
    let (mut trusted, mut tagging, mut naming) = (Vec::new(), Vec::new(), Vec::new());
    for (index, entry) in file.issuer.into_iter().enumerate() {
        let (url, at) = (entry.get_ref().url.get_ref(), entry.get_ref().url.span());
        if trusted.iter().any(|issuer: &TrustedIssuer| issuer.url() == url) {
            return Err(Fault::new(at, "this url was given before").of(format!("issuer {}", index + 1)));
        }
        tagging.extend(entry.get_ref().session_tags.then(|| url.clone()));
        naming.extend(entry.get_ref().source_identity.then(|| url.clone()));
        trusted.push(issuer(entry).map_err(|fault| fault.of(format!("issuer {}", index + 1)))?);
    }
    let issuers = TrustedIssuers::new(trusted).map_err(|error| Fault::somewhere(error.to_string()))?;
    if file.role.is_empty() {
        return Err(Fault::somewhere("there is no [[role]] in it, so nobody could assume any"));
    }
    let known = Known {
        issuers: issuers.iter().map(TrustedIssuer::url).collect(),
        tagging: &tagging,
        naming: &naming,
        roles: file.role.iter().map(|role| role.get_ref().name.get_ref().clone()).collect(),
    };
    let (mut roles, mut rights, mut seen) = (Vec::new(), HashMap::new(), HashMap::new());
    let mut trusted_keys = Vec::new();
    for (index, entry) in file.role.into_iter().enumerate() {
        let name = format!("role {}", index + 1);
        let at = entry.get_ref().name.span();
        let named = entry.get_ref().trust.iter().flat_map(|trust| trust.get_ref().keys());
        trusted_keys.extend(named.map(|key| (line_of(text, key.span()), key.get_ref().as_str().to_owned())));
        let (role, may) = role(&account, &known, entry).map_err(|fault| fault.of(&name))?;
        if seen.insert(role.arn().to_owned(), at.clone()).is_some() {
            return Err(Fault::new(at, "this name was given before").of(&name));
        }
        rights.insert(role.arn().to_owned(), may);
        roles.push(role);
    }
    let roles = RoleTable::new(roles, &IssuerFacts::of(&issuers)).map_err(|refused| {
        let first = refused.findings().iter().find(|finding| finding.severity() == Severity::Error);
        let at = first.and_then(|finding| seen.get(finding.role()).cloned());
        Fault { at, what: refused.to_string() }
    })?;
    Ok(Inbound { account, issuers, tagging, naming, roles, rights, trusted_keys })
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

fn role(
    account: &Account,
    known: &Known<'_>,
    entry: Spanned<RoleEntry>,
) -> Result<(Role, RoleRights), Fault> {
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
    let issuers: HashSet<_> =
        trust.iter().filter_map(|entry| entry.get_ref().issuer().map(str::to_owned)).collect();
    for entry in trust {
        role = role.trust(trusts::parse(account, known, entry)?);
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

#[cfg(test)]
mod tests {
    use credfed_tower::sts::Finding;

    use super::*;

    const GOOD: &str = r#"account = "123456789012"
[[issuer]]
url = "https://id.example.com"
audiences = ["sts.example.com"]
algorithms = ["ES256"]
types = ["JWT"]
session_tags = true
[[issuer]]
url = "https://token.actions.githubusercontent.com"
audiences = ["sts.example.com"]
shared = false
[[role]]
name = "team/reader"
max_session_seconds = 7200
[[role.trust]]
issuer = "https://id.example.com"
audiences = ["sts.example.com"]
subjects = ["alice"]
session_tags = true
[[role.allow]]
bucket = "home"
prefix = "users/{subject}/"
actions = ["read"]
[[role]]
name = "deploy"
[[role.trust]]
issuer = "https://token.actions.githubusercontent.com"
audiences = ["sts.example.com"]
subjects = ["repo:octo-org/site:*"]
[[role.trust]]
keys = ["backup"]
roles = ["team/reader"]
external_id = "ticket-7734"
[[role.allow]]
bucket = "site"
actions = ["write"]
"#;

    fn refused(text: &str) -> (Option<usize>, String) {
        let fault = parse(text).err().unwrap();
        (fault.at.map(|at| line_of(text, at)), fault.what)
    }

    #[test]
    fn the_file_of_the_readme_is_a_good_one() {
        let readme = include_str!("../../../README.md");
        let (_, text) = readme.split_once("```toml\n# roles.toml").unwrap();
        let (text, _) = text.split_once("```").unwrap();
        let inbound = parse(text).map_err(|fault| fault.what).unwrap();
        assert_eq!(inbound.rights.len(), 3);
        // Everybody whom the issuer knows is a member: meant, and said.
        let warnings: Vec<_> = inbound.roles.warnings().iter().map(Finding::role).collect();
        assert_eq!(warnings, ["arn:aws:iam::123456789012:role/member"]);
    }

    #[test]
    fn a_good_file_becomes_roles_and_their_rights() {
        let inbound = parse(GOOD).ok().unwrap();
        let arns: Vec<_> = inbound.roles.iter().map(Role::arn).collect();
        assert_eq!(
            arns,
            ["arn:aws:iam::123456789012:role/deploy", "arn:aws:iam::123456789012:role/team/reader"]
        );
        assert!(arns.iter().all(|&arn| inbound.rights.contains_key(arn)));
        assert_eq!(inbound.tagging, ["https://id.example.com"]);
        assert!(inbound.naming.is_empty());
        assert!(inbound.roles.iter().any(|role| role.longest_session() == Duration::from_secs(7200)));
        assert_eq!(inbound.issuers.iter().count(), 2);
    }

    #[test]
    fn each_fault_is_named_with_its_line() {
        for (from, to, line, says) in [
            ("\"123456789012\"", "\"12345\"", 1, "invalid account id"),
            (
                "https://id.example.com\"\naud",
                "http://id.example.com\"\naud",
                2,
                "issuer 1: an issuer's address",
            ),
            ("[\"ES256\"]", "[\"HS256\"]", 5, "issuer 1: algorithms are"),
            ("[\"JWT\"]", "[\"jwt\"]", 6, "issuer 1: types are"),
            ("types = [\"JWT\"]", "type = [\"JWT\"]", 6, "unknown field `type`"),
            ("types = [\"JWT\"]", "network = \"open\"", 6, "unknown variant"),
            (
                "https://token.actions.githubusercontent.com\"\naudiences = [\"sts.example.com\"]\nshared",
                "https://id.example.com\"\naudiences = [\"sts.example.com\"]\nshared",
                9,
                "issuer 2: this url was given before",
            ),
            ("team/reader\"\nmax", "team//reader\"\nmax", 13, "role 1: invalid role name"),
            ("7200", "899", 14, "role 1: invalid longest session"),
            ("name = \"deploy\"", "name = \"team/reader\"", 25, "role 2: this name was given before"),
            ("subjects = [\"alice\"]", "subject = [\"alice\"]", 18, "unknown field `subject`"),
            ("{subject}", "{session_name}", 22, "role 1: prefix names"),
            (
                "keys = [\"backup\"]",
                "keys = [\"backup\"]\naudiences = [\"x\"]",
                30,
                "role 2: audiences, subjects and claims",
            ),
            (
                "keys = [\"backup\"]\nroles = [\"team/reader\"]",
                "",
                30,
                "role 2: a trust names an issuer, or keys",
            ),
            ("keys = [\"backup\"]", "issuer = \"https://id.example.com\"", 30, "role 2: a trust is either"),
            ("session_tags = true\n[[issuer]]", "[[issuer]]", 14, "role 1: session_tags and source_identity"),
            // Names that lead nowhere.
            ("issuer = \"https://id.", "issuer = \"https://ids.", 16, "role 1: no [[issuer]] of this file"),
            ("roles = [\"team/reader\"]", "roles = [\"reader\"]", 32, "role 2: no [[role]] of this file"),
            ("roles = [\"team/reader\"]", "roles = [\"*\"]", 32, "role 2: no [[role]] of this file"),
            ("keys = [\"backup\"]", "keys = [\"*\"]", 31, "role 2: keys needs names"),
            ("keys = [\"backup\"]", "keys = [\"backup\", \"\"]", 31, "role 2: keys needs names"),
            ("keys = [\"backup\"]", "keys = [1]", 31, "a string in quotes"),
        ] {
            assert!(GOOD.contains(from), "{from}");
            let (at, what) = refused(&GOOD.replacen(from, to, 1));
            assert_eq!(at, Some(line), "{to}: {what}");
            assert!(what.contains(says), "{to}: {what}");
        }
        let (grants, _) = GOOD.split_once("[[role.allow]]").unwrap();
        let (at, what) = refused(grants);
        assert!(at == Some(12) && what.contains("may do nothing"), "{at:?} {what}");
        assert!(refused("").1.contains("no [[role]]"));
    }

    #[test]
    fn a_trust_in_a_key_that_is_not_there_is_found_by_its_line() {
        let inbound = parse(&GOOD.replace("[\"backup\"]", "[\n\"backup\",\n\"operator\"]")).ok().unwrap();
        let (mut one, mut other) = (Key::generate().unwrap(), Key::generate().unwrap());
        assert_eq!(inbound.lines_of_strangers(&[]), [32, 33]);
        one.access_key_id = "operator".to_owned();
        assert_eq!(inbound.lines_of_strangers(&[one.clone()]), [32]);
        other.access_key_id = "backup".to_owned();
        assert!(inbound.lines_of_strangers(&[one, other]).is_empty());
    }

    #[test]
    fn tenants_of_an_issuer_that_is_said_to_be_shared_are_told_apart() {
        let shared =
            GOOD.replace("session_tags = true\n[[issuer]]", "session_tags = true\nshared = true\n[[issuer]]");
        assert!(parse(&shared).is_ok());
        for (to, says) in [
            ("", "many tenants"),
            ("subjects = [\"*-alice\"]", "wildcard before the end"),
            ("claims = { actor = [\"alice\"] }", "many tenants"),
        ] {
            let (at, what) = refused(&shared.replace("subjects = [\"alice\"]", to));
            assert!(what.contains(says) && what.contains("role/team/reader"), "{to}: {what}");
            assert_eq!(at, Some(14), "{to}");
            assert!(parse(&GOOD.replace("subjects = [\"alice\"]", to)).is_ok(), "its only tenant: {to}");
        }
        let immutable = "claims = { repository_id = [\"1234\"] }";
        assert!(parse(&shared.replace("subjects = [\"alice\"]", immutable)).is_ok());
    }

    #[test]
    fn dangerous_trust_is_refused_with_the_line_of_its_role() {
        for (from, to, says) in [
            ("[\"repo:octo-org/site:*\"]", "[\"*\"]", "whatever the claim says"),
            ("[\"repo:octo-org/site:*\"]", "[\"repo:octo*\"]", "wildcard before the end"),
            ("[\"repo:octo-org/site:*\"]", "[\"environment:production:*\"]", "wildcard before the end"),
            ("subjects = [\"repo:octo-org/site:*\"]", "", "many tenants"),
            ("subjects = [\"repo:octo-org/site:*\"]", "claims = { actor = [\"octo\"] }", "many tenants"),
            (
                "audiences = [\"sts.example.com\"]\nsubjects = [\"repo",
                "subjects = [\"repo",
                "names no audience",
            ),
        ] {
            assert!(GOOD.contains(from), "{from}");
            let (at, what) = refused(&GOOD.replacen(from, to, 1));
            assert!(what.contains(says) && what.contains("role/deploy"), "{to}: {what}");
            assert_eq!(at, Some(25), "{to}");
        }
        let immutable = "claims = { repository_id = [\"1234\"] }";
        assert!(parse(&GOOD.replace("subjects = [\"repo:octo-org/site:*\"]", immutable)).is_ok());
    }

    #[test]
    fn a_folder_per_subject_takes_one_issuer() {
        let both = "[[role.trust]]\nissuer = \"https://token.actions.githubusercontent.com\"\naudiences = [\"sts.example.com\"]\nsubjects = [\"repo:octo-org/site:*\"]\n[[role.allow]]\nbucket = \"home\"";
        let (at, what) = refused(&GOOD.replace("[[role.allow]]\nbucket = \"home\"", both));
        assert!(what.contains("several issuers"), "{what}");
        assert_eq!(at, Some(13));
    }

    #[test]
    fn no_error_repeats_an_external_id() {
        for wrong in ["7734", "[\"7734\"]", "\"7734", "{ value = \"7734\" }"] {
            let (_, what) = refused(&GOOD.replace("\"ticket-7734\"", wrong));
            assert!(!what.contains("7734"), "{what}");
        }
    }
}
