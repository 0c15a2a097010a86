//! Strict, sans-io verification of AWS Signature Version 4 requests.

mod authorization;
mod cache;
mod canonical;
pub mod danger;
mod date;
mod error;
mod key;
mod limits;
mod payload;
mod profile;
pub mod query;
mod request;
mod scope;
mod scratch;
mod signature;
mod signed_headers;
mod verified;
mod verifier;

pub use error::{Malformed, Reason};
pub use key::{KeyKind, ResolvedKey};
pub use limits::{Limit, Limits};
pub use payload::{BodyCheck, PayloadCheck, PayloadMode};
pub use profile::{Profile, Protocol, UnsignedPayload};
pub use query::CREDENTIAL_QUERY_PARAMETERS;
pub use request::{Carrier, SignedRequest};
pub use scope::Scope;
pub use verified::VerifiedHead;
pub use verifier::{BuildError, Verifier, VerifierBuilder};
