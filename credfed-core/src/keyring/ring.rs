//! The ring: an immutable set of keys, and how one follows from another.

use std::collections::HashSet;
use std::error::Error;
use std::fmt;
use std::time::{Duration, SystemTime};

use zeroize::Zeroizing;

use super::document;
use super::key::{KeyId, MASTER, MasterKey, time};
use crate::{FileError, Secret};

/// A set of master keys; see [the module](super). It never changes: rotating makes another one.
pub struct KeyRing {
    /// Ordered by activation; no two activate in the same second.
    keys: Vec<MasterKey>,
}

/// What a key does at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyState {
    /// Opens; its activation is still to come.
    Next,
    /// Opens and seals.
    Current,
    /// Opens; another one was activated after it.
    Previous,
}

impl fmt::Display for KeyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Next => "next",
            Self::Current => "current",
            Self::Previous => "previous",
        })
    }
}

/// What may be shown of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyInfo {
    /// Its name.
    pub id: KeyId,
    /// What it does at the time that was asked about.
    pub state: KeyState,
    /// When it was made.
    pub created: SystemTime,
    /// When it becomes, or became, the current one.
    pub activates: SystemTime,
}

impl KeyRing {
    /// Reads a ring from its text, at most 64 KiB with at most 32 keys.
    ///
    /// # Errors
    /// The first [`KeyRingError`] that is met; there is no half a ring.
    pub fn parse(text: &str) -> Result<Self, KeyRingError> {
        Self::of(document::parse(text)?)
    }

    /// The text of the ring, with its keys: whoever reads it can mint any session.
    pub fn to_text(&self) -> Secret {
        document::write(&self.keys)
    }

    /// A new ring with one key, drawn from the system's random numbers, which is current from `now` on.
    ///
    /// # Errors
    /// [`KeyRingError::NoRandomness`]; [`KeyRingError::Clock`] before 1970 and after 9999.
    pub fn generate(now: SystemTime) -> Result<Self, KeyRingError> {
        let now = second(now)?;
        Self::of(vec![draw(now, now)?])
    }

    /// The ring with one more key, which is next until `activates`. That must leave every replica the time to read
    /// the new file: at least `reload_interval` from `now`. A fraction of a second is rounded up.
    ///
    /// # Errors
    /// [`KeyRingError::TooSoon`], [`KeyRingError::Clock`], and those of [`parse`](Self::parse) where the ring would
    /// not load.
    pub fn rotate(
        &self,
        now: SystemTime,
        activates: SystemTime,
        reload_interval: Duration,
    ) -> Result<Self, KeyRingError> {
        let earliest = now.checked_add(reload_interval).ok_or(KeyRingError::Clock)?;
        if activates < earliest {
            return Err(KeyRingError::TooSoon);
        }
        // The file knows whole seconds: a moment late rather than a moment before the last replica has read it.
        let whole = time(second(activates)?);
        self.with_key(now, if whole < activates { whole + Duration::from_secs(1) } else { whole })
    }

    /// The ring with one more key that is current at once, for the case that the current one leaked. Replicas that
    /// have not read the new file yet refuse what is sealed with it.
    ///
    /// # Errors
    /// Those of [`rotate`](Self::rotate), without `TooSoon`.
    pub fn rotate_at_once(&self, now: SystemTime) -> Result<Self, KeyRingError> {
        self.with_key(now, now)
    }

    /// The ring without a key. What that key sealed is refused as soon as the new ring is loaded.
    ///
    /// # Errors
    /// [`KeyRingError::UnknownKey`]; [`KeyRingError::CurrentKey`], since nothing could be sealed any more: rotate
    /// first, at once if need be.
    pub fn remove(&self, id: KeyId, now: SystemTime) -> Result<Self, KeyRingError> {
        match self.keys(now).find(|key| key.id == id) {
            None => Err(KeyRingError::UnknownKey(id)),
            Some(key) if key.state == KeyState::Current => Err(KeyRingError::CurrentKey(id)),
            Some(_) => Ok(self.filtered(|key| key.id() != id)),
        }
    }

    /// The ring without the previous keys that no session needs any more, if none lives longer than
    /// `longest_session`: those that were followed by another key that long ago.
    pub fn retire(&self, now: SystemTime, longest_session: Duration) -> Self {
        let needed = |at: usize| match self.keys.get(at + 1) {
            Some(follower) => {
                time(follower.activates()).checked_add(longest_session).is_none_or(|last_use| last_use > now)
            }
            None => true,
        };
        let keys = self.keys.iter().enumerate().filter(|(at, _)| needed(*at));
        Self { keys: keys.map(|(_, key)| key.clone()).collect() }
    }

    /// What may be shown of the keys, in the order of their activation.
    pub fn keys(&self, now: SystemTime) -> impl Iterator<Item = KeyInfo> {
        let current = self.current(now).map(MasterKey::id);
        self.keys.iter().map(move |key| KeyInfo {
            id: key.id(),
            state: match time(key.activates()) > now {
                true => KeyState::Next,
                false if current == Some(key.id()) => KeyState::Current,
                false => KeyState::Previous,
            },
            created: time(key.created()),
            activates: time(key.activates()),
        })
    }

    /// The key that seals at `now`; none where all of them are still to come.
    pub(crate) fn current(&self, now: SystemTime) -> Option<&MasterKey> {
        self.keys.iter().rev().find(|key| time(key.activates()) <= now)
    }

    /// Where the key of that name is, whatever its state.
    pub(super) fn position(&self, id: KeyId) -> Option<usize> {
        self.keys.iter().position(|key| key.id() == id)
    }

    /// The key at a [`position`](Self::position) of this ring.
    pub(super) fn at(&self, position: usize) -> &MasterKey {
        &self.keys[position]
    }

    fn with_key(&self, now: SystemTime, activates: SystemTime) -> Result<Self, KeyRingError> {
        let mut keys = self.keys.clone();
        keys.push(draw(second(now)?, second(activates)?)?);
        Self::of(keys)
    }

    fn of(mut keys: Vec<MasterKey>) -> Result<Self, KeyRingError> {
        let mut ids = HashSet::new();
        if let Some(twice) = keys.iter().find(|key| !ids.insert(key.id())) {
            return Err(KeyRingError::Duplicate(twice.id()));
        }
        keys.sort_by_key(MasterKey::activates);
        let same = keys.windows(2).find(|pair| pair[0].activates() == pair[1].activates());
        if let Some(pair) = same {
            return Err(KeyRingError::SameActivation(pair[0].id(), pair[1].id()));
        }
        match keys.len() {
            0 => Err(KeyRingError::NoKeys),
            count if count > document::MOST_KEYS => Err(KeyRingError::TooManyKeys),
            _ => Ok(Self { keys }),
        }
    }

    fn filtered(&self, keep: impl Fn(&MasterKey) -> bool) -> Self {
        Self { keys: self.keys.iter().filter(|key| keep(key)).cloned().collect() }
    }
}

/// Names and times, no keys.
impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.keys).finish()
    }
}

/// Why there is no key ring, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyRingError {
    /// The file cannot be read or written.
    File(FileError),
    /// More than 64 KiB of text.
    TooLong,
    /// The text is not the JSON of a ring: broken, a field too many, a field missing, or of another type.
    Malformed {
        /// From 1; 0 for the end of the text.
        line: usize,
        /// From 1; 0 at the start of a line.
        column: usize,
    },
    /// The file is of another version.
    Version(u64),
    /// The ring is empty.
    NoKeys,
    /// More than 32 keys.
    TooManyKeys,
    /// A name of a key that is not 16 hex digits.
    NoKeyId,
    /// The key is not base64.
    NoKey(KeyId),
    /// The key has fewer than 32 bytes.
    Short(KeyId),
    /// The key has more than 32 bytes.
    Long(KeyId),
    /// The key was obviously not drawn at random.
    NotRandom(KeyId),
    /// The name is not the one that follows from the key.
    OtherKeyId {
        /// The one in the file.
        stated: KeyId,
        /// The one that follows from the key.
        computed: KeyId,
    },
    /// One key stands in the file twice.
    Duplicate(KeyId),
    /// Two keys become current in the same second.
    SameActivation(KeyId, KeyId),
    /// A time after the year 9999, or an activation before the key was made.
    Times(KeyId),
    /// There is no key of that name.
    UnknownKey(KeyId),
    /// The current key cannot be removed.
    CurrentKey(KeyId),
    /// The activation is earlier than every replica's reload.
    TooSoon,
    /// A time before 1970 or after 9999, be it the clock's or that of an activation.
    Clock,
    /// The system gave no random numbers.
    NoRandomness,
}

impl fmt::Display for KeyRingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DRAW: &str = "draw 32 bytes at random (keyring new makes a ring, keyring rotate adds a key)";
        match self {
            Self::File(error) => write!(f, "the key ring's file cannot be used: {error}"),
            Self::TooLong => {
                f.write_str("the key ring is longer than 64 KiB: give the path of the right file")
            }
            Self::Malformed { line, column } => write!(
                f,
                "line {line}, column {column} of the key ring is not as it must be: restore the file, and change \
                 it with the tool only"
            ),
            Self::Version(version) => write!(f, "the key ring is of version {version}, only 1 is known here"),
            Self::NoKeys => write!(f, "the key ring is empty: {DRAW}"),
            Self::TooManyKeys => f.write_str("the key ring has more than 32 keys: retire the old ones"),
            Self::NoKeyId => f.write_str("the name of a key is not 16 hex digits (0-9, a-f)"),
            Self::NoKey(id) => write!(f, "key {id} is not base64: {DRAW}"),
            Self::Short(id) => write!(f, "key {id} has fewer than 32 bytes: {DRAW}"),
            Self::Long(id) => write!(f, "key {id} has more than 32 bytes: {DRAW}"),
            Self::NotRandom(id) => write!(f, "key {id} was not drawn at random: {DRAW}"),
            Self::OtherKeyId { stated, computed } => {
                write!(
                    f,
                    "key {stated} is named {computed} by its bytes: restore the file it was copied from"
                )
            }
            Self::Duplicate(id) => write!(f, "key {id} stands in the key ring twice: take one of them out"),
            Self::SameActivation(a, b) => {
                write!(f, "keys {a} and {b} become current in the same second: move one of them")
            }
            Self::Times(id) => write!(
                f,
                "key {id} has a time after the year 9999, or becomes current before it was made; times are in seconds"
            ),
            Self::UnknownKey(id) => write!(f, "there is no key {id} in the key ring"),
            Self::CurrentKey(id) => {
                write!(f, "key {id} is the current one: rotate first, at once if it leaked")
            }
            Self::TooSoon => f.write_str(
                "the key would become current before every replica has read it: choose a later activation",
            ),
            Self::Clock => f.write_str("the clock shows no usable time"),
            Self::NoRandomness => f.write_str("the system gave no random numbers"),
        }
    }
}

impl Error for KeyRingError {}

impl From<FileError> for KeyRingError {
    fn from(error: FileError) -> Self {
        match error {
            FileError::TooLong => Self::TooLong,
            error => Self::File(error),
        }
    }
}

fn draw(created: u64, activates: u64) -> Result<MasterKey, KeyRingError> {
    let mut master = Zeroizing::new([0; MASTER]);
    getrandom::fill(&mut *master).map_err(|_| KeyRingError::NoRandomness)?;
    Ok(MasterKey::new(master, created, activates))
}

fn second(time: SystemTime) -> Result<u64, KeyRingError> {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).map_err(|_| KeyRingError::Clock)?;
    // What a file could not say, no ring says.
    Some(since.as_secs()).filter(|second| *second <= document::LAST_SECOND).ok_or(KeyRingError::Clock)
}
