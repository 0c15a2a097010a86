//! Federated, short-lived credentials around one cached provider.

pub mod cached;
pub mod runtime;

mod credentials;
mod error;
mod expiring;
mod identity;
mod provider;
mod secret;

pub use cached::{Cached, CachedProvider, Get, Rejection};
pub use credentials::{AwsCredentials, Azure, BearerToken, Google};
pub use error::{ErrorKind, ProviderError};
pub use expiring::Expiring;
pub use identity::{Identity, IdentityBuilder};
pub use provider::{Provider, ProviderFn, StaticProvider, provider_fn};
pub use runtime::{Clock, SystemClock};
#[cfg(any(test, feature = "test-util"))]
pub use runtime::{VirtualClock, VirtualRuntime};
pub use secret::Secret;
