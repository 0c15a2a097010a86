//! Session tokens that are JWTs, for systems that expect them to be.
//!
//! [`SealedSessions`](super::SealedSessions) are the default: they are smaller, hide what they say, and open faster.
//! A JWT shows its claims to whoever holds it. What it does not show is the way to its secret access key.
//!
//! ```text
//! header   alg: HS256 | ES256 | EdDSA    kid    typ: credfed-session+jwt
//! payload  see `claims`
//! access key id     = as for a sealed token, from the 192 bits of the jti
//! secret access key = base64(HMAC-SHA256(derivation key, "credfed jwt secret v1", jti, access key id))
//! ```
//!
//! # Rules
//! 1. The form is that of [`oidc`](crate::oidc): the one strict reader, before any cryptography.
//! 2. `typ` is required, and is a type of its own: an assertion or an access token is no session token, even if the
//!    same key signed it; and the validator of [`oidc`](crate::oidc) accepts no token of this type.
//! 3. A [`JwtSessions`] is symmetric or asymmetric, as it was made, and never both. HS256 is accepted here and nowhere
//!    else, and its key is always one of the key ring, derived under a label of its own: a public key cannot become
//!    the secret of an HMAC. `none`, RSA and P-384 are refused.
//! 4. The key is chosen by its `kid`, which is required. No other key is tried.
//! 5. A token beside another access key id is refused before any signature work.
//! 6. What the claims are worth is said only about a token that is genuine. Members that are not known are refused:
//!    one that restricts a session can be added and is never overlooked by an older replica.
//! 7. A session is over at the very second of its `exp`; `iat` may be 60 s ahead. Both, `jti` and `aud` are required.
//! 8. Asymmetric tokens that were verified are remembered, by the SHA-256 of the whole token, at most 8,192 at a time.
//!    That spares the signature and nothing else: expiry, key ring and the access key id are judged on every request,
//!    and so is [`Revocation`](super::Revocation). Other keys begin with an empty memory.

mod claims;
mod keys;
mod verified;

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use hmac::Mac;
use serde_json::json;
use sha2::{Digest, Sha256};

use self::claims::Payload;
use self::keys::Keys;
pub use self::keys::{JwtKeysError, JwtSessionKeys};
use super::claims::{LONGEST_CLAIMS, SessionClaims};
use super::sealed::{MintError, OpenError, judge};
use super::secret::{self, SecretAccessKey};
use super::token::{AccessKeyId, LONGEST_TOKEN, NONCE, TokenId};
use crate::keyring::{HeldKey, KeyId, MasterKey, SharedKeyRing};
use crate::oidc::compact::{self, Compact};
use crate::oidc::{Algorithm, LocalSigner};
use crate::{AwsCredentials, Expiring, Secret};

const TYPE: &str = "credfed-session+jwt";
const HS256: &str = "HS256";

/// Signs sessions into JWTs and verifies them. Clones are one.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use credfed_core::keyring::{KeyRing, SharedKeyRing};
/// use credfed_core::session::{JwtSessions, OpenError, SessionClaims, SessionKind};
///
/// let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
/// let ring = SharedKeyRing::new(KeyRing::generate(now)?);
/// let sessions = JwtSessions::hs256("https://sts.example", "s3.example", ring);
/// let user = "arn:aws:iam::123456789012:user/alice";
/// let claims = SessionClaims::builder(SessionKind::SessionToken, user, now, now + Duration::from_secs(900)).build()?;
/// let keys = sessions.mint(&claims, now)?.into_value();
/// let token = keys.session_token().map(|token| token.expose()).unwrap_or_default();
/// assert_eq!(token.split('.').count(), 3);
///
/// let session = sessions.open(keys.access_key_id(), token, now)?;
/// assert_eq!(session.claims(), &claims);
/// assert_eq!(session.secret_access_key().expose(), keys.secret_access_key().expose());
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct JwtSessions(Arc<Inner>);

struct Inner {
    issuer: String,
    audience: String,
    ring: SharedKeyRing,
    /// `None`: HS256 with the keys of the ring.
    keys: Option<ArcSwap<Keys>>,
}

impl JwtSessions {
    /// HS256, with keys derived from the ring: whoever verifies can mint, too. `issuer` and `audience` are any texts
    /// that all replicas of a service share, and no other service under the same ring.
    pub fn hs256(issuer: &str, audience: &str, ring: SharedKeyRing) -> Self {
        Self::of(issuer, audience, ring, None)
    }

    /// ES256 or EdDSA, with keys that are for this and nothing else: never an OpenID issuer's. The ring is still
    /// needed, for the secret access keys.
    pub fn asymmetric(issuer: &str, audience: &str, ring: SharedKeyRing, keys: JwtSessionKeys) -> Self {
        Self::of(issuer, audience, ring, Some(ArcSwap::from_pointee(Keys::new(keys))))
    }

    fn of(issuer: &str, audience: &str, ring: SharedKeyRing, keys: Option<ArcSwap<Keys>>) -> Self {
        Self(Arc::new(Inner { issuer: issuer.into(), audience: audience.into(), ring, keys }))
    }

    /// The issuer, which goes into `iss`.
    pub fn issuer(&self) -> &str {
        &self.0.issuer
    }

    /// The audience, which goes into `aud`.
    pub fn audience(&self) -> &str {
        &self.0.audience
    }

    /// The ring in use.
    pub fn ring(&self) -> &SharedKeyRing {
        &self.0.ring
    }

    /// Takes other keys, all at once; what the former ones signed is refused from now on, remembered or not, unless
    /// the new ones have the key, too.
    ///
    /// # Errors
    /// [`JwtKeysError::Symmetric`], for what was made by [`hs256`](Self::hs256): its keys are those of the ring.
    pub fn replace_keys(&self, keys: JwtSessionKeys) -> Result<(), JwtKeysError> {
        let held = self.0.keys.as_ref().ok_or(JwtKeysError::Symmetric)?;
        held.store(Arc::new(Keys::new(keys)));
        Ok(())
    }

    /// Mints a session: an access key id, a secret access key, and the token, of at most 8 KiB.
    ///
    /// # Errors
    /// See [`MintError`]. Claims are too long where they would be for a sealed token.
    pub fn mint(
        &self,
        claims: &SessionClaims,
        now: SystemTime,
    ) -> Result<Expiring<AwsCredentials>, MintError> {
        if claims.encoded().len() > LONGEST_CLAIMS {
            return Err(MintError::TooLong);
        }
        judge(&claims.as_ref(), now).map_err(|_| MintError::Times)?;
        let ring = self.0.ring.peek();
        let key = ring.current(now).ok_or(MintError::NoCurrentKey)?;
        let mut id = [0; NONCE];
        getrandom::fill(&mut id).map_err(|_| MintError::NoRandomness)?;
        let id = TokenId::new(id);

        let payload = Payload { issuer: &self.0.issuer, audience: &self.0.audience, id, key: key.id() };
        let payload = payload.write(claims);
        let token = match &self.0.keys {
            None => signed(HS256, &key.id().to_string(), &payload, |input| Ok(tag(key, input).to_vec()))?,
            Some(keys) => {
                let keys = keys.load();
                let signer = keys.signer().ok_or(MintError::NoSigner)?;
                let public = LocalSigner::public_key(signer);
                signed(public.algorithm().name(), public.kid(), &payload, |input| {
                    signer.sign_now(input).map_err(|_| MintError::NoRandomness)
                })?
            }
        };
        if token.len() > LONGEST_TOKEN {
            return Err(MintError::TooLong);
        }
        let access_key_id = id.access_key_id();
        let secret = SecretAccessKey::derive(key, secret::JWT, &id, &access_key_id);
        let credentials = AwsCredentials::new(
            access_key_id.as_str(),
            Secret::new(secret.expose()),
            Some(Secret::new(token)),
        );
        Ok(Expiring::at(credentials, claims.expires()))
    }

    /// Verifies a token that came with an access key id.
    ///
    /// Revocation is not judged here: ask [`Revocation::check`](super::Revocation::check) with what this returns.
    ///
    /// # Errors
    /// See [`OpenError`]; the cheap checks come first.
    pub fn open(&self, access_key_id: &str, token: &str, now: SystemTime) -> Result<JwtSession, OpenError> {
        if token.len() > LONGEST_TOKEN {
            return Err(OpenError::Malformed);
        }
        let verified = match &self.0.keys {
            None => Arc::new(self.verify_hs256(access_key_id, token)?),
            Some(keys) => self.verify_or_remember(&keys.load(), access_key_id, token)?,
        };
        let expected = verified.id.access_key_id();
        // Said again, since what is remembered may come with another one.
        if expected.as_bytes() != access_key_id.as_bytes() {
            return Err(OpenError::OtherAccessKey);
        }
        judge(&verified.claims.as_ref(), now)?;
        let key = self.0.ring.key(verified.key).ok_or(OpenError::UnknownKey)?;
        Ok(JwtSession { verified, access_key_id: expected, key })
    }

    fn verify_hs256(&self, access_key_id: &str, token: &str) -> Result<Verified, OpenError> {
        let unverified = Unverified::read(token, access_key_id)?;
        if unverified.token.header.algorithm != HS256 {
            return Err(OpenError::Malformed);
        }
        let kid = KeyId::parse(unverified.kid.as_bytes()).ok_or(OpenError::UnknownKey)?;
        let key = self.0.ring.key(kid).ok_or(OpenError::UnknownKey)?;
        // In constant time.
        let mac = key.signing().chain_update(unverified.token.signing_input);
        mac.verify_slice(&unverified.token.signature).map_err(|_| OpenError::NotGenuine)?;
        let verified = self.read_genuine(&unverified)?;
        // One key signs, and leads to the secret.
        if verified.key == kid { Ok(verified) } else { Err(OpenError::NotGenuine) }
    }

    fn verify_or_remember(
        &self,
        keys: &Keys,
        access_key_id: &str,
        token: &str,
    ) -> Result<Arc<Verified>, OpenError> {
        let digest: [u8; 32] = Sha256::digest(token).into();
        if let Some(verified) = keys.verified().get(&digest) {
            return Ok(verified);
        }
        let unverified = Unverified::read(token, access_key_id)?;
        let algorithm = Algorithm::from_name(&unverified.token.header.algorithm);
        let algorithm =
            algorithm.filter(|algorithm| keys::is_accepted(*algorithm)).ok_or(OpenError::Malformed)?;
        let key = keys.choose(&unverified.kid, algorithm).ok_or(OpenError::UnknownKey)?;
        key.verify_sig(unverified.token.signing_input, &unverified.token.signature)
            .map_err(|_| OpenError::NotGenuine)?;
        let verified = Arc::new(self.read_genuine(&unverified)?);
        keys.verified().insert(digest, Arc::clone(&verified));
        Ok(verified)
    }

    fn read_genuine(&self, unverified: &Unverified<'_>) -> Result<Verified, OpenError> {
        let (payload, claims) = Payload::read(&unverified.token.payload, unverified.id)?;
        if payload.issuer != self.0.issuer || payload.audience != self.0.audience {
            return Err(OpenError::NotGenuine);
        }
        Ok(Verified { claims, id: payload.id, key: payload.key })
    }
}

impl fmt::Debug for JwtSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtSessions")
            .field("issuer", &self.0.issuer)
            .field("audience", &self.0.audience)
            .field("ring", &self.0.ring)
            .field("keys", &self.0.keys.as_ref().map(|keys| keys.load()))
            .finish()
    }
}

/// A token that was verified: genuine, of the access key id that it came with, and not over. Whether it was revoked is
/// still to be asked.
pub struct JwtSession {
    verified: Arc<Verified>,
    access_key_id: AccessKeyId,
    /// Leads to the secret access key.
    key: HeldKey,
}

/// What is remembered of a genuine token; nothing of it is secret but the claims, which the token shows anyway.
struct Verified {
    claims: SessionClaims,
    id: TokenId,
    /// Of the ring: leads to the secret access key.
    key: KeyId,
}

impl JwtSession {
    /// What the token says.
    pub fn claims(&self) -> &SessionClaims {
        &self.verified.claims
    }

    /// The id of the token, its `jti`.
    pub fn id(&self) -> TokenId {
        self.verified.id
    }

    /// The key of the ring that the secret access key follows from; of HS256, the one that signed, too.
    pub fn key(&self) -> KeyId {
        self.verified.key
    }

    /// Derives the secret access key that requests of this session are signed with. Nothing is allocated for it; ask
    /// for it last, since a session that was revoked needs none.
    pub fn secret_access_key(&self) -> SecretAccessKey {
        SecretAccessKey::derive(&self.key, secret::JWT, &self.verified.id, &self.access_key_id)
    }
}

impl fmt::Debug for JwtSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtSession")
            .field("claims", self.claims())
            .field("id", &self.id())
            .field("key", &self.key())
            .finish_non_exhaustive()
    }
}

/// Whether a session token has the shape of a JWT: three parts, the first of them the base64url of what begins like a
/// JSON object. It may still be anything.
pub fn looks_jwt(token: &str) -> bool {
    token.starts_with("eyJ") && token.bytes().filter(|byte| *byte == b'.').count() == 2
}

/// A token whose form is that of a session's, and whose access key id is the one that it came with.
struct Unverified<'a> {
    token: Compact<'a>,
    kid: String,
    id: TokenId,
}

impl<'a> Unverified<'a> {
    fn read(token: &'a str, access_key_id: &str) -> Result<Self, OpenError> {
        let token = Compact::parse(token).map_err(|_| OpenError::Malformed)?;
        if !token.header.has_type(&[TYPE]) {
            return Err(OpenError::Malformed);
        }
        let kid = token.header.kid.clone().ok_or(OpenError::Malformed)?;
        let id = token.payload.text("jti").and_then(TokenId::parse).ok_or(OpenError::Malformed)?;
        // Both are public, and the caller knows both.
        if id.access_key_id().as_bytes() != access_key_id.as_bytes() {
            return Err(OpenError::OtherAccessKey);
        }
        Ok(Self { token, kid, id })
    }
}

fn signed(
    algorithm: &str,
    kid: &str,
    payload: &str,
    sign: impl FnOnce(&[u8]) -> Result<Vec<u8>, MintError>,
) -> Result<String, MintError> {
    let header = json!({ "alg": algorithm, "kid": kid, "typ": TYPE }).to_string();
    let mut token = format!("{}.{}", compact::encode(header), compact::encode(payload));
    let signature = sign(token.as_bytes())?;
    token.push('.');
    token.push_str(&compact::encode(signature));
    Ok(token)
}

fn tag(key: &MasterKey, input: &[u8]) -> [u8; 32] {
    key.signing().chain_update(input).finalize().into_bytes().into()
}
