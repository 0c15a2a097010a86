//! A token of an OpenID provider for a role.

use std::ffi::OsString;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use super::endpoint::{StsEndpoint, variable};
use super::limits;
use super::request::{Form, Role, RoleBuilder};
use super::response::{self, Expected};
use crate::identity::IdentityBuilder;
use crate::provider::DynProvider;
use crate::transport::retry::{Again, Failed, Pace};
use crate::transport::{HttpTransport, RetryPolicy};
use crate::{AwsCredentials, Expiring, Identity, Provider, ProviderError, Secret, TokenFile};

const ACTION: &str = "AssumeRoleWithWebIdentity";

/// One `AssumeRoleWithWebIdentity` call, without the token: parameters that are within their limits.
///
/// The call is not signed: the token is its only credential.
#[derive(Clone)]
pub struct AssumeRoleWithWebIdentityRequest {
    role: Role,
    provider_id: Option<String>,
}

impl AssumeRoleWithWebIdentityRequest {
    /// Starts with the role's ARN (20 to 2,048 characters) and the name of the session (2 to 64 of
    /// `[A-Za-z0-9_+=,.@-]`), which shows in the audit log of the service.
    pub fn builder(
        role_arn: impl Into<String>,
        session_name: impl Into<String>,
    ) -> AssumeRoleWithWebIdentityRequestBuilder {
        AssumeRoleWithWebIdentityRequestBuilder {
            role: RoleBuilder::new(role_arn, session_name),
            provider_id: None,
        }
    }

    /// The request, as it goes out. The token is in its body.
    ///
    /// # Errors
    ///
    /// [`Misconfigured`](crate::ErrorKind::Misconfigured) if the token does not have 4 to 20,000 characters.
    pub fn request(
        &self,
        endpoint: &StsEndpoint,
        token: &Secret,
    ) -> Result<http::Request<Bytes>, ProviderError> {
        limits::length("WebIdentityToken", token.expose(), 4, 20_000)?;
        let mut form = Form::new(ACTION);
        self.role.write(&mut form);
        if let Some(id) = &self.provider_id {
            form.field("ProviderId", id);
        }
        form.field("WebIdentityToken", token.expose());
        form.into_request(endpoint)
    }

    /// The credential of an answer that came at `now`. The clock counts only where the server gives no `Date`.
    ///
    /// # Errors
    ///
    /// What the answer stands for: a refusal of the service by its code, or
    /// [`Transient`](crate::ErrorKind::Transient) if it is no whole and valid answer to this call.
    pub fn parse(
        &self,
        response: http::Response<Bytes>,
        now: SystemTime,
    ) -> Result<Expiring<AwsCredentials>, ProviderError> {
        self.read(&response, None, now).map_err(|failed| failed.error)
    }

    fn read(
        &self,
        response: &http::Response<Bytes>,
        token: Option<&Secret>,
        now: SystemTime,
    ) -> Result<Expiring<AwsCredentials>, Failed> {
        let secrets: Vec<&str> = token.into_iter().chain(self.role.policy()).map(Secret::expose).collect();
        let expected = Expected { action: ACTION, role: &self.role, secrets: &secrets, now };
        response::parse(response, &expected)
    }

    fn identify(&self, identity: IdentityBuilder) -> IdentityBuilder {
        self.role.identify(identity).optional("provider-id", self.provider_id.as_ref())
    }
}

/// Shows the role and the session, and nothing of the policy.
impl fmt::Debug for AssumeRoleWithWebIdentityRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AssumeRoleWithWebIdentityRequest").field("role", &self.role).finish_non_exhaustive()
    }
}

/// Parameters of an [`AssumeRoleWithWebIdentityRequest`], which [`build`](Self::build) checks.
#[derive(Clone)]
#[must_use = "a builder does nothing until build()"]
pub struct AssumeRoleWithWebIdentityRequestBuilder {
    role: RoleBuilder,
    provider_id: Option<String>,
}

impl AssumeRoleWithWebIdentityRequestBuilder {
    /// How long the credential is to last: 900 to 43,200 whole seconds, and no more than the role allows. Default: the
    /// service's, an hour.
    pub fn duration(mut self, duration: Duration) -> Self {
        self.role.duration = Some(duration);
        self
    }

    /// A policy that the session is confined to, on top of the role's own: JSON of at most 2,048 characters.
    pub fn policy(mut self, json: impl Into<Secret>) -> Self {
        self.role.policy = Some(json.into());
        self
    }

    /// The ARN of a managed policy that the session is confined to; at most 10 of them.
    pub fn policy_arn(mut self, arn: impl Into<String>) -> Self {
        self.role.policy_arns.push(arn.into());
        self
    }

    /// The provider of an OAuth 2.0 access token (`www.amazon.com`, `graph.facebook.com`): 4 to 2,048 characters. Not
    /// for OpenID Connect tokens.
    pub fn provider_id(mut self, id: impl Into<String>) -> Self {
        self.provider_id = Some(id.into());
        self
    }

    /// The request.
    ///
    /// # Errors
    ///
    /// [`Misconfigured`](crate::ErrorKind::Misconfigured), by the parameter's name and its limit.
    pub fn build(self) -> Result<AssumeRoleWithWebIdentityRequest, ProviderError> {
        if let Some(id) = &self.provider_id {
            limits::length("ProviderId", id, 4, 2_048)?;
        }
        Ok(AssumeRoleWithWebIdentityRequest { role: self.role.build()?, provider_id: self.provider_id })
    }
}

impl fmt::Debug for AssumeRoleWithWebIdentityRequestBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AssumeRoleWithWebIdentityRequestBuilder").finish_non_exhaustive()
    }
}

/// Trades assertions for the credentials of a role.
///
/// Where the assertion comes from is any source of a [`Secret`]: a [`TokenFile`], this crate's own issuer, a closure.
/// It is asked for an assertion before each attempt, so do not put a cache around it. If it fails, so does the call;
/// the retry rules are for the service.
///
/// ```no_run
/// # #[cfg(feature = "reqwest")] {
/// use credfed_core::aws::sts::{AssumeRoleWithWebIdentity, AssumeRoleWithWebIdentityRequest, StsEndpoint};
/// use credfed_core::transport::HttpTransport;
/// use credfed_core::{CachedProvider, TokenFile};
///
/// let request =
///     AssumeRoleWithWebIdentityRequest::builder("arn:aws:iam::123456789012:role/reader", "ci").build()?;
/// let provider = CachedProvider::new(AssumeRoleWithWebIdentity::new(
///     request,
///     StsEndpoint::regional("eu-central-1")?,
///     TokenFile::new("/var/run/secrets/tokens/aws"),
///     HttpTransport::client().build()?,
/// ));
/// # let _ = provider;
/// # }
/// # Ok::<_, credfed_core::ProviderError>(())
/// ```
#[derive(Clone)]
pub struct AssumeRoleWithWebIdentity {
    request: AssumeRoleWithWebIdentityRequest,
    endpoint: StsEndpoint,
    assertion: Arc<dyn DynProvider<Secret>>,
    transport: HttpTransport,
    retry: RetryPolicy,
    identity: Identity,
}

impl AssumeRoleWithWebIdentity {
    /// Joins a request, the service, the source of assertions and an HTTP client, whose runtime port is the provider's
    /// too.
    pub fn new(
        request: AssumeRoleWithWebIdentityRequest,
        endpoint: StsEndpoint,
        assertion: impl Provider<Credential = Secret>,
        transport: HttpTransport,
    ) -> Self {
        let identity = Identity::of("sts-assume-role-with-web-identity")
            .part("assertion", assertion.identity().digest());
        let identity = request.identify(endpoint.identify(identity)).finish();
        let (assertion, retry) = (Arc::new(assertion), RetryPolicy::new());
        Self { request, endpoint, assertion, transport, retry, identity }
    }

    /// Reads the variables that EKS sets for a pod (IRSA): `AWS_WEB_IDENTITY_TOKEN_FILE` and `AWS_ROLE_ARN`, if set
    /// `AWS_ROLE_SESSION_NAME` (default `credfed`), and those of [`StsEndpoint::from_env`]. An empty variable counts
    /// as absent.
    ///
    /// # Errors
    ///
    /// [`NotConfigured`](crate::ErrorKind::NotConfigured) without a token file, which lets a chain go on;
    /// [`Misconfigured`](crate::ErrorKind::Misconfigured), by the variable's name, if another one is missing then or
    /// cannot be used.
    pub fn from_env(transport: HttpTransport) -> Result<Self, ProviderError> {
        Self::from_reader(transport, |name| std::env::var_os(name))
    }

    /// As [`from_env`](Self::from_env), from variables that a closure gives.
    ///
    /// # Errors
    ///
    /// As [`from_env`](Self::from_env).
    pub fn from_reader(
        transport: HttpTransport,
        read: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Self, ProviderError> {
        const FILE: &str = "AWS_WEB_IDENTITY_TOKEN_FILE";
        const ROLE: &str = "AWS_ROLE_ARN";
        const SESSION: &str = "AWS_ROLE_SESSION_NAME";
        let Some(file) = read(FILE).filter(|file| !file.to_string_lossy().trim().is_empty()) else {
            return Err(ProviderError::not_configured(
                "AWS_WEB_IDENTITY_TOKEN_FILE is not set in the environment",
            ));
        };
        let missing = |name: &str| {
            ProviderError::misconfigured(format!("{FILE} is set in the environment and {name} is missing"))
        };
        let role = variable(&read, ROLE)?.ok_or_else(|| missing(ROLE))?;
        let session = variable(&read, SESSION)?.unwrap_or_else(|| String::from("credfed"));
        let request = AssumeRoleWithWebIdentityRequest::builder(role, session)
            .build()
            .map_err(|error| ProviderError::misconfigured(format!("{ROLE} or {SESSION}: {error}")))?;
        let endpoint = StsEndpoint::from_variables(&read).map_err(|error| match error.kind() {
            crate::ErrorKind::NotConfigured => missing("AWS_REGION"),
            _ => error,
        })?;
        let file = TokenFile::new(file).runtime(transport.clocks());
        Ok(Self::new(request, endpoint, file, transport))
    }

    /// When a failed attempt is made again. Default: [`RetryPolicy::new`].
    #[must_use]
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    async fn attempt(&self) -> Result<Expiring<AwsCredentials>, Failed> {
        let never = |error| Failed { error, again: Again::Never };
        let token = self.assertion.provide_dyn().await.map_err(never)?.into_value();
        let request = self.request.request(&self.endpoint, &token).map_err(never)?;
        let response = self.transport.send(request).await?;
        self.request.read(&response, Some(&token), self.transport.clocks().now().wall())
    }
}

impl Provider for AssumeRoleWithWebIdentity {
    type Credential = AwsCredentials;

    fn identity(&self) -> Identity {
        self.identity
    }

    async fn provide(&self) -> Result<Expiring<AwsCredentials>, ProviderError> {
        let mut pace = Pace::new(&self.retry, self.transport.clocks());
        loop {
            match pace.run(self.attempt()).await {
                Ok(credential) => return Ok(pace.worked(credential)),
                Err(failed) => pace.pause(failed).await?,
            }
        }
    }
}

impl fmt::Debug for AssumeRoleWithWebIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AssumeRoleWithWebIdentity")
            .field("request", &self.request)
            .field("endpoint", &self.endpoint)
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}
