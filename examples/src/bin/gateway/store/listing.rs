//! What a list of a bucket shows: ListObjects and ListObjectsV2 differ in names alone.

use std::collections::BTreeMap;
use std::ops::Bound;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use s3s::dto::{CommonPrefix, EncodingType, Object};
use s3s::{S3Result, s3_error};

/// An object as lists show it, without its key.
#[derive(Clone, Debug)]
pub(super) struct Listed(pub(super) Object);

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    prefix: &'a str,
    delimiter: Option<&'a str>,
    max_keys: i32,
    /// Only what comes later.
    after: Option<&'a str>,
}

/// One page.
#[derive(Debug)]
pub(super) struct Listing {
    objects: Vec<(String, Listed)>,
    prefixes: Vec<String>,
    pub(super) max_keys: i32,
    /// The last entry of the page, where there are more behind it.
    pub(super) next: Option<String>,
}

/// How keys are written.
pub(super) type Encode = fn(&str) -> String;

impl<'a> Wanted<'a> {
    pub(super) fn new(
        prefix: &'a Option<String>,
        delimiter: &'a Option<String>,
        max_keys: Option<i32>,
    ) -> Self {
        Self {
            prefix: prefix.as_deref().unwrap_or_default(),
            delimiter: delimiter.as_deref().filter(|delimiter| !delimiter.is_empty()),
            max_keys: max_keys.unwrap_or(1000).clamp(0, 1000),
            after: None,
        }
    }

    /// Starts behind the latest of these.
    pub(super) fn after<const N: usize>(mut self, marks: [&'a Option<String>; N]) -> Self {
        self.after = marks.into_iter().filter_map(Option::as_deref).max();
        self
    }

    /// The part of a key up to the delimiter, if it stands behind the prefix.
    fn common_prefix<'k>(&self, key: &'k str) -> Option<&'k str> {
        let delimiter = self.delimiter?;
        let at = key.get(self.prefix.len()..)?.find(delimiter)?;
        key.get(..self.prefix.len() + at + delimiter.len())
    }
}

impl Listing {
    pub(super) fn of(objects: &BTreeMap<String, Listed>, wanted: &Wanted<'_>) -> Self {
        let max_keys = wanted.max_keys;
        let mut page = Self { objects: Vec::new(), prefixes: Vec::new(), max_keys, next: None };
        let mut last = None;
        let from = wanted.prefix.max(wanted.after.unwrap_or_default());
        for (key, object) in objects.range::<str, _>((Bound::Included(from), Bound::Unbounded)) {
            if !key.starts_with(wanted.prefix) {
                break;
            }
            let prefix = wanted.common_prefix(key);
            let entry = prefix.unwrap_or(key);
            if wanted.after.is_some_and(|after| entry <= after) || prefix.is_some() && last == prefix {
                continue;
            }
            if page.count() >= max_keys {
                page.next = last.map(str::to_owned);
                break;
            }
            match prefix {
                Some(prefix) => page.prefixes.push(prefix.to_owned()),
                None => page.objects.push((key.clone(), object.clone())),
            }
            last = Some(entry);
        }
        page
    }

    pub(super) fn count(&self) -> i32 {
        i32::try_from(self.objects.len() + self.prefixes.len()).unwrap_or(i32::MAX)
    }

    pub(super) fn contents(&self, encode: Encode) -> Option<Vec<Object>> {
        let shown = self.objects.iter();
        Some(shown.map(|(key, Listed(object))| Object { key: Some(encode(key)), ..object.clone() }).collect())
    }

    pub(super) fn common_prefixes(&self, encode: Encode) -> Option<Vec<CommonPrefix>> {
        Some(self.prefixes.iter().map(|prefix| CommonPrefix { prefix: Some(encode(prefix)) }).collect())
    }
}

/// An entry as what the next page is asked for with. Always encoded: XML cannot hold every key, and clients hand it back
/// as it stands there.
pub(super) fn token(entry: &str) -> String {
    utf8_percent_encode(entry, NON_ALPHANUMERIC).to_string()
}

/// The entry of a token.
pub(super) fn of_token(token: &str) -> S3Result<String> {
    let entry = percent_decode_str(token).decode_utf8().map_err(|_| s3_error!(InvalidArgument))?;
    Ok(entry.into_owned())
}

/// As the request says; XML cannot hold every key.
pub(super) fn encoding(asked: Option<&EncodingType>) -> S3Result<Encode> {
    const PLAIN: &AsciiSet =
        &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');
    match asked.map(EncodingType::as_str) {
        None => Ok(str::to_owned),
        Some(EncodingType::URL) => Ok(|text| utf8_percent_encode(text, PLAIN).to_string()),
        Some(_) => Err(s3_error!(InvalidArgument)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pages of a list, each entry as it is shown, prefixes behind keys.
    fn pages(keys: &[&str], prefix: &str, delimiter: Option<&str>, max_keys: i32) -> Vec<Vec<String>> {
        let objects: BTreeMap<_, _> =
            keys.iter().map(|key| ((*key).to_owned(), Listed(Object::default()))).collect();
        let (prefix, delimiter) = (Some(prefix.to_owned()), delimiter.map(str::to_owned));
        let (mut pages, mut next) = (Vec::new(), None);
        loop {
            let wanted = Wanted::new(&prefix, &delimiter, Some(max_keys)).after([&next]);
            let page = Listing::of(&objects, &wanted);
            let keys = page.objects.iter().map(|(key, _)| key.clone());
            pages.push(keys.chain(page.prefixes.iter().cloned()).collect());
            next = page.next;
            if next.is_none() {
                return pages;
            }
        }
    }

    const KEYS: [&str; 8] = ["/", "/a", "a", "a/", "a/b", "a//b", "a/b/c", "b/c"];

    #[test]
    fn without_a_delimiter_every_key_is_shown_once_and_in_order() {
        let mut sorted = KEYS.map(str::to_owned).to_vec();
        sorted.sort();
        for size in 1..=9 {
            assert_eq!(pages(&KEYS, "", None, size).concat(), sorted);
        }
    }

    #[test]
    fn what_has_a_delimiter_behind_the_prefix_is_shown_as_one_common_prefix() {
        assert_eq!(pages(&KEYS, "", Some("/"), 9), [["a", "/", "a/", "b/"]]);
        assert_eq!(pages(&KEYS, "a/", Some("/"), 9), [["a/", "a/b", "a//", "a/b/"]]);
        assert_eq!(pages(&KEYS, "a", None, 9), [["a", "a/", "a//b", "a/b", "a/b/c"]]);
        assert_eq!(pages(&KEYS, "c", Some("/"), 9), [[""; 0]]);
    }

    #[test]
    fn a_common_prefix_is_on_one_page_only() {
        for size in 1..=5 {
            let mut shown = pages(&KEYS, "", Some("/"), size).concat();
            shown.sort();
            assert_eq!(shown, ["/", "a", "a/", "b/"]);
        }
        assert_eq!(pages(&KEYS, "", Some("/"), 2), [["a", "/"], ["a/", "b/"]]);
    }

    #[test]
    fn an_empty_page_is_the_last_one() {
        assert_eq!(pages(&KEYS, "", None, 0), [[""; 0]]);
    }

    #[test]
    fn keys_are_encoded_only_where_that_is_asked_for() {
        let url = EncodingType::from_static(EncodingType::URL);
        assert_eq!(encoding(Some(&url)).unwrap()("a b/ü+%"), "a%20b/%C3%BC%2B%25");
        assert_eq!(encoding(None).unwrap()("a b/ü+%"), "a b/ü+%");
        assert!(encoding(Some(&EncodingType::from_static("base64"))).is_err());
    }
}
