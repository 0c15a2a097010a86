//! The bytes in which a session token says what it says.
//!
//! # Encoding
//! Numbers are big-endian. A head of 25 bytes, then fields in ascending order of their numbers, each once (tags: once
//! per key), each with its length; nothing follows the last one.
//! ```text
//! head   kind(1) issued(8) expires(8) generation(8)      times in seconds since 1970
//! field  number(1) length(2) bytes
//!        1 principal   2 session name   3 subject   4 issuer   5 source identity   6 session policy
//!        7 tag: transitive(1: 0 or 1) length of the key(2) key value; ascending by key without case
//! ```
//! The bytes are canonical: whatever decodes is what its claims encode to. A number that is not known here is
//! refused, so a claim that restricts a session can be added and is never overlooked by an older replica.

use std::cmp::Ordering;

use super::{ClaimsError, LAST_SECOND, SessionKind, SessionTag};

pub(super) const MOST_TAGS: usize = 50;

/// The fields, by their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Field {
    Principal = 1,
    SessionName = 2,
    Subject = 3,
    Issuer = 4,
    SourceIdentity = 5,
    Policy = 6,
    Tag = 7,
}

const FIELDS: usize = 7;

impl Field {
    fn of(number: u8) -> Option<Self> {
        use Field::{Issuer, Policy, Principal, SessionName, SourceIdentity, Subject, Tag};
        const ALL: [Field; FIELDS] = [Principal, SessionName, Subject, Issuer, SourceIdentity, Policy, Tag];
        ALL.get(usize::from(number).checked_sub(1)?).copied()
    }

    fn place(self) -> usize {
        usize::from(self as u8 - 1)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Principal => "principal",
            Self::SessionName => "session name",
            Self::Subject => "subject",
            Self::Issuer => "issuer",
            Self::SourceIdentity => "source identity",
            Self::Policy => "session policy",
            Self::Tag => "tag",
        }
    }

    /// In bytes. Names and identities as AWS and OpenID Connect bound them; a tag with its key.
    fn limit(self) -> usize {
        match self {
            Self::Principal => 1024,
            Self::SessionName | Self::SourceIdentity => 64,
            Self::Subject | Self::Issuer => 255,
            Self::Policy => 2048,
            Self::Tag => 3 + KEY_LIMIT + VALUE_LIMIT,
        }
    }
}

/// 128 and 256 characters of up to four bytes.
const KEY_LIMIT: usize = 512;
const VALUE_LIMIT: usize = 1024;

const TAG_KEY: &str = "tag's key";
const TAG_VALUE: &str = "tag's value";

/// Where the parts lie in the encoding, all of them checked.
#[derive(Clone, Copy)]
pub(super) struct Layout {
    pub(super) kind: SessionKind,
    pub(super) issued: u64,
    pub(super) expires: u64,
    pub(super) generation: u64,
    /// By the fields' numbers, the first at 0; empty for what is absent. Of tags all fields together, with their
    /// numbers and lengths.
    spans: [Span; FIELDS],
}

#[derive(Clone, Copy, Default)]
pub(super) struct Span {
    start: u16,
    end: u16,
}

impl Layout {
    pub(super) fn of(encoded: &[u8]) -> Result<Self, ClaimsError> {
        // Spans are 16 bits wide.
        u16::try_from(encoded.len()).map_err(|_| ClaimsError::Malformed)?;
        let mut reader = Reader { bytes: encoded };
        let mut layout = Self::head(&mut reader).ok_or(ClaimsError::Malformed)?;
        let mut last = 0;
        let mut last_key = None;
        let mut tags = 0;
        while !reader.bytes.is_empty() {
            let start = encoded.len() - reader.bytes.len();
            let (field, bytes) = reader.field().ok_or(ClaimsError::Malformed)?;
            if bytes.len() > field.limit() {
                return Err(ClaimsError::TooLong(field.name()));
            }
            let end = encoded.len() - reader.bytes.len();
            if field == Field::Tag {
                let (_, key, _) = tag_parts(bytes)?;
                match last_key.map_or(Ordering::Less, |last| without_case(last, key)) {
                    Ordering::Less => {}
                    Ordering::Equal => return Err(ClaimsError::RepeatedTag),
                    Ordering::Greater => return Err(ClaimsError::Malformed),
                }
                last_key = Some(key);
                tags += 1;
                let span = layout.span_mut(field);
                *span = if tags == 1 { Span::new(start, end) } else { Span { end: place(end), ..*span } };
            } else {
                if field as u8 <= last {
                    return Err(ClaimsError::Malformed);
                }
                check_text(field.name(), bytes, field == Field::Policy)?;
                *layout.span_mut(field) = Span::new(end - bytes.len(), end);
            }
            last = field as u8;
        }
        if tags > MOST_TAGS {
            return Err(ClaimsError::TooManyTags);
        }
        layout.check()?;
        Ok(layout)
    }

    fn head(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            kind: match reader.take::<1>()? {
                [1] => SessionKind::WebIdentity,
                [2] => SessionKind::AssumedRole,
                [3] => SessionKind::SessionToken,
                _ => return None,
            },
            issued: u64::from_be_bytes(reader.take()?),
            expires: u64::from_be_bytes(reader.take()?),
            generation: u64::from_be_bytes(reader.take()?),
            spans: Default::default(),
        })
    }

    /// Empty if there is none: no field may be.
    pub(super) fn span(&self, field: Field) -> Span {
        self.spans[field.place()]
    }

    fn span_mut(&mut self, field: Field) -> &mut Span {
        &mut self.spans[field.place()]
    }

    /// What the kind of session asks for.
    fn check(&self) -> Result<(), ClaimsError> {
        if self.expires > LAST_SECOND || self.expires <= self.issued {
            return Err(ClaimsError::Times);
        }
        let role = self.kind != SessionKind::SessionToken;
        let web = self.kind == SessionKind::WebIdentity;
        let expected = [
            (Field::Principal, true),
            (Field::SessionName, role),
            (Field::Subject, web),
            (Field::Issuer, web),
        ];
        for (field, wanted) in expected {
            match (self.span(field).is_empty(), wanted) {
                (true, true) => return Err(ClaimsError::Missing(field.name())),
                (false, false) => return Err(ClaimsError::Unexpected(field.name())),
                _ => {}
            }
        }
        Ok(())
    }
}

impl Span {
    fn new(start: usize, end: usize) -> Self {
        Self { start: place(start), end: place(end) }
    }

    pub(super) fn is_empty(self) -> bool {
        self.start == self.end
    }

    pub(super) fn of(self, bytes: &[u8]) -> &[u8] {
        bytes.get(usize::from(self.start)..usize::from(self.end)).unwrap_or_default()
    }
}

#[derive(Clone)]
pub(super) struct Reader<'a> {
    pub(super) bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.bytes.split_first_chunk()?;
        self.bytes = rest;
        Some(*taken)
    }

    pub(super) fn field(&mut self) -> Option<(Field, &'a [u8])> {
        let [number, high, low] = self.take()?;
        let length = u16::from_be_bytes([high, low]);
        let (bytes, rest) = self.bytes.split_at_checked(usize::from(length))?;
        self.bytes = rest;
        Some((Field::of(number)?, bytes))
    }
}

/// All encodings are shorter than that.
fn place(at: usize) -> u16 {
    u16::try_from(at).unwrap_or(u16::MAX)
}

pub(super) fn tag(bytes: &[u8]) -> Result<SessionTag<'_>, ClaimsError> {
    let (transitive, key, value) = tag_parts(bytes)?;
    let text = |field, bytes| std::str::from_utf8(bytes).map_err(|_| ClaimsError::NotText(field));
    Ok(SessionTag { key: text(TAG_KEY, key)?, value: text(TAG_VALUE, value)?, transitive })
}

/// Whether a tag is transitive, its key and its value, both of them checked.
fn tag_parts(bytes: &[u8]) -> Result<(bool, &[u8], &[u8]), ClaimsError> {
    let mut reader = Reader { bytes };
    let transitive = match reader.take() {
        Some([0]) => false,
        Some([1]) => true,
        _ => return Err(ClaimsError::Malformed),
    };
    let length = reader.take().map(u16::from_be_bytes).ok_or(ClaimsError::Malformed)?;
    let (key, value) = reader.bytes.split_at_checked(usize::from(length)).ok_or(ClaimsError::Malformed)?;
    check_text(TAG_KEY, key, false)?;
    if !value.is_empty() {
        check_text(TAG_VALUE, value, false)?;
    }
    check_tag(key, value)?;
    Ok((transitive, key, value))
}

pub(super) fn check_tag(key: &[u8], value: &[u8]) -> Result<(), ClaimsError> {
    if key.len() > KEY_LIMIT {
        return Err(ClaimsError::TooLong(TAG_KEY));
    }
    if value.len() > VALUE_LIMIT {
        return Err(ClaimsError::TooLong(TAG_VALUE));
    }
    Ok(())
}

/// Not empty, UTF-8, and without control characters; with `lines`, tabs and ends of lines are none.
#[inline]
fn check_text(field: &'static str, bytes: &[u8], lines: bool) -> Result<(), ClaimsError> {
    match bytes {
        [] => Err(ClaimsError::Empty(field)),
        _ if is_plain(bytes) => Ok(()),
        _ => check_letters(field, bytes, lines),
    }
}

#[cold]
fn check_letters(field: &'static str, bytes: &[u8], lines: bool) -> Result<(), ClaimsError> {
    let text = std::str::from_utf8(bytes).map_err(|_| ClaimsError::NotText(field))?;
    let blank = |c: char| lines && matches!(c, '\t' | '\n' | '\r');
    match text.chars().any(|c| c.is_control() && !blank(c)) {
        true => Err(ClaimsError::NotText(field)),
        false => Ok(()),
    }
}

/// Printable ASCII, as most texts are; eight bytes at a time. The last eight may be looked at twice, which is faster
/// than the odd ones one by one.
fn is_plain(bytes: &[u8]) -> bool {
    /// The highest bit of each byte that is none of it. A borrow or a carry reaches the next byte only from one that
    /// is none itself.
    fn others(word: [u8; 8]) -> u64 {
        let word = u64::from_le_bytes(word);
        word | word.wrapping_add(ONES) | word.wrapping_sub(ONES * 0x20)
    }
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    let found = match bytes.last_chunk::<8>() {
        Some(last) => {
            bytes.as_chunks::<8>().0.iter().fold(others(*last), |found, word| found | others(*word))
        }
        None => bytes
            .iter()
            .fold(0, |found, byte| found | others([b' ', b' ', b' ', b' ', b' ', b' ', b' ', *byte])),
    };
    found & (ONES * 0x80) == 0
}

pub(super) fn put(bytes: &mut Vec<u8>, field: Field, parts: &[&[u8]]) -> Result<(), ClaimsError> {
    let length = parts.iter().map(|part| part.len()).sum::<usize>();
    if length > field.limit() {
        return Err(ClaimsError::TooLong(field.name()));
    }
    let length = u16::try_from(length).map_err(|_| ClaimsError::TooLong(field.name()))?;
    bytes.push(field as u8);
    bytes.extend_from_slice(&length.to_be_bytes());
    parts.iter().for_each(|part| bytes.extend_from_slice(part));
    Ok(())
}

/// How two keys are ordered, of which it is known that they are UTF-8.
pub(super) fn without_case(a: &[u8], b: &[u8]) -> Ordering {
    if a.is_ascii() && b.is_ascii() {
        return a
            .iter()
            .map(|byte| byte.to_ascii_lowercase())
            .cmp(b.iter().map(|byte| byte.to_ascii_lowercase()));
    }
    let letters = |key| std::str::from_utf8(key).unwrap_or_default().chars().flat_map(char::to_lowercase);
    letters(a).cmp(letters(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_is_printable_ascii_whatever_the_length_and_the_neighbours() {
        for length in 1..=20 {
            for at in 0..length {
                for neighbour in [b' ', b'~'] {
                    for byte in 0..=255 {
                        let mut bytes = vec![neighbour; length];
                        bytes[at] = byte;
                        assert_eq!(
                            is_plain(&bytes),
                            (b' '..=b'~').contains(&byte),
                            "{byte} at {at} of {length}"
                        );
                    }
                }
            }
        }
    }
}
