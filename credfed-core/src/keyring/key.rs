//! One master key, its name, and what is derived from it.

use std::fmt;
use std::time::{Duration, SystemTime};

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use xaes_256_gcm::Xaes256Gcm;
use zeroize::Zeroizing;

pub(super) const MASTER: usize = 32;

/// The name of a key: the first eight bytes of `SHA-256("credfed kid" || key)`. `Display` is their 16 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId([u8; Self::LENGTH]);

impl KeyId {
    pub(crate) const LENGTH: usize = 8;

    /// The name of a master key.
    pub(crate) fn of(master: &[u8; MASTER]) -> Self {
        let digest = Sha256::new().chain_update(b"credfed kid").chain_update(master).finalize();
        Self(digest.first_chunk().copied().unwrap_or_default())
    }

    /// Exactly 16 hex digits, none of them a capital.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let (pairs, rest) = text.as_chunks::<2>();
        let pairs = <&[_; Self::LENGTH]>::try_from(pairs).ok().filter(|_| rest.is_empty())?;
        let mut id = [0; Self::LENGTH];
        for (byte, [high, low]) in id.iter_mut().zip(pairs) {
            *byte = hex_digit(*high)? << 4 | hex_digit(*low)?;
        }
        Some(Self(id))
    }

    /// The eight bytes.
    pub fn as_bytes(&self) -> &[u8; 8] {
        &self.0
    }
}

/// Reads what `Display` shows; `None` for anything else.
impl std::str::FromStr for KeyId {
    type Err = super::KeyRingError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text.as_bytes()).ok_or(super::KeyRingError::NoKeyId)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

pub(crate) fn hex_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

/// A master key with its times and the keys that are derived from it, all wiped on drop.
pub(crate) struct MasterKey {
    id: KeyId,
    master: Zeroizing<[u8; MASTER]>,
    created: u64,
    activates: u64,
    sealing: Xaes256Gcm,
    derivation: Hmac<Sha256>,
    #[cfg(feature = "oidc")]
    signing: Hmac<Sha256>,
}

impl MasterKey {
    /// Times in seconds since 1970.
    pub(super) fn new(master: Zeroizing<[u8; MASTER]>, created: u64, activates: u64) -> Self {
        let sealing = expand(&master, b"credfed session seal v1");
        let derivation = expand(&master, b"credfed session secret v1");
        Self {
            id: KeyId::of(&master),
            created,
            activates,
            sealing: Xaes256Gcm::new((&*sealing).into()),
            derivation: keyed(&derivation),
            #[cfg(feature = "oidc")]
            signing: keyed(&expand(&master, b"credfed session jwt v1")),
            master,
        }
    }

    pub(crate) fn id(&self) -> KeyId {
        self.id
    }

    /// Seals and opens session tokens.
    pub(crate) fn sealing(&self) -> &Xaes256Gcm {
        &self.sealing
    }

    /// Derives secret access keys: both pads are hashed already.
    pub(crate) fn derivation(&self) -> Hmac<Sha256> {
        self.derivation.clone()
    }

    /// Signs session tokens that are JWTs, and nothing else.
    #[cfg(feature = "oidc")]
    pub(crate) fn signing(&self) -> Hmac<Sha256> {
        self.signing.clone()
    }

    pub(super) fn master(&self) -> &[u8; MASTER] {
        &self.master
    }

    pub(super) fn created(&self) -> u64 {
        self.created
    }

    pub(super) fn activates(&self) -> u64 {
        self.activates
    }
}

impl Clone for MasterKey {
    fn clone(&self) -> Self {
        Self {
            id: self.id,
            master: self.master.clone(),
            created: self.created,
            activates: self.activates,
            sealing: self.sealing.clone(),
            derivation: self.derivation.clone(),
            #[cfg(feature = "oidc")]
            signing: self.signing.clone(),
        }
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MasterKey")
            .field("id", &self.id)
            .field("created", &self.created)
            .field("activates", &self.activates)
            .finish_non_exhaustive()
    }
}

/// HKDF-Expand (RFC 5869, section 2.3) with HMAC-SHA256, for the length of one block. The master key is uniformly
/// random already, so there is nothing to extract.
fn expand(master: &[u8; MASTER], label: &[u8]) -> Zeroizing<[u8; 32]> {
    let mac = keyed(master).chain_update(label).chain_update([1]);
    Zeroizing::new(mac.finalize().into_bytes().into())
}

fn keyed(key: &[u8; 32]) -> Hmac<Sha256> {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    Hmac::new_from_slice(key).expect("any length")
}

pub(super) fn time(second: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(second)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes<const N: usize>(hex: &str) -> [u8; N] {
        let mut bytes = [0; N];
        for (byte, at) in bytes.iter_mut().zip((0..hex.len()).step_by(2)) {
            *byte = u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        }
        bytes
    }

    #[test]
    fn expansion_is_that_of_rfc_5869() {
        // Appendix A.1: the pseudorandom key, the info, and the first block of the output.
        let prk = bytes::<32>("077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5");
        let info = bytes::<10>("f0f1f2f3f4f5f6f7f8f9");
        let okm = bytes::<32>("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf");
        assert_eq!(*expand(&prk, &info), okm);
    }

    #[test]
    fn sealing_is_that_of_the_c2sp_vectors() {
        use xaes_256_gcm::aead::AeadInOut;
        // https://c2sp.org/XAES-256-GCM, "Test vectors": one for each value of the first bit of L.
        let vectors = [
            (1, "", bytes::<28>("ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271")),
            (
                3,
                "c2sp.org/XAES-256-GCM",
                bytes::<28>("986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d"),
            ),
        ];
        for (key, associated, expected) in vectors {
            let cipher = Xaes256Gcm::new(&[key; 32].into());
            let mut data = *b"XAES-256-GCM";
            let nonce = b"ABCDEFGHIJKLMNOPQRSTUVWX".into();
            let plain = data.as_mut_slice().into();
            let tag = cipher.encrypt_inout_detached(nonce, associated.as_bytes(), plain).unwrap();
            assert_eq!([&data[..], &tag].concat(), expected);
            let sealed = data.as_mut_slice().into();
            cipher.decrypt_inout_detached(nonce, associated.as_bytes(), sealed, &tag).unwrap();
            assert_eq!(&data, b"XAES-256-GCM");
        }
    }

    #[test]
    fn derived_keys_differ_by_their_labels_and_wipe_themselves() {
        use zeroize::ZeroizeOnDrop;
        fn wipes<T: ZeroizeOnDrop>() {}
        wipes::<Xaes256Gcm>();
        wipes::<Sha256>();
        wipes::<Zeroizing<[u8; MASTER]>>();
        let master = [7; MASTER];
        assert_ne!(*expand(&master, b"a"), *expand(&master, b"b"));
    }

    #[test]
    fn an_id_has_one_text() {
        let id = KeyId::of(&[7; MASTER]);
        assert_eq!(KeyId::parse(id.to_string().as_bytes()), Some(id));
        for text in
            ["", "00", "00112233445566778", "0011223344556677889", "001122334455667G", "0011223344556A77"]
        {
            assert_eq!(KeyId::parse(text.as_bytes()), None, "{text}");
        }
    }
}
