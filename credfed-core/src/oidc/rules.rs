//! The rules that the claims of a token must keep, whoever issued it.

use std::time::{Duration, SystemTime};

use super::json::{Json, Object};
use super::{Flaw, JwtError};

/// Rules of time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TimeRules {
    /// How far the clocks may be apart; at most 60 s.
    pub(crate) leeway: Duration,
    /// The longest time from issue to expiry.
    pub(crate) longest: Duration,
    pub(crate) require_issued: bool,
}

/// The times of a token that keeps the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Times {
    pub(crate) issued: Option<SystemTime>,
    pub(crate) expires: SystemTime,
}

impl TimeRules {
    /// Checks `exp`, `iat` and `nbf`. All types first: a malformed token is not an expired one.
    pub(crate) fn check(&self, claims: &Object, now: SystemTime) -> Result<Times, JwtError> {
        let expires = time(claims, "exp")?.ok_or(Flaw::Claim("exp"))?;
        let issued = time(claims, "iat")?;
        let not_before = time(claims, "nbf")?;
        if self.require_issued && issued.is_none() {
            return Err(Flaw::Claim("iat").into());
        }
        let latest = now.checked_add(self.leeway).ok_or(Flaw::Lifetime)?;
        if issued.is_some_and(|issued| issued > latest) {
            return Err(Flaw::IssuedAhead.into());
        }
        if not_before.is_some_and(|not_before| not_before > latest) {
            return Err(Flaw::NotYetValid.into());
        }
        let lives = expires.duration_since(issued.unwrap_or(now));
        let longest = self.longest.saturating_add(self.leeway);
        match (lives, issued) {
            (Ok(lives), _) if lives > longest => return Err(Flaw::Lifetime.into()),
            (Ok(Duration::ZERO) | Err(_), Some(_)) => return Err(Flaw::Lifetime.into()),
            _ => {}
        }
        if expires.checked_add(self.leeway).is_none_or(|end| end <= now) {
            return Err(JwtError::Expired);
        }
        Ok(Times { issued, expires })
    }
}

/// A claim that is a text and not empty.
pub(crate) fn text<'a>(claims: &'a Object, name: &'static str) -> Result<&'a str, Flaw> {
    claims.text(name).filter(|text| !text.is_empty()).ok_or(Flaw::Claim(name))
}

/// `aud`: a text, or a list of them that is not empty.
pub(crate) fn audiences(claims: &Object) -> Result<Vec<String>, Flaw> {
    let whole = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let list = match claims.get("aud") {
        Some(Json::Text(text)) => whole(text).map(|text| vec![text]),
        Some(Json::List(items)) => items.iter().map(|item| item.as_text().and_then(whole)).collect(),
        _ => None,
    };
    list.filter(|list| !list.is_empty()).ok_or(Flaw::Claim("aud"))
}

fn time(claims: &Object, name: &'static str) -> Result<Option<SystemTime>, Flaw> {
    let number = match claims.get(name) {
        None => return Ok(None),
        Some(Json::Number(number)) => number,
        Some(_) => return Err(Flaw::Claim(name)),
    };
    let seconds = number.as_seconds().ok_or(Flaw::Claim(name))?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).ok_or(Flaw::Claim(name)).map(Some)
}
