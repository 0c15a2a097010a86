//! What a key may do, and whether that covers what a request needs. Nothing is allowed that no grant names.

use std::fmt;

use crate::grants::{Claim, GrantTemplate};
use crate::names::{BucketName, KeyPrefix, ObjectKey};

/// One kind of thing that can be done in a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Objects and what is known of them.
    Read,
    /// Objects, their tags, and the parts of an upload.
    Write,
    /// Objects and their versions.
    Delete,
    /// The keys of a bucket.
    List,
    /// Everything else: the bucket itself, its configuration, access lists, locks, and whatever the gateway does
    /// not know.
    Administer,
}

/// What one key may do.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rights {
    pub(crate) list_buckets: bool,
    pub(crate) grants: Vec<Grant>,
}

/// What sessions of one role may do, each with its own claims.
#[derive(Clone, Debug, Default)]
pub(crate) struct RoleRights {
    pub(crate) list_buckets: bool,
    pub(crate) grants: Vec<GrantTemplate>,
}

/// Some actions in one bucket or all of them, on keys that begin with a prefix.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    pub(crate) buckets: Buckets,
    pub(crate) prefix: KeyPrefix,
    pub(crate) actions: Vec<Action>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Buckets {
    Any,
    Named(BucketName),
}

/// One thing that a request does; it passes when every one of its needs is covered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    ListBuckets,
    In { bucket: BucketName, action: Action, extent: Extent },
}

/// How much of a bucket an action concerns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    Key(ObjectKey),
    Prefix(KeyPrefix),
    Everything,
    /// Only whether the bucket is there.
    Existence,
}

impl Action {
    pub(crate) const ALL: [Self; 5] = [Self::Read, Self::Write, Self::Delete, Self::List, Self::Administer];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Delete => "delete",
            Self::List => "list",
            Self::Administer => "administer",
        }
    }
}

impl Rights {
    /// Everything, everywhere, in so many words.
    pub(crate) fn all() -> Self {
        let everywhere =
            Grant { buckets: Buckets::Any, prefix: KeyPrefix::default(), actions: Action::ALL.to_vec() };
        Self { list_buckets: true, grants: vec![everywhere] }
    }

    pub(crate) fn cover(&self, need: &Need) -> bool {
        match need {
            Need::ListBuckets => self.list_buckets,
            Need::In { bucket, action, extent } => {
                self.grants.iter().any(|grant| grant.covers(bucket, *action, extent))
            }
        }
    }
}

impl RoleRights {
    /// Everything, everywhere.
    pub(crate) fn all() -> Self {
        Self { list_buckets: true, grants: vec![GrantTemplate::everything()] }
    }

    /// The rights of a session with these claims.
    pub(crate) fn of<'a>(&self, claim: impl Fn(&Claim) -> Option<&'a str>) -> Rights {
        let grants = self.grants.iter().filter_map(|grant| grant.of(&claim)).collect();
        Rights { list_buckets: self.list_buckets, grants }
    }
}

impl Grant {
    fn covers(&self, bucket: &BucketName, action: Action, extent: &Extent) -> bool {
        let here = match &self.buckets {
            Buckets::Any => !bucket.must_be_named(),
            Buckets::Named(name) => name == bucket,
        };
        here && self.actions.contains(&action)
            && match extent {
                Extent::Key(key) => key.starts_with(&self.prefix),
                Extent::Prefix(listed) => listed.starts_with(&self.prefix),
                Extent::Everything => self.prefix.is_empty(),
                Extent::Existence => true,
            }
    }
}

/// For the log: without the key, which is the client's own text.
impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::In { bucket, action, extent } = self else { return f.write_str("list-buckets") };
        let of = match extent {
            Extent::Key(_) => "a key",
            Extent::Prefix(_) => "a prefix",
            Extent::Everything => "everything",
            Extent::Existence => "anything",
        };
        write!(f, "{} of {of} in {bucket}", action.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(name: &str) -> BucketName {
        BucketName::parse(name).unwrap()
    }

    fn key(key: &str) -> Extent {
        Extent::Key(ObjectKey::parse(key.to_owned()).unwrap())
    }

    fn prefix(prefix: &str) -> KeyPrefix {
        KeyPrefix::parse(prefix.to_owned()).unwrap()
    }

    fn need(bucket_name: &str, action: Action, extent: Extent) -> Need {
        Need::In { bucket: bucket(bucket_name), action, extent }
    }

    fn reports() -> Rights {
        let grant = Grant {
            buckets: Buckets::Named(bucket("reports")),
            prefix: prefix("2026/"),
            actions: vec![Action::Read, Action::List],
        };
        Rights { list_buckets: false, grants: vec![grant] }
    }

    #[test]
    fn nothing_is_covered_by_no_grant() {
        let none = Rights::default();
        assert!(!none.cover(&Need::ListBuckets));
        for action in Action::ALL {
            assert!(!none.cover(&need("reports", action, Extent::Existence)));
        }
    }

    #[test]
    fn a_grant_covers_its_bucket_prefix_and_actions_only() {
        let rights = reports();
        assert!(rights.cover(&need("reports", Action::Read, key("2026/01.csv"))));
        assert!(!rights.cover(&need("reports", Action::Read, key("2025/01.csv"))));
        assert!(!rights.cover(&need("reports", Action::Read, key("2026"))));
        assert!(!rights.cover(&need("reports", Action::Write, key("2026/01.csv"))));
        assert!(!rights.cover(&need("Reports", Action::Read, key("2026/01.csv"))));
        assert!(!rights.cover(&Need::ListBuckets));
    }

    #[test]
    fn a_list_must_stay_within_the_prefix() {
        let rights = reports();
        assert!(rights.cover(&need("reports", Action::List, Extent::Prefix(prefix("2026/0")))));
        assert!(!rights.cover(&need("reports", Action::List, Extent::Prefix(prefix("2026")))));
        assert!(!rights.cover(&need("reports", Action::List, Extent::Prefix(KeyPrefix::default()))));
        assert!(!rights.cover(&need("reports", Action::List, Extent::Everything)));
        assert!(rights.cover(&need("reports", Action::List, Extent::Existence)));
    }

    #[test]
    fn a_wildcard_stops_before_administrative_interfaces() {
        let all = Rights::all();
        assert!(all.cover(&need("anything", Action::Administer, Extent::Everything)));
        assert!(!all.cover(&need("minio", Action::Read, key("v3/list-users"))));
        assert!(!all.cover(&need("Admin", Action::Read, key("user"))));
        let named = Grant {
            buckets: Buckets::Named(bucket("admin")),
            prefix: KeyPrefix::default(),
            actions: vec![Action::Read],
        };
        let named = Rights { list_buckets: false, grants: vec![named] };
        assert!(named.cover(&need("admin", Action::Read, key("report"))));
    }
}
