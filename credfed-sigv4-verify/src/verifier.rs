//! The verifier: scope, freshness, canonical request, key, comparison, in that order.

#[cfg(feature = "sigv4a")]
mod asymmetric;
mod builder;
mod form;

use std::fmt;
use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::request::Parts;
use sha2::{Digest, Sha256};

use crate::authorization::Sent;
use crate::body::Open;
use crate::cache::KeyCache;
use crate::canonical;
use crate::chunked::{Chain, Decoder};
use crate::connection::TrustedProxies;
use crate::error::Reason;
use crate::key::{KeyKind, ResolvedKey, SigningKey};
use crate::limits::Limits;
use crate::payload::PayloadMode;
use crate::profile::{Profile, Protocol};
use crate::regions::Regions;
use crate::request::{Carrier, Rules, SignedRequest};
use crate::scope::{Credential, Scope};
use crate::signature::{self, Computed, Signature};
#[cfg(feature = "sigv4a")]
use crate::sigv4a::PublicKey;
use crate::verified::VerifiedHead;

pub use builder::{BuildError, VerifierBuilder};

/// Verifies requests for one service. Cheap to share behind an `Arc`; holds derived keys, no secrets
/// and no clock.
pub struct Verifier {
    /// No other verifier of this process has it; none has 0.
    id: u64,
    rules: Rules,
    trusted_proxies: TrustedProxies,
    protocol: Protocol,
    regions: Served,
    services: Served,
    max_skew: Duration,
    uniform_errors: bool,
    cache: KeyCache<SigningKey>,
    #[cfg(feature = "sigv4a")]
    public_keys: KeyCache<PublicKey>,
}

/// Names that are served here.
#[derive(Debug)]
enum Served {
    Any,
    These(Box<[Box<str>]>),
}

impl Verifier {
    /// Starts a verifier of [`Profile::S3`] that serves no region yet.
    pub fn builder() -> VerifierBuilder {
        VerifierBuilder::new()
    }

    /// The profile that requests are read by.
    pub fn profile(&self) -> Profile {
        self.rules.profile
    }

    /// The shape of error answers.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// The bounds that hold.
    pub fn limits(&self) -> &Limits {
        &self.rules.limits
    }

    /// Reads the credentials of a request by this verifier's profile, limits, regions and services.
    /// Nothing is verified yet.
    ///
    /// # Errors
    /// The [`Reason`] for which no key could make this request acceptable.
    pub fn parse<'a>(&self, parts: &'a Parts) -> Result<SignedRequest<'a>, Reason> {
        let forwarded = self.trusted_proxies.forwarded_host(parts);
        SignedRequest::parse_by(parts, (self.id, self.rules), forwarded, |carrier, regions, service| {
            self.check_scope(carrier, regions, service)
        })
    }

    /// Verifies the head of a request. `key` is what the resolver found for the access key (and
    /// session token) that `request` claims; `None` where it found none, which costs as much and is
    /// refused with [`Reason::UnknownKey`].
    ///
    /// A request that another verifier read, or none, is read again.
    ///
    /// # Errors
    /// Why the request is refused. [`Reason::BodyHashRequired`] where
    /// [`SignedRequest::needs_body_hash`] says so.
    pub fn verify(
        &self,
        request: &SignedRequest<'_>,
        key: Option<&ResolvedKey>,
        now: SystemTime,
    ) -> Result<VerifiedHead, Reason> {
        self.verify_by_rules(request, key, now, None)
    }

    /// As [`verify`](Self::verify), with the SHA-256 of the whole body: what the canonical request
    /// ends in where the client sent no x-amz-content-sha256, and compared with it where it did.
    ///
    /// # Errors
    /// Why the request is refused; [`Reason::BodyMismatch`] where the client signed another hash.
    pub fn verify_with_body_hash(
        &self,
        request: &SignedRequest<'_>,
        key: Option<&ResolvedKey>,
        now: SystemTime,
        body_sha256: [u8; 32],
    ) -> Result<VerifiedHead, Reason> {
        self.verify_by_rules(request, key, now, Some(body_sha256))
    }

    /// The reason that may be told to the client: with `uniform_errors` every reason that depends on
    /// the key becomes [`Reason::SignatureMismatch`].
    pub fn disclosed(&self, reason: Reason) -> Reason {
        match reason {
            Reason::UnknownKey
            | Reason::TokenMissing
            | Reason::TokenWithStaticKey
            | Reason::InvalidToken
            | Reason::ExpiredToken
                if self.uniform_errors =>
            {
                Reason::SignatureMismatch
            }
            other => other,
        }
    }

    fn verify_by_rules(
        &self,
        request: &SignedRequest<'_>,
        key: Option<&ResolvedKey>,
        now: SystemTime,
        body_sha256: Option<[u8; 32]>,
    ) -> Result<VerifiedHead, Reason> {
        if request.reader == self.id {
            self.verify_head(request, key, now, body_sha256)
        } else {
            self.verify_head(&self.parse(request.parts)?, key, now, body_sha256)
        }
    }

    fn verify_head(
        &self,
        request: &SignedRequest<'_>,
        key: Option<&ResolvedKey>,
        now: SystemTime,
        body_sha256: Option<[u8; 32]>,
    ) -> Result<VerifiedHead, Reason> {
        let (regions, service) = request.scope_names();
        self.check_scope(request.carrier(), regions, service)?;
        self.check_freshness(request, now)?;

        let hex;
        let line = match (request.payload_mode(), body_sha256) {
            (PayloadMode::BodyHash, None) => return Err(Reason::BodyHashRequired),
            (PayloadMode::BodyHash, Some(actual)) => {
                hex = signature::encode_hex(&actual);
                hex.as_slice()
            }
            (PayloadMode::Unsigned, _) => b"UNSIGNED-PAYLOAD".as_slice(),
            // The line is there whenever the mode says so.
            (PayloadMode::Sha256(_) | PayloadMode::Chunked(_), _) => {
                request.payload_line().ok_or(Reason::InvalidPayloadMode)?
            }
        };
        let string_to_sign = StringToSign::of(request, line);
        let key = self
            .check_signature(&Claim::of(request), key, string_to_sign.as_bytes(), now)
            .map_err(|reason| self.disclosed(reason))?;
        let open = match (request.payload_mode(), body_sha256) {
            (PayloadMode::Sha256(signed), None) => Open::Sha256(signed),
            (PayloadMode::Sha256(signed), Some(actual)) if signed != actual => {
                return Err(Reason::BodyMismatch);
            }
            (PayloadMode::Sha256(_) | PayloadMode::BodyHash, _) => Open::Compared,
            (PayloadMode::Unsigned, _) => Open::Unsigned,
            (PayloadMode::Chunked(chunked), _) => {
                let chain = match chunked.is_signed() {
                    true => Some(self.chain(request, key).ok_or(Reason::SignatureMismatch)?),
                    false => None,
                };
                Open::Chunked(Box::new(Decoder::new(&chunked, chain, &self.rules.limits)))
            }
        };
        let signed = (request.carrier(), request.algorithm());
        Ok(VerifiedHead::new(signed, request.date.to_system_time(), key.kind(), open))
    }

    /// The chain of signatures that begins with the request's own, which was compared. The key comes out of the cache
    /// once more, so that no request pays for a chain before it has verified.
    fn chain(&self, request: &SignedRequest<'_>, key: &ResolvedKey) -> Option<Chain> {
        let (date, scope) = (request.date.as_bytes(), request.scope_text());
        match &request.signature {
            Sent::Hmac(seed) => {
                let signing = self.cache.get(request.credential_bytes(), key);
                let signing = signing.unwrap_or_else(|| key.derive(request.scope()));
                Some(Chain::new(&signing, date, scope, seed))
            }
            #[cfg(feature = "sigv4a")]
            Sent::Ecdsa(seed) => {
                let public = self.public_key(request.access_key().as_bytes(), key)?;
                Some(Chain::asymmetric(public, date, scope, seed))
            }
        }
    }

    /// Compares, and judges the key only for a request whose signature matches.
    fn check_signature<'k>(
        &self,
        claim: &Claim<'_>,
        key: Option<&'k ResolvedKey>,
        string_to_sign: &[u8],
        now: SystemTime,
    ) -> Result<&'k ResolvedKey, Reason> {
        let key = key.filter(|key| key.is_usable());
        let key = match claim.signature {
            Sent::Hmac(sent) => self.check_hmac(claim, sent, key, string_to_sign),
            #[cfg(feature = "sigv4a")]
            Sent::Ecdsa(sent) => self.check_ecdsa(claim, sent, key, string_to_sign),
        }?;
        check_token(claim.has_token, key)?;
        if key.is_over(now) {
            return Err(Reason::ExpiredToken);
        }
        Ok(key)
    }

    /// The key, if `sent` is its signature.
    #[inline]
    fn check_hmac<'k>(
        &self,
        claim: &Claim<'_>,
        sent: &Signature,
        key: Option<&'k ResolvedKey>,
        string_to_sign: &[u8],
    ) -> Result<&'k ResolvedKey, Reason> {
        let Some(key) = key else {
            let _ = std::hint::black_box(self.cache.get(claim.credential, nobody()));
            pay_for_dummy(claim, sent, string_to_sign);
            return Err(Reason::UnknownKey);
        };
        let (signing, derived) = match self.cache.get(claim.credential, key) {
            Some(signing) => (signing, None),
            None => {
                let derived = key.derive(claim.scope());
                (derived.clone(), Some(derived))
            }
        };
        if !bool::from(signing.sign(string_to_sign).matches(sent)) {
            if derived.is_none() && self.uniform_errors {
                drop(std::hint::black_box(SigningKey::dummy(claim.scope())));
            }
            return Err(Reason::SignatureMismatch);
        }
        if let Some(derived) = derived {
            self.cache.insert(claim.credential, key, derived);
        }
        Ok(key)
    }

    /// Rule 4.
    #[inline]
    fn check_scope(&self, carrier: Carrier, regions: Regions<'_>, service: &[u8]) -> Result<(), Reason> {
        let expected = match regions {
            Regions::One(region) => self.regions.instead_of(|served| served == region),
            // It is not empty, so that it names a region wherever all are served.
            Regions::Set(_) => self.regions.instead_of(|served| regions.include(served)),
        };
        if let Some(expected) = expected {
            return Err(Reason::WrongRegion { carrier, expected });
        }
        match self.services.instead_of(|served| served == service) {
            Some(expected) => Err(Reason::WrongService { carrier, expected }),
            None => Ok(()),
        }
    }

    /// Rule 5; every bound is inclusive.
    fn check_freshness(&self, request: &SignedRequest<'_>, now: SystemTime) -> Result<(), Reason> {
        let signed_at = request.date.to_system_time();
        // Both since 1970: cheaper than the difference of two times.
        let [date, today] = [request.date.since_epoch(), now.duration_since(UNIX_EPOCH).unwrap_or_default()];
        let early = date.saturating_sub(today) > self.max_skew;
        let age = today.saturating_sub(date);
        match (request.carrier(), request.expires) {
            (Carrier::Presigned, Some(expires_in)) => {
                if early {
                    Err(Reason::PresignedNotYetValid { expires_in, signed_at, now })
                } else if age > Duration::from_secs(u64::from(expires_in)) {
                    Err(Reason::PresignedExpired { expires_in, signed_at, now })
                } else {
                    Ok(())
                }
            }
            // A form never comes here.
            (Carrier::Header | Carrier::Presigned | Carrier::PostForm, _) => {
                if early || age > self.max_skew {
                    Err(Reason::ClockSkew { signed_at, now, max_skew: self.max_skew })
                } else {
                    Ok(())
                }
            }
        }
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier")
            .field("rules", &self.rules)
            .field("trusted_proxies", &self.trusted_proxies)
            .field("protocol", &self.protocol)
            .field("regions", &self.regions)
            .field("services", &self.services)
            .field("max_skew", &self.max_skew)
            .field("uniform_errors", &self.uniform_errors)
            .finish_non_exhaustive()
    }
}

impl Served {
    /// A name that is served, where none is that `fits`.
    fn instead_of(&self, fits: impl Fn(&[u8]) -> bool) -> Option<Box<str>> {
        match self {
            Self::Any => None,
            Self::These(names) if names.iter().any(|served| fits(served.as_bytes())) => None,
            Self::These(names) => Some(names.first().cloned().unwrap_or_default()),
        }
    }
}

/// Who claims to have signed, in whatever carrier.
struct Claim<'a> {
    /// Access key and scope, as one text.
    credential: &'a [u8],
    offsets: Credential,
    signature: &'a Sent,
    has_token: bool,
}

impl<'a> Claim<'a> {
    fn of(request: &'a SignedRequest<'_>) -> Self {
        Self {
            credential: request.credential_bytes(),
            offsets: request.credential,
            signature: &request.signature,
            has_token: request.has_session_token(),
        }
    }

    fn scope(&self) -> Scope<'a> {
        self.offsets.scope(self.credential)
    }
}

/// The work of a cold key, for nothing.
fn pay_for_dummy(claim: &Claim<'_>, sent: &Signature, string_to_sign: &[u8]) {
    let computed: Computed = SigningKey::dummy(claim.scope()).sign(string_to_sign);
    let _: bool = std::hint::black_box(computed.matches(sent)).into();
}

/// Rule 7: a session's key comes with its token, any other without one.
fn check_token(has_token: bool, key: &ResolvedKey) -> Result<(), Reason> {
    match (key.kind(), has_token) {
        (KeyKind::Static, false) | (KeyKind::Temporary, true) => Ok(()),
        (KeyKind::Static, true) => Err(Reason::TokenWithStaticKey),
        (KeyKind::Temporary, false) => Err(Reason::TokenMissing),
    }
}

/// Algorithm, date, scope and the hash of the canonical request, in four lines.
pub(crate) struct StringToSign {
    text: [u8; Self::LONGEST],
    len: usize,
}

impl StringToSign {
    /// The longer algorithm, date, a scope of two 64-byte names, a hash and three line ends.
    const LONGEST: usize = 22 + 16 + (8 + 64 + 64 + 12 + 3) + 64 + 3;

    pub(crate) fn of(request: &SignedRequest<'_>, payload_line: &[u8]) -> Self {
        let canonical = canonical::request(request, payload_line);
        let hash: [u8; 32] = Sha256::digest(canonical.as_slice()).into();
        drop(canonical);
        let mut this = Self { text: [0; Self::LONGEST], len: 0 };
        this.push(request.algorithm().as_str().as_bytes());
        this.push(b"\n");
        this.push(request.date.as_bytes());
        this.push(b"\n");
        this.push(request.scope_text());
        this.push(b"\n");
        this.push(&signature::encode_hex(&hash));
        this
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.text[..self.len]
    }

    fn push(&mut self, bytes: &[u8]) {
        self.text[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }
}

/// Whom an unknown key is looked up as, so that it costs a lookup too.
fn nobody() -> &'static ResolvedKey {
    static NOBODY: LazyLock<ResolvedKey> = LazyLock::new(|| ResolvedKey::new("", KeyKind::Static, 0));
    &NOBODY
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_verified_nothing_is_not_cached() {
        let verifier = Verifier::builder().region("eu-west-1").build().unwrap();
        let credential = "AKIDEXAMPLE/20150830/eu-west-1/s3/aws4_request";
        let signature = "0".repeat(64);
        let parts = http::Request::get("/bucket/key")
            .header("host", "example.com")
            .header("x-amz-date", "20150830T123600Z")
            .header("x-amz-content-sha256", "UNSIGNED-PAYLOAD")
            .header(
                "authorization",
                format!(
                    "AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host;x-amz-content-sha256;x-amz-date, \
                     Signature={signature}"
                ),
            )
            .body(())
            .unwrap()
            .into_parts()
            .0;
        let key = ResolvedKey::new("secret", KeyKind::Static, 1);
        let now = UNIX_EPOCH + Duration::from_secs(1_440_938_160);
        let verdict = verifier.verify(&verifier.parse(&parts).unwrap(), Some(&key), now);
        assert_eq!(verdict.map(drop), Err(Reason::SignatureMismatch));
        assert!(verifier.cache.get(credential.as_bytes(), &key).is_none());
    }
}
