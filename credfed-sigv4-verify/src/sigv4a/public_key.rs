//! The public key of an access key: derived from its secret, as whoever signs derives the private one.

use std::sync::LazyLock;

use hmac::{Hmac, KeyInit, Mac};
use p256::NonZeroScalar;
use p256::ecdsa::VerifyingKey;
use p256::ecdsa::signature::hazmat::PrehashVerifier;
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, Zeroizing};

use super::Signature;

/// What the derivation puts before a secret.
const PREFIX: &[u8] = b"AWS4A";

/// The label of the derivation, which is the algorithm's name.
const LABEL: &[u8] = b"AWS4-ECDSA-P256-SHA256";

/// The last counter that is tried. A second one is needed once in 2^32 access keys.
const LAST: u8 = 254;

/// Nobody's secret: what an unknown access key costs, where it has to cost a derivation.
const NOBODY: &[u8] = b"no one has this secret, it is never valid";

#[derive(Clone)]
pub(crate) struct PublicKey(VerifyingKey);

impl PublicKey {
    /// NIST SP 800-108 in counter mode, with HMAC-SHA256; of the numbers that come out, the first that can be a private
    /// key less one. `None` where none can.
    pub(crate) fn derive(secret: &[u8], access_key: &[u8]) -> Option<Self> {
        Self::derive_by(secret, access_key, private_key)
    }

    fn derive_by(
        secret: &[u8],
        access_key: &[u8],
        private_key: impl Fn([u8; 32]) -> Option<NonZeroScalar>,
    ) -> Option<Self> {
        let mut prefixed = Zeroizing::new(Vec::with_capacity(PREFIX.len() + secret.len()));
        prefixed.extend_from_slice(PREFIX);
        prefixed.extend_from_slice(secret);
        let mac = Hmac::<Sha256>::new_from_slice(&prefixed).ok()?;
        for counter in 1..=LAST {
            let mut mac = mac.clone();
            for part in [&1_u32.to_be_bytes(), LABEL, &[0], access_key, &[counter], &256_u32.to_be_bytes()] {
                mac.update(part);
            }
            if let Some(private) = private_key(mac.finalize().into_bytes().into()) {
                let private = Zeroizing::new(private);
                return Some(Self(p256::PublicKey::from_secret_scalar(&private).into()));
            }
        }
        None
    }

    /// As [`derive`](Self::derive), for nobody.
    pub(crate) fn derive_dummy(access_key: &[u8]) -> Option<Self> {
        Self::derive(NOBODY, access_key)
    }

    /// What the signature of an unknown access key is held against.
    pub(crate) fn dummy() -> Option<&'static Self> {
        static DUMMY: LazyLock<Option<PublicKey>> = LazyLock::new(|| PublicKey::derive_dummy(b"nobody"));
        DUMMY.as_ref()
    }

    /// Whether `signature` is one of the text that `hash` has hashed.
    pub(crate) fn verifies(&self, hash: Sha256, signature: &Signature) -> bool {
        self.0.verify_prehash(&hash.finalize(), signature.as_scalars()).is_ok()
    }
}

/// The candidate plus one, where that is less than the order of the group; the time taken does not depend on the
/// candidate, but for whether it is one.
fn private_key(mut candidate: [u8; 32]) -> Option<NonZeroScalar> {
    let mut carry = 1;
    for byte in candidate.iter_mut().rev() {
        let sum = u16::from(*byte) + carry;
        [*byte, _] = sum.to_le_bytes();
        carry = sum >> 8;
    }
    // 2^256 - 1 has become 0, which is no private key either.
    let mut bytes = candidate.into();
    let private = NonZeroScalar::from_repr(bytes);
    bytes.zeroize();
    candidate.zeroize();
    private.into_option()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const SECRET: &[u8] = b"wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

    fn bytes(hex: &str) -> [u8; 32] {
        crate::signature::decode_hex(hex.as_bytes().try_into().unwrap()).unwrap()
    }

    fn point(key: &PublicKey) -> (Vec<u8>, Vec<u8>) {
        let point = key.0.to_sec1_point(false);
        (point.x().unwrap().to_vec(), point.y().unwrap().to_vec())
    }

    /// Its other half is in every public-key.json of AWS's test suite.
    #[test]
    fn the_key_of_awss_suite() {
        let key = PublicKey::derive(SECRET, b"AKIDEXAMPLE").unwrap();
        let x = bytes("b6618f6a65740a99e650b33b6b4b5bd0d43b176d721a3edfea7e7d2d56d936b1");
        let y = bytes("865ed22a7eadc9c5cb9d2cbaca1b3699139fedc5043dc6661864218330c8e518");
        assert_eq!(point(&key), (x.to_vec(), y.to_vec()));
    }

    #[test]
    fn secret_and_access_key_both_matter() {
        let key = |secret: &[u8], access_key: &[u8]| point(&PublicKey::derive(secret, access_key).unwrap());
        let known = key(SECRET, b"AKIDEXAMPLE");
        assert_eq!(known, key(SECRET, b"AKIDEXAMPLE"));
        assert_ne!(known, key(SECRET, b"AKIDEXAMPLF"));
        assert_ne!(known, key(&SECRET[1..], b"AKIDEXAMPLE"));
    }

    #[test]
    fn a_candidate_is_at_most_the_order_less_two() {
        let order = bytes("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
        let less = |by: u8| {
            let mut number = order;
            number[31] -= by;
            number
        };
        assert!(private_key(less(2)).is_some());
        for candidate in [less(1), less(0), [0xff; 32]] {
            assert!(private_key(candidate).is_none());
        }
        // One is added across bytes.
        let mut candidate = [0; 32];
        assert_eq!(private_key(candidate).unwrap().to_bytes()[31], 1);
        candidate[30..].fill(0xff);
        let private = private_key(candidate).unwrap().to_bytes();
        assert_eq!(private[29..], [1, 0, 0]);
    }

    #[test]
    fn the_next_counter_is_tried_up_to_254() {
        let tried = Cell::new(0);
        let from = |first: u8| {
            tried.set(0);
            PublicKey::derive_by(SECRET, b"AKIDEXAMPLE", |candidate| {
                tried.set(tried.get() + 1);
                if tried.get() < u16::from(first) { None } else { private_key(candidate) }
            })
        };
        assert!(from(1).is_some());
        let other = from(2).unwrap();
        assert_ne!(point(&other), point(&from(1).unwrap()));
        assert!(from(254).is_some());
        assert!(from(255).is_none());
        assert_eq!(tried.get(), 254);
    }
}
