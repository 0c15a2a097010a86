//! The four actions with their parameters, each checked against its rule before anything is looked up.

use std::time::Duration;

use credfed_core::Secret;

use super::arn::is_name;
use super::error::StsError;
use super::parameters::Parameters;
use super::role::{HOUR, LONGEST, SHORTEST};

/// The longest session of GetSessionToken, and how long one lasts by default.
const LONGEST_TOKEN: Duration = Duration::from_secs(129_600);
const DEFAULT_TOKEN: Duration = Duration::from_secs(43_200);

/// The actions, by their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    AssumeRoleWithWebIdentity,
    AssumeRole,
    GetSessionToken,
    GetCallerIdentity,
}

impl Action {
    pub(super) fn parse(name: &str) -> Result<Self, StsError> {
        [Self::AssumeRoleWithWebIdentity, Self::AssumeRole, Self::GetSessionToken, Self::GetCallerIdentity]
            .into_iter()
            .find(|action| action.name() == name)
            .ok_or(StsError::InvalidAction)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::AssumeRoleWithWebIdentity => "AssumeRoleWithWebIdentity",
            Self::AssumeRole => "AssumeRole",
            Self::GetSessionToken => "GetSessionToken",
            Self::GetCallerIdentity => "GetCallerIdentity",
        }
    }
}

/// AssumeRoleWithWebIdentity.
pub(super) struct WebIdentityCall {
    pub(super) role_arn: String,
    pub(super) session_name: String,
    pub(super) token: Secret,
    pub(super) policy: Option<String>,
    pub(super) duration: Option<Duration>,
}

impl WebIdentityCall {
    pub(super) fn parse(mut parameters: Parameters<'_>) -> Result<Self, StsError> {
        let call = Self {
            role_arn: role_arn(&mut parameters)?,
            session_name: session_name(&mut parameters)?,
            token: token(&mut parameters)?,
            policy: policy(&mut parameters)?,
            duration: role_duration(&mut parameters)?,
        };
        empty_list(&mut parameters, "PolicyArns");
        parameters.finish()?;
        Ok(call)
    }
}

/// AssumeRole.
pub(super) struct AssumeRoleCall {
    pub(super) role_arn: String,
    pub(super) session_name: String,
    pub(super) policy: Option<String>,
    pub(super) duration: Option<Duration>,
    pub(super) external_id: Option<Secret>,
    pub(super) source_identity: Option<String>,
    pub(super) tags: Vec<(String, String)>,
    pub(super) transitive: Vec<String>,
}

impl AssumeRoleCall {
    pub(super) fn parse(mut parameters: Parameters<'_>) -> Result<Self, StsError> {
        let call = Self {
            role_arn: role_arn(&mut parameters)?,
            session_name: session_name(&mut parameters)?,
            policy: policy(&mut parameters)?,
            duration: role_duration(&mut parameters)?,
            external_id: external_id(&mut parameters)?,
            source_identity: source_identity(&mut parameters)?,
            tags: tags(&mut parameters)?,
            transitive: list(&mut parameters, "TransitiveTagKeys"),
        };
        empty_list(&mut parameters, "PolicyArns");
        empty_list(&mut parameters, "ProvidedContexts");
        parameters.finish()?;
        Ok(call)
    }
}

/// GetSessionToken.
pub(super) struct SessionTokenCall {
    pub(super) duration: Duration,
}

impl SessionTokenCall {
    pub(super) fn parse(mut parameters: Parameters<'_>) -> Result<Self, StsError> {
        const RULE: &str = "Member must be a whole number from 900 to 129600";
        let duration = duration(&mut parameters, LONGEST_TOKEN, RULE)?.unwrap_or(DEFAULT_TOKEN);
        parameters.finish()?;
        Ok(Self { duration })
    }
}

/// How long a session of a role is to last, once the caller was found to be trusted.
pub(super) fn granted(
    asked: Option<Duration>,
    longest: Duration,
    is_chained: bool,
) -> Result<Duration, StsError> {
    match asked {
        None => Ok(HOUR.min(longest)),
        Some(asked) if is_chained && asked > HOUR => Err(StsError::DurationOfChain),
        Some(asked) if asked > longest => Err(StsError::DurationOfRole),
        Some(asked) => Ok(asked),
    }
}

/// `[\w+=,.@-]`, 2 to 64: RoleSessionName and SourceIdentity.
pub(super) fn is_session_name(name: &str) -> bool {
    (2..=64).contains(&name.len()) && is_name(name)
}

/// `[\w+=,.@:/-]`, 2 to 1224.
pub(super) fn is_external_id(id: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@:/-".contains(&byte);
    (2..=1224).contains(&id.len()) && id.bytes().all(fits)
}

fn role_arn(parameters: &mut Parameters<'_>) -> Result<String, StsError> {
    let arn = parameters.require("RoleArn")?;
    // It is echoed in a denial, so control characters and the like stay out.
    if !(20..=2048).contains(&arn.len()) || !arn.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(StsError::Invalid {
            parameter: "RoleArn",
            rule: "Member must have 20 to 2048 visible characters",
        });
    }
    Ok(arn.into_owned())
}

fn session_name(parameters: &mut Parameters<'_>) -> Result<String, StsError> {
    let name = parameters.require("RoleSessionName")?;
    named(&name, "RoleSessionName")
}

fn source_identity(parameters: &mut Parameters<'_>) -> Result<Option<String>, StsError> {
    parameters.take("SourceIdentity").map(|name| named(&name, "SourceIdentity")).transpose()
}

fn named(name: &str, parameter: &'static str) -> Result<String, StsError> {
    if !is_session_name(name) {
        return Err(StsError::Invalid { parameter, rule: "Member must be 2 to 64 of [\\w+=,.@-]" });
    }
    Ok(name.to_owned())
}

fn token(parameters: &mut Parameters<'_>) -> Result<Secret, StsError> {
    let token = Secret::new(parameters.require("WebIdentityToken")?.into_owned());
    if !(4..=20_000).contains(&token.len()) {
        return Err(StsError::Invalid {
            parameter: "WebIdentityToken",
            rule: "Member must have 4 to 20000 characters",
        });
    }
    Ok(token)
}

fn external_id(parameters: &mut Parameters<'_>) -> Result<Option<Secret>, StsError> {
    let Some(id) = parameters.take("ExternalId") else { return Ok(None) };
    if !is_external_id(&id) {
        return Err(StsError::Invalid {
            parameter: "ExternalId",
            rule: "Member must be 2 to 1224 of [\\w+=,.@:/-]",
        });
    }
    Ok(Some(Secret::new(id.into_owned())))
}

/// A policy that is there and says nothing is no missing policy.
fn policy(parameters: &mut Parameters<'_>) -> Result<Option<String>, StsError> {
    let Some(policy) = parameters.take("Policy") else { return Ok(None) };
    let fits = |c: char| matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{FF}');
    if !(1..=2048).contains(&policy.chars().count()) || !policy.chars().all(fits) {
        return Err(StsError::Invalid {
            parameter: "Policy",
            rule: "Member must have 1 to 2048 characters of [\\t\\n\\r\\x20-\\xFF]",
        });
    }
    let text = policy.trim_matches(['\t', '\n', '\r', ' ']);
    if text.len() < 2 || !text.starts_with('{') || !text.ends_with('}') {
        return Err(StsError::MalformedPolicy);
    }
    Ok(Some(policy.into_owned()))
}

fn role_duration(parameters: &mut Parameters<'_>) -> Result<Option<Duration>, StsError> {
    duration(parameters, LONGEST, "Member must be a whole number from 900 to 43200")
}

fn duration(
    parameters: &mut Parameters<'_>,
    longest: Duration,
    rule: &'static str,
) -> Result<Option<Duration>, StsError> {
    let Some(text) = parameters.take("DurationSeconds") else { return Ok(None) };
    let digits = (1..=6).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = if digits { text.parse().ok().map(Duration::from_secs) } else { None };
    match seconds {
        Some(seconds) if (SHORTEST..=longest).contains(&seconds) => Ok(Some(seconds)),
        _ => Err(StsError::Invalid { parameter: "DurationSeconds", rule }),
    }
}

/// `Tags.member.N.Key` with `Tags.member.N.Value`, N from 1 without gaps.
fn tags(parameters: &mut Parameters<'_>) -> Result<Vec<(String, String)>, StsError> {
    let mut tags = Vec::new();
    empty_list(parameters, "Tags");
    while let Some(key) = parameters.take(&format!("Tags.member.{}.Key", tags.len() + 1)) {
        let value = parameters.take(&format!("Tags.member.{}.Value", tags.len() + 1));
        let value = value.ok_or(StsError::Missing("Tags.member.N.Value"))?;
        tags.push((key.into_owned(), value.into_owned()));
    }
    Ok(tags)
}

fn list(parameters: &mut Parameters<'_>, name: &str) -> Vec<String> {
    let mut members = Vec::new();
    empty_list(parameters, name);
    while let Some(member) = parameters.take(&format!("{name}.member.{}", members.len() + 1)) {
        members.push(member.into_owned());
    }
    members
}

/// SDKs write an empty list as its name without a value.
fn empty_list(parameters: &mut Parameters<'_>, name: &str) {
    parameters.drop_if_empty(name);
}
