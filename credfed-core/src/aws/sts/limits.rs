//! The limits of the service's parameters, as its reference documents them. Lengths are in characters.

use std::time::Duration;

use crate::ProviderError;

const LONGEST_CHAINED: u32 = 3_600;

pub(super) fn length(name: &str, text: &str, least: usize, most: usize) -> Result<(), ProviderError> {
    let count = text.chars().count();
    if (least..=most).contains(&count) {
        return Ok(());
    }
    Err(wrong(format!("{name} has {count} characters, not {least} to {most}")))
}

pub(super) fn count(name: &str, count: usize, most: usize) -> Result<(), ProviderError> {
    if count <= most {
        return Ok(());
    }
    Err(wrong(format!("{count} {name} are given, at most {most} are allowed")))
}

/// Letters, digits, the underscore, and what else is given: ASCII, unlike `\w` in some languages.
pub(super) fn word(name: &str, text: &str, also: &str) -> Result<(), ProviderError> {
    if text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || also.contains(c)) {
        return Ok(());
    }
    Err(wrong(format!("{name} holds a character outside of [A-Za-z0-9_{also}]")))
}

pub(super) fn role_arn(text: &str) -> Result<(), ProviderError> {
    arn("RoleArn", text)
}

/// `arn:partition:service:region:account:resource`; region and account may be empty, other partitions are others'.
pub(super) fn arn(name: &str, text: &str) -> Result<(), ProviderError> {
    length(name, text, 20, 2_048)?;
    let mut parts = text.splitn(6, ':');
    let mut part = || parts.next().unwrap_or_default();
    let (arn, partition, service, _, _, resource) = (part(), part(), part(), part(), part(), part());
    let whole = arn == "arn" && !partition.is_empty() && !service.is_empty() && !resource.is_empty();
    if whole && !text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Ok(());
    }
    Err(wrong(format!("{name} is not of the form arn:partition:service:region:account:resource")))
}

pub(super) fn duration(asked: Duration) -> Result<u32, ProviderError> {
    let seconds = u32::try_from(asked.as_secs()).ok().filter(|_| asked.subsec_nanos() == 0);
    match seconds {
        Some(seconds) if (900..=43_200).contains(&seconds) => Ok(seconds),
        _ => Err(wrong(format!(
            "DurationSeconds is {}, not 900 to 43200 in whole seconds",
            asked.as_secs_f64()
        ))),
    }
}

pub(super) fn chained(seconds: Option<u32>) -> Result<(), ProviderError> {
    match seconds {
        Some(seconds) if seconds > LONGEST_CHAINED => Err(wrong(format!(
            "DurationSeconds is {seconds}: a role that is assumed with the credentials of another role lasts 3600 at most"
        ))),
        _ => Ok(()),
    }
}

pub(super) fn policy(text: &str) -> Result<(), ProviderError> {
    length("Policy", text, 1, 2_048)?;
    if text.chars().all(|c| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{ff}')) {
        return Ok(());
    }
    Err(wrong("Policy holds a character outside of [\\t\\n\\r\\x20-\\xff]"))
}

/// Keys that differ in case only are one key to the service.
pub(super) fn unique<'a>(name: &str, keys: impl IntoIterator<Item = &'a str>) -> Result<(), ProviderError> {
    let mut seen = std::collections::HashSet::new();
    if keys.into_iter().all(|key| seen.insert(key.to_lowercase())) {
        return Ok(());
    }
    Err(wrong(format!("{name} holds a key twice (keys that differ in case only are one)")))
}

pub(super) fn tag_key(name: &str, key: &str) -> Result<(), ProviderError> {
    length(name, key, 1, 128)?;
    if key.get(..4).is_some_and(|prefix| prefix.eq_ignore_ascii_case("aws:")) {
        return Err(wrong(format!("{name} begins with aws:, which is reserved")));
    }
    tag_text(name, key)
}

pub(super) fn tag_value(value: &str) -> Result<(), ProviderError> {
    length("a tag's Value", value, 0, 256)?;
    tag_text("a tag's Value", value)
}

/// `[\p{L}\p{Z}\p{N}_.:/=+\-@]*`
fn tag_text(name: &str, text: &str) -> Result<(), ProviderError> {
    let allowed =
        |c: char| c.is_alphanumeric() || (c.is_whitespace() && !c.is_control()) || "_.:/=+-@".contains(c);
    if text.chars().all(allowed) {
        return Ok(());
    }
    Err(wrong(format!("{name} holds a character other than letters, digits, blanks and _.:/=+-@")))
}

pub(super) fn token_code(code: &str) -> Result<(), ProviderError> {
    if code.len() == 6 && code.bytes().all(|digit| digit.is_ascii_digit()) {
        return Ok(());
    }
    Err(wrong("TokenCode is not of six digits"))
}

fn wrong(message: impl Into<std::borrow::Cow<'static, str>>) -> ProviderError {
    ProviderError::misconfigured(message)
}
