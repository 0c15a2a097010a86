//! One issuer whose tokens are accepted, and on what terms.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::algorithm::Algorithm;
use super::compact::Header;
use super::discovery::{IssuerUrl, Network};
use super::fetch::{Origin, Transports};
use super::json::Object;
use super::jwks::KeySet;
use super::keys::IssuerKeys;
use super::rules::{self, TimeRules, Times};
use super::{Flaw, JwtError};
use crate::ProviderError;
use crate::runtime::{Runtime, default_runtime};
use crate::transport::HttpTransport;

const MOST_LEEWAY: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

/// An issuer whose tokens are accepted; made by [`TrustedIssuer::builder`].
pub struct TrustedIssuer {
    pub(super) url: Arc<str>,
    pub(super) shared: bool,
    pub(super) rules: TokenRules,
    pub(super) keys: IssuerKeys,
    aliases: Vec<String>,
}

impl TrustedIssuer {
    /// Begins with the issuer's URL, exactly as its tokens and its discovery document spell it, a slash at the
    /// end included.
    pub fn builder(url: impl Into<String>) -> TrustedIssuerBuilder {
        TrustedIssuerBuilder {
            url: url.into(),
            aliases: Vec::new(),
            audiences: BTreeSet::new(),
            parties: BTreeSet::new(),
            any_party: false,
            any_audience: false,
            algorithms: Algorithm::ALL.to_vec(),
            access_tokens: false,
            shared: false,
            times: TimeRules { leeway: Duration::from_secs(30), longest: DAY, require_issued: true },
            network: Network::Public,
            keys: KeySource::Discovered,
            most_stale: DAY,
            transport: None,
            runtime: None,
        }
    }

    /// The URL, as configured.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether it serves tenants that do not know each other.
    pub fn is_shared(&self) -> bool {
        self.shared
    }

    /// The audiences that its tokens may be for.
    pub fn audiences(&self) -> impl Iterator<Item = &str> {
        self.rules.audiences.iter().map(String::as_str)
    }

    /// Key ids and algorithms of the keys that [`jwks`](TrustedIssuerBuilder::jwks) gave, as far as they are usable:
    /// one pair for each algorithm that a key may be used with. Empty where keys are fetched.
    pub fn fixed_keys(&self) -> impl Iterator<Item = (Option<&str>, Algorithm)> {
        let fixed = match &self.keys {
            IssuerKeys::Fixed(keys) => Some(keys),
            IssuerKeys::Fetched(_) => None,
        };
        fixed.into_iter().flat_map(KeySet::listed)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&*self.url).chain(self.aliases.iter().map(String::as_str))
    }
}

impl fmt::Debug for TrustedIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrustedIssuer")
            .field("url", &self.url)
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}

/// Settings of a [`TrustedIssuer`].
///
/// ```
/// use credfed_core::oidc::{Algorithm, TrustedIssuer};
///
/// # #[cfg(feature = "reqwest")] {
/// let github = TrustedIssuer::builder("https://token.actions.githubusercontent.com")
///     .audience("sts.example.com")
///     .algorithms([Algorithm::Rs256])
///     .shared(true)
///     .build()?;
/// # let _ = github;
/// # }
/// # Ok::<_, credfed_core::ProviderError>(())
/// ```
#[must_use = "a builder does nothing until build()"]
pub struct TrustedIssuerBuilder {
    url: String,
    aliases: Vec<String>,
    audiences: BTreeSet<String>,
    parties: BTreeSet<String>,
    any_party: bool,
    any_audience: bool,
    algorithms: Vec<Algorithm>,
    access_tokens: bool,
    shared: bool,
    times: TimeRules,
    network: Network,
    keys: KeySource,
    most_stale: Duration,
    transport: Option<HttpTransport>,
    runtime: Option<Arc<dyn Runtime>>,
}

enum KeySource {
    Discovered,
    At(String),
    Fixed(Vec<u8>),
}

impl TrustedIssuerBuilder {
    /// Adds an audience that tokens may be for. At least one is needed.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audiences.insert(audience.into());
        self
    }

    /// Adds audiences that tokens may be for.
    pub fn audiences(mut self, audiences: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.audiences.extend(audiences.into_iter().map(Into::into));
        self
    }

    /// Accepts a token for several audiences if one of them is configured. Default: all of them must be. Whoever
    /// is named beside us may use the token here, so set this for issuers that leave no choice.
    pub fn contains_audience(mut self, contains: bool) -> Self {
        self.any_audience = contains;
        self
    }

    /// Adds a party that tokens may have been issued to (`azp`), beside the configured audiences.
    pub fn authorized_party(mut self, party: impl Into<String>) -> Self {
        self.parties.insert(party.into());
        self
    }

    /// Accepts any `azp` in a token for one audience (Google's tokens for service accounts name the account
    /// there). Default: an `azp` must be configured.
    pub fn any_authorized_party(mut self, any: bool) -> Self {
        self.any_party = any;
        self
    }

    /// The algorithms that the issuer signs with. Default: all of [`Algorithm::ALL`], each with a key that fits.
    pub fn algorithms(mut self, algorithms: impl IntoIterator<Item = Algorithm>) -> Self {
        self.algorithms = algorithms.into_iter().collect();
        self
    }

    /// How far its clock and ours may be apart. Default: 30 s; at most 60 s.
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.times.leeway = leeway;
        self
    }

    /// The longest time from issue to expiry, to which the leeway is added. Default: 24 h.
    pub fn max_age(mut self, longest: Duration) -> Self {
        self.times.longest = longest;
        self
    }

    /// Whether `iat` must be there. Default: yes. Without it the lifetime counts from now.
    pub fn require_iat(mut self, require: bool) -> Self {
        self.times.require_issued = require;
        self
    }

    /// Also accepts the type `at+jwt` (RFC 9068). Default: only `JWT`, or none.
    pub fn access_tokens(mut self, accept: bool) -> Self {
        self.access_tokens = accept;
        self
    }

    /// Another name that its tokens use (`accounts.google.com`).
    pub fn alias(mut self, name: impl Into<String>) -> Self {
        self.aliases.push(name.into());
        self
    }

    /// Says that it serves tenants that do not know each other (GitHub, GitLab, a public identity provider), so
    /// that a trust policy which names only the issuer lets everybody in. Default: no.
    pub fn shared(mut self, shared: bool) -> Self {
        self.shared = shared;
        self
    }

    /// Where it may be. Default: [`Network::Public`].
    pub fn network(mut self, network: Network) -> Self {
        self.network = network;
        self
    }

    /// Takes its keys from this address, without discovery. The rules of its [`Network`] apply; a private address
    /// may be another host than the issuer's, since the setting says so.
    pub fn jwks_uri(mut self, url: impl Into<String>) -> Self {
        self.keys = KeySource::At(url.into());
        self
    }

    /// Its keys, as the text of a JWKS document (RFC 7517). Nothing is fetched, ever.
    pub fn jwks(mut self, text: impl Into<Vec<u8>>) -> Self {
        self.keys = KeySource::Fixed(text.into());
        self
    }

    /// How long past their time the last good keys serve while the issuer cannot be reached. Default: 24 h. Zero
    /// turns it off.
    pub fn max_stale(mut self, at_most: Duration) -> Self {
        self.most_stale = at_most;
        self
    }

    /// An HTTP client of your own. Default: the crate's own (feature `reqwest`), which resolves a name, checks the
    /// addresses, and connects to what it checked.
    ///
    /// A client given here makes that promise in its place: it must not follow redirects, and must not connect
    /// to addresses that the issuer's [`Network`] forbids. Only addresses in the URL itself are checked for it.
    pub fn transport(mut self, transport: HttpTransport) -> Self {
        self.transport = Some(transport);
        self
    }

    /// Clocks and timers for fetching keys. Default: [`default_runtime`].
    pub fn runtime(mut self, runtime: impl Runtime) -> Self {
        self.runtime = Some(Arc::new(runtime));
        self
    }

    /// The issuer. Nothing is fetched yet.
    ///
    /// # Errors
    ///
    /// [`Misconfigured`](crate::ErrorKind::Misconfigured): no audience or an empty one, no algorithm, a leeway
    /// over 60 s, a URL that the [`Network`] forbids, fixed keys of which none is usable, or no HTTP client at
    /// hand.
    pub fn build(self) -> Result<TrustedIssuer, ProviderError> {
        let wrong = ProviderError::misconfigured;
        if self.audiences.is_empty() || self.audiences.contains("") || self.parties.contains("") {
            return Err(wrong("a trusted issuer needs audiences, none of them empty"));
        }
        if self.algorithms.is_empty() {
            return Err(wrong("a trusted issuer needs an algorithm"));
        }
        if self.times.leeway > MOST_LEEWAY {
            return Err(wrong("the leeway of a trusted issuer is at most 60 s"));
        }
        if self.aliases.iter().any(String::is_empty) {
            return Err(wrong("an alias of a trusted issuer is empty"));
        }
        let url = IssuerUrl::parse(&self.url, self.network)?;
        let runtime = self.runtime.unwrap_or_else(default_runtime);
        let keys = match self.keys {
            KeySource::Fixed(text) => IssuerKeys::fixed(&text)?,
            source => {
                let transports = Transports::new(self.transport, self.network, Arc::clone(&runtime))?;
                let origin = match source {
                    KeySource::At(address) => Origin::address(&address, self.network)?,
                    _ => Origin::discovery(url),
                };
                IssuerKeys::fetched(&self.url, origin, transports, runtime, self.most_stale)
            }
        };
        Ok(TrustedIssuer {
            url: Arc::from(self.url),
            shared: self.shared,
            rules: TokenRules {
                times: self.times,
                algorithms: self.algorithms,
                audiences: self.audiences,
                parties: self.parties,
                any_party: self.any_party,
                any_audience: self.any_audience,
                access_tokens: self.access_tokens,
            },
            keys,
            aliases: self.aliases,
        })
    }
}

impl fmt::Debug for TrustedIssuerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrustedIssuerBuilder").field("url", &self.url).finish_non_exhaustive()
    }
}

/// What an issuer's tokens must say.
#[derive(Debug)]
pub(super) struct TokenRules {
    times: TimeRules,
    algorithms: Vec<Algorithm>,
    audiences: BTreeSet<String>,
    parties: BTreeSet<String>,
    any_party: bool,
    any_audience: bool,
    access_tokens: bool,
}

/// What is left of the claims of a token that keeps the rules.
pub(super) struct Accepted {
    pub(super) times: Times,
    pub(super) audiences: Vec<String>,
}

impl TokenRules {
    pub(super) fn check_header(&self, header: &Header, algorithm: Algorithm) -> Result<(), Flaw> {
        if !self.algorithms.contains(&algorithm) {
            return Err(Flaw::Algorithm);
        }
        let typed = header.is_untyped()
            || header.has_type(&["jwt"])
            || (self.access_tokens && header.has_type(&["at+jwt"]));
        if typed { Ok(()) } else { Err(Flaw::Type) }
    }

    pub(super) fn check_claims(&self, claims: &Object, now: SystemTime) -> Result<Accepted, JwtError> {
        let audiences = rules::audiences(claims)?;
        rules::text(claims, "sub")?;
        let party = claims.get("azp").map(|_| rules::text(claims, "azp")).transpose()?;
        claims.get("jti").map(|_| rules::text(claims, "jti")).transpose()?;
        let times = self.times.check(claims, now)?;
        let mut known = audiences.iter().map(|audience| self.audiences.contains(audience));
        if !(if self.any_audience { known.any(|known| known) } else { known.all(|known| known) }) {
            return Err(JwtError::IncorrectAudience);
        }
        let several = audiences.len() > 1;
        let known = match party {
            Some(party) => {
                self.parties.contains(party) || self.audiences.contains(party) || (self.any_party && !several)
            }
            None => !several,
        };
        if !known {
            return Err(Flaw::AuthorizedParty.into());
        }
        Ok(Accepted { times, audiences })
    }
}
