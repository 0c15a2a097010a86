//! One request on its way: parse, resolve, verify, authorise, call, and a last look at the body.

mod decide;
mod form;

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::SystemTime;

use bytes::{Bytes, BytesMut};
use credfed_sigv4_verify::{PayloadMode, PostObject, Reason, VerifiedForm, VerifiedHead};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{Method, Request, Response, Uri};
use http_body::Body;
use pin_project::pin_project;
use sha2::{Digest, Sha256};
use tower_service::Service;

use super::body::VerifiedBody;
use super::caller::Caller;
use super::form::strip_enclosure;
use super::layer::Shared;
use super::reject::{AnswerBody, Refusal, request_id};
use super::watch::{DRAIN_LIMIT, Verdict, Watch};
use crate::authorize::Authorize;
use crate::payload::PayloadSha256;
use crate::resolve::{KeyRequest, ResolveError, ResolveKey, Resolved};

use self::decide::{decide, denied, unresolved};
use self::form::Form;

/// The response of [`VerifySigV4`](super::VerifySigV4).
#[pin_project(project = VerifyProjection)]
pub struct VerifyFuture<S, R, A, B>
where
    S: Service<Request<VerifiedBody<B>>>,
    R: ResolveKey,
    A: Authorize<R::Claims>,
{
    shared: Arc<Shared<R, A>>,
    service: S,
    /// Taken when the inner service is called.
    request: Option<(Parts, B)>,
    now: SystemTime,
    asked: Asked,
    /// The form that is read, where the request carries one; its parts stand here then.
    form: Option<Box<Form<B>>>,
    /// The body under check, once the inner service has it.
    watch: Option<Watch<B>>,
    #[pin]
    stage: Stage<S, R, A, B>,
}

/// What a refusal says of its request.
struct Asked {
    method: Method,
    uri: Uri,
}

#[pin_project(project = StageProjection)]
enum Stage<S, R, A, B>
where
    S: Service<Request<VerifiedBody<B>>>,
    R: ResolveKey,
    A: Authorize<R::Claims>,
{
    Parse,
    Resolve(#[pin] R::Future),
    /// The fields of a form, up to its file.
    ReadFields,
    ResolveForm(#[pin] R::Future),
    /// The hash of the real body is part of the signature.
    Buffer {
        resolved: Option<Result<Resolved<R::Claims>, ResolveError>>,
        read: BytesMut,
    },
    Authorize {
        #[pin]
        decision: A::Future,
        verified: Option<Verified<R::Claims>>,
    },
    Call(#[pin] S::Future),
    /// The inner service answered success without having read the body to its verified end.
    Drain {
        response: Option<S::Response>,
        budget: usize,
    },
}

/// What is known of a request whose head was verified, while the authoriser decides.
struct Verified<C> {
    evidence: Evidence,
    caller: Caller<C>,
    payload: Option<PayloadSha256>,
    /// The normal path, where the verifier was told to accept another one on the wire.
    path: Option<Box<str>>,
    /// The body, where it had to be read first.
    buffered: Option<Bytes>,
}

/// What was verified, in its carrier.
enum Evidence {
    Head(VerifiedHead),
    Form(VerifiedForm),
}

impl<S, R, A, B> VerifyFuture<S, R, A, B>
where
    S: Service<Request<VerifiedBody<B>>>,
    R: ResolveKey,
    A: Authorize<R::Claims>,
{
    pub(super) fn new(request: Request<B>, service: S, shared: Arc<Shared<R, A>>) -> Self {
        let now = shared.clock.wall();
        let asked = Asked { method: request.method().clone(), uri: request.uri().clone() };
        let request = Some(request.into_parts());
        Self { shared, service, request, now, asked, form: None, watch: None, stage: Stage::Parse }
    }
}

impl<S, R, A, B> fmt::Debug for VerifyFuture<S, R, A, B>
where
    S: Service<Request<VerifiedBody<B>>>,
    R: ResolveKey,
    A: Authorize<R::Claims>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyFuture").finish_non_exhaustive()
    }
}

impl<S, R, A, B, ResBody> Future for VerifyFuture<S, R, A, B>
where
    S: Service<Request<VerifiedBody<B>>, Response = Response<ResBody>>,
    R: ResolveKey,
    A: Authorize<R::Claims>,
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Output = Result<Response<AnswerBody<ResBody>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        Poll::Ready(match ready!(this.poll_answer(cx)) {
            Ok(Ok(response)) => Ok(response.map(AnswerBody::Inner)),
            Ok(Err(error)) => Err(error),
            Err(reason) => Ok(refusal(this.shared, this.asked, *this.now, reason)),
        })
    }
}

/// The inner service's answer, or why there is none.
type Answer<Res, E> = Result<Result<Res, E>, Reason>;

impl<S, R, A, B, ResBody> VerifyProjection<'_, S, R, A, B>
where
    S: Service<Request<VerifiedBody<B>>, Response = Response<ResBody>>,
    R: ResolveKey,
    A: Authorize<R::Claims>,
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<Answer<S::Response, S::Error>> {
        loop {
            match self.stage.as_mut().project() {
                StageProjection::Parse | StageProjection::Resolve(_) => ready!(self.poll_resolve(cx))?,
                StageProjection::ReadFields => ready!(self.poll_fields(cx))?,
                StageProjection::ResolveForm(resolving) => {
                    let resolved = ready!(resolving.poll(cx));
                    self.verify_form(resolved)?;
                }
                StageProjection::Buffer { .. } => ready!(self.poll_buffer(cx))?,
                StageProjection::Authorize { decision, verified } => {
                    ready!(decision.poll(cx)).map_err(denied)?;
                    let verified = verified.take().ok_or(Reason::Internal)?;
                    self.call(verified)?;
                }
                StageProjection::Call(calling) => {
                    let answer = ready!(calling.poll(cx));
                    let verdict =
                        self.watch.as_ref().map_or(Verdict::Verified, |watch| watch.lock().verdict());
                    match (verdict, answer) {
                        (Verdict::Failed(reason), _) => return Poll::Ready(Err(reason)),
                        (Verdict::Unread, Ok(response)) if succeeds(&response) => {
                            self.stage.set(Stage::Drain { response: Some(response), budget: DRAIN_LIMIT });
                        }
                        (_, answer) => return Poll::Ready(Ok(answer)),
                    }
                }
                StageProjection::Drain { response, budget } => {
                    // Whoever still holds the body would lose what is read here.
                    let watch = self.watch.as_ref().filter(|watch| watch.is_sole());
                    let watch = watch.ok_or(Reason::IncompleteBody)?;
                    return Poll::Ready(match ready!(watch.lock().poll_drain(cx, budget)) {
                        Verdict::Verified => response.take().map(Ok).ok_or(Reason::Internal),
                        Verdict::Failed(reason) => Err(reason),
                        Verdict::Unread => Err(Reason::IncompleteBody),
                    });
                }
            }
        }
    }

    /// Parses and resolves. A resolver that answers at once costs no second parse.
    fn poll_resolve(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Reason>> {
        if matches!(*self.stage, Stage::Parse) && self.begin_form()? {
            self.stage.set(Stage::ReadFields);
            return Poll::Ready(Ok(()));
        }
        let (parts, _) = self.request.as_ref().ok_or(Reason::Internal)?;
        let verifier = &self.shared.verifier;
        let (signed, resolved);
        if let StageProjection::Resolve(resolving) = self.stage.as_mut().project() {
            resolved = ready!(resolving.poll(cx));
            signed = verifier.parse(parts)?;
        } else {
            signed = verifier.parse(parts)?;
            let key = KeyRequest::new(signed.access_key(), signed.session_token(), signed.scope(), *self.now);
            self.stage.set(Stage::Resolve(self.shared.resolver.resolve(key)));
            let StageProjection::Resolve(resolving) = self.stage.as_mut().project() else {
                return Poll::Ready(Err(Reason::Internal));
            };
            resolved = ready!(resolving.poll(cx));
        }
        // With uniform errors the body is waited for whether there is a key or not.
        let uniform = verifier.disclosed(Reason::UnknownKey) != Reason::UnknownKey;
        if signed.needs_body_hash() && (uniform || resolved.is_ok()) {
            self.stage.set(Stage::Buffer { resolved: Some(resolved), read: BytesMut::new() });
            return Poll::Ready(Ok(()));
        }
        let resolved = match resolved {
            Ok(resolved) => resolved,
            Err(error) => return Poll::Ready(Err(unresolved(self.shared, &signed, error, *self.now))),
        };
        let head = verifier.verify(&signed, Some(&resolved.key), *self.now)?;
        let payload = match signed.payload_mode() {
            PayloadMode::Sha256(hash) => Some(PayloadSha256(hash)),
            _ => None,
        };
        let (caller, decision) = decide(self.shared, parts, &signed, &head, resolved)?;
        let path = changed(signed.normal_path());
        let evidence = Evidence::Head(head);
        let verified = Some(Verified { evidence, caller, payload, path, buffered: None });
        self.stage.set(Stage::Authorize { decision, verified });
        Poll::Ready(Ok(()))
    }

    /// Reads the body up to the cap, since its hash is a line of the canonical request, and verifies then.
    fn poll_buffer(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Reason>> {
        let StageProjection::Buffer { resolved, read } = self.stage.as_mut().project() else {
            return Poll::Ready(Err(Reason::Internal));
        };
        let (parts, body) = self.request.as_mut().ok_or(Reason::Internal)?;
        let cap = self.shared.verifier.limits().buffered_body;
        let rest = cap.saturating_sub(read.len());
        if body.size_hint().lower() > rest as u64 {
            return Poll::Ready(Err(Reason::EntityTooLarge));
        }
        while let Some(frame) = ready!(Pin::new(&mut *body).poll_frame(cx)) {
            let frame = frame.map_err(|_| Reason::IncompleteBody)?;
            let Ok(data) = frame.into_data() else { continue };
            if data.len() > cap.saturating_sub(read.len()) {
                return Poll::Ready(Err(Reason::EntityTooLarge));
            }
            read.extend_from_slice(&data);
        }
        let hash: [u8; 32] = Sha256::digest(&read[..]).into();
        let resolved = resolved.take().ok_or(Reason::Internal)?;
        let signed = self.shared.verifier.parse(parts)?;
        let resolved = match resolved {
            Ok(resolved) => resolved,
            Err(error) => return Poll::Ready(Err(unresolved(self.shared, &signed, error, *self.now))),
        };
        let head =
            self.shared.verifier.verify_with_body_hash(&signed, Some(&resolved.key), *self.now, hash)?;
        let (caller, decision) = decide(self.shared, parts, &signed, &head, resolved)?;
        let (payload, buffered) = (Some(PayloadSha256(hash)), Some(read.split().freeze()));
        let path = changed(signed.normal_path());
        let evidence = Evidence::Head(head);
        let verified = Some(Verified { evidence, caller, payload, path, buffered });
        self.stage.set(Stage::Authorize { decision, verified });
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, verified: Verified<R::Claims>) -> Result<(), Reason> {
        let Verified { evidence, caller, payload, path, buffered } = verified;
        let (mut parts, body, watch) = match (evidence, buffered) {
            (Evidence::Form(form), _) => {
                let Form { mut parts, reader, .. } = *self.form.take().ok_or(Reason::Internal)?;
                let (object, body, watch) = VerifiedBody::file(form, reader);
                strip_enclosure(&mut parts);
                parts.extensions.insert(object);
                (parts, body, Some(watch))
            }
            (Evidence::Head(head), buffered) => {
                let (mut parts, body) = self.request.take().ok_or(Reason::Internal)?;
                // One that an outer layer left would be taken for a form's.
                parts.extensions.remove::<PostObject>();
                let (body, watch) = match buffered {
                    Some(bytes) => (VerifiedBody::buffered(head, bytes), None),
                    None => VerifiedBody::bind(head, body)?,
                };
                (parts, body, watch)
            }
        };
        if let Some(path) = path {
            parts.uri = with_path(&parts.uri, &path)?;
        }
        parts.extensions.insert(caller);
        // One that an outer layer left would be taken for what the caller signed.
        parts.extensions.remove::<PayloadSha256>();
        if let Some(payload) = payload {
            parts.extensions.insert(payload);
        }
        *self.watch = watch;
        let calling = self.service.call(Request::from_parts(parts, body));
        self.stage.set(Stage::Call(calling));
        Ok(())
    }
}

/// The normal path, where it is not the one on the wire.
fn changed(normal: Cow<'_, str>) -> Option<Box<str>> {
    match normal {
        Cow::Borrowed(_) => None,
        Cow::Owned(path) => Some(path.into()),
    }
}

/// The inner service sees the path that was verified.
fn with_path(uri: &Uri, path: &str) -> Result<Uri, Reason> {
    let target = match uri.query() {
        Some(query) => PathAndQuery::try_from(format!("{path}?{query}")),
        None => PathAndQuery::try_from(path),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(target.map_err(|_| Reason::Internal)?);
    Uri::from_parts(parts).map_err(|_| Reason::Internal)
}

fn succeeds<B>(response: &Response<B>) -> bool {
    response.status().as_u16() < 400
}

fn refusal<R, A, ResBody>(
    shared: &Shared<R, A>,
    asked: &Asked,
    now: SystemTime,
    reason: Reason,
) -> Response<AnswerBody<ResBody>> {
    let request_id = request_id(now);
    let refusal = Refusal {
        reason: &reason,
        protocol: shared.verifier.protocol(),
        method: &asked.method,
        path: asked.uri.path(),
        request_id: &request_id,
    };
    tracing::debug!(target: "credfed::verify", code = refusal.code(), %reason, request_id, "refused");
    let mut response = match &shared.on_refusal {
        Some(answer) => answer(&refusal),
        None => refusal.answer(),
    };
    if asked.method == Method::HEAD {
        std::mem::take(response.body_mut());
    }
    response.extensions_mut().insert(reason);
    response.map(AnswerBody::refusal)
}
