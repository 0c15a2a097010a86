//! What is wrong with claims.

use std::error::Error;
use std::fmt;

use super::encoding::MOST_TAGS;

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
