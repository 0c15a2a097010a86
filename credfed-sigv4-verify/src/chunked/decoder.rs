//! The decoder: frames of any size go in, verified data comes out. What it decides does not depend on how the body
//! is cut into frames.

use std::fmt;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::chain::{Chain, Digits};
use super::declared::Chunked;
use super::line::{Line, Size};
use super::slices::Slices;
use super::trailer::Trailer;
use crate::error::Reason;
use crate::limits::{Limit, Limits};

pub(crate) struct Decoder {
    state: State,
    line: Line,
    /// Where chunks are signed.
    chain: Option<Chain>,
    /// Where there is one.
    trailer: Option<Trailer>,
    /// Bytes of data that have to come yet.
    missing: u64,
    /// The data of a signed chunk whose signature has not been compared.
    unverified: Slices,
    /// What may be handed on, but for the slice with the body's last byte.
    verified: Slices,
    /// Bytes that have not been handed on, come or not.
    not_given: u64,
    signed_chunk_limit: usize,
}

#[allow(clippy::large_enum_variant, reason = "a body has one, in a box")]
enum State {
    Size,
    Data {
        left: u64,
        /// Of the data so far; where chunks are signed.
        signed: Option<(Sha256, Digits)>,
    },
    /// The CRLF behind the data.
    DataEnd,
    Trailer,
    /// The CRLF behind the last chunk of a body without a trailer.
    LastEnd,
    End,
}

impl Decoder {
    /// `chain` exactly where the chunks are signed.
    pub(crate) fn new(declared: &Chunked, chain: Option<Chain>, limits: &Limits) -> Self {
        Self {
            state: State::Size,
            line: Line::new(),
            chain,
            trailer: declared.trailer().map(Trailer::new),
            missing: declared.decoded_length(),
            unverified: Slices::default(),
            verified: Slices::default(),
            not_given: declared.decoded_length(),
            signed_chunk_limit: limits.signed_chunk,
        }
    }

    pub(crate) fn is_signed(&self) -> bool {
        self.chain.is_some()
    }

    /// Bytes that have not been handed on.
    pub(crate) fn not_given(&self) -> u64 {
        self.not_given
    }

    /// Bytes of data that are kept.
    pub(crate) fn held(&self) -> usize {
        self.unverified.len() + self.verified.len()
    }

    /// Takes the next bytes of the body. After an error there is nothing more to be had.
    pub(crate) fn push(&mut self, mut frame: Bytes) -> Result<(), Reason> {
        while !frame.is_empty() {
            match &mut self.state {
                State::Data { .. } => self.data(&mut frame)?,
                State::End => return Err(Reason::MalformedChunk),
                State::Size | State::DataEnd | State::Trailer | State::LastEnd => {
                    let malformed = match self.state {
                        State::Trailer => Reason::MalformedTrailer,
                        _ => Reason::MalformedChunk,
                    };
                    if self.line.fill(&mut frame).map_err(|_| malformed)? {
                        self.end_of_line()?;
                        self.line.clear();
                    }
                }
            }
        }
        Ok(())
    }

    /// The body has ended.
    pub(crate) fn finish(&mut self) -> Result<(), Reason> {
        match self.state {
            State::End => Ok(()),
            _ => Err(Reason::IncompleteBody),
        }
    }

    /// The next data that may be handed on. Before `finished`, the slice with the body's last byte may not.
    pub(crate) fn pop(&mut self, finished: bool) -> Option<Bytes> {
        let not_given = self.not_given;
        let slice = self.verified.pop_if(|length| finished || (length as u64) < not_given)?;
        self.not_given = not_given.saturating_sub(slice.len() as u64);
        Some(slice)
    }

    pub(crate) fn clear(&mut self) {
        self.unverified.clear();
        self.verified.clear();
    }

    fn end_of_line(&mut self) -> Result<(), Reason> {
        let line = self.line.as_bytes();
        match self.state {
            State::Size => {
                let size = Size::parse(line).ok_or(Reason::MalformedChunk)?;
                // Of the right length where chunks are signed; of a shape, and no meaning, where they are not.
                let signature = match size.signature {
                    None => None,
                    Some(text) => {
                        Some(Digits::take(text, self.chain.as_ref()).ok_or(Reason::MalformedChunk)?)
                    }
                };
                self.begin(size.size, signature)?;
            }
            State::DataEnd if line == b"\r\n" => self.state = State::Size,
            State::LastEnd if line == b"\r\n" => self.state = State::End,
            State::Trailer => {
                let trailer = self.trailer.as_mut().ok_or(Reason::MalformedTrailer)?;
                if trailer.line(line, self.chain.as_mut())? {
                    self.state = State::End;
                }
            }
            State::DataEnd | State::LastEnd | State::Data { .. } | State::End => {
                return Err(Reason::MalformedChunk);
            }
        }
        Ok(())
    }

    /// A size line has been read. Every bound is checked here, before anything is held.
    fn begin(&mut self, size: u64, signature: Option<Digits>) -> Result<(), Reason> {
        let signed = match (&mut self.chain, signature) {
            (Some(_), Some(signature)) => Some((Sha256::new(), signature)),
            (Some(_), None) => return Err(Reason::MalformedChunk),
            (None, _) => None,
        };
        if size > self.missing || (size == 0 && self.missing > 0) {
            return Err(Reason::DecodedLengthMismatch);
        }
        if signed.is_some() && size > self.signed_chunk_limit as u64 {
            return Err(Reason::LimitExceeded(Limit::SignedChunk));
        }
        if size > 0 {
            self.state = State::Data { left: size, signed };
            return Ok(());
        }
        if let (Some(chain), Some((nothing, signature))) = (&mut self.chain, signed) {
            chain.check_chunk(&signature, &nothing.finalize().into())?;
        }
        self.state = if self.trailer.is_some() { State::Trailer } else { State::LastEnd };
        Ok(())
    }

    fn data(&mut self, frame: &mut Bytes) -> Result<(), Reason> {
        let State::Data { left, signed } = &mut self.state else { return Ok(()) };
        let size = frame.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
        let data = frame.split_to(size);
        *left -= size as u64;
        self.missing = self.missing.saturating_sub(size as u64);
        let ended = *left == 0;
        if let Some(trailer) = &mut self.trailer {
            trailer.update(&data);
        }
        match (signed, &mut self.chain) {
            (Some((hash, signature)), Some(chain)) => {
                hash.update(&data);
                self.unverified.push(data);
                if ended {
                    chain.check_chunk(signature, &hash.finalize_reset().into())?;
                    self.verified.append(&mut self.unverified);
                }
            }
            _ => self.verified.push(data),
        }
        if ended {
            self.state = State::DataEnd;
        }
        Ok(())
    }
}

/// Without data and keys.
impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder")
            .field("is_signed", &self.is_signed())
            .field("not_given", &self.not_given)
            .field("held", &self.held())
            .finish_non_exhaustive()
    }
}
