//! What makes one credential differ from another.

use std::fmt;

use sha2::{Digest, Sha256};

/// The identity of a credential: a digest of every input that shaped it.
///
/// Source kind, endpoint, role, subject, audience, session name, policy, tags, duration, scopes, region: all
/// of them belong in, since two identities that are equal share one cached credential. It is built from named
/// parts, never from a request, so that a caller cannot become a cache key by accident. Names and values
/// carry their lengths into the digest (SHA-256), so no two lists of parts run into each other.
///
/// ```
/// use credfed_core::Identity;
///
/// let dev = Identity::of("assume-role").part("role", "dev").part("session", "ci").finish();
/// let ops = Identity::of("assume-role").part("role", "ops").part("session", "ci").finish();
/// assert_ne!(dev, ops);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity([u8; 32]);

impl Identity {
    /// Starts with the kind of source, such as `assume-role`.
    pub fn of(kind: &str) -> IdentityBuilder {
        let mut builder = IdentityBuilder { hash: Sha256::new() };
        builder.feed(kind.as_bytes());
        builder
    }

    /// The digest itself.
    pub fn digest(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Shows the first eight bytes of the digest: enough to tell identities apart in a log.
impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(8).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({self})")
    }
}

/// Collects the parts of an [`Identity`]; see there.
#[derive(Clone)]
#[must_use = "an identity is made by finish()"]
pub struct IdentityBuilder {
    hash: Sha256,
}

impl IdentityBuilder {
    /// Adds one part. Order matters, as does an empty value.
    pub fn part(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.hash.update([b'p']);
        self.feed(name.as_bytes());
        self.feed(value.as_ref());
        self
    }

    /// Adds a part that may be absent; absent and empty differ.
    pub fn optional(mut self, name: &str, value: Option<impl AsRef<[u8]>>) -> Self {
        match value {
            Some(value) => self.part(name, value),
            None => {
                self.hash.update([b'n']);
                self.feed(name.as_bytes());
                self
            }
        }
    }

    /// Adds a list, its length included, so that neighbours do not run into each other.
    pub fn list(mut self, name: &str, values: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Self {
        self.hash.update([b'l']);
        self.feed(name.as_bytes());
        for value in values {
            self.hash.update([b'i']);
            self.feed(value.as_ref());
        }
        self.hash.update([b'e']);
        self
    }

    /// The identity of all parts so far.
    pub fn finish(self) -> Identity {
        Identity(self.hash.finalize().into())
    }

    fn feed(&mut self, bytes: &[u8]) {
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.hash.update(length.to_be_bytes());
        self.hash.update(bytes);
    }
}

impl fmt::Debug for IdentityBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdentityBuilder").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn parts_do_not_run_into_each_other() {
        let none = None::<&str>;
        let all = [
            Identity::of("kind").finish(),
            Identity::of("kind").part("a", "bc").finish(),
            Identity::of("kind").part("ab", "c").finish(),
            Identity::of("kinda").part("", "bc").finish(),
            Identity::of("kind").part("a", "b").part("c", "").finish(),
            Identity::of("kind").part("a", "").part("c", "b").finish(),
            Identity::of("kind").optional("a", none).finish(),
            Identity::of("kind").optional("a", Some("")).finish(),
            Identity::of("kind").list("a", ["b", "c"]).finish(),
            Identity::of("kind").list("a", ["bc"]).finish(),
            Identity::of("kind").list("a", none).finish(),
            Identity::of("kind").list("a", ["b"]).part("c", "").finish(),
        ];
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len());
    }

    #[test]
    fn equal_parts_make_equal_identities() {
        let make = || Identity::of("kind").part("a", "b").optional("c", Some("d")).finish();
        assert_eq!(make(), make());
    }

    #[test]
    fn debug_shows_a_short_digest_and_no_part() {
        let text = format!("{:?}", Identity::of("kind").part("role", "canary-role").finish());
        assert!(!text.contains("canary"));
        assert_eq!(text.len(), "Identity()".len() + 16);
    }
}
