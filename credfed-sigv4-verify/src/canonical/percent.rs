//! Percent-encoding as SigV4 wants it: everything but `A-Z a-z 0-9 - . _ ~` as `%XX`, upper case.

/// Appends `bytes` encoded; `/` stays as it is where `slash` says so.
pub(crate) fn encode(out: &mut Vec<u8>, bytes: &[u8], slash: bool) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in bytes {
        if is_unreserved(byte) || (slash && byte == b'/') {
            out.push(byte);
        } else {
            out.extend_from_slice(&[b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
        }
    }
}

/// Appends `bytes` decoded; `None` on a lone `%`, on `%zz` and on an encoded NUL.
#[must_use]
pub(crate) fn decode(out: &mut Vec<u8>, bytes: &[u8], plus: Plus) -> Option<()> {
    let mut from = 0;
    for at in memchr::memchr2_iter(b'%', plus.marker(), bytes) {
        // A marker inside of an escape is refused as part of that escape.
        let plain = bytes.get(from..at)?;
        out.extend_from_slice(plain);
        let (byte, length) = match bytes[at] {
            b'%' => (escape(&bytes[at..])?, 3),
            _ => (b' ', 1),
        };
        out.push(byte);
        from = at + length;
    }
    out.extend_from_slice(bytes.get(from..)?);
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

/// Whether `bytes` consist of unreserved characters, well-formed escapes and bytes that are `extra`
/// only, the escapes in upper case and of characters that need one: encoding what they decode to
/// would give them back. Leaves in `escapes` where each `%` is.
#[inline]
pub(crate) fn is_encoded(bytes: &[u8], extra: impl Fn(u8) -> bool, escapes: &mut Vec<u32>) -> bool {
    // A fold without a branch, which compilers turn into vector code.
    let foreign = bytes
        .iter()
        .fold(0, |any, &byte| any | u8::from(!(is_unreserved(byte) | (byte == b'%') | extra(byte))));
    foreign == 0 && find_escapes(bytes, escapes)
}

/// Finds every `%`; false where one starts no strict escape.
fn find_escapes(bytes: &[u8], escapes: &mut Vec<u32>) -> bool {
    let mut strict = true;
    let mut found = |at: usize| {
        strict &= is_strict_escape(&bytes[at..]);
        escapes.push(u32::try_from(at).unwrap_or(u32::MAX));
    };
    let (words, tail) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let mut percents = percents(*word);
        while percents != 0 {
            found(index * 8 + (percents.trailing_zeros() / 8) as usize);
            percents &= percents - 1;
        }
    }
    for (index, _) in tail.iter().enumerate().filter(|(_, byte)| **byte == b'%') {
        found(words.len() * 8 + index);
    }
    strict
}

/// The high bit of each byte that is `%`.
fn percents(word: [u8; 8]) -> u64 {
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    let other = u64::from_le_bytes(word) ^ 0x2525_2525_2525_2525;
    !(((other & LOW) + LOW) | other | LOW)
}

/// Appends `bytes` decoded, whose strict escapes are at `escapes`, counted from `offset` before them.
pub(crate) fn decode_strict(out: &mut Vec<u8>, bytes: &[u8], offset: usize, escapes: &[u32]) -> Option<()> {
    let mut from = 0;
    for &at in escapes {
        let at = (at as usize).checked_sub(offset)?;
        out.extend_from_slice(bytes.get(from..at)?);
        out.push(escape(bytes.get(at..)?)?);
        from = at + 3;
    }
    out.extend_from_slice(bytes.get(from..)?);
    Some(())
}

/// Whether the escape is upper case and of a byte that has to be encoded.
fn is_strict_escape(bytes: &[u8]) -> bool {
    let Some(&[_, high, low]) = bytes.first_chunk::<3>() else { return false };
    let [high, low] = [UPPER_HEX[usize::from(high)], UPPER_HEX[usize::from(low)]];
    (high | low) <= 15 && ESCAPED[usize::from(high << 4 | low)]
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

    fn decoded(text: &str, plus: Plus) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        decode(&mut out, text.as_bytes(), plus).map(|()| out)
    }

    #[test]
    fn every_byte_survives() {
        for byte in 1..=255_u8 {
            let mut text = Vec::new();
            encode(&mut text, &[byte], false);
            assert!(is_encoded(&text, |_| false, &mut Vec::new()), "{byte}");
            let text = String::from_utf8(text).unwrap();
            assert_eq!(decoded(&text, Plus::Space), Some(vec![byte]));
            assert_eq!(decoded(&text.to_lowercase(), Plus::Literal).map(|out| out.len()), Some(1));
        }
    }

    #[test]
    fn broken_escapes_are_refused() {
        for text in ["%", "a%", "%4", "%zz", "%4g", "%g4", "%+5", "% 5", "%00", "%%41", "a%0"] {
            assert_eq!(decoded(text, Plus::Literal), None, "{text}");
            assert!(!escapes_are_whole(text.as_bytes()), "{text}");
            assert!(!is_encoded(text.as_bytes(), |_| false, &mut Vec::new()), "{text}");
        }
    }

    #[test]
    fn encoded_means_that_encoding_gives_it_back() {
        for text in ["a%2f", "%41", "%7E", "a+b", "a b", "ሴ", "a/b", "a=b", "%2D"] {
            assert!(!is_encoded(text.as_bytes(), |_| false, &mut Vec::new()), "{text}");
        }
        assert!(is_encoded(b"a/b%2F%20~", |byte| byte == b'/', &mut Vec::new()));
        assert_eq!(decoded("a+b%2B", Plus::Space).unwrap(), b"a b+");
        assert_eq!(decoded("a+b%2B", Plus::Literal).unwrap(), b"a+b+");
    }
}
