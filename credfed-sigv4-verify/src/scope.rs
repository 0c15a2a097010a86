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
        Self::read(text, true)
    }

    /// Reads `access key/date/service/aws4_request`.
    #[cfg(feature = "sigv4a")]
    pub(crate) fn parse_without_region(text: &[u8]) -> Option<Self> {
        Self::read(text, false)
    }

    #[inline]
    fn read(text: &[u8], has_region: bool) -> Option<Self> {
        const END: &[u8] = b"/aws4_request";
        let mut is_allowed = Block::everywhere();
        let slashes = scan::positions(text, |block| {
            is_allowed = is_allowed & allowed(block);
            block.is(b'/')
        });
        // Behind the last four slashes, in ascending order.
        let mut behind = [0; 4];
        for at in slashes {
            behind = [behind[1], behind[2], behind[3], at + 1];
        }
        let [first, second, service, end] = behind;
        let (date, region) = if has_region { (first, second) } else { (second, service) };
        let shaped = (2..=ACCESS_KEY + 1).contains(&date)
            && region == date + 9
            && (!has_region || (2..=NAME + 1).contains(&(service - region)))
            && (2..=NAME + 1).contains(&(end - service))
            && text.ends_with(END)
            && end + END.len() == text.len() + 1;
        if !shaped || !is_allowed.is_everywhere() {
            return None;
        }
        Some(Self {
            access_key: u16::try_from(date - 1).ok()?,
            region: u16::try_from((service - region).saturating_sub(1)).ok()?,
            service: u16::try_from(end - service - 1).ok()?,
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

/// Visible ASCII without what would be ambiguous in a header, a query or an XML answer. Wider than
/// AWS's own `\w`, because S3-compatible stores let their users choose access keys. Date, region and
/// service are compared with what is expected, which is stricter than any alphabet.
#[inline(always)]
fn allowed(block: Block) -> Block {
    // `%&'` and `;<=>` follow each other.
    let ambiguous = block.within(b'%', b'\'')
        | block.within(b';', b'>')
        | block.is(b'"')
        | block.is(b',')
        | block.is(b'\\');
    block.within(b'!', b'~') & !ambiguous
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
            "AK/20150830/us-east-1/s3xaws4_request",
            "AK/20150830/us-east-1/s3/x/aws4_request",
            "AK/20150830/us-east-1/s3/xaws4_request",
            "A%4B/20150830/us-east-1/s3/aws4_request",
        ] {
            assert!(Credential::parse(text.as_bytes()).is_none(), "{text}");
        }
        for (access_key, region, service) in [(256, 64, 64), (257, 1, 1), (1, 65, 1), (1, 1, 65)] {
            let [key, region, service] = [access_key, region, service].map(|length| "a".repeat(length));
            let text = format!("{key}/20150830/{region}/{service}/aws4_request");
            assert_eq!(Credential::parse(text.as_bytes()).is_some(), access_key == 256, "{text}");
        }
    }
}
