//! The carriers of a signature.

pub(crate) mod header;
pub(crate) mod presigned;

use crate::scope::Credential;
use crate::scratch::Work;
use crate::signature::Signature;

/// The one algorithm, byte-exact (rule 2).
pub(crate) const ALGORITHM: &[u8] = b"AWS4-HMAC-SHA256";

/// What both carriers say.
pub(crate) struct Authorization<'a> {
    pub(crate) credential_text: Text<'a>,
    pub(crate) credential: Credential,
    pub(crate) signed_headers: Text<'a>,
    pub(crate) signature: Signature,
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
            Text::Decoded { start, end } => &work.decoded.as_slice()[start as usize..end as usize],
        }
    }
}
