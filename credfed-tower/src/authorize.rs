//! What a verified caller may do: asked after the signature and before anything else.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::future::{Future, Ready, ready};

use credfed_sigv4_verify::{Algorithm, PostObject, SignedForm, SignedRequest};
use http::header::HOST;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method};

/// Decides whether a verified request may reach the inner service.
///
/// It runs once per request, after the signature, the session and the payload declaration were checked and before
/// the inner service is called, so before any outbound exchange (verify, authorise, exchange, forward). There is no
/// default: [`AllowVerified`] is an explicit choice.
///
/// A closure `Fn(&AccessRequest<'_, C>) -> Result<(), Denied>` is an authoriser that answers at once.
pub trait Authorize<C>: Send + Sync + 'static {
    /// The pending decision; it does not borrow from the request.
    type Future: Future<Output = Result<(), Denied>> + Send + 'static;

    /// Starts to decide. What the decision needs must be read here.
    fn authorize(&self, request: &AccessRequest<'_, C>) -> Self::Future;
}

impl<C, F> Authorize<C> for F
where
    F: Fn(&AccessRequest<'_, C>) -> Result<(), Denied> + Send + Sync + 'static,
{
    type Future = Ready<Result<(), Denied>>;

    fn authorize(&self, request: &AccessRequest<'_, C>) -> Self::Future {
        ready(self(request))
    }
}

/// Lets every verified caller do everything: for services that authorise inside, from the
/// [`Caller`](crate::verify::Caller) in the extensions.
#[derive(Clone, Copy, Debug, Default)]
pub struct AllowVerified;

impl<C> Authorize<C> for AllowVerified {
    type Future = Ready<Result<(), Denied>>;

    fn authorize(&self, _: &AccessRequest<'_, C>) -> Self::Future {
        ready(Ok(()))
    }
}

/// A verified request, as an authoriser sees it.
pub struct AccessRequest<'a, C> {
    parts: &'a Parts,
    signed: Signed<'a>,
    claims: &'a C,
    path: Cow<'a, str>,
}

/// What was verified.
enum Signed<'a> {
    Request(&'a SignedRequest<'a>),
    Form(&'a SignedForm<'a>, &'a PostObject),
}

impl<'a, C> AccessRequest<'a, C> {
    pub(crate) fn new(parts: &'a Parts, signed: &'a SignedRequest<'a>, claims: &'a C) -> Self {
        Self { parts, signed: Signed::Request(signed), claims, path: signed.normal_path() }
    }

    /// An upload by a form is the `PUT` of its object.
    pub(crate) fn of_form(
        parts: &'a Parts,
        form: &'a SignedForm<'a>,
        object: &'a PostObject,
        claims: &'a C,
    ) -> Self {
        let path = Cow::Owned(crate::verify::object_path(parts, object.key()));
        Self { parts, signed: Signed::Form(form, object), claims, path }
    }

    /// The access key id whose signature was verified.
    pub fn access_key_id(&self) -> &str {
        match self.signed {
            Signed::Request(request) => request.access_key(),
            Signed::Form(form, _) => form.access_key(),
        }
    }

    /// How the request was signed.
    pub fn algorithm(&self) -> Algorithm {
        match self.signed {
            Signed::Request(request) => request.algorithm(),
            Signed::Form(..) => Algorithm::HmacSha256,
        }
    }

    /// The regions that a SigV4A signature is for: names separated by commas, `*` for all. `None` with SigV4. One
    /// of them is served here, and the same request can be sent to the others.
    pub fn region_set(&self) -> Option<&str> {
        match self.signed {
            Signed::Request(request) => request.region_set(),
            Signed::Form(..) => None,
        }
    }

    /// What the resolver knows of the caller.
    pub fn claims(&self) -> &C {
        self.claims
    }

    /// The method; `PUT` for an upload by a POST form, which is judged as the `PUT` of its object.
    pub fn method(&self) -> &Method {
        match self.signed {
            Signed::Request(_) => &self.parts.method,
            Signed::Form(..) => &Method::PUT,
        }
    }

    /// The host that was verified, with its port if the client wrote one: Host, `:authority`, or what a trusted proxy
    /// told of. The inner service will see it in Host. No signature covers the host of a POST form: it is the one on
    /// the wire.
    pub fn host(&self) -> Cow<'_, str> {
        match self.signed {
            Signed::Request(request) => request.host(),
            Signed::Form(..) => {
                let header = self.parts.headers.get(HOST).map(HeaderValue::as_bytes);
                let host =
                    header.or(self.parts.uri.authority().map(|authority| authority.as_str().as_bytes()));
                String::from_utf8_lossy(host.unwrap_or_default())
            }
        }
    }

    /// The path that the inner service will see, percent-encoded, with its leading slash: the one on the wire, or its
    /// normal form where the verifier was told to accept others. For an upload by a POST form it is the path of the
    /// object: the bucket's URL and the key, with the file's name in place.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The query as it stands on the wire, the presigned parameters included.
    pub fn query(&self) -> Option<&str> {
        self.parts.uri.query()
    }

    /// The headers. In a presigned request `x-amz-*` values may stand in the query instead: ask
    /// [`effective_header`](Self::effective_header).
    pub fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }

    /// The value that acts: the header, else the parameter that a presigned query carries in its place (never one of
    /// server-side encryption, which is dropped), and in a POST form the field. `name` is in lower case.
    pub fn effective_header(&self, name: &str) -> Option<Cow<'_, str>> {
        match self.signed {
            Signed::Request(request) => request.effective_header(name),
            Signed::Form(_, object) => object.field(name).map(Cow::Borrowed),
        }
    }

    /// What a POST form says of its object, where this is one.
    pub fn post_object(&self) -> Option<&PostObject> {
        match self.signed {
            Signed::Request(_) => None,
            Signed::Form(_, object) => Some(object),
        }
    }

    /// The source of a copy: a read of another object, to be allowed as one. Percent-encoded as on the wire.
    pub fn copy_source(&self) -> Option<Cow<'_, str>> {
        self.effective_header("x-amz-copy-source")
    }

    /// All of the head, extensions included (a listener may have left the peer's address there).
    pub fn parts(&self) -> &Parts {
        self.parts
    }
}

impl<C> fmt::Debug for AccessRequest<'_, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessRequest")
            .field("access_key_id", &self.access_key_id())
            .field("method", self.method())
            .field("path", &self.path())
            .finish_non_exhaustive()
    }
}

/// The answer "no", or "cannot say now".
///
/// The client learns `AccessDenied` (or `ServiceUnavailable`) and nothing more; the note is for the service's own log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    note: Cow<'static, str>,
    unavailable: bool,
}

impl Denied {
    /// Not allowed (403). `note` says why, in the log alone: no secret belongs there.
    pub fn new(note: impl Into<Cow<'static, str>>) -> Self {
        Self { note: note.into(), unavailable: false }
    }

    /// The decision could not be had (503).
    pub fn unavailable(note: impl Into<Cow<'static, str>>) -> Self {
        Self { note: note.into(), unavailable: true }
    }

    /// Why, for the service's own log.
    pub fn note(&self) -> &str {
        &self.note
    }

    /// Whether the caller may try again.
    pub fn is_unavailable(&self) -> bool {
        self.unavailable
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.unavailable { "no decision on access: " } else { "access denied: " })?;
        f.write_str(&self.note)
    }
}

impl Error for Denied {}
