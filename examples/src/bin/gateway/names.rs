//! Buckets, keys and prefixes as the policy compares them: decoded exactly once, and free of every form that one
//! server reads in another way than the next.

use std::fmt;

/// A bucket's name: 3 to 63 of `A-Z a-z 0-9 . - _`, a letter or digit at both ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BucketName(String);

/// An object's key, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ObjectKey(String);

/// The beginning of keys, decoded; the empty one begins every key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct KeyPrefix(String);

/// First path segments under which some servers keep an administrative interface of their own.
const ADMINISTRATIVE: [&str; 2] = ["admin", "minio"];

impl BucketName {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
        let bytes = text.as_bytes();
        let good = (3..=63).contains(&bytes.len())
            && edge(bytes.first())
            && edge(bytes.last())
            && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(byte))
            && !text.contains("..");
        good.then(|| Self(text.to_owned()))
    }

    /// Whether a grant has to name this bucket, since a wildcard would hand out more than buckets.
    pub(crate) fn must_be_named(&self) -> bool {
        ADMINISTRATIVE.contains(&self.0.to_ascii_lowercase().as_str())
    }
}

impl ObjectKey {
    /// At most 1,024 bytes, with no slash at the start and no segment that is `.` or `..`: such keys are legal in S3,
    /// but servers and proxies that fold them, or take them for a path from the root, would reach another object than
    /// the one that was judged. Empty segments within a key are let through: whoever folds them stays below the
    /// prefix of every grant, since no such prefix has one.
    pub(crate) fn parse(decoded: String) -> Option<Self> {
        let good = !decoded.is_empty() && has_one_reading(&decoded);
        good.then_some(Self(decoded))
    }

    pub(crate) fn starts_with(&self, prefix: &KeyPrefix) -> bool {
        self.0.starts_with(&prefix.0)
    }
}

impl KeyPrefix {
    /// What is granted. The same rules as for a key, and no empty segment; it may be empty.
    pub(crate) fn parse(decoded: String) -> Option<Self> {
        Self::asked(decoded).filter(|Self(prefix)| !prefix.contains("//"))
    }

    /// What a list asks for: as a key, or empty.
    pub(crate) fn asked(decoded: String) -> Option<Self> {
        has_one_reading(&decoded).then_some(Self(decoded))
    }

    pub(crate) fn starts_with(&self, prefix: &Self) -> bool {
        self.0.starts_with(&prefix.0)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for BucketName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Percent-decodes once; `+` is a plus. `None` for half an escape and for what is not UTF-8.
pub(crate) fn decoded(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => nibble(bytes.next()?)? << 4 | nibble(bytes.next()?)?,
            plain => plain,
        });
    }
    String::from_utf8(decoded).ok()
}

/// As [`decoded`], but `+` is a blank: as forms are read.
pub(crate) fn decoded_with_blanks(text: &str) -> Option<String> {
    decoded(&text.replace('+', " "))
}

fn nibble(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// The empty text has one.
fn has_one_reading(decoded: &str) -> bool {
    decoded.len() <= 1024
        && !decoded.starts_with('/')
        && !decoded.contains('\0')
        && decoded.split(['/', '\\']).all(|segment| segment != "." && segment != "..")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_bucket_is_one_plain_segment() {
        for good in ["abc", "my.bucket-1", "Legacy_Bucket"] {
            assert!(BucketName::parse(good).is_some(), "{good}");
        }
        let long = "a".repeat(64);
        for bad in ["", "ab", "..", "a..b", ".hidden", "a%2fb", "a b", "a/b", "arn:aws:s3", "ends-", &long] {
            assert!(BucketName::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_key_has_one_reading() {
        for good in ["a", "a/b", "folder/", "a//b", "a//", "a...b/..c", "ü/日本", "a b+c%25", ".hidden"] {
            assert!(ObjectKey::parse(good.to_owned()).is_some(), "{good}");
        }
        let long = "a".repeat(1025);
        for bad in ["", "/", "/a", "//a", ".", "..", "a/../b", "a//..", "a/.", "./a", "a/..\\b", "a\0", &long]
        {
            assert!(ObjectKey::parse(bad.to_owned()).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_grant_has_no_empty_segment_and_a_list_may_ask_for_one() {
        for plain in ["", "a", "a/", "a/b"] {
            assert!(KeyPrefix::parse(plain.to_owned()).is_some(), "{plain}");
            assert!(KeyPrefix::asked(plain.to_owned()).is_some(), "{plain}");
        }
        for doubled in ["a//", "a//b"] {
            assert!(KeyPrefix::parse(doubled.to_owned()).is_none(), "{doubled}");
            assert!(KeyPrefix::asked(doubled.to_owned()).is_some(), "{doubled}");
        }
        for bad in ["/", "/a", "a/../b", "a//.."] {
            assert!(KeyPrefix::asked(bad.to_owned()).is_none(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_key_below_a_grant_is_below_it_for_servers_that_fold_slashes(
            prefix in "[ab/]{0,5}",
            rest in "[ab/]{0,8}",
        ) {
            let folded = |key: &str| {
                let mut key = key.to_owned();
                while key.contains("//") {
                    key = key.replace("//", "/");
                }
                ObjectKey(key)
            };
            let Some(prefix) = KeyPrefix::parse(prefix) else { return Ok(()) };
            let Some(key) = ObjectKey::parse(format!("{}{rest}", prefix.0)) else { return Ok(()) };
            prop_assert!(folded(&key.0).starts_with(&prefix), "{key:?} {prefix:?}");
        }
    }

    #[test]
    fn decoding_happens_once_and_strictly() {
        assert_eq!(decoded("a%2Fb%252e+").as_deref(), Some("a/b%2e+"));
        assert_eq!(decoded_with_blanks("a+b%2B").as_deref(), Some("a b+"));
        for bad in ["%", "%2", "%zz", "%+1", "%ff"] {
            assert_eq!(decoded(bad), None, "{bad}");
        }
    }
}
