//! What the head of a request declares of a chunked body: its decoded length and its trailer.

use http::Method;

use super::checksum::{Checksum, Checksums};
use crate::error::{Malformed, Reason};

/// Bytes of x-amz-trailer; the names of all five checksums have 110.
const LONGEST_LIST: usize = 256;

/// A body in the `aws-chunked` coding, as its head declares it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunked {
    signed: bool,
    decoded_length: u64,
    /// Empty where there is no trailer.
    checksums: Checksums,
    has_trailer: bool,
}

impl Chunked {
    /// Reads what goes with a streaming mode. `trailer` is the value of x-amz-trailer, which a mode with a trailer
    /// (`has_trailer`) must have and any other must not.
    pub(crate) fn declared(
        (signed, has_trailer): (bool, bool),
        method: &Method,
        decoded_length: Option<&[u8]>,
        trailer: Option<&[u8]>,
    ) -> Result<Self, Reason> {
        if !matches!(*method, Method::PUT | Method::POST) {
            return Err(Reason::StreamingWithoutUpload);
        }
        let decoded_length = decoded_length.ok_or(Reason::MissingDecodedLength)?;
        let decoded_length =
            length(decoded_length).ok_or(Reason::MalformedRequest(Malformed::DecodedLength))?;
        let checksums = match (trailer, has_trailer) {
            (Some(list), true) => names(list)?,
            (None, false) => Checksums::default(),
            (Some(_), false) | (None, true) => return Err(Reason::MalformedTrailer),
        };
        Ok(Self { signed, decoded_length, checksums, has_trailer })
    }

    /// Whether each chunk, and the trailer if there is one, carries a signature.
    pub fn is_signed(&self) -> bool {
        self.signed
    }

    /// x-amz-decoded-content-length: how many bytes the body has without its chunks, which is enforced.
    pub fn decoded_length(&self) -> u64 {
        self.decoded_length
    }

    /// The checksums that the trailer was declared to have, each of which is verified; none without a trailer.
    pub fn checksums(&self) -> impl Iterator<Item = Checksum> {
        self.checksums.iter()
    }

    pub(super) fn trailer(&self) -> Option<Checksums> {
        self.has_trailer.then_some(self.checksums)
    }
}

/// Decimal digits and nothing else, of a `u64`.
fn length(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    str::from_utf8(value).ok()?.parse().ok()
}

/// The names of a trailer's fields. As with AWS, they are checksums: what else came in a trailer would have no effect
/// further on, and silently so.
fn names(list: &[u8]) -> Result<Checksums, Reason> {
    if list.len() > LONGEST_LIST {
        return Err(Reason::MalformedTrailer);
    }
    let mut checksums = Checksums::default();
    for name in list.split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
        let name = http::HeaderName::from_bytes(name).map_err(|_| Reason::MalformedTrailer)?;
        match Checksum::named(name.as_str().as_bytes()) {
            Some(checksum) if checksums.insert(checksum) => {}
            Some(_) => return Err(Reason::MalformedTrailer),
            None if name.as_str().starts_with("x-amz-checksum-") => {
                return Err(Reason::ChecksumNotImplemented);
            }
            None => return Err(Reason::UnsupportedTrailer),
        }
    }
    Ok(checksums)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared(length: Option<&str>, trailer: Option<&str>, has_trailer: bool) -> Result<Chunked, Reason> {
        let [length, trailer] = [length, trailer].map(|value| value.map(str::as_bytes));
        Chunked::declared((true, has_trailer), &Method::PUT, length, trailer)
    }

    #[test]
    fn the_decoded_length_is_a_decimal_number_of_64_bits() {
        for (value, expected) in [("0", 0), ("66560", 66_560), ("007", 7), ("18446744073709551615", u64::MAX)]
        {
            let declared = declared(Some(value), None, false).unwrap();
            assert_eq!((declared.decoded_length(), declared.checksums().count()), (expected, 0));
        }
        let malformed = Err(Reason::MalformedRequest(Malformed::DecodedLength));
        for value in ["", "+5", "-5", " 5", "5 ", "0x5", "5.0", "5,5", "1e3", "18446744073709551616", "٥"] {
            assert_eq!(declared(Some(value), None, false), malformed, "{value:?}");
        }
        assert_eq!(declared(None, None, false), Err(Reason::MissingDecodedLength));
    }

    #[test]
    fn a_trailer_is_declared_where_one_comes_and_only_there() {
        fn trailer(list: &str) -> Result<Vec<Checksum>, Reason> {
            declared(Some("5"), Some(list), true).map(|declared| declared.checksums().collect())
        }
        assert_eq!(trailer("x-amz-checksum-crc32"), Ok(vec![Checksum::Crc32]));
        assert_eq!(trailer("X-Amz-Checksum-CRC64NVME"), Ok(vec![Checksum::Crc64Nvme]));
        let both = Ok(vec![Checksum::Crc32, Checksum::Sha256]);
        assert_eq!(trailer("x-amz-checksum-sha256, x-amz-checksum-crc32"), both);
        for list in [
            "",
            ",",
            "x-amz-checksum-crc32,",
            "x-amz-checksum-crc32,,x-amz-checksum-sha1",
            "x-amz-checksum-crc32,X-AMZ-CHECKSUM-CRC32",
            "x-amz-checksum-crc32 x-amz-checksum-sha1",
            "x-amz-checksum-crc32;x",
            "x-amz-checksum-crc32:1",
            &"a,".repeat(200),
        ] {
            assert_eq!(trailer(list), Err(Reason::MalformedTrailer), "{list:?}");
        }
        for list in ["sha512", "md5", "xxhash64", "xxhash3", "xxhash128", "new"] {
            let list = format!("x-amz-checksum-crc32,x-amz-checksum-{list}");
            assert_eq!(trailer(&list), Err(Reason::ChecksumNotImplemented), "{list}");
        }
        for list in ["x-amz-meta-a", "content-md5", "x-amz-trailer-signature", "x-amz-checksum", "host"] {
            assert_eq!(trailer(list), Err(Reason::UnsupportedTrailer), "{list}");
        }
        assert_eq!(declared(Some("5"), None, true), Err(Reason::MalformedTrailer));
        assert_eq!(declared(Some("5"), Some("x-amz-checksum-crc32"), false), Err(Reason::MalformedTrailer));
    }

    #[test]
    fn chunks_come_with_uploads_only() {
        for method in
            [Method::GET, Method::HEAD, Method::DELETE, Method::OPTIONS, Method::TRACE, Method::PATCH]
        {
            let declared = Chunked::declared((true, false), &method, Some(b"5"), None);
            assert_eq!(declared, Err(Reason::StreamingWithoutUpload), "{method}");
        }
        assert!(
            Chunked::declared((false, true), &Method::POST, Some(b"5"), Some(b"x-amz-checksum-sha1")).is_ok()
        );
    }
}
