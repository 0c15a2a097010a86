//! Named master keys: which one seals now, which ones still open, which one is next.
//!
//! A key ring is a small JSON file that every replica of a service reads. Each key is 256 random bits under a name
//! that follows from them, `kid`: the first eight bytes of `SHA-256("credfed kid" || key)`, in hex.
//!
//! ```json
//! {
//!   "version": 1,
//!   "keys": [
//!     { "kid": "…16 hex digits…", "key": "…base64 of 32 bytes…", "created": 1795176000, "activates": 1795176000 }
//!   ]
//! }
//! ```
//!
//! # States
//! They follow from the activation times (seconds since 1970, at the creation or later) and the time now; nothing in
//! the file has to change when a key takes over.
//!
//! | state | what it does | which it is |
//! |---|---|---|
//! | [`KeyState::Next`] | opens | its activation is still to come |
//! | [`KeyState::Current`] | opens and seals | of those activated, the last one |
//! | [`KeyState::Previous`] | opens | activated before the current one |
//!
//! # Rotating
//! [`KeyRing::rotate`] adds a key that becomes current later than every replica has read the file again. Whichever
//! replica is first to seal with it, all others open it. [`KeyRing::retire`] takes out the keys that no living
//! session can need. A key that leaked is taken out with [`KeyRing::remove`]: at the next reload everything that it
//! sealed is refused. A ring in a file is changed through [`KeyRingFile::update`], by one at a time.
//!
//! # Loading
//! A load is all or nothing, and refuses what is no good key: see [`KeyRingError`], each of which says what to do.
//! [`SharedKeyRing`] keeps the last good ring when a new text is refused, and raises the alarm. There is no default
//! key.
//!
//! From each master key, HKDF-Expand (RFC 5869) with labels of their own derives the keys that are used; they are
//! derived once, at the load, and wiped when the ring is dropped.

mod document;
mod file;
mod key;
mod ring;
mod shared;
mod weak;

pub use self::file::KeyRingFile;
pub use self::key::KeyId;
pub(crate) use self::key::MasterKey;
#[cfg(feature = "oidc")]
pub(crate) use self::key::hex_digit;
pub use self::ring::{KeyInfo, KeyRing, KeyRingError, KeyState};
pub(crate) use self::shared::HeldKey;
pub use self::shared::{KeyRingStatus, SharedKeyRing};
