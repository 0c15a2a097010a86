//! The compact form of a JWS (RFC 7515 section 7.1), taken apart before any cryptography.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::Flaw;
use super::json::{Json, Object};

/// The longest token, in bytes.
pub(crate) const LONGEST: usize = 16 * 1024;

/// A JWS in its three parts, decoded; nothing of it is verified yet.
#[derive(Debug)]
pub(crate) struct Compact<'a> {
    pub(crate) header: Header,
    pub(crate) payload: Object,
    /// What the signature is about: header and payload as they came.
    pub(crate) signing_input: &'a [u8],
    pub(crate) signature: Vec<u8>,
}

/// What a header says that means anything here. Keys and addresses of keys (`jwk`, `jku`, `x5c`, `x5u`) mean
/// nothing.
#[derive(Debug)]
pub(crate) struct Header {
    /// The name of the algorithm, as it came.
    pub(crate) algorithm: String,
    pub(crate) kid: Option<String>,
    typ: Option<String>,
}

impl<'a> Compact<'a> {
    /// Takes a token apart: lengths first, then base64url in its one canonical form, then JSON.
    pub(crate) fn parse(jwt: &'a str) -> Result<Self, Flaw> {
        if jwt.len() > LONGEST {
            return Err(Flaw::TooLong);
        }
        let mut parts = jwt.splitn(4, '.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Flaw::Parts);
        };
        if header.is_empty() || payload.is_empty() || signature.is_empty() {
            return Err(Flaw::Parts);
        }
        let signing_input = jwt.as_bytes().get(..header.len() + 1 + payload.len()).ok_or(Flaw::Parts)?;
        let header = Header::read(&object(header)?)?;
        Ok(Self { header, payload: object(payload)?, signing_input, signature: decode(signature)? })
    }
}

impl Header {
    fn read(header: &Object) -> Result<Self, Flaw> {
        // Extensions that must be understood, encryption and compression: none is understood.
        if ["crit", "enc", "zip"].iter().any(|name| header.get(name).is_some()) {
            return Err(Flaw::Critical);
        }
        let algorithm = header.text("alg").ok_or(Flaw::Algorithm)?.to_owned();
        let optional = |name: &str, flaw: Flaw| match header.get(name) {
            None => Ok(None),
            Some(Json::Text(text)) => Ok(Some(text.clone())),
            Some(_) => Err(flaw),
        };
        Ok(Self { algorithm, kid: optional("kid", Flaw::Key)?, typ: optional("typ", Flaw::Type)? })
    }

    /// Whether the type is one of these, compared as RFC 7515 section 4.1.9 says: without case, and with
    /// `application/` understood where there is no slash.
    pub(crate) fn has_type(&self, types: &[&str]) -> bool {
        let Some(typ) = &self.typ else { return false };
        let short = match typ.split_at_checked("application/".len()) {
            Some((prefix, rest)) if prefix.eq_ignore_ascii_case("application/") && !rest.contains('/') => {
                rest
            }
            _ => typ.as_str(),
        };
        types.iter().any(|one| one.eq_ignore_ascii_case(short))
    }

    pub(crate) fn is_untyped(&self) -> bool {
        self.typ.is_none()
    }
}

/// base64url without padding, canonical to its last bit.
pub(crate) fn decode(text: &str) -> Result<Vec<u8>, Flaw> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| Flaw::Base64)
}

pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn object(part: &str) -> Result<Object, Flaw> {
    Object::parse(&decode(part)?).ok_or(Flaw::Json)
}
