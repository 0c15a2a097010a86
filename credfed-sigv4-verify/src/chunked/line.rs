//! Lines between the data: size lines, the ends of chunks, trailer fields. Collected in place, bounded.

use bytes::{Buf, Bytes};

/// The longest line that is read, its end included. The longest one that anybody sends has 179 bytes: 16 digits, the
/// extension's name, and a signature padded to 144.
const LONGEST: usize = 192;

/// Before the signature of a chunk.
const EXTENSION: &[u8] = b";chunk-signature=";

/// Hex digits of a size: as many as a `u64` has.
const MOST_DIGITS: usize = 16;

/// A line while it arrives.
pub(super) struct Line {
    bytes: [u8; LONGEST],
    len: usize,
}

/// The line is longer than any that is known.
pub(super) struct TooLong;

impl Line {
    pub(super) fn new() -> Self {
        Self { bytes: [0; LONGEST], len: 0 }
    }

    /// Moves bytes of `frame` into the line, its LF being the last one. Whether the line is complete.
    pub(super) fn fill(&mut self, frame: &mut Bytes) -> Result<bool, TooLong> {
        let room = &mut self.bytes[self.len..];
        let near = &frame[..frame.len().min(room.len())];
        let end = memchr::memchr(b'\n', near);
        let taken = end.map_or(near.len(), |at| at + 1);
        room[..taken].copy_from_slice(&near[..taken]);
        self.len += taken;
        frame.advance(taken);
        if end.is_none() && self.len == LONGEST { Err(TooLong) } else { Ok(end.is_some()) }
    }

    /// The complete line, its end included.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// Starts the next one.
    pub(super) fn clear(&mut self) {
        self.len = 0;
    }
}

/// What a size line says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Size<'a> {
    pub(super) size: u64,
    /// As it came: how long it has to be depends on the algorithm.
    pub(super) signature: Option<&'a [u8]>,
}

impl<'a> Size<'a> {
    /// Reads a size line with its CRLF. The size: hex digits and nothing else; the extension: a signature and
    /// nothing else.
    pub(super) fn parse(line: &'a [u8]) -> Option<Self> {
        let line = line.strip_suffix(b"\r\n")?;
        let digits = line.iter().position(|&byte| byte == b';').unwrap_or(line.len());
        let (digits, extension) = line.split_at(digits);
        if digits.is_empty() || digits.len() > MOST_DIGITS {
            return None;
        }
        let mut size = 0;
        for &digit in digits {
            size = size << 4 | u64::from(char::from(digit).to_digit(16)?);
        }
        let signature = match extension {
            [] => None,
            extension => Some(extension.strip_prefix(EXTENSION)?),
        };
        Some(Self { size, signature })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_hex_digits_and_nothing_else() {
        let size = |line: &'static str| Size::parse(line.as_bytes()).map(|size| size.size);
        for (line, expected) in [
            ("0\r\n", 0),
            ("5\r\n", 5),
            ("aF\r\n", 0xaf),
            ("00000000000000ff\r\n", 0xff),
            ("ffffffffffffffff\r\n", u64::MAX),
        ] {
            assert_eq!(size(line), Some(expected), "{line:?}");
        }
        for line in [
            "",
            "\r\n",
            "5",
            "5\n",
            "5\r",
            "+5\r\n",
            "-5\r\n",
            " 5\r\n",
            "5 \r\n",
            "\t5\r\n",
            "0x5\r\n",
            "5h\r\n",
            "g\r\n",
            "5_0\r\n",
            "5.0\r\n",
            "5\r\r\n",
            "5\0\r\n",
            "00000000000000005\r\n",
            "10000000000000000\r\n",
            "٥\r\n",
        ] {
            assert_eq!(size(line), None, "{line:?}");
        }
    }

    #[test]
    fn the_only_extension_is_a_signature() {
        let signature = |line: &'static str| Size::parse(line.as_bytes()).map(|size| size.signature);
        assert_eq!(signature("5\r\n"), Some(None));
        assert_eq!(signature("5;chunk-signature=ab\r\n"), Some(Some(b"ab".as_slice())));
        assert_eq!(signature("5;chunk-signature=\r\n"), Some(Some(b"".as_slice())));
        for line in [
            "5;\r\n",
            "5;x=y\r\n",
            "5;chunk-signature\r\n",
            "5; chunk-signature=ab\r\n",
            "5 ;chunk-signature=ab\r\n",
            "5;Chunk-Signature=ab\r\n",
            ";chunk-signature=ab\r\n",
            "5,chunk-signature=ab\r\n",
        ] {
            assert_eq!(signature(line), None, "{line:?}");
        }
    }

    #[test]
    fn lines_arrive_in_any_pieces_and_are_bounded() {
        let text = b"10;chunk-signature=ab\r\nrest";
        for at in 0..text.len() {
            let mut line = Line::new();
            let mut first = Bytes::from_static(&text[..at]);
            let mut second = Bytes::from_static(&text[at..]);
            let done =
                line.fill(&mut first).is_ok_and(|done| done) || line.fill(&mut second).is_ok_and(|done| done);
            assert!(done && line.as_bytes() == b"10;chunk-signature=ab\r\n", "{at}");
            let rest = [first, second].concat();
            assert_eq!(rest, b"rest");
        }
        let mut line = Line::new();
        let mut long = Bytes::from(vec![b'1'; 1000]);
        assert!(line.fill(&mut long).is_err());
        assert_eq!(long.len(), 1000 - LONGEST);
    }
}
