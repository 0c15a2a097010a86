//! Buffers that outlive a request, so that verifying allocates nothing once a thread is warm.
//!
//! Each thread keeps one of each kind. What a request wrote is overwritten with zeros before its
//! buffer goes back: tokens, cookies and customer keys pass through here. The buffer keeps its length
//! and stays reachable from the thread's storage, so the zeros are stores that count and not dead
//! ones.

use std::cell::Cell;
use std::ops::{Deref, DerefMut};

use zeroize::{Zeroize, Zeroizing};

use crate::authorization::Text;
use crate::canonical::query::Pair;

/// Larger buffers are given back to the allocator.
const KEEP: usize = 64 * 1024;

thread_local! {
    static CANONICAL: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    static DECODED: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    static PAIRS: Cell<Vec<Pair>> = const { Cell::new(Vec::new()) };
}

/// Takes bytes at its end.
pub(crate) trait Sink {
    fn put(&mut self, bytes: &[u8]);

    fn put_byte(&mut self, byte: u8);
}

impl Sink for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    fn put_byte(&mut self, byte: u8) {
        self.push(byte);
    }
}

/// Bytes that were written, and zeros behind them up to its end.
#[derive(Default)]
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    len: usize,
}

impl Buffer {
    /// Takes `capacity` bytes without moving. `zeros` is empty or has been wiped.
    fn new(mut zeros: Vec<u8>, capacity: usize) -> Self {
        if zeros.len() < capacity {
            zeros.resize(capacity, 0);
        }
        Self { bytes: zeros, len: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// Lets `write` fill the next `length` bytes, which are zeros, and say how many of them count, and what it found.
    pub(crate) fn put_with<T>(
        &mut self,
        length: usize,
        write: impl FnOnce(&mut [u8]) -> Option<(usize, T)>,
    ) -> Option<T> {
        self.reserve(length);
        let room = &mut self.bytes[self.len..self.len + length];
        let written = write(room);
        let count = written.as_ref().map_or(0, |(count, _)| *count);
        room[count..].fill(0);
        self.len += count;
        written.map(|(_, found)| found)
    }

    /// Takes all of `pieces`, one behind the other.
    #[inline(always)]
    pub(crate) fn put_all<const N: usize>(&mut self, pieces: [&[u8]; N]) {
        let length = pieces.iter().map(|piece| piece.len()).sum();
        self.reserve(length);
        let mut room = &mut self.bytes[self.len..self.len + length];
        for piece in pieces {
            let (to, rest) = room.split_at_mut(piece.len());
            copy(to, piece);
            room = rest;
        }
        self.len += length;
    }

    /// Forgets what was written.
    pub(crate) fn wipe(&mut self) {
        self.bytes[..self.len].fill(0);
        self.len = 0;
    }

    fn reserve(&mut self, length: usize) {
        if self.bytes.len() - self.len < length {
            self.grow(length);
        }
    }

    /// Leaves no copy behind.
    #[cold]
    fn grow(&mut self, length: usize) {
        let mut larger = vec![0; (self.len + length).max(2 * self.bytes.len())];
        larger[..self.len].copy_from_slice(self.as_slice());
        drop(Zeroizing::new(std::mem::replace(&mut self.bytes, larger)));
    }

    /// The storage, wiped, unless there is none or it is too large to keep.
    fn into_zeros(mut self) -> Option<Vec<u8>> {
        if self.bytes.len() > KEEP {
            self.bytes.zeroize();
            return None;
        }
        self.wipe();
        (!self.bytes.is_empty()).then_some(self.bytes)
    }
}

impl Sink for Buffer {
    fn put(&mut self, bytes: &[u8]) {
        self.put_all([bytes]);
    }

    #[inline(always)]
    fn put_byte(&mut self, byte: u8) {
        self.reserve(1);
        self.bytes[self.len] = byte;
        self.len += 1;
    }
}

/// Most texts are short, and a call takes longer than two copies of a fixed length, which may overlap.
#[inline(always)]
fn copy(to: &mut [u8], from: &[u8]) {
    match from.len() {
        16..=32 => copy_ends::<16>(to, from),
        8..=15 => copy_ends::<8>(to, from),
        4..=7 => copy_ends::<4>(to, from),
        _ => to.copy_from_slice(from),
    }
}

/// Copies the first and the last `N` bytes.
#[inline(always)]
fn copy_ends<const N: usize>(to: &mut [u8], from: &[u8]) {
    if let (Some(to), Some(from)) = (to.first_chunk_mut::<N>(), from.first_chunk::<N>()) {
        *to = *from;
    }
    if let (Some(to), Some(from)) = (to.last_chunk_mut::<N>(), from.last_chunk::<N>()) {
        *to = *from;
    }
}

/// The buffer of a canonical request.
pub(crate) struct Canonical(Buffer);

impl Canonical {
    /// An empty buffer that takes `capacity` bytes without moving: a move would leave a copy behind.
    pub(crate) fn take(capacity: usize) -> Self {
        Self(Buffer::new(CANONICAL.try_with(Cell::take).unwrap_or_default(), capacity))
    }
}

impl Deref for Canonical {
    type Target = Buffer;

    fn deref(&self) -> &Buffer {
        &self.0
    }
}

impl DerefMut for Canonical {
    fn deref_mut(&mut self) -> &mut Buffer {
        &mut self.0
    }
}

impl Drop for Canonical {
    fn drop(&mut self) {
        if let Some(buffer) = std::mem::take(&mut self.0).into_zeros() {
            // Without storage, at the very end of a thread, the buffer is just freed.
            let _ = CANONICAL.try_with(|kept| kept.set(buffer));
        }
    }
}

/// What a request needed decoded, and where the parameters of its query are.
#[derive(Default)]
pub(crate) struct Work {
    pub(crate) decoded: Buffer,
    pub(crate) pairs: Vec<Pair>,
}

impl Work {
    /// Empty buffers; the decoded one takes `capacity` bytes without moving. None at all for 0.
    pub(crate) fn take(capacity: usize) -> Self {
        if capacity == 0 {
            return Self::default();
        }
        let decoded = Buffer::new(DECODED.try_with(Cell::take).unwrap_or_default(), capacity);
        let mut pairs = PAIRS.try_with(Cell::take).unwrap_or_default();
        pairs.clear();
        Self { decoded, pairs }
    }

    /// Runs `decode` on the end of the decoded buffer and says where its output is.
    pub(crate) fn decode_with<'a>(
        &mut self,
        decode: impl FnOnce(&mut Buffer) -> Option<()>,
    ) -> Option<Text<'a>> {
        let start = u32::try_from(self.decoded.len()).ok()?;
        decode(&mut self.decoded)?;
        let end = u32::try_from(self.decoded.len()).ok()?;
        Some(Text::Decoded { start, end })
    }

    /// A text less its blanks and tabs; what was allocated for it has no secrets in it.
    pub(crate) fn without_blanks<'a>(&mut self, text: Text<'a>) -> Text<'a> {
        let bytes = text.bytes(self);
        let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
        if !bytes.iter().any(is_blank) {
            return text;
        }
        let kept: Vec<u8> = bytes.iter().copied().filter(|byte| !is_blank(byte)).collect();
        let copied = self.decode_with(|decoded| {
            decoded.put_all([&kept]);
            Some(())
        });
        copied.unwrap_or(text)
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        if self.pairs.capacity() > 0 {
            let pairs = std::mem::take(&mut self.pairs);
            let _ = PAIRS.try_with(|kept| kept.set(pairs));
        }
        if let Some(decoded) = std::mem::take(&mut self.decoded).into_zeros() {
            let _ = DECODED.try_with(|kept| kept.set(decoded));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_come_back_wiped() {
        let mut buffer = Canonical::take(100);
        buffer.put(b"token");
        drop(buffer);
        assert_eq!(CANONICAL.take(), [0; 100]);

        let mut work = Work::take(100);
        work.decoded.put(b"token");
        let refused = work.decoded.put_with(9, |room| {
            room.fill(7);
            None::<(usize, ())>
        });
        assert_eq!((refused, work.decoded.as_slice()), (None, b"token".as_slice()));
        drop(work);
        assert_eq!(DECODED.take(), [0; 100]);
    }

    #[test]
    fn what_was_put_is_there_whatever_its_length() {
        let mut buffer = Buffer::default();
        let mut expected = Vec::new();
        for length in (0..70).chain([500]) {
            let bytes: Vec<u8> = (1..=255).cycle().take(length).collect();
            buffer.put(&bytes);
            buffer.put_byte(b'|');
            expected.extend(bytes);
            expected.push(b'|');
            assert_eq!(buffer.as_slice(), expected);
        }
    }

    #[test]
    fn large_buffers_are_not_kept() {
        drop(Canonical::take(KEEP + 1));
        assert_eq!(CANONICAL.take().capacity(), 0);
    }
}
