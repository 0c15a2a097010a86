//! The layer: what all requests of a service share.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use credfed_core::{Clock, SystemClock};
use credfed_sigv4_verify::Verifier;
use http::Response;
use http::request::Parts;
use tower_layer::Layer;

use super::reject::Refusal;
use super::service::VerifySigV4;

/// Puts [`VerifySigV4`] in front of a service.
///
/// ```
/// use credfed_core::Secret;
/// use credfed_sigv4_verify::{Profile, Verifier};
/// use credfed_tower::{AllowVerified, StaticKeys, VerifySigV4Layer};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let verifier = Verifier::builder().profile(Profile::S3).region("eu-west-1").build()?;
/// let keys = StaticKeys::new().with_key("AKIAEXAMPLE", Secret::new("made at run time"), ());
/// let layer = VerifySigV4Layer::new(verifier, keys, AllowVerified);
/// # let _ = layer;
/// # Ok(()) }
/// ```
pub struct VerifySigV4Layer<R, A> {
    shared: Arc<Shared<R, A>>,
}

pub(super) struct Shared<R, A> {
    pub(super) verifier: Arc<Verifier>,
    pub(super) resolver: Arc<R>,
    pub(super) authorizer: Arc<A>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) on_refusal: Option<OnRefusal>,
    pub(super) evaluates_session_policies: bool,
    pub(super) shows_canonical_requests: bool,
    pub(super) forms: Option<FormBucket>,
}

pub(super) type FormBucket = Arc<dyn Fn(&Parts) -> Option<Box<str>> + Send + Sync>;

pub(super) type OnRefusal = Arc<dyn Fn(&Refusal<'_>) -> Response<Bytes> + Send + Sync>;

impl<R, A> VerifySigV4Layer<R, A> {
    /// Verifies with `verifier`, finds keys with `resolver`, and asks `authorizer` about every verified request
    /// ([`AllowVerified`](crate::AllowVerified) where the service decides by itself).
    pub fn new(verifier: Verifier, resolver: R, authorizer: A) -> Self {
        let shared = Shared {
            verifier: Arc::new(verifier),
            resolver: Arc::new(resolver),
            authorizer: Arc::new(authorizer),
            clock: Arc::new(SystemClock),
            on_refusal: None,
            evaluates_session_policies: false,
            shows_canonical_requests: false,
            forms: None,
        };
        Self { shared: Arc::new(shared) }
    }

    /// Judges requests by another clock.
    #[must_use]
    pub fn clock(self, clock: Arc<dyn Clock>) -> Self {
        self.change(|shared| shared.clock = clock)
    }

    /// Replaces the answer to a refused request. The typed reason is put into the extensions afterwards, and a
    /// `HEAD` request gets no body, whatever the closure returns.
    #[must_use]
    pub fn on_refusal(
        self,
        answer: impl Fn(&Refusal<'_>) -> Response<Bytes> + Send + Sync + 'static,
    ) -> Self {
        self.change(|shared| shared.on_refusal = Some(Arc::new(answer)))
    }

    /// Says that the authoriser, or the inner service, evaluates the policy of a session that has one: its rights are
    /// those of the role *and* of the policy. Without this such a session is refused (403), so that a restriction
    /// which nobody looks at does not turn into none.
    #[must_use]
    pub fn evaluates_session_policies(self) -> Self {
        self.change(|shared| shared.evaluates_session_policies = true)
    }

    /// Shows a client whose signature does not match its own canonical request and string to sign, as AWS does, but
    /// without session token, cookies and customer keys. Not where the hash of the real body is a line of it.
    ///
    /// Nothing of it is secret; it does tell whoever sends a request, by way of what a proxy added to it, of the proxy.
    #[must_use]
    pub fn shows_canonical_requests(self) -> Self {
        self.change(|shared| shared.shows_canonical_requests = true)
    }

    /// Accepts POST forms: uploads from a browser, signed by a policy ([`Carrier::PostForm`]). Without this a form is
    /// a request without credentials.
    ///
    /// `bucket` says which bucket the URL of a request names, [`path_style_bucket`] for `/bucket`,
    /// [`virtual_hosted_bucket`] for `bucket.s3.example.com`; `None` where it names none, or an object in one: then
    /// the request is no form. Host and `:authority` were not compared yet when it is asked; a request in which they
    /// differ is refused afterwards.
    ///
    /// The fields are read first, within [`Limits`], and the inner service is called when signature, policy and every
    /// field by the policy were verified, and the authoriser agreed to a `PUT` of the object. It sees:
    /// - the method and the URL of the wire, `POST` to the bucket;
    /// - the headers of the wire, without those that describe the form: `Content-*`, `Cache-Control`, `Expires` and
    ///   their like, which are fields of the form where they are meant for the object;
    /// - in the extensions a [`PostObject`] with the key and the fields that the policy covers;
    /// - as its body the bytes of the file. Its length is not known before its end. The last frame comes when the file
    ///   is as large as the policy allows and the form has ended behind it, or an error comes in its place.
    ///
    /// A field after the file is refused, though AWS ignores it.
    ///
    /// [`Carrier::PostForm`]: credfed_sigv4_verify::Carrier::PostForm
    /// [`Limits`]: credfed_sigv4_verify::Limits
    /// [`PostObject`]: credfed_sigv4_verify::PostObject
    /// [`path_style_bucket`]: super::path_style_bucket
    /// [`virtual_hosted_bucket`]: super::virtual_hosted_bucket
    #[must_use]
    pub fn accept_forms(self, bucket: impl Fn(&Parts) -> Option<Box<str>> + Send + Sync + 'static) -> Self {
        self.change(|shared| shared.forms = Some(Arc::new(bucket)))
    }

    fn change(mut self, change: impl FnOnce(&mut Shared<R, A>)) -> Self {
        change(Arc::make_mut(&mut self.shared));
        self
    }
}

impl<R, A> Clone for Shared<R, A> {
    fn clone(&self) -> Self {
        Self {
            verifier: Arc::clone(&self.verifier),
            resolver: Arc::clone(&self.resolver),
            authorizer: Arc::clone(&self.authorizer),
            clock: Arc::clone(&self.clock),
            on_refusal: self.on_refusal.clone(),
            evaluates_session_policies: self.evaluates_session_policies,
            shows_canonical_requests: self.shows_canonical_requests,
            forms: self.forms.clone(),
        }
    }
}

impl<R, A> Clone for VerifySigV4Layer<R, A> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<R, A> fmt::Debug for VerifySigV4Layer<R, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifySigV4Layer").field("verifier", &self.shared.verifier).finish_non_exhaustive()
    }
}

impl<S, R, A> Layer<S> for VerifySigV4Layer<R, A> {
    type Service = VerifySigV4<S, R, A>;

    fn layer(&self, inner: S) -> Self::Service {
        VerifySigV4::new(inner, Arc::clone(&self.shared))
    }
}
