//! What is known of a payload before it is read.

/// The SHA-256 of the payload, in the extensions of a request.
///
/// [`VerifySigV4Layer`](crate::VerifySigV4Layer) leaves it there when the caller declared and signed it, and its
/// [`VerifiedBody`](crate::VerifiedBody) enforces it. [`SignSigV4Layer`](crate::SignSigV4Layer) signs it on, so that
/// an upstream enforces it too while the body streams. A client may set it on its own requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PayloadSha256(pub [u8; 32]);
