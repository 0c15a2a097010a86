//! Why a pool gave no provider.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::ProviderError;

/// Why a [`ProviderPool`](super::ProviderPool) gave no provider for an identity that it did not hold: the cause, by
/// [`source`](Error::source), of the [`ProviderError`] that it gives instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PoolError {
    /// As many providers as there may be are there, and none can go: each is held by somebody or loading, or those
    /// that have never loaded anything take up their share of the pool already.
    Full,
    /// Too many identities were new of late.
    TooManyNew {
        /// The time until another one is let in.
        retry_after: Duration,
    },
    /// The source says that it has another identity than the one that it was made for.
    OtherIdentity,
}

impl PoolError {
    pub(super) fn into_provider_error(self) -> ProviderError {
        let error = match self {
            Self::Full => ProviderError::throttled(
                "the pool is full of providers in use: raise its capacity, or hold fewer of them",
                None,
            ),
            Self::TooManyNew { retry_after } => {
                let message =
                    "too many identities are new to the pool: try later, or raise its admission limit";
                ProviderError::throttled(message, Some(retry_after))
            }
            Self::OtherIdentity => ProviderError::misconfigured(
                "the source has another identity than the pool was asked for: ask with that of the source",
            ),
        };
        error.with_source(self)
    }
}

impl fmt::Display for PoolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "the pool is full",
            Self::TooManyNew { .. } => "too many new identities",
            Self::OtherIdentity => "another identity",
        })
    }
}

impl Error for PoolError {}
