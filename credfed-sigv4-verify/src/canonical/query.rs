//! The canonical query: each name and value decoded and encoded, sorted by encoded name, then value.

use super::percent::{self, Plus};
use crate::authorization::Text;
use crate::error::{Malformed, Reason};
use crate::limits::{Limit, Limits};
use crate::query::{self, Kind, index};
use crate::scan;
use crate::scratch::Work;

/// Where a parameter stands in the query.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pair {
    start: u32,
    equals: u32,
    end: u32,
    pub(crate) kind: Kind,
    /// Whether the escapes of the value stand for visible ASCII, where it was decoded.
    visible: bool,
    /// The value in the buffer of what is decoded, where it was decoded at once.
    decoded: Option<(u32, u32)>,
    /// The beginning of the name.
    leading: u64,
}

impl Pair {
    /// The name as on the wire.
    pub(crate) fn name<'q>(&self, query: &'q [u8]) -> &'q [u8] {
        &query[self.start as usize..self.equals as usize]
    }

    /// The value as on the wire; empty where there is no `=`.
    pub(crate) fn value<'q>(&self, query: &'q [u8]) -> &'q [u8] {
        query.get(self.equals as usize + 1..self.end as usize).unwrap_or_default()
    }

    /// What stands in `query` from `start` to `end`, with its first `=` at `equals`.
    fn new(query: &[u8], start: usize, equals: usize, end: usize) -> Self {
        let name = &query[start..equals];
        let (kind, leading) = (query::classify(name), scan::leading(name));
        // All are at most the length of the query, which was checked.
        let [start, equals, end] = [start, equals, end].map(|at| u32::try_from(at).unwrap_or(u32::MAX));
        Self { start, equals, end, kind, visible: true, decoded: None, leading }
    }

    /// Whether the escapes are those that encoding gives. A value that has to be read is decoded on the way.
    fn decode_if_strict(&mut self, out: &mut Vec<u8>, query: &[u8]) -> bool {
        use index::{CREDENTIAL, REGION_SET, SECURITY_TOKEN, SIGNED_HEADERS};
        if !matches!(self.kind, Kind::Credential(CREDENTIAL | SIGNED_HEADERS | SECURITY_TOKEN | REGION_SET)) {
            return percent::escapes_are_strict(&query[self.start as usize..self.end as usize]);
        }
        let start = out.len();
        match percent::decode_strict(out, self.value(query)) {
            Some(visible) => self.visible = visible,
            None => return false,
        }
        self.decoded = u32::try_from(start).ok().zip(u32::try_from(out.len()).ok());
        self.decoded.is_some()
    }

    /// The value, decoded, of a query that is verbatim; and whether it consists of visible ASCII.
    pub(crate) fn text<'q>(&self, query: &'q [u8]) -> (Text<'q>, bool) {
        match self.decoded {
            Some((start, end)) => (Text::Decoded { start, end }, self.visible),
            None => (Text::Wire(self.value(query)), true),
        }
    }
}

/// Finds the parameters of `query`, and whether they are encoded as they have to be, so that they can be copied. Then
/// the values that have to be read are decoded on the way. Refuses broken escapes.
pub(crate) fn read(work: &mut Work, query: &[u8], limits: &Limits) -> Result<bool, Reason> {
    if query.len() > limits.query_bytes || u32::try_from(query.len()).is_err() {
        return Err(Reason::LimitExceeded(Limit::QueryBytes));
    }
    let mut foreign = 0;
    let separators = scan::positions(query, |block| {
        let separators = block.within(b'%', b'&') | block.is(b'=');
        foreign |= !(percent::unreserved(block) | separators).bits();
        separators & !block.is(b'%')
    });
    let mut strict = true;
    let mut start = 0;
    let mut equals = None;
    for at in separators.chain([query.len()]) {
        if query.get(at) == Some(&b'=') {
            // Another one would have to be escaped.
            strict &= equals.is_none();
            equals.get_or_insert(at);
            continue;
        }
        if start < at {
            if work.pairs.len() == limits.query_parameters {
                return Err(Reason::LimitExceeded(Limit::QueryParameters));
            }
            let pair = Pair::new(query, start, equals.take().unwrap_or(at), at);
            work.pairs.push(pair);
        }
        start = at + 1;
        equals = None;
    }
    // The bits above those of a block are ones.
    let plain = strict && foreign & 0xffff == 0;
    if plain && work.pairs.iter_mut().all(|pair| pair.decode_if_strict(&mut work.decoded, query)) {
        return Ok(true);
    }
    if !percent::escapes_are_whole(query) {
        return Err(Reason::MalformedRequest(Malformed::Query));
    }
    work.decoded.fill(0);
    work.decoded.clear();
    Ok(false)
}

/// Sorts parameters that can be copied.
pub(crate) fn sort(pairs: &mut [Pair], query: &[u8]) {
    pairs.sort_unstable_by(|a, b| {
        a.leading
            .cmp(&b.leading)
            .then_with(|| a.name(query).cmp(b.name(query)).then_with(|| a.value(query).cmp(b.value(query))))
    });
}

/// Appends the canonical query, without the parameters that `skip` names.
pub(crate) fn write(
    out: &mut Vec<u8>,
    pairs: &[Pair],
    query: &[u8],
    verbatim: bool,
    skip: impl Fn(&Pair) -> bool,
) {
    let kept = pairs.iter().filter(|pair| !skip(pair));
    let mut first = true;
    let mut separate = |out: &mut Vec<u8>| {
        if !std::mem::take(&mut first) {
            out.push(b'&');
        }
    };
    if verbatim {
        for pair in kept {
            separate(out);
            if pair.equals == pair.end {
                out.extend_from_slice(pair.name(query));
                out.push(b'=');
            } else {
                out.extend_from_slice(&query[pair.start as usize..pair.end as usize]);
            }
        }
        return;
    }
    let mut encoded: Vec<_> =
        kept.map(|pair| (recoded(pair.name(query)), recoded(pair.value(query)))).collect();
    encoded.sort_unstable_by(|a, b| (&*a.0, &*a.1).cmp(&(&*b.0, &*b.1)));
    for (name, value) in encoded {
        separate(out);
        out.extend_from_slice(&name);
        out.push(b'=');
        out.extend_from_slice(&value);
    }
}

/// Decoded and encoded again; the escapes were checked.
fn recoded(text: &[u8]) -> zeroize::Zeroizing<Vec<u8>> {
    let mut decoded = zeroize::Zeroizing::new(Vec::with_capacity(text.len()));
    let mut encoded = zeroize::Zeroizing::new(Vec::with_capacity(3 * text.len()));
    match percent::decode(&mut decoded, text, Plus::Space) {
        Some(()) => percent::encode(&mut encoded, &decoded, false),
        None => percent::encode(&mut encoded, text, false),
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(query: &str) -> String {
        let mut work = Work::take(query.len());
        let verbatim = read(&mut work, query.as_bytes(), &Limits::default()).unwrap();
        if verbatim {
            sort(&mut work.pairs, query.as_bytes());
        }
        let mut out = Vec::new();
        write(&mut out, &work.pairs, query.as_bytes(), verbatim, |_| false);
        let mut slow = Vec::new();
        write(&mut slow, &work.pairs, query.as_bytes(), false, |_| false);
        assert_eq!(out, slow);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn sorted_and_encoded() {
        for (wire, expected) in [
            ("", ""),
            ("uploads", "uploads="),
            ("uploads=", "uploads="),
            ("b=1&a=2", "a=2&b=1"),
            ("a=2&a=1&a", "a=&a=1&a=2"),
            ("a-b=1&a=2&a.b", "a=2&a-b=1&a.b="),
            ("A=1&a=1&B=1", "A=1&B=1&a=1"),
            ("p=a+b", "p=a%20b"),
            ("p=a%2Bb", "p=a%2Bb"),
            ("p=a%2fb", "p=a%2Fb"),
            ("p=a/b;c", "p=a%2Fb%3Bc"),
            ("p=a=b", "p=a%3Db"),
            ("p=%7E%41", "p=~A"),
            ("ሴ=bar", "%E1%88%B4=bar"),
            ("a&&b", "a=&b="),
            ("=x&a", "=x&a="),
            ("delete&x-id=DeleteObjects", "delete=&x-id=DeleteObjects"),
        ] {
            assert_eq!(canonical(wire), expected, "{wire}");
        }
    }
}
