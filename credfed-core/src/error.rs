//! Why a source gave no credential.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The most that an error keeps of any text that came from outside, in characters.
const LONGEST_TEXT: usize = 200;

/// Why a source gave no credential.
///
/// All who wait for one load share its error, so it is cheap to clone. `Display` is one terse line with no
/// secret in it; the cause is found through [`source`](Error::source) only. Texts are cut to 200 characters
/// and stripped of what does not print.
#[derive(Clone)]
pub struct ProviderError(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    message: Cow<'static, str>,
    code: Option<String>,
    request_id: Option<String>,
    retry_after: Option<Duration>,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

/// What a failure means for whoever might try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// It may work in a moment: a timeout, a reset, a 5xx, an answer that was cut off.
    Transient,
    /// The server asks for patience; see [`ProviderError::retry_after`].
    Throttled,
    /// The server refused: access denied, a malformed policy, an assertion it does not accept.
    Rejected,
    /// The settings cannot work: half a key pair, a file that is a directory.
    Misconfigured,
    /// Nothing is set up here. A chain of sources goes on to the next one.
    NotConfigured,
}

impl ProviderError {
    /// A failure of a kind. The message is lower-case, terse, and free of secrets.
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Arc::new(Inner {
            kind,
            message: printable(message.into()),
            code: None,
            request_id: None,
            retry_after: None,
            source: None,
        }))
    }

    /// [`ErrorKind::Transient`].
    pub fn transient(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Transient, message)
    }

    /// [`ErrorKind::Throttled`], with the time that the server asked for, if it did.
    pub fn throttled(message: impl Into<Cow<'static, str>>, retry_after: Option<Duration>) -> Self {
        let error = Self::new(ErrorKind::Throttled, message);
        match retry_after {
            Some(after) => error.with_retry_after(after),
            None => error,
        }
    }

    /// [`ErrorKind::Rejected`].
    pub fn rejected(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Rejected, message)
    }

    /// [`ErrorKind::Misconfigured`].
    pub fn misconfigured(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Misconfigured, message)
    }

    /// [`ErrorKind::NotConfigured`].
    pub fn not_configured(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::NotConfigured, message)
    }

    /// Adds the cause. What its `Display` says is the adder's responsibility: no URL query, body or token.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.inner_mut().source = Some(Arc::from(source.into()));
        self
    }

    /// Adds the server's own error code, such as `ExpiredTokenException`.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<String>) -> Self {
        self.inner_mut().code = Some(printable(Cow::Owned(code.into())).into_owned());
        self
    }

    /// Adds the server's id of the request.
    #[must_use]
    pub fn with_request_id(mut self, id: impl Into<String>) -> Self {
        self.inner_mut().request_id = Some(printable(Cow::Owned(id.into())).into_owned());
        self
    }

    /// Adds how long the server wants to be left alone.
    #[must_use]
    pub fn with_retry_after(mut self, after: Duration) -> Self {
        self.inner_mut().retry_after = Some(after);
        self
    }

    /// What the failure means.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether the same call may work later without anybody changing anything.
    pub fn is_transient(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Transient | ErrorKind::Throttled)
    }

    /// How long the server wants to be left alone, if it said so.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// The server's own error code, if there is one.
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// The server's id of the request, if it gave one.
    pub fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }

    /// Whether both are clones of one error, that is, of one failed load.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    fn inner_mut(&mut self) -> &mut Inner {
        Arc::make_mut(&mut self.0)
    }
}

impl fmt::Display for ProviderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        if let Some(code) = &self.0.code {
            write!(f, " ({code})")?;
        }
        if let Some(id) = &self.0.request_id {
            write!(f, " [request {id}]")?;
        }
        Ok(())
    }
}

/// Leaves the cause out: what foreign errors print in `Debug` is not known here.
impl fmt::Debug for ProviderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderError")
            .field("kind", &self.0.kind)
            .field("message", &self.0.message)
            .field("code", &self.0.code)
            .field("request_id", &self.0.request_id)
            .field("retry_after", &self.0.retry_after)
            .field("has_source", &self.0.source.is_some())
            .finish()
    }
}

impl Error for ProviderError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}

fn printable(text: Cow<'static, str>) -> Cow<'static, str> {
    // Nearly all texts, at a fraction of the cost: a flood of errors may be what is told of.
    if text.len() <= LONGEST_TEXT && text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return text;
    }
    let fits = text.chars().nth(LONGEST_TEXT).is_none();
    if fits && !text.chars().any(does_not_print) {
        return text;
    }
    Cow::Owned(text.chars().filter(|&c| !does_not_print(c)).take(LONGEST_TEXT).collect())
}

/// Control characters, and the invisible ones that reorder text or hide in it.
fn does_not_print(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{2069}'
                | '\u{feff}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_is_one_line_and_the_cause_is_found_through_source_only() {
        let error = ProviderError::rejected("the role may not be assumed")
            .with_code("AccessDenied")
            .with_request_id("c0ffee")
            .with_source("canary-cause");
        assert_eq!(error.to_string(), "the role may not be assumed (AccessDenied) [request c0ffee]");
        assert!(!format!("{error:?}").contains("canary"));
        assert_eq!(error.source().map(ToString::to_string).as_deref(), Some("canary-cause"));
    }

    #[test]
    fn foreign_text_is_cut_and_stripped() {
        let error = ProviderError::transient(format!("a\r\nb\u{202e}{}", "x".repeat(1000)));
        let text = error.to_string();
        assert!(text.starts_with("abxxx"));
        assert_eq!(text.chars().count(), LONGEST_TEXT);
        assert_eq!(ProviderError::transient("a").with_code("b\u{0}c").code(), Some("bc"));
    }

    #[test]
    fn no_character_that_reorders_or_hides_text_stays() {
        for c in
            "\u{ad}\u{61c}\u{180e}\u{200b}\u{2028}\u{202e}\u{2066}\u{feff}\u{e0000}\u{e0041}\u{e007f}".chars()
        {
            let error = ProviderError::transient(format!("a{c}b")).with_request_id(format!("c{c}d"));
            assert_eq!(error.to_string(), "ab [request cd]", "U+{:04X}", u32::from(c));
        }
    }

    #[test]
    fn clones_are_one_error() {
        let error = ProviderError::throttled("slow down", Some(Duration::from_secs(3)));
        let clone = error.clone();
        assert!(error.is_same(&clone));
        assert_eq!(clone.retry_after(), Some(Duration::from_secs(3)));
        assert!(clone.is_transient());
        assert!(!error.is_same(&ProviderError::throttled("slow down", None)));
    }
}
