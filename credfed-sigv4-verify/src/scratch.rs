//! Buffers that outlive a request, so that verifying allocates nothing once a thread is warm.
//!
//! Each thread keeps one of each kind. What a request wrote is overwritten with zeros before its
//! buffer goes back: tokens, cookies and customer keys pass through here. The buffer keeps its length
//! and stays reachable from the thread's storage, so the zeros are stores that count and not dead
//! ones.

use std::cell::Cell;
use std::ops::{Deref, DerefMut};

use zeroize::Zeroize;

use crate::authorization::Text;
use crate::canonical::query::Pair;

/// Larger buffers are given back to the allocator.
const KEEP: usize = 64 * 1024;

thread_local! {
    static CANONICAL: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    static DECODED: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    static PAIRS: Cell<Vec<Pair>> = const { Cell::new(Vec::new()) };
}

/// The buffer of a canonical request.
pub(crate) struct Canonical(Vec<u8>);

impl Canonical {
    /// An empty buffer that takes `capacity` bytes without moving: a move would leave a copy behind.
    pub(crate) fn take(capacity: usize) -> Self {
        let mut buffer = CANONICAL.try_with(Cell::take).unwrap_or_default();
        buffer.clear();
        buffer.reserve(capacity);
        Self(buffer)
    }
}

impl Deref for Canonical {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.0
    }
}

impl DerefMut for Canonical {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}

impl Drop for Canonical {
    fn drop(&mut self) {
        if let Some(buffer) = wiped(&mut self.0) {
            // Without storage, at the very end of a thread, the buffer is just freed.
            let _ = CANONICAL.try_with(|kept| kept.set(buffer));
        }
    }
}

/// What a request needed decoded, and where the parameters of its query are.
#[derive(Default)]
pub(crate) struct Work {
    pub(crate) decoded: Vec<u8>,
    pub(crate) pairs: Vec<Pair>,
}

impl Work {
    /// Empty buffers; the decoded one takes `capacity` bytes without moving.
    pub(crate) fn take(capacity: usize) -> Self {
        let mut decoded = DECODED.try_with(Cell::take).unwrap_or_default();
        decoded.clear();
        decoded.reserve(capacity);
        let mut pairs = PAIRS.try_with(Cell::take).unwrap_or_default();
        pairs.clear();
        Self { decoded, pairs }
    }

    /// Runs `decode` on the end of the decoded buffer and says where its output is.
    pub(crate) fn decode_with<'a>(
        &mut self,
        decode: impl FnOnce(&mut Vec<u8>) -> Option<()>,
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
            decoded.extend_from_slice(&kept);
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
        if let Some(decoded) = wiped(&mut self.decoded) {
            let _ = DECODED.try_with(|kept| kept.set(decoded));
        }
    }
}

/// The buffer, zeroed, unless there is none or it is too large to keep.
fn wiped(buffer: &mut Vec<u8>) -> Option<Vec<u8>> {
    match buffer.capacity() {
        0 => None,
        1..=KEEP => {
            buffer.fill(0);
            Some(std::mem::take(buffer))
        }
        _ => {
            buffer.zeroize();
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_come_back_wiped() {
        let mut buffer = Canonical::take(100);
        buffer.extend_from_slice(b"token");
        drop(buffer);
        let kept = CANONICAL.take();
        assert_eq!(kept, [0; 5]);
        assert!(kept.capacity() >= 100);

        let mut work = Work::take(100);
        work.decoded.extend_from_slice(b"token");
        drop(work);
        assert_eq!(DECODED.take(), [0; 5]);
    }

    #[test]
    fn large_buffers_are_not_kept() {
        drop(Canonical::take(KEEP + 1));
        assert_eq!(CANONICAL.take().capacity(), 0);
    }
}
