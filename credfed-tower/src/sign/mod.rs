//! Sign what goes out with the credential of a [`CachedProvider`](credfed_core::CachedProvider).
//!
//! [`SignSigV4Layer`] does, for every request:
//!
//! 1. take off what a caller may have left ([`strip_credentials`](crate::strip_credentials));
//! 2. take the upstream's authority, where one is configured, and refuse others; set `Host` to it;
//! 3. get the credential: from the cache, without a lock or a copy, while it is fresh;
//! 4. sign with AWS Signature Version 4, session token included (by the `aws-sigv4` crate);
//! 5. call the inner service;
//! 6. where the answer's error code says that the credential is over (`ExpiredToken`, `ExpiredTokenException`,
//!    `InvalidToken`), invalidate it, and if the body can be replayed ([`Replay`]) try once more with a new one. A bare
//!    401, and whatever else a document says, may be an application's words about what a caller asked for: it takes
//!    the credential from nobody. Neither does the answer to the second attempt.
//!
//! # Payload
//! A known hash ([`PayloadSha256`](crate::PayloadSha256) in the request's extensions) is signed; a body at its end is
//! signed as the empty one; any other body goes unsigned (`UNSIGNED-PAYLOAD`), which S3 alone accepts, so for other
//! services it is [`SignError::Unsignable`].
//!
//! # Deployment
//! - Behind a server, configure [`upstream`](SignSigV4Layer::upstream) or
//!   [`authorities`](SignSigV4Layer::authorities): the authority of a request that was received (`Host`, or
//!   `:authority` in HTTP/2) is its caller's choice, and without either the signature goes where the URI says.
//! - Retries belong outside of this layer, so that each attempt is signed anew.
//! - Redirects must not be followed inside of it: a redirected request would carry the signature, and for another
//!   host. Clients that follow redirects need that switched off.
//! - A raw `+` in the query is read as a blank, as the verifier and AWS read it, and sent as `%20`: upstreams
//!   disagree on what a raw one means, and the signature covers the meaning.

mod error;
mod future;
mod inspect;
mod layer;
mod replay;
mod request;
mod service;

pub use self::error::SignError;
pub use self::future::SignFuture;
pub use self::inspect::UpstreamBody;
pub use self::layer::{NotAnUpstream, SignSigV4Layer};
pub use self::replay::{NeverReplay, Replay, ReplayClone, ReplayEmpty};
pub use self::service::SignSigV4;
