//! The regions that a signature is for (rule 4): the one of the scope, or x-amz-region-set of SigV4A.

use crate::canonical::headers::trim;
use crate::error::{Malformed, Reason};
use crate::request::Carrier;
use crate::scope::is_name;

/// Bytes of a set; the names of all regions of AWS together have fewer.
const LONGEST: usize = 1024;

/// Which regions a request says that it was signed for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Regions<'a> {
    One(&'a [u8]),
    /// A list of names, separated by commas.
    Set(&'a [u8]),
}

impl<'a> Regions<'a> {
    /// The region of a scope, or the set of SigV4A in place of it.
    #[inline]
    pub(crate) fn new(region: &'a [u8], set: Option<&'a [u8]>) -> Self {
        set.map_or(Self::One(region), Self::Set)
    }

    /// As [`new`](Self::new), if the set is one.
    #[inline]
    pub(crate) fn read(region: &'a [u8], set: Option<&'a [u8]>, carrier: Carrier) -> Result<Self, Reason> {
        match set {
            Some(set) if !is_set(set) => Err(Reason::Malformed(carrier, Malformed::RegionSet)),
            set => Ok(Self::new(region, set)),
        }
    }

    /// Whether `served` is among them. `*` stands for every region; other patterns stand for themselves, which is the
    /// name of no region.
    #[inline]
    pub(crate) fn include(&self, served: &[u8]) -> bool {
        match self {
            Self::One(region) => *region == served,
            Self::Set(set) => entries(set).any(|entry| entry == b"*" || entry == served),
        }
    }
}

/// Whether this is a list of region names, `*` among them or not.
fn is_set(text: &[u8]) -> bool {
    text.len() <= LONGEST && entries(text).all(is_name)
}

/// The entries of a set, blanks around them left out.
fn entries(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|&byte| byte == b',').map(trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_a_list_of_names() {
        for text in
            ["*", "us-east-1", "us-east-1,eu-west-1", "us-east-1, eu-west-1", "us-*", "us-east-1,*", "a,a"]
        {
            assert!(is_set(text.as_bytes()), "{text}");
        }
        let long = "us-east-1,".repeat(103) + "eu-west-1";
        for text in [
            "",
            " ",
            ",",
            "us-east-1,",
            ",us-east-1",
            "us-east-1,,eu-west-1",
            "us-east-1, ,eu-west-1",
            "us east 1",
            "us-east-1;eu-west-1",
            "us-east-1 eu-west-1",
            "us/east",
            "us-east-1\0",
            "\"us-east-1\"",
            "%2A",
            "régions",
            &"a".repeat(65),
            &long,
        ] {
            assert!(!is_set(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn an_entry_is_a_region_to_the_letter_or_all_of_them() {
        let include = |set: &str, served: &str| Regions::Set(set.as_bytes()).include(served.as_bytes());
        for set in ["us-east-1", "eu-west-1,us-east-1", "eu-west-1, us-east-1 ,ap-1", "*", "eu-west-1,*"] {
            assert!(include(set, "us-east-1"), "{set}");
        }
        for set in
            ["us-east-10", "us-east", "US-EAST-1", "us-*", "us-east-*", "**", "us-east-?", "eu-west-1", "all"]
        {
            assert!(!include(set, "us-east-1"), "{set}");
        }
        // A star in a scope is the name of a region like any other.
        assert!(!Regions::One(b"*").include(b"us-east-1"));
    }
}
