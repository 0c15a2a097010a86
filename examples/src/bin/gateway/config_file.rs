//! Files in TOML: every fault is named with its line, and no message repeats a value, which may be a secret.

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use credfed_core::Secret;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

/// What is wrong with a file, and where. Never quotes the file: the line may hold a secret.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct FileError {
    path: PathBuf,
    line: Option<usize>,
    what: String,
}

/// What is wrong with a text, and at which bytes of it.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) at: Option<Range<usize>>,
    pub(crate) what: String,
}

/// A string whose value no error message repeats, unlike those of serde's own.
pub(crate) struct Text(Secret);

/// Reads and checks a file as a whole: every entry is good, or none is used.
pub(crate) fn read<T>(path: &Path, parse: impl FnOnce(&str) -> Result<T, Fault>) -> Result<T, FileError> {
    let text = std::fs::read_to_string(path).map_err(|error| FileError {
        path: path.to_owned(),
        line: None,
        what: unreadable(&error),
    })?;
    // Wiped when it goes.
    let text = Secret::new(text);
    parse(text.expose()).map_err(|fault| FileError {
        path: path.to_owned(),
        line: fault.at.map(|at| line_of(text.expose(), at)),
        what: fault.what,
    })
}

/// What is wrong with a file that a program makes, and with which one, where it is missing.
pub(crate) fn of_program(option: &str, path: &Path, program: &str, error: &dyn fmt::Display) -> String {
    let file = path.display();
    if path.exists() {
        format!("{option}: {file}: {error}")
    } else {
        format!("{option}: {file}: {error}; `{program} new {file}` makes one")
    }
}

fn unreadable(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => format!("cannot be read: {error}; examples/README.md shows such a file"),
        io::ErrorKind::InvalidData => "is no text in UTF-8: save it as one".to_owned(),
        _ => format!("cannot be read: {error}"),
    }
}

/// The text's entries, not yet checked.
pub(crate) fn entries<T: DeserializeOwned>(text: &str) -> Result<T, Fault> {
    // The message alone: the full text of the error shows the line.
    toml::from_str(text)
        .map_err(|error| Fault { at: error.span(), what: error.message().replace('\n', ", ") })
}

pub(crate) fn line_of(text: &str, at: Range<usize>) -> usize {
    text.bytes().take(at.start).filter(|byte| *byte == b'\n').count() + 1
}

impl Fault {
    pub(crate) fn new(at: Range<usize>, what: impl Into<String>) -> Self {
        Self { at: Some(at), what: what.into() }
    }

    /// Something that is missing, or wrong with the text as a whole.
    pub(crate) fn somewhere(what: impl Into<String>) -> Self {
        Self { at: None, what: what.into() }
    }

    /// Says of which entry it is.
    pub(crate) fn of(self, entry: impl fmt::Display) -> Self {
        Self { what: format!("{entry}: {}", self.what), ..self }
    }
}

impl Text {
    pub(crate) fn as_str(&self) -> &str {
        self.0.expose()
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match toml::Value::deserialize(deserializer)? {
            toml::Value::String(text) => Ok(Self(Secret::new(text))),
            _ => Err(serde::de::Error::custom("a string in quotes is needed here")),
        }
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some(line) = self.line {
            write!(f, ", line {line}")?;
        }
        write!(f, ": {}", self.what)
    }
}

impl std::error::Error for FileError {}
