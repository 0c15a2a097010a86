//! What a session token says, and the bytes in which it says so.
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
use std::error::Error;
use std::fmt;
use std::time::{Duration, SystemTime};

/// The most that the claims of one session may take, encoded, in bytes: what fits into a token of 2 KiB.
pub const LONGEST_CLAIMS: usize =
    (super::token::LONGEST_MINTED - super::token::PREFIX) / 4 * 3 - super::token::NONCE - super::token::TAG;

const MOST_TAGS: usize = 50;
/// The end of the year 9999.
const LAST_SECOND: u64 = 253_402_300_799;

/// How a session came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SessionKind {
    /// AssumeRoleWithWebIdentity: a role, for the subject of an OpenID Connect issuer.
    WebIdentity,
    /// AssumeRole: a role, for the holder of another credential.
    AssumedRole,
    /// GetSessionToken: the rights of a long-lived key, for a time.
    SessionToken,
}

/// The fields, by their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Field {
    Principal = 1,
    SessionName = 2,
    Subject = 3,
    Issuer = 4,
    SourceIdentity = 5,
    Policy = 6,
    Tag = 7,
}

impl Field {
    fn of(number: u8) -> Option<Self> {
        use Field::{Issuer, Policy, Principal, SessionName, SourceIdentity, Subject, Tag};
        [Principal, SessionName, Subject, Issuer, SourceIdentity, Policy, Tag]
            .into_iter()
            .find(|field| *field as u8 == number)
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

/// What is known of a session. A value of this type is within its limits and consistent.
///
/// `Debug` shows what kind of session it is and whose, not what its policy, tags or subject say.
#[derive(Clone)]
pub struct SessionClaims {
    encoded: Box<[u8]>,
    layout: Layout,
}

/// [`SessionClaims`] that are borrowed from an opened token.
#[derive(Clone, Copy)]
pub struct SessionClaimsRef<'a> {
    encoded: &'a [u8],
    layout: Layout,
}

/// One tag of a session.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionTag<'a> {
    /// Unique in the session, whatever the case of its letters.
    pub key: &'a str,
    /// May be empty.
    pub value: &'a str,
    /// Whether the tag goes on to sessions that this one assumes.
    pub transitive: bool,
}

impl fmt::Debug for SessionTag<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionTag").field("transitive", &self.transitive).finish_non_exhaustive()
    }
}

/// Where the parts lie in the encoding, all of them checked.
#[derive(Clone, Copy)]
struct Layout {
    kind: SessionKind,
    issued: u64,
    expires: u64,
    generation: u64,
    principal: Span,
    session_name: Option<Span>,
    subject: Option<Span>,
    issuer: Option<Span>,
    source_identity: Option<Span>,
    policy: Option<Span>,
    /// All tag fields, with their numbers and lengths.
    tags: Span,
}

#[derive(Clone, Copy, Default)]
struct Span {
    start: u16,
    end: u16,
}

impl SessionClaims {
    /// Starts with what every session has: its kind; its principal, which is the ARN of the role (or, for
    /// [`SessionKind::SessionToken`], of the user) whose rights it has; when it was issued and when it is over, in
    /// whole seconds, fractions cut off.
    pub fn builder(
        kind: SessionKind,
        principal: impl Into<String>,
        issued: SystemTime,
        expires: SystemTime,
    ) -> SessionClaimsBuilder {
        SessionClaimsBuilder {
            kind,
            issued,
            expires,
            generation: 0,
            fields: vec![(Field::Principal, principal.into())],
            tags: Vec::new(),
        }
    }

    /// The same claims, borrowed.
    pub fn as_ref(&self) -> SessionClaimsRef<'_> {
        SessionClaimsRef { encoded: &self.encoded, layout: self.layout }
    }

    /// How much of a token's room the claims take, in percent of [`LONGEST_CLAIMS`], rounded up: what AWS calls
    /// PackedPolicySize. Above 100 no token can be minted of them.
    pub fn packed_percent(&self) -> usize {
        (self.encoded.len() * 100).div_ceil(LONGEST_CLAIMS)
    }

    pub(super) fn encoded(&self) -> &[u8] {
        &self.encoded
    }
}

/// Each of these says what the method of the same name of [`SessionClaimsRef`] says.
#[allow(missing_docs, reason = "said above, and there")]
impl SessionClaims {
    pub fn kind(&self) -> SessionKind {
        self.layout.kind
    }

    pub fn issued(&self) -> SystemTime {
        self.as_ref().issued()
    }

    pub fn expires(&self) -> SystemTime {
        self.as_ref().expires()
    }

    pub fn generation(&self) -> u64 {
        self.layout.generation
    }

    pub fn principal(&self) -> &str {
        self.as_ref().principal()
    }

    pub fn role(&self) -> Option<&str> {
        self.as_ref().role()
    }

    pub fn session_name(&self) -> Option<&str> {
        self.as_ref().session_name()
    }

    pub fn subject(&self) -> Option<&str> {
        self.as_ref().subject()
    }

    pub fn issuer(&self) -> Option<&str> {
        self.as_ref().issuer()
    }

    pub fn source_identity(&self) -> Option<&str> {
        self.as_ref().source_identity()
    }

    pub fn policy(&self) -> Option<&str> {
        self.as_ref().policy()
    }

    pub fn tags(&self) -> SessionTags<'_> {
        self.as_ref().tags()
    }

    pub fn restricted(&self) -> bool {
        self.as_ref().restricted()
    }
}

impl<'a> SessionClaimsRef<'a> {
    /// How the session came about.
    pub fn kind(&self) -> SessionKind {
        self.layout.kind
    }

    /// When it was issued, in whole seconds.
    pub fn issued(&self) -> SystemTime {
        time(self.layout.issued)
    }

    /// When it is over, in whole seconds: from this moment on it is.
    pub fn expires(&self) -> SystemTime {
        time(self.layout.expires)
    }

    /// A number of the issuer's own, such as the generation of the role's definition; 0 if it set none.
    pub fn generation(&self) -> u64 {
        self.layout.generation
    }

    /// The ARN of the role or user whose rights the session has. [`Revocation`](super::Revocation) goes by it.
    pub fn principal(&self) -> &'a str {
        self.text(self.layout.principal)
    }

    /// The ARN of the role; `None` for [`SessionKind::SessionToken`].
    pub fn role(&self) -> Option<&'a str> {
        (self.layout.kind != SessionKind::SessionToken).then(|| self.principal())
    }

    /// The name of the role session; role sessions have one.
    pub fn session_name(&self) -> Option<&'a str> {
        self.optional(self.layout.session_name)
    }

    /// The subject of the web identity, as its issuer calls it; web identity sessions have one.
    pub fn subject(&self) -> Option<&'a str> {
        self.optional(self.layout.subject)
    }

    /// The issuer of the web identity; web identity sessions have one.
    pub fn issuer(&self) -> Option<&'a str> {
        self.optional(self.layout.issuer)
    }

    /// The source identity, which no later session of a chain can change.
    pub fn source_identity(&self) -> Option<&'a str> {
        self.optional(self.layout.source_identity)
    }

    /// The session policy, as its text.
    pub fn policy(&self) -> Option<&'a str> {
        self.optional(self.layout.policy)
    }

    /// The tags, ordered by their keys without regard to case.
    pub fn tags(&self) -> SessionTags<'a> {
        SessionTags { rest: Reader { bytes: self.layout.tags.of(self.encoded) } }
    }

    /// Whether a session policy cuts the rights down. Whoever does not evaluate policies must refuse such a session.
    pub fn restricted(&self) -> bool {
        self.layout.policy.is_some()
    }

    /// A copy that stands on its own; one allocation.
    pub fn to_owned(&self) -> SessionClaims {
        SessionClaims { encoded: self.encoded.into(), layout: self.layout }
    }

    /// Reads and checks an encoding; see the top of the file.
    pub(super) fn decode(encoded: &'a [u8]) -> Result<Self, ClaimsError> {
        let layout = Layout::of(encoded)?;
        Ok(Self { encoded, layout })
    }

    pub(super) fn issued_second(&self) -> u64 {
        self.layout.issued
    }

    pub(super) fn expires_second(&self) -> u64 {
        self.layout.expires
    }

    fn optional(&self, span: Option<Span>) -> Option<&'a str> {
        span.map(|span| self.text(span))
    }

    /// Found to be UTF-8 when it was decoded.
    fn text(&self, span: Span) -> &'a str {
        std::str::from_utf8(span.of(self.encoded)).unwrap_or_default()
    }
}

/// The encoding is canonical, so equal claims are equal bytes.
impl PartialEq for SessionClaims {
    fn eq(&self, other: &Self) -> bool {
        self.encoded == other.encoded
    }
}

impl Eq for SessionClaims {}

impl PartialEq for SessionClaimsRef<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.encoded == other.encoded
    }
}

impl Eq for SessionClaimsRef<'_> {}

impl fmt::Debug for SessionClaims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}

impl fmt::Debug for SessionClaimsRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionClaims")
            .field("kind", &self.kind())
            .field("principal", &self.principal())
            .field("session_name", &self.session_name())
            .field("issued", &self.layout.issued)
            .field("expires", &self.layout.expires)
            .field("restricted", &self.restricted())
            .finish_non_exhaustive()
    }
}

/// The tags of a session; see [`SessionClaimsRef::tags`].
#[derive(Clone)]
pub struct SessionTags<'a> {
    rest: Reader<'a>,
}

impl<'a> Iterator for SessionTags<'a> {
    type Item = SessionTag<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let (_, bytes) = self.rest.field()?;
        tag(bytes).ok()
    }
}

impl fmt::Debug for SessionTags<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

/// Collects [`SessionClaims`]; see [`SessionClaims::builder`].
#[must_use = "claims are made by build()"]
pub struct SessionClaimsBuilder {
    kind: SessionKind,
    issued: SystemTime,
    expires: SystemTime,
    generation: u64,
    fields: Vec<(Field, String)>,
    tags: Vec<(String, String, bool)>,
}

impl SessionClaimsBuilder {
    /// The name of a role session, 1 to 64 bytes; required for the two kinds that have a role, else refused.
    pub fn session_name(self, name: impl Into<String>) -> Self {
        self.with(Field::SessionName, name)
    }

    /// The subject of the web identity, 1 to 255 bytes; required for that kind, else refused.
    pub fn subject(self, subject: impl Into<String>) -> Self {
        self.with(Field::Subject, subject)
    }

    /// The issuer of the web identity, 1 to 255 bytes; required for that kind, else refused.
    pub fn issuer(self, issuer: impl Into<String>) -> Self {
        self.with(Field::Issuer, issuer)
    }

    /// The source identity, 1 to 64 bytes.
    pub fn source_identity(self, identity: impl Into<String>) -> Self {
        self.with(Field::SourceIdentity, identity)
    }

    /// The session policy, 1 to 2048 bytes. It has to fit into the token, too.
    pub fn policy(self, policy: impl Into<String>) -> Self {
        self.with(Field::Policy, policy)
    }

    /// Adds a tag; 50 at most, keys of 1 to 512 bytes and unique without case, values of up to 1024 bytes.
    pub fn tag(mut self, key: impl Into<String>, value: impl Into<String>, transitive: bool) -> Self {
        self.tags.push((key.into(), value.into(), transitive));
        self
    }

    /// A number of the issuer's own.
    pub fn generation(mut self, generation: u64) -> Self {
        self.generation = generation;
        self
    }

    /// Checks and encodes.
    ///
    /// # Errors
    /// The first [`ClaimsError`] that is met. The room in a token is judged by
    /// [`mint`](super::SealedSessions::mint) alone.
    pub fn build(mut self) -> Result<SessionClaims, ClaimsError> {
        let mut bytes = Vec::with_capacity(256);
        bytes.push(match self.kind {
            SessionKind::WebIdentity => 1,
            SessionKind::AssumedRole => 2,
            SessionKind::SessionToken => 3,
        });
        for number in [seconds(self.issued)?, seconds(self.expires)?, self.generation] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        // Stable, and the last of two values of one field counts.
        self.fields.sort_by_key(|(field, _)| *field);
        for (at, (field, text)) in self.fields.iter().enumerate() {
            if self.fields.get(at + 1).is_none_or(|(next, _)| next != field) {
                put(&mut bytes, *field, &[text.as_bytes()])?;
            }
        }
        self.tags.sort_by(|(a, ..), (b, ..)| without_case(a, b));
        for (key, value, transitive) in &self.tags {
            check_tag(key, value)?;
            let length = u16::try_from(key.len()).map_err(|_| ClaimsError::TooLong("tag"))?;
            let head = [&[u8::from(*transitive)][..], &length.to_be_bytes()].concat();
            put(&mut bytes, Field::Tag, &[&head, key.as_bytes(), value.as_bytes()])?;
        }
        let layout = Layout::of(&bytes)?;
        Ok(SessionClaims { encoded: bytes.into(), layout })
    }

    fn with(mut self, field: Field, text: impl Into<String>) -> Self {
        self.fields.push((field, text.into()));
        self
    }
}

impl fmt::Debug for SessionClaimsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionClaimsBuilder").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// Why claims are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClaimsError {
    /// A kind of session does without something that it must have.
    Missing(&'static str),
    /// A kind of session has something that it cannot have.
    Unexpected(&'static str),
    /// A text is empty.
    Empty(&'static str),
    /// A text is over its limit.
    TooLong(&'static str),
    /// A text is not UTF-8, or has control characters in it.
    NotText(&'static str),
    /// More than 50 tags.
    TooManyTags,
    /// Two tags whose keys differ in case at most.
    RepeatedTag,
    /// A time before 1970 or after 9999, or an expiry that is not after the issue.
    Times,
    /// Bytes that no claims encode to.
    Malformed,
}

impl fmt::Display for ClaimsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(field) => write!(f, "the session has no {field}"),
            Self::Unexpected(field) => write!(f, "a session of this kind has no {field}"),
            Self::Empty(field) => write!(f, "the {field} is empty"),
            Self::TooLong(field) => write!(f, "the {field} is too long"),
            Self::NotText(field) => write!(f, "the {field} has characters that it must not have"),
            Self::TooManyTags => write!(f, "more than {MOST_TAGS} tags"),
            Self::RepeatedTag => f.write_str("two tags have the same key"),
            Self::Times => f.write_str("the session does not end after it begins"),
            Self::Malformed => f.write_str("not the encoding of claims"),
        }
    }
}

impl Error for ClaimsError {}

impl Layout {
    fn of(encoded: &[u8]) -> Result<Self, ClaimsError> {
        // Spans are 16 bits wide.
        u16::try_from(encoded.len()).map_err(|_| ClaimsError::Malformed)?;
        let mut reader = Reader { bytes: encoded };
        let mut layout = Self::head(&mut reader).ok_or(ClaimsError::Malformed)?;
        let mut last = None;
        let mut last_key = None;
        let mut tags = 0;
        while !reader.bytes.is_empty() {
            let start = encoded.len() - reader.bytes.len();
            let (field, bytes) = reader.field().ok_or(ClaimsError::Malformed)?;
            if bytes.len() > field.limit() {
                return Err(ClaimsError::TooLong(field.name()));
            }
            let end = encoded.len() - reader.bytes.len();
            let order = last.map_or(Ordering::Less, |last: Field| last.cmp(&field));
            if field == Field::Tag {
                let tag = tag(bytes)?;
                match last_key.map_or(Ordering::Less, |key| without_case(key, tag.key)) {
                    Ordering::Less => {}
                    Ordering::Equal => return Err(ClaimsError::RepeatedTag),
                    Ordering::Greater => return Err(ClaimsError::Malformed),
                }
                last_key = Some(tag.key);
                tags += 1;
                layout.tags = match tags {
                    1 => Span::new(start, end),
                    _ => Span { end: place(end), ..layout.tags },
                };
            } else {
                if order != Ordering::Less {
                    return Err(ClaimsError::Malformed);
                }
                check_text(field.name(), bytes, field == Field::Policy)?;
                layout.place(field, Span::new(end - bytes.len(), end));
            }
            last = Some(field);
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
            principal: Span::default(),
            session_name: None,
            subject: None,
            issuer: None,
            source_identity: None,
            policy: None,
            tags: Span::default(),
        })
    }

    fn place(&mut self, field: Field, span: Span) {
        match field {
            Field::Principal => self.principal = span,
            Field::SessionName => self.session_name = Some(span),
            Field::Subject => self.subject = Some(span),
            Field::Issuer => self.issuer = Some(span),
            Field::SourceIdentity => self.source_identity = Some(span),
            Field::Policy => self.policy = Some(span),
            Field::Tag => {}
        }
    }

    /// What the kind of session asks for.
    fn check(&self) -> Result<(), ClaimsError> {
        if self.expires > LAST_SECOND || self.expires <= self.issued {
            return Err(ClaimsError::Times);
        }
        let role = self.kind != SessionKind::SessionToken;
        let web = self.kind == SessionKind::WebIdentity;
        let expected = [
            (Field::Principal, self.principal.end > 0, true),
            (Field::SessionName, self.session_name.is_some(), role),
            (Field::Subject, self.subject.is_some(), web),
            (Field::Issuer, self.issuer.is_some(), web),
        ];
        for (field, present, wanted) in expected {
            match (present, wanted) {
                (false, true) => return Err(ClaimsError::Missing(field.name())),
                (true, false) => return Err(ClaimsError::Unexpected(field.name())),
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

    fn of(self, bytes: &[u8]) -> &[u8] {
        bytes.get(usize::from(self.start)..usize::from(self.end)).unwrap_or_default()
    }
}

#[derive(Clone)]
struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.bytes.split_first_chunk()?;
        self.bytes = rest;
        Some(*taken)
    }

    fn field(&mut self) -> Option<(Field, &'a [u8])> {
        let [number] = self.take()?;
        let length = u16::from_be_bytes(self.take()?);
        let (bytes, rest) = self.bytes.split_at_checked(usize::from(length))?;
        self.bytes = rest;
        Some((Field::of(number)?, bytes))
    }
}

/// All encodings are shorter than that.
fn place(at: usize) -> u16 {
    u16::try_from(at).unwrap_or(u16::MAX)
}

fn tag(bytes: &[u8]) -> Result<SessionTag<'_>, ClaimsError> {
    let mut reader = Reader { bytes };
    let transitive = match reader.take() {
        Some([0]) => false,
        Some([1]) => true,
        _ => return Err(ClaimsError::Malformed),
    };
    let length = reader.take().map(u16::from_be_bytes).ok_or(ClaimsError::Malformed)?;
    let (key, value) = reader.bytes.split_at_checked(usize::from(length)).ok_or(ClaimsError::Malformed)?;
    let key = text("tag's key", key)?;
    let value = if value.is_empty() { "" } else { text("tag's value", value)? };
    check_tag(key, value)?;
    Ok(SessionTag { key, value, transitive })
}

fn check_tag(key: &str, value: &str) -> Result<(), ClaimsError> {
    if key.len() > KEY_LIMIT {
        return Err(ClaimsError::TooLong("tag's key"));
    }
    if value.len() > VALUE_LIMIT {
        return Err(ClaimsError::TooLong("tag's value"));
    }
    Ok(())
}

fn text<'a>(field: &'static str, bytes: &'a [u8]) -> Result<&'a str, ClaimsError> {
    check_text(field, bytes, false)?;
    std::str::from_utf8(bytes).map_err(|_| ClaimsError::NotText(field))
}

/// Not empty, UTF-8, and without control characters; with `lines`, tabs and ends of lines are none.
fn check_text(field: &'static str, bytes: &[u8], lines: bool) -> Result<(), ClaimsError> {
    if bytes.is_empty() {
        return Err(ClaimsError::Empty(field));
    }
    if is_plain(bytes) {
        return Ok(());
    }
    let text = std::str::from_utf8(bytes).map_err(|_| ClaimsError::NotText(field))?;
    let blank = |c: char| lines && matches!(c, '\t' | '\n' | '\r');
    match text.chars().any(|c| c.is_control() && !blank(c)) {
        true => Err(ClaimsError::NotText(field)),
        false => Ok(()),
    }
}

/// Printable ASCII, as most texts are; without a branch per byte, so that a compiler takes many at a time.
fn is_plain(bytes: &[u8]) -> bool {
    bytes.iter().fold(true, |plain, byte| plain & (byte.wrapping_sub(b' ') < 95))
}

fn put(bytes: &mut Vec<u8>, field: Field, parts: &[&[u8]]) -> Result<(), ClaimsError> {
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

fn without_case(a: &str, b: &str) -> Ordering {
    if a.is_ascii() && b.is_ascii() {
        return a
            .bytes()
            .map(|byte| byte.to_ascii_lowercase())
            .cmp(b.bytes().map(|byte| byte.to_ascii_lowercase()));
    }
    a.chars().flat_map(char::to_lowercase).cmp(b.chars().flat_map(char::to_lowercase))
}

fn seconds(time: SystemTime) -> Result<u64, ClaimsError> {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).map_err(|_| ClaimsError::Times)?;
    Some(since.as_secs()).filter(|second| *second <= LAST_SECOND).ok_or(ClaimsError::Times)
}

fn time(second: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(second)
}

#[cfg(test)]
mod tests;
