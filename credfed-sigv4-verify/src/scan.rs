//! Looks at the bytes of a text sixteen at a time.

use std::ops::{BitAnd, BitOr, Not};

use wide::{i8x16, u8x16};

/// Sixteen bytes; or, as the outcome of a test, sixteen bytes of ones where it holds and of zeros where it does not.
#[derive(Clone, Copy)]
pub(crate) struct Block(u8x16);

/// Whether `test` holds for each of `bytes`. All of them are looked at, whatever the first ones are.
#[inline(always)]
pub(crate) fn all(bytes: &[u8], test: impl Fn(Block) -> Block) -> bool {
    let Some(last) = bytes.last_chunk() else {
        // Filled up with its own first byte.
        let Some(&first) = bytes.first() else { return true };
        let mut block = [first; 16];
        block[..bytes.len()].copy_from_slice(bytes);
        return test(Block::of(&block)).is_everywhere();
    };
    // The last block overlaps the one before it.
    let mut held = test(Block::of(last));
    for block in bytes.as_chunks().0 {
        held = held & test(Block::of(block));
    }
    held.is_everywhere()
}

/// Whether all bytes are visible ASCII.
#[inline]
pub(crate) fn is_visible(bytes: &[u8]) -> bool {
    // The least and the greatest byte of each column: two steps a block, where `all` takes three.
    let Some(last) = bytes.last_chunk() else { return all(bytes, |block| block.within(b'!', b'~')) };
    let [mut least, mut greatest] = [u8x16::new(*last); 2];
    for block in bytes.as_chunks().0 {
        let block = u8x16::new(*block);
        least = least.min(block);
        greatest = greatest.max(block);
    }
    (Block(least).within(b'!', b'~') & Block(greatest).within(b'!', b'~')).is_everywhere()
}

/// The first eight bytes, ordered as texts are; shorter ones are filled up with zeros.
#[inline]
pub(crate) fn leading(text: &[u8]) -> u64 {
    match text.first_chunk() {
        Some(bytes) => u64::from_be_bytes(*bytes),
        None => match (text.first_chunk::<4>(), text.last_chunk::<4>()) {
            // Where they overlap they agree.
            (Some(first), Some(last)) => {
                let [first, last] = [first, last].map(|bytes| u64::from(u32::from_be_bytes(*bytes)));
                first << 32 | last << (8 * (8 - text.len()))
            }
            _ => text.iter().enumerate().fold(0, |word, (at, &byte)| word | u64::from(byte) << (56 - 8 * at)),
        },
    }
}

/// Where in `bytes` a test holds, in ascending order. `test` sees every byte at least once, and no other.
#[inline(always)]
pub(crate) fn positions<F: FnMut(Block) -> Block>(bytes: &[u8], test: F) -> Positions<'_, F> {
    Positions { bytes, test, next: 0, base: 0, found: 0 }
}

pub(crate) struct Positions<'a, F> {
    bytes: &'a [u8],
    test: F,
    /// The first byte that was not looked at.
    next: usize,
    /// Where the block begins that `found` is about: a bit for each byte that is still to be told of.
    base: usize,
    found: u32,
}

impl<F: FnMut(Block) -> Block> Iterator for Positions<'_, F> {
    type Item = usize;

    #[inline(always)]
    fn next(&mut self) -> Option<usize> {
        while self.found == 0 {
            if self.next >= self.bytes.len() {
                return None;
            }
            self.look();
        }
        let at = self.base + self.found.trailing_zeros() as usize;
        self.found &= self.found - 1;
        Some(at)
    }
}

impl<F: FnMut(Block) -> Block> Positions<'_, F> {
    #[inline(always)]
    fn look(&mut self) {
        let length = self.bytes.len();
        if let Some(block) = self.bytes[self.next..].first_chunk() {
            self.base = self.next;
            self.found = (self.test)(Block::of(block)).bits();
            self.next += 16;
            return;
        }
        let seen;
        if let Some(last) = self.bytes.last_chunk() {
            // Overlaps the block before it.
            self.base = length - 16;
            seen = self.next - self.base;
            self.found = (self.test)(Block::of(last)).bits();
        } else {
            // Filled up in front, with its own first byte.
            let mut block = [self.bytes[0]; 16];
            seen = 16 - length;
            block[seen..].copy_from_slice(self.bytes);
            self.found = (self.test)(Block::of(&block)).bits();
            self.found >>= seen;
            self.next = length;
            return;
        }
        self.found &= u32::MAX << seen;
        self.next = length;
    }
}

impl Block {
    #[inline(always)]
    pub(crate) fn of(bytes: &[u8; 16]) -> Self {
        Self(u8x16::new(*bytes))
    }

    /// Where there is `byte`.
    #[inline(always)]
    pub(crate) fn is(self, byte: u8) -> Self {
        Self(self.0.simd_eq(u8x16::splat(byte)))
    }

    /// Where there is something from `first` to `last`, both included, which are less than 255 apart.
    #[inline(always)]
    pub(crate) fn within(self, first: u8, last: u8) -> Self {
        // Moved, so that `last` is the greatest of the signed numbers: one comparison does.
        let moved = self.0 + u8x16::splat(0x7f_u8.wrapping_sub(last));
        let below = 0x7e_u8.wrapping_sub(last - first);
        Self(moved.cast_signed().simd_gt(i8x16::splat(below.cast_signed())).cast_unsigned())
    }

    /// The outcome of a test that holds everywhere.
    #[inline(always)]
    pub(crate) fn everywhere() -> Self {
        Self(u8x16::splat(u8::MAX))
    }

    #[inline(always)]
    pub(crate) fn is_everywhere(self) -> bool {
        self.bits() == 0xffff
    }

    /// Letters in lower case, other bytes changed in no way that makes letters of them.
    #[inline(always)]
    pub(crate) fn lowered(self) -> Self {
        Self(self.0 | u8x16::splat(0x20))
    }

    /// A bit for each byte, the first one lowest.
    #[inline(always)]
    pub(crate) fn bits(self) -> u32 {
        self.0.to_bitmask()
    }
}

impl BitAnd for Block {
    type Output = Self;

    #[inline(always)]
    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl BitOr for Block {
    type Output = Self;

    #[inline(always)]
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl Not for Block {
    type Output = Self;

    #[inline(always)]
    fn not(self) -> Self {
        Self(!self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_counts_wherever_it_stands() {
        for length in 0..70 {
            let mut text = vec![b'a'; length];
            assert!(all(&text, |block| block.is(b'a')) && is_visible(&text));
            assert_eq!(
                positions(&text, |block| block.is(b'a')).collect::<Vec<_>>(),
                (0..length).collect::<Vec<_>>()
            );
            for at in 0..length {
                text[at] = b' ';
                assert!(!all(&text, |block| block.is(b'a')) && !is_visible(&text), "{at} of {length}");
                assert_eq!(positions(&text, |block| block.is(b' ')).collect::<Vec<_>>(), [at]);
                text[at] = b'a';
            }
        }
    }

    #[test]
    fn leading_bytes_are_ordered_as_texts() {
        for text in ["", "a", "ab", "abc", "abcd", "abcde", "abcdef", "abcdefg", "abcdefgh", "abcdefghi"] {
            let mut expected = [0; 8];
            let length = text.len().min(8);
            expected[..length].copy_from_slice(&text.as_bytes()[..length]);
            assert_eq!(leading(text.as_bytes()), u64::from_be_bytes(expected), "{text}");
        }
    }

    #[test]
    fn ranges_are_those_of_numbers() {
        let holds = |test: &dyn Fn(Block) -> Block, byte: u8| test(Block::of(&[byte; 16])).bits() == 0xffff;
        for (first, last) in
            [(0, 0), (0, 254), (1, 255), (1, 254), (b'a', b'z'), (127, 128), (255, 255), (128, 255), (0, 127)]
        {
            for byte in 0..=u8::MAX {
                let within = holds(&|block| block.within(first, last), byte);
                assert_eq!(within, (first..=last).contains(&byte), "{byte} in {first}..={last}");
            }
        }
        for byte in 0..=u8::MAX {
            assert_eq!(holds(&|block| block.lowered().within(b'a', b'z'), byte), byte.is_ascii_alphabetic());
        }
    }
}
