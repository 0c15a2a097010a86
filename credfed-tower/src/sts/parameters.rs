//! Parameters on the wire: from the query or from the form, never from both, each once.

use std::borrow::Cow;
use std::collections::BTreeMap;

use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, Method};
use percent_encoding::percent_decode;

use super::error::StsError;

/// The longest query or form, in bytes.
pub(super) const LONGEST: usize = 64 * 1024;
/// 50 tags of two parameters, 50 transitive keys, and the rest.
const MOST_PARAMETERS: usize = 256;
/// The one version of the protocol.
const VERSION: &str = "2011-06-15";

const BAD_ESCAPE: StsError = StsError::Parameters("The parameters are not properly encoded");
const TWICE: StsError = StsError::Parameters("A parameter occurs more than once");
const BOTH: StsError = StsError::Parameters("Parameters belong in the query or in the form, not in both");
const NOT_A_FORM: StsError = StsError::Parameters("The body must be application/x-www-form-urlencoded");

/// The parameters of one request, each taken out once.
///
/// `Debug` is left out on purpose: there is a token among them.
pub(super) struct Parameters<'a> {
    values: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
    in_query: bool,
}

impl<'a> Parameters<'a> {
    /// Reads them. `body` is complete; it was cut off at [`LONGEST`] before.
    pub(super) fn read(parts: &'a Parts, body: &'a [u8]) -> Result<Self, StsError> {
        if parts.method != Method::GET && parts.method != Method::POST {
            return Err(StsError::Method);
        }
        let query = parts.uri.query().unwrap_or_default().as_bytes();
        if query.len() > LONGEST || body.len() > LONGEST {
            return Err(StsError::TooLarge);
        }
        let text = match (query.is_empty(), body.is_empty()) {
            (_, true) => query,
            (false, false) => return Err(BOTH),
            (true, false) if parts.method == Method::GET => return Err(BOTH),
            (true, false) if is_form(&parts.headers) => body,
            (true, false) => return Err(NOT_A_FORM),
        };
        let mut values = BTreeMap::new();
        for pair in text.split(|&byte| byte == b'&').filter(|pair| !pair.is_empty()) {
            let at = pair.iter().position(|&byte| byte == b'=');
            let (name, value) = match at {
                Some(at) => (pair.get(..at).unwrap_or_default(), pair.get(at + 1..).unwrap_or_default()),
                None => (pair, &b""[..]),
            };
            if values.len() == MOST_PARAMETERS {
                return Err(StsError::Parameters("The request has too many parameters"));
            }
            if values.insert(decoded(name)?, decoded(value)?).is_some() {
                return Err(TWICE);
            }
        }
        Ok(Self { values, in_query: body.is_empty() })
    }

    /// The action, if the version is the one that is served.
    pub(super) fn action(&mut self) -> Result<Cow<'a, str>, StsError> {
        let action =
            self.take("Action").filter(|action| !action.is_empty()).ok_or(StsError::MissingAction)?;
        match self.take("Version") {
            Some(version) if version == VERSION => Ok(action),
            _ => Err(StsError::InvalidAction),
        }
    }

    pub(super) fn take(&mut self, name: &str) -> Option<Cow<'a, str>> {
        self.values.remove(name)
    }

    pub(super) fn require(&mut self, name: &'static str) -> Result<Cow<'a, str>, StsError> {
        self.take(name).ok_or(StsError::Missing(name))
    }

    /// A list without members is its name without a value.
    pub(super) fn drop_if_empty(&mut self, name: &str) {
        if self.values.get(name).is_some_and(|value| value.is_empty()) {
            self.values.remove(name);
        }
    }

    /// What carries a signature in a query is not the action's.
    pub(super) fn drop_signature(&mut self) {
        if self.in_query {
            self.values
                .retain(|name, _| !name.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("x-amz-")));
        }
    }

    /// Nothing may be left.
    pub(super) fn finish(self) -> Result<(), StsError> {
        if self.values.is_empty() { Ok(()) } else { Err(StsError::UnknownParameter) }
    }
}

/// See [`StsService::handles`](super::StsService::handles).
pub(super) fn handles(parts: &Parts) -> bool {
    if parts.uri.path() != "/" {
        return false;
    }
    let query = parts.uri.query().unwrap_or_default();
    match parts.method {
        Method::GET | Method::HEAD => has_action(query),
        Method::POST if query.is_empty() => is_form(&parts.headers),
        Method::POST => has_action(query),
        _ => false,
    }
}

fn has_action(query: &str) -> bool {
    query.len() <= LONGEST
        && query.split('&').any(|pair| {
            let name = pair.split('=').next().unwrap_or_default();
            decoded(name.as_bytes()).is_ok_and(|name| name == "Action")
        })
}

/// One content type, and it is that of a form, with or without parameters such as a character set.
fn is_form(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let (Some(first), None) = (types.next(), types.next()) else { return false };
    let essence = first.as_bytes().split(|&byte| byte == b';').next().unwrap_or_default();
    essence.trim_ascii().eq_ignore_ascii_case(b"application/x-www-form-urlencoded")
}

/// Decodes strictly: an escape that is none, or bytes that are no UTF-8, are refused and never guessed at.
fn decoded(text: &[u8]) -> Result<Cow<'_, str>, StsError> {
    if !text.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return std::str::from_utf8(text).map(Cow::Borrowed).map_err(|_| BAD_ESCAPE);
    }
    let mut escapes = text.split(|&byte| byte == b'%');
    escapes.next();
    for escape in escapes {
        match escape {
            [high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {}
            _ => return Err(BAD_ESCAPE),
        }
    }
    if text.contains(&b'+') {
        let blanks: Vec<u8> = text.iter().map(|&byte| if byte == b'+' { b' ' } else { byte }).collect();
        let text = percent_decode(&blanks).decode_utf8().map_err(|_| BAD_ESCAPE)?;
        return Ok(Cow::Owned(text.into_owned()));
    }
    percent_decode(text).decode_utf8().map_err(|_| BAD_ESCAPE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(form: &[u8]) -> Result<String, StsError> {
        let (parts, ()) = http::Request::post("/")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(())
            .unwrap()
            .into_parts();
        let mut parameters = Parameters::read(&parts, form)?;
        parameters.require("Name").map(Cow::into_owned)
    }

    #[test]
    fn a_plus_is_a_blank_and_what_is_no_text_is_refused() {
        assert_eq!(value(b"Name=a+b").unwrap(), "a b");
        assert_eq!(value(b"Name=a%2Bb+%20").unwrap(), "a+b  ");
        assert_eq!(value("Name=gr\u{fc}n".as_bytes()).unwrap(), "gr\u{fc}n");
        for form in
            [&b"Name=\xff"[..], b"Name=a+\xff", b"Name=%ff", b"\xff=a&Name=b", b"Name=%2", b"Name=%+1"]
        {
            assert!(value(form).is_err(), "{}", form.escape_ascii());
        }
    }
}
