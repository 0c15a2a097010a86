//! A signature as 32 raw bytes: exactly 64 lower-case hex digits on the wire, compared in constant
//! time (rule 12).

use subtle::ConstantTimeEq;
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
        let mut bytes = [0; 32];
        decode_lower_hex(text, &mut bytes).then(|| Self(words(&bytes)))
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
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [0; 64];
    for (pair, byte) in text.as_chunks_mut::<2>().0.iter_mut().zip(bytes) {
        *pair = [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]];
    }
    text
}

/// Reads hex digits of either case.
pub(crate) fn decode_hex(text: &[u8; 64]) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    decode_lower_hex(&text.map(|byte| byte.to_ascii_lowercase()), &mut bytes).then_some(bytes)
}

fn words(bytes: &[u8; 32]) -> [u64; 4] {
    let mut words = [0; 4];
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    words
}

/// Decodes without branching on the digits; false when one of them is none.
fn decode_lower_hex(text: &[u8; 64], bytes: &mut [u8; 32]) -> bool {
    let mut bad = 0;
    for (byte, [high, low]) in bytes.iter_mut().zip(text.as_chunks::<2>().0) {
        let (high, low) = (nibble(*high), nibble(*low));
        bad |= high | low;
        *byte = high << 4 | low & 15;
    }
    bad & 0xf0 == 0
}

/// The value of a lower-case hex digit, or 0xff.
fn nibble(byte: u8) -> u8 {
    const NIBBLES: [u8; 256] = {
        let mut table = [0xff; 256];
        let mut value = 0;
        while value < 16 {
            table[b"0123456789abcdef"[value as usize] as usize] = value;
            value += 1;
        }
        table
    };
    NIBBLES[usize::from(byte)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_both_ways() {
        let bytes: [u8; 32] = std::array::from_fn(|i| u8::try_from(i * 8 + 3).unwrap());
        let text = encode_hex(&bytes);
        assert_eq!(decode_hex(&text), Some(bytes));
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
