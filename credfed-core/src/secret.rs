//! Text that must not be seen.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::{ZeroizeOnDrop, Zeroizing};

/// A piece of secret text: a secret access key, a session token, a bearer token.
///
/// It is wiped when it is dropped, its `Debug` shows nothing of it, and two of them compare in time that
/// depends on their lengths only. It never grows, so no stale copy is left behind by a reallocation.
/// There is one way to read it: [`Secret::expose`], a name that a reviewer can search for.
///
/// ```
/// use credfed_core::Secret;
///
/// let secret = Secret::new("wJalrXUtnFEMI");
/// assert_eq!(format!("{secret:?}"), "Secret([redacted])");
/// assert_eq!(secret.expose(), "wJalrXUtnFEMI");
/// ```
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes over the text. A `String` is moved, not copied; of a `&str` the caller keeps its own copy,
    /// which is the caller's to wipe.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text itself. Whatever is copied out of here is no longer wiped by this type.
    pub fn expose(&self) -> &str {
        self.0.as_str()
    }

    /// Whether there is no text at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The length in bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret([redacted])")
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for Secret {}

/// The one field wipes itself.
impl ZeroizeOnDrop for Secret {}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroize;

    use super::*;

    #[test]
    fn neither_form_of_debug_shows_the_text() {
        let secret = Secret::new("canary-4711");
        assert!(!format!("{secret:?}").contains("canary"));
        assert!(!format!("{secret:#?}").contains("canary"));
    }

    #[test]
    fn equality_is_by_content() {
        assert_eq!(Secret::new("a"), Secret::new(String::from("a")));
        assert_ne!(Secret::new("a"), Secret::new("b"));
        assert_ne!(Secret::new("a"), Secret::new("aa"));
    }

    #[test]
    fn a_string_is_taken_over_without_a_copy() {
        let text = String::with_capacity(64) + "canary-4711";
        let address = text.as_ptr();
        assert_eq!(Secret::new(text).expose().as_ptr(), address);
    }

    #[test]
    fn wiping_clears_the_text_and_dropping_wipes() {
        fn wipes_on_drop<T: ZeroizeOnDrop>(_: &T) {}
        wipes_on_drop(&Secret::new("a").0);
        let mut secret = Secret::new("canary-4711");
        secret.0.zeroize();
        assert!(secret.is_empty());
    }
}
