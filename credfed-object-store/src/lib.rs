//! Cached, federated credentials for the builders of [`object_store`].
//!
//! Each adapter turns one [`CachedProvider`](credfed_core::CachedProvider) into what `with_credentials` takes.
//! The store then holds no long-lived secret, calls the source once however many requests run, and goes on
//! with the valid credential while a refresh fails.
//!
//! | builder | adapter | takes |
//! |---|---|---|
//! | `AmazonS3Builder` | [`aws`] | `CachedProvider<AwsCredentials>` |
//! | `MicrosoftAzureBuilder` | [`azure`] | `CachedProvider<BearerToken<Azure>>` |
//! | `GoogleCloudStorageBuilder` | [`gcp`] | `CachedProvider<BearerToken<Google>>` |
//!
//! 1. A hit costs one allocation: the boxed future that object_store's trait demands. The credential in
//!    object_store's own form is made once per generation.
//! 2. A credential that the source rotates shows up in the next request.
//! 3. A source that fails with nothing valid at hand makes the request fail; `Rejected` and `NotConfigured`
//!    become [`object_store::Error::Unauthenticated`], all else [`object_store::Error::Generic`], and the
//!    [`ProviderError`](credfed_core::ProviderError) is in the chain of sources. object_store does not retry
//!    either of them.
//! 4. object_store's types hold a secret in a plain `String` and do not wipe it, so the adapter wipes the one
//!    copy that it makes per generation, when the cache lets go of it. It cannot where a request still holds
//!    that copy at this moment, nor in what object_store makes of it (header values, signing keys).
//! 5. object_store does not tell a credential provider that a service refused its credential, so an adapter
//!    cannot invalidate it. Who sees such an error calls
//!    [`CachedProvider::invalidate`](credfed_core::CachedProvider::invalidate) on a clone of the provider.
//!
//! The adapters for each version of object_store live in a module of their own; the crate's root shows those
//! of the newest one.
//!
//! ```
//! use credfed_core::{AwsCredentials, CachedProvider, Secret, StaticProvider};
//! use object_store::aws::AmazonS3Builder;
//!
//! let keys = AwsCredentials::new("AKIDEXAMPLE", Secret::new("secret"), Some(Secret::new("token")));
//! let provider = CachedProvider::new(StaticProvider::new(keys));
//! let store = AmazonS3Builder::new()
//!     .with_bucket_name("lake")
//!     .with_region("eu-west-1")
//!     .with_credentials(credfed_object_store::aws(provider))
//!     .build()?;
//! # let _ = store;
//! # Ok::<_, object_store::Error>(())
//! ```

#[cfg(feature = "v0_14")]
pub mod v0_14;

#[cfg(feature = "v0_14")]
pub use v0_14::{aws, azure, gcp};

#[cfg(all(doctest, feature = "v0_14"))]
#[doc = include_str!("../README.md")]
struct Readme;
