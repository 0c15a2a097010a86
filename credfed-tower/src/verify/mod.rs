//! Let nobody in without a verified AWS Signature Version 4.
//!
//! [`VerifySigV4Layer`] stands in front of a service and does, in this order:
//!
//! 1. parse the request: exactly one carrier, within limits, before any cryptography;
//! 2. resolve the access key ([`ResolveKey`]);
//! 3. verify the signature, its scope, its time and what it covers;
//! 4. refuse a session that is over, and one that a policy restricts, unless somebody evaluates that policy
//!    ([`VerifySigV4Layer::evaluates_session_policies`]);
//! 5. authorise ([`Authorize`]);
//! 6. call the inner service with a [`VerifiedBody`], which checks the payload while it streams and keeps its last
//!    frame back until the check has passed; an `aws-chunked` one comes decoded, under a head that is true for it;
//! 7. look at the body once more when the inner service has answered: an answer of success to a body that was not
//!    read to its verified end is replaced.
//!
//! The inner service is a `Service<Request<VerifiedBody<B>>>`, and only a request that was verified can be turned
//! into one: there is no other way to make a `VerifiedBody`. So a service that takes one can be served behind the
//! layer:
//!
//! ```
//! # use std::convert::Infallible;
//! # use credfed_tower::{AllowVerified, StaticKeys, VerifiedBody, VerifySigV4Layer};
//! # use credfed_sigv4_verify::{Profile, Verifier};
//! # use http::{Request, Response};
//! # use tower::{Layer, Service, service_fn};
//! # type Incoming = http_body_util::Full<bytes::Bytes>;
//! # fn serve<S: Service<Request<Incoming>>>(_: S) {}
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let service = service_fn(async |_: Request<VerifiedBody<Incoming>>| Ok::<_, Infallible>(Response::new(())));
//! # let verifier = Verifier::builder().profile(Profile::S3).region("eu-west-1").build()?;
//! # let layer = VerifySigV4Layer::new(verifier, StaticKeys::<()>::new(), AllowVerified);
//! serve(layer.layer(service));
//! # Ok(()) }
//! ```
//!
//! and one that forgot the layer does not compile:
//!
//! ```compile_fail
//! # use std::convert::Infallible;
//! # use credfed_tower::VerifiedBody;
//! # use http::{Request, Response};
//! # use tower::{Service, service_fn};
//! # type Incoming = http_body_util::Full<bytes::Bytes>;
//! # fn serve<S: Service<Request<Incoming>>>(_: S) {}
//! let service = service_fn(async |_: Request<VerifiedBody<Incoming>>| Ok::<_, Infallible>(Response::new(())));
//! serve(service);
//! ```
//!
//! # Deployment
//! - The layer belongs outside of everything that rewrites path, query or signed headers. In axum that is the
//!   outermost `Router::layer`; inside `Router::nest` the path is stripped before the layer sees it and no
//!   signature matches.
//! - A CORS preflight (`OPTIONS` without credentials) is answered by a CORS layer outside of this one.
//! - Trailers of the HTTP message are covered by no signature, so [`VerifiedBody`] drops them.
//! - POST forms are accepted where the layer is told to ([`VerifySigV4Layer::accept_forms`]).
//! - Forwarding services put [`StripCredentials`](crate::StripCredentials) behind it.
//!
//! # Chunked uploads
//! The inner service sees a body without chunks, as if the client had sent it so: `Content-Length`, where the client
//! sent one, is the decoded length, `Content-Encoding` says `aws-chunked` no more, and
//! [`DecodedLength`](crate::DecodedLength) is in the extensions. What else the client said of the encoding
//! (x-amz-content-sha256, x-amz-decoded-content-length, x-amz-trailer) stays to be read, until
//! [`StripCredentials`](crate::StripCredentials) takes it off. The fields of the trailer are verified and not handed on.
//! One signed chunk is held in memory per request: bound it with
//! [`Limits::signed_chunk`](credfed_sigv4_verify::Limits::signed_chunk). A body of no bytes is read to its verified end
//! before the inner service is called.
//!
//! # Errors
//! A refused request is answered in AWS's format for the verifier's protocol; the typed
//! [`Reason`](credfed_sigv4_verify::Reason) stands in the extensions of the response, and
//! [`VerifySigV4Layer::on_refusal`] replaces the answer. The error type of the inner service stays as it is.

mod body;
mod caller;
mod changes;
#[cfg(feature = "axum")]
mod extract;
mod form;
mod future;
mod layer;
mod reject;
mod service;
mod watch;

pub use self::body::{BodyError, VerifiedBody};
pub use self::caller::Caller;
pub use self::form::{InvalidDomain, path_style_bucket, virtual_hosted_bucket};
pub use self::future::VerifyFuture;
pub use self::layer::VerifySigV4Layer;
pub use self::reject::{AnswerBody, Refusal};
pub use self::service::VerifySigV4;

pub(crate) use self::form::object_path;
#[cfg(feature = "sts")]
pub(crate) use self::reject::request_id;

#[cfg(doc)]
use crate::{Authorize, ResolveKey};
