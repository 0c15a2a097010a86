//! SigV4A: signatures that are verified with a public key.

use std::hint::black_box;

use sha2::{Digest, Sha256};

use super::{Claim, Verifier, nobody};
use crate::error::Reason;
use crate::key::ResolvedKey;
use crate::sigv4a::{PublicKey, Signature};

impl Verifier {
    /// The key, if `sent` is a signature of its other half.
    ///
    /// An unknown access key costs a look-up and a verification with a dummy, as a known one does whose public key is
    /// cached; with uniform errors every failure costs a derivation besides, as it does where the key is not cached.
    pub(super) fn check_ecdsa<'k>(
        &self,
        claim: &Claim<'_>,
        sent: &Signature,
        key: Option<&'k ResolvedKey>,
        string_to_sign: &[u8],
    ) -> Result<&'k ResolvedKey, Reason> {
        let hash = Sha256::new_with_prefix(string_to_sign);
        let Some(key) = key else {
            let _ = black_box(self.public_keys.get(claim.access_key(), nobody()));
            self.pay_for_derivation(claim);
            black_box(PublicKey::dummy().map(|dummy| dummy.verifies(hash, sent)));
            return Err(Reason::UnknownKey);
        };
        let (public, is_new) = match self.public_keys.get(claim.access_key(), key) {
            Some(public) => (public, false),
            None => (key.derive_public(claim.access_key()).ok_or(Reason::SignatureMismatch)?, true),
        };
        if !public.verifies(hash, sent) {
            if !is_new {
                self.pay_for_derivation(claim);
            }
            return Err(Reason::SignatureMismatch);
        }
        if is_new {
            self.public_keys.insert(claim.access_key(), key, public);
        }
        Ok(key)
    }

    /// The public key of a request that has verified.
    pub(super) fn public_key(&self, access_key: &[u8], key: &ResolvedKey) -> Option<PublicKey> {
        self.public_keys.get(access_key, key).or_else(|| key.derive_public(access_key))
    }

    fn pay_for_derivation(&self, claim: &Claim<'_>) {
        if self.uniform_errors {
            let _ = black_box(PublicKey::derive_dummy(claim.access_key()));
        }
    }
}

impl Claim<'_> {
    /// The credential without its scope.
    fn access_key(&self) -> &[u8] {
        let scope = self.scope().as_str().len() + 1;
        self.credential.get(..self.credential.len().saturating_sub(scope)).unwrap_or_default()
    }
}
