//! The answers, in the XML that AWS's SDKs read.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use credfed_core::AwsCredentials;
use credfed_core::session::SessionClaims;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Method, Response, StatusCode};
use zeroize::Zeroizing;

use super::body::StsBody;
use super::caller::StsCaller;
use super::error::StsError;
use super::role::Role;
use crate::xml::{STS_NAMESPACE, element, query_error};

/// A result, as it is written into the answer.
pub(super) enum Outcome {
    Assumed(Box<Assumed>),
    SessionToken(Minted),
    CallerIdentity(StsCaller),
}

/// A session that was minted.
pub(super) struct Minted {
    pub(super) claims: SessionClaims,
    pub(super) credentials: AwsCredentials,
}

/// A session of a role.
pub(super) struct Assumed {
    pub(super) minted: Minted,
    pub(super) user_arn: String,
    pub(super) user_id: String,
    pub(super) web_identity: Option<WebIdentity>,
}

/// What is told of a web identity token.
pub(super) struct WebIdentity {
    pub(super) subject: String,
    pub(super) issuer: String,
    pub(super) audience: String,
}

impl Assumed {
    pub(super) fn user_of(role: &Role, session_name: &str) -> (String, String) {
        let arn = super::arn::RoleArn::parse(role.arn()).map(|arn| arn.session(session_name));
        (arn.unwrap_or_default(), format!("{}:{session_name}", role.unique_id()))
    }
}

pub(super) fn success(outcome: &Outcome, request_id: &str) -> Response<StsBody> {
    // Long enough for most, so that secrets do not stay behind where it grew from; no longer, since all of it is wiped.
    let minted = match outcome {
        Outcome::Assumed(assumed) => Some(&assumed.minted),
        Outcome::SessionToken(minted) => Some(minted),
        Outcome::CallerIdentity(_) => None,
    };
    let token = minted.and_then(|minted| minted.credentials.session_token()).map_or(0, |token| token.len());
    // What others chose may be all quotation marks, which take six bytes each.
    let foreign = match outcome {
        Outcome::Assumed(assumed) => assumed.web_identity.as_ref().map_or(0, |identity| {
            6 * (identity.subject.len() + identity.audience.len() + identity.issuer.len())
        }),
        _ => 0,
    };
    let room = 2 * 1024 + token + foreign;
    let mut xml = Zeroizing::new(String::with_capacity(room));
    let action = match outcome {
        Outcome::Assumed(assumed) if assumed.web_identity.is_some() => "AssumeRoleWithWebIdentity",
        Outcome::Assumed(_) => "AssumeRole",
        Outcome::SessionToken(_) => "GetSessionToken",
        Outcome::CallerIdentity(_) => "GetCallerIdentity",
    };
    for part in ["<", action, "Response xmlns=\"", STS_NAMESPACE, "\"><", action, "Result>"] {
        xml.push_str(part);
    }
    match outcome {
        Outcome::Assumed(assumed) => {
            if let Some(identity) = &assumed.web_identity {
                element(&mut xml, "SubjectFromWebIdentityToken", &identity.subject);
                element(&mut xml, "Audience", &identity.audience);
            }
            xml.push_str("<AssumedRoleUser>");
            element(&mut xml, "Arn", &assumed.user_arn);
            element(&mut xml, "AssumedRoleId", &assumed.user_id);
            xml.push_str("</AssumedRoleUser>");
            credentials(&mut xml, &assumed.minted);
            if let Some(identity) = &assumed.web_identity {
                element(&mut xml, "Provider", &identity.issuer);
            }
            // Of clients older than SessionTokenUtilization; theirs is for requests with a policy or tags.
            let claims = &assumed.minted.claims;
            if claims.restricted() || claims.tags().next().is_some() {
                element(&mut xml, "PackedPolicySize", &claims.packed_percent().to_string());
            }
            if let Some(identity) = claims.source_identity() {
                element(&mut xml, "SourceIdentity", identity);
            }
        }
        Outcome::SessionToken(minted) => credentials(&mut xml, minted),
        Outcome::CallerIdentity(caller) => {
            element(&mut xml, "Arn", caller.arn());
            element(&mut xml, "UserId", caller.user_id());
            element(&mut xml, "Account", caller.account());
        }
    }
    for part in ["</", action, "Result><ResponseMetadata>"] {
        xml.push_str(part);
    }
    element(&mut xml, "RequestId", request_id);
    for part in ["</ResponseMetadata></", action, "Response>"] {
        xml.push_str(part);
    }
    debug_assert!(xml.len() <= room, "an answer with secrets in it outgrew its room");
    answer(StatusCode::OK, Bytes::from_owner(xml), request_id)
}

/// The answer to a refused request; the typed reason stands in its extensions.
pub(super) fn refusal(error: StsError, request_id: &str) -> Response<StsBody> {
    let status = error.status();
    let xml = query_error(status.is_server_error(), error.code(), &error.message(), request_id);
    let mut response = answer(status, Bytes::from(xml), request_id);
    if error == StsError::Method {
        response.headers_mut().insert(http::header::ALLOW, HeaderValue::from_static("GET, POST"));
    }
    response.extensions_mut().insert(error);
    response
}

/// An answer to `HEAD` has no body.
pub(super) fn fitted(mut response: Response<StsBody>, method: &Method) -> Response<StsBody> {
    if *method == Method::HEAD {
        *response.body_mut() = StsBody::default();
    }
    response
}

fn answer(status: StatusCode, body: Bytes, request_id: &str) -> Response<StsBody> {
    let mut response = Response::new(StsBody::new(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/xml"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert(HeaderName::from_static("x-amzn-requestid"), id);
    }
    response
}

fn credentials(xml: &mut String, minted: &Minted) {
    let Minted { claims, credentials } = minted;
    xml.push_str("<Credentials>");
    element(xml, "AccessKeyId", credentials.access_key_id());
    element(xml, "SecretAccessKey", credentials.secret_access_key().expose());
    element(xml, "SessionToken", credentials.session_token().map_or("", |token| token.expose()));
    element(xml, "Expiration", &timestamp(claims.expires()));
    xml.push_str("</Credentials>");
    // The token's share of the room there is for one, and its length.
    element(xml, "SessionTokenUtilization", &claims.packed_percent().to_string());
    let length = credentials.session_token().map_or(0, |token| token.len());
    element(xml, "SessionTokenSize", &length.to_string());
}

/// `2026-11-20T12:00:00Z`; times before 1970 are 1970's.
pub(super) fn timestamp(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Years of this calendar begin in March, so that the leap day is their last.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_in_whole_seconds_of_utc() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_795_176_000, "2026-11-20T12:00:00Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"),
        ] {
            let time = UNIX_EPOCH + Duration::new(seconds, 999_999_999);
            assert_eq!(timestamp(time), text);
        }
    }

    #[test]
    fn an_answer_does_not_outgrow_its_room_whatever_its_subject_is_called() {
        use credfed_core::Secret;
        use credfed_core::session::SessionKind;

        let quotes = "'".repeat(255);
        let role = "arn:aws:iam::123456789012:role/reader";
        let claims = SessionClaims::builder(
            SessionKind::WebIdentity,
            role,
            UNIX_EPOCH,
            UNIX_EPOCH + Duration::from_secs(900),
        )
        .session_name("ci")
        .subject(quotes.as_str())
        .issuer(quotes.as_str())
        .build()
        .unwrap();
        let token = Secret::new("t".repeat(700));
        let credentials = AwsCredentials::new("ASIAEXAMPLE", Secret::new("s".repeat(44)), Some(token));
        let identity = WebIdentity { subject: quotes.clone(), issuer: quotes.clone(), audience: quotes };
        let assumed = Assumed {
            minted: Minted { claims, credentials },
            user_arn: role.to_owned(),
            user_id: String::from("AROAEXAMPLE:ci"),
            web_identity: Some(identity),
        };
        // It asserts by itself that it has not grown.
        assert_eq!(success(&Outcome::Assumed(Box::new(assumed)), "id").status(), StatusCode::OK);
    }
}
