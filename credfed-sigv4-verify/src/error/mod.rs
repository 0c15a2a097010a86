//! Why a request was refused: typed, comparable, free of anything the client must not see.

mod answer;
mod post;
mod rule;

use std::fmt;
use std::time::{Duration, SystemTime};

use crate::chunked::Checksum;
use crate::limits::Limit;
use crate::request::Carrier;

pub use post::{PolicyFault, PostFault};

/// Why a request is refused. Each reason has one code, status and message per
/// [`Protocol`](crate::Protocol); [`Display`](fmt::Display) is for the operator's log.
///
/// No variant carries a secret, a token or a signature, neither ours nor the client's.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// Neither an Authorization header nor a presigned query nor a signed form.
    NoCredentials,
    /// More than one carrier, or the parts of one spread over two.
    TwoCarriers,
    /// Signature version 2, in whatever carrier.
    SignatureVersion2,
    /// An Authorization header of another scheme than AWS's.
    UnsupportedScheme,
    /// An algorithm that is not served here.
    UnsupportedAlgorithm(Carrier),
    /// The carrier does not read as its grammar wants.
    Malformed(Carrier, Malformed),
    /// The request does not, whatever its carrier.
    MalformedRequest(Malformed),
    /// A bound of [`Limits`](crate::Limits) was crossed.
    LimitExceeded(Limit),
    /// The scope's day is not the day of the request date.
    ScopeDate(Carrier),
    /// The scope names a region that is not served here; `expected` is one that is.
    WrongRegion {
        /// Where the scope stood.
        carrier: Carrier,
        /// A region that is served.
        expected: Box<str>,
    },
    /// The scope names a service that is not served here.
    WrongService {
        /// Where the scope stood.
        carrier: Carrier,
        /// A service that is served.
        expected: Box<str>,
    },
    /// The request date is too far from now.
    ClockSkew {
        /// When the client signed.
        signed_at: SystemTime,
        /// The verifier's time.
        now: SystemTime,
        /// The largest difference accepted.
        max_skew: Duration,
    },
    /// A presigned request came after its end.
    PresignedExpired {
        /// X-Amz-Expires, in seconds.
        expires_in: u32,
        /// When the client signed.
        signed_at: SystemTime,
        /// The verifier's time.
        now: SystemTime,
    },
    /// A presigned request came before its date.
    PresignedNotYetValid {
        /// X-Amz-Expires, in seconds.
        expires_in: u32,
        /// When the client signed.
        signed_at: SystemTime,
        /// The verifier's time.
        now: SystemTime,
    },
    /// These headers are present and not signed, though they must be.
    UnsignedHeaders(Vec<Box<str>>),
    /// A header in SignedHeaders is not in the request.
    SignedHeaderMissing,
    /// An S3 request in the Authorization header without x-amz-content-sha256.
    MissingContentSha256,
    /// x-amz-content-sha256 is neither a hash nor a known mode.
    InvalidPayloadMode,
    /// A payload mode that AWS knows and this verifier does not serve.
    PayloadModeNotImplemented,
    /// UNSIGNED-PAYLOAD, or chunks without signatures, where policy wants the body signed.
    UnsignedPayloadRefused,
    /// A streaming mode with a method that uploads nothing.
    StreamingWithoutUpload,
    /// A streaming mode without x-amz-decoded-content-length.
    MissingDecodedLength,
    /// x-amz-trailer names a field that is no checksum.
    UnsupportedTrailer,
    /// x-amz-trailer names a checksum that AWS knows, or may come to know, and this verifier does not compute.
    ChecksumNotImplemented,
    /// S3 Express session tokens (x-amz-s3session-token) are not served.
    S3SessionToken,
    /// The caller of the library has to hash the body and use
    /// [`Verifier::verify_with_body_hash`](crate::Verifier::verify_with_body_hash).
    BodyHashRequired,
    /// The access key is not known.
    UnknownKey,
    /// The signature does not match.
    SignatureMismatch,
    /// A session token beside a static key.
    TokenWithStaticKey,
    /// A temporary key without its session token.
    TokenMissing,
    /// The session token is broken, revoked, or of another key.
    InvalidToken,
    /// The session is over.
    ExpiredToken,
    /// Keys cannot be looked up now.
    ResolverUnavailable,
    /// Verified, and not allowed.
    AccessDenied,
    /// The body is not the one that was signed.
    BodyMismatch,
    /// The body ended early.
    IncompleteBody,
    /// A chunked body does not read as its grammar wants, or goes on after its end.
    MalformedChunk,
    /// The chunks have another length together than x-amz-decoded-content-length says.
    DecodedLengthMismatch,
    /// The signature of a chunk does not match.
    ChunkSignatureMismatch,
    /// The signature of the trailer does not match.
    TrailerSignatureMismatch,
    /// The trailer does not read as its grammar wants, or has other fields than x-amz-trailer declares;
    /// x-amz-trailer itself is malformed, missing, or goes with a mode that has no trailer.
    MalformedTrailer,
    /// A checksum in the trailer is not base64 of the right length.
    InvalidChecksum(Checksum),
    /// The decoded body has another checksum than the trailer says.
    ChecksumMismatch(Checksum),
    /// The body is longer than what may be buffered.
    EntityTooLarge,
    /// The service around the verifier failed.
    Internal,
    /// A POST form does not read as one.
    PostForm(PostFault),
    /// The policy of a POST form is no policy document.
    PolicyDocument(PolicyFault),
    /// The policy's expiration has passed, or its signature is older than seven days.
    PolicyExpired,
    /// A condition of the policy is not met.
    PolicyCondition {
        /// `eq` or `starts-with`.
        operator: &'static str,
        /// The field, in lower case.
        name: Box<str>,
    },
    /// A field, in lower case, that no condition of the policy covers.
    ExtraInputField(Box<str>),
    /// The file is larger than the policy allows.
    UploadTooLarge {
        /// Bytes.
        most: u64,
    },
    /// The file is smaller than the policy demands.
    UploadTooSmall {
        /// Bytes.
        least: u64,
    },
}

/// Which part was malformed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Malformed {
    /// The list of parameters itself: unknown, missing or repeated ones, stray separators.
    Grammar,
    /// A parameter of the closed list twice, in another case, or escaped.
    DuplicateOrVariant,
    /// The credential: access key and scope.
    Credential,
    /// The credential of SigV4A, whose scope has no region.
    CredentialWithoutRegion,
    /// SigV4A without x-amz-region-set, or that is no list of region names.
    RegionSet,
    /// SignedHeaders: an empty name, no token, a repetition.
    SignedHeaders,
    /// The signature is not 64 lower-case hex digits.
    Signature,
    /// The signature of SigV4A is not DER in lower-case hex digits.
    EcdsaSignature,
    /// The date is missing or not `YYYYMMDDTHHMMSSZ`.
    Date,
    /// X-Amz-Expires is no number from 1 to 604800.
    Expires,
    /// The session token is empty, repeated, or not visible ASCII.
    Token,
    /// A header that may come once came twice.
    RepeatedHeader,
    /// The path: not absolute, a broken escape, an encoded NUL.
    Path,
    /// The path has dot or empty segments in a profile that normalises.
    NonNormalPath,
    /// The query has a broken escape.
    Query,
    /// Host is missing, or differs from the authority of the request target.
    Host,
    /// Connection names a header that the signature covers, or more than 32.
    Connection,
    /// x-amz-decoded-content-length is no decimal number of 64 bits.
    DecodedLength,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::NoCredentials => "no credentials",
            Self::TwoCarriers => "more than one carrier of credentials",
            Self::SignatureVersion2 => "signature version 2",
            Self::UnsupportedScheme => "unsupported authorization scheme",
            Self::UnsupportedAlgorithm(_) => "unsupported signing algorithm",
            Self::Malformed(carrier, part) => {
                return write!(f, "malformed {}: {part}", carrier.name());
            }
            Self::MalformedRequest(part) => return write!(f, "malformed request: {part}"),
            Self::LimitExceeded(limit) => return write!(f, "limit exceeded: {limit:?}"),
            Self::ScopeDate(_) => "scope of another day than the request",
            Self::WrongRegion { .. } => "scope for another region",
            Self::WrongService { .. } => "scope for another service",
            Self::ClockSkew { .. } => "request date too far from now",
            Self::PresignedExpired { .. } => "presigned request expired",
            Self::PresignedNotYetValid { .. } => "presigned request not yet valid",
            Self::UnsignedHeaders(names) => {
                return write!(f, "headers present but not signed: {}", names.join(", "));
            }
            Self::SignedHeaderMissing => "signed header missing",
            Self::MissingContentSha256 => "x-amz-content-sha256 missing",
            Self::InvalidPayloadMode => "x-amz-content-sha256 is no hash and no known mode",
            Self::PayloadModeNotImplemented => "payload mode not implemented",
            Self::UnsignedPayloadRefused => "unsigned payload refused by policy",
            Self::StreamingWithoutUpload => "streaming mode with a method that uploads nothing",
            Self::MissingDecodedLength => "x-amz-decoded-content-length missing",
            Self::UnsupportedTrailer => "x-amz-trailer names what is no checksum",
            Self::ChecksumNotImplemented => "x-amz-trailer names a checksum that is not implemented",
            Self::S3SessionToken => "s3 express session tokens not served",
            Self::BodyHashRequired => "the body has to be hashed before verification",
            Self::UnknownKey => "unknown access key",
            Self::SignatureMismatch => "signature mismatch",
            Self::TokenWithStaticKey => "session token beside a static key",
            Self::TokenMissing => "temporary key without a session token",
            Self::InvalidToken => "invalid session token",
            Self::ExpiredToken => "session expired",
            Self::ResolverUnavailable => "keys cannot be resolved now",
            Self::AccessDenied => "access denied",
            Self::BodyMismatch => "body differs from the signed hash",
            Self::IncompleteBody => "body ended early",
            Self::MalformedChunk => "malformed chunk",
            Self::DecodedLengthMismatch => "body differs from its decoded length",
            Self::ChunkSignatureMismatch => "signature mismatch of a chunk",
            Self::TrailerSignatureMismatch => "signature mismatch of the trailer",
            Self::MalformedTrailer => "malformed trailer",
            Self::InvalidChecksum(checksum) => {
                return write!(f, "malformed {checksum} in the trailer");
            }
            Self::ChecksumMismatch(checksum) => {
                return write!(f, "body differs from its {checksum} in the trailer");
            }
            Self::EntityTooLarge => "body too large",
            Self::Internal => "internal error",
            Self::PostForm(fault) => return write!(f, "malformed post form: {fault}"),
            Self::PolicyDocument(fault) => return write!(f, "malformed post policy: {fault}"),
            Self::PolicyExpired => "post policy expired",
            Self::PolicyCondition { operator, name } => {
                return write!(f, "post policy not met: {operator} on {name}");
            }
            Self::ExtraInputField(name) => return write!(f, "field not covered by the post policy: {name}"),
            Self::UploadTooLarge { most } => return write!(f, "file larger than {most} bytes"),
            Self::UploadTooSmall { least } => return write!(f, "file smaller than {least} bytes"),
        };
        f.write_str(text)
    }
}

impl std::error::Error for Reason {}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Grammar => "grammar",
            Self::DuplicateOrVariant => "parameter repeated or spelt differently",
            Self::Credential => "credential",
            Self::CredentialWithoutRegion => "credential of sigv4a",
            Self::RegionSet => "region set",
            Self::SignedHeaders => "signed headers",
            Self::Signature => "signature",
            Self::EcdsaSignature => "ecdsa signature",
            Self::Date => "date",
            Self::Expires => "expires",
            Self::Token => "session token",
            Self::RepeatedHeader => "repeated header",
            Self::Path => "path",
            Self::NonNormalPath => "path is not normal",
            Self::Query => "query",
            Self::Host => "host",
            Self::Connection => "connection names a covered header",
            Self::DecodedLength => "decoded length",
        })
    }
}
