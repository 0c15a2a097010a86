//! The service and its builder.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use credfed_core::oidc::TrustedIssuers;
use credfed_core::session::SealedSessions;
use credfed_core::{Clock, SystemClock};
use credfed_sigv4_verify::{BuildError, Profile, Verifier, VerifierBuilder};
use http::request::Parts;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::actions::Sts;
use super::arn::Account;
use super::body::StsBody;
use super::call::{Action, WebIdentityCall};
use super::caller::KeyHolder;
use super::error::StsError;
use super::future::StsFuture;
use super::hook::{AssumeHook, DefaultRules, DynAssumeHook};
use super::parameters::{self, Parameters};
use super::response::{fitted, refusal, success};
use super::role::{DynRoles, RoleTable, Roles};
use super::signed::{Answering, Door, SignedActions, SignedDoor};
use crate::authorize::AllowVerified;
use crate::resolve::{Principal, ResolveKey};
use crate::verify::{VerifySigV4Layer, request_id};

/// An STS endpoint; see [the module](super). Cheap to clone.
#[derive(Clone)]
pub struct StsService {
    sts: Arc<Sts>,
    door: Arc<dyn SignedDoor>,
}

impl StsService {
    /// Starts with the account that roles and users live in, the sealer of session tokens, and the resolver of the
    /// keys that sign AssumeRole, GetSessionToken and GetCallerIdentity. Without more it knows no role and no issuer.
    pub fn builder<R, C>(account: Account, sessions: SealedSessions, keys: R) -> StsServiceBuilder<R>
    where
        R: ResolveKey<Claims = Principal<C>>,
        C: KeyHolder + Clone + Send + Sync + 'static,
    {
        StsServiceBuilder {
            account,
            sessions,
            keys,
            issuers: None,
            tagging: BTreeSet::new(),
            naming: BTreeSet::new(),
            roles: Box::new(RoleTable::default()),
            hook: Box::new(DefaultRules),
            clock: Arc::new(SystemClock),
            verifier: Verifier::builder().profile(Profile::Sts).any_region(),
        }
    }

    /// Whether a request is one for STS, where STS and S3 share an address: the path is `/`, and
    /// - the method is `POST`, there is no query, and the content type is `application/x-www-form-urlencoded`; or
    /// - the method is `POST`, `GET` or `HEAD`, and the query has a parameter `Action`.
    ///
    /// No operation of S3 fits: ListBuckets (`GET /`) has no `Action`, and what S3 posts to `/` of a bucket that is
    /// named by the host is `multipart/form-data` or has a query (`?delete`). Only the head is looked at; what it
    /// says decides where a request goes and nothing else.
    pub fn handles(parts: &Parts) -> bool {
        parameters::handles(parts)
    }

    /// The answer to a request whose body is complete.
    pub(super) fn answer(&self, parts: Parts, body: Bytes) -> Answering {
        let action = Parameters::read(&parts, &body).and_then(|mut parameters| {
            match Action::parse(&parameters.action()?)? {
                Action::AssumeRoleWithWebIdentity => Ok(Some(WebIdentityCall::parse(parameters)?)),
                Action::AssumeRole | Action::GetSessionToken | Action::GetCallerIdentity => Ok(None),
            }
        });
        match action {
            Ok(None) => self.door.knock(Request::from_parts(parts, StsBody::new(body))),
            Ok(Some(call)) => self.web_identity(call),
            Err(error) => Box::pin(std::future::ready(self.refuse(Some(&parts), error))),
        }
    }

    fn web_identity(&self, call: WebIdentityCall) -> Answering {
        let sts = Arc::clone(&self.sts);
        Box::pin(async move {
            let now = sts.clock.wall();
            let request_id = request_id(now);
            match sts.web_identity(call, now).await {
                Ok(outcome) => success(&outcome, &request_id),
                Err(error) => {
                    tracing::info!(target: "credfed::sts", %error, request_id, "refused");
                    refusal(error, &request_id)
                }
            }
        })
    }

    pub(super) fn refuse(&self, parts: Option<&Parts>, error: StsError) -> Response<StsBody> {
        let request_id = request_id(self.sts.clock.wall());
        tracing::debug!(target: "credfed::sts", %error, request_id, "refused");
        let response = refusal(error, &request_id);
        match parts {
            Some(parts) => fitted(response, &parts.method),
            None => response,
        }
    }
}

impl fmt::Debug for StsService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StsService").field("sts", &self.sts).finish_non_exhaustive()
    }
}

impl<B> Service<Request<B>> for StsService
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Response = Response<StsBody>;
    type Error = Infallible;
    type Future = StsFuture<B>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        StsFuture::new(self.clone(), request)
    }
}

/// Settings of an [`StsService`].
#[must_use = "a builder does nothing until build()"]
pub struct StsServiceBuilder<R> {
    account: Account,
    sessions: SealedSessions,
    keys: R,
    issuers: Option<TrustedIssuers>,
    tagging: BTreeSet<Box<str>>,
    naming: BTreeSet<Box<str>>,
    roles: Box<dyn DynRoles>,
    hook: Box<dyn DynAssumeHook>,
    clock: Arc<dyn Clock>,
    verifier: VerifierBuilder,
}

impl<R> StsServiceBuilder<R> {
    /// The roles that can be assumed. Default: none.
    pub fn roles(mut self, roles: impl Roles) -> Self {
        self.roles = Box::new(roles);
        self
    }

    /// The issuers of web identities. Default: none.
    pub fn issuers(mut self, issuers: TrustedIssuers) -> Self {
        self.issuers = Some(issuers);
        self
    }

    /// Believes what tokens of this issuer say of session tags (the claim `https://aws.amazon.com/tags`). The trust of
    /// the role has to allow tags as well. Without this the claim is not looked at.
    pub fn session_tags_from(mut self, issuer: impl Into<Box<str>>) -> Self {
        self.tagging.insert(issuer.into());
        self
    }

    /// Believes what tokens of this issuer say of the source identity (the claim
    /// `https://aws.amazon.com/source_identity`). The trust of the role has to allow it as well.
    pub fn source_identity_from(mut self, issuer: impl Into<Box<str>>) -> Self {
        self.naming.insert(issuer.into());
        self
    }

    /// Asked last about each assumption. Default: the rules decide.
    pub fn hook(mut self, hook: impl AssumeHook) -> Self {
        self.hook = Box::new(hook);
        self
    }

    /// Judges requests, tokens and sessions by another clock.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Changes settings of the verifier of signed requests, such as its limits. It starts with [`Profile::Sts`] and
    /// [`any_region`](VerifierBuilder::any_region) (clients sign for `us-east-1` as well as for their own).
    pub fn verifier(mut self, change: impl FnOnce(VerifierBuilder) -> VerifierBuilder) -> Self {
        self.verifier = change(self.verifier);
        self
    }

    /// The service.
    ///
    /// # Errors
    /// Those of [`VerifierBuilder::build`], where [`verifier`](Self::verifier) changed something.
    pub fn build<C>(self) -> Result<StsService, BuildError>
    where
        R: ResolveKey<Claims = Principal<C>>,
        C: KeyHolder + Clone + Send + Sync + 'static,
    {
        let layer = VerifySigV4Layer::new(self.verifier.build()?, self.keys, AllowVerified)
            .clock(Arc::clone(&self.clock))
            .evaluates_session_policies();
        let sts = Arc::new(Sts {
            account: self.account,
            sessions: self.sessions,
            issuers: self.issuers,
            tagging: self.tagging,
            naming: self.naming,
            roles: self.roles,
            hook: self.hook,
            clock: self.clock,
        });
        let actions = SignedActions::<C>::new(Arc::clone(&sts));
        Ok(StsService { sts, door: Arc::new(Door { layer, actions }) })
    }
}

impl<R> fmt::Debug for StsServiceBuilder<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StsServiceBuilder").field("account", &self.account).finish_non_exhaustive()
    }
}
