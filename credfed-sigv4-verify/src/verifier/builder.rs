//! How a verifier is set up: what is not said explicitly is the strict choice.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::{Served, Verifier};
use crate::cache::KeyCache;
use crate::connection::TrustedProxies;
use crate::danger::Knobs;
use crate::limits::Limits;
use crate::profile::{Profile, Protocol, UnsignedPayload};
use crate::request::Rules;

/// The longest clock difference that any profile accepts.
const LONGEST_SKEW: Duration = Duration::from_secs(15 * 60);

/// Sets up a [`Verifier`]; see [`Verifier::builder`].
#[derive(Debug, Clone)]
#[must_use]
pub struct VerifierBuilder {
    profile: Profile,
    protocol: Option<Protocol>,
    regions: Vec<Box<str>>,
    any_region: bool,
    services: Vec<Box<str>>,
    any_service: bool,
    max_skew: Option<Duration>,
    unsigned_payload: Option<UnsignedPayload>,
    limits: Limits,
    knobs: Knobs,
    uniform_errors: bool,
    cached_keys: usize,
    accepts_sigv4a: bool,
    trusted_proxies: Option<Vec<Box<str>>>,
}

impl VerifierBuilder {
    pub(super) fn new() -> Self {
        Self {
            profile: Profile::S3,
            protocol: None,
            regions: Vec::new(),
            any_region: false,
            services: Vec::new(),
            any_service: false,
            max_skew: None,
            unsigned_payload: None,
            limits: Limits::default(),
            knobs: Knobs::new(),
            uniform_errors: false,
            cached_keys: 1024,
            accepts_sigv4a: false,
            trusted_proxies: None,
        }
    }

    /// The family of the service; [`Profile::S3`] where not said.
    pub fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// The shape of error answers; by default S3's for S3, the query protocol's for STS, JSON for
    /// others.
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.protocol = Some(protocol);
        self
    }

    /// A region that is served; call it again for several.
    pub fn region(mut self, region: impl Into<Box<str>>) -> Self {
        self.regions.push(region.into());
        self
    }

    /// Serves every region: an explicit choice, since then a request signed for one region can be
    /// replayed against another that shares its keys.
    pub fn any_region(mut self) -> Self {
        self.any_region = true;
        self
    }

    /// A service that is served; call it again for several. Where not said, `s3` and `sts` for their
    /// profiles.
    pub fn service(mut self, service: impl Into<Box<str>>) -> Self {
        self.services.push(service.into());
        self
    }

    /// Serves every service name: an explicit choice, as [`any_region`](Self::any_region) is.
    pub fn any_service(mut self) -> Self {
        self.any_service = true;
        self
    }

    /// The largest difference between the request's date and now, both ways: 15 minutes for S3 and
    /// STS, 5 for others; never more than 15.
    pub fn max_skew(mut self, max_skew: Duration) -> Self {
        self.max_skew = Some(max_skew);
        self
    }

    /// Whether `UNSIGNED-PAYLOAD` is accepted; by default with S3 only. Never with STS.
    pub fn unsigned_payload(mut self, policy: UnsignedPayload) -> Self {
        self.unsigned_payload = Some(policy);
        self
    }

    /// Bounds that hold before any cryptography.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Answers every failure that depends on the key with one code, at one cost.
    pub fn uniform_errors(mut self, uniform: bool) -> Self {
        self.uniform_errors = uniform;
        self
    }

    /// How many derived keys are kept, one per access key, day, region and service; 1024. 0 keeps none, and 1,048,576 are the most.
    /// Where SigV4A is accepted, as many public keys again, one per access key.
    pub fn cached_keys(mut self, keys: usize) -> Self {
        self.cached_keys = keys;
        self
    }

    /// Accepts SigV4A beside SigV4: `AWS4-ECDSA-P256-SHA256` in an Authorization header, a presigned query and signed
    /// chunks.
    ///
    /// Not on by itself, nor by the feature, which any crate of a program can turn on for all of them. One signature can
    /// be for several regions, or for all (`*`): it can be replayed from one to another that shares its keys, which
    /// [`any_region`](Self::any_region) says of SigV4. To verify one takes 250 times as long, a forged one too.
    /// Accept it where clients send it.
    #[cfg(feature = "sigv4a")]
    pub fn accept_sigv4a(mut self) -> Self {
        self.accepts_sigv4a = true;
        self
    }

    /// Reverse proxies that put their own name into Host, as addresses or networks (`10.0.0.0/8`, `::1`): where the
    /// [`Connection`](crate::Connection) among the request's extensions is of one of them, the one host in
    /// `X-Forwarded-Host` is what the signature has to cover in place of Host. From anybody else that header means
    /// nothing. At least one is needed.
    ///
    /// A trusted proxy sets that header itself, or removes what a client sent: whoever can write it can have a request
    /// that was signed for one host verified for another.
    pub fn trusted_proxies<P: Into<Box<str>>>(mut self, networks: impl IntoIterator<Item = P>) -> Self {
        let networks = networks.into_iter().map(Into::into);
        self.trusted_proxies.get_or_insert_default().extend(networks);
        self
    }

    /// Loosens rules, see [`danger`](crate::danger).
    pub fn danger(mut self, knobs: Knobs) -> Self {
        self.knobs = knobs;
        self
    }

    /// The verifier.
    ///
    /// # Errors
    /// What is missing or contradictory.
    pub fn build(self) -> Result<Verifier, BuildError> {
        let regions = served(self.any_region, self.regions).ok_or(BuildError::Region)?;
        let default_service = self.profile.default_service().map(Box::from);
        let services = if self.services.is_empty() && !self.any_service {
            default_service.into_iter().collect()
        } else {
            self.services
        };
        let services = served(self.any_service, services).ok_or(BuildError::Service)?;
        let max_skew = self.max_skew.unwrap_or(self.profile.default_skew());
        if max_skew > LONGEST_SKEW {
            return Err(BuildError::Skew);
        }
        let (general, s3) = match self.profile {
            Profile::S3 => (false, true),
            Profile::Sts => (false, false),
            Profile::General { .. } => (true, false),
        };
        if self.knobs.token_outside_signature && !general {
            return Err(BuildError::TokenOutsideSignature);
        }
        let unsigned_payload = match self.unsigned_payload {
            Some(UnsignedPayload::Allow | UnsignedPayload::OverTls) if !general && !s3 => {
                return Err(BuildError::UnsignedPayload);
            }
            Some(policy) => policy,
            None if s3 => UnsignedPayload::Allow,
            None => UnsignedPayload::Refuse,
        };
        if self.cached_keys > MOST_CACHED_KEYS {
            return Err(BuildError::CachedKeys);
        }
        let trusted_proxies = match &self.trusted_proxies {
            Some(networks) => TrustedProxies::parse(networks.iter().map(|network| &**network))?,
            None => TrustedProxies::default(),
        };
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Ok(Verifier {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            trusted_proxies,
            rules: Rules {
                profile: self.profile,
                limits: self.limits,
                unsigned_payload,
                knobs: self.knobs,
                accepts_sigv4a: self.accepts_sigv4a,
            },
            protocol: self.protocol.unwrap_or(self.profile.default_protocol()),
            regions,
            services,
            max_skew,
            uniform_errors: self.uniform_errors,
            cache: KeyCache::new(self.cached_keys),
            #[cfg(feature = "sigv4a")]
            public_keys: KeyCache::new(if self.accepts_sigv4a { self.cached_keys } else { 0 }),
        })
    }
}

/// `None` where nothing is served, or both everything and something.
fn served(any: bool, names: Vec<Box<str>>) -> Option<Served> {
    match (any, names.is_empty() || names.iter().any(|name| name.is_empty())) {
        (true, true) => names.is_empty().then_some(Served::Any),
        (false, false) => Some(Served::These(names.into())),
        (true, false) | (false, true) => None,
    }
}

/// What a cache may be asked to hold.
const MOST_CACHED_KEYS: usize = 1 << 20;

/// Why a [`Verifier`] cannot be built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuildError {
    /// Neither regions nor [`any_region`](VerifierBuilder::any_region), both, or an empty name.
    Region,
    /// Neither services nor [`any_service`](VerifierBuilder::any_service), both, or an empty name.
    Service,
    /// [`max_skew`](VerifierBuilder::max_skew) above 15 minutes.
    Skew,
    /// A token outside the signature with S3 or STS.
    TokenOutsideSignature,
    /// `UNSIGNED-PAYLOAD` with STS.
    UnsignedPayload,
    /// More than 1,048,576 [`cached_keys`](VerifierBuilder::cached_keys).
    CachedKeys,
    /// [`trusted_proxies`](VerifierBuilder::trusted_proxies) without any, or one that is no address and no network.
    TrustedProxies,
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Region => "name the regions that are served, or any_region, not both",
            Self::Service => "name the services that are served, or any_service, not both",
            Self::Skew => "clock skew above 15 minutes",
            Self::TokenOutsideSignature => "tokens outside the signature are never accepted for s3 and sts",
            Self::UnsignedPayload => "unsigned payloads are never accepted for sts",
            Self::CachedKeys => "more than 1048576 cached keys",
            Self::TrustedProxies => "name the trusted proxies by address or network, such as 10.0.0.0/8",
        })
    }
}

impl std::error::Error for BuildError {}
