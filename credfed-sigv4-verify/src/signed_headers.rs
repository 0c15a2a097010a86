//! The list of SignedHeaders, joined with the headers that it names (rule 6).

use crate::error::{Malformed, Reason};
use crate::limits::{Limit, Limits};
use crate::request::Carrier;
use crate::scan;

/// Lists up to this length, which is nearly all of them, need no allocation.
const INLINE: usize = 12;

/// One signed header.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Slot<'a> {
    /// The first value, trimmed; `None` until the header was found.
    pub(crate) value: Option<&'a [u8]>,
    /// The first eight bytes of the name, which tell most names apart.
    leading: u64,
    /// Where the name stands in the list.
    start: u16,
    end: u16,
    /// Whether the header came more than once.
    pub(crate) repeated: bool,
    /// Whether the first value consists of visible ASCII only.
    pub(crate) visible: bool,
}

impl Slot<'_> {
    /// The name; `list` is what was parsed.
    pub(crate) fn name<'l>(&self, list: &'l [u8]) -> &'l [u8] {
        &list[usize::from(self.start)..usize::from(self.end)]
    }
}

/// The signed headers in ascending order of their names.
#[derive(Default)]
pub(crate) struct SignedHeaders<'a> {
    inline: [Slot<'a>; INLINE],
    spill: Vec<Slot<'a>>,
    len: usize,
    /// Whether the list had to be sorted.
    pub(crate) reordered: bool,
}

impl<'a> SignedHeaders<'a> {
    /// Reads `host;x-amz-date;…`, none twice. Lists that are not sorted are sorted. Whether each name
    /// is a header name at all shows when its header is looked for, see [`missing`](Self::missing).
    ///
    /// `self` is empty; filling it saves moving it.
    pub(crate) fn read(&mut self, list: &[u8], carrier: Carrier, limits: &Limits) -> Result<(), Reason> {
        if list.len() > limits.signed_header_bytes.min(usize::from(u16::MAX)) {
            return Err(Reason::LimitExceeded(Limit::SignedHeaderBytes));
        }
        let mut previous: (u64, &[u8]) = (0, b"");
        let mut start = 0;
        let mut separators = scan::positions(list, |block| block.is(b';'));
        while start <= list.len() {
            let end = separators.next().unwrap_or(list.len());
            if self.len == limits.signed_header_names {
                return Err(Reason::LimitExceeded(Limit::SignedHeaderNames));
            }
            let name = &list[start..end];
            let current = (scan::leading(name), name);
            let [from, to] = [start, end].map(|at| u16::try_from(at).unwrap_or(u16::MAX));
            self.push(Slot { leading: current.0, start: from, end: to, ..Slot::default() });
            self.reordered |= previous >= current;
            previous = current;
            start = end + 1;
        }
        if self.reordered {
            let slots = self.slots_mut();
            slots.sort_unstable_by(|a, b| a.name(list).cmp(b.name(list)));
            if slots.windows(2).any(|pair| pair[0].name(list) == pair[1].name(list)) {
                return Err(malformed(carrier));
            }
        }
        Ok(())
    }

    /// Which slot a name has, in lower case; `list` is what was parsed.
    #[inline]
    pub(crate) fn find(&self, list: &[u8], name: &str) -> Option<usize> {
        let name = name.as_bytes();
        let leading = scan::leading(name);
        self.slots().iter().position(|slot| slot.leading == leading && slot.name(list) == name)
    }

    #[inline]
    pub(crate) fn slot_mut(&mut self, at: usize) -> Option<&mut Slot<'a>> {
        self.slots_mut().get_mut(at)
    }

    /// Why the request is refused when a named header is not there: a name that could be none is
    /// malformed.
    pub(crate) fn missing(&self, list: &[u8], carrier: Carrier) -> Option<Reason> {
        let mut missing = self.slots().iter().filter(|slot| slot.value.is_none()).peekable();
        missing.peek()?;
        let names = missing.all(|slot| is_name(slot.name(list)));
        Some(if names { Reason::SignedHeaderMissing } else { malformed(carrier) })
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

/// A lower-case token, or the pseudo-header that stands for Host in HTTP/2.
fn is_name(name: &[u8]) -> bool {
    name == b":authority" || (!name.is_empty() && name.iter().all(|&byte| is_token(byte)))
}

/// Token characters of RFC 9110, 5.6.2, without the capitals.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn malformed(carrier: Carrier) -> Reason {
    Reason::Malformed(carrier, Malformed::SignedHeaders)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(list: &str) -> Result<Vec<String>, Reason> {
        let list = list.as_bytes();
        let mut headers = SignedHeaders::default();
        headers.read(list, Carrier::Header, &Limits::default())?;
        match headers.missing(list, Carrier::Header) {
            Some(Reason::SignedHeaderMissing) => {}
            other => return Err(other.unwrap()),
        }
        let name = |slot: &Slot<'_>| String::from_utf8(slot.name(list).to_vec()).unwrap();
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
