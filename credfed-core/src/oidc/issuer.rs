//! The identity provider that we are.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::claims::AssertionClaims;
use super::compact;
use super::discovery::{IssuerUrl, Network};
use super::jwk::PublicJwk;
use super::signer::{AssertionSigner, DynSigner};
use super::state::{IssuerState, KeyTimes, seconds};
use crate::runtime::{Runtime, default_runtime};
use crate::{Expiring, Identity, Provider, ProviderError, Secret};

const USUAL_LIFETIME: Duration = Duration::from_secs(600);
const LONGEST_LIFETIME: Duration = Duration::from_secs(86_400);

/// An OpenID provider without users: it signs assertions about this service's own workloads, which clouds and STS
/// endpoints exchange for credentials of theirs.
///
/// One key signs, any number are published. Cheap to clone; all clones share the keys.
///
/// ```
/// use std::time::SystemTime;
/// use credfed_core::oidc::{Algorithm, AssertionClaims, Issuer, IssuerState, LocalSigner};
///
/// # futures::executor::block_on(async {
/// let now = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_800_000_000);
/// let state = IssuerState::new(LocalSigner::generate(Algorithm::Es256)?, now);
/// let issuer = Issuer::builder("https://id.example.com").state(state).build()?;
/// let assertion = issuer.sign(&AssertionClaims::new("gateway", "sts.amazonaws.com"), now).await?;
/// assert_eq!(assertion.value().expose().split('.').count(), 3);
/// # Ok::<_, credfed_core::ProviderError>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct Issuer {
    inner: Arc<Inner>,
}

struct Inner {
    url: IssuerUrl,
    lifetime: Duration,
    runtime: Arc<dyn Runtime>,
    /// Keys of the builder's: they stay whatever state is loaded.
    fixed: Vec<Key>,
    keys: ArcSwap<Vec<Key>>,
    /// Held by whoever replaces the keys.
    last: Mutex<Last>,
}

/// How the last reload went.
#[derive(Default)]
struct Last {
    /// SHA-256 of the text that was taken, as long as nothing else was.
    taken: Option<[u8; 32]>,
    /// What was told of it, if it was refused.
    fault: Option<String>,
}

#[derive(Clone)]
struct Key {
    public: PublicJwk,
    /// `None`: published only.
    signer: Option<Arc<dyn DynSigner>>,
    times: KeyTimes,
}

impl Issuer {
    /// Begins with the issuer's URL, which goes into `iss` exactly as it is.
    pub fn builder(url: impl Into<String>) -> IssuerBuilder {
        IssuerBuilder {
            url: url.into(),
            network: Network::Public,
            lifetime: USUAL_LIFETIME,
            runtime: None,
            fixed: Vec::new(),
            state: None,
        }
    }

    /// The URL, as configured.
    pub fn url(&self) -> &str {
        self.inner.url.text()
    }

    /// Signs an assertion that begins at `now` (whole seconds, rounded down), with an id of its own.
    ///
    /// # Errors
    ///
    /// [`Misconfigured`](crate::ErrorKind::Misconfigured): an empty subject or audience, a lifetime of less than a
    /// second or more than a day, or no key that signs at that time. Whatever the signer says; and
    /// [`Transient`](crate::ErrorKind::Transient) if its signature does not fit its own public key.
    pub async fn sign(
        &self,
        claims: &AssertionClaims,
        now: SystemTime,
    ) -> Result<Expiring<Secret>, ProviderError> {
        let wrong = ProviderError::misconfigured;
        if claims.subject.is_empty() || claims.audiences.iter().any(String::is_empty) {
            return Err(wrong("an assertion needs a subject and an audience"));
        }
        let lifetime = checked(claims.lifetime.unwrap_or(self.inner.lifetime))?;
        let keys = self.inner.keys.load_full();
        let key = current(&keys, now).ok_or_else(|| wrong("the issuer has no key that signs now"))?;
        let Some(signer) = &key.signer else { return Err(wrong("the issuer has no key that signs now")) };
        let issued = seconds(now);
        let expires = issued.saturating_add(lifetime.as_secs());
        let header = json!({
            "alg": key.public.algorithm().name(),
            "kid": key.public.kid(),
            "typ": "JWT",
        });
        let payload = self.payload(claims, issued, expires)?;
        let input =
            format!("{}.{}", compact::encode(header.to_string()), compact::encode(payload.to_string()));
        let signature = signer.sign_dyn(input.clone().into_bytes()).await?;
        let fits = signature.len() == key.public.signature_length()
            && key
                .public
                .material()
                .parsed(key.public.algorithm())
                .is_some_and(|parsed| parsed.verify_sig(input.as_bytes(), &signature).is_ok());
        if !fits {
            return Err(ProviderError::transient("the signer's signature does not fit its public key"));
        }
        let at = SystemTime::UNIX_EPOCH
            .checked_add(Duration::from_secs(expires))
            .ok_or_else(|| wrong("the assertion expires beyond the calendar"))?;
        Ok(Expiring::at(Secret::new(format!("{input}.{}", compact::encode(signature))), at))
    }

    /// A source of assertions with these claims, each made anew: for whatever exchanges them.
    pub fn assertions(&self, claims: AssertionClaims) -> IssuerAssertions {
        IssuerAssertions { issuer: self.clone(), claims }
    }

    /// The discovery document (OpenID Connect Discovery 1.0 section 3), JSON.
    pub fn discovery_document(&self) -> Bytes {
        let keys = self.inner.keys.load();
        let mut algorithms: Vec<&str> = keys.iter().map(|key| key.public.algorithm().name()).collect();
        algorithms.sort_unstable();
        algorithms.dedup();
        let document = json!({
            "issuer": self.url(),
            "jwks_uri": self.jwks_uri(),
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": algorithms,
            "claims_supported": ["iss", "sub", "aud", "iat", "nbf", "exp", "jti"],
        });
        Bytes::from(document.to_string())
    }

    /// The keys that are published at `now` (RFC 7517), JSON. The one that signs comes first, since there are servers
    /// that look at no other, whatever the token's `kid` (Ceph's STS).
    pub fn jwks(&self, now: SystemTime) -> Bytes {
        let keys = self.inner.keys.load();
        let signing = current(&keys, now).map(|key| key.public.kid());
        let mut published: Vec<_> = keys.iter().filter(|key| key.times.is_published(now)).collect();
        published.sort_by_key(|key| Some(key.public.kid()) != signing);
        // Two keys of one id are none to whoever reads the set.
        let mut seen = HashSet::new();
        published.retain(|key| seen.insert(key.public.kid()));
        let keys: Vec<Value> = published.into_iter().map(|key| Value::Object(jwk(&key.public))).collect();
        Bytes::from(json!({ "keys": keys }).to_string())
    }

    /// The address of the key set, as the discovery document names it.
    pub fn jwks_uri(&self) -> String {
        format!("{}/.well-known/jwks.json", self.inner.url.stem())
    }

    /// The paths of discovery document and key set on the issuer's host.
    pub fn paths(&self) -> (String, String) {
        let path = self.inner.url.path();
        (format!("{path}/.well-known/openid-configuration"), format!("{path}/.well-known/jwks.json"))
    }

    /// The clock that its assertions are dated by.
    pub fn now(&self) -> SystemTime {
        self.inner.runtime.now().wall()
    }

    /// Takes the keys of another state, all at once, after a reload that is under way. Assertions under way keep the
    /// key that they began with.
    pub fn replace(&self, state: &IssuerState) {
        let mut last = self.last();
        *last = Last::default();
        self.inner.keys.store(Arc::new(together(&self.inner.fixed, Some(state))));
    }

    /// Takes the keys of a state in its text form, all or nothing. The text that was taken last changes nothing.
    ///
    /// # Errors
    ///
    /// That of [`IssuerState::parse`], and [`Misconfigured`](crate::ErrorKind::Misconfigured) if no key would sign now
    /// where one does; the keys at hand stay in use, and the log has a line about it, once for each fault.
    pub fn reload(&self, text: &str) -> Result<(), ProviderError> {
        self.reload_by(|| Ok(Secret::new(text)))
    }

    /// Takes the keys of the text that `read` gives. Reloads happen one after the other, each from its reading to its
    /// end, so that what was read earlier never comes into use later.
    pub(super) fn reload_by(
        &self,
        read: impl FnOnce() -> Result<Secret, ProviderError>,
    ) -> Result<(), ProviderError> {
        let mut last = self.last();
        let taken = read().and_then(|text| {
            let digest: [u8; 32] = Sha256::digest(text.expose()).into();
            if last.taken != Some(digest) {
                let keys = together(&self.inner.fixed, Some(&IssuerState::parse(text.expose())?));
                let signs = |keys: &[Key]| current(keys, self.now()).is_some();
                if signs(&self.inner.keys.load()) && !signs(&keys) {
                    return Err(ProviderError::misconfigured("no key of the issuer's state signs now"));
                }
                self.inner.keys.store(Arc::new(keys));
            }
            Ok(digest)
        });
        match taken {
            Ok(digest) => {
                *last = Last { taken: Some(digest), fault: None };
                Ok(())
            }
            Err(error) => {
                let fault = Some(error.to_string());
                if last.fault != fault {
                    tracing::error!(issuer = self.url(), %error, "the issuer's new state is refused, the last good one stays");
                    last.fault = fault;
                }
                Err(error)
            }
        }
    }

    #[cfg(all(test, feature = "test-util"))]
    pub(super) fn is_being_replaced(&self) -> bool {
        self.inner.last.try_lock().is_err()
    }

    fn last(&self) -> MutexGuard<'_, Last> {
        self.inner.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn payload(&self, claims: &AssertionClaims, issued: u64, expires: u64) -> Result<Value, ProviderError> {
        let mut id = [0; 16];
        aws_lc_rs::rand::fill(&mut id)
            .map_err(|_| ProviderError::transient("the system has no randomness"))?;
        let audience = match claims.audiences.as_slice() {
            [one] => Value::from(one.as_str()),
            several => Value::from(several.to_vec()),
        };
        let mut payload = claims.to_json();
        for (name, value) in [
            ("iss", Value::from(self.url())),
            ("sub", Value::from(claims.subject.as_str())),
            ("aud", audience),
            ("iat", Value::from(issued)),
            ("nbf", Value::from(issued)),
            ("exp", Value::from(expires)),
            ("jti", Value::from(compact::encode(id))),
        ] {
            payload.insert(name.to_owned(), value);
        }
        Ok(Value::Object(payload))
    }
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.inner.keys.load();
        let kids: Vec<&str> = keys.iter().map(|key| key.public.kid()).collect();
        f.debug_struct("Issuer").field("url", &self.url()).field("keys", &kids).finish_non_exhaustive()
    }
}

/// Settings of an [`Issuer`].
#[must_use = "a builder does nothing until build()"]
pub struct IssuerBuilder {
    url: String,
    network: Network,
    lifetime: Duration,
    runtime: Option<Arc<dyn Runtime>>,
    fixed: Vec<Key>,
    state: Option<IssuerState>,
}

impl IssuerBuilder {
    /// Where the issuer's own URL may be. Default: [`Network::Public`]; [`Network::Loopback`] allows http.
    pub fn network(mut self, network: Network) -> Self {
        self.network = network;
        self
    }

    /// Keys in memory.
    pub fn state(mut self, state: IssuerState) -> Self {
        self.state = Some(state);
        self
    }

    /// A signer of your own, such as a KMS, and the times of its key. It stays when the state is replaced.
    pub fn signer(mut self, signer: impl AssertionSigner, times: KeyTimes) -> Self {
        let public = signer.public_key().clone();
        self.fixed.push(Key { public, signer: Some(Arc::new(signer)), times });
        self
    }

    /// A key that is published and does not sign here: another replica's, or a former one.
    pub fn publish(mut self, key: PublicJwk, times: KeyTimes) -> Self {
        self.fixed.push(Key { public: key, signer: None, times });
        self
    }

    /// How long assertions live. Default: 10 min; 1 s to 24 h.
    pub fn assertion_lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// The clock of [`Issuer::assertions`]. Default: [`default_runtime`].
    pub fn runtime(mut self, runtime: impl Runtime) -> Self {
        self.runtime = Some(Arc::new(runtime));
        self
    }

    /// The issuer.
    ///
    /// # Errors
    ///
    /// [`Misconfigured`](crate::ErrorKind::Misconfigured): a URL that is not an issuer's, no key at all, a lifetime
    /// out of range.
    pub fn build(self) -> Result<Issuer, ProviderError> {
        let url = IssuerUrl::parse(&self.url, self.network)?;
        let lifetime = checked(self.lifetime)?;
        let keys = together(&self.fixed, self.state.as_ref());
        if !keys.iter().any(|key| key.signer.is_some()) {
            return Err(ProviderError::misconfigured("an issuer needs a key that signs"));
        }
        let inner = Inner {
            url,
            lifetime,
            runtime: self.runtime.unwrap_or_else(default_runtime),
            fixed: self.fixed,
            keys: ArcSwap::from_pointee(keys),
            last: Mutex::default(),
        };
        Ok(Issuer { inner: Arc::new(inner) })
    }
}

impl fmt::Debug for IssuerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuerBuilder").field("url", &self.url).finish_non_exhaustive()
    }
}

/// Assertions of an [`Issuer`] as a [`Provider`]: one made anew for each call; from [`Issuer::assertions`].
#[derive(Clone, Debug)]
pub struct IssuerAssertions {
    issuer: Issuer,
    claims: AssertionClaims,
}

impl Provider for IssuerAssertions {
    type Credential = Secret;

    fn identity(&self) -> Identity {
        let identity = Identity::of("oidc-assertion")
            .part("issuer", self.issuer.url())
            .part("usual lifetime", self.issuer.inner.lifetime.as_nanos().to_be_bytes());
        self.claims.identify(identity).finish()
    }

    async fn provide(&self) -> Result<Expiring<Secret>, ProviderError> {
        self.issuer.sign(&self.claims, self.issuer.now()).await
    }
}

/// The key that signs: of those that may, the one that began last.
fn current(keys: &[Key], now: SystemTime) -> Option<&Key> {
    keys.iter()
        .filter(|key| key.signer.is_some() && key.times.may_sign(now))
        .max_by_key(|key| key.times.activate)
}

fn together(fixed: &[Key], state: Option<&IssuerState>) -> Vec<Key> {
    let local = state.into_iter().flat_map(|state| &state.keys).map(|key| {
        let signer: Arc<dyn DynSigner> = Arc::new(Arc::clone(&key.signer));
        Key { public: key.signer.public_key().clone(), signer: Some(signer), times: key.times }
    });
    fixed.iter().cloned().chain(local).collect()
}

fn checked(lifetime: Duration) -> Result<Duration, ProviderError> {
    if (Duration::from_secs(1)..=LONGEST_LIFETIME).contains(&lifetime) {
        return Ok(lifetime);
    }
    Err(ProviderError::misconfigured("an assertion lives for 1 s to 24 h"))
}

fn jwk(key: &PublicJwk) -> Map<String, Value> {
    let mut jwk = Map::new();
    for (name, value) in key.material().members() {
        jwk.insert(name.to_owned(), Value::from(value));
    }
    jwk.insert("kid".to_owned(), Value::from(key.kid()));
    jwk.insert("alg".to_owned(), Value::from(key.algorithm().name()));
    jwk.insert("use".to_owned(), Value::from("sig"));
    if !key.chain().is_empty() {
        let chain: Vec<String> = key.chain().iter().map(|der| STANDARD.encode(der)).collect();
        jwk.insert("x5c".to_owned(), Value::from(chain));
    }
    jwk
}
