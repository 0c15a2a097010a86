//! Why a request was not signed, or not answered.

use std::error::Error;
use std::fmt;

use credfed_core::ProviderError;

/// The error of [`SignSigV4`](super::SignSigV4): the inner service's own, or why it was not called.
#[derive(Debug)]
#[non_exhaustive]
pub enum SignError<E> {
    /// There is no valid credential.
    Credential(ProviderError),
    /// The request cannot be signed as it is.
    Unsignable(&'static str),
    /// The request is for an authority that this layer does not sign for.
    AuthorityNotAllowed,
    /// The inner service failed.
    Inner(E),
}

impl<E> fmt::Display for SignError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Credential(_) => f.write_str("no credential to sign the request with"),
            Self::Unsignable(why) => write!(f, "the request cannot be signed: {why}"),
            Self::AuthorityNotAllowed => f.write_str("requests to this authority are not signed here"),
            Self::Inner(_) => f.write_str("the signed request failed"),
        }
    }
}

impl<E: Error + 'static> Error for SignError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Credential(error) => Some(error),
            Self::Inner(error) => Some(error),
            Self::Unsignable(_) | Self::AuthorityNotAllowed => None,
        }
    }
}
