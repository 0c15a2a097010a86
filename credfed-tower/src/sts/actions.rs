//! What the four actions do, once their parameters were read.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use credfed_core::Clock;
use credfed_core::oidc::{ClaimValue, JwtError, TrustedIssuers, ValidatedToken};
use credfed_core::session::{ClaimsError, MintError, SealedSessions, SessionClaims, SessionKind};

use super::arn::Account;
use super::call::{AssumeRoleCall, SessionTokenCall, WebIdentityCall, granted, is_session_name};
use super::caller::{CallerKind, StsCaller};
use super::error::{Denial, IdentityFault, StsError};
use super::hook::{AssumeRequest, DynAssumeHook, Verdict};
use super::response::{Assumed, Minted, Outcome, WebIdentity};
use super::role::{DynRoles, Role};
use super::shared::shared_issuer;
use super::tags::{self, Tag};
use super::trust::{IdentityToken, Trust};

const TAGS_CLAIM: &str = "https://aws.amazon.com/tags";
const SOURCE_IDENTITY_CLAIM: &str = "https://aws.amazon.com/source_identity";

/// All that the actions need.
pub(super) struct Sts {
    pub(super) account: Account,
    pub(super) sessions: SealedSessions,
    pub(super) issuers: Option<TrustedIssuers>,
    /// Issuers whose tokens may pass tags, and those whose tokens may set a source identity.
    pub(super) tagging: BTreeSet<Box<str>>,
    pub(super) naming: BTreeSet<Box<str>>,
    pub(super) roles: Box<dyn DynRoles>,
    pub(super) hook: Box<dyn DynAssumeHook>,
    pub(super) clock: Arc<dyn Clock>,
}

impl fmt::Debug for Sts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sts")
            .field("account", &self.account)
            .field("issuers", &self.issuers)
            .finish_non_exhaustive()
    }
}

impl Sts {
    /// The JWT is all that this looks at. Its issuer is found in the configuration before anything is fetched, and
    /// nothing of a role is looked at before it was validated, so nobody can ask for the names of roles without a
    /// token.
    pub(super) async fn web_identity(
        &self,
        call: WebIdentityCall,
        now: SystemTime,
    ) -> Result<Outcome, StsError> {
        let issuers = self.issuers.as_ref().ok_or(StsError::Identity(IdentityFault::Issuer))?;
        let token = issuers.validate(call.token.expose(), now).await.map_err(identity_fault)?;
        let tags = match self.tagging.contains(token.issuer()) {
            true => claimed_tags(&token)?,
            false => Vec::new(),
        };
        let source_identity = match self.naming.contains(token.issuer()) {
            true => claimed_source_identity(&token)?,
            false => None,
        };
        let needs = Needs { tags: !tags.is_empty(), source_identity: source_identity.is_some() };
        let role = self.role(&call.role_arn).await?;
        let verdict = role.as_deref().ok_or(Denial::UnknownRole).and_then(|role| {
            let is_shared = token.is_shared_issuer() || shared_issuer(token.issuer()).is_some();
            needs.granted_by(role.trusts().iter().filter_map(|trust| match trust {
                Trust::WebIdentity(trust) if trust.admits(&token, is_shared) => {
                    Some((trust.tags, trust.source_identity))
                }
                _ => None,
            }))?;
            Ok(role)
        });
        let role = verdict.map_err(StsError::web_identity_denied)?;
        let request = AssumeRequest {
            role,
            session_name: &call.session_name,
            caller: None,
            web_identity: Some((token.issuer(), token.subject())),
            policy: call.policy.as_deref(),
            tags: &tags,
            source_identity: source_identity.as_deref(),
        };
        self.ask(&request).await?.map_err(StsError::web_identity_denied)?;

        let duration = granted(call.duration, role.longest_session(), false)?;
        let mut expires = end(now, duration)?;
        if role.caps_to_token() {
            expires = expires.min(token.expires());
            if expires <= now {
                return Err(StsError::Identity(IdentityFault::Expired));
            }
        }
        let claims = SessionClaims::builder(SessionKind::WebIdentity, role.arn(), whole(now), expires)
            .subject(token.subject())
            .issuer(token.issuer());
        let identity = WebIdentity {
            subject: token.subject().to_owned(),
            issuer: token.issuer().to_owned(),
            audience: token.audiences().first().cloned().unwrap_or_default(),
        };
        self.begin(request, claims, Some(identity), now)
    }

    pub(super) async fn assume_role(
        &self,
        call: AssumeRoleCall,
        caller: &StsCaller,
        now: SystemTime,
    ) -> Result<Outcome, StsError> {
        let denied = |why| StsError::assume_role_denied(why, caller.arn(), &call.role_arn);
        let tags = tags::joined(call.tags, call.transitive, caller.transitive_tags())?;
        let source_identity = match (caller.source_identity(), call.source_identity.as_deref()) {
            (Some(set), Some(asked)) if set != asked => return Err(denied(Denial::SourceIdentityChanged)),
            (set, asked) => set.or(asked),
        };
        let needs = Needs { tags: !tags.is_empty(), source_identity: source_identity.is_some() };
        let role = self.role(&call.role_arn).await?;
        let verdict = role.as_deref().ok_or(Denial::UnknownRole).and_then(|role| {
            needs.granted_by(role.trusts().iter().filter_map(|trust| match trust {
                Trust::Principals(trust) if trust.admits(caller, call.external_id.as_ref()) => {
                    Some((trust.tags, trust.source_identity))
                }
                _ => None,
            }))?;
            Ok(role)
        });
        let role = verdict.map_err(denied)?;
        let request = AssumeRequest {
            role,
            session_name: &call.session_name,
            caller: Some(caller),
            web_identity: None,
            policy: call.policy.as_deref(),
            tags: &tags,
            source_identity,
        };
        self.ask(&request).await?.map_err(denied)?;

        let duration = granted(call.duration, role.longest_session(), caller.is_chaining())?;
        let expires = end(now, duration)?;
        let claims = SessionClaims::builder(SessionKind::AssumedRole, role.arn(), whole(now), expires);
        self.begin(request, claims, None, now)
    }

    pub(super) fn session_token(
        &self,
        call: &SessionTokenCall,
        caller: &StsCaller,
        now: SystemTime,
    ) -> Result<Outcome, StsError> {
        let expires = end(now, call.duration)?;
        let claims =
            SessionClaims::builder(SessionKind::SessionToken, caller.principal(), whole(now), expires);
        let minted = self.mint(claims.build().map_err(unfit)?, now)?;
        tracing::info!(
            target: "credfed::sts",
            action = "GetSessionToken",
            principal = caller.principal(),
            access_key_id = minted.credentials.access_key_id(),
            "session begins"
        );
        Ok(Outcome::SessionToken(minted))
    }

    /// Long-lived keys alone: with a session it would prolong itself for ever.
    pub(super) fn check_session_token_caller(caller: &StsCaller) -> Result<(), StsError> {
        match caller.kind() {
            // A session of GetSessionToken has no policy, so nobody gets rid of one by way of it.
            CallerKind::User if caller.is_restricted() => Err(StsError::Denied {
                why: Denial::RestrictedSession,
                message: "Cannot call GetSessionToken with restricted credentials".into(),
            }),
            CallerKind::User => Ok(()),
            CallerKind::UserSession | CallerKind::RoleSession | CallerKind::ForeignSession => {
                Err(StsError::Denied {
                    why: Denial::SessionCredentials,
                    message: "Cannot call GetSessionToken with session credentials".into(),
                })
            }
        }
    }

    async fn role(&self, arn: &str) -> Result<Option<Arc<Role>>, StsError> {
        self.roles.find(arn).await.map_err(|_| StsError::Unavailable)
    }

    /// The barrier of session policies, and the hook, which alone may lift it.
    async fn ask(&self, request: &AssumeRequest<'_>) -> Result<Result<(), Denial>, StsError> {
        let is_restricted = request.caller.is_some_and(StsCaller::is_restricted);
        Ok(match self.hook.decide(request).await {
            Verdict::Default if is_restricted => Err(Denial::RestrictedSession),
            Verdict::Default | Verdict::Allow => Ok(()),
            Verdict::Deny(note) => {
                tracing::info!(target: "credfed::sts", role = request.role.arn(), %note, "denied by the hook");
                Err(Denial::Hook)
            }
            Verdict::Unavailable => return Err(StsError::Unavailable),
        })
    }

    /// Mints a session of a role. Its policy is the one that was passed now and no other: nothing is inherited.
    fn begin(
        &self,
        request: AssumeRequest<'_>,
        claims: credfed_core::session::SessionClaimsBuilder,
        web_identity: Option<WebIdentity>,
        now: SystemTime,
    ) -> Result<Outcome, StsError> {
        let mut claims =
            claims.session_name(request.session_name).generation(request.role.generation_number());
        if let Some(identity) = request.source_identity {
            claims = claims.source_identity(identity);
        }
        if let Some(policy) = request.policy {
            claims = claims.policy(policy);
        }
        for tag in request.tags {
            claims = claims.tag(&*tag.key, &*tag.value, tag.transitive);
        }
        let claims = claims.build().map_err(unfit)?;
        let minted = self.mint(claims, now)?;
        let (user_arn, user_id) = Assumed::user_of(request.role, request.session_name);
        tracing::info!(
            target: "credfed::sts",
            action = if web_identity.is_some() { "AssumeRoleWithWebIdentity" } else { "AssumeRole" },
            session = user_arn,
            caller = request.caller.map(StsCaller::arn),
            issuer = request.issuer(),
            subject = request.subject().map(tracing::field::debug),
            source_identity = request.source_identity,
            is_restricted = request.policy.is_some(),
            access_key_id = minted.credentials.access_key_id(),
            "session begins"
        );
        Ok(Outcome::Assumed(Box::new(Assumed { minted, user_arn, user_id, web_identity })))
    }

    fn mint(&self, claims: SessionClaims, now: SystemTime) -> Result<Minted, StsError> {
        let credentials = self.sessions.mint(&claims, now).map_err(|error| {
            tracing::warn!(target: "credfed::sts", %error, "no session was minted");
            match error {
                MintError::TooLong => StsError::PackedPolicyTooLarge,
                MintError::NoCurrentKey => StsError::Unavailable,
                _ => StsError::Internal,
            }
        })?;
        Ok(Minted { claims, credentials: credentials.into_value() })
    }
}

/// Which permissions an assumption needs beside the trust itself.
#[derive(Clone, Copy)]
struct Needs {
    tags: bool,
    source_identity: bool,
}

impl Needs {
    /// One trust has to grant all of it.
    fn granted_by(self, trusts: impl Iterator<Item = (bool, bool)>) -> Result<(), Denial> {
        let mut why = Denial::Trust;
        for (tags, source_identity) in trusts {
            if self.tags && !tags {
                why = Denial::TagSession;
            } else if self.source_identity && !source_identity {
                why = Denial::SetSourceIdentity;
            } else {
                return Ok(());
            }
        }
        Err(why)
    }
}

impl IdentityToken for ValidatedToken {
    fn issuer(&self) -> &str {
        self.issuer()
    }

    fn subject(&self) -> &str {
        self.subject()
    }

    fn audiences(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        Box::new(self.audiences().iter().map(String::as_str))
    }

    fn any_value(&self, path: &[&str], fits: &mut dyn FnMut(&str) -> bool) -> bool {
        match self.claim(path) {
            Some(ClaimValue::List(members)) => members.iter().any(|member| scalar_fits(member, fits)),
            Some(value) => scalar_fits(value, fits),
            None => false,
        }
    }
}

/// Texts as they are, whole numbers and truth values as JSON writes them; a list in a list fits nothing.
fn scalar_fits(value: ClaimValue<'_>, fits: &mut dyn FnMut(&str) -> bool) -> bool {
    match value {
        ClaimValue::Text(text) => fits(text),
        ClaimValue::Bool(truth) => fits(if truth { "true" } else { "false" }),
        ClaimValue::Number(number) => number.as_i64().is_some_and(|number| fits(&number.to_string())),
        _ => false,
    }
}

/// `{"principal_tags": {"key": ["value"]}, "transitive_tag_keys": ["key"]}`
fn claimed_tags(token: &ValidatedToken) -> Result<Vec<Tag>, StsError> {
    const WRONG: StsError = StsError::Identity(IdentityFault::Claims);
    let claim = match token.claim(&[TAGS_CLAIM]) {
        None => return Ok(Vec::new()),
        Some(ClaimValue::Object(claim)) => claim,
        Some(_) => return Err(WRONG),
    };
    let mut passed = Vec::new();
    match claim.get("principal_tags") {
        None => {}
        Some(ClaimValue::Object(tags)) => {
            for (key, value) in tags.iter() {
                let value = match value {
                    ClaimValue::List(values) => {
                        let mut values = values.iter();
                        values.next().filter(|_| values.next().is_none()).and_then(ClaimValue::as_text)
                    }
                    value => value.as_text(),
                };
                passed.push((key.to_owned(), value.ok_or(WRONG)?.to_owned()));
            }
        }
        Some(_) => return Err(WRONG),
    }
    let mut transitive = Vec::new();
    match claim.get("transitive_tag_keys") {
        None => {}
        Some(ClaimValue::List(keys)) => {
            for key in keys.iter() {
                transitive.push(key.as_text().ok_or(WRONG)?.to_owned());
            }
        }
        Some(_) => return Err(WRONG),
    }
    tags::joined(passed, transitive, Vec::new()).map_err(|_| WRONG)
}

fn claimed_source_identity(token: &ValidatedToken) -> Result<Option<String>, StsError> {
    match token.claim(&[SOURCE_IDENTITY_CLAIM]) {
        None => Ok(None),
        Some(ClaimValue::Text(name)) if is_session_name(name) => Ok(Some(name.to_owned())),
        Some(_) => Err(StsError::Identity(IdentityFault::Claims)),
    }
}

fn identity_fault(error: JwtError) -> StsError {
    tracing::debug!(target: "credfed::sts", %error, "web identity token refused");
    StsError::Identity(match error {
        JwtError::UnknownIssuer => IdentityFault::Issuer,
        JwtError::IncorrectAudience => IdentityFault::Audience,
        JwtError::Expired => IdentityFault::Expired,
        JwtError::KeysUnavailable(_) => IdentityFault::KeysUnavailable,
        _ => IdentityFault::Invalid,
    })
}

/// Names, tags and policy were checked before; what is left are texts of the token and the room.
fn unfit(error: ClaimsError) -> StsError {
    match error {
        ClaimsError::TooLong("subject" | "issuer") | ClaimsError::NotText("subject" | "issuer") => {
            StsError::Identity(IdentityFault::Invalid)
        }
        ClaimsError::TooLong(_) => StsError::PackedPolicyTooLarge,
        ClaimsError::NotText("session policy") => StsError::MalformedPolicy,
        ClaimsError::RepeatedTag | ClaimsError::TooManyTags | ClaimsError::NotText("tag") => {
            StsError::Tags("Tags are not valid")
        }
        _ => StsError::Internal,
    }
}

fn end(now: SystemTime, duration: Duration) -> Result<SystemTime, StsError> {
    whole(now).checked_add(duration).ok_or(StsError::Internal)
}

/// Sessions count whole seconds.
fn whole(now: SystemTime) -> SystemTime {
    let seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).unwrap_or(now)
}
