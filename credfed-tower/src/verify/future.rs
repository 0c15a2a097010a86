//! One request on its way: parse, resolve, verify, authorise, call, and a last look at the body.

mod decide;
mod form;

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
use http::{Method, Request, Response, Uri};
use http_body::Body;
use pin_project::pin_project;
use sha2::{Digest, Sha256};
use tower_service::Service;

use super::body::VerifiedBody;
use super::caller::Caller;
use super::changes::Changes;
use super::form::strip_enclosure;
use super::layer::Shared;
use super::reject::{AnswerBody, Refusal, request_id};
use super::watch::{DRAIN_LIMIT, Verdict, Watch};
use crate::authorize::Authorize;
use crate::payload::{DecodedLength, PayloadSha256, describe_decoded};
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
    /// A chunked body of no bytes is checked before the inner service is called: there is no last byte to wait.
    Empty {
        request: Option<Request<VerifiedBody<B>>>,
        budget: usize,
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
    /// Where the body is decoded.
    decoded: Option<DecodedLength>,
    /// What the inner service has to see in place of what is on the wire.
    changes: Changes,
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
            Err(reason) => {
                // Gone once the inner service was called, and then it is not the signature that differs.
                let head = this.request.as_ref().map(|(parts, _)| parts);
                Ok(refusal(this.shared, this.asked, head, *this.now, reason))
            }
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
                StageProjection::Empty { request, budget } => {
                    let watch = self.watch.as_ref().ok_or(Reason::Internal)?;
                    match ready!(watch.lock().poll_drain(cx, budget)) {
                        Verdict::Verified => {}
                        Verdict::Failed(reason) => return Poll::Ready(Err(reason)),
                        Verdict::Unread => return Poll::Ready(Err(Reason::IncompleteBody)),
                    }
                    let calling = self.service.call(request.take().ok_or(Reason::Internal)?);
                    self.stage.set(Stage::Call(calling));
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
        let (payload, decoded) = match signed.payload_mode() {
            PayloadMode::Sha256(hash) => (Some(PayloadSha256(hash)), None),
            PayloadMode::Chunked(chunked) => (None, Some(DecodedLength(chunked.decoded_length()))),
            _ => (None, None),
        };
        let (caller, decision) = decide(self.shared, parts, &signed, &head, resolved)?;
        let changes = Changes::of(&signed);
        let evidence = Evidence::Head(head);
        let verified = Some(Verified { evidence, caller, payload, decoded, changes, buffered: None });
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
        let changes = Changes::of(&signed);
        let evidence = Evidence::Head(head);
        let verified = Some(Verified { evidence, caller, payload, decoded: None, changes, buffered });
        self.stage.set(Stage::Authorize { decision, verified });
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, verified: Verified<R::Claims>) -> Result<(), Reason> {
        let Verified { evidence, caller, payload, decoded, changes, buffered } = verified;
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
        changes.apply(&mut parts)?;
        parts.extensions.insert(caller);
        // One that an outer layer left would be taken for what the caller signed.
        parts.extensions.remove::<PayloadSha256>();
        parts.extensions.remove::<DecodedLength>();
        if let Some(payload) = payload {
            parts.extensions.insert(payload);
        }
        if let Some(decoded) = decoded {
            describe_decoded(&mut parts.headers, decoded);
            parts.extensions.insert(decoded);
        }
        *self.watch = watch;
        let request = Request::from_parts(parts, body);
        if decoded == Some(DecodedLength(0)) && self.watch.is_some() {
            self.stage.set(Stage::Empty { request: Some(request), budget: DRAIN_LIMIT });
            return Ok(());
        }
        let calling = self.service.call(request);
        self.stage.set(Stage::Call(calling));
        Ok(())
    }
}

fn succeeds<B>(response: &Response<B>) -> bool {
    response.status().as_u16() < 400
}

fn refusal<R, A, ResBody>(
    shared: &Shared<R, A>,
    asked: &Asked,
    head: Option<&Parts>,
    now: SystemTime,
    reason: Reason,
) -> Response<AnswerBody<ResBody>> {
    let request_id = request_id(now);
    let preimage = head
        .filter(|_| shared.shows_canonical_requests && reason == Reason::SignatureMismatch)
        .and_then(|head| shared.verifier.parse(head).ok()?.preimage(None));
    let refusal = Refusal {
        reason: &reason,
        protocol: shared.verifier.protocol(),
        method: &asked.method,
        path: asked.uri.path(),
        request_id: &request_id,
        preimage: preimage.as_ref(),
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
