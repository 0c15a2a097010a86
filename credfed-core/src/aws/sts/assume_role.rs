//! Other AWS credentials for a role.

use std::any::TypeId;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use super::endpoint::StsEndpoint;
use super::limits;
use super::request::{Form, Role, RoleBuilder};
use super::response::{self, Expected};
use super::sign::sign_request;
use super::web_identity::AssumeRoleWithWebIdentity;
use crate::identity::IdentityBuilder;
use crate::transport::retry::{Again, Failed, Pace};
use crate::transport::{HttpTransport, RetryPolicy, is_unsent};
use crate::{
    AwsCredentials, Cached, CachedProvider, Expiring, Identity, Provider, ProviderError, Rejection, Secret,
};

const ACTION: &str = "AssumeRole";

/// How far off the local clock may be for a request to be signed by the server's.
const MOST_SKEW: Duration = Duration::from_secs(15 * 60);

const CODE_SENT: &str = "the mfa code was sent before, or is being sent, and is good for one call: make the request anew, with the device's next code";

/// One `AssumeRole` call: parameters that are within their limits.
#[derive(Clone)]
pub struct AssumeRoleRequest {
    role: Role,
    more: More,
}

/// What this call has beyond the role, within its limits once built.
#[derive(Clone, Default)]
struct More {
    external_id: Option<Secret>,
    source_identity: Option<String>,
    tags: Vec<(String, String)>,
    transitive: Vec<String>,
    mfa: Option<Mfa>,
}

#[derive(Clone)]
struct Mfa {
    device: String,
    code: Secret,
    /// Whether the code may have arrived somewhere, or is on its way. All clones share it: it is one code.
    sent: Arc<AtomicBool>,
}

impl AssumeRoleRequest {
    /// Starts with the role's ARN (20 to 2,048 characters) and the name of the session (2 to 64 of
    /// `[A-Za-z0-9_+=,.@-]`), which shows in the audit log of the service.
    pub fn builder(role_arn: impl Into<String>, session_name: impl Into<String>) -> AssumeRoleRequestBuilder {
        let role = RoleBuilder::new(role_arn, session_name);
        AssumeRoleRequestBuilder { role, more: More::default(), chained: false }
    }

    /// The request as it goes out, signed with `credentials` at `now`.
    ///
    /// # Errors
    ///
    /// [`Misconfigured`](crate::ErrorKind::Misconfigured) if the credentials cannot sign, such as with a line break in
    /// the token.
    pub fn request(
        &self,
        endpoint: &StsEndpoint,
        credentials: &AwsCredentials,
        now: SystemTime,
    ) -> Result<http::Request<Bytes>, ProviderError> {
        let mut form = Form::new(ACTION);
        self.role.write(&mut form);
        self.more.write(&mut form);
        let mut request = form.into_request(endpoint)?;
        sign_request(&mut request, credentials, endpoint.region(), now)?;
        Ok(request)
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
        base: Option<&AwsCredentials>,
        now: SystemTime,
    ) -> Result<Expiring<AwsCredentials>, Failed> {
        let base = base.into_iter().flat_map(|base| [Some(base.secret_access_key()), base.session_token()]);
        let own =
            [self.role.policy(), self.more.external_id.as_ref(), self.more.mfa.as_ref().map(|mfa| &mfa.code)];
        let secrets: Vec<&str> = base.chain(own).flatten().map(Secret::expose).collect();
        let expected = Expected { action: ACTION, role: &self.role, secrets: &secrets, now };
        response::parse(response, &expected)
    }

    fn identify(&self, identity: IdentityBuilder) -> IdentityBuilder {
        let more = &self.more;
        self.role
            .identify(identity)
            .optional("external-id", more.external_id.as_ref().map(Secret::expose))
            .optional("source-identity", more.source_identity.as_ref())
            .list("tags", more.tags.iter().flat_map(|(key, value)| [key, value]))
            .list("transitive-tags", &more.transitive)
            .optional("mfa-device", more.mfa.as_ref().map(|mfa| &mfa.device))
            .optional("mfa-code", more.mfa.as_ref().map(|mfa| mfa.code.expose()))
    }
}

/// Shows the role and the session, and nothing of the policy, the external id or the tags.
impl fmt::Debug for AssumeRoleRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AssumeRoleRequest").field("role", &self.role).finish_non_exhaustive()
    }
}

impl More {
    fn check(&self) -> Result<(), ProviderError> {
        if let Some(id) = self.external_id.as_ref().map(Secret::expose) {
            limits::length("ExternalId", id, 2, 1_224)?;
            limits::word("ExternalId", id, "+=,.@:/-")?;
        }
        if let Some(identity) = &self.source_identity {
            limits::length("SourceIdentity", identity, 2, 64)?;
            limits::word("SourceIdentity", identity, "+=,.@-")?;
        }
        limits::count("Tags", self.tags.len(), 50)?;
        limits::count("TransitiveTagKeys", self.transitive.len(), 50)?;
        for (key, value) in &self.tags {
            limits::tag_key("a tag's Key", key)?;
            limits::tag_value(value)?;
        }
        limits::unique("Tags", self.tags.iter().map(|(key, _)| key.as_str()))?;
        self.transitive.iter().try_for_each(|key| limits::tag_key("a transitive tag's key", key))?;
        limits::unique("TransitiveTagKeys", self.transitive.iter().map(String::as_str))?;
        if let Some(Mfa { device, code, .. }) = &self.mfa {
            limits::length("SerialNumber", device, 9, 256)?;
            limits::word("SerialNumber", device, "=/:,.@-")?;
            limits::token_code(code.expose())?;
        }
        Ok(())
    }

    fn write(&self, form: &mut Form) {
        for (number, (key, value)) in (1..).zip(&self.tags) {
            form.field(&format!("Tags.member.{number}.Key"), key);
            form.field(&format!("Tags.member.{number}.Value"), value);
        }
        for (number, key) in (1..).zip(&self.transitive) {
            form.field(&format!("TransitiveTagKeys.member.{number}"), key);
        }
        if let Some(id) = &self.external_id {
            form.field("ExternalId", id.expose());
        }
        if let Some(identity) = &self.source_identity {
            form.field("SourceIdentity", identity);
        }
        if let Some(Mfa { device, code, .. }) = &self.mfa {
            form.field("SerialNumber", device);
            form.field("TokenCode", code.expose());
        }
    }
}

/// Parameters of an [`AssumeRoleRequest`], which [`build`](Self::build) checks.
#[derive(Clone)]
#[must_use = "a builder does nothing until build()"]
pub struct AssumeRoleRequestBuilder {
    role: RoleBuilder,
    more: More,
    chained: bool,
}

impl AssumeRoleRequestBuilder {
    /// How long the credential is to last: 900 to 43,200 whole seconds, and no more than the role allows; 3,600 at most
    /// if the base is a role too. Default: the service's, an hour.
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

    /// What the owner of the role wants to hear from this caller alone: 2 to 1,224 of `[A-Za-z0-9_+=,.@:/-]`.
    pub fn external_id(mut self, id: impl Into<Secret>) -> Self {
        self.more.external_id = Some(id.into());
        self
    }

    /// Who is behind the session, kept through all roles that follow: 2 to 64 of `[A-Za-z0-9_+=,.@-]`.
    pub fn source_identity(mut self, identity: impl Into<String>) -> Self {
        self.more.source_identity = Some(identity.into());
        self
    }

    /// A tag of the session; at most 50, keys of 1 to 128 characters that differ in more than case and do not begin
    /// with `aws:`, values of up to 256.
    pub fn tag(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.more.tags.push((key.into(), value.into()));
        self
    }

    /// The key of a tag that roles assumed from this session keep; at most 50.
    pub fn transitive_tag_key(mut self, key: impl Into<String>) -> Self {
        self.more.transitive.push(key.into());
        self
    }

    /// The serial number or ARN of an MFA device (9 to 256 characters) and the code that it shows now (6 digits).
    ///
    /// A code is good for one call, so it is sent once, by whichever [`AssumeRole`] of this request comes first. Only an
    /// attempt that had no connection is made again; after any other one, be it a success, the next call is an error
    /// that asks for a new request. Behind a cache that means one credential, which is not renewed.
    pub fn mfa(mut self, device: impl Into<String>, code: impl Into<Secret>) -> Self {
        let sent = Arc::default();
        self.more.mfa = Some(Mfa { device: device.into(), code: code.into(), sent });
        self
    }

    /// States that the credentials which sign the call are a role's, so that the hour's limit of a chain holds.
    /// [`AssumeRole`] finds that out by itself if the base is one of this module's own sources.
    pub fn chained(mut self) -> Self {
        self.chained = true;
        self
    }

    /// The request.
    ///
    /// # Errors
    ///
    /// [`Misconfigured`](crate::ErrorKind::Misconfigured), by the parameter's name and its limit.
    pub fn build(self) -> Result<AssumeRoleRequest, ProviderError> {
        let role = self.role.build()?;
        self.more.check()?;
        if self.chained {
            limits::chained(role.duration)?;
        }
        Ok(AssumeRoleRequest { role, more: self.more })
    }
}

impl fmt::Debug for AssumeRoleRequestBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AssumeRoleRequestBuilder").finish_non_exhaustive()
    }
}

/// Trades other AWS credentials for those of a role.
///
/// Each attempt is signed anew, with the base's current credential. If the service says that this one has expired or is
/// not known, it is [invalidated](CachedProvider::invalidate) and the call made once more with the next one. If the
/// service finds the local clock off by up to 15 min, the call is made once more with the server's. Neither holds for a
/// request with an MFA code, which is [sent once](AssumeRoleRequestBuilder::mfa).
#[derive(Clone)]
pub struct AssumeRole {
    request: AssumeRoleRequest,
    endpoint: StsEndpoint,
    base: CachedProvider<AwsCredentials>,
    transport: HttpTransport,
    retry: RetryPolicy,
    identity: Identity,
}

impl AssumeRole {
    /// Joins a request, the service, the credentials that sign and an HTTP client, whose runtime port is the provider's
    /// too.
    ///
    /// # Errors
    ///
    /// [`Misconfigured`](crate::ErrorKind::Misconfigured) if the base is one of this module's own sources, thus a role,
    /// and more than an hour is asked for: the service would refuse each call.
    pub fn new(
        request: AssumeRoleRequest,
        endpoint: StsEndpoint,
        base: CachedProvider<AwsCredentials>,
        transport: HttpTransport,
    ) -> Result<Self, ProviderError> {
        if gives_a_role(&base) {
            limits::chained(request.role.duration)?;
        }
        let identity = Identity::of("sts-assume-role").part("base", base.identity().digest());
        let identity = request.identify(endpoint.identify(identity)).finish();
        Ok(Self { request, endpoint, base, transport, retry: RetryPolicy::new(), identity })
    }

    /// When a failed attempt is made again. Default: [`RetryPolicy::new`].
    #[must_use]
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    async fn attempt(&self, skew: &mut Skew) -> Result<Expiring<AwsCredentials>, Failed> {
        let never = |error| Failed { error, again: Again::Never };
        let base = self.base.get().await.map_err(never)?;
        let clocks = self.transport.clocks();
        let signed_at = skew.correct(clocks.now().wall());
        let request = self.request.request(&self.endpoint, &base, signed_at).map_err(never)?;
        let Some(mfa) = &self.request.more.mfa else {
            return self.exchange(request, &base, skew).await;
        };
        if mfa.sent.swap(true, Ordering::Relaxed) {
            return Err(never(ProviderError::misconfigured(CODE_SENT)));
        }
        self.exchange(request, &base, skew).await.map_err(|failed| {
            let unsent = is_unsent(&failed.error);
            mfa.sent.store(!unsent, Ordering::Relaxed);
            if unsent { failed } else { never(failed.error) }
        })
    }

    async fn exchange(
        &self,
        request: http::Request<Bytes>,
        base: &Cached<AwsCredentials>,
        skew: &mut Skew,
    ) -> Result<Expiring<AwsCredentials>, Failed> {
        let response = self.transport.send(request).await?;
        let now = self.transport.clocks().now().wall();
        self.request.read(&response, Some(base), now).map_err(|mut failed| {
            if let Some(why) = rejects_the_base(&failed.error, base) {
                self.base.invalidate(base, why);
                failed.again = Again::Once;
            } else if is_about_the_clock(&failed.error)
                && response::server_date(response.headers()).is_some_and(|date| skew.learn(date, now))
            {
                failed.again = Again::Once;
            }
            failed
        })
    }
}

impl Provider for AssumeRole {
    type Credential = AwsCredentials;

    fn identity(&self) -> Identity {
        self.identity
    }

    async fn provide(&self) -> Result<Expiring<AwsCredentials>, ProviderError> {
        let mut pace = Pace::new(&self.retry, self.transport.clocks());
        let mut skew = Skew::default();
        loop {
            match pace.run(self.attempt(&mut skew)).await {
                Ok(credential) => return Ok(pace.worked(credential)),
                Err(failed) => pace.pause(failed).await?,
            }
        }
    }
}

impl fmt::Debug for AssumeRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AssumeRole")
            .field("request", &self.request)
            .field("endpoint", &self.endpoint)
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

fn gives_a_role(base: &CachedProvider<AwsCredentials>) -> bool {
    [
        TypeId::of::<AssumeRole>(),
        TypeId::of::<Arc<AssumeRole>>(),
        TypeId::of::<AssumeRoleWithWebIdentity>(),
        TypeId::of::<Arc<AssumeRoleWithWebIdentity>>(),
    ]
    .contains(&base.source_type())
}

/// Whether the service does not accept the credential that signed, rather than what it may do.
fn rejects_the_base(error: &ProviderError, base: &AwsCredentials) -> Option<Rejection> {
    match error.code()? {
        "ExpiredToken" | "ExpiredTokenException" => Some(Rejection::Expired),
        "InvalidToken" => Some(Rejection::Invalid),
        // What AWS's STS calls a session token that it does not know; with long-term keys it is a typing error.
        "InvalidClientTokenId" if base.session_token().is_some() => Some(Rejection::Invalid),
        _ => None,
    }
}

fn is_about_the_clock(error: &ProviderError) -> bool {
    match error.code() {
        Some("RequestTimeTooSkewed" | "RequestExpired") => true,
        Some("SignatureDoesNotMatch" | "InvalidSignatureException") => {
            let text = error.to_string();
            text.contains("Signature expired") || text.contains("Signature not yet current")
        }
        _ => false,
    }
}

/// How far the server's clock is ahead of or behind the local one.
#[derive(Default)]
struct Skew {
    ahead: Duration,
    behind: Duration,
}

impl Skew {
    fn learn(&mut self, date: SystemTime, now: SystemTime) -> bool {
        let learned = Self {
            ahead: date.duration_since(now).unwrap_or_default(),
            behind: now.duration_since(date).unwrap_or_default(),
        };
        let within = learned.ahead <= MOST_SKEW && learned.behind <= MOST_SKEW;
        if within {
            *self = learned;
        }
        within
    }

    fn correct(&self, now: SystemTime) -> SystemTime {
        now.checked_add(self.ahead).and_then(|time| time.checked_sub(self.behind)).unwrap_or(now)
    }
}
