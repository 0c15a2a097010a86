//! The check of one body (rule 11): bytes go in as they were received and come out verified.

use std::collections::VecDeque;
use std::fmt;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::chunked::Decoder;
use crate::error::Reason;
use crate::post::SizeCheck;

/// The check of one body, made by [`VerifiedHead::into_body_check`](crate::VerifiedHead::into_body_check), or of the
/// file of a form, made by [`SizeCheck::into_body_check`].
///
/// [`push`](Self::push) takes the bytes of the body as they arrive, in pieces of any size, and
/// [`pop`](Self::pop) gives out what may be handed on: the same bytes, or the decoded ones where the
/// payload is `aws-chunked`. When the body has ended, [`finish`](Self::finish) says whether it is the one
/// that was signed.
///
/// - **The last byte waits**: until `finish` has returned `Ok`, `pop` keeps back at least the piece with
///   the last byte. Whoever hands on only what `pop` gives never completes a body that is not verified.
/// - **Nothing of a signed chunk** comes out before its signature was compared.
/// - **No copies** of pieces of 1 KiB and more; smaller ones are joined, so that a flood of them costs no
///   more memory than their bytes.
/// - **Memory**: one signed chunk, which [`Limits::signed_chunk`](crate::Limits::signed_chunk) bounds
///   before any of it is kept, and what has been pushed and not popped.
/// - Neither the verdict nor the bytes depend on how the body is cut into pieces.
///
/// ```
/// # fn hand_on(_: bytes::Bytes) {}
/// # fn relay(head: credfed_sigv4_verify::VerifiedHead, frames: Vec<bytes::Bytes>)
/// #     -> Result<(), credfed_sigv4_verify::Reason> {
/// let mut check = head.into_body_check();
/// for frame in frames {
///     check.push(frame)?;
///     while let Some(verified) = check.pop() {
///         hand_on(verified);
///     }
/// }
/// check.finish()?;
/// while let Some(verified) = check.pop() {
///     hand_on(verified);
/// }
/// # Ok(()) }
/// ```
#[must_use = "the body is not verified until finish() has returned Ok"]
pub struct BodyCheck {
    payload: Payload,
    verdict: Option<Result<(), Reason>>,
}

/// What a verified head leaves open of the body.
#[derive(Debug)]
pub(crate) enum Open {
    /// Nothing: it is not covered.
    Unsigned,
    /// Nothing: its hash was compared already.
    Compared,
    Sha256([u8; 32]),
    Chunked(Box<Decoder>),
}

/// A body under way.
enum Payload {
    /// Nothing is checked.
    Closed(VecDeque<Bytes>),
    Sha256 {
        hasher: Sha256,
        signed: [u8; 32],
        kept: VecDeque<Bytes>,
    },
    Chunked(Box<Decoder>),
    /// The file of a form.
    Size {
        check: SizeCheck,
        kept: VecDeque<Bytes>,
    },
}

impl BodyCheck {
    pub(crate) fn new(open: Open) -> Self {
        let kept = VecDeque::new();
        let payload = match open {
            Open::Unsigned | Open::Compared => Payload::Closed(kept),
            Open::Sha256(signed) => Payload::Sha256 { hasher: Sha256::new(), signed, kept },
            Open::Chunked(decoder) => Payload::Chunked(decoder),
        };
        Self { payload, verdict: None }
    }

    pub(crate) fn of_file(check: SizeCheck) -> Self {
        Self { payload: Payload::Size { check, kept: VecDeque::new() }, verdict: None }
    }

    /// Whether anything has to be checked. Where not, the bytes need not pass through here.
    pub fn is_open(&self) -> bool {
        match &self.payload {
            Payload::Closed(_) => false,
            Payload::Sha256 { .. } | Payload::Chunked(_) | Payload::Size { .. } => self.verdict.is_none(),
        }
    }

    /// Takes the next bytes of the body, as they were received.
    ///
    /// # Errors
    /// Why the body is refused. The same reason is given from then on, and nothing more comes out.
    pub fn push(&mut self, bytes: Bytes) -> Result<(), Reason> {
        match &self.verdict {
            None => {}
            Some(Ok(())) if bytes.is_empty() => return Ok(()),
            Some(Ok(())) => return self.refuse(Reason::MalformedChunk),
            Some(Err(reason)) => return Err(reason.clone()),
        }
        if bytes.is_empty() {
            return Ok(());
        }
        match &mut self.payload {
            Payload::Closed(kept) => kept.push_back(bytes),
            Payload::Sha256 { hasher, kept, .. } => {
                hasher.update(&bytes);
                kept.push_back(bytes);
            }
            Payload::Chunked(decoder) => {
                if let Err(reason) = decoder.push(bytes) {
                    return self.refuse(reason);
                }
            }
            Payload::Size { check, kept } => {
                if let Err(reason) = check.add(bytes.len() as u64) {
                    return self.refuse(reason);
                }
                kept.push_back(bytes);
            }
        }
        Ok(())
    }

    /// The next bytes that may be handed on; `None` where more has to come, or everything has gone.
    pub fn pop(&mut self) -> Option<Bytes> {
        let finished = self.verdict == Some(Ok(()));
        match &mut self.payload {
            Payload::Closed(kept) => kept.pop_front(),
            Payload::Sha256 { kept, .. } | Payload::Size { kept, .. } if finished || kept.len() > 1 => {
                kept.pop_front()
            }
            Payload::Sha256 { .. } | Payload::Size { .. } => None,
            Payload::Chunked(decoder) => decoder.pop(finished),
        }
    }

    /// Judges the body, which has ended. Then [`pop`](Self::pop) gives the rest of it.
    ///
    /// # Errors
    /// [`Reason::BodyMismatch`] where it is not the one that was signed; of a chunked one
    /// [`Reason::IncompleteBody`] where it ended early, and whatever [`push`](Self::push) has refused it for.
    pub fn finish(&mut self) -> Result<(), Reason> {
        if let Some(verdict) = &self.verdict {
            return verdict.clone();
        }
        let verdict = match &mut self.payload {
            Payload::Closed(_) => Ok(()),
            Payload::Sha256 { hasher, signed, .. } => {
                let actual: [u8; 32] = hasher.finalize_reset().into();
                if bool::from(actual.ct_eq(signed)) { Ok(()) } else { Err(Reason::BodyMismatch) }
            }
            Payload::Chunked(decoder) => decoder.finish(),
            Payload::Size { check, .. } => check.finish(),
        };
        match verdict {
            Ok(()) => {
                self.verdict = Some(Ok(()));
                Ok(())
            }
            Err(reason) => self.refuse(reason),
        }
    }

    /// How many bytes have been pushed and wait to come out: decoded, and those of chunks under way too.
    pub fn held(&self) -> usize {
        match &self.payload {
            Payload::Closed(kept) | Payload::Sha256 { kept, .. } | Payload::Size { kept, .. } => {
                kept.iter().map(Bytes::len).sum()
            }
            Payload::Chunked(decoder) => decoder.held(),
        }
    }

    /// How many bytes [`pop`](Self::pop) will still give, all in all, if the body verifies: known of a
    /// chunked one alone, from its x-amz-decoded-content-length.
    pub fn decoded_rest(&self) -> Option<u64> {
        match &self.payload {
            Payload::Closed(_) | Payload::Sha256 { .. } | Payload::Size { .. } => None,
            Payload::Chunked(decoder) => Some(decoder.not_given()),
        }
    }

    fn refuse(&mut self, reason: Reason) -> Result<(), Reason> {
        match &mut self.payload {
            Payload::Closed(kept) | Payload::Sha256 { kept, .. } | Payload::Size { kept, .. } => kept.clear(),
            Payload::Chunked(decoder) => decoder.clear(),
        }
        self.verdict = Some(Err(reason.clone()));
        Err(reason)
    }
}

/// Without the body's bytes and the keys.
impl fmt::Debug for BodyCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyCheck").field("is_open", &self.is_open()).finish_non_exhaustive()
    }
}
