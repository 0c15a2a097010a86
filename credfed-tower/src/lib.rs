#![cfg_attr(docsrs, feature(doc_cfg))]
#![doc = include_str!("../README.md")]

#[cfg(feature = "oidc")]
pub mod oidc;
mod payload;
mod strip;

#[cfg(feature = "verify")]
mod authorize;
#[cfg(feature = "verify")]
mod resolve;
#[cfg(feature = "sign")]
pub mod sign;
#[cfg(feature = "sts")]
pub mod sts;
#[cfg(feature = "verify")]
pub mod verify;
#[cfg(feature = "verify")]
mod xml;

#[cfg(feature = "verify")]
pub use authorize::{AccessRequest, AllowVerified, Authorize, Denied};
pub use payload::{DecodedLength, PayloadSha256};
#[cfg(all(feature = "session", feature = "oidc"))]
pub use resolve::JwtSessionResolver;
#[cfg(feature = "session")]
pub use resolve::{
    ByShape, ByShapeError, ByShapeFuture, NoOthers, Principal, SealedSessionResolver, Session,
};
#[cfg(feature = "verify")]
pub use resolve::{
    KeyRequest, KeysFn, LookUpKey, RemoteFuture, RemoteKeys, RemoteKeysBuilder, RemoteRequest, ResolveError,
    ResolveKey, Resolved, StaticKeys, keys_fn,
};
#[cfg(feature = "sign")]
pub use sign::{SignError, SignSigV4, SignSigV4Layer};
pub use strip::{StripCredentials, Stripped, strip_credentials, strip_hop_by_hop};
#[cfg(feature = "verify")]
pub use verify::{
    BodyError, Caller, InvalidDomain, VerifiedBody, VerifySigV4, VerifySigV4Layer, path_style_bucket,
    virtual_hosted_bucket,
};
