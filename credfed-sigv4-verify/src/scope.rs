//! Access key and credential scope, split from the right (rule 4).

/// The longest region or service name that is read.
const NAME: usize = 64;
/// The longest access key that is read; AWS's own are at most 128 characters.
const ACCESS_KEY: usize = 256;

/// The credential scope of a request: `date/region/service/aws4_request`.
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

    /// The region, such as `eu-west-1`.
    pub fn region(&self) -> &'a str {
        &self.text[9..9 + usize::from(self.region)]
    }

    /// The service, such as `s3`.
    pub fn service(&self) -> &'a str {
        let start = 10 + usize::from(self.region);
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
    region: u16,
    service: u16,
}

impl Credential {
    /// Reads `access key/date/region/service/aws4_request`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_suffix("/aws4_request")?;
        let (rest, service) = rest.rsplit_once('/')?;
        let (rest, region) = rest.rsplit_once('/')?;
        let (access_key, date) = rest.rsplit_once('/')?;
        let named = |name: &str| {
            (1..=NAME).contains(&name.len())
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        let dated = date.len() == 8 && date.bytes().all(|b| b.is_ascii_digit());
        let keyed =
            (1..=ACCESS_KEY).contains(&access_key.len()) && access_key.bytes().all(is_access_key_byte);
        if !(named(service) && named(region) && dated && keyed) {
            return None;
        }
        Some(Self {
            access_key: u16::try_from(access_key.len()).ok()?,
            region: u16::try_from(region.len()).ok()?,
            service: u16::try_from(service.len()).ok()?,
        })
    }

    pub(crate) fn access_key<'t>(&self, text: &'t str) -> &'t str {
        &text[..usize::from(self.access_key)]
    }

    pub(crate) fn scope<'t>(&self, text: &'t str) -> Scope<'t> {
        Scope { text: &text[usize::from(self.access_key) + 1..], region: self.region, service: self.service }
    }
}

/// Visible ASCII without what would be ambiguous in a header, a query or an XML answer. Wider than
/// AWS's own `\w`, because S3-compatible stores let their users choose names.
fn is_access_key_byte(byte: u8) -> bool {
    byte.is_ascii_graphic()
        && !matches!(byte, b',' | b'=' | b';' | b'"' | b'\'' | b'\\' | b'<' | b'>' | b'&' | b'%')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_from_the_right() {
        let text = "team/a/20150830/us-east-1/s3/aws4_request";
        let credential = Credential::parse(text).unwrap();
        assert_eq!(credential.access_key(text), "team/a");
        let scope = credential.scope(text);
        assert_eq!((scope.date(), scope.region(), scope.service()), ("20150830", "us-east-1", "s3"));
        assert_eq!(scope.as_str(), "20150830/us-east-1/s3/aws4_request");
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
            "AK/2015-830/us-east-1/s3/aws4_request",
            "AK/20150830//s3/aws4_request",
            "AK/20150830/us-east-1//aws4_request",
            "AK/20150830/us east/s3/aws4_request",
            "A K/20150830/us-east-1/s3/aws4_request",
            "A,K/20150830/us-east-1/s3/aws4_request",
            "A%4B/20150830/us-east-1/s3/aws4_request",
        ] {
            assert!(Credential::parse(text).is_none(), "{text}");
        }
        let long = format!("{}/20150830/us-east-1/s3/aws4_request", "A".repeat(257));
        assert!(Credential::parse(&long).is_none());
    }
}
