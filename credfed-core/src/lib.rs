//! Federated, short-lived credentials around one cached provider.
//!
//! A [`Provider`] fetches a credential and says how long it lasts. A [`CachedProvider`] keeps it, refreshes it
//! ahead of time, and is the one type that layers and adapters take.
//!
//! ```
//! use std::time::Duration;
//! use credfed_core::{CachedProvider, Expiring, Identity, ProviderError, Secret, provider_fn};
//!
//! # futures::executor::block_on(async {
//! let source = provider_fn(Identity::of("vault").finish(), || async {
//!     Ok(Expiring::after(Secret::new("token"), Duration::from_secs(3600)))
//! });
//! let provider = CachedProvider::new(source);
//! assert_eq!(provider.get().await?.expose(), "token");
//! # Ok::<_, ProviderError>(())
//! # }).unwrap();
//! ```
//!
//! # Where to look
//!
//! | for | see |
//! |---|---|
//! | the rules of the cache | [`cached`] |
//! | one cache per tenant, a bounded number of them | [`ProviderPool`] |
//! | a source of your own | [`Provider`], [`provider_fn`], [`Identity`] |
//! | keys from the environment | [`aws::EnvProvider`] |
//! | a token that somebody else rotates in a file | [`TokenFile`] |
//! | a role at AWS, Ceph or MinIO, for a token or for other keys | `aws::sts` (feature `aws`) |
//! | an HTTP client of your own | [`transport::HttpTransport`] |
//! | addresses that a client may connect to | [`transport::Reach`] |
//! | OpenID Connect: assertions of ours, tokens of others | `oidc` (feature `oidc`) |
//! | another executor, time in tests | [`runtime`] |
//! | temporary credentials of your own service (feature `session`) | `session`, `keyring` |
//! | what went wrong | [`ProviderError`], [`CachedProvider::status`], [`cached::Observer`] |

pub mod aws;
pub mod cached;
#[cfg(feature = "session")]
pub mod keyring;
#[cfg(feature = "oidc")]
pub mod oidc;
pub mod runtime;
#[cfg(feature = "session")]
pub mod session;
pub mod transport;

mod credentials;
#[cfg(feature = "aws")]
mod date;
mod dice;
mod error;
mod expiring;
mod identity;
#[cfg(any(feature = "oidc", feature = "session"))]
mod private_file;
mod provider;
mod regular_file;
mod secret;
mod token_file;

pub use cached::{Cached, CachedProvider, Get, ProviderPool, Rejection};
pub use credentials::{AwsCredentials, Azure, BearerToken, Google};
pub use error::{ErrorKind, ProviderError};
pub use expiring::Expiring;
pub use identity::{Identity, IdentityBuilder};
#[cfg(any(feature = "oidc", feature = "session"))]
pub use private_file::FileError;
pub use provider::{Provider, ProviderFn, StaticProvider, provider_fn};
pub use runtime::{Clock, SystemClock};
#[cfg(any(test, feature = "test-util"))]
pub use runtime::{VirtualClock, VirtualRuntime};
pub use secret::Secret;
pub use token_file::TokenFile;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
