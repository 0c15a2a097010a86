//! The families of services that differ in how a request is canonicalised and answered.

use std::time::Duration;

/// How a service canonicalises requests and what it insists on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Profile {
    /// Amazon S3 and what speaks its protocol: the path is encoded once and never normalised,
    /// `x-amz-content-sha256` is mandatory in header-signed requests, `UNSIGNED-PAYLOAD` is known.
    S3,
    /// AWS STS: as [`Profile::General`] with normalisation, 15 minutes of clock skew, the query
    /// protocol's errors.
    Sts,
    /// Every other service: the path on the wire is encoded once more.
    General {
        /// Whether the signer removes dot segments and doubled slashes before it signs (most
        /// services). A path that is not already normal is refused, see
        /// [`danger::Knobs`](crate::danger::Knobs).
        normalize: bool,
    },
}

impl Profile {
    /// The service name that the profile implies, if it implies one.
    pub(crate) fn default_service(self) -> Option<&'static str> {
        match self {
            Self::S3 => Some("s3"),
            Self::Sts => Some("sts"),
            Self::General { .. } => None,
        }
    }

    pub(crate) fn default_protocol(self) -> Protocol {
        match self {
            Self::S3 => Protocol::S3,
            Self::Sts => Protocol::Query,
            Self::General { .. } => Protocol::Json,
        }
    }

    pub(crate) fn default_skew(self) -> Duration {
        match self {
            Self::S3 | Self::Sts => Duration::from_secs(15 * 60),
            Self::General { .. } => Duration::from_secs(5 * 60),
        }
    }

    pub(crate) fn normalizes(self) -> bool {
        match self {
            Self::S3 => false,
            Self::Sts => true,
            Self::General { normalize } => normalize,
        }
    }
}

/// The shape of error answers that the clients of a service understand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Protocol {
    /// S3's XML `<Error>`.
    S3,
    /// The query protocol's XML `<ErrorResponse>` (STS and others).
    Query,
    /// The JSON protocols' `__type` and `message`.
    Json,
}

/// Whether requests may leave their body out of the signature: `UNSIGNED-PAYLOAD`, and
/// `STREAMING-UNSIGNED-PAYLOAD-TRAILER`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UnsignedPayload {
    /// Accepted: the default of [`Profile::S3`], whose clients send it over TLS.
    Allow,
    /// Accepted where the server says that the request came over TLS, see [`Connection`](crate::Connection).
    OverTls,
    /// Refused: the default of every other profile.
    Refuse,
}
