//! SigV4A: signatures with ECDSA on P-256, made for several regions at once (feature `sigv4a`).
//!
//! "How AWS SigV4a works" of the IAM user guide, and what AWS's signers do where it is silent: the derivation of the
//! key, the encoding of signatures, their padding in chunks. A signature is not unique to what it signs (who has
//! `(r, s)` has `(r, n - s)` too), so that nothing may be remembered or found again by one.

mod public_key;
mod signature;

pub(crate) use public_key::PublicKey;
pub(crate) use signature::{PADDED, Signature};
