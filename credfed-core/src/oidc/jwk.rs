//! A public key to publish.

use super::algorithm::{Algorithm, Family};
use super::der::PublicKeyInfo;
use super::material::Material;
use crate::ProviderError;

/// A public key with its algorithm, as it is published in a JWKS document (RFC 7517).
///
/// Its key id is its RFC 7638 thumbprint, so equal keys have equal ids on every replica, and different keys never
/// share one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicJwk {
    algorithm: Algorithm,
    material: Material,
    kid: String,
    /// DER, the key's own certificate first.
    chain: Vec<Vec<u8>>,
}

impl PublicJwk {
    /// From a DER SubjectPublicKeyInfo (RFC 5280), which is what a KMS answers.
    ///
    /// # Errors
    ///
    /// [`Misconfigured`](crate::ErrorKind::Misconfigured) if it is not a key of the algorithm: wrong type or
    /// curve, RSA of less than 2048 or more than 8192 bits.
    pub fn from_spki_der(algorithm: Algorithm, der: &[u8]) -> Result<Self, ProviderError> {
        let material = PublicKeyInfo::parse(der).and_then(|info| Material::of_info(&info));
        Self::of(algorithm, material)
    }

    pub(crate) fn of(algorithm: Algorithm, material: Option<Material>) -> Result<Self, ProviderError> {
        let material = material
            .filter(|material| material.parsed(algorithm).is_some())
            .ok_or_else(|| ProviderError::misconfigured("the public key is not one of its algorithm"))?;
        Ok(Self { kid: material.thumbprint(), algorithm, material, chain: Vec::new() })
    }

    /// Adds the certificate chain that is published as `x5c` (RFC 7517 section 4.7): DER, the key's own first.
    ///
    /// # Errors
    ///
    /// [`Misconfigured`](crate::ErrorKind::Misconfigured) if the first one is not a certificate of this very key,
    /// or one of the others is none at all.
    pub fn with_chain(mut self, chain: Vec<Vec<u8>>) -> Result<Self, ProviderError> {
        let keys: Option<Vec<_>> = chain.iter().map(|der| PublicKeyInfo::of_certificate(der)).collect();
        let keys =
            keys.ok_or_else(|| ProviderError::misconfigured("the chain has what is no certificate"))?;
        let own = keys.first().and_then(Material::of_info);
        if own.as_ref() != Some(&self.material) {
            return Err(ProviderError::misconfigured("the certificate is another key's"));
        }
        self.chain = chain;
        Ok(self)
    }

    /// The key id: the RFC 7638 thumbprint with SHA-256.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// What the key signs with.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    pub(crate) fn material(&self) -> &Material {
        &self.material
    }

    /// The certificate of the key, in DER, and those that follow it in its chain; nothing without
    /// [`with_chain`](Self::with_chain).
    pub fn certificates(&self) -> impl Iterator<Item = &[u8]> {
        self.chain.iter().map(Vec::as_slice)
    }

    pub(crate) fn chain(&self) -> &[Vec<u8>] {
        &self.chain
    }

    /// How long a signature is.
    pub(crate) fn signature_length(&self) -> usize {
        match (&self.material, self.material.family()) {
            (Material::Rsa { n, .. }, _) => n.len(),
            (_, Family::P384) => 96,
            _ => 64,
        }
    }
}
