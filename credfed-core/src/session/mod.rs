//! Session tokens: sealed, stateless, opened on every request without a store.
//!
//! A service that hands out temporary AWS credentials gives its caller three things: an access key id, a secret
//! access key and a session token. Here the token holds everything that is known of the session, sealed with a key
//! of the [key ring](crate::keyring), so that every replica that has the ring opens it and none keeps a list.
//!
//! ```text
//! cf1.<kid>.<base64url, no padding, of nonce(24) || ciphertext || tag(16)>
//! access key id     = "ASIA" || base32(SHA-256("credfed akid" || nonce)[..10])
//! secret access key = base64(HMAC-SHA256(derivation key, "credfed secret v1", nonce, access key id))
//! ```
//!
//! # Rules
//! 1. The nonce is random, 192 bits, and is the token's id: [`TokenId`]. What is cached of a session is cached
//!    under all of it. The access key id keeps 80 bits of its digest, so two sessions may share one some day.
//! 2. A token beside another access key id is refused before any decryption.
//! 3. The key is chosen by its name in the token. A name that the ring does not know is refused: no other key is
//!    tried.
//! 4. The associated data binds version, key, purpose, issuer and access key id: a token of another issuer or
//!    purpose does not open, even under the same key.
//! 5. The secret access key is not in the token, and nothing that the token shows leads to it without the ring.
//! 6. Tokens are accepted up to 8 KiB, checked before anything is decoded; ours are 2 KiB at most. One byte string
//!    has one text: no padding, no stray bits, no capitals in the key's name.
//! 7. A session is over at the very second of its expiry, whatever the clock of the server that issued it. One that
//!    was issued up to 60 seconds ahead of the clock here is fine.
//! 8. [`Revocation`] is asked on every request, after every cache.
//!
//! Where a system expects a JWT, `JwtSessions` (features `session` and `oidc`) keep the same rules with one.
//!
//! ```
//! use std::time::{Duration, SystemTime};
//! use credfed_core::keyring::{KeyRing, SharedKeyRing};
//! use credfed_core::session::{OpenError, Scratch, SealedSessions, SessionClaims, SessionKind};
//!
//! let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
//! let hour = Duration::from_secs(3600);
//! let sessions = SealedSessions::new("https://sts.example", SharedKeyRing::new(KeyRing::generate(now)?));
//! let role = "arn:aws:iam::123456789012:role/reader";
//! let claims = SessionClaims::builder(SessionKind::AssumedRole, role, now, now + hour)
//!     .session_name("ci")
//!     .build()?;
//! let keys = sessions.mint(&claims, now)?.into_value();
//! let token = keys.session_token().map(|token| token.expose()).unwrap_or_default();
//!
//! let mut scratch = Scratch::new();
//! let session = sessions.open(keys.access_key_id(), token, now, &mut scratch)?;
//! assert_eq!(session.claims().role(), Some(role));
//! assert_eq!(session.secret_access_key().expose(), keys.secret_access_key().expose());
//!
//! let late = sessions.open(keys.access_key_id(), token, now + hour, &mut scratch);
//! assert_eq!(late.err(), Some(OpenError::Expired));
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```

mod claims;
#[cfg(feature = "oidc")]
mod jwt;
mod revocation;
mod sealed;
mod secret;
mod token;

pub use self::claims::{
    ClaimsError, LONGEST_CLAIMS, SessionClaims, SessionClaimsBuilder, SessionClaimsRef, SessionKind,
    SessionTag, SessionTags,
};
#[cfg(feature = "oidc")]
pub use self::jwt::{JwtKeysError, JwtSession, JwtSessionKeys, JwtSessions, looks_jwt};
pub use self::revocation::{
    DenyHook, Epochs, Revocation, RevocationFull, RevocationUnavailable, RevokedError,
};
pub use self::sealed::{MintError, OpenError, OpenSession, Scratch, SealedSessions};
pub use self::secret::SecretAccessKey;
pub use self::token::{LONGEST_TOKEN, TokenId, is_session_access_key_id, looks_sealed};
