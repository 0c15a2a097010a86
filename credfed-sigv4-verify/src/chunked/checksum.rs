//! Checksums that trailers declare, computed over the decoded body.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crc_fast::CrcAlgorithm;
use sha1::Sha1;
use sha2::{Digest, Sha256};

use crate::error::Reason;

/// A checksum algorithm of S3 whose trailers are verified.
///
/// "Checking object integrity" of the Amazon S3 user guide. What else AWS names (SHA-512, MD5, XXHash …) is answered
/// with 501, never passed as verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Checksum {
    /// CRC-32 as in zlib.
    Crc32,
    /// CRC-32C (Castagnoli).
    Crc32c,
    /// CRC-64/NVME, the default of current SDKs.
    Crc64Nvme,
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
}

impl Checksum {
    const ALL: [Self; 5] = [Self::Crc32, Self::Crc32c, Self::Crc64Nvme, Self::Sha1, Self::Sha256];

    /// The name of the trailer field, in lower case.
    pub fn header_name(self) -> &'static str {
        match self {
            Self::Crc32 => "x-amz-checksum-crc32",
            Self::Crc32c => "x-amz-checksum-crc32c",
            Self::Crc64Nvme => "x-amz-checksum-crc64nvme",
            Self::Sha1 => "x-amz-checksum-sha1",
            Self::Sha256 => "x-amz-checksum-sha256",
        }
    }

    pub(super) fn named(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|known| name.eq_ignore_ascii_case(known.header_name().as_bytes()))
    }

    /// Bytes of a value.
    fn size(self) -> usize {
        match self {
            Self::Crc32 | Self::Crc32c => 4,
            Self::Crc64Nvme => 8,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }
}

/// As AWS's messages have it: `CRC64NVME`.
impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64Nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        })
    }
}

/// A set of algorithms.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Checksums(u8);

impl Checksums {
    /// Whether it was not there before.
    pub(super) fn insert(&mut self, checksum: Checksum) -> bool {
        let before = self.0;
        self.0 |= 1 << checksum as u8;
        self.0 != before
    }

    pub(super) fn iter(self) -> impl Iterator<Item = Checksum> {
        Checksum::ALL.into_iter().filter(move |checksum| self.0 & 1 << *checksum as u8 != 0)
    }
}

/// The declared checksums of one body, while it passes.
pub(super) struct Sums(Vec<Sum>);

struct Sum {
    checksum: Checksum,
    running: Running,
    /// What the trailer said.
    sent: Option<Value>,
}

enum Running {
    Crc(crc_fast::Digest),
    Sha1(Sha1),
    Sha256(Sha256),
}

/// A value, of which the first [`Checksum::size`] bytes count.
type Value = [u8; 32];

impl Sums {
    pub(super) fn new(declared: Checksums) -> Self {
        let sum = |checksum| Sum { checksum, running: Running::new(checksum), sent: None };
        Self(declared.iter().map(sum).collect())
    }

    pub(super) fn update(&mut self, data: &[u8]) {
        for sum in &mut self.0 {
            match &mut sum.running {
                Running::Crc(digest) => digest.update(data),
                Running::Sha1(digest) => digest.update(data),
                Running::Sha256(digest) => digest.update(data),
            }
        }
    }

    /// Takes the value that a trailer field gave, in base64 as AWS writes it.
    pub(super) fn receive(&mut self, checksum: Checksum, value: &[u8]) -> Result<(), Reason> {
        let sum = self.0.iter_mut().find(|sum| sum.checksum == checksum && sum.sent.is_none());
        let sum = sum.ok_or(Reason::MalformedTrailer)?;
        // Room for what base64 of 32 bytes and less may decode to.
        let mut decoded = [0; 33];
        match STANDARD.decode_slice(value, &mut decoded) {
            Ok(size) if size == checksum.size() => sum.sent = decoded.first_chunk().copied(),
            _ => return Err(Reason::InvalidChecksum(checksum)),
        }
        Ok(())
    }

    /// Whether every declared field has come.
    pub(super) fn all_received(&self) -> bool {
        self.0.iter().all(|sum| sum.sent.is_some())
    }

    /// Compares, once the body and its trailer have ended.
    pub(super) fn judge(&mut self) -> Result<(), Reason> {
        for sum in self.0.drain(..) {
            if sum.sent != Some(sum.running.finalize(sum.checksum)) {
                return Err(Reason::ChecksumMismatch(sum.checksum));
            }
        }
        Ok(())
    }
}

impl Running {
    fn new(checksum: Checksum) -> Self {
        match checksum {
            Checksum::Crc32 => Self::Crc(crc_fast::Digest::new(CrcAlgorithm::Crc32IsoHdlc)),
            Checksum::Crc32c => Self::Crc(crc_fast::Digest::new(CrcAlgorithm::Crc32Iscsi)),
            Checksum::Crc64Nvme => Self::Crc(crc_fast::Digest::new(CrcAlgorithm::Crc64Nvme)),
            Checksum::Sha1 => Self::Sha1(Sha1::new()),
            Checksum::Sha256 => Self::Sha256(Sha256::new()),
        }
    }

    /// Most significant byte first, zeros behind.
    fn finalize(self, checksum: Checksum) -> Value {
        let mut value = [0; 32];
        match self {
            Self::Crc(digest) => {
                let bytes = digest.finalize().to_be_bytes();
                let size = checksum.size().min(bytes.len());
                value[..size].copy_from_slice(&bytes[bytes.len() - size..]);
            }
            Self::Sha1(digest) => value[..20].copy_from_slice(&digest.finalize()),
            Self::Sha256(digest) => value.copy_from_slice(&digest.finalize()),
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The check values of the catalogue of parametrised CRC algorithms, and of FIPS 180.
    #[test]
    fn values_are_those_of_the_catalogues() {
        let hex = |hex: &str| -> Vec<u8> {
            (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
        };
        for (checksum, message, expected) in [
            (Checksum::Crc32, "123456789", "cbf43926"),
            (Checksum::Crc32c, "123456789", "e3069283"),
            (Checksum::Crc64Nvme, "123456789", "ae8b14860a799888"),
            (Checksum::Sha1, "abc", "a9993e364706816aba3e25717850c26c9cd0d89d"),
            (Checksum::Sha256, "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        ] {
            let mut declared = Checksums::default();
            assert!(declared.insert(checksum) && !declared.insert(checksum));
            assert!(declared.iter().eq([checksum]));
            let expected = hex(expected);
            let judge = |value: &[u8]| {
                let mut sums = Sums::new(declared);
                message.as_bytes().chunks(2).for_each(|piece| sums.update(piece));
                assert!(!sums.all_received());
                sums.receive(checksum, STANDARD.encode(value).as_bytes())?;
                assert!(sums.all_received());
                sums.judge()
            };
            assert_eq!(judge(&expected), Ok(()), "{checksum}");
            for bit in 0..expected.len() * 8 {
                let mut other = expected.clone();
                other[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(judge(&other), Err(Reason::ChecksumMismatch(checksum)));
            }
            for other in [&expected[1..], &[expected.as_slice(), &[0]].concat(), &[]] {
                assert_eq!(judge(other), Err(Reason::InvalidChecksum(checksum)));
            }
        }
    }

    #[test]
    fn base64_is_written_in_one_way_only() {
        let mut declared = Checksums::default();
        declared.insert(Checksum::Crc32);
        for value in ["y/Q5Jg=", "y/Q5Jg", "y_Q5Jg==", "y/Q5Jh==", " y/Q5Jg==", "y/Q5Jg== ", "y/Q5Jg==\r", ""]
        {
            let mut sums = Sums::new(declared);
            let received = sums.receive(Checksum::Crc32, value.as_bytes());
            assert_eq!(received, Err(Reason::InvalidChecksum(Checksum::Crc32)), "{value:?}");
        }
    }
}
