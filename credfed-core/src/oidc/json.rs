//! JSON as it is read here: no member twice, no deep nesting, no number that is not finite.
//!
//! Readers differ on which of two equal members counts, so a document that has any is refused whole.

use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// How deep objects and arrays may nest.
const DEEPEST: u8 = 16;

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Json>),
    Object(Object),
}

/// The members of a JSON object, in their order, names unique.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Object(Vec<(String, Json)>);

/// A number of a JSON document: finite, integers up to 64 bits kept exactly.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Number(Kind);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Signed(i64),
    Unsigned(u64),
    Float(f64),
}

impl Json {
    pub(crate) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn as_list(&self) -> Option<&[Json]> {
        match self {
            Self::List(items) => Some(items),
            _ => None,
        }
    }

    pub(crate) fn as_object(&self) -> Option<&Object> {
        match self {
            Self::Object(object) => Some(object),
            _ => None,
        }
    }
}

impl Object {
    /// Reads one object and nothing after it.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        match serde_json::from_slice(bytes).ok()? {
            Json::Object(object) => Some(object),
            _ => None,
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Json> {
        self.0.iter().find(|(member, _)| member == name).map(|(_, value)| value)
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_text()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Json)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }
}

impl Number {
    /// The number, if it is an integer of 64 bits.
    pub fn as_i64(self) -> Option<i64> {
        match self.0 {
            Kind::Signed(number) => Some(number),
            Kind::Unsigned(_) | Kind::Float(_) => None,
        }
    }

    /// The number, rounded if it is a large integer.
    #[allow(clippy::cast_precision_loss, reason = "documented")]
    pub fn as_f64(self) -> f64 {
        match self.0 {
            Kind::Signed(number) => number as f64,
            Kind::Unsigned(number) => number as f64,
            Kind::Float(number) => number,
        }
    }

    /// The largest whole number of seconds that is not greater, for a time; `None` before 1970 and after the
    /// year 9999.
    pub(crate) fn as_seconds(self) -> Option<u64> {
        const END_OF_9999: u64 = 253_402_300_799;
        let seconds = match self.0 {
            Kind::Signed(number) => u64::try_from(number).ok()?,
            Kind::Unsigned(number) => number,
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "in range, or saturated"
            )]
            Kind::Float(number) => (number >= 0.0).then_some(number.floor() as u64)?,
        };
        (seconds <= END_OF_9999).then_some(seconds)
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Kind::Signed(number) => number.fmt(f),
            Kind::Unsigned(number) => number.fmt(f),
            Kind::Float(number) => number.fmt(f),
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Level(DEEPEST).deserialize(deserializer)
    }
}

/// Reads a value that may have this many levels below it.
#[derive(Clone, Copy)]
struct Level(u8);

impl Level {
    fn below<E: Error>(self) -> Result<Self, E> {
        self.0.checked_sub(1).map(Self).ok_or_else(|| E::custom("nested too deeply"))
    }
}

impl<'de> DeserializeSeed<'de> for Level {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a json value")
    }

    fn visit_unit<E: Error>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Number(Number(Kind::Signed(value))))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Number(Number(i64::try_from(value).map_or(Kind::Unsigned(value), Kind::Signed))))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Json, E> {
        if !value.is_finite() {
            return Err(E::custom("not a finite number"));
        }
        Ok(Json::Number(Number(Kind::Float(value))))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.to_owned()))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Json, E> {
        Ok(Json::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Json, A::Error> {
        let level = self.below()?;
        let mut items = Vec::new();
        while let Some(item) = list.next_element_seed(level)? {
            items.push(item);
        }
        Ok(Json::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let level = self.below()?;
        let mut members: Vec<(String, Json)> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        while let Some(name) = map.next_key::<String>()? {
            if !seen.insert(name.clone()) {
                return Err(A::Error::custom("a member comes twice"));
            }
            members.push((name, map.next_value_seed(level)?));
        }
        Ok(Json::Object(Object(members)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<Object> {
        Object::parse(text.as_bytes())
    }

    #[test]
    fn a_member_that_comes_twice_is_refused_at_any_depth_and_in_any_spelling() {
        assert!(parse(r#"{"a":1,"b":{"a":1}}"#).is_some());
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"b":{"a":1,"a":2}}"#,
            r#"{"b":[{"a":1,"a":2}]}"#,
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn nesting_has_an_end() {
        let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse(&nested(15)).is_some());
        assert_eq!(parse(&nested(16)), None);
        assert_eq!(parse(&nested(8_000)), None);
    }

    #[test]
    fn only_one_whole_object_is_read() {
        for text in ["", "[]", "1", "null", "{} {}", "{}x", "{", "{\"a\":1e400}", "{\"a\":NaN}", "\u{feff}{}"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(Object::parse(b"{\"a\":\"\xff\"}"), None);
        assert_eq!(parse(r#"{"a":"\ud800"}"#), None);
    }

    #[test]
    fn times_are_floored_and_bounded() {
        let seconds = |text: &str| match parse(&format!("{{\"a\":{text}}}"))?.get("a")? {
            Json::Number(number) => number.as_seconds(),
            _ => None,
        };
        assert_eq!(seconds("1700000000"), Some(1_700_000_000));
        assert_eq!(seconds("1700000000.999"), Some(1_700_000_000));
        assert_eq!(seconds("1.7e9"), Some(1_700_000_000));
        assert_eq!(seconds("0"), Some(0));
        assert_eq!(seconds("-0.0"), Some(0));
        for text in ["-1", "-0.5", "253402300800", "1e300", "18446744073709551615", "1e19"] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }
}
