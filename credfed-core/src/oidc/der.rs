//! As much of DER (X.690) as keys and certificates need: definite lengths, low tags.

pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(crate) const SEQUENCE: u8 = 0x30;
/// `[0] EXPLICIT`: a certificate's version.
pub(crate) const CONTEXT_0: u8 = 0xa0;

/// Reads elements one after the other.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn is_at_end(self) -> bool {
        self.0.is_empty()
    }

    /// The next element's tag and contents.
    pub(crate) fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        // A high tag number would go on in further bytes.
        if tag & 0x1f == 0x1f {
            return None;
        }
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = if first < 0x80 {
            (usize::from(first), rest)
        } else {
            let count = usize::from(first & 0x7f);
            if !(1..=3).contains(&count) {
                return None;
            }
            let (bytes, rest) = rest.split_at_checked(count)?;
            let length = bytes.iter().fold(0_usize, |length, &byte| length << 8 | usize::from(byte));
            // The shortest form is the only one.
            if length < 0x80 || bytes.first() == Some(&0) {
                return None;
            }
            (length, rest)
        };
        let (contents, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, contents))
    }

    /// The contents of the next element, if it has this tag.
    pub(crate) fn expect(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next().filter(|&(found, _)| found == tag).map(|(_, contents)| contents)
    }

    /// Passes over the next element if it has this tag.
    pub(crate) fn skip_optional(&mut self, tag: u8) -> Option<()> {
        if self.0.first() == Some(&tag) {
            self.next()?;
        }
        Some(())
    }
}

/// A SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7): the contents of its algorithm, and the key itself.
pub(crate) struct PublicKeyInfo<'a> {
    pub(crate) algorithm: &'a [u8],
    pub(crate) key: &'a [u8],
}

impl<'a> PublicKeyInfo<'a> {
    pub(crate) fn parse(der: &'a [u8]) -> Option<Self> {
        let mut outer = Reader::new(der);
        let info = outer.expect(SEQUENCE)?;
        outer.is_at_end().then_some(())?;
        Self::of(info)
    }

    /// From the contents of the outer sequence.
    fn of(info: &'a [u8]) -> Option<Self> {
        let mut info = Reader::new(info);
        let algorithm = info.expect(SEQUENCE)?;
        let (&unused, key) = info.expect(BIT_STRING)?.split_first()?;
        (unused == 0 && info.is_at_end()).then_some(Self { algorithm, key })
    }

    /// From a certificate (RFC 5280 section 4.1). Nothing else of the certificate is looked at.
    pub(crate) fn of_certificate(der: &'a [u8]) -> Option<Self> {
        let mut outer = Reader::new(der);
        let mut certificate = Reader::new(outer.expect(SEQUENCE)?);
        outer.is_at_end().then_some(())?;
        let mut body = Reader::new(certificate.expect(SEQUENCE)?);
        body.skip_optional(CONTEXT_0)?;
        body.expect(INTEGER)?;
        for _ in ["signature algorithm", "issuer", "validity", "subject"] {
            body.expect(SEQUENCE)?;
        }
        Self::of(body.expect(SEQUENCE)?)
    }
}

/// A positive integer, without the zero that keeps its sign.
pub(crate) fn positive(contents: &[u8]) -> Option<&[u8]> {
    match contents {
        [0, rest @ ..] if rest.first().is_some_and(|&byte| byte >= 0x80) => Some(rest),
        [first, ..] if *first > 0 && *first < 0x80 => Some(contents),
        _ => None,
    }
}
