//! What the calls have in common: the role, and the form that carries it.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, HeaderValue};
use zeroize::Zeroizing;

use super::endpoint::StsEndpoint;
use super::limits;
use crate::identity::IdentityBuilder;
use crate::{ProviderError, Secret};

const VERSION: &str = "2011-06-15";

/// The parameters that every call for a role has, not checked yet.
#[derive(Clone, Default)]
pub(super) struct RoleBuilder {
    pub(super) arn: String,
    pub(super) session_name: String,
    pub(super) duration: Option<Duration>,
    pub(super) policy: Option<Secret>,
    pub(super) policy_arns: Vec<String>,
}

impl RoleBuilder {
    pub(super) fn new(arn: impl Into<String>, session_name: impl Into<String>) -> Self {
        Self { arn: arn.into(), session_name: session_name.into(), ..Self::default() }
    }

    pub(super) fn build(self) -> Result<Role, ProviderError> {
        limits::role_arn(&self.arn)?;
        limits::length("RoleSessionName", &self.session_name, 2, 64)?;
        limits::word("RoleSessionName", &self.session_name, "+=,.@-")?;
        if let Some(policy) = &self.policy {
            limits::policy(policy.expose())?;
        }
        limits::count("PolicyArns", self.policy_arns.len(), 10)?;
        self.policy_arns.iter().try_for_each(|arn| limits::arn("a policy's arn", arn))?;
        Ok(Role {
            arn: self.arn,
            session_name: self.session_name,
            duration: self.duration.map(limits::duration).transpose()?,
            policy: self.policy,
            policy_arns: self.policy_arns,
        })
    }
}

/// The same, each within its limits. The policy may name what nobody should read.
#[derive(Clone)]
pub(super) struct Role {
    pub(super) arn: String,
    pub(super) session_name: String,
    /// Seconds.
    pub(super) duration: Option<u32>,
    policy: Option<Secret>,
    policy_arns: Vec<String>,
}

impl Role {
    pub(super) fn write(&self, form: &mut Form) {
        form.field("RoleArn", &self.arn);
        form.field("RoleSessionName", &self.session_name);
        if let Some(seconds) = self.duration {
            form.field("DurationSeconds", &seconds.to_string());
        }
        if let Some(policy) = &self.policy {
            form.field("Policy", policy.expose());
        }
        for (number, arn) in (1..).zip(&self.policy_arns) {
            form.field(&format!("PolicyArns.member.{number}.arn"), arn);
        }
    }

    /// Whether an answer that names this user can be the one to this request. One that names nobody (MinIO) can. Ceph
    /// leaves out the account and, unlike AWS, keeps the role's path; SeaweedFS leaves out the account's colon as well.
    pub(super) fn is_user(&self, arn: &str) -> bool {
        let arn = arn.trim_ascii();
        let Some((head, assumed)) = arn.split_once("assumed-role/") else { return !arn.starts_with("arn:") };
        let [account, own_account] = [head, &self.arn].map(|arn| arn.split(':').nth(4).unwrap_or_default());
        let name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
        // No two roles of an account differ in case or in path alone.
        assumed
            .rsplit_once('/')
            .is_some_and(|(role, session)| session == self.session_name && name(role) == name(&self.arn))
            && (account.is_empty() || own_account.is_empty() || account == own_account)
    }

    pub(super) fn policy(&self) -> Option<&Secret> {
        self.policy.as_ref()
    }

    pub(super) fn identify(&self, identity: IdentityBuilder) -> IdentityBuilder {
        identity
            .part("role", &self.arn)
            .part("session-name", &self.session_name)
            .optional("duration", self.duration.map(u32::to_be_bytes))
            .optional("policy", self.policy.as_ref().map(Secret::expose))
            .list("policy-arns", &self.policy_arns)
    }
}

impl fmt::Debug for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Role")
            .field("arn", &self.arn)
            .field("session_name", &self.session_name)
            .field("duration", &self.duration)
            .finish_non_exhaustive()
    }
}

/// A form that is being written. Its buffer is wiped, the outgrown ones too.
pub(super) struct Form(Zeroizing<String>);

impl Form {
    pub(super) fn new(action: &str) -> Self {
        let mut form = Self(Zeroizing::new(String::with_capacity(1_024)));
        form.field("Action", action);
        form.field("Version", VERSION);
        form
    }

    /// A blank is written as `%20`: Ceph takes a plus sign for what it is.
    pub(super) fn field(&mut self, name: &str, value: &str) {
        self.make_room(2 + 3 * (name.len() + value.len()));
        if !self.0.is_empty() {
            self.0.push('&');
        }
        for (text, end) in [(name, "="), (value, "")] {
            for piece in form_urlencoded::byte_serialize(text.as_bytes()) {
                self.0.push_str(if piece == "+" { "%20" } else { piece });
            }
            self.0.push_str(end);
        }
    }

    pub(super) fn into_request(self, endpoint: &StsEndpoint) -> Result<http::Request<Bytes>, ProviderError> {
        let mut request = http::Request::new(Bytes::from_owner(Body(self.0)));
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = endpoint.uri().clone();
        let host = HeaderValue::from_str(endpoint.host())
            .map_err(|_| ProviderError::misconfigured("the endpoint's host fits no header"))?;
        request.headers_mut().insert(HOST, host);
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        request.headers_mut().insert(CONTENT_TYPE, form);
        Ok(request)
    }

    fn make_room(&mut self, more: usize) {
        if more <= self.0.capacity() - self.0.len() {
            return;
        }
        let roomy = self.0.capacity().saturating_mul(2).max(self.0.len().saturating_add(more));
        let mut larger = Zeroizing::new(String::with_capacity(roomy));
        larger.push_str(&self.0);
        self.0 = larger;
    }
}

/// Wiped when the last clone of the request's body goes.
struct Body(Zeroizing<String>);

impl AsRef<[u8]> for Body {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}
