//! The canonical path (rule 8): one form per profile, never several.

use std::borrow::Cow;

use super::percent::{self, Plus};
use crate::error::{Malformed, Reason};
use crate::profile::Profile;
use crate::scan;
use crate::scratch::Sink;

/// Refuses what no profile signs: another form than origin-form or absolute-form, broken escapes, an
/// encoded NUL.
pub(crate) fn check(path: &str) -> Result<(), Reason> {
    if !path.starts_with('/') || !percent::escapes_are_whole(path.as_bytes()) {
        return Err(Reason::MalformedRequest(Malformed::Path));
    }
    Ok(())
}

/// Appends the canonical form of `path`, which has passed [`check`] and, where the profile
/// normalises, is normal.
pub(crate) fn write(out: &mut impl Sink, path: &str, profile: Profile) {
    let bytes = path.as_bytes();
    match profile {
        // What is encoded already would come out of decoding and encoding as it is.
        Profile::S3
            if scan::all(bytes, |block| percent::unreserved(block) | block.is(b'/'))
                || scan::all(bytes, |block| percent::unreserved(block) | block.is(b'/') | block.is(b'%'))
                    && percent::escapes_are_strict(bytes) =>
        {
            out.put(bytes);
        }
        Profile::S3 => write_decoded_and_encoded(out, path),
        Profile::Sts | Profile::General { .. } => percent::encode(out, bytes, true),
    }
}

/// Segment by segment, so that an encoded slash stays encoded.
fn write_decoded_and_encoded(out: &mut impl Sink, path: &str) {
    let mut decoded = Vec::with_capacity(path.len());
    for (index, segment) in path.split('/').enumerate() {
        if index > 0 {
            out.put_byte(b'/');
        }
        decoded.clear();
        // The escapes were checked; a broken one would stand for itself and match no signature.
        match percent::decode(&mut decoded, segment.as_bytes(), Plus::Literal) {
            Some(()) => percent::encode(out, &decoded, false),
            None => percent::encode(out, segment.as_bytes(), false),
        }
    }
}

/// Whether `path` has neither empty segments nor dot segments.
pub(crate) fn is_normal(path: &str) -> bool {
    let bytes = path.as_bytes();
    // Each slash is judged by the two or three bytes that follow it.
    !memchr::memchr_iter(b'/', bytes).any(|at| {
        matches!(
            &bytes[at + 1..],
            [b'/', ..] | [b'.'] | [b'.', b'/', ..] | [b'.', b'.'] | [b'.', b'.', b'/', ..]
        )
    })
}

/// Removes empty and dot segments as AWS's signers do: RFC 3986, 5.2.4, and doubled slashes; a path
/// that ended in one of them ends in a slash.
pub(crate) fn normal(path: &str) -> Cow<'_, str> {
    if is_normal(path) {
        return Cow::Borrowed(path);
    }
    let mut kept: Vec<&str> = Vec::new();
    let mut last = "";
    for segment in path.split('/') {
        last = segment;
        match segment {
            "" | "." => {}
            ".." => drop(kept.pop()),
            other => kept.push(other),
        }
    }
    let mut normal = String::with_capacity(path.len());
    for segment in &kept {
        normal.push('/');
        normal.push_str(segment);
    }
    if normal.is_empty() || matches!(last, "" | "." | "..") {
        normal.push('/');
    }
    Cow::Owned(normal)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(path: &str, profile: Profile) -> String {
        check(path).unwrap();
        let mut out = Vec::new();
        write(&mut out, path, profile);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn s3_encodes_once_and_never_normalises() {
        for (wire, expected) in [
            ("/", "/"),
            ("//a///b/", "//a///b/"),
            ("/a/../b/./", "/a/../b/./"),
            ("/a+b%2Bc", "/a%2Bb%2Bc"),
            ("/a%2Fb/c%2fd", "/a%2Fb/c%2Fd"),
            ("/%7Ea~%41", "/~a~A"),
            ("/a%20b*@:!$", "/a%20b%2A%40%3A%21%24"),
            ("/ሴ%e1%88%b4", "/%E1%88%B4%E1%88%B4"),
            ("/a%2520b", "/a%2520b"),
            ("/%2e%2E/x", "/../x"),
        ] {
            assert_eq!(canonical(wire, Profile::S3), expected, "{wire}");
        }
    }

    #[test]
    fn others_encode_the_wire_bytes_again() {
        for (wire, expected) in
            [("/a%20b", "/a%2520b"), ("/@x/ሴ", "/%40x/%E1%88%B4"), ("/%2e%2e/x", "/%252e%252e/x")]
        {
            assert_eq!(canonical(wire, Profile::General { normalize: true }), expected, "{wire}");
        }
    }

    #[test]
    fn normalising() {
        for (wire, expected) in [
            ("/", "/"),
            ("//", "/"),
            ("/.", "/"),
            ("/..", "/"),
            ("/a/..", "/"),
            ("/a/b/..", "/a/"),
            ("/a/.", "/a/"),
            ("/a//b", "/a/b"),
            ("//a//", "/a/"),
            ("/../../a", "/a"),
            ("/./a", "/a"),
            ("/a/b/../../..", "/"),
        ] {
            assert_eq!(normal(wire), expected, "{wire}");
            assert_eq!(is_normal(wire), wire == expected, "{wire}");
        }
        for wire in ["/...", "/.a/..b/c..", "/a/", "/a.b/c", "/%2e%2e/"] {
            assert!(is_normal(wire), "{wire}");
        }
    }

    #[test]
    fn other_forms_and_broken_escapes_are_refused() {
        for path in ["", "*", "a", "/%", "/%2", "/%zz", "/a%00b"] {
            assert!(check(path).is_err(), "{path}");
        }
    }
}
