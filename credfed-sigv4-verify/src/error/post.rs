//! What is wrong with a POST form, and what the client is told of it.

use std::fmt;

/// What makes a form no form.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PostFault {
    /// Not a POST of `multipart/form-data`.
    Enclosure,
    /// The URL has a query, which no policy covers.
    Target,
    /// The body is no well-formed `multipart/form-data`.
    Multipart,
    /// The name of a field is empty or not visible ASCII, or is the file's.
    FieldName,
    /// The value of this field is not UTF-8, or the field stands for a header that cannot carry it.
    FieldValue(Box<str>),
    /// This field, in lower case, comes more than once.
    RepeatedField(Box<str>),
    /// A field that every signed form has is not there.
    MissingField(&'static str),
    /// Something comes after the file.
    AfterFile,
    /// There is no file.
    FileMissing,
    /// The key is empty or has a NUL in it.
    Key,
}

impl PostFault {
    pub(super) fn code(&self) -> (&'static str, u16) {
        match self {
            Self::Enclosure => ("PreconditionFailed", 412),
            Self::MissingField(_) | Self::Key => ("InvalidArgument", 400),
            Self::FileMissing => ("IncorrectNumberOfFilesInPostRequest", 400),
            Self::Target
            | Self::Multipart
            | Self::FieldName
            | Self::FieldValue(_)
            | Self::RepeatedField(_)
            | Self::AfterFile => ("MalformedPOSTRequest", 400),
        }
    }

    pub(super) fn message(&self) -> String {
        match self {
            Self::Enclosure => "At least one of the pre-conditions you specified did not hold".into(),
            Self::MissingField(name) => format!(
                "Bucket POST must contain a field named '{name}'.  If it is specified, please check the order of the \
                 fields."
            ),
            Self::Key => "User key must have a length greater than 0.".into(),
            Self::FileMissing => "POST requires exactly one file upload per request.".into(),
            Self::Target => "A POST form goes to the bucket's URL, without a query.".into(),
            Self::AfterFile => "The file must be the last field of the form.".into(),
            Self::RepeatedField(name) => format!("The field {name} is repeated."),
            Self::Multipart | Self::FieldName | Self::FieldValue(_) => {
                "The body of your POST request is not well-formed multipart/form-data.".into()
            }
        }
    }

    pub(super) fn fields(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Enclosure => {
                vec![("Condition", "Bucket POST must be of the enclosure-type multipart/form-data".into())]
            }
            Self::MissingField(name) => {
                vec![("ArgumentName", (*name).into()), ("ArgumentValue", String::new())]
            }
            _ => Vec::new(),
        }
    }

    pub(super) fn rule(&self) -> u8 {
        match self {
            Self::RepeatedField(_) => 3,
            Self::Target => 6,
            Self::Enclosure
            | Self::Multipart
            | Self::FieldName
            | Self::FieldValue(_)
            | Self::MissingField(_)
            | Self::AfterFile
            | Self::FileMissing
            | Self::Key => 1,
        }
    }
}

impl fmt::Display for PostFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Enclosure => "no post of multipart/form-data",
            Self::Target => "query in the url",
            Self::Multipart => "multipart",
            Self::FieldName => "field name",
            Self::FieldValue(name) => return write!(f, "value of {name}"),
            Self::RepeatedField(name) => return write!(f, "{name} repeated"),
            Self::MissingField(name) => return write!(f, "{name} missing"),
            Self::AfterFile => "something after the file",
            Self::FileMissing => "file missing",
            Self::Key => "key",
        })
    }
}

/// What makes a policy no policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PolicyFault {
    /// Not base64, with padding and without line breaks.
    Base64,
    /// Not JSON, or something after it.
    Json,
    /// A member or a condition is missing, unknown, repeated or of the wrong kind.
    Structure,
    /// The expiration is not `YYYY-MM-DDTHH:MM:SSZ`.
    Expiration,
    /// Credential, date, algorithm and token have to be matched exactly.
    NotExact,
}

impl PolicyFault {
    pub(super) fn message(self) -> &'static str {
        match self {
            Self::Base64 | Self::Json => "Invalid Policy: Invalid JSON.",
            Self::Structure => {
                "Invalid Policy: Invalid Condition: a member or a condition is missing, unknown, repeated or of the \
                 wrong kind."
            }
            Self::Expiration => "Invalid Policy: Invalid 'expiration' value.",
            Self::NotExact => {
                "Invalid Policy: Invalid Condition: x-amz-algorithm, x-amz-credential, x-amz-date and \
                 x-amz-security-token need an exact match."
            }
        }
    }
}

impl fmt::Display for PolicyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Base64 => "base64",
            Self::Json => "json",
            Self::Structure => "members or conditions",
            Self::Expiration => "expiration",
            Self::NotExact => "credentials without an exact match",
        })
    }
}
