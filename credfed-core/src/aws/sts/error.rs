//! What the service's refusals mean.

use std::time::Duration;

use http::StatusCode;
use http::header::{DATE, HeaderMap, RETRY_AFTER};

use super::response::{self, Malformed};
use crate::date::http_date;
use crate::transport::retry::{Again, Failed};
use crate::{ErrorKind, ProviderError};

/// What a quotation of a secret is recognised by, in bytes.
const QUOTATION: usize = 12;

/// The failure that an answer without a credential stands for. `secrets` are not repeated, should the server do so.
pub(super) fn refusal(status: StatusCode, headers: &HeaderMap, body: &[u8], secrets: &[&str]) -> Failed {
    let found = response::refusal(body).unwrap_or_default();
    let silent = |text: &str| !secrets.iter().any(|secret| quotes(text, secret));
    let code = found.code.filter(|code| is_code(code) && silent(code));
    let id = found.request_id.or_else(|| {
        let named = |name| headers.get(name)?.to_str().ok().map(str::to_owned);
        named("x-amzn-requestid").or_else(|| named("x-amz-request-id"))
    });
    let (kind, again) = classify(code.as_deref(), status);
    let message = match found.message.map(|text| text.trim().to_owned()) {
        Some(text) if !text.is_empty() && silent(&text) => format!("the service answered: {text}"),
        _ => format!("the service answered {}", status.as_u16()),
    };
    let mut error = ProviderError::new(kind, message);
    if let Some(code) = code {
        error = error.with_code(code);
    }
    if let Some(id) = id.filter(|id| id.len() <= 128 && !id.is_empty() && silent(id)) {
        error = error.with_request_id(id);
    }
    if let Some(after) = retry_after(headers) {
        error = error.with_retry_after(after);
    }
    Failed { error, again }
}

/// The failure that an answer which cannot be read stands for.
pub(super) fn unreadable(why: Malformed) -> ProviderError {
    match why {
        Malformed::Xml => ProviderError::transient("the answer is not well-formed"),
        Malformed::Kind(what) => ProviderError::transient(format!("the answer holds {what}")),
        Malformed::Root => ProviderError::transient("the answer is not of the call that was made"),
        Malformed::Missing(field) => ProviderError::transient(format!("the answer has no {field}")),
        Malformed::Twice(field) => ProviderError::transient(format!("the answer has more than one {field}")),
        Malformed::Value(field) => ProviderError::transient(format!("the answer's {field} is not valid")),
    }
}

/// The table of the retry rules, from the service's code or, without one, the status.
fn classify(code: Option<&str>, status: StatusCode) -> (ErrorKind, Again) {
    use ErrorKind::{Rejected, Throttled, Transient};
    match code {
        Some(code) if code.starts_with("Throttl") => (Throttled, Again::ByKind),
        Some("RequestLimitExceeded" | "TooManyRequestsException" | "SlowDown") => (Throttled, Again::ByKind),
        Some("IDPCommunicationError") => (Transient, Again::OnceLater),
        Some("ExpiredTokenException" | "ExpiredToken") => (Rejected, Again::Once),
        Some("InvalidIdentityToken") => (Rejected, Again::OnceLater),
        Some(
            "AccessDenied"
            | "MalformedPolicyDocument"
            | "PackedPolicyTooLarge"
            | "RegionDisabledException"
            | "IDPRejectedClaim",
        ) => (Rejected, Again::Never),
        _ => match status.as_u16() {
            429 => (Throttled, Again::ByKind),
            408 | 500.. => (Transient, Again::ByKind),
            400.. => (Rejected, Again::Never),
            // A 2xx that holds no credential, whatever it means.
            _ => (Transient, Again::ByKind),
        },
    }
}

/// `Retry-After` in seconds or as a date (against the server's own), or `x-amz-retry-after` in milliseconds.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |value: Option<&http::HeaderValue>| value?.to_str().ok().map(|text| text.trim().to_owned());
    if let Some(asked) = text(headers.get(RETRY_AFTER)) {
        if let Ok(seconds) = asked.parse() {
            return Some(Duration::from_secs(seconds));
        }
        if let Some(at) = http_date(&asked) {
            let date = http_date(&text(headers.get(DATE))?)?;
            return Some(at.duration_since(date).unwrap_or_default());
        }
    }
    text(headers.get("x-amz-retry-after"))?.parse().ok().map(Duration::from_millis)
}

fn is_code(code: &str) -> bool {
    let alphabet = |byte: u8| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte);
    (1..=64).contains(&code.len()) && code.bytes().all(alphabet)
}

/// Whether a text repeats a piece of a secret.
fn quotes(text: &str, secret: &str) -> bool {
    let length = QUOTATION.min(secret.len());
    if length < 4 {
        return false;
    }
    // A text that is longer will be cut to 200 characters anyway.
    let text = text.as_bytes();
    let window = &text[..text.len().min(1_024)];
    window.windows(length).any(|piece| memmem(secret.as_bytes(), piece))
}

fn memmem(text: &[u8], piece: &[u8]) -> bool {
    let Some(first) = piece.first() else { return true };
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| byte == first) {
        rest = &rest[at..];
        if rest.starts_with(piece) {
            return true;
        }
        rest = &rest[1..];
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: u16, headers: &[(&'static str, &str)], body: &str, secrets: &[&str]) -> Failed {
        let headers = headers
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()))
            .collect();
        refusal(StatusCode::from_u16(status).unwrap(), &headers, body.as_bytes(), secrets)
    }

    fn answer(code: &str) -> String {
        format!(
            "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>\
             <Code>{code}</Code><Message>why</Message></Error><RequestId>c0ffee</RequestId></ErrorResponse>"
        )
    }

    #[test]
    fn each_code_has_its_class() {
        use ErrorKind::{Rejected, Throttled, Transient};
        for (code, status, kind, again) in [
            ("Throttling", 400, Throttled, Again::ByKind),
            ("ThrottlingException", 400, Throttled, Again::ByKind),
            ("ThrottledException", 400, Throttled, Again::ByKind),
            ("RequestLimitExceeded", 503, Throttled, Again::ByKind),
            ("TooManyRequestsException", 400, Throttled, Again::ByKind),
            ("SlowDown", 503, Throttled, Again::ByKind),
            ("IDPCommunicationError", 400, Transient, Again::OnceLater),
            ("ExpiredTokenException", 400, Rejected, Again::Once),
            ("ExpiredToken", 403, Rejected, Again::Once),
            ("InvalidIdentityToken", 400, Rejected, Again::OnceLater),
            ("AccessDenied", 403, Rejected, Again::Never),
            ("MalformedPolicyDocument", 400, Rejected, Again::Never),
            ("PackedPolicyTooLarge", 400, Rejected, Again::Never),
            ("RegionDisabledException", 403, Rejected, Again::Never),
            ("IDPRejectedClaim", 403, Rejected, Again::Never),
            ("ValidationError", 400, Rejected, Again::Never),
            ("InternalFailure", 500, Transient, Again::ByKind),
            ("ServiceUnavailable", 503, Transient, Again::ByKind),
            ("STSNotInitialized", 503, Transient, Again::ByKind),
        ] {
            let failed = read(status, &[], &answer(code), &[]);
            assert_eq!((failed.error.kind(), failed.again), (kind, again), "{code}");
            assert_eq!(
                failed.error.to_string(),
                format!("the service answered: why ({code}) [request c0ffee]")
            );
        }
        for (status, kind) in [
            (400, Rejected),
            (401, Rejected),
            (403, Rejected),
            (404, Rejected),
            (408, Transient),
            (429, Throttled),
            (500, Transient),
            (502, Transient),
            (503, Transient),
            (504, Transient),
            (599, Transient),
            (204, Transient),
        ] {
            for body in ["", "<html><body>no</body></html>", "{\"code\":\"AccessDenied\",\"message\":\"m\"}"]
            {
                let failed = read(status, &[], body, &[]);
                assert_eq!(failed.error.kind(), kind, "{status}");
                assert_eq!(failed.error.to_string(), format!("the service answered {status}"));
            }
        }
    }

    #[test]
    fn the_form_of_s3_and_the_id_of_a_header_are_read_too() {
        let body = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>AccessDenied</Code><RequestId>tx01</RequestId>\
                    <HostId>h</HostId></Error>";
        let failed = read(403, &[("x-amz-request-id", "other")], body, &[]);
        assert_eq!(failed.error.to_string(), "the service answered 403 (AccessDenied) [request tx01]");
        let failed = read(503, &[("x-amzn-requestid", "c0ffee")], "", &[]);
        assert_eq!(failed.error.to_string(), "the service answered 503 [request c0ffee]");
    }

    #[test]
    fn what_the_server_asks_for_is_read_in_each_of_its_forms() {
        let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
        for (headers, asked) in [
            (&[("retry-after", "7")][..], Some(Duration::from_secs(7))),
            (&[("retry-after", "Sun, 06 Nov 1994 08:49:47 GMT"), date][..], Some(Duration::from_secs(10))),
            (&[("retry-after", "Sun, 06 Nov 1994 08:49:00 GMT"), date][..], Some(Duration::ZERO)),
            (&[("retry-after", "Sun, 06 Nov 1994 08:49:47 GMT")][..], None),
            (&[("x-amz-retry-after", "1500")][..], Some(Duration::from_millis(1_500))),
            (&[("retry-after", "-1")][..], None),
            (&[("retry-after", "soon")][..], None),
            (&[][..], None),
        ] {
            assert_eq!(read(429, headers, "", &[]).error.retry_after(), asked, "{headers:?}");
        }
    }

    #[test]
    fn a_server_that_repeats_a_secret_is_not_quoted() {
        let token = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.c2lnbmF0dXJl";
        let piece = &token[10..30];
        let body = format!("<Error><Code>Bad</Code><Message>no: {piece}</Message></Error>");
        assert_eq!(read(400, &[], &body, &[token]).error.to_string(), "the service answered 400 (Bad)");
        let body = format!("<Error><Code>{}</Code><RequestId>{piece}</RequestId></Error>", &token[..20]);
        assert_eq!(read(400, &[], &body, &[token]).error.to_string(), "the service answered 400");
        let body = "<Error><Message>the code 123456 is wrong</Message></Error>";
        assert_eq!(read(400, &[], body, &["123456"]).error.to_string(), "the service answered 400");
        let long = format!(
            "<Error><Message>{}</Message></Error>",
            "x\u{1b}".repeat(300).replace('\u{1b}', "\u{202e}")
        );
        assert_eq!(read(400, &[], &long, &[]).error.to_string().chars().count(), 200);
    }
}
