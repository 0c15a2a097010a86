//! The conditions of a policy, and whether a form meets them.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Unexpected, Visitor};
use zeroize::Zeroizing;

use super::policy::Policy;
use super::signed::{SignedForm, is_credential};
use crate::error::{PolicyFault, Reason};

/// One element of a policy's conditions.
pub(super) enum Condition {
    /// `{"name": "value"}` or `["eq", "$name", "value"]`.
    Exact { name: Box<str>, value: Text },
    /// `["starts-with", "$name", "prefix"]`.
    StartsWith { name: Box<str>, prefix: Text },
    /// `["content-length-range", least, most]`, in bytes, both included.
    Size { least: u64, most: u64 },
}

/// The sizes that all conditions allow, in bytes, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sizes {
    pub(super) least: u64,
    pub(super) most: u64,
}

impl Policy {
    /// Judges a form: every condition is met, and every field is covered by one.
    pub(super) fn judge(&self, form: &SignedForm<'_>) -> Result<Sizes, Reason> {
        let mut sizes = Sizes { least: 0, most: u64::MAX };
        for condition in &self.conditions {
            match condition {
                Condition::StartsWith { name, .. } if is_credential(name) => {
                    return Err(Reason::PolicyDocument(PolicyFault::NotExact));
                }
                Condition::Exact { .. } | Condition::StartsWith { .. } => condition.check(form)?,
                Condition::Size { least, most } => {
                    sizes.least = sizes.least.max(*least);
                    sizes.most = sizes.most.min(*most);
                }
            }
        }
        let fields = form.fields.fields.iter().map(|field| &*field.name);
        // The URL's bucket is judged like a field, and has to be covered like one.
        for name in fields.chain(["bucket"]) {
            if !self.covers(name) && !is_exempt(name) {
                return Err(Reason::ExtraInputField(name.into()));
            }
        }
        if let Some(named) = form.fields.get("bucket")
            && named != form.fields.bucket()
        {
            return Err(Reason::PolicyCondition { operator: "eq", name: "bucket".into() });
        }
        Ok(sizes)
    }

    fn covers(&self, name: &str) -> bool {
        self.conditions.iter().any(|condition| match condition {
            Condition::Exact { name: covered, .. } | Condition::StartsWith { name: covered, .. } => {
                **covered == *name
            }
            Condition::Size { .. } => false,
        })
    }
}

impl Condition {
    /// A condition on a field that is absent is not met, even where any value would do.
    fn check(&self, form: &SignedForm<'_>) -> Result<(), Reason> {
        let (operator, name, met) = match self {
            Self::Exact { name, value } => {
                ("eq", name, form.judged(name).is_some_and(|have| have == value.as_str()))
            }
            Self::StartsWith { name, prefix } => {
                let met = form.judged(name).is_some_and(|value| starts_with(name, value, prefix.as_str()));
                ("starts-with", name, met)
            }
            Self::Size { .. } => return Ok(()),
        };
        if met { Ok(()) } else { Err(Reason::PolicyCondition { operator, name: name.clone() }) }
    }
}

/// Fields that no condition has to cover. None of them reaches the inner service.
pub(super) fn is_exempt(name: &str) -> bool {
    name == super::fields::POLICY || name == super::signed::SIGNATURE || name.starts_with("x-ignore-")
}

/// A Content-Type with commas is a list, each element of which has to start so.
fn starts_with(name: &str, value: &str, prefix: &str) -> bool {
    if name == "content-type" {
        value.split(',').all(|element| element.starts_with(prefix))
    } else {
        value.starts_with(prefix)
    }
}

/// A string of a policy, which may be a session token: wiped on drop.
pub(super) struct Text(Zeroizing<String>);

impl Text {
    fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OfText;
        impl Visitor<'_> for OfText {
            type Value = Text;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Text, E> {
                Ok(Text(Zeroizing::new(text.to_owned())))
            }
        }
        deserializer.deserialize_str(OfText)
    }
}

/// A number of bytes. AWS takes one in quotes too.
struct Bytes(u64);

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OfBytes;
        impl Visitor<'_> for OfBytes {
            type Value = Bytes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of bytes")
            }

            fn visit_u64<E: Error>(self, bytes: u64) -> Result<Bytes, E> {
                Ok(Bytes(bytes))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Bytes, E> {
                let plain =
                    text == "0" || (!text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit()));
                match text.parse() {
                    Ok(bytes) if plain => Ok(Bytes(bytes)),
                    _ => Err(E::invalid_value(Unexpected::Other("text"), &self)),
                }
            }
        }
        deserializer.deserialize_any(OfBytes)
    }
}

impl<'de> Deserialize<'de> for Condition {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OfCondition)
    }
}

struct OfCondition;

/// What is left over in an array or object after a visitor returned is an error of serde_json's, so that a second
/// member is refused whatever its name.
impl<'de> Visitor<'de> for OfCondition {
    type Value = Condition;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a condition")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Condition, A::Error> {
        let Some((name, value)) = map.next_entry::<Text, Text>()? else {
            return Err(A::Error::invalid_length(0, &self));
        };
        if map.next_key::<Text>()?.is_some() {
            return Err(A::Error::invalid_length(2, &self));
        }
        Ok(Condition::Exact { name: folded(name.as_str())?, value })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Condition, A::Error> {
        fn next<'de, T: Deserialize<'de>, A: SeqAccess<'de>>(seq: &mut A, at: usize) -> Result<T, A::Error> {
            seq.next_element()?.ok_or_else(|| A::Error::invalid_length(at, &OfCondition))
        }
        let operator: Text = next(&mut seq, 0)?;
        let condition = match operator.as_str().to_ascii_lowercase().as_str() {
            "eq" => {
                Condition::Exact { name: field(&next::<Text, _>(&mut seq, 1)?)?, value: next(&mut seq, 2)? }
            }
            "starts-with" => Condition::StartsWith {
                name: field(&next::<Text, _>(&mut seq, 1)?)?,
                prefix: next(&mut seq, 2)?,
            },
            "content-length-range" => {
                let (Bytes(least), Bytes(most)) = (next(&mut seq, 1)?, next(&mut seq, 2)?);
                Condition::Size { least, most }
            }
            _ => return Err(A::Error::invalid_value(Unexpected::Other("operator"), &self)),
        };
        if seq.next_element::<Text>()?.is_some() {
            return Err(A::Error::invalid_length(4, &self));
        }
        Ok(condition)
    }
}

/// The name behind the dollar sign.
fn field<E: Error>(text: &Text) -> Result<Box<str>, E> {
    match text.as_str().strip_prefix('$') {
        Some(name) => folded(name),
        None => Err(E::invalid_value(Unexpected::Other("field"), &"a field behind a dollar sign")),
    }
}

/// Only what can be the name of a field: it goes into answers and logs.
fn folded<E: Error>(name: &str) -> Result<Box<str>, E> {
    if (1..=LONGEST_NAME).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(name.to_ascii_lowercase().into())
    } else {
        Err(E::invalid_value(Unexpected::Other("name"), &"the name of a field"))
    }
}

/// Bytes of a name in a condition.
const LONGEST_NAME: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Option<Condition> {
        serde_json::from_str(json).ok()
    }

    #[test]
    fn both_spellings_of_an_exact_match_are_one() {
        for json in
            [r#"{"aCl":"x"}"#, r#"["eq","$acl","x"]"#, r#"["EQ","$ACL","x"]"#, r#"["eq","\u0024acl","x"]"#]
        {
            assert!(
                matches!(read(json), Some(Condition::Exact { name, value }) if &*name == "acl" && value.as_str() == "x"),
                "{json}"
            );
        }
    }

    #[test]
    fn sizes_are_whole_numbers_of_bytes() {
        for json in [
            r#"["content-length-range",0,18446744073709551615]"#,
            r#"["Content-Length-Range","0","18446744073709551615"]"#,
        ] {
            assert!(matches!(read(json), Some(Condition::Size { least: 0, most: u64::MAX })), "{json}");
        }
        for bound in [
            "-1",
            "1.0",
            "1e3",
            "18446744073709551616",
            "\"\"",
            "\"-1\"",
            "\"+1\"",
            "\"01\"",
            "\" 1\"",
            "\"1.0\"",
            "\"18446744073709551616\"",
            "null",
            "true",
            "[1]",
            "{}",
            "\"test\"",
        ] {
            assert!(read(&format!("[\"content-length-range\",{bound},5]")).is_none(), "{bound}");
            assert!(read(&format!("[\"content-length-range\",0,{bound}]")).is_none(), "{bound}");
        }
    }

    #[test]
    fn other_shapes_are_no_conditions() {
        for json in [
            "{}",
            "[]",
            "1",
            "null",
            r#""acl""#,
            r#"{"acl":"x","acl":"x"}"#,
            r#"{"acl":"x","bucket":"y"}"#,
            r#"{"acl":1}"#,
            r#"{"acl":null}"#,
            r#"{"":"x"}"#,
            r#"{"a b":"x"}"#,
            r#"{"a\nb":"x"}"#,
            r#"["eq","$","x"]"#,
            r#"["eq","$é","x"]"#,
            r#"{"acl":["x"]}"#,
            r#"["eq"]"#,
            r#"["eq","$acl"]"#,
            r#"["eq","$acl","x","y"]"#,
            r#"["eq","$acl","x",[]]"#,
            r#"["eq","acl","x"]"#,
            r#"["eq","$acl",1]"#,
            r#"["eq",1,"x"]"#,
            r#"["ends-with","$acl","x"]"#,
            r#"["starts-with","acl","x"]"#,
            r#"["starts-with","$acl"]"#,
            r#"["content-length-range",1]"#,
            r#"["content-length-range",1,2,3]"#,
            r#"[["eq","$acl","x"]]"#,
        ] {
            assert!(read(json).is_none(), "{json}");
        }
    }
}
