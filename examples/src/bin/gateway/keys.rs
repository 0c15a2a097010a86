//! The keys file: which key may do what in which bucket, under which prefix.
//!
//! ```toml
//! [[key]]
//! access_key_id = "reports-reader"
//! secret_access_key = "…"
//! list_buckets = true             # may see the names of all buckets; false unless told
//!
//! [[key.allow]]
//! bucket = "reports"              # or "*": every bucket
//! prefix = "2026/"                # keys that begin so; all keys unless told
//! actions = ["read", "list"]      # of read, write, delete, list, administer
//! ```

use std::collections::HashSet;
use std::path::Path;

use credfed_core::Secret;
use credfed_core::session::is_session_access_key_id;
use serde::Deserialize;
use toml::Spanned;

use crate::config_file::{self, Fault, FileError, Text};
use crate::grants::AllowEntry;
use crate::rights::Rights;

/// A key that callers sign with, and its rights.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) access_key_id: String,
    pub(crate) secret: Secret,
    pub(crate) rights: Rights,
}

impl Key {
    /// A key made now, with every right.
    pub(crate) fn generate() -> Result<Self, getrandom::Error> {
        const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
        const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let access_key_id = format!("AKIA{}", random_text::<16>(LETTERS)?);
        let secret = Secret::new(random_text::<40>(ALPHABET)?);
        Ok(Self { access_key_id, secret, rights: Rights::all() })
    }
}

/// Reads and checks a keys file as a whole: every entry is good, or none is used.
pub(crate) fn read(path: &Path) -> Result<Vec<Key>, FileError> {
    let keys = config_file::read(path, parse)?;
    warn_if_others_can_read(path);
    Ok(keys)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    key: Vec<Spanned<KeyEntry>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyEntry {
    access_key_id: Spanned<Text>,
    secret_access_key: Spanned<Text>,
    #[serde(default)]
    list_buckets: bool,
    #[serde(default)]
    allow: Vec<AllowEntry>,
}

fn parse(text: &str) -> Result<Vec<Key>, Fault> {
    let file: File = config_file::entries(text)?;
    if file.key.is_empty() {
        return Err(Fault::somewhere("there is no [[key]] in it, so nobody could do anything"));
    }
    let mut seen = HashSet::new();
    let mut keys = Vec::with_capacity(file.key.len());
    for (index, entry) in file.key.into_iter().enumerate() {
        let at = entry.get_ref().access_key_id.span();
        let name = format!("key {}", index + 1);
        let key = parse_key(entry).map_err(|fault| fault.of(&name))?;
        if !seen.insert(key.access_key_id.clone()) {
            return Err(Fault::new(at, "this access_key_id was given before").of(&name));
        }
        keys.push(key);
    }
    Ok(keys)
}

fn parse_key(entry: Spanned<KeyEntry>) -> Result<Key, Fault> {
    let whole = entry.span();
    let KeyEntry { access_key_id, secret_access_key, list_buckets, allow } = entry.into_inner();
    let id = access_key_id.get_ref().as_str();
    if !is_access_key_id(id) {
        let what = "access_key_id needs 3 to 64 of A-Z a-z 0-9 - . _ = @: at STS it is the name of a user";
        return Err(Fault::new(access_key_id.span(), what));
    }
    if is_session_access_key_id(id) {
        let what = "access_key_id has the shape of a session's (ASIA and 16 more): give it another one";
        return Err(Fault::new(access_key_id.span(), what));
    }
    let secret = secret_access_key.get_ref().as_str();
    if !(16..=256).contains(&secret.len()) || !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
        let what = "secret_access_key needs 16 to 256 visible ASCII characters";
        return Err(Fault::new(secret_access_key.span(), what));
    }
    if allow.is_empty() && !list_buckets {
        return Err(Fault::new(whole, "it has no [[key.allow]] and no list_buckets, so it may do nothing"));
    }
    let grants = allow.into_iter().map(AllowEntry::grant).collect::<Result<_, _>>()?;
    Ok(Key {
        access_key_id: id.to_owned(),
        secret: Secret::new(secret.to_owned()),
        rights: Rights { list_buckets, grants },
    })
}

/// At most what the name of a user may be, at AWS and in the ARNs of STS.
pub(crate) fn is_access_key_id(text: &str) -> bool {
    let legible = |byte: u8| byte.is_ascii_alphanumeric() || b"-._=@".contains(&byte);
    (3..=64).contains(&text.len()) && text.bytes().all(legible)
}

#[cfg(unix)]
fn warn_if_others_can_read(path: &Path) {
    use std::os::unix::fs::PermissionsExt;

    let others = std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0);
    if others {
        tracing::warn!(file = %path.display(), "other users can read the keys file: chmod 600 keeps them out");
    }
}

#[cfg(not(unix))]
fn warn_if_others_can_read(_: &Path) {}

/// `N` letters, each equally likely: the length of the alphabet divides 256.
fn random_text<const N: usize>(alphabet: &[u8]) -> Result<String, getrandom::Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes.iter().map(|byte| char::from(alphabet[usize::from(*byte) % alphabet.len()])).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config_file::line_of;
    use crate::names::{BucketName, ObjectKey};
    use crate::rights::{Action, Extent, Need};

    const GOOD: &str = r#"
[[key]]
access_key_id = "reader"
secret_access_key = "0123456789abcdef"
list_buckets = true
[[key.allow]]
bucket = "reports"
prefix = "2026/"
actions = ["read", "list"]

[[key]]
access_key_id = "operator"
secret_access_key = "fedcba9876543210"
[[key.allow]]
bucket = "*"
actions = ["administer"]
"#;

    fn refused(text: &str) -> (Option<usize>, String) {
        let fault = parse(text).err().unwrap();
        (fault.at.map(|at| line_of(text, at)), fault.what)
    }

    #[test]
    fn a_good_file_becomes_rights() {
        let keys = parse(GOOD).ok().unwrap();
        assert_eq!(keys.len(), 2);
        assert_eq!(keys[0].access_key_id, "reader");
        assert_eq!(keys[0].secret.expose(), "0123456789abcdef");
        let read = |key: &str| Need::In {
            bucket: BucketName::parse("reports").unwrap(),
            action: Action::Read,
            extent: Extent::Key(ObjectKey::parse(key.to_owned()).unwrap()),
        };
        assert!(keys[0].rights.cover(&read("2026/a")));
        assert!(!keys[0].rights.cover(&read("2025/a")));
        assert!(keys[0].rights.cover(&Need::ListBuckets));
        assert!(!keys[1].rights.cover(&Need::ListBuckets));
        assert!(!keys[1].rights.cover(&read("2026/a")));
    }

    #[test]
    fn each_fault_is_named_with_its_line_and_key() {
        for (from, to, line, says) in [
            ("access_key_id = \"operator\"", "access_key_id = \"reader\"", 12, "key 2: this access_key_id"),
            ("\"operator\"", "\"o p\"", 12, "key 2: access_key_id needs"),
            ("\"operator\"", "\"ASIAAAAAAAAAAAAAAAAA\"", 12, "key 2: access_key_id has the shape"),
            ("\"operator\"", &format!("\"{}\"", "o".repeat(65)), 12, "key 2: access_key_id needs 3 to 64"),
            ("\"fedcba9876543210\"", "\"short\"", 13, "key 2: secret_access_key needs"),
            ("\"administer\"", "\"admin\"", 16, "key 2: actions are read"),
            ("[\"administer\"]", "[]", 16, "key 2: actions is empty"),
            ("\"*\"", "\"**\"", 15, "key 2: bucket needs"),
            ("\"2026/\"", "\"2026/../\"", 8, "key 1: prefix needs"),
            ("list_buckets = true", "list_bucket = true", 5, "unknown field `list_bucket`"),
            ("list_buckets = true", "list_buckets = 1", 5, "invalid type"),
        ] {
            let (at, what) = refused(&GOOD.replace(from, to));
            assert_eq!(at, Some(line), "{what}");
            assert!(what.starts_with(says), "{what}");
        }
        assert!(parse(&GOOD.replace("operator", &"o".repeat(64))).is_ok());
        assert!(refused("").1.contains("no [[key]]"));
        let bare = "[[key]]\naccess_key_id = \"abc\"\nsecret_access_key = \"0123456789abcdef\"\n";
        assert!(refused(bare).1.contains("may do nothing"));
        assert!(
            refused("[[key]]\naccess_key_id = \"abc\"\n").1.contains("missing field `secret_access_key`")
        );
    }

    #[test]
    fn no_error_repeats_a_secret() {
        const CANARY: &str = "7734773477347734";
        for wrong in [
            CANARY.to_owned(),
            format!("\"{CANARY}"),
            format!("'{CANARY}\" x"),
            format!("[\"{CANARY}\"]"),
            format!("{{ value = \"{CANARY}\" }}"),
            format!("\"{CANARY}\" {CANARY}"),
            format!("abc{CANARY}"),
            format!("{CANARY}.5e3"),
            format!("\"{CANARY} with blanks\""),
        ] {
            let text = GOOD.replace("\"0123456789abcdef\"", &wrong);
            let (_, what) = refused(&text);
            assert!(!what.contains("773477"), "{what}");
        }
        let swapped = GOOD.replace("\"reader\"", &format!("\"{CANARY}/+/\""));
        assert!(!refused(&swapped).1.contains(CANARY));
    }

    #[test]
    fn made_keys_differ_and_show_no_secret() {
        let (one, other) = (Key::generate().unwrap(), Key::generate().unwrap());
        assert_ne!(one.access_key_id, other.access_key_id);
        assert_ne!(one.secret.expose(), other.secret.expose());
        assert_eq!(one.secret.expose().len(), 40);
        assert!(!format!("{one:?}").contains(one.secret.expose()));
    }
}
