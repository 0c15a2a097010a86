//! The outside of a sealed token: its text, its id, and the access key id that belongs to it.

use std::fmt;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::block_api::compress256;

use crate::keyring::KeyId;
#[cfg(feature = "oidc")]
use crate::keyring::hex_digit;

/// The longest token that is accepted, in bytes. Those that are minted here are 2 KiB at most.
pub const LONGEST_TOKEN: usize = 8 * 1024;

/// The longest token that is minted, in bytes.
pub(super) const LONGEST_MINTED: usize = 2 * 1024;

pub(super) const NONCE: usize = 24;
pub(super) const TAG: usize = 16;

/// `cf1.`, the name of the key, a dot.
pub(super) const PREFIX: usize = VERSION.len() + 2 * KeyId::LENGTH + 1;

/// Room for what the longest accepted token decodes to.
pub(super) const LONGEST_SEALED: usize = (LONGEST_TOKEN - PREFIX).div_ceil(4) * 3;

const VERSION: &str = "cf1.";

/// As strict as `URL_SAFE_NO_PAD`, and many letters at a time where the processor can.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
static DECODER: LazyLock<base64::engine::Simd> =
    LazyLock::new(|| base64::engine::Simd::url_safe(base64::engine::general_purpose::NO_PAD));
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
static DECODER: base64::engine::GeneralPurpose = URL_SAFE_NO_PAD;

pub(super) const ACCESS_KEY_ID: usize = 20;

/// The id of a session token: 192 random bits, which are the nonce of a sealed one, and the `jti` of a JWT.
///
/// It is no secret. `Display` shows it in full, in hex, as an operator puts it on a list of denied tokens.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TokenId([u8; NONCE]);

impl TokenId {
    pub(super) fn new(nonce: [u8; NONCE]) -> Self {
        Self(nonce)
    }

    /// The id itself.
    pub fn as_bytes(&self) -> &[u8; 24] {
        &self.0
    }

    /// Reads what `Display` shows, in its one form.
    #[cfg(feature = "oidc")]
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        let pairs = <&[_; NONCE]>::try_from(pairs).ok().filter(|_| rest.is_empty())?;
        let mut id = [0; NONCE];
        for (byte, [high, low]) in id.iter_mut().zip(pairs) {
            *byte = hex_digit(*high)? << 4 | hex_digit(*low)?;
        }
        Some(Self(id))
    }

    /// The access key id of the session: 20 characters that begin with `ASIA`.
    pub(super) fn access_key_id(&self) -> AccessKeyId {
        let digest = self.digest();
        let mut text = *b"ASIA0000000000000000";
        let groups = digest.as_chunks::<5>().0.iter().zip(text[4..].as_chunks_mut::<8>().0);
        groups.for_each(|(bytes, letters)| *letters = base32(*bytes));
        AccessKeyId(text)
    }
}

impl TokenId {
    /// The first half of `SHA-256("credfed akid" || id)`. Prefix, id and padding are one block, and it is hashed as
    /// such: a hasher would take as long again to wipe itself, and nothing of it is secret.
    fn digest(&self) -> [u8; 16] {
        // FIPS 180-4, sections 5.1.1 and 5.3.3.
        const PREFIX: &[u8; 12] = b"credfed akid";
        const BITS: u64 = 8 * (PREFIX.len() + NONCE) as u64;
        const INITIAL: [u32; 8] = [
            0x6a09_e667,
            0xbb67_ae85,
            0x3c6e_f372,
            0xa54f_f53a,
            0x510e_527f,
            0x9b05_688c,
            0x1f83_d9ab,
            0x5be0_cd19,
        ];
        let mut block = [0; 64];
        block[..12].copy_from_slice(PREFIX);
        block[12..36].copy_from_slice(&self.0);
        block[36] = 0x80;
        block[56..].copy_from_slice(&BITS.to_be_bytes());
        let mut state = INITIAL;
        compress256(&mut state, &[block]);
        let mut digest = [0; 16];
        digest.as_chunks_mut().0.iter_mut().zip(state).for_each(|(bytes, word)| *bytes = word.to_be_bytes());
        digest
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenId({self})")
    }
}

/// The access key id that follows from a token's id.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct AccessKeyId([u8; ACCESS_KEY_ID]);

impl AccessKeyId {
    pub(super) fn as_bytes(&self) -> &[u8; ACCESS_KEY_ID] {
        &self.0
    }

    pub(super) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// Whether an access key id lies in the space of session keys: 20 characters that begin with `ASIA`. A long-lived
/// key must not.
pub fn is_session_access_key_id(access_key_id: &str) -> bool {
    access_key_id.len() == ACCESS_KEY_ID && access_key_id.starts_with("ASIA")
}

/// Whether a session token has the shape of a sealed one: it begins with `cf1.`. It may still be anything.
pub fn looks_sealed(token: &str) -> bool {
    token.starts_with(VERSION)
}

/// The parts of a token's text, nothing of it decoded but the name of the key.
pub(super) struct Parts<'a> {
    pub(super) kid: KeyId,
    pub(super) sealed: &'a [u8],
}

impl<'a> Parts<'a> {
    /// `None` for what is no token of this version, or is longer than any may be.
    pub(super) fn of(token: &'a str) -> Option<Self> {
        if token.len() > LONGEST_TOKEN {
            return None;
        }
        let rest = token.as_bytes().strip_prefix(VERSION.as_bytes())?;
        let (kid, rest) = rest.split_first_chunk::<{ 2 * KeyId::LENGTH }>()?;
        let sealed = rest.strip_prefix(b".")?;
        Some(Self { kid: KeyId::parse(kid)?, sealed })
    }

    /// Decodes into `buffer`; strict: no padding, no stray bits in the last letter.
    pub(super) fn decode<'b>(&self, buffer: &'b mut [u8; LONGEST_SEALED]) -> Option<&'b mut [u8]> {
        let length = DECODER.decode_slice(self.sealed, buffer).ok()?;
        buffer.get_mut(..length)
    }
}

/// The text of a token.
pub(super) fn text(kid: KeyId, sealed: &[u8]) -> String {
    let mut text = String::with_capacity(PREFIX + sealed.len().div_ceil(3) * 4);
    text.push_str(VERSION);
    text.push_str(&kid.to_string());
    text.push('.');
    URL_SAFE_NO_PAD.encode_string(sealed, &mut text);
    text
}

/// RFC 4648, section 6: five bytes are eight letters.
fn base32(bytes: [u8; 5]) -> [u8; 8] {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let word = bytes.iter().fold(0_u64, |word, &byte| word << 8 | u64::from(byte));
    [35, 30, 25, 20, 15, 10, 5, 0].map(|shift| ALPHABET[usize::from((word >> shift).to_le_bytes()[0] & 31)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base32_is_that_of_the_rfc() {
        assert_eq!(&base32(*b"fooba"), b"MZXW6YTB");
        assert_eq!(&base32([0; 5]), b"AAAAAAAA");
        assert_eq!(&base32([255; 5]), b"77777777");
    }

    #[test]
    fn an_access_key_id_is_twenty_characters_of_the_session_space() {
        let id = TokenId::new([7; NONCE]).access_key_id();
        assert!(is_session_access_key_id(id.as_str()));
        assert!(id.as_str().bytes().all(|byte| byte.is_ascii_uppercase() || (b'2'..=b'7').contains(&byte)));
        assert_ne!(id.as_str(), TokenId::new([8; NONCE]).access_key_id().as_str());
    }

    #[test]
    fn an_access_key_id_comes_from_the_sha_256_of_the_id() {
        use sha2::{Digest, Sha256};
        for byte in 0..=255 {
            let id = TokenId::new([byte; NONCE]);
            let expected = Sha256::new().chain_update("credfed akid").chain_update([byte; NONCE]).finalize();
            assert_eq!(id.digest()[..], expected[..16]);
        }
    }

    #[test]
    fn a_text_has_one_form() {
        let kid = KeyId::of(&[1; 32]);
        let text = text(kid, &[9; 60]);
        assert_eq!(text.len(), PREFIX + 80);
        let mut buffer = [0; LONGEST_SEALED];
        let parts = Parts::of(&text).unwrap();
        assert!(parts.kid == kid);
        assert_eq!(parts.decode(&mut buffer).as_deref(), Some(&[9; 60][..]));
        let longer = format!("{text}AB");
        let stray = Parts::of(&longer).unwrap();
        assert!(stray.decode(&mut buffer).is_none(), "stray bits");
        assert!(Parts::of(&text.replacen('.', ",", 1)).is_none());
        assert!(Parts::of(&text.to_uppercase()).is_none());
        assert!(Parts::of("cf1.").is_none());
        assert!(Parts::of(&format!("{text}{}", "A".repeat(LONGEST_TOKEN))).is_none());
    }

    #[test]
    fn what_is_accepted_fits_the_buffer() {
        let longest = format!("cf1.{}.{}", KeyId::of(&[1; 32]), "A".repeat(LONGEST_TOKEN - PREFIX));
        let parts = Parts::of(&longest).unwrap();
        let mut buffer = [0; LONGEST_SEALED];
        let decoded = parts.decode(&mut buffer).map(|bytes| bytes.len());
        assert_eq!(decoded, Some((LONGEST_TOKEN - PREFIX) * 3 / 4));
    }
}
