//! One pass over the header map (rules 3, 6, 7), and the hoisted parameters of a presigned query.

use std::borrow::Cow;

use http::header::{CONNECTION, HOST};
use http::request::Parts;
use http::uri::Authority;

use super::{Carrier, Rules};
use crate::authorization::Text;
use crate::canonical::headers::trim;
use crate::canonical::percent::{self, Plus};
use crate::canonical::query::Pair;
use crate::connection::Forwarded;
use crate::date::Date;
use crate::error::{Malformed, Reason};
use crate::limits::Limit;
use crate::query::{self, Kind};
use crate::scan;
use crate::scratch::Work;
use crate::signed_headers::SignedHeaders;

const CONTENT_SHA256: &str = "x-amz-content-sha256";

/// The headers that mean something to the verifier, each of which may come once.
#[derive(Default)]
pub(super) struct Fields<'a> {
    amz_date: Option<&'a [u8]>,
    date: Option<DateHeader<'a>>,
    pub(super) content_sha256: Option<&'a [u8]>,
    pub(super) decoded_length: Option<&'a [u8]>,
    pub(super) trailer: Option<&'a [u8]>,
    pub(super) region_set: Option<&'a [u8]>,
    pub(super) token: Option<&'a [u8]>,
    pub(super) visible_token: bool,
    pub(super) signed_bytes: usize,
    /// The host that is covered.
    pub(super) host: &'a [u8],
}

/// The Date header, which may come often as long as nobody uses it.
struct DateHeader<'a> {
    value: &'a [u8],
    is_signed: bool,
    repeated: bool,
}

impl<'a> Fields<'a> {
    /// Fills `signed` from the header map and judges every header on the way; `list` is the text that
    /// `signed` was read from.
    pub(super) fn collect(
        parts: &'a Parts,
        signed: &mut SignedHeaders<'a>,
        list: &[u8],
        carrier: Carrier,
        rules: &Rules,
        forwarded: Option<Forwarded<'a>>,
    ) -> Result<Self, Reason> {
        let mut fields = Self::default();
        let mut host = None;
        let mut connection = false;
        let mut unsigned = Unsigned::default();
        for (name, value) in &parts.headers {
            let text = name.as_str();
            let value = trim(value.as_bytes());
            let slot = signed.find(list, text);
            let mut visible = None;
            let is_signed = slot.is_some();
            if let Some(slot) = slot {
                fields.signed_bytes += text.len() + value.len();
                if slot.value.is_none() {
                    slot.value = Some(value);
                    slot.visible = scan::is_visible(value);
                    visible = Some(slot.visible);
                } else {
                    slot.repeated = true;
                }
            }
            if text.starts_with("x-amz-") {
                fields.amazon(text, (value, visible), is_signed, carrier, rules, &mut unsigned)?;
            } else if *name == HOST {
                set_once(&mut host, value)?;
            } else if *name == http::header::DATE {
                let repeated = fields.date.is_some();
                fields.date = Some(DateHeader { value, is_signed, repeated });
            } else if *name == CONNECTION {
                connection = true;
            }
        }
        fields.authority(parts, (host, forwarded), signed, list, &mut unsigned)?;
        if fields.signed_bytes > rules.limits.signed_header_bytes {
            return Err(Reason::LimitExceeded(Limit::SignedHeaderBytes));
        }
        if let Some(reason) = signed.missing(list, carrier) {
            return Err(reason);
        }
        unsigned.refuse()?;
        if signed.slots().iter().any(|slot| slot.repeated && is_single(slot.name(list))) {
            return Err(Reason::MalformedRequest(Malformed::RepeatedHeader));
        }
        if connection {
            check_connection(parts, signed, list)?;
        }
        Ok(fields)
    }

    /// The date of a header-signed request: x-amz-date, or the Date header where that is missing.
    pub(super) fn date(&self) -> Result<Date, Reason> {
        let malformed = || Reason::Malformed(Carrier::Header, Malformed::Date);
        if let Some(value) = self.amz_date {
            return Date::basic(value).ok_or_else(malformed);
        }
        match &self.date {
            Some(date) if date.repeated => Err(Reason::MalformedRequest(Malformed::RepeatedHeader)),
            Some(date) if !date.is_signed => Err(Reason::UnsignedHeaders(vec!["date".into()])),
            Some(date) => Date::header(date.value).ok_or_else(malformed),
            None => Err(malformed()),
        }
    }

    /// A header whose name starts with `x-amz-`: must be signed, with exemptions that are all here.
    fn amazon(
        &mut self,
        name: &'a str,
        (value, visible): (&'a [u8], Option<bool>),
        is_signed: bool,
        carrier: Carrier,
        rules: &Rules,
        unsigned: &mut Unsigned,
    ) -> Result<(), Reason> {
        let mut exempt = false;
        match name {
            "x-amz-date" if carrier == Carrier::Presigned => return Err(Reason::TwoCarriers),
            "x-amz-date" => set_once(&mut self.amz_date, value)?,
            CONTENT_SHA256 => {
                // With the header carrier its value is a line of the canonical request anyway.
                exempt = carrier == Carrier::Header;
                set_once(&mut self.content_sha256, value)?;
            }
            "x-amz-security-token" if carrier == Carrier::Presigned => return Err(Reason::TwoCarriers),
            "x-amz-security-token" => {
                self.visible_token = visible.unwrap_or_else(|| scan::is_visible(value));
                exempt = rules.knobs.token_outside_signature;
                set_once(&mut self.token, value)?;
            }
            "x-amz-decoded-content-length" => set_once(&mut self.decoded_length, value)?,
            "x-amz-trailer" => set_once(&mut self.trailer, value)?,
            "x-amz-region-set" => set_once(&mut self.region_set, value)?,
            "x-amz-s3session-token" => return Err(Reason::S3SessionToken),
            "x-amz-cf-id" => exempt = rules.knobs.behind_cloudfront,
            _ => {}
        }
        if !is_signed && !exempt {
            unsigned.add(name);
        }
        Ok(())
    }

    /// Host, `:authority` and the request target have to agree, and one of the first two is signed.
    fn authority(
        &mut self,
        parts: &'a Parts,
        (host, forwarded): (Option<&'a [u8]>, Option<Forwarded<'a>>),
        signed: &mut SignedHeaders<'a>,
        list: &[u8],
        unsigned: &mut Unsigned,
    ) -> Result<(), Reason> {
        let authority = parts.uri.authority();
        let host = agreed_host(parts, host)?;
        let forwarded = forwarded
            .map(|forwarded| forwarded.0.ok_or(Reason::MalformedRequest(Malformed::Host)))
            .transpose()?;
        let host = forwarded.unwrap_or(host);
        self.host = host;
        let mut covered = false;
        if let Some(slot) = signed.find(list, "host") {
            covered = true;
            if slot.value.is_none() || forwarded.is_some() {
                slot.value = Some(host);
                slot.visible = scan::is_visible(host);
                self.signed_bytes += 4 + host.len();
            }
        }
        if let (Some(slot), Some(authority)) = (signed.find(list, ":authority"), authority) {
            covered = true;
            let authority = forwarded.unwrap_or(authority.as_str().as_bytes());
            slot.value = Some(authority);
            self.signed_bytes += 10 + authority.len();
        }
        if !covered {
            unsigned.add("host");
        }
        Ok(())
    }
}

/// The host that Host header, `:authority` and request target agree on; `host` is the header's trimmed value.
pub(crate) fn agreed_host<'a>(parts: &'a Parts, host: Option<&'a [u8]>) -> Result<&'a [u8], Reason> {
    const MALFORMED: Reason = Reason::MalformedRequest(Malformed::Host);
    let authority = parts.uri.authority();
    if authority.is_some_and(|authority| authority.as_str().contains('@')) {
        return Err(MALFORMED);
    }
    match (host, authority) {
        (Some([]), _) | (None, None) => Err(MALFORMED),
        (Some(host), Some(authority)) if !is_same_host(host, authority, parts) => Err(MALFORMED),
        (Some(host), _) => Ok(host),
        (None, Some(authority)) => Ok(authority.as_str().as_bytes()),
    }
}

/// Names of headers that should have been signed.
#[derive(Default)]
struct Unsigned(Vec<Box<str>>);

impl Unsigned {
    fn add(&mut self, name: &str) {
        self.0.push(name.into());
    }

    fn refuse(self) -> Result<(), Reason> {
        if self.0.is_empty() { Ok(()) } else { Err(Reason::UnsignedHeaders(self.0)) }
    }
}

fn set_once<'a>(field: &mut Option<&'a [u8]>, value: &'a [u8]) -> Result<(), Reason> {
    match field.replace(value) {
        None => Ok(()),
        Some(_) => Err(Reason::MalformedRequest(Malformed::RepeatedHeader)),
    }
}

/// Whether a header may come once only: those of Amazon, user metadata apart.
fn is_single(name: &[u8]) -> bool {
    SINGLE.contains(&name) || (name.starts_with(b"x-amz-") && !name.starts_with(b"x-amz-meta-"))
}

/// Headers that HTTP defines with one value, and Transfer-Encoding, of which nobody signs two. Joined with a comma, two of them look like one that has a comma in it,
/// and whoever reads the first alone reads something else than what was signed.
const SINGLE: [&[u8]; 15] = [
    b"content-disposition",
    b"content-length",
    b"content-location",
    b"content-md5",
    b"content-range",
    b"content-type",
    b"date",
    b"expires",
    b"if-modified-since",
    b"if-range",
    b"if-unmodified-since",
    b"range",
    b"referer",
    b"transfer-encoding",
    b"user-agent",
];

/// Compares Host with the authority of the target, letter case and the scheme's default port aside.
fn is_same_host(host: &[u8], authority: &Authority, parts: &Parts) -> bool {
    let default_port: &[u8] = match parts.uri.scheme_str() {
        Some("http") => b":80",
        Some("https") => b":443",
        _ => b"",
    };
    let bare = |host: &'_ [u8]| host.strip_suffix(default_port).unwrap_or(host).to_ascii_lowercase();
    let authority = authority.as_str().as_bytes();
    host == authority || host.eq_ignore_ascii_case(authority) || bare(host) == bare(authority)
}

/// A hop that honours Connection would remove what the signature covers. More options than anyone
/// needs are refused unread.
fn check_connection(parts: &Parts, signed: &SignedHeaders<'_>, list: &[u8]) -> Result<(), Reason> {
    const MOST: usize = 32;
    let values = parts.headers.get_all(CONNECTION).iter();
    let options = values.flat_map(|value| value.as_bytes().split(|&byte| byte == b','));
    for (index, option) in options.enumerate() {
        let option = trim(option);
        let covered = signed.slots().iter().any(|slot| slot.name(list).eq_ignore_ascii_case(option));
        let amazon = option.get(..6).is_some_and(|prefix| prefix.eq_ignore_ascii_case(b"x-amz-"));
        if covered || amazon || index == MOST {
            return Err(Reason::MalformedRequest(Malformed::Connection));
        }
    }
    Ok(())
}

/// Hoisted parameters: unique after lower-casing, none beside a header of its name.
pub(super) fn check_hoisted(
    parts: &Parts,
    work: &Work,
    query: &[u8],
    carrier: Carrier,
) -> Result<(), Reason> {
    if carrier != Carrier::Presigned {
        return Ok(());
    }
    let malformed = Reason::Malformed(carrier, Malformed::DuplicateOrVariant);
    let mut seen: Vec<String> = Vec::new();
    for pair in work.pairs.iter().filter(|pair| pair.kind == Kind::Hoisted) {
        let name = hoisted_name(pair, query).ok_or_else(|| malformed.clone())?;
        if name == "x-amz-s3session-token" {
            return Err(Reason::S3SessionToken);
        }
        // A presigned request has no trailer.
        if name == "x-amz-trailer" {
            return Err(Reason::MalformedTrailer);
        }
        if parts.headers.contains_key(name.as_str()) || seen.contains(&name) {
            return Err(malformed);
        }
        // What no header can carry would act here and be lost further on.
        let raw = pair.value(query);
        let mut value = zeroize::Zeroizing::new(Vec::with_capacity(raw.len()));
        percent::decode(&mut value, raw, Plus::Space).ok_or_else(|| malformed.clone())?;
        if str::from_utf8(&value).is_err() || !value.iter().all(|&byte| is_field_byte(byte)) {
            return Err(malformed);
        }
        seen.push(name);
    }
    Ok(())
}

/// Whether a header value may have this byte, as the `http` crate judges it.
pub(crate) fn is_field_byte(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

/// The value of a hoisted x-amz-content-sha256.
pub(super) fn hoisted_content_sha256<'a>(
    work: &mut Work,
    query: &'a [u8],
) -> Result<Option<Text<'a>>, Reason> {
    let found = work
        .pairs
        .iter()
        .filter(|pair| pair.kind == Kind::Hoisted)
        .find(|pair| hoisted_name(pair, query).as_deref() == Some(CONTENT_SHA256));
    let Some(value) = found.map(|pair| pair.value(query)) else { return Ok(None) };
    work.decode_with(|decoded| percent::decode(decoded, value, Plus::Space))
        .map(Some)
        .ok_or(Reason::InvalidPayloadMode)
}

/// The hoisted parameter `name` as a header value.
pub(super) fn effective_parameter<'a>(query: &'a str, name: &str) -> Option<Cow<'a, str>> {
    if !name.get(..6)?.eq_ignore_ascii_case("x-amz-") || is_encryption(&name.to_ascii_lowercase()) {
        return None;
    }
    let mut found = query::parameters(query)
        .filter(|parameter| parameter.hoisted().is_some_and(|hoisted| hoisted.eq_ignore_ascii_case(name)));
    found.next().map(|parameter| parameter.value_or_latin1())
}

fn is_encryption(name: &str) -> bool {
    name.starts_with("x-amz-server-side-encryption")
        || name.starts_with("x-amz-copy-source-server-side-encryption")
}

/// The name of a hoisted parameter in lower case; `None` where it cannot be a header name.
fn hoisted_name(pair: &Pair, query: &[u8]) -> Option<String> {
    let mut name = Vec::new();
    percent::decode(&mut name, pair.name(query), Plus::Space)?;
    http::HeaderName::from_bytes(&name).ok().map(|name| name.as_str().to_owned())
}

/// All values of a header, joined with commas.
pub(super) fn joined<'a>(parts: &'a Parts, name: &str) -> Option<Cow<'a, str>> {
    let values: Vec<_> =
        parts.headers.get_all(name).iter().map(|value| header_text(trim(value.as_bytes()))).collect();
    (!values.is_empty()).then(|| values.join(",").into())
}

/// A header value as text; what is not UTF-8 is read as Latin-1.
pub(super) fn header_text(value: &[u8]) -> Cow<'_, str> {
    match str::from_utf8(value) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(value.iter().copied().map(char::from).collect()),
    }
}
