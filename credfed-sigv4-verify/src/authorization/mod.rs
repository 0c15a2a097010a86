//! The carriers of a signature.

pub(crate) mod header;
pub(crate) mod presigned;

use crate::error::Malformed;
use crate::scope::Credential;
use crate::scratch::Work;
use crate::signature::Signature;
#[cfg(feature = "sigv4a")]
use crate::sigv4a;

/// The one algorithm of every verifier, byte-exact (rule 2).
pub(crate) const ALGORITHM: &[u8] = b"AWS4-HMAC-SHA256";

/// How a request was signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// `AWS4-HMAC-SHA256`.
    HmacSha256,
    /// `AWS4-ECDSA-P256-SHA256`, which is SigV4A: for the regions of
    /// [`SignedRequest::region_set`](crate::SignedRequest::region_set). Only a verifier that was told so
    /// (`VerifierBuilder::accept_sigv4a`, feature `sigv4a`) reads it.
    EcdsaP256Sha256,
}

impl Algorithm {
    /// The name as on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::HmacSha256 => "AWS4-HMAC-SHA256",
            Self::EcdsaP256Sha256 => "AWS4-ECDSA-P256-SHA256",
        }
    }

    /// Reads a name, byte for byte, of those that are accepted.
    #[inline(always)]
    pub(crate) fn parse(name: &[u8], accepts_sigv4a: bool) -> Option<Self> {
        match name {
            ALGORITHM => Some(Self::HmacSha256),
            b"AWS4-ECDSA-P256-SHA256" if accepts_sigv4a => Some(Self::EcdsaP256Sha256),
            _ => None,
        }
    }
}

/// A signature as the client sent it, of one algorithm or the other.
#[derive(Clone, Copy)]
pub(crate) enum Sent {
    Hmac(Signature),
    #[cfg(feature = "sigv4a")]
    Ecdsa(sigv4a::Signature),
}

impl Sent {
    pub(crate) fn algorithm(&self) -> Algorithm {
        match self {
            Self::Hmac(_) => Algorithm::HmacSha256,
            #[cfg(feature = "sigv4a")]
            Self::Ecdsa(_) => Algorithm::EcdsaP256Sha256,
        }
    }

    /// Reads credential and signature, each in the form of the algorithm.
    #[inline(always)]
    pub(crate) fn read(
        algorithm: Algorithm,
        credential: &[u8],
        signature: &[u8],
    ) -> Result<(Credential, Self), Malformed> {
        match algorithm {
            Algorithm::HmacSha256 => Ok((
                Credential::parse(credential).ok_or(Malformed::Credential)?,
                Signature::from_hex(signature).map(Self::Hmac).ok_or(Malformed::Signature)?,
            )),
            #[cfg(feature = "sigv4a")]
            Algorithm::EcdsaP256Sha256 => Ok((
                Credential::parse_without_region(credential).ok_or(Malformed::CredentialWithoutRegion)?,
                sigv4a::Signature::from_hex(signature).map(Self::Ecdsa).ok_or(Malformed::EcdsaSignature)?,
            )),
            // No verifier accepts it.
            #[cfg(not(feature = "sigv4a"))]
            Algorithm::EcdsaP256Sha256 => Err(Malformed::Signature),
        }
    }
}

/// What both carriers say.
pub(crate) struct Authorization<'a> {
    pub(crate) credential_text: Text<'a>,
    pub(crate) credential: Credential,
    pub(crate) signed_headers: Text<'a>,
    pub(crate) signature: Sent,
    /// Of a presigned query.
    pub(crate) region_set: Option<Text<'a>>,
}

/// Bytes on the wire, or decoded into the request's buffer.
#[derive(Clone, Copy)]
pub(crate) enum Text<'a> {
    Wire(&'a [u8]),
    Decoded { start: u32, end: u32 },
}

impl<'a> Text<'a> {
    pub(crate) fn bytes<'w>(&self, work: &'w Work) -> &'w [u8]
    where
        'a: 'w,
    {
        match *self {
            Text::Wire(bytes) => bytes,
            Text::Decoded { start, end } => &work.decoded[start as usize..end as usize],
        }
    }
}
