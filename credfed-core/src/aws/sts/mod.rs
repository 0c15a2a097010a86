//! AWS Security Token Service: exchanges without I/O, and the providers that carry them.
//!
//! | for | exchange | provider |
//! |---|---|---|
//! | a JWT of an OpenID provider, such as this crate's own issuer | [`AssumeRoleWithWebIdentityRequest`] | [`AssumeRoleWithWebIdentity`] |
//! | other AWS credentials | [`AssumeRoleRequest`] | [`AssumeRole`] |
//!
//! It speaks to AWS and to those who speak its protocol (Ceph, MinIO, this project's own `StsService`).
//!
//! # Rules
//!
//! 1. Every limit that the service documents is checked before the call, by an error that names it.
//! 2. The assertion travels in the body of a POST, never in a URL, and is fetched anew for each attempt.
//! 3. An answer is a credential only if it is status 200, XML by its content type, at most 64 KiB, of the one root
//!    (in the service's namespace, if in any), with each field exactly once, and without a DTD, processing
//!    instruction, comment or entity beyond the five. All else is a failed fetch, never a part of a credential.
//!    So is one that names another role, session or account than was asked for, where the service names any.
//! 4. The lifetime is `Expiration` against the server's own `Date`, so a local clock that is off does no harm. An
//!    expiry in the past, or far beyond what was asked for, is a failed fetch.
//! 5. Errors carry the service's code, its request id, and at most 200 printable characters.
//! 6. Retries are those of [`RetryPolicy`](crate::transport::RetryPolicy), and: `ExpiredToken` once more with a fresh
//!    assertion, `InvalidIdentityToken` and `IDPCommunicationError` once more after half a second to a second. An MFA
//!    code is sent once: only an attempt that had no connection is made again.
//! 7. A role that is assumed with the credentials of another role gets an hour at most. More is refused here.
//!
//! What the HTTP client, TLS and the XML parser keep in their own buffers is not wiped by this crate: reqwest and
//! hyper copy a body on its way, aws-sigv4 formats the signing key's input in strings of its own. Everything that is
//! assembled here (the form, the fields of the answer) is.
//!
//! ```
//! use std::time::Duration;
//! use credfed_core::aws::sts::{AssumeRoleWithWebIdentityRequest, StsEndpoint};
//! use credfed_core::Secret;
//!
//! let request = AssumeRoleWithWebIdentityRequest::builder("arn:aws:iam::123456789012:role/reader", "ci")
//!     .duration(Duration::from_secs(900))
//!     .build()?;
//! let request = request.request(&StsEndpoint::regional("eu-central-1")?, &Secret::new("eyJ0.eyJz.c2ln"))?;
//! assert_eq!(request.uri(), "https://sts.eu-central-1.amazonaws.com/");
//! # Ok::<_, credfed_core::ProviderError>(())
//! ```

mod assume_role;
mod endpoint;
mod error;
mod limits;
mod request;
mod response;
mod sign;
mod web_identity;

pub use assume_role::{AssumeRole, AssumeRoleRequest, AssumeRoleRequestBuilder};
pub use endpoint::StsEndpoint;
pub use web_identity::{
    AssumeRoleWithWebIdentity, AssumeRoleWithWebIdentityRequest, AssumeRoleWithWebIdentityRequestBuilder,
};
