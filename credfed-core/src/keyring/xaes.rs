//! XAES-256-GCM (C2SP): AES-256-GCM under a key of its own for each message.
//!
//! The `xaes-256-gcm` crate has it, too, and its AES and its AES-GCM are the ones that are used here. What differs is
//! the key schedule of each message. GCM never runs AES backwards, so there is one for one direction only. And it is
//! wiped by writing another one over it, which is a copy; the `aes` crate, on drop, writes zeros byte by byte, also
//! over the kilobyte that only processors without AES need. The tests hold this against the C2SP vectors and against
//! the crate.

use std::mem::ManuallyDrop;

use xaes_256_gcm::aead::{AeadInOut, KeyInit};
use xaes_256_gcm::aes::Aes256Enc;
use xaes_256_gcm::aes::cipher::BlockCipherEncrypt;
use xaes_256_gcm::aes::cipher::consts::U12;
use xaes_256_gcm::aes_gcm::AesGcm;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing, optimization_barrier};

pub(crate) const NONCE: usize = 24;
pub(crate) const TAG: usize = 16;

type Gcm = AesGcm<Aes256Enc, U12>;

/// A key, expanded once.
#[derive(Clone)]
pub(crate) struct Xaes {
    aes: Aes256Enc,
    /// Steps 1 and 2: the first subkey of CMAC.
    k1: [u8; 16],
    /// Of the key of zeros: what others are wiped with.
    blank: Gcm,
}

impl Xaes {
    pub(super) fn new(key: &[u8; 32]) -> Self {
        let aes = Aes256Enc::new(key.into());
        let mut l = [0; 16];
        aes.encrypt_block((&mut l).into());
        let l = Zeroizing::new(u128::from_be_bytes(l));
        // Without a branch: 0x87 if the first bit is set.
        let k1 = (*l << 1) ^ ((*l >> 127) * 0x87);
        Self { aes, k1: k1.to_be_bytes(), blank: Gcm::new(&Default::default()) }
    }

    /// Encrypts in place, and returns the tag. `None` if it is too long for GCM.
    pub(crate) fn seal(&self, nonce: &[u8; NONCE], associated: &[u8], data: &mut [u8]) -> Option<[u8; TAG]> {
        let (key, nonce) = self.derived(nonce);
        let mut gcm = ManuallyDrop::new(Gcm::new((&*key).into()));
        let tag = gcm.encrypt_inout_detached((&nonce).into(), associated, data.into());
        self.wipe(&mut gcm);
        tag.ok().map(Into::into)
    }

    /// Decrypts in place what is genuine; `None` for anything else, which stays as it was.
    pub(crate) fn open(
        &self,
        nonce: &[u8; NONCE],
        associated: &[u8],
        data: &mut [u8],
        tag: &[u8; TAG],
    ) -> Option<()> {
        let (key, nonce) = self.derived(nonce);
        let mut gcm = ManuallyDrop::new(Gcm::new((&*key).into()));
        let verdict = gcm.decrypt_inout_detached((&nonce).into(), associated, data.into(), tag.into());
        self.wipe(&mut gcm);
        verdict.ok()
    }

    /// Steps 3 to 5: AES of `0x00 i "X" 0x00 nonce[..12]` xor K1, for i of 1 and 2; and the rest of the nonce.
    fn derived(&self, nonce: &[u8; NONCE]) -> (Zeroizing<[u8; 32]>, [u8; 12]) {
        let mut message = [0; 16];
        let mut rest = [0; 12];
        message[4..].copy_from_slice(&nonce[..12]);
        rest.copy_from_slice(&nonce[12..]);
        let mut key = Zeroizing::new([0; 32]);
        for (i, half) in (1..).zip(key.as_chunks_mut::<16>().0) {
            message[..4].copy_from_slice(&[0, i, b'X', 0]);
            *half = (u128::from_ne_bytes(message) ^ u128::from_ne_bytes(self.k1)).to_ne_bytes();
            self.aes.encrypt_block(half.into());
        }
        (key, rest)
    }

    /// Nothing of it is on the heap, so nothing else is left behind that a drop would have freed.
    fn wipe(&self, gcm: &mut ManuallyDrop<Gcm>) {
        *gcm = ManuallyDrop::new(self.blank.clone());
        optimization_barrier(gcm);
    }
}

impl Drop for Xaes {
    fn drop(&mut self) {
        self.k1.zeroize();
    }
}

/// AES wipes itself.
impl ZeroizeOnDrop for Xaes where Aes256Enc: ZeroizeOnDrop {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use xaes_256_gcm::Xaes256Gcm;

    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    }

    #[test]
    fn it_is_that_of_the_c2sp_vectors() {
        // https://c2sp.org/XAES-256-GCM, "Test vectors": one for each value of the first bit of L.
        let vectors = [
            (1, "", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"),
            (3, "c2sp.org/XAES-256-GCM", "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d"),
        ];
        for (key, associated, expected) in vectors {
            let cipher = Xaes::new(&[key; 32]);
            let nonce = b"ABCDEFGHIJKLMNOPQRSTUVWX";
            let mut data = *b"XAES-256-GCM";
            let tag = cipher.seal(nonce, associated.as_bytes(), &mut data).unwrap();
            assert_eq!([&data[..], &tag].concat(), bytes(expected));
            assert_eq!(cipher.open(nonce, associated.as_bytes(), &mut data, &tag), Some(()));
            assert_eq!(&data, b"XAES-256-GCM");
        }
    }

    #[test]
    fn all_of_it_wipes_itself() {
        fn wipes<T: ZeroizeOnDrop>() {}
        wipes::<Xaes>();
        wipes::<Gcm>();
    }

    proptest! {
        #[test]
        fn what_one_seals_the_other_opens(
            key: [u8; 32], nonce: [u8; NONCE],
            associated in prop::collection::vec(any::<u8>(), 0..100),
            plain in prop::collection::vec(any::<u8>(), 0..1000),
        ) {
            let (ours, theirs) = (Xaes::new(&key), Xaes256Gcm::new((&key).into()));
            let mut data = plain.clone();
            let tag = ours.seal(&nonce, &associated, &mut data).unwrap();
            let mut other = plain.clone();
            let expected = theirs
                .encrypt_inout_detached((&nonce).into(), &associated, other.as_mut_slice().into())
                .unwrap();
            prop_assert_eq!(&data, &other);
            prop_assert_eq!(tag.as_slice(), expected.as_slice());
            let mut wrong = tag;
            wrong[0] ^= 1;
            prop_assert_eq!(ours.open(&nonce, &associated, &mut data, &wrong), None);
            prop_assert_eq!(&data, &other);
            prop_assert_eq!(ours.open(&nonce, &associated, &mut data, &tag), Some(()));
            prop_assert_eq!(data, plain);
        }
    }
}
