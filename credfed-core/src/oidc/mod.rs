//! OpenID Connect both ways: assertions that we issue, and those of others that we check.

mod algorithm;
mod claims;
mod compact;
mod der;
mod discovery;
mod error;
mod fetch;
mod issuer;
mod json;
mod jwk;
mod jwks;
mod keys;
mod material;
mod pem;
mod rules;
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
