//! The signed actions: an inner service behind the layer that verifies, and reachable in no other way.

use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::SystemTime;

use bytes::{Bytes, BytesMut};
use credfed_sigv4_verify::Carrier;
use http::request::Parts;
use http::{Request, Response};
use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;

use super::actions::Sts;
use super::body::StsBody;
use super::call::{Action, AssumeRoleCall, SessionTokenCall};
use super::caller::{KeyHolder, StsCaller};
use super::error::{Denial, StsError};
use super::parameters::{LONGEST, Parameters};
use super::response::{Outcome, refusal, success};
use crate::authorize::AllowVerified;
use crate::resolve::{Principal, ResolveKey};
use crate::verify::{AnswerBody, Caller, VerifiedBody, VerifySigV4Layer, request_id};

/// An answer on its way. It is boxed: beside the validation of a signature an allocation is nothing, and the types
/// of resolver, roles and hook stay out of the service's.
pub(super) type Answering = Pin<Box<dyn Future<Output = Response<StsBody>> + Send>>;

/// The way to the signed actions, which leads through [`VerifySigV4Layer`]; the resolver's type is erased.
pub(super) trait SignedDoor: Send + Sync {
    fn knock(&self, request: Request<StsBody>) -> Answering;
}

pub(super) struct Door<R, C> {
    pub(super) layer: VerifySigV4Layer<R, AllowVerified>,
    pub(super) actions: SignedActions<C>,
}

impl<R, C> SignedDoor for Door<R, C>
where
    R: ResolveKey<Claims = Principal<C>>,
    C: KeyHolder + Clone + Send + Sync + 'static,
{
    fn knock(&self, request: Request<StsBody>) -> Answering {
        let mut service = self.layer.layer(self.actions.clone());
        Box::pin(async move {
            // The actions are always ready.
            let answer = service.call(request).await.unwrap_or_else(|never| match never {});
            answer.map(|body| match body {
                AnswerBody::Inner(body) => body,
                AnswerBody::Refusal(bytes) => StsBody::new(bytes.unwrap_or_default()),
            })
        })
    }
}

/// AssumeRole, GetSessionToken and GetCallerIdentity. It takes a verified body and nothing else, so it cannot be
/// called without the layer.
pub(super) struct SignedActions<C> {
    sts: Arc<Sts>,
    holder: PhantomData<fn() -> C>,
}

impl<C> SignedActions<C> {
    pub(super) fn new(sts: Arc<Sts>) -> Self {
        Self { sts, holder: PhantomData }
    }
}

impl<C> Clone for SignedActions<C> {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.sts))
    }
}

impl<C> fmt::Debug for SignedActions<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedActions").finish_non_exhaustive()
    }
}

impl<B, C> Service<Request<VerifiedBody<B>>> for SignedActions<C>
where
    B: Body<Data = Bytes> + Unpin + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
    C: KeyHolder + Clone + Send + Sync + 'static,
{
    type Response = Response<StsBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<StsBody>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<VerifiedBody<B>>) -> Self::Future {
        let sts = Arc::clone(&self.sts);
        Box::pin(async move {
            let now = sts.clock.wall();
            let request_id = request_id(now);
            let (parts, body) = request.into_parts();
            let outcome = act::<B, C>(&sts, &parts, body, now).await;
            Ok(match outcome {
                Ok(outcome) => success(&outcome, &request_id),
                Err(error) => {
                    tracing::info!(target: "credfed::sts", %error, request_id, "refused");
                    refusal(error, &request_id)
                }
            })
        })
    }
}

async fn act<B, C>(
    sts: &Sts,
    parts: &Parts,
    body: VerifiedBody<B>,
    now: SystemTime,
) -> Result<Outcome, StsError>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
    C: KeyHolder + Send + Sync + 'static,
{
    let body = collect(body).await?;
    let caller = parts.extensions.get::<Caller<Principal<C>>>().ok_or(StsError::Internal)?;
    let who = StsCaller::new(caller.claims(), caller.key_kind(), &sts.account).ok_or_else(|| {
        tracing::error!(target: "credfed::sts", key = caller.access_key_id(), "the caller's name makes no arn");
        StsError::Internal
    })?;
    let mut parameters = Parameters::read(parts, &body)?;
    let action = Action::parse(&parameters.action()?)?;
    if caller.carrier() == Carrier::Presigned && action != Action::GetCallerIdentity {
        let message = "Only GetCallerIdentity can be called with a presigned request";
        return Err(StsError::Denied { why: Denial::Presigned, message: message.into() });
    }
    match action {
        Action::GetCallerIdentity => {
            parameters.drop_signature();
            parameters.finish()?;
            Ok(Outcome::CallerIdentity(who))
        }
        Action::GetSessionToken => {
            Sts::check_session_token_caller(&who)?;
            sts.session_token(&SessionTokenCall::parse(parameters)?, &who, now)
        }
        Action::AssumeRole => sts.assume_role(AssumeRoleCall::parse(parameters)?, &who, now).await,
        // It needs no signature, and is answered before the layer.
        Action::AssumeRoleWithWebIdentity => Err(StsError::Internal),
    }
}

/// The verified body, to its end. It was in memory before it was verified, so its size was judged.
async fn collect<B>(body: VerifiedBody<B>) -> Result<Bytes, StsError>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let mut body = pin!(body);
    let mut read = BytesMut::new();
    while let Some(frame) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        let Ok(data) = frame.map_err(|_| StsError::Body)?.into_data() else { continue };
        if data.len() > LONGEST.saturating_sub(read.len()) {
            return Err(StsError::TooLarge);
        }
        read.extend_from_slice(&data);
    }
    Ok(read.freeze())
}
