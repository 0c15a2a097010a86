//! Access key and credential scope, split from the right (rule 4).

use crate::scan::{self, Block};

/// The longest region or service name that is read.
const NAME: usize = 64;
/// The longest access key that is read; AWS's own are at most 128 characters.
const ACCESS_KEY: usize = 256;

/// The credential scope of a request: `date/region/service/aws4_request`, with SigV4A `date/service/aws4_request`.
///
/// Follows "Elements of an AWS API request signature" of the IAM user guide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Scope<'a> {
    text: &'a str,
    region: u16,
    service: u16,
}

impl<'a> Scope<'a> {
    /// The day, `YYYYMMDD`.
    pub fn date(&self) -> &'a str {
        &self.text[..8]
    }

    /// The region, such as `eu-west-1`. Empty with SigV4A, whose regions are
    /// [`SignedRequest::region_set`](crate::SignedRequest::region_set).
    pub fn region(&self) -> &'a str {
        &self.text[9..9 + usize::from(self.region)]
    }

    /// The service, such as `s3`.
    pub fn service(&self) -> &'a str {
        let start = service_at(self.region);
        &self.text[start..start + usize::from(self.service)]
    }

    /// The whole scope, `20150830/us-east-1/s3/aws4_request`.
    pub fn as_str(&self) -> &'a str {
        self.text
    }
}

/// The offsets of a credential within its text, which may live in a buffer of the request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Credential {
    access_key: u16,
    /// 0 where the scope has none.
    region: u16,
    service: u16,
}

impl Credential {
    /// Reads `access key/date/region/service/aws4_request`.
    #[inline]
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let rest = text.strip_suffix(b"/aws4_request")?;
        let (rest, service) = split_last(rest, NAME)?;
        let (rest, region) = split_last(rest, NAME)?;
        if region.is_empty() {
            return None;
        }
        Self::of_parts(text, rest, region, service)
    }

    /// Reads `access key/date/service/aws4_request`.
    #[cfg(feature = "sigv4a")]
    pub(crate) fn parse_without_region(text: &[u8]) -> Option<Self> {
        let rest = text.strip_suffix(b"/aws4_request")?;
        let (rest, service) = split_last(rest, NAME)?;
        Self::of_parts(text, rest, b"", service)
    }

    #[inline]
    fn of_parts(text: &[u8], rest: &[u8], region: &[u8], service: &[u8]) -> Option<Self> {
        let (access_key, date) = split_last(rest, 8)?;
        let shaped = !service.is_empty() && date.len() == 8 && (1..=ACCESS_KEY).contains(&access_key.len());
        if !shaped || !scan::all(text, allowed) {
            return None;
        }
        Some(Self {
            access_key: u16::try_from(access_key.len()).ok()?,
            region: u16::try_from(region.len()).ok()?,
            service: u16::try_from(service.len()).ok()?,
        })
    }

    pub(crate) fn access_key<'t>(&self, text: &'t [u8]) -> &'t [u8] {
        &text[..usize::from(self.access_key)]
    }

    /// The scope as one text.
    pub(crate) fn scope_text<'t>(&self, text: &'t [u8]) -> &'t [u8] {
        &text[usize::from(self.access_key) + 1..]
    }

    /// Region and service.
    pub(crate) fn names<'t>(&self, text: &'t [u8]) -> [&'t [u8]; 2] {
        let scope = self.scope_text(text);
        let service = service_at(self.region);
        [&scope[9..9 + usize::from(self.region)], &scope[service..service + usize::from(self.service)]]
    }

    pub(crate) fn scope<'t>(&self, text: &'t [u8]) -> Scope<'t> {
        // ASCII, as parsed.
        let text = str::from_utf8(self.scope_text(text)).unwrap_or_default();
        Scope { text, region: self.region, service: self.service }
    }
}

/// Where the service begins, behind a region that has as many bytes and a slash.
fn service_at(region: u16) -> usize {
    9 + usize::from(region) + usize::from(region > 0)
}

/// Whether it could be the name of a region or a service.
pub(crate) fn is_name(text: &[u8]) -> bool {
    (1..=NAME).contains(&text.len()) && !text.contains(&b'/') && scan::all(text, allowed)
}

/// Splits at the last slash, which has at most `longest` bytes after it.
fn split_last(text: &[u8], longest: usize) -> Option<(&[u8], &[u8])> {
    let from = text.len().saturating_sub(longest + 1);
    let at = from + text[from..].iter().rposition(|&byte| byte == b'/')?;
    Some((&text[..at], &text[at + 1..]))
}

/// Visible ASCII without what would be ambiguous in a header, a query or an XML answer. Wider than
/// AWS's own `\w`, because S3-compatible stores let their users choose access keys. Date, region and
/// service are compared with what is expected, which is stricter than any alphabet.
#[inline(always)]
fn allowed(block: Block) -> Block {
    b",=;\"'\\<>&%"
        .iter()
        .fold(block.within(b'!', b'~'), |allowed, &ambiguous| allowed & !block.is(ambiguous))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_from_the_right() {
        let text = "team/a/20150830/us-east-1/s3/aws4_request";
        let credential = Credential::parse(text.as_bytes()).unwrap();
        assert_eq!(credential.access_key(text.as_bytes()), b"team/a");
        let scope = credential.scope(text.as_bytes());
        assert_eq!(credential.names(text.as_bytes()), [b"us-east-1".as_slice(), b"s3"]);
        assert_eq!((scope.date(), scope.region(), scope.service()), ("20150830", "us-east-1", "s3"));
        assert_eq!(scope.as_str(), "20150830/us-east-1/s3/aws4_request");
    }

    #[cfg(feature = "sigv4a")]
    #[test]
    fn without_a_region_there_is_one_part_less() {
        let text = b"team/a/20150830/s3/aws4_request";
        let credential = Credential::parse_without_region(text).unwrap();
        assert_eq!(credential.access_key(text), b"team/a");
        assert_eq!(credential.names(text), [b"".as_slice(), b"s3"]);
        let scope = credential.scope(text);
        assert_eq!((scope.date(), scope.region(), scope.service()), ("20150830", "", "s3"));
        assert_eq!(scope.as_str(), "20150830/s3/aws4_request");
        for text in [
            "",
            "AK/20150830/us-east-1/s3/aws4_request",
            "AK/20150830//s3/aws4_request",
            "AK/20150830//aws4_request",
            "AK//s3/aws4_request",
            "/20150830/s3/aws4_request",
            "20150830/s3/aws4_request",
            "AK/20150830/s3",
            "AK/20150830/s3/aws4_request/",
            "A K/20150830/s3/aws4_request",
        ] {
            assert!(Credential::parse_without_region(text.as_bytes()).is_none(), "{text}");
        }
        // What one form reads is not what the other does.
        assert!(Credential::parse(text).is_none());
    }

    #[test]
    fn every_part_is_needed_and_shaped() {
        for text in [
            "",
            "/",
            "AK",
            "AK/20150830/us-east-1/s3",
            "AK/20150830/us-east-1/s3/aws4_reques",
            "AK/20150830/us-east-1/s3/AWS4_REQUEST",
            "AK/20150830/us-east-1/s3/aws4_request/",
            "/20150830/us-east-1/s3/aws4_request",
            "20150830/us-east-1/s3/aws4_request",
            "AK//us-east-1/s3/aws4_request",
            "AK/2015083/us-east-1/s3/aws4_request",
            "AK/20150830//s3/aws4_request",
            "AK/20150830/us-east-1//aws4_request",
            "AK/20150830/us east/s3/aws4_request",
            "A K/20150830/us-east-1/s3/aws4_request",
            "A,K/20150830/us-east-1/s3/aws4_request",
            "A%4B/20150830/us-east-1/s3/aws4_request",
        ] {
            assert!(Credential::parse(text.as_bytes()).is_none(), "{text}");
        }
        let long = format!("{}/20150830/us-east-1/s3/aws4_request", "A".repeat(257));
        assert!(Credential::parse(long.as_bytes()).is_none());
    }
}
