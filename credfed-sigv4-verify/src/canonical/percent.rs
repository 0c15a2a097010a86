//! Percent-encoding as SigV4 wants it: everything but `A-Z a-z 0-9 - . _ ~` as `%XX`, upper case.

use crate::scan::{self, Block};
use crate::scratch::{Buffer, Sink};

/// Appends `bytes` encoded; `/` stays as it is where `slash` says so.
pub(crate) fn encode(out: &mut impl Sink, bytes: &[u8], slash: bool) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in bytes {
        if is_unreserved(byte) || (slash && byte == b'/') {
            out.put_byte(byte);
        } else {
            out.put(&[b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
        }
    }
}

/// Appends `bytes` decoded; `None` on a lone `%`, on `%zz` and on an encoded NUL.
#[must_use]
pub(crate) fn decode(out: &mut impl Sink, bytes: &[u8], plus: Plus) -> Option<()> {
    let mut from = 0;
    for at in memchr::memchr2_iter(b'%', plus.marker(), bytes) {
        // A marker inside of an escape is refused as part of that escape.
        let plain = bytes.get(from..at)?;
        out.put(plain);
        let (byte, length) = match bytes[at] {
            b'%' => (escape(&bytes[at..])?, 3),
            _ => (b' ', 1),
        };
        out.put_byte(byte);
        from = at + length;
    }
    out.put(bytes.get(from..)?);
    Some(())
}

/// What a raw `+` means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plus {
    /// Itself, as in a path.
    Literal,
    /// A blank, as in a query.
    Space,
}

impl Plus {
    /// The byte that decoding looks for besides `%`.
    fn marker(self) -> u8 {
        match self {
            Self::Literal => b'%',
            Self::Space => b'+',
        }
    }
}

/// Whether every `%` starts an escape that is neither broken nor NUL.
pub(crate) fn escapes_are_whole(bytes: &[u8]) -> bool {
    memchr::memchr_iter(b'%', bytes).all(|at| escape(&bytes[at..]).is_some())
}

/// Where there is an unreserved character. Bytes of these and of escapes that are strict come out of decoding and
/// encoding as they are.
#[inline(always)]
pub(crate) fn unreserved(block: Block) -> Block {
    // `-`, `.`, `/` and the digits follow each other.
    block.lowered().within(b'a', b'z')
        | (block.within(b'-', b'9') & !block.is(b'/'))
        | block.is(b'_')
        | block.is(b'~')
}

/// Whether every escape is whole, in upper case, and of a character that needs one.
pub(crate) fn escapes_are_strict(bytes: &[u8]) -> bool {
    scan::positions(bytes, |block| block.is(b'%')).all(|at| strict_escape(&bytes[at..]).is_some())
}

/// Appends `bytes` decoded, whose escapes have to be strict; says whether these stand for visible ASCII. Sixteen bytes at
/// a time, up to the next `%`.
#[must_use]
#[inline(never)]
pub(crate) fn decode_strict(out: &mut Buffer, bytes: &[u8]) -> Option<bool> {
    out.put_with(bytes.len(), |room| {
        // So much has been read, and written.
        let (mut from, mut to) = (0, 0);
        let mut visible = true;
        while let (Some(block), Some(first)) =
            (bytes.get(from..)?.first_chunk::<16>(), room.get_mut(to..)?.first_chunk_mut::<16>())
        {
            // What comes too early is written over.
            *first = *block;
            let escapes = Block::of(block).is(b'%').bits();
            // A branch that can be foreseen, so that the next block need not wait for this one.
            if escapes == 0 {
                from += 16;
                to += 16;
                continue;
            }
            let plain = escapes.trailing_zeros() as usize;
            let byte = strict_escape(&bytes[from + plain..])?;
            visible &= byte.is_ascii_graphic();
            first[plain] = byte;
            from += plain + 3;
            to += plain + 1;
        }
        while let Some(&byte) = bytes.get(from) {
            let (byte, length) = if byte == b'%' { (strict_escape(&bytes[from..])?, 3) } else { (byte, 1) };
            visible &= byte.is_ascii_graphic();
            *room.get_mut(to)? = byte;
            from += length;
            to += 1;
        }
        Some((to, visible))
    })
}

/// The byte of an escape at the start of `bytes` that is upper case and of a byte that needs one.
#[inline]
pub(super) fn strict_escape(bytes: &[u8]) -> Option<u8> {
    let &[_, high, low] = bytes.first_chunk::<3>()?;
    let [high, low] = [UPPER_HEX[usize::from(high)], UPPER_HEX[usize::from(low)]];
    let byte = high << 4 | low & 15;
    ((high | low) <= 15 && ESCAPED[usize::from(byte)]).then_some(byte)
}

/// The byte of an escape at the start of `bytes`.
fn escape(bytes: &[u8]) -> Option<u8> {
    let &[_, high, low] = bytes.first_chunk::<3>()?;
    match HEX[usize::from(high)] << 4 | HEX[usize::from(low)] {
        0 => None,
        byte if HEX[usize::from(high)] | HEX[usize::from(low)] <= 15 => Some(byte),
        _ => None,
    }
}

#[inline(always)]
pub(crate) const fn is_unreserved(byte: u8) -> bool {
    // `-`, `.`, `/` and the digits follow each other.
    ((byte | 0x20).wrapping_sub(b'a') < 26)
        | ((byte.wrapping_sub(b'-') < 13) & (byte != b'/'))
        | (byte == b'_')
        | (byte == b'~')
}

/// The value of a hex digit of upper case, or 0x10.
const UPPER_HEX: [u8; 256] = {
    let mut table = [0x10; 256];
    let mut value = 0;
    while value < 16 {
        table[b"0123456789ABCDEF"[value as usize] as usize] = value;
        value += 1;
    }
    table
};

/// The bytes that an escape has to stand for: neither unreserved nor NUL.
const ESCAPED: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 1_usize;
    while byte < 256 {
        table[byte] = !is_unreserved(byte.to_le_bytes()[0]);
        byte += 1;
    }
    table
};

/// The value of a hex digit of either case, or 0x10.
const HEX: [u8; 256] = {
    let mut table = [0x10; 256];
    let mut value = 0;
    while value < 16 {
        table[b"0123456789abcdef"[value as usize] as usize] = value;
        table[b"0123456789ABCDEF"[value as usize] as usize] = value;
        value += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    fn is_encoded(text: &[u8], extra: impl Fn(Block) -> Block) -> bool {
        let strict = escapes_are_strict(text);
        let mut out = Buffer::default();
        out.put(b"before");
        let visible = decode_strict(&mut out, text);
        assert_eq!(visible.is_some(), strict);
        if let Some(visible) = visible {
            let mut expected = b"before".to_vec();
            decode(&mut expected, text, Plus::Literal).unwrap();
            assert_eq!(out.as_slice(), expected);
            // Of plain bytes, that is: all of them are visible.
            assert!(visible || !scan::is_visible(&expected));
        }
        scan::all(text, |block| unreserved(block) | block.is(b'%') | extra(block)) && strict
    }

    fn decoded(text: &str, plus: Plus) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        decode(&mut out, text.as_bytes(), plus).map(|()| out)
    }

    #[test]
    fn every_byte_survives() {
        for byte in 1..=255_u8 {
            let mut text = Vec::new();
            encode(&mut text, &[byte], false);
            assert!(is_encoded(&text, |block| !block & block), "{byte}");
            let text = String::from_utf8(text).unwrap();
            assert_eq!(decoded(&text, Plus::Space), Some(vec![byte]));
            assert_eq!(decoded(&text.to_lowercase(), Plus::Literal).map(|out| out.len()), Some(1));
        }
    }

    #[test]
    fn escapes_are_found_wherever_they_are() {
        for before in 0..20 {
            for after in 0..20 {
                let text = format!("{}%2F%3D{}%25", "a".repeat(before), "b".repeat(after));
                assert!(is_encoded(text.as_bytes(), |block| !block & block), "{text}");
                for cut in 1..=2 {
                    let text = &text[..text.len() - cut];
                    assert!(!is_encoded(text.as_bytes(), |block| !block & block), "{text}");
                }
            }
        }
    }

    #[test]
    fn broken_escapes_are_refused() {
        for text in ["%", "a%", "%4", "%zz", "%4g", "%g4", "%+5", "% 5", "%00", "%%41", "a%0"] {
            assert_eq!(decoded(text, Plus::Literal), None, "{text}");
            assert!(!escapes_are_whole(text.as_bytes()), "{text}");
            assert!(!is_encoded(text.as_bytes(), |block| !block & block), "{text}");
        }
    }

    #[test]
    fn encoded_means_that_encoding_gives_it_back() {
        for text in ["a%2f", "%41", "%7E", "a+b", "a b", "ሴ", "a/b", "a=b", "%2D"] {
            assert!(!is_encoded(text.as_bytes(), |block| !block & block), "{text}");
        }
        assert!(is_encoded(b"a/b%2F%20~", |block| block.is(b'/')));
        assert_eq!(decoded("a+b%2B", Plus::Space).unwrap(), b"a b+");
        assert_eq!(decoded("a+b%2B", Plus::Literal).unwrap(), b"a+b+");
    }
}
