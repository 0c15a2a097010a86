//! One request on its way out: credential, signature, answer, and at most one more try.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use credfed_core::{AwsCredentials, Cached, Get};
use http::request::Parts;
use http::{Method, Request, Response};
use http_body::Body;
use pin_project::pin_project;
use tower_service::Service;

use super::error::SignError;
use super::inspect::{Inspection, UpstreamBody};
use super::layer::Shared;
use super::replay::Replay;
use super::request::{Payload, SdkIdentity, prepare, sign_parts};

/// The response of [`SignSigV4`](super::SignSigV4).
#[pin_project(project = SignProjection)]
pub struct SignFuture<S, P, B, ResBody>
where
    S: Service<Request<B>>,
    ResBody: Body,
{
    shared: Arc<Shared<P>>,
    service: S,
    /// Prepared, not yet signed: the next attempt.
    next: Option<(Parts, B)>,
    /// The credential that the attempt under way was signed with.
    used: Option<Cached<AwsCredentials>>,
    /// What a second attempt is made of.
    spare: Option<(Parts, B)>,
    /// The answer that rejected the credential: it stands where a second attempt cannot be made.
    first: Option<Response<UpstreamBody<ResBody>>>,
    refused: Option<SignError<S::Error>>,
    #[pin]
    stage: Stage<S::Future, ResBody>,
}

#[pin_project(project = StageProjection)]
enum Stage<F, ResBody> {
    Credential(#[pin] Get<AwsCredentials>),
    /// The client of a second attempt must be ready again.
    Ready(Cached<AwsCredentials>),
    Call(#[pin] F),
    Inspect(Inspection<ResBody>),
    /// The request was refused before anything was sent.
    Refused,
}

impl<S, P, B, ResBody> SignFuture<S, P, B, ResBody>
where
    S: Service<Request<B>>,
    P: Replay<B>,
    B: Body,
    ResBody: Body,
{
    pub(super) fn new(request: Request<B>, service: S, shared: Arc<Shared<P>>) -> Self {
        let (mut parts, body) = request.into_parts();
        let mut refused = None;
        match prepare(&mut parts, shared.upstream.as_ref(), shared.authorities.is_some()) {
            Ok(place) => {
                if shared.authorities.as_ref().is_some_and(|allowed| !allowed.contains(&place)) {
                    refused = Some(SignError::AuthorityNotAllowed);
                }
            }
            Err(why) => refused = Some(SignError::Unsignable(why)),
        }
        if loses_its_payload(&parts.method, &body) {
            refused =
                Some(SignError::Unsignable("a GET or HEAD whose payload has no length is sent without it"));
        }
        let spare = shared.replay.replay(&body).map(|copy| (parts.clone(), copy));
        let stage = if refused.is_some() { Stage::Refused } else { Stage::Credential(shared.provider.get()) };
        Self { shared, service, next: Some((parts, body)), used: None, spare, first: None, refused, stage }
    }
}

impl<S, P, B, ResBody> fmt::Debug for SignFuture<S, P, B, ResBody>
where
    S: Service<Request<B>>,
    ResBody: Body,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignFuture").finish_non_exhaustive()
    }
}

impl<S, P, B, ResBody> Future for SignFuture<S, P, B, ResBody>
where
    S: Service<Request<B>, Response = Response<ResBody>>,
    B: Body,
    ResBody: Body<Data = Bytes> + Unpin,
{
    type Output = Result<Response<UpstreamBody<ResBody>>, SignError<S::Error>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let answer = ready!(this.poll_answer(cx));
        // A second attempt that cannot be made takes nothing away from the first.
        Poll::Ready(answer.or_else(|error| this.first.take().ok_or(error)))
    }
}

type Answer<S, B, ResBody> =
    Result<Response<UpstreamBody<ResBody>>, SignError<<S as Service<Request<B>>>::Error>>;

impl<S, P, B, ResBody> SignProjection<'_, S, P, B, ResBody>
where
    S: Service<Request<B>, Response = Response<ResBody>>,
    B: Body,
    ResBody: Body<Data = Bytes> + Unpin,
{
    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<Answer<S, B, ResBody>> {
        loop {
            let next = match self.stage.as_mut().project() {
                StageProjection::Credential(get) => {
                    let credential = ready!(get.poll(cx)).map_err(SignError::Credential)?;
                    if self.used.is_none() {
                        // The first attempt goes to the client that was polled ready.
                        Stage::Call(self.send(credential)?)
                    } else {
                        Stage::Ready(credential)
                    }
                }
                StageProjection::Ready(credential) => {
                    ready!(self.service.poll_ready(cx)).map_err(SignError::Inner)?;
                    let credential = credential.clone();
                    Stage::Call(self.send(credential)?)
                }
                StageProjection::Call(call) => {
                    let response = ready!(call.poll(cx)).map_err(SignError::Inner)?;
                    // Where a credential that is new is rejected too, it is not the credential.
                    if self.first.is_some()
                        || !Inspection::is_due(&response, is_application(&self.shared.service))
                    {
                        return Poll::Ready(Ok(response.map(UpstreamBody::Streaming)));
                    }
                    Stage::Inspect(Inspection::of(response))
                }
                StageProjection::Inspect(inspection) => {
                    let (rejection, response) = ready!(inspection.poll(cx));
                    if let (Some(why), Some(used)) = (rejection, self.used.as_ref()) {
                        self.shared.provider.invalidate(used, why);
                        if let Some(spare) = self.spare.take() {
                            *self.next = Some(spare);
                            *self.first = response;
                            self.stage.set(Stage::Credential(self.shared.provider.get()));
                            continue;
                        }
                    }
                    return Poll::Ready(response.ok_or(gone()));
                }
                StageProjection::Refused => {
                    return Poll::Ready(Err(self.refused.take().unwrap_or(gone())));
                }
            };
            self.stage.set(next);
        }
    }

    fn send(&mut self, credential: Cached<AwsCredentials>) -> Result<S::Future, SignError<S::Error>> {
        let (mut parts, body) = self.next.take().ok_or(gone())?;
        let payload = Payload::of(&parts, body.is_end_stream());
        let identity = credential.derive(SdkIdentity::new);
        let (region, service) = (&self.shared.region, &self.shared.service);
        let now = self.shared.clock.wall();
        sign_parts(&mut parts, identity, region, service, payload, now).map_err(SignError::Unsignable)?;
        *self.used = Some(credential);
        Ok(self.service.call(Request::from_parts(parts, body)))
    }
}

/// Services that hand on an application's answers.
fn is_application(service: &str) -> bool {
    matches!(service, "execute-api" | "lambda" | "vpc-lattice-svcs")
}

fn gone<E>() -> SignError<E> {
    SignError::Unsignable("it was polled after it was answered")
}

/// HTTP/1 clients take a GET or HEAD whose body has no known length for one without a body: the upstream would see a
/// request that is complete and is not the one that was signed.
fn loses_its_payload<B: Body>(method: &Method, body: &B) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::CONNECT)
        && !body.is_end_stream()
        && body.size_hint().exact().is_none()
}
