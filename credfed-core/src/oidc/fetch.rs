//! Fetching an issuer's keys: discovery, then the key set, within five seconds.

use std::fmt;
use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::future::{Either, select};
use http::header::{ACCEPT, CACHE_CONTROL};
use http::{HeaderMap, Request, Response, StatusCode};

use super::discovery::{self, IssuerUrl, KeyAddress, Network};
use super::jwks::{self, KeySet};
use crate::runtime::{Runtime, nanos};
use crate::transport::HttpTransport;
use crate::{Expiring, Identity, Provider, ProviderError};

/// For discovery and key set together.
pub(super) const LOAD_DEADLINE: Duration = Duration::from_secs(5);

/// How long keys serve if their answer does not say.
const USUAL_LIFE: Duration = Duration::from_secs(15 * 60);
const SHORTEST_LIFE: Duration = Duration::from_secs(5 * 60);
const LONGEST_LIFE: Duration = Duration::from_secs(24 * 3600);

/// How long the address of the keys is believed without looking at the discovery document again.
const ADDRESS_LIFE: Duration = Duration::from_secs(3600);

/// After this many failures in a row an issuer is asked three times a minute, no more.
const QUICK_TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_secs(20);

/// Where an issuer's keys come from.
#[derive(Debug)]
pub(super) enum Origin {
    Discovery(Box<IssuerUrl>),
    Address(KeyAddress),
}

impl Origin {
    pub(super) fn discovery(url: IssuerUrl) -> Self {
        Self::Discovery(Box::new(url))
    }

    pub(super) fn address(text: &str, network: Network) -> Result<Self, ProviderError> {
        KeyAddress::parse(text, network).map(Self::Address)
    }

    pub(super) fn fixed(&self) -> Option<&str> {
        match self {
            Self::Discovery(_) => None,
            Self::Address(address) => Some(&address.url),
        }
    }
}

/// The clients for an issuer: the one for its own network, and the one for public addresses that its document may
/// name beside it.
#[derive(Clone, Debug)]
pub(super) struct Transports {
    network: Network,
    home: HttpTransport,
    public: HttpTransport,
}

impl Transports {
    /// A client of the user's own, or else the crate's, kept within the network's reach.
    pub(super) fn new(
        own: Option<HttpTransport>,
        network: Network,
        runtime: Arc<dyn Runtime>,
    ) -> Result<Self, ProviderError> {
        let (home, public) = match own {
            Some(own) => (own.clone(), own),
            None => guarded(network)?,
        };
        let set = |transport: HttpTransport| {
            transport.runtime(Arc::clone(&runtime)).attempt_deadline(LOAD_DEADLINE)
        };
        Ok(Self { network, home: set(home), public: set(public) })
    }

    fn of(&self, network: Network) -> &HttpTransport {
        if network == self.network { &self.home } else { &self.public }
    }
}

#[cfg(feature = "reqwest")]
fn guarded(network: Network) -> Result<(HttpTransport, HttpTransport), ProviderError> {
    let home = HttpTransport::client().reach(network.reach()).build()?;
    let public = match network {
        Network::Private => HttpTransport::client().reach(Network::Public.reach()).build()?,
        Network::Public | Network::Loopback => home.clone(),
    };
    Ok((home, public))
}

#[cfg(not(feature = "reqwest"))]
fn guarded(_: Network) -> Result<(HttpTransport, HttpTransport), ProviderError> {
    Err(ProviderError::misconfigured("an http client is needed: give one, or turn on the feature `reqwest`"))
}

/// The source behind an issuer's cached keys.
pub(super) struct KeySetSource {
    identity: Identity,
    origin: Origin,
    transports: Transports,
    runtime: Arc<dyn Runtime>,
    /// The address that discovery gave, and the moment of the monotonic clock until which it is believed.
    found: Mutex<Option<(KeyAddress, u64)>>,
    failures: AtomicU32,
}

impl KeySetSource {
    pub(super) fn new(
        identity: Identity,
        origin: Origin,
        transports: Transports,
        runtime: Arc<dyn Runtime>,
    ) -> Self {
        Self { identity, origin, transports, runtime, found: Mutex::new(None), failures: AtomicU32::new(0) }
    }

    async fn load(&self) -> Result<Expiring<KeySet>, ProviderError> {
        let address = match &self.origin {
            Origin::Address(address) => address.clone(),
            Origin::Discovery(issuer) => self.discover(issuer).await?,
        };
        let transport = self.transports.of(address.network).clone().answer_cap(jwks::LONGEST);
        let answer = get(&transport, &address.url, "application/jwk-set+json, application/json").await?;
        let keys = KeySet::parse(answer.body())
            .ok_or_else(|| ProviderError::transient("the answer of the issuer is not a key set"))?;
        Ok(Expiring::after(keys, life(answer.headers())))
    }

    async fn discover(&self, issuer: &IssuerUrl) -> Result<KeyAddress, ProviderError> {
        let now = self.runtime.now().mono;
        if let Some((address, until)) = self.found().as_ref()
            && now < *until
        {
            return Ok(address.clone());
        }
        let transport = self.transports.of(self.transports.network).clone().answer_cap(discovery::LONGEST);
        let answer = get(&transport, &issuer.discovery(), "application/json").await?;
        let address = issuer.jwks_uri(answer.body())?;
        *self.found() = Some((address.clone(), now.saturating_add(nanos(ADDRESS_LIFE))));
        Ok(address)
    }

    fn found(&self) -> std::sync::MutexGuard<'_, Option<(KeyAddress, u64)>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Provider for KeySetSource {
    type Credential = KeySet;

    fn identity(&self) -> Identity {
        self.identity
    }

    async fn provide(&self) -> Result<Expiring<KeySet>, ProviderError> {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed);
        let loaded = match select(pin!(self.load()), self.runtime.sleep(LOAD_DEADLINE)).await {
            Either::Left((loaded, _)) => loaded,
            Either::Right(_) => Err(ProviderError::transient("the issuer did not answer in time")),
        };
        match loaded {
            Ok(keys) => {
                self.failures.store(0, Ordering::Relaxed);
                Ok(keys)
            }
            Err(error) => {
                *self.found() = None;
                let slow = failures.saturating_add(1) >= QUICK_TRIES && error.retry_after().is_none();
                Err(if slow { error.with_retry_after(PAUSE) } else { error })
            }
        }
    }
}

impl fmt::Debug for KeySetSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeySetSource").field("origin", &self.origin).finish_non_exhaustive()
    }
}

async fn get(transport: &HttpTransport, url: &str, accept: &str) -> Result<Response<Bytes>, ProviderError> {
    let request = Request::get(url)
        .header(ACCEPT, accept)
        .body(Bytes::new())
        .map_err(|_| ProviderError::misconfigured("an issuer's address is not a url"))?;
    let answer = transport.send(request).await?;
    match answer.status() {
        StatusCode::OK => Ok(answer),
        status => Err(ProviderError::transient(format!("the issuer answered {}", status.as_u16()))),
    }
}

/// How long keys serve: `max-age` within 5 min to 24 h. With less, every token would be a fetch.
fn life(headers: &HeaderMap) -> Duration {
    let mut directives = headers
        .get_all(CACHE_CONTROL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim);
    let age = directives.find_map(|directive| {
        let (name, value) = directive.split_once('=')?;
        let digits = value.trim().trim_matches('"');
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        let is_age = name.trim().eq_ignore_ascii_case("max-age") && is_number;
        is_age.then(|| digits.parse::<u64>().unwrap_or(u64::MAX))
    });
    age.map_or(USUAL_LIFE, |seconds| Duration::from_secs(seconds).clamp(SHORTEST_LIFE, LONGEST_LIFE))
}
