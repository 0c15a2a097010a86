//! The list of SignedHeaders, joined with the headers that it names (rule 6).

use crate::error::{Malformed, Reason};
use crate::limits::{Limit, Limits};
use crate::request::Carrier;

/// Lists up to this length, which is nearly all of them, need no allocation.
const INLINE: usize = 16;

/// One signed header.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Slot<'a> {
    /// Where the name stands in the list.
    start: u32,
    end: u32,
    /// The name, empty until the header was found.
    pub(crate) name: &'a str,
    /// The first value, trimmed.
    pub(crate) value: &'a [u8],
    /// Whether the header came more than once.
    pub(crate) repeated: bool,
}

/// The signed headers in ascending order of their names.
pub(crate) struct SignedHeaders<'a> {
    inline: [Slot<'a>; INLINE],
    spill: Vec<Slot<'a>>,
    len: usize,
}

impl<'a> SignedHeaders<'a> {
    /// Reads `host;x-amz-date;…`: non-empty lower-case tokens, none twice. Lists that are not sorted
    /// are sorted.
    pub(crate) fn parse(list: &[u8], carrier: Carrier, limits: &Limits) -> Result<Self, Reason> {
        let malformed = Reason::Malformed(carrier, Malformed::SignedHeaders);
        let mut this = Self { inline: [Slot::default(); INLINE], spill: Vec::new(), len: 0 };
        let mut sorted = true;
        let mut previous: &[u8] = b"";
        let mut start = 0;
        for end in memchr::memchr_iter(b';', list).chain([list.len()]) {
            let name = &list[start..end];
            if !is_name(name) {
                return Err(malformed);
            }
            if this.len == limits.signed_header_names {
                return Err(Reason::LimitExceeded(Limit::SignedHeaderNames));
            }
            let (Ok(from), Ok(to)) = (u32::try_from(start), u32::try_from(end)) else {
                return Err(malformed);
            };
            this.push(Slot { start: from, end: to, ..Slot::default() });
            sorted &= previous < name;
            previous = name;
            start = end + 1;
        }
        if !sorted {
            let name = |slot: &Slot<'_>| &list[slot.start as usize..slot.end as usize];
            let slots = this.slots_mut();
            slots.sort_unstable_by(|a, b| name(a).cmp(name(b)));
            if slots.windows(2).any(|pair| name(&pair[0]) == name(&pair[1])) {
                return Err(malformed);
            }
        }
        Ok(this)
    }

    /// The slot of a name, in lower case; `list` is what was parsed.
    pub(crate) fn find(&mut self, list: &[u8], name: &str) -> Option<&mut Slot<'a>> {
        let name = name.as_bytes();
        self.slots_mut().iter_mut().find(|slot| {
            let (start, end) = (slot.start as usize, slot.end as usize);
            end - start == name.len() && &list[start..end] == name
        })
    }

    pub(crate) fn slots(&self) -> &[Slot<'a>] {
        if self.spill.is_empty() { &self.inline[..self.len] } else { &self.spill }
    }

    fn slots_mut(&mut self) -> &mut [Slot<'a>] {
        if self.spill.is_empty() { &mut self.inline[..self.len] } else { &mut self.spill }
    }

    fn push(&mut self, slot: Slot<'a>) {
        if self.len < INLINE {
            self.inline[self.len] = slot;
        } else {
            if self.spill.is_empty() {
                self.spill.extend_from_slice(&self.inline);
            }
            self.spill.push(slot);
        }
        self.len += 1;
    }
}

/// A lower-case header name, or the pseudo-header that stands for Host in HTTP/2.
fn is_name(name: &[u8]) -> bool {
    name == b":authority" || (!name.is_empty() && name.iter().all(|&byte| TOKEN[usize::from(byte)]))
}

/// Token characters of RFC 9110, 5.6.2, without the capitals.
const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let allowed = b"abcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-.^_`|~";
    let mut index = 0;
    while index < allowed.len() {
        table[allowed[index] as usize] = true;
        index += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(list: &str) -> Result<Vec<String>, Reason> {
        let headers = SignedHeaders::parse(list.as_bytes(), Carrier::Header, &Limits::default())?;
        let name = |slot: &Slot<'_>| list[slot.start as usize..slot.end as usize].to_owned();
        Ok(headers.slots().iter().map(name).collect())
    }

    #[test]
    fn sorts_and_finds() {
        assert_eq!(parse("host").unwrap(), ["host"]);
        assert_eq!(parse("x-amz-date;host").unwrap(), ["host", "x-amz-date"]);
        let many: Vec<String> = (0..100).map(|i| format!("h{i:03}")).collect();
        assert_eq!(parse(&many.join(";")).unwrap(), many);
        let mut backwards = many.clone();
        backwards.reverse();
        assert_eq!(parse(&backwards.join(";")).unwrap(), many);
    }

    #[test]
    fn strict() {
        let malformed = Reason::Malformed(Carrier::Header, Malformed::SignedHeaders);
        for list in [
            "",
            ";",
            "host;",
            ";host",
            "host;;x-amz-date",
            "host;host",
            "x;host;x",
            "host ;x",
            "host; x",
            "ho st",
            "host,x",
            "host\t",
            "hôst",
            "a:b",
            "host\"",
            "Host",
        ] {
            assert_eq!(parse(list), Err(malformed.clone()), "{list}");
        }
        let many: Vec<String> = (0..101).map(|i| format!("h{i:03}")).collect();
        assert_eq!(parse(&many.join(";")), Err(Reason::LimitExceeded(Limit::SignedHeaderNames)));
    }
}
