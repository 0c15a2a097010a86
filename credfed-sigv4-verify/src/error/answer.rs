//! What the client is told: code, status, message and extra fields per protocol.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use http::StatusCode;

use super::{Malformed, Reason};
use crate::date::Date;
use crate::limits::Limit;
use crate::profile::Protocol;
use crate::request::Carrier;

impl Reason {
    /// The error code of `protocol`, such as `SignatureDoesNotMatch`.
    pub fn code(&self, protocol: Protocol) -> &'static str {
        let (s3, query, json) = self.row().0;
        match protocol {
            Protocol::S3 => s3.0,
            Protocol::Query => query.0,
            Protocol::Json => json.0,
        }
    }

    /// The status of the answer.
    pub fn status(&self, protocol: Protocol) -> StatusCode {
        let (s3, query, json) = self.row().0;
        let status = match protocol {
            Protocol::S3 => s3.1,
            Protocol::Query => query.1,
            Protocol::Json => json.1,
        };
        StatusCode::from_u16(status).unwrap_or(StatusCode::FORBIDDEN)
    }

    /// The text for the client. It repeats nothing that the client sent but dates and the names of form fields.
    pub fn message(&self, protocol: Protocol) -> Cow<'static, str> {
        match (self, protocol) {
            (Self::WrongRegion { expected, .. }, Protocol::S3) => {
                format!("The authorization is malformed; the region is wrong; expecting '{expected}'").into()
            }
            (Self::WrongService { expected, .. }, Protocol::S3) => format!(
                "The authorization is malformed; incorrect service; this endpoint belongs to '{expected}'"
            )
            .into(),
            (Self::ClockSkew { signed_at, now, max_skew }, Protocol::Query | Protocol::Json) => {
                clock_message(*signed_at, *now, *max_skew).into()
            }
            (Self::PresignedExpired { expires_in, signed_at, now }, Protocol::Query | Protocol::Json) => {
                format!(
                    "Signature expired: {} is now earlier than {}",
                    basic(*signed_at + Duration::from_secs(u64::from(*expires_in))),
                    basic(*now)
                )
                .into()
            }
            (Self::PresignedNotYetValid { signed_at, now, .. }, Protocol::Query | Protocol::Json) => format!(
                "Signature not yet current: {} is still later than {}",
                basic(*signed_at),
                basic(*now)
            )
            .into(),
            (Self::PostForm(fault), _) => fault.message().into(),
            // AWS repeats the value; that may be a token.
            (Self::PolicyCondition { operator, name }, _) => format!(
                "Invalid according to Policy: Policy Condition failed: [\"{operator}\", \"${name}\", ...]"
            )
            .into(),
            (Self::ExtraInputField(name), _) => {
                format!("Invalid according to Policy: Extra input fields: {name}").into()
            }
            (Self::WrongRegion { .. }, _) => "Credential should be scoped to a valid region.".into(),
            (Self::WrongService { .. }, _) => "Credential should be scoped to correct service.".into(),
            (Self::InvalidChecksum(checksum), _) => {
                format!("Value for {} trailing header is invalid.", checksum.header_name()).into()
            }
            (Self::ChecksumMismatch(checksum), _) => {
                format!("The {checksum} you specified did not match the calculated checksum.").into()
            }
            _ => self.row().1.into(),
        }
    }

    /// Further elements of S3's `<Error>`, as name and text; the other protocols' answers have no place for them.
    /// Names and texts are ASCII; header names that the client sent are among them and consist of
    /// token characters only, so that nothing needs escaping but `&` and `'`.
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::WrongRegion { expected, .. } => vec![("Region", expected.as_ref().into())],
            Self::ClockSkew { signed_at, now, max_skew } => vec![
                ("RequestTime", basic(*signed_at)),
                ("ServerTime", extended(*now)),
                ("MaxAllowedSkewMilliseconds", max_skew.as_millis().to_string()),
            ],
            Self::PresignedExpired { expires_in, signed_at, now }
            | Self::PresignedNotYetValid { expires_in, signed_at, now } => vec![
                ("X-Amz-Expires", expires_in.to_string()),
                ("Expires", extended(*signed_at + Duration::from_secs(u64::from(*expires_in)))),
                ("ServerTime", extended(*now)),
            ],
            Self::UnsignedHeaders(names) => vec![("HeadersNotSigned", names.join(", "))],
            Self::PostForm(fault) => fault.fields(),
            Self::UploadTooLarge { most } => vec![("MaxSizeAllowed", most.to_string())],
            Self::UploadTooSmall { least } => vec![("MinSizeAllowed", least.to_string())],
            _ => Vec::new(),
        }
    }

    /// Codes and statuses of S3, query and JSON, and the message they share.
    fn row(&self) -> Row {
        match self {
            Self::NoCredentials => (
                (("AccessDenied", 403), MISSING_TOKEN, MISSING_TOKEN),
                "Access Denied: the request carries no credentials",
            ),
            Self::TwoCarriers => (INVALID_ARGUMENT, "Only one auth mechanism allowed"),
            Self::SignatureVersion2 | Self::UnsupportedAlgorithm(Carrier::Header) => (
                (("InvalidRequest", 400), INCOMPLETE, INCOMPLETE),
                "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.",
            ),
            Self::UnsupportedScheme => {
                ((("InvalidArgument", 400), INCOMPLETE, INCOMPLETE), "Unsupported Authorization Type")
            }
            Self::UnsupportedAlgorithm(carrier) => {
                (malformed(*carrier), "X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256\"")
            }
            Self::Malformed(carrier, part) => (malformed(*carrier), part.message()),
            Self::ScopeDate(carrier) => {
                (malformed(*carrier), "The credential date is not the date of the request.")
            }
            Self::MalformedRequest(
                part @ (Malformed::Path | Malformed::NonNormalPath | Malformed::Query),
            ) => (
                (("InvalidURI", 400), ("InvalidParameterValue", 400), ("ValidationException", 400)),
                part.message(),
            ),
            Self::MalformedRequest(part) => (
                (("InvalidRequest", 400), ("InvalidParameterValue", 400), ("ValidationException", 400)),
                part.message(),
            ),
            Self::LimitExceeded(limit) => {
                let s3 = match limit {
                    Limit::Method | Limit::SignedChunk => "InvalidRequest",
                    Limit::PathBytes | Limit::QueryBytes | Limit::QueryParameters => "InvalidURI",
                    Limit::SignedHeaderNames | Limit::SignedHeaderBytes | Limit::SessionToken => {
                        "RequestHeaderSectionTooLarge"
                    }
                    Limit::FormFields
                    | Limit::FormNameBytes
                    | Limit::FormValueBytes
                    | Limit::PolicyBytes
                    | Limit::FormBytes => "MaxPostPreDataLengthExceededError",
                };
                (
                    ((s3, 400), ("InvalidParameterValue", 400), ("ValidationException", 400)),
                    "The request is larger than this service reads.",
                )
            }
            Self::WrongRegion { carrier, .. } | Self::WrongService { carrier, .. } => (
                (malformed(*carrier).0, ("SignatureDoesNotMatch", 403), ("InvalidSignatureException", 403)),
                "The authorization is malformed.",
            ),
            Self::ClockSkew { .. } => (
                (("RequestTimeTooSkewed", 403), MISMATCH.1, MISMATCH.2),
                "The difference between the request time and the current time is too large.",
            ),
            Self::PresignedExpired { .. } => {
                ((("AccessDenied", 403), MISMATCH.1, MISMATCH.2), "Request has expired")
            }
            Self::PresignedNotYetValid { .. } => {
                ((("AccessDenied", 403), MISMATCH.1, MISMATCH.2), "Request is not yet valid")
            }
            Self::UnsignedHeaders(_) => (
                (("AccessDenied", 403), MISMATCH.1, MISMATCH.2),
                "There were headers present in the request which were not signed",
            ),
            Self::SignatureMismatch
            | Self::SignedHeaderMissing
            | Self::ChunkSignatureMismatch
            | Self::TrailerSignatureMismatch => (
                MISMATCH,
                "The request signature we calculated does not match the signature you provided. \
                 Check your key and signing method.",
            ),
            Self::MissingContentSha256 => (
                (("InvalidRequest", 400), ("InvalidParameterValue", 400), ("ValidationException", 400)),
                "Missing required header for this request: x-amz-content-sha256",
            ),
            Self::InvalidPayloadMode => (
                INVALID_ARGUMENT,
                "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, a known streaming mode, or a valid SHA-256.",
            ),
            Self::StreamingWithoutUpload => (
                (("InvalidRequest", 400), ("InvalidParameterValue", 400), ("ValidationException", 400)),
                "The value of x-amz-content-sha256 header is invalid.",
            ),
            Self::MissingDecodedLength => (
                (
                    ("MissingContentLength", 411),
                    ("MissingContentLength", 411),
                    ("MissingContentLengthException", 411),
                ),
                "You must provide the Content-Length HTTP header.",
            ),
            Self::UnsupportedTrailer => (
                (("InvalidRequest", 400), ("InvalidParameterValue", 400), ("ValidationException", 400)),
                "The value specified in the x-amz-trailer header is not supported",
            ),
            Self::PayloadModeNotImplemented | Self::ChecksumNotImplemented | Self::S3SessionToken => (
                (("NotImplemented", 501), ("NotImplemented", 501), ("NotImplemented", 501)),
                "A header you provided implies functionality that is not implemented",
            ),
            Self::UnsignedPayloadRefused => {
                ((("AccessDenied", 403), MISMATCH.1, MISMATCH.2), "The payload has to be signed.")
            }
            Self::BodyHashRequired | Self::Internal => (
                (("InternalError", 500), ("InternalFailure", 500), ("InternalFailure", 500)),
                "We encountered an internal error. Please try again.",
            ),
            Self::UnknownKey | Self::TokenMissing => (
                (
                    ("InvalidAccessKeyId", 403),
                    ("InvalidClientTokenId", 403),
                    ("UnrecognizedClientException", 400),
                ),
                "The access key id you provided does not exist in our records.",
            ),
            Self::TokenWithStaticKey | Self::InvalidToken => (
                (("InvalidToken", 400), ("InvalidClientTokenId", 403), ("UnrecognizedClientException", 400)),
                "The security token included in the request is invalid.",
            ),
            Self::ExpiredToken => (
                (("ExpiredToken", 400), ("ExpiredToken", 403), ("ExpiredTokenException", 403)),
                "The security token included in the request is expired",
            ),
            Self::ResolverUnavailable => (
                (
                    ("ServiceUnavailable", 503),
                    ("ServiceUnavailable", 503),
                    ("ServiceUnavailableException", 503),
                ),
                "Please reduce your request rate or try again later.",
            ),
            Self::AccessDenied => (
                (("AccessDenied", 403), ("AccessDenied", 403), ("AccessDeniedException", 403)),
                "Access Denied",
            ),
            Self::BodyMismatch => (
                (("XAmzContentSHA256Mismatch", 400), MISMATCH.1, MISMATCH.2),
                "The provided 'x-amz-content-sha256' header does not match what was computed.",
            ),
            Self::IncompleteBody | Self::MalformedChunk => (
                (("IncompleteBody", 400), MISMATCH.1, MISMATCH.2),
                "The request body terminated unexpectedly",
            ),
            Self::DecodedLengthMismatch => (
                (("IncompleteBody", 400), MISMATCH.1, MISMATCH.2),
                "You did not provide the number of bytes specified by the Content-Length HTTP header",
            ),
            Self::MalformedTrailer => (
                (("MalformedTrailerError", 400), MISMATCH.1, MISMATCH.2),
                "The request contained trailing data that was not well-formed or did not conform to our \
                 published schema.",
            ),
            Self::InvalidChecksum(_) => (
                (("InvalidRequest", 400), MISMATCH.1, MISMATCH.2),
                "Value for a checksum trailing header is invalid.",
            ),
            Self::ChecksumMismatch(_) => (
                (("BadDigest", 400), MISMATCH.1, MISMATCH.2),
                "The checksum you specified did not match the calculated checksum.",
            ),
            Self::EntityTooLarge => (
                (
                    ("EntityTooLarge", 400),
                    ("RequestEntityTooLarge", 413),
                    ("RequestEntityTooLargeException", 413),
                ),
                "The request body is larger than this service accepts.",
            ),
            Self::PostForm(fault) => (form(fault.code()), "The POST form is malformed."),
            Self::PolicyDocument(fault) => (form(("InvalidPolicyDocument", 400)), fault.message()),
            Self::PolicyExpired => {
                (form(("AccessDenied", 403)), "Invalid according to Policy: Policy expired.")
            }
            Self::PolicyCondition { .. } | Self::ExtraInputField(_) => {
                (form(("AccessDenied", 403)), "Invalid according to Policy.")
            }
            Self::UploadTooLarge { .. } => {
                (form(("EntityTooLarge", 400)), "Your proposed upload exceeds the maximum allowed size")
            }
            Self::UploadTooSmall { .. } => (
                form(("EntityTooSmall", 400)),
                "Your proposed upload is smaller than the minimum allowed size",
            ),
        }
    }
}

impl Malformed {
    fn message(self) -> &'static str {
        match self {
            Self::Grammar => "The authorization does not have the required parts.",
            Self::DuplicateOrVariant => "A parameter of the authorization is repeated or spelt differently.",
            Self::Credential => {
                "The Credential is mal-formed; expecting \"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\"."
            }
            Self::CredentialWithoutRegion => {
                "The Credential is mal-formed; expecting \"<YOUR-AKID>/YYYYMMDD/SERVICE/aws4_request\"."
            }
            Self::RegionSet => "X-Amz-Region-Set must be a list of regions, separated by commas.",
            Self::SignedHeaders => "SignedHeaders is not a list of header names.",
            Self::Signature => "The signature is not 64 lower-case hexadecimal digits.",
            Self::EcdsaSignature => {
                "The signature is not a DER-encoded ECDSA signature in lower-case hexadecimal digits."
            }
            Self::Date => "A valid date in the form YYYYMMDD'T'HHMMSS'Z' is required.",
            Self::Expires => "X-Amz-Expires must be a number from 1 to 604800 (seconds).",
            Self::Token => "The security token is malformed.",
            Self::RepeatedHeader => "A header that may occur once occurs more than once.",
            Self::Path => "Couldn't parse the specified path.",
            Self::NonNormalPath => "The path has empty or dot segments.",
            Self::Query => "Couldn't parse the specified query.",
            Self::Host => "The Host header is missing or differs from the request target.",
            Self::DecodedLength => "x-amz-decoded-content-length must be a decimal number of bytes.",
            Self::Connection => "The Connection header names a header that is part of the signature.",
        }
    }
}

type Answer = (&'static str, u16);
type Row = ((Answer, Answer, Answer), &'static str);

const MISSING_TOKEN: Answer = ("MissingAuthenticationToken", 403);
const INCOMPLETE: Answer = ("IncompleteSignature", 400);
const INVALID_ARGUMENT: (Answer, Answer, Answer) =
    (("InvalidArgument", 400), ("InvalidParameterValue", 400), ("ValidationException", 400));
const MISMATCH: (Answer, Answer, Answer) =
    (("SignatureDoesNotMatch", 403), ("SignatureDoesNotMatch", 403), ("InvalidSignatureException", 403));

fn malformed(carrier: Carrier) -> (Answer, Answer, Answer) {
    let s3 = match carrier {
        Carrier::Header => "AuthorizationHeaderMalformed",
        // The fields of a form are those of a presigned query.
        Carrier::Presigned | Carrier::PostForm => "AuthorizationQueryParametersError",
    };
    ((s3, 400), INCOMPLETE, INCOMPLETE)
}

/// Forms are S3's alone; what a verifier of another protocol would answer never comes up.
fn form(answer: Answer) -> (Answer, Answer, Answer) {
    (answer, answer, answer)
}

fn clock_message(signed_at: SystemTime, now: SystemTime, max_skew: Duration) -> String {
    let minutes = max_skew.as_secs() / 60;
    if signed_at < now {
        let bound = now.checked_sub(max_skew).unwrap_or(now);
        format!(
            "Signature expired: {} is now earlier than {} ({} - {minutes} min.)",
            basic(signed_at),
            basic(bound),
            basic(now)
        )
    } else {
        let bound = now.checked_add(max_skew).unwrap_or(now);
        format!(
            "Signature not yet current: {} is still later than {} ({} + {minutes} min.)",
            basic(signed_at),
            basic(bound),
            basic(now)
        )
    }
}

/// `20150830T123600Z`
fn basic(time: SystemTime) -> String {
    Date::from_system_time(time).map_or_else(String::new, |date| date.to_string())
}

/// `2015-08-30T12:36:00Z`
fn extended(time: SystemTime) -> String {
    let text = basic(time);
    match (text.get(..4), text.get(4..6), text.get(6..11), text.get(11..13), text.get(13..)) {
        (Some(year), Some(month), Some(day_hour), Some(minute), Some(second)) => {
            let (day, hour) = day_hour.split_once('T').unwrap_or((day_hour, ""));
            format!("{year}-{month}-{day}T{hour}:{minute}:{second}")
        }
        _ => text,
    }
}
