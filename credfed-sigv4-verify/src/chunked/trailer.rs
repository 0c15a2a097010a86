//! The trailer of a chunked body, line by line.
//!
//! ```text
//! SDKs, signed:       1*( name ":" value CRLF ) "x-amz-trailer-signature:" signature CRLF CRLF
//! SDKs, unsigned:     1*( name ":" value CRLF ) CRLF
//! minio-go, signed:   1*( name ":" value LF ) CRLF "x-amz-trailer-signature:" signature CRLF CRLF
//! minio-go, unsigned: 1*( name ":" value LF ) CRLF CRLF
//! ```
//!
//! The end of the first line decides which form it is, and the rest has to keep to it.

use sha2::{Digest, Sha256};

use super::chain::{Chain, Digits};
use super::checksum::{Checksum, Checksums, Sums};
use crate::error::Reason;

const SIGNATURE: &[u8] = b"x-amz-trailer-signature";

pub(super) struct Trailer {
    sums: Sums,
    /// Over `name:value` and LF of each field, in the order of arrival.
    canonical: Sha256,
    form: Option<Form>,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Sdk,
    MinioGo,
}

enum Stage {
    Fields,
    /// minio-go's signature line.
    Signature,
    /// The last, empty line.
    Last,
}

impl Trailer {
    pub(super) fn new(declared: Checksums) -> Self {
        Self { sums: Sums::new(declared), canonical: Sha256::new(), form: None, stage: Stage::Fields }
    }

    /// Takes the next bytes of the decoded body.
    pub(super) fn update(&mut self, data: &[u8]) {
        self.sums.update(data);
    }

    /// Takes one line, its end included. Whether the trailer is over, and everything in it right.
    pub(super) fn line(&mut self, line: &[u8], chain: Option<&mut Chain>) -> Result<bool, Reason> {
        match (&self.stage, line) {
            (Stage::Fields, b"\r\n") => match (self.form, chain) {
                _ if !self.sums.all_received() => return Err(Reason::MalformedTrailer),
                (Some(Form::Sdk), None) => return self.end(),
                (Some(Form::MinioGo), None) => self.stage = Stage::Last,
                (Some(Form::MinioGo), Some(_)) => self.stage = Stage::Signature,
                (Some(Form::Sdk), Some(_)) | (None, _) => return Err(Reason::MalformedTrailer),
            },
            (Stage::Fields, line) => {
                let (name, value, form) = field(line)?;
                if self.form.is_some_and(|first| first != form) {
                    return Err(Reason::MalformedTrailer);
                }
                match (chain, form) {
                    (Some(chain), Form::Sdk) if name.eq_ignore_ascii_case(SIGNATURE) => {
                        self.signature(value, chain)?;
                    }
                    _ => self.field(name, value, form)?,
                }
            }
            (Stage::Signature, line) => match (field(line)?, chain) {
                ((name, value, Form::Sdk), Some(chain)) if name.eq_ignore_ascii_case(SIGNATURE) => {
                    self.signature(value, chain)?;
                }
                _ => return Err(Reason::MalformedTrailer),
            },
            (Stage::Last, b"\r\n") => return self.end(),
            (Stage::Last, _) => return Err(Reason::MalformedTrailer),
        }
        Ok(false)
    }

    fn field(&mut self, name: &[u8], value: &[u8], form: Form) -> Result<(), Reason> {
        let checksum = Checksum::named(name).ok_or(Reason::MalformedTrailer)?;
        self.sums.receive(checksum, value)?;
        for part in [checksum.header_name().as_bytes(), b":", value, b"\n"] {
            self.canonical.update(part);
        }
        self.form = Some(form);
        Ok(())
    }

    fn signature(&mut self, value: &[u8], chain: &mut Chain) -> Result<(), Reason> {
        if !self.sums.all_received() {
            return Err(Reason::MalformedTrailer);
        }
        let sent = Digits::take(value, Some(chain)).ok_or(Reason::MalformedTrailer)?;
        chain.check_trailer(&sent, &self.canonical.finalize_reset().into())?;
        self.stage = Stage::Last;
        Ok(())
    }

    /// A wrong signature has been told before a wrong checksum is.
    fn end(&mut self) -> Result<bool, Reason> {
        self.sums.judge().map(|()| true)
    }
}

/// Splits `name:value` and the end of the line, which is one form's or the other's.
fn field(line: &[u8]) -> Result<(&[u8], &[u8], Form), Reason> {
    let (text, form) = match line {
        [text @ .., b'\r', b'\n'] => (text, Form::Sdk),
        [text @ .., b'\n'] => (text, Form::MinioGo),
        _ => return Err(Reason::MalformedTrailer),
    };
    let colon = memchr::memchr(b':', text).ok_or(Reason::MalformedTrailer)?;
    Ok((&text[..colon], &text[colon + 1..], form))
}
