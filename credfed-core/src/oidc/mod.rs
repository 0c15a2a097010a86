//! OpenID Connect both ways: assertions that we issue, and those of others that we check.
//!
//! # The identity provider that we are
//!
//! An [`Issuer`] signs assertions about this service's own workloads (RS256, ES256, EdDSA), and publishes its keys
//! under their RFC 7638 thumbprints. [`Issuer::assertions`] is a source of them for whatever exchanges them.
//!
//! 1. A key is published first, signs later, and is retired when the last assertion that it signed has expired
//!    ([`IssuerState::rotate`]). The keys are in a text that survives restarts and can be replaced while the issuer
//!    runs, all or nothing.
//! 2. Extra claims do not overwrite `iss`, `sub`, `aud`, `iat`, `nbf`, `exp` and `jti`.
//! 3. Whoever signs ([`AssertionSigner`]: memory, or a KMS), the signature is checked before it goes out.
//!
//! # Identities from outside
//!
//! [`TrustedIssuers::validate`] decides on a JWT (RFC 7519, RFC 8725):
//!
//! 1. **Form, before any cryptography.** At most 16 KiB; exactly three parts; base64url in its one form; header and
//!    payload a JSON object each, no member twice, nesting at most 16 deep, no number that is not finite.
//! 2. **The issuer** is found by its exact `iss` before anything is fetched. Nothing in a token says where to fetch
//!    from: `jku`, `x5u`, `x5c` and `jwk` mean nothing. `crit`, `enc` and `zip` are refused.
//! 3. **The algorithm** is one of [`Algorithm`], compared byte for byte, among the issuer's own, fits the key's type
//!    and curve, and is the one that the key names, if it names one. `typ` is absent or `JWT`; `at+jwt` per issuer.
//! 4. **The key** is the one of that id and algorithm; without an id, the only one of that algorithm. Keys for
//!    encryption, symmetric and private ones, RSA outside of 2048 to 8192 bits and points off their curve are left out
//!    of a set, and the set stays. At most 64 keys, 256 KiB.
//! 5. **Claims.** `exp`, `iat` (per issuer), `iss`, `aud` and `sub` must be there and of their type, whole or rounded
//!    down; `nbf` counts wherever it is. Leeway at most 60 s. From issue to expiry at most 24 h and the leeway, unless
//!    set. Every audience must be configured, and so must `azp`, which several audiences need.
//! 6. What claims are worth is said only about a token that the issuer signed.
//!
//! # Keys of an issuer
//!
//! 1. Discovery first, unless the keys' address or the keys themselves are configured. The document's `issuer` is the
//!    configured one byte for byte. https, or http on this machine where that is allowed ([`Network`]); no redirects;
//!    no user names; 64 KiB; 5 s for both documents.
//! 2. The default client resolves a name, checks the addresses ([`Reach`](crate::transport::Reach)) and connects to
//!    those. Private addresses are for the configured origin of a private issuer, host and port, and for no other.
//! 3. Keys serve as long as `Cache-Control` says, 5 min to 24 h (15 min if it does not), in a
//!    [`CachedProvider`](crate::CachedProvider). They are fetched ahead of that. After failed fetches the last good
//!    ones serve up to 24 h longer; a token may then wait two seconds for a fetch.
//! 4. A key id that is not there causes one fetch, for which its token waits, and none for 30 s after that, whatever
//!    ids come. Unknown ids are remembered for that long, 1,024 at most, and forgotten with the next key set. An issuer
//!    that keeps failing is asked three times a minute.
//!
//! Signatures are checked and made by `aws-lc-rs` itself. A JWT library over it would read each token a second time,
//! by looser rules than these, and would read a private key anew for each signature; here there is one reading, and
//! the key that checks is ready. The tests hold both directions against the `jsonwebtoken` crate.
//!
//! ```
//! use std::time::{Duration, SystemTime};
//! use credfed_core::oidc::{
//!     Algorithm, AssertionClaims, Issuer, IssuerState, JwtError, LocalSigner, TrustedIssuer, TrustedIssuers,
//! };
//!
//! # futures::executor::block_on(async {
//! let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
//! let state = IssuerState::new(LocalSigner::generate(Algorithm::Es256)?, now);
//! let issuer = Issuer::builder("https://id.example.com").state(state).build()?;
//! let claims = AssertionClaims::new("gateway", "sts.example.com");
//! let assertion = issuer.sign(&claims, now).await?.into_value();
//!
//! let trusted = TrustedIssuer::builder("https://id.example.com")
//!     .audience("sts.example.com")
//!     .jwks(issuer.jwks(now).to_vec())
//!     .build()?;
//! let issuers = TrustedIssuers::new([trusted])?;
//! let token = issuers.validate(assertion.expose(), now).await.expect("a good token");
//! assert_eq!(token.subject(), "gateway");
//!
//! let late = now + Duration::from_secs(3600);
//! let refused = issuers.validate(assertion.expose(), late).await;
//! assert_eq!(refused.err(), Some(JwtError::Expired));
//! # Ok::<_, credfed_core::ProviderError>(())
//! # }).unwrap();
//! ```

mod algorithm;
mod claims;
pub(crate) mod compact;
mod der;
mod discovery;
mod error;
mod fetch;
mod issuer;
pub(crate) mod json;
mod jwk;
pub(crate) mod jwks;
mod keys;
pub(crate) mod material;
mod pem;
pub(crate) mod rules;
mod signer;
mod state;
mod state_file;
mod token;
mod trusted;
mod validator;

pub use algorithm::Algorithm;
pub use claims::{AssertionClaims, AssertionValue};
pub use discovery::Network;
pub use error::{Flaw, JwtError};
pub use issuer::{Issuer, IssuerAssertions, IssuerBuilder};
pub use jwk::PublicJwk;
pub use signer::{AssertionSigner, LocalSigner};
pub use state::{IssuerState, KeyTimes};
pub use state_file::IssuerStateFile;
pub use token::{ClaimList, ClaimObject, ClaimValue, Number, ValidatedToken};
pub use trusted::{TrustedIssuer, TrustedIssuerBuilder};
pub use validator::TrustedIssuers;
