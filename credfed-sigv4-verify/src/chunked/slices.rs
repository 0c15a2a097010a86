//! Slices of received frames, in order, without copying what is large.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

/// Smaller slices are copied together: each one kept by itself costs its bookkeeping, and keeps the buffer alive
/// that it was cut from.
const SMALL: usize = 1024;

/// Copied slices are closed at this length.
const JOINED: usize = 8 * 1024;

#[derive(Default)]
pub(super) struct Slices {
    queue: VecDeque<Bytes>,
    /// Small slices, behind everything in the queue.
    joined: BytesMut,
    len: usize,
}

impl Slices {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn push(&mut self, slice: Bytes) {
        self.len += slice.len();
        if slice.len() >= SMALL {
            self.close();
            self.queue.push_back(slice);
        } else {
            self.joined.extend_from_slice(&slice);
            if self.joined.len() >= JOINED {
                self.close();
            }
        }
    }

    /// Moves everything of `other` behind what is here.
    pub(super) fn append(&mut self, other: &mut Self) {
        self.close();
        other.close();
        self.len += std::mem::take(&mut other.len);
        self.queue.append(&mut other.queue);
    }

    /// The first slice, where `may_go` agrees to its length.
    pub(super) fn pop_if(&mut self, may_go: impl FnOnce(usize) -> bool) -> Option<Bytes> {
        if self.queue.is_empty() {
            self.close();
        }
        if !may_go(self.queue.front()?.len()) {
            return None;
        }
        let slice = self.queue.pop_front()?;
        self.len -= slice.len();
        Some(slice)
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    fn close(&mut self) {
        if !self.joined.is_empty() {
            self.queue.push_back(self.joined.split().freeze());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(slices: &mut Slices) -> Vec<u8> {
        std::iter::from_fn(|| slices.pop_if(|_| true)).flatten().collect()
    }

    #[test]
    fn order_is_kept_and_large_slices_are_not_copied() {
        let large = Bytes::from(vec![7; SMALL]);
        let mut slices = Slices::default();
        let mut expected = Vec::new();
        for piece in
            [Bytes::from_static(b"a"), Bytes::from_static(b"b"), large.clone(), Bytes::from_static(b"c")]
        {
            expected.extend_from_slice(&piece);
            slices.push(piece);
        }
        assert_eq!(slices.len(), expected.len());
        let mut first = slices.pop_if(|length| length == 2).map(Vec::from).unwrap();
        let second = slices.pop_if(|_| true).unwrap();
        assert_eq!(second.as_ptr(), large.as_ptr(), "the same memory");
        first.extend_from_slice(&second);
        first.extend(drain(&mut slices));
        assert_eq!(first, expected);
        assert_eq!(slices.len(), 0);
    }

    #[test]
    fn a_flood_of_single_bytes_is_kept_in_few_pieces() {
        let mut slices = Slices::default();
        for byte in 0..=u8::MAX {
            for _ in 0..1024 {
                slices.push(Bytes::from(vec![byte]));
            }
        }
        assert_eq!(slices.len(), 256 * 1024);
        assert!(slices.queue.len() <= 256 * 1024 / JOINED, "{}", slices.queue.len());
        let mut other = Slices::default();
        other.push(Bytes::from_static(b"first"));
        other.append(&mut slices);
        assert_eq!((slices.len(), other.len()), (0, 256 * 1024 + 5));
        assert!(drain(&mut other).starts_with(b"first\0\0"));
    }
}
