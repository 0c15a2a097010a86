//! The secret access key of a session: derived from what its token shows and from a key that it does not show.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::Mac;
use zeroize::{ZeroizeOnDrop, Zeroizing, optimization_barrier};

use super::token::{ACCESS_KEY_ID, AccessKeyId, NONCE, TokenId};
use crate::keyring::MasterKey;

/// base64 of 32 bytes.
const LENGTH: usize = 44;

/// For sealed tokens.
pub(super) const SEALED: &[u8] = b"credfed secret v1";
/// For JWTs: a token of either kind never leads to the secret of the other.
#[cfg(feature = "oidc")]
pub(super) const JWT: &[u8] = b"credfed jwt secret v1";

const LONGEST_LABEL: usize = 24;

/// The secret access key that requests of a session are signed with: 44 characters, which are not on the heap, are
/// wiped on drop, and are not what `Debug` shows.
pub struct SecretAccessKey([u8; LENGTH]);

impl SecretAccessKey {
    /// base64(HMAC-SHA256(derivation key, label, id, access key id)), each part behind its length.
    pub(super) fn derive(key: &MasterKey, label: &[u8], id: &TokenId, access_key_id: &AccessKeyId) -> Self {
        let parts: [&[u8]; 3] = [label, id.as_bytes(), access_key_id.as_bytes()];
        // In one piece: every update of a MAC costs a few nanoseconds, whatever its length.
        let mut message = [0; 3 * 8 + LONGEST_LABEL + NONCE + ACCESS_KEY_ID];
        let room = message.len();
        let mut rest = message.as_mut_slice();
        for part in parts {
            rest = put(put(rest, &length(part)), part);
        }
        let used = room - rest.len();
        let mut mac = key.derivation();
        mac.update(&message[..used]);
        let digest = Zeroizing::<[u8; 32]>::new(mac.finalize().into_bytes().into());
        let mut secret = Self([0; LENGTH]);
        let written = STANDARD.encode_slice(*digest, &mut secret.0);
        debug_assert_eq!(written, Ok(LENGTH));
        secret
    }

    /// The text of it. Never log it.
    pub fn expose(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for SecretAccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretAccessKey(***)")
    }
}

impl Drop for SecretAccessKey {
    fn drop(&mut self) {
        // In one sweep that the barrier keeps from being left out.
        self.0.fill(0);
        optimization_barrier(&self.0);
    }
}

impl ZeroizeOnDrop for SecretAccessKey {}

/// The length that goes before each part of what is hashed or authenticated.
pub(super) fn length(part: &[u8]) -> [u8; 8] {
    u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes()
}

/// Copies to the front, and returns what is left.
fn put<'r>(room: &'r mut [u8], bytes: &[u8]) -> &'r mut [u8] {
    let (front, rest) = room.split_at_mut(bytes.len());
    front.copy_from_slice(bytes);
    rest
}
