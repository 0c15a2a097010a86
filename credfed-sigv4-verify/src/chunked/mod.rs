//! Bodies in the `aws-chunked` coding (rules 10 and 11): chunks with or without signatures, and checksums in
//! trailers.
//!
//! "Signature Calculations for the Authorization Header: Transferring Payload in Multiple Chunks" and "…:
//! Including Trailing Headers" of the Amazon S3 API reference. Where their prose leaves room, one reading is
//! taken: what is not written here is refused.
//!
//! ```text
//! body    = *chunk last ( CRLF / trailer )
//! chunk   = size [ ";chunk-signature=" signature ] CRLF data CRLF    ; the extension mandatory where chunks are signed
//! last    = "0"  [ ";chunk-signature=" signature ] CRLF
//! size    = 1*16HEXDIG
//! ```
//!
//! The trailer is described in its own module.

mod chain;
mod checksum;
mod declared;
mod decoder;
mod line;
mod slices;
mod trailer;

pub(crate) use chain::Chain;
pub use checksum::Checksum;
pub use declared::Chunked;
pub(crate) use decoder::Decoder;
