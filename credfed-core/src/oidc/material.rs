//! Public keys as numbers: what JWKs, certificates and signers have in common.

use aws_lc_rs::signature::{
    ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, RsaPublicKeyComponents,
};
use sha2::{Digest, Sha256};

use super::algorithm::{Algorithm, Family};
use super::compact;
use super::der::{self, PublicKeyInfo, Reader};
use super::json::Object;

const RSA_ENCRYPTION: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const PRIME_256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const SECP_384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
const ED_25519: &[u8] = &[0x2b, 0x65, 0x70];

/// The numbers of a public key that keeps the rules on sizes. That a point is on its curve is
/// [`parsed`](Self::parsed)'s to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Material {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// P-256 or P-384 by length: both coordinates, one after the other.
    Curve(Vec<u8>),
    Ed25519([u8; 32]),
}

impl Material {
    /// From the members of a JWK (RFC 7517, 7518, 8037).
    pub(crate) fn of_jwk(jwk: &Object) -> Option<Self> {
        let number = |name: &str| compact::decode(jwk.text(name)?).ok();
        match (jwk.text("kty")?, jwk.text("crv")) {
            ("RSA", _) => Self::rsa(number("n")?, number("e")?),
            ("EC", Some(curve @ ("P-256" | "P-384"))) => {
                let size = if curve == "P-256" { 32 } else { 48 };
                let (x, y) = (number("x")?, number("y")?);
                (x.len() == size && y.len() == size).then(|| Self::Curve([x, y].concat()))
            }
            ("OKP", Some("Ed25519")) => number("x")?.try_into().ok().map(Self::Ed25519),
            _ => None,
        }
    }

    /// From a SubjectPublicKeyInfo.
    pub(crate) fn of_info(info: &PublicKeyInfo<'_>) -> Option<Self> {
        let mut algorithm = Reader::new(info.algorithm);
        let name = algorithm.expect(der::OBJECT_IDENTIFIER)?;
        if name == RSA_ENCRYPTION {
            return Self::of_rsa_public_key(info.key);
        }
        if name == EC_PUBLIC_KEY {
            let curve = algorithm.expect(der::OBJECT_IDENTIFIER)?;
            let size = match curve {
                PRIME_256 => 64,
                SECP_384 => 96,
                _ => return None,
            };
            let point = info.key.strip_prefix(&[4])?;
            return (point.len() == size).then(|| Self::Curve(point.to_vec()));
        }
        (name == ED_25519).then(|| info.key.try_into().ok().map(Self::Ed25519))?
    }

    /// From an RSAPublicKey (RFC 8017 appendix A.1.1).
    pub(crate) fn of_rsa_public_key(der: &[u8]) -> Option<Self> {
        let mut outer = Reader::new(der);
        let mut key = Reader::new(outer.expect(der::SEQUENCE)?);
        let n = der::positive(key.expect(der::INTEGER)?)?;
        let e = der::positive(key.expect(der::INTEGER)?)?;
        (outer.is_at_end() && key.is_at_end()).then(|| Self::rsa(n.to_vec(), e.to_vec()))?
    }

    /// An uncompressed point, as signers give it.
    pub(crate) fn of_point(bytes: &[u8]) -> Option<Self> {
        let point = bytes.strip_prefix(&[4])?;
        matches!(point.len(), 64 | 96).then(|| Self::Curve(point.to_vec()))
    }

    /// 2048 to 8192 bits; numbers without leading zeros; an odd exponent from 3 up to 33 bits.
    fn rsa(n: Vec<u8>, e: Vec<u8>) -> Option<Self> {
        let bits = |number: &[u8]| {
            let first = number.first().filter(|&&byte| byte != 0)?;
            Some(number.len().checked_mul(8)? - usize::try_from(first.leading_zeros()).ok()?)
        };
        let is_odd = |number: &[u8]| number.last().is_some_and(|byte| byte & 1 == 1);
        let fits = (2048..=8192).contains(&bits(&n)?) && (2..=33).contains(&bits(&e)?);
        (fits && is_odd(&n) && is_odd(&e)).then_some(Self::Rsa { n, e })
    }

    pub(crate) fn family(&self) -> Family {
        match self {
            Self::Rsa { .. } => Family::Rsa,
            Self::Curve(point) if point.len() == 64 => Family::P256,
            Self::Curve(_) => Family::P384,
            Self::Ed25519(_) => Family::Ed25519,
        }
    }

    /// The key made ready to verify. `None` if it is not of the algorithm's family, or no point of its curve.
    pub(crate) fn parsed(&self, algorithm: Algorithm) -> Option<ParsedPublicKey> {
        if algorithm.family() != self.family() {
            return None;
        }
        match self {
            Self::Rsa { n, e } => {
                let parameters = match algorithm {
                    Algorithm::Ps256 => &RSA_PSS_2048_8192_SHA256,
                    _ => &RSA_PKCS1_2048_8192_SHA256,
                };
                RsaPublicKeyComponents { n, e }.to_parsed_public_key(parameters).ok()
            }
            Self::Curve(point) => {
                ParsedPublicKey::new(algorithm.verification(), [&[4], point.as_slice()].concat()).ok()
            }
            Self::Ed25519(key) => ParsedPublicKey::new(algorithm.verification(), key).ok(),
        }
    }

    /// The members that make the key: what a thumbprint is of, in its order (RFC 7638 section 3.2).
    pub(crate) fn members(&self) -> Vec<(&'static str, String)> {
        let text = |bytes: &[u8]| compact::encode(bytes);
        match self {
            Self::Rsa { n, e } => {
                vec![("e", text(e)), ("kty", String::from("RSA")), ("n", text(n))]
            }
            Self::Curve(point) => {
                let (x, y) = point.split_at(point.len() / 2);
                let curve = if x.len() == 32 { "P-256" } else { "P-384" };
                vec![("crv", curve.into()), ("kty", "EC".into()), ("x", text(x)), ("y", text(y))]
            }
            Self::Ed25519(key) => {
                vec![("crv", "Ed25519".into()), ("kty", "OKP".into()), ("x", text(key))]
            }
        }
    }

    /// The RFC 7638 thumbprint with SHA-256, in base64url. All values are base64url or plain names, so that
    /// nothing needs escaping.
    pub(crate) fn thumbprint(&self) -> String {
        let members: Vec<String> =
            self.members().iter().map(|(name, value)| format!("\"{name}\":\"{value}\"")).collect();
        compact::encode(Sha256::digest(format!("{{{}}}", members.join(","))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thumbprint_is_that_of_rfc_7638() {
        // Section 3.1.
        let jwk = Object::parse(
            br#"{
            "kty": "RSA",
            "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
            "e": "AQAB", "alg": "RS256", "kid": "2011-04-29"}"#,
        )
        .unwrap();
        let key = Material::of_jwk(&jwk).unwrap();
        assert_eq!(key.thumbprint(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    }

    #[test]
    fn the_thumbprint_of_an_ed25519_key_is_that_of_rfc_8037() {
        // Appendix A.3.
        let jwk = br#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
        let key = Material::of_jwk(&Object::parse(jwk).unwrap()).unwrap();
        assert_eq!(key.thumbprint(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }
}
