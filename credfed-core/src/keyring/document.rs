//! The text of a key ring.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use super::key::{KeyId, MASTER, MasterKey};
use super::ring::KeyRingError;
use super::weak::is_obviously_not_random;
use crate::Secret;

/// The longest text that is read, in bytes.
pub(super) const LONGEST_TEXT: usize = 64 * 1024;

/// The most keys that a ring holds: each costs a derivation at the load, and a glance at each token.
pub(super) const MOST_KEYS: usize = 32;

/// The end of the year 9999.
pub(super) const LAST_SECOND: u64 = 253_402_300_799;

const VERSION: u64 = 1;

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Document<'a> {
    version: u64,
    #[serde(borrow)]
    keys: Vec<Entry<'a>>,
}

/// Borrowed from the text, so that no copy of a key is left behind by the parser. Base64 needs no JSON escapes.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Entry<'a> {
    kid: &'a str,
    key: &'a str,
    created: u64,
    activates: u64,
}

pub(super) fn parse(text: &str) -> Result<Vec<MasterKey>, KeyRingError> {
    if text.len() > LONGEST_TEXT {
        return Err(KeyRingError::TooLong);
    }
    // What serde_json says of an error may quote the text, and with it a key: only the place is kept.
    let document: Document<'_> = serde_json::from_str(text)
        .map_err(|error| KeyRingError::Malformed { line: error.line(), column: error.column() })?;
    if document.version != VERSION {
        return Err(KeyRingError::Version(document.version));
    }
    if document.keys.len() > MOST_KEYS {
        return Err(KeyRingError::TooManyKeys);
    }
    document.keys.iter().map(Entry::key).collect()
}

pub(super) fn write(keys: &[MasterKey]) -> Secret {
    let ids: Vec<String> = keys.iter().map(|key| key.id().to_string()).collect();
    let texts: Vec<Zeroizing<String>> =
        keys.iter().map(|key| Zeroizing::new(STANDARD.encode(key.master()))).collect();
    let entries = keys.iter().zip(&ids).zip(&texts).map(|((key, id), text)| Entry {
        kid: id,
        key: text,
        created: key.created(),
        activates: key.activates(),
    });
    let document = Document { version: VERSION, keys: entries.collect() };
    // Room for all of it, so that no half of it is left behind by a reallocation.
    let mut bytes = Vec::with_capacity(256 + keys.len() * 256);
    let written = serde_json::to_writer_pretty(&mut bytes, &document);
    debug_assert!(written.is_ok(), "strings and numbers are JSON");
    bytes.push(b'\n');
    Secret::new(String::from_utf8(bytes).unwrap_or_default())
}

impl Entry<'_> {
    fn key(&self) -> Result<MasterKey, KeyRingError> {
        let id = KeyId::parse(self.kid.as_bytes()).ok_or(KeyRingError::NoKeyId)?;
        let master = master(self.key).ok_or(KeyRingError::NoKey(id))?;
        let master = match <&[u8; MASTER]>::try_from(&master[..]) {
            Ok(exact) => Zeroizing::new(*exact),
            Err(_) if master.len() < MASTER => return Err(KeyRingError::Short(id)),
            Err(_) => return Err(KeyRingError::Long(id)),
        };
        if is_obviously_not_random(&master) {
            return Err(KeyRingError::NotRandom(id));
        }
        if KeyId::of(&master) != id {
            return Err(KeyRingError::OtherKeyId { stated: id, computed: KeyId::of(&master) });
        }
        if self.activates < self.created || self.activates > LAST_SECOND {
            return Err(KeyRingError::Times(id));
        }
        Ok(MasterKey::new(master, self.created, self.activates))
    }
}

fn master(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(vec![0; text.len()]);
    let length = STANDARD.decode_slice(text, &mut bytes).ok()?;
    bytes[length..].zeroize();
    bytes.truncate(length);
    Some(bytes)
}
