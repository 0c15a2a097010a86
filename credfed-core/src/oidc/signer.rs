//! Who signs.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use futures::FutureExt;
use futures::future::BoxFuture;
use zeroize::Zeroizing;

use super::algorithm::Algorithm;
use super::jwk::PublicJwk;
use super::material::Material;
use super::pem;
use crate::ProviderError;

/// What signs an issuer's assertions: a key in memory ([`LocalSigner`]), or a KMS that the key never leaves.
///
/// `sign` must be safe to drop at any `await`. Its answer is checked against the public key before it goes out.
pub trait AssertionSigner: fmt::Debug + Send + Sync + 'static {
    /// The public half.
    fn public_key(&self) -> &PublicJwk;

    /// Signs `message`, the bytes as they are (the signer hashes them), in the form that JWS has: for ES256 the two
    /// numbers of 32 bytes each, not DER.
    fn sign(&self, message: Vec<u8>) -> impl Future<Output = Result<Vec<u8>, ProviderError>> + Send;
}

impl<S: AssertionSigner> AssertionSigner for Arc<S> {
    fn public_key(&self) -> &PublicJwk {
        S::public_key(self)
    }

    fn sign(&self, message: Vec<u8>) -> impl Future<Output = Result<Vec<u8>, ProviderError>> + Send {
        S::sign(self, message)
    }
}

/// What an issuer holds: any [`AssertionSigner`].
pub(super) trait DynSigner: Send + Sync {
    fn sign_dyn(&self, message: Vec<u8>) -> BoxFuture<'_, Result<Vec<u8>, ProviderError>>;
}

impl<S: AssertionSigner> DynSigner for S {
    fn sign_dyn(&self, message: Vec<u8>) -> BoxFuture<'_, Result<Vec<u8>, ProviderError>> {
        self.sign(message).boxed()
    }
}

/// A private key in this process's memory: RS256, ES256 or EdDSA.
pub struct LocalSigner {
    public: PublicJwk,
    pair: Pair,
}

enum Pair {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl LocalSigner {
    /// Makes a new key: RSA of 2048 bits, P-256, or Ed25519.
    ///
    /// # Errors
    ///
    /// [`Misconfigured`](crate::ErrorKind::Misconfigured) for algorithms that there is no local signer for;
    /// [`Transient`](crate::ErrorKind::Transient) if the system has no randomness.
    pub fn generate(algorithm: Algorithm) -> Result<Self, ProviderError> {
        let failed = |_| ProviderError::transient("no key could be made");
        let pair = match algorithm {
            Algorithm::Rs256 => Pair::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).map_err(failed)?),
            Algorithm::Es256 => {
                Pair::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(failed)?)
            }
            Algorithm::EdDsa => Pair::Ed25519(Ed25519KeyPair::generate().map_err(failed)?),
            _ => return Err(no_local_signer()),
        };
        Self::of(algorithm, pair)
    }

    /// From an unencrypted PKCS#8 private key (RFC 5208) in DER.
    ///
    /// # Errors
    ///
    /// [`Misconfigured`](crate::ErrorKind::Misconfigured) if it is not a key of the algorithm.
    pub fn from_pkcs8_der(algorithm: Algorithm, der: &[u8]) -> Result<Self, ProviderError> {
        let pair = match algorithm {
            Algorithm::Rs256 => RsaKeyPair::from_pkcs8(der).map(Pair::Rsa),
            Algorithm::Es256 => {
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der).map(Pair::P256)
            }
            Algorithm::EdDsa => Ed25519KeyPair::from_pkcs8(der).map(Pair::Ed25519),
            _ => return Err(no_local_signer()),
        };
        let wrong = |_| ProviderError::misconfigured("the private key is not one of its algorithm");
        Self::of(algorithm, pair.map_err(wrong)?)
    }

    /// From a PEM text with one private key, unencrypted: PKCS#8 (`PRIVATE KEY`), or PKCS#1 (`RSA PRIVATE KEY`). The
    /// algorithm follows from the key.
    ///
    /// # Errors
    ///
    /// [`Misconfigured`](crate::ErrorKind::Misconfigured) if there is no such key, more than one, an encrypted one,
    /// or one of another kind.
    pub fn from_pem(text: &str) -> Result<Self, ProviderError> {
        let wrong = ProviderError::misconfigured;
        let blocks = pem::blocks(text).ok_or_else(|| wrong("the key file is not pem"))?;
        let mut keys = blocks.iter().filter(|block| block.label.ends_with("PRIVATE KEY"));
        let (Some(key), None) = (keys.next(), keys.next()) else {
            return Err(wrong("the key file needs one private key"));
        };
        match key.label.as_str() {
            "RSA PRIVATE KEY" => Self::from_pkcs1_der(&key.contents),
            "PRIVATE KEY" => [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa]
                .into_iter()
                .find_map(|algorithm| Self::from_pkcs8_der(algorithm, &key.contents).ok())
                .ok_or_else(|| wrong("the private key is not rsa, p-256 or ed25519")),
            _ => Err(wrong("the private key is not pkcs#8 or pkcs#1, or is encrypted")),
        }
    }

    /// Adds the certificate chain that is published as `x5c`: a PEM text, the key's own certificate first.
    ///
    /// # Errors
    ///
    /// [`Misconfigured`](crate::ErrorKind::Misconfigured) if the first certificate is not this key's.
    pub fn with_certificates_pem(self, text: &str) -> Result<Self, ProviderError> {
        let wrong = ProviderError::misconfigured;
        let blocks = pem::blocks(text).ok_or_else(|| wrong("the certificate file is not pem"))?;
        let certificates = blocks.iter().filter(|block| block.label == "CERTIFICATE");
        self.with_chain(certificates.map(|block| block.contents.to_vec()).collect())
    }

    pub(super) fn with_chain(mut self, chain: Vec<Vec<u8>>) -> Result<Self, ProviderError> {
        self.public = self.public.with_chain(chain)?;
        Ok(self)
    }

    /// From an RSAPrivateKey (PKCS#1, RFC 8017) in DER.
    fn from_pkcs1_der(der: &[u8]) -> Result<Self, ProviderError> {
        let wrong = |_| ProviderError::misconfigured("the private key is not an rsa key");
        Self::of(Algorithm::Rs256, Pair::Rsa(RsaKeyPair::from_der(der).map_err(wrong)?))
    }

    /// The public half.
    pub fn public_key(&self) -> &PublicJwk {
        &self.public
    }

    /// The private key in PKCS#8 DER. What is copied out of here is no longer wiped by this type.
    pub(super) fn pkcs8_der(&self) -> Result<Zeroizing<Vec<u8>>, ProviderError> {
        let failed = |_| ProviderError::misconfigured("the private key cannot be written");
        let bytes = match &self.pair {
            Pair::Rsa(pair) => pair.as_der().map_err(failed)?.as_ref().to_vec(),
            Pair::P256(pair) => pair.to_pkcs8v1().map_err(failed)?.as_ref().to_vec(),
            Pair::Ed25519(pair) => pair.to_pkcs8v1().map_err(failed)?.as_ref().to_vec(),
        };
        Ok(Zeroizing::new(bytes))
    }

    /// Signs at once: nothing here waits.
    pub(crate) fn sign_now(&self, message: &[u8]) -> Result<Vec<u8>, ProviderError> {
        let failed = |_| ProviderError::transient("the signature could not be made");
        let random = SystemRandom::new();
        Ok(match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).map_err(failed)?;
                signature
            }
            Pair::P256(pair) => pair.sign(&random, message).map_err(failed)?.as_ref().to_vec(),
            Pair::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
        })
    }

    fn of(algorithm: Algorithm, pair: Pair) -> Result<Self, ProviderError> {
        let material = match &pair {
            Pair::Rsa(pair) => Material::of_rsa_public_key(pair.public_key().as_ref()),
            Pair::P256(pair) => Material::of_point(pair.public_key().as_ref()),
            Pair::Ed25519(pair) => pair.public_key().as_ref().try_into().ok().map(Material::Ed25519),
        };
        Ok(Self { public: PublicJwk::of(algorithm, material)?, pair })
    }
}

impl AssertionSigner for LocalSigner {
    fn public_key(&self) -> &PublicJwk {
        &self.public
    }

    async fn sign(&self, message: Vec<u8>) -> Result<Vec<u8>, ProviderError> {
        self.sign_now(&message)
    }
}

/// Shows the public half only.
impl fmt::Debug for LocalSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalSigner")
            .field("kid", &self.public.kid())
            .field("algorithm", &self.public.algorithm())
            .finish_non_exhaustive()
    }
}

fn no_local_signer() -> ProviderError {
    ProviderError::misconfigured("local keys sign with RS256, ES256 or EdDSA")
}
