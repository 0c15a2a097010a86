//! Which of the rules of acceptance a refusal is about.

use crate::error::{Malformed, Reason};

impl Reason {
    /// The number of the rule of acceptance that the request breaks, as the crate's documentation counts them;
    /// `None` where no rule is broken and the request is refused all the same.
    pub fn rule(&self) -> Option<u8> {
        Some(match self {
            Self::NoCredentials | Self::TwoCarriers => 1,
            Self::SignatureVersion2 | Self::UnsupportedScheme | Self::UnsupportedAlgorithm(_) => 2,
            Self::Malformed(_, part) | Self::MalformedRequest(part) => part.rule(),
            Self::LimitExceeded(_) | Self::EntityTooLarge => 15,
            Self::ScopeDate(_) | Self::WrongRegion { .. } | Self::WrongService { .. } => 4,
            Self::ClockSkew { .. } | Self::PresignedExpired { .. } | Self::PresignedNotYetValid { .. } => 5,
            Self::UnsignedHeaders(_) | Self::SignedHeaderMissing => 6,
            Self::MissingContentSha256
            | Self::InvalidPayloadMode
            | Self::PayloadModeNotImplemented
            | Self::UnsignedPayloadRefused
            | Self::StreamingWithoutUpload
            | Self::MissingDecodedLength
            | Self::UnsupportedTrailer
            | Self::ChecksumNotImplemented
            | Self::BodyHashRequired => 10,
            Self::S3SessionToken
            | Self::TokenWithStaticKey
            | Self::TokenMissing
            | Self::InvalidToken
            | Self::ExpiredToken => 7,
            Self::UnknownKey | Self::SignatureMismatch => 12,
            Self::BodyMismatch
            | Self::IncompleteBody
            | Self::MalformedChunk
            | Self::DecodedLengthMismatch
            | Self::ChunkSignatureMismatch
            | Self::TrailerSignatureMismatch
            | Self::MalformedTrailer
            | Self::InvalidChecksum(_)
            | Self::ChecksumMismatch(_)
            | Self::UploadTooLarge { .. }
            | Self::UploadTooSmall { .. } => 11,
            Self::PostForm(fault) => fault.rule(),
            Self::PolicyExpired => 5,
            Self::PolicyDocument(_) | Self::PolicyCondition { .. } | Self::ExtraInputField(_) => 6,
            Self::ResolverUnavailable | Self::AccessDenied | Self::Internal => return None,
        })
    }
}

impl Malformed {
    fn rule(self) -> u8 {
        match self {
            Self::Grammar => 1,
            Self::DuplicateOrVariant | Self::RepeatedHeader => 3,
            Self::Credential | Self::CredentialWithoutRegion | Self::RegionSet => 4,
            Self::Date | Self::Expires => 5,
            Self::SignedHeaders | Self::Connection => 6,
            Self::Token => 7,
            Self::Path | Self::NonNormalPath | Self::Query | Self::Host => 8,
            Self::DecodedLength => 10,
            Self::Signature | Self::EcdsaSignature => 12,
        }
    }
}
