//! The query as the verifier reads it: pairs, names, and the closed list of credential parameters.
//!
//! For whoever removes the credentials after verification: what counts as a credential parameter
//! here is what has to be removed there.

use std::borrow::Cow;
use std::fmt;

use crate::canonical::percent::{self, Plus};

/// The closed list of query parameters that carry credentials, in their exact case (rule 3). A
/// verified request has none of them twice, in another case, or escaped.
pub const CREDENTIAL_QUERY_PARAMETERS: [&str; 8] = [
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-SignedHeaders",
    "X-Amz-Signature",
    "X-Amz-Security-Token",
    "X-Amz-Region-Set",
];

/// Indices into [`CREDENTIAL_QUERY_PARAMETERS`].
pub(crate) mod index {
    pub(crate) const ALGORITHM: u8 = 0;
    pub(crate) const CREDENTIAL: u8 = 1;
    pub(crate) const DATE: u8 = 2;
    pub(crate) const EXPIRES: u8 = 3;
    pub(crate) const SIGNED_HEADERS: u8 = 4;
    pub(crate) const SIGNATURE: u8 = 5;
    pub(crate) const SECURITY_TOKEN: u8 = 6;
    pub(crate) const REGION_SET: u8 = 7;
}

/// The parameters of a query (without its `?`), in order of arrival; empty pieces (`a&&b`) are
/// skipped.
///
/// ```
/// let names: Vec<_> = credfed_sigv4_verify::query::parameters("uploads&prefix=a%2Fb")
///     .filter_map(|parameter| parameter.name())
///     .collect();
/// assert_eq!(names, ["uploads", "prefix"]);
/// ```
pub fn parameters(query: &str) -> impl Iterator<Item = Parameter<'_>> {
    query.split('&').filter(|raw| !raw.is_empty()).map(|raw| {
        let (name, value) = raw.split_once('=').unwrap_or((raw, ""));
        Parameter { raw, name, value }
    })
}

/// One parameter of a query.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Parameter<'a> {
    raw: &'a str,
    name: &'a str,
    value: &'a str,
}

impl<'a> Parameter<'a> {
    /// The parameter as on the wire, `name=value` or `name`.
    pub fn as_str(&self) -> &'a str {
        self.raw
    }

    /// The name, decoded; `None` where an escape is broken or the result is not UTF-8.
    pub fn name(&self) -> Option<Cow<'a, str>> {
        decode(self.name)
    }

    /// The value, decoded (`+` is a blank); `None` where an escape is broken or the result is not
    /// UTF-8. A parameter without `=` has an empty value.
    pub fn value(&self) -> Option<Cow<'a, str>> {
        decode(self.value)
    }

    /// The value, decoded; bytes that are not UTF-8, and broken escapes, are read as Latin-1 as they
    /// stand.
    pub(crate) fn value_or_latin1(&self) -> Cow<'a, str> {
        self.value().unwrap_or_else(|| {
            let mut decoded = Vec::with_capacity(self.value.len());
            match percent::decode(&mut decoded, self.value.as_bytes(), Plus::Space) {
                Some(()) => decoded.into_iter().map(char::from).collect(),
                None => Cow::Borrowed(self.value),
            }
        })
    }

    /// Whether it is one of [`CREDENTIAL_QUERY_PARAMETERS`], in any case and however escaped.
    pub fn is_credential(&self) -> bool {
        matches!(classify(self.name.as_bytes()), Kind::Credential(_) | Kind::Variant)
    }

    /// The name in lower case where it is a hoisted header: any other `x-amz-*`.
    pub fn hoisted(&self) -> Option<String> {
        (classify(self.name.as_bytes()) == Kind::Hoisted)
            .then(|| self.name())
            .flatten()
            .map(|name| name.to_ascii_lowercase())
    }
}

/// Without the value, which may be a token, a signature or a customer's key.
impl fmt::Debug for Parameter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parameter").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What a parameter's name makes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One of the closed list, by its index, spelt exactly.
    Credential(u8),
    /// One of the closed list, spelt otherwise.
    Variant,
    /// Another `x-amz-*`.
    Hoisted,
    /// Anything else.
    Other,
}

/// Judges a name as on the wire.
pub(crate) fn classify(name: &[u8]) -> Kind {
    if let Some(index) = exact(name) {
        return Kind::Credential(index);
    }
    if !name.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return classify_inexact(name);
    }
    let mut decoded = Vec::with_capacity(name.len());
    // A broken escape is refused when the query is canonicalised; here it is merely no credential.
    percent::decode(&mut decoded, name, Plus::Space).map_or(Kind::Other, |()| classify_inexact(&decoded))
}

/// The index of a name of the closed list.
fn exact(name: &[u8]) -> Option<u8> {
    Some(match name {
        b"X-Amz-Algorithm" => index::ALGORITHM,
        b"X-Amz-Credential" => index::CREDENTIAL,
        b"X-Amz-Date" => index::DATE,
        b"X-Amz-Expires" => index::EXPIRES,
        b"X-Amz-SignedHeaders" => index::SIGNED_HEADERS,
        b"X-Amz-Signature" => index::SIGNATURE,
        b"X-Amz-Security-Token" => index::SECURITY_TOKEN,
        b"X-Amz-Region-Set" => index::REGION_SET,
        _ => return None,
    })
}

/// Judges a decoded name that is not on the closed list as it was spelt.
fn classify_inexact(name: &[u8]) -> Kind {
    if !name.first_chunk().is_some_and(|prefix: &[u8; 6]| prefix.eq_ignore_ascii_case(b"x-amz-")) {
        Kind::Other
    } else if CREDENTIAL_QUERY_PARAMETERS.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes())) {
        Kind::Variant
    } else {
        Kind::Hoisted
    }
}

fn decode(text: &str) -> Option<Cow<'_, str>> {
    if memchr::memchr2(b'%', b'+', text.as_bytes()).is_none() {
        return Some(Cow::Borrowed(text));
    }
    let mut decoded = Vec::with_capacity(text.len());
    percent::decode(&mut decoded, text.as_bytes(), Plus::Space)?;
    String::from_utf8(decoded).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credential_parameters_are_known_however_they_are_spelt() {
        for (index, name) in (0..).zip(CREDENTIAL_QUERY_PARAMETERS) {
            assert_eq!(classify(name.as_bytes()), Kind::Credential(index), "{name}");
            for other in [name.to_lowercase(), name.to_uppercase(), name.replace('-', "%2D")] {
                assert_eq!(classify(other.as_bytes()), Kind::Variant, "{other}");
                let raw = format!("{other}=1");
                assert!(parameters(&raw).all(|parameter| parameter.is_credential()));
            }
        }
    }

    #[test]
    fn hoisted_headers_are_lower_cased() {
        let query = "x-id=1&X-Amz-Acl=private&x%2Damz-meta-a=b&&x-amz-=&xamz-a&%zz";
        let hoisted: Vec<_> = parameters(query).filter_map(|parameter| parameter.hoisted()).collect();
        assert_eq!(hoisted, ["x-amz-acl", "x-amz-meta-a", "x-amz-"]);
        assert_eq!(parameters(query).count(), 6);
    }
}
