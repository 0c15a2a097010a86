//! A signature as 32 raw bytes: exactly 64 lower-case hex digits on the wire, compared in constant
//! time (rule 12).

use subtle::ConstantTimeEq;
use wide::{i8x16, u8x16};
use zeroize::Zeroize;

/// What the client sent. Not secret, yet never shown: it is a credential for one request.
#[derive(Clone, Copy)]
pub(crate) struct Signature([u64; 4]);

/// What we computed. Wiped on drop; no accessor, no `Debug`: it can only be compared.
pub(crate) struct Computed([u64; 4]);

impl Signature {
    /// Reads exactly 64 lower-case hex digits.
    pub(crate) fn from_hex(text: &[u8]) -> Option<Self> {
        let text: &[u8; 64] = text.try_into().ok()?;
        decode_lower_hex(text).map(|bytes| Self(words(&bytes)))
    }

    /// The digits that it was read from.
    pub(crate) fn to_hex(self) -> [u8; 64] {
        let mut bytes = [0; 32];
        for (bytes, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(self.0) {
            *bytes = word.to_le_bytes();
        }
        encode_hex(&bytes)
    }
}

impl Computed {
    pub(crate) fn new(bytes: &[u8; 32]) -> Self {
        Self(words(bytes))
    }

    /// Whether both are equal; the time taken does not depend on where they differ. The differences
    /// of the four words are joined without a branch, and only the join is tested.
    pub(crate) fn matches(&self, sent: &Signature) -> subtle::Choice {
        let [a, b, c, d] = self.0;
        let [w, x, y, z] = sent.0;
        let difference = (a ^ w) | (b ^ x) | (c ^ y) | (d ^ z);
        difference.ct_eq(&0)
    }
}

impl Drop for Computed {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// Writes 32 bytes as 64 lower-case hex digits.
pub(crate) fn encode_hex(bytes: &[u8; 32]) -> [u8; 64] {
    let mut text = [0; 64];
    for (digits, bytes) in text.as_chunks_mut::<32>().0.iter_mut().zip(bytes.as_chunks().0) {
        let bytes = u8x16::new(*bytes);
        let [high, low] = [bytes.unbounded_shr_scalar(4), bytes & u8x16::splat(15)].map(digits_of);
        let (digits, _) = digits.as_chunks_mut::<16>();
        digits[0] = u8x16::unpack_low(high, low).to_array();
        digits[1] = u8x16::unpack_high(high, low).to_array();
    }
    text
}

/// Reads hex digits of either case.
pub(crate) fn decode_hex(text: &[u8; 64]) -> Option<[u8; 32]> {
    decode_lower_hex(&text.map(|byte| byte.to_ascii_lowercase()))
}

/// Decodes as if everything were a digit; it was if encoding gives the text back.
fn decode_lower_hex(text: &[u8; 64]) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    let mut difference = 0;
    for (bytes, digits) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(text.as_chunks::<8>().0) {
        let digits = u64::from_le_bytes(*digits);
        let four = decode_eight(digits);
        difference |= encode_four(four) ^ digits;
        *bytes = four.to_le_bytes();
    }
    (difference == 0).then_some(bytes)
}

/// Four bytes as eight digits, all at once.
#[inline(always)]
fn encode_four(bytes: u32) -> u64 {
    // One nibble per byte, in the order of the digits.
    let mut x = u64::from(bytes);
    x = (x | x << 16) & 0x0000_ffff_0000_ffff;
    x = (x | x << 8) & 0x00ff_00ff_00ff_00ff;
    x = (x >> 4 | x << 8) & 0x0f0f_0f0f_0f0f_0f0f;
    // 10 and more go on from 'a'.
    let letters = (x + 0x0606_0606_0606_0606) >> 4 & 0x0101_0101_0101_0101;
    x + 0x3030_3030_3030_3030 + letters * 39
}

/// The digits of numbers below 16, without a branch.
#[inline(always)]
fn digits_of(numbers: u8x16) -> u8x16 {
    // 10 and more go on from 'a'.
    let letters = numbers.cast_signed().simd_gt(i8x16::splat(9)).cast_unsigned();
    numbers + u8x16::splat(b'0') + (letters & u8x16::splat(b'a' - b'0' - 10))
}

/// Eight digits as four bytes; nonsense for what are no digits.
#[inline(always)]
fn decode_eight(digits: u64) -> u32 {
    let letters = digits >> 6 & 0x0101_0101_0101_0101;
    let mut x = ((digits & 0x0f0f_0f0f_0f0f_0f0f) + letters * 9) & 0x0f0f_0f0f_0f0f_0f0f;
    x = (x << 4 | x >> 8) & 0x00ff_00ff_00ff_00ff;
    x = (x | x >> 8) & 0x0000_ffff_0000_ffff;
    x |= x >> 16;
    let [a, b, c, d, ..] = x.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

fn words(bytes: &[u8; 32]) -> [u64; 4] {
    let mut words = [0; 4];
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_both_ways() {
        let bytes: [u8; 32] = std::array::from_fn(|i| u8::try_from(i * 8 + 3).unwrap());
        let text = encode_hex(&bytes);
        assert_eq!(decode_hex(&text), Some(bytes));
        assert_eq!(Signature::from_hex(&text).map(Signature::to_hex), Some(text));
        assert!(bool::from(Computed::new(&bytes).matches(&Signature::from_hex(&text).unwrap())));
        let upper = text.map(|byte| byte.to_ascii_uppercase());
        assert_eq!(decode_hex(&upper), Some(bytes));
        assert!(Signature::from_hex(&upper).is_none());
    }

    #[test]
    fn every_single_bit_counts() {
        let bytes = [0x5a; 32];
        let sent = Signature::from_hex(&encode_hex(&bytes)).unwrap();
        for bit in 0..256 {
            let mut other = bytes;
            other[bit / 8] ^= 1 << (bit % 8);
            assert!(!bool::from(Computed::new(&other).matches(&sent)), "bit {bit}");
        }
    }

    #[test]
    fn other_shapes_are_refused() {
        let text = "5a".repeat(32);
        assert!(Signature::from_hex(&text.as_bytes()[..63]).is_none());
        assert!(Signature::from_hex(format!("{text}0").as_bytes()).is_none());
        for at in 0..64 {
            for byte in [b'g', b'`', b'/', b':', b' ', b'A', b'G', 0, 0xff] {
                let mut text = text.clone().into_bytes();
                text[at] = byte;
                assert!(Signature::from_hex(&text).is_none(), "{byte} at {at}");
            }
        }
    }
}
