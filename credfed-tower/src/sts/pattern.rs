//! What a trust compares names and claims with: an exact text, or an anchored glob.

/// The longest glob, in bytes; a longer one matches nothing, and the [lint](super::lint) says so.
pub(super) const LONGEST_GLOB: usize = 512;
/// The longest text that a glob is compared with, in bytes. It bounds the work, which is at worst the product.
const LONGEST_TEXT: usize = 2048;

/// An exact text, or a glob in which `*` stands for any characters (also `/` and `:`, also none) and `?` for one.
///
/// A glob is anchored at both ends and sees upper and lower case; there is no way to escape its wildcards: what
/// contains them is compared exactly. A text longer than 2048 bytes matches no glob.
///
/// ```
/// use credfed_tower::sts::Pattern;
///
/// let branch = Pattern::glob("repo:octo-org/*:ref:refs/heads/main");
/// assert!(branch.matches("repo:octo-org/site:ref:refs/heads/main"));
/// assert!(!branch.matches("repo:octo-org/site:ref:refs/heads/main2"));
/// assert!(!Pattern::exact("a*").matches("ab"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: Box<str>,
    is_glob: bool,
}

impl Pattern {
    /// Matches `text` and nothing else.
    pub fn exact(text: impl Into<Box<str>>) -> Self {
        Self { text: text.into(), is_glob: false }
    }

    /// Matches what `glob` describes.
    pub fn glob(glob: impl Into<Box<str>>) -> Self {
        let text = glob.into();
        let is_glob = text.contains(['*', '?']);
        Self { text, is_glob }
    }

    /// Whether all of `text` is what this describes.
    pub fn matches(&self, text: &str) -> bool {
        if !self.is_glob {
            return *self.text == *text;
        }
        self.text.len() <= LONGEST_GLOB && text.len() <= LONGEST_TEXT && glob_matches(&self.text, text)
    }

    /// The text or glob.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether there are wildcards in it.
    pub fn is_glob(&self) -> bool {
        self.is_glob
    }

    /// Whether it says nothing: no character of it is fixed.
    pub(super) fn is_bare(&self) -> bool {
        self.text.is_empty() || (self.is_glob && self.text.chars().all(|c| matches!(c, '*' | '?')))
    }

    /// What every text that matches begins with.
    pub(super) fn fixed_start(&self) -> &str {
        let end = if self.is_glob { self.text.find(['*', '?']) } else { None };
        self.text.get(..end.unwrap_or(self.text.len())).unwrap_or_default()
    }
}

/// Exact, not a glob: a wildcard is something to ask for.
impl From<&str> for Pattern {
    fn from(text: &str) -> Self {
        Self::exact(text)
    }
}

impl From<String> for Pattern {
    fn from(text: String) -> Self {
        Self::exact(text)
    }
}

/// Only the last `*` is ever tried again: an earlier one has nothing to gain from taking more.
fn glob_matches(glob: &str, text: &str) -> bool {
    let (mut glob, mut text) = (glob.chars(), text.chars());
    let mut again = None;
    loop {
        let mut next = glob.clone();
        match next.next() {
            Some('*') => {
                glob = next;
                again = Some((glob.clone(), text.clone()));
                continue;
            }
            wanted => {
                let mut rest = text.clone();
                match (wanted, rest.next()) {
                    (None, None) => return true,
                    (Some(wanted), Some(found)) if wanted == '?' || wanted == found => {
                        (glob, text) = (next, rest);
                        continue;
                    }
                    _ => {}
                }
            }
        }
        // Let the last star take one character more.
        let Some((after, mut from)) = again.take() else { return false };
        if from.next().is_none() {
            return false;
        }
        (glob, text) = (after.clone(), from.clone());
        again = Some((after, from));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition, without any cleverness.
    fn reference(glob: &[char], text: &[char]) -> bool {
        match (glob.first(), text.first()) {
            (None, None) => true,
            (Some('*'), _) => {
                reference(&glob[1..], text) || (!text.is_empty() && reference(glob, &text[1..]))
            }
            (Some('?'), Some(_)) => reference(&glob[1..], &text[1..]),
            (Some(wanted), Some(found)) => wanted == found && reference(&glob[1..], &text[1..]),
            _ => false,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn the_matcher_agrees_with_the_definition(glob in "[ab*?é]{0,9}", text in "[abé*?]{0,12}") {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(Pattern::glob(glob.as_str()).matches(&text), reference(&chars(&glob), &chars(&text)));
        }

        #[test]
        fn an_exact_pattern_matches_itself_alone(pattern in ".{0,12}", text in ".{0,12}") {
            prop_assert!(Pattern::exact(pattern.as_str()).matches(&pattern));
            prop_assert_eq!(Pattern::exact(pattern.as_str()).matches(&text), pattern == text);
        }
    }

    #[test]
    fn globs_are_anchored_at_both_ends() {
        let glob = Pattern::glob("repo:octo/*");
        assert!(glob.matches("repo:octo/site") && glob.matches("repo:octo/"));
        assert!(!glob.matches("xrepo:octo/site") && !glob.matches("repo:octo-evil/site"));
        assert!(!Pattern::glob("*:main").matches("repo:main2"));
    }

    #[test]
    fn the_work_is_bounded() {
        let glob = Pattern::glob("*a".repeat(LONGEST_GLOB / 2));
        assert!(!glob.matches(&("a".repeat(LONGEST_TEXT - 1) + "b")));
        assert!(!glob.matches(&"a".repeat(LONGEST_TEXT + 1)), "longer texts match no glob");
        assert!(!Pattern::glob("*".repeat(LONGEST_GLOB + 1)).matches("a"), "longer globs match nothing");
    }

    #[test]
    fn bare_patterns_and_fixed_starts() {
        for bare in ["*", "**", "?*", "?", ""] {
            assert!(Pattern::glob(bare).is_bare(), "{bare}");
        }
        assert!(!Pattern::glob("a*").is_bare() && !Pattern::exact("*").is_bare());
        assert_eq!(Pattern::glob("repo:octo/*").fixed_start(), "repo:octo/");
        assert_eq!(Pattern::exact("a*b").fixed_start(), "a*b");
    }
}
