//! The presigned query: `X-Amz-Algorithm`, `X-Amz-Credential` and their kin.

use super::{Algorithm, Authorization, Sent, Text};
use crate::canonical::percent::{self, Plus};
use crate::canonical::query::Pair;
use crate::date::Date;
use crate::error::{Malformed, Reason};
use crate::query::{Kind, index};
use crate::request::Carrier;
use crate::scan;
use crate::scratch::Work;

/// The longest life of a presigned request, seven days in seconds.
const LONGEST: u32 = 604_800;

/// What only this carrier says.
pub(crate) struct Presigned<'a> {
    pub(crate) authorization: Authorization<'a>,
    pub(crate) date: Date,
    /// Seconds.
    pub(crate) expires: u32,
    /// The token, and whether it consists of visible ASCII.
    pub(crate) token: Option<(Text<'a>, bool)>,
}

/// Reads the credential parameters of `query`, whose pairs `work` holds, and where it is `verbatim`
/// what they decode to.
pub(crate) fn parse<'a>(
    query: &'a [u8],
    verbatim: bool,
    accepts_sigv4a: bool,
    work: &mut Work,
) -> Result<Presigned<'a>, Reason> {
    let mut values = [None::<Pair>; 8];
    for pair in &work.pairs {
        match pair.kind {
            Kind::Credential(index) => {
                let slot = values.get_mut(usize::from(index)).ok_or_else(|| malformed(Malformed::Grammar))?;
                if slot.replace(*pair).is_some() {
                    return Err(malformed(Malformed::DuplicateOrVariant));
                }
            }
            Kind::Variant => return Err(malformed(Malformed::DuplicateOrVariant)),
            Kind::Hoisted | Kind::Other => {}
        }
    }
    let value = |index: u8| values.get(usize::from(index)).copied().flatten();
    let needed_pair = |index: u8| value(index).ok_or_else(|| malformed(Malformed::Grammar));
    let needed = |index: u8| needed_pair(index).map(|pair| pair.value(query));
    let source = Source { query, verbatim };

    let algorithm = Algorithm::parse(needed(index::ALGORITHM)?, accepts_sigv4a)
        .ok_or(Reason::UnsupportedAlgorithm(Carrier::Presigned))?;
    // A set of regions belongs to SigV4A.
    let region_set = match (algorithm, value(index::REGION_SET)) {
        (_, None) => None,
        (Algorithm::EcdsaP256Sha256, Some(pair)) => {
            Some(source.decoded(&pair, work, Malformed::RegionSet)?.0)
        }
        (Algorithm::HmacSha256, Some(_)) => return Err(malformed(Malformed::Grammar)),
    };
    let date = Date::basic(needed(index::DATE)?).ok_or_else(|| malformed(Malformed::Date))?;
    let expires = expires(needed(index::EXPIRES)?).ok_or_else(|| malformed(Malformed::Expires))?;
    let signature = needed(index::SIGNATURE)?;
    let (credential_text, _) =
        source.decoded(&needed_pair(index::CREDENTIAL)?, work, Malformed::Credential)?;
    let (credential, signature) =
        Sent::read(algorithm, credential_text.bytes(work), signature).map_err(malformed)?;
    let (signed_headers, _) =
        source.decoded(&needed_pair(index::SIGNED_HEADERS)?, work, Malformed::SignedHeaders)?;
    let signed_headers = lowered(signed_headers, work);
    let token = match value(index::SECURITY_TOKEN) {
        Some(pair) => Some(source.decoded(&pair, work, Malformed::Token)?),
        None => None,
    };
    Ok(Presigned {
        authorization: Authorization { credential_text, credential, signed_headers, signature, region_set },
        date,
        expires,
        token,
    })
}

/// Whether a query has parameters of this carrier, in whatever spelling.
pub(crate) fn is_present(pairs: &[Pair]) -> bool {
    pairs.iter().any(|pair| matches!(pair.kind, Kind::Credential(_) | Kind::Variant))
}

/// Exactly `[1-9][0-9]{0,5}` and at most seven days.
fn expires(text: &[u8]) -> Option<u32> {
    if text.len() > 6 || !matches!(text.first(), Some(b'1'..=b'9')) {
        return None;
    }
    let seconds = text
        .iter()
        .try_fold(0, |value, byte| byte.is_ascii_digit().then(|| value * 10 + u32::from(byte - b'0')))?;
    (seconds <= LONGEST).then_some(seconds)
}

/// A query whose values are to be decoded, where that was not done already; with each, whether it is visible ASCII.
struct Source<'a> {
    query: &'a [u8],
    verbatim: bool,
}

impl<'a> Source<'a> {
    fn decoded(&self, pair: &Pair, work: &mut Work, part: Malformed) -> Result<(Text<'a>, bool), Reason> {
        if self.verbatim {
            return Ok(pair.text(self.query));
        }
        let value = pair.value(self.query);
        let text = work
            .decode_with(|decoded| percent::decode(decoded, value, Plus::Space))
            .ok_or_else(|| malformed(part))?;
        Ok((text, scan::is_visible(text.bytes(work))))
    }
}

fn lowered<'a>(list: Text<'a>, work: &mut Work) -> Text<'a> {
    let bytes = list.bytes(work);
    if !bytes.iter().any(u8::is_ascii_uppercase) {
        return list;
    }
    let lowered = bytes.to_ascii_lowercase();
    work.decode_with(|decoded| {
        decoded.extend_from_slice(&lowered);
        Some(())
    })
    .unwrap_or(list)
}

fn malformed(part: Malformed) -> Reason {
    Reason::Malformed(Carrier::Presigned, part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expires_is_a_plain_number_in_range() {
        for (text, seconds) in [("1", 1), ("9", 9), ("3600", 3600), ("604800", 604_800)] {
            assert_eq!(expires(text.as_bytes()), Some(seconds));
        }
        for text in [
            "",
            "0",
            "-1",
            "+1",
            " 5",
            "5 ",
            "05",
            "1.5",
            "1e3",
            "0x1",
            "604801",
            "999999",
            "1000000",
            "18446744073709551616",
            "18446744073709551617",
            "NaN",
            "%31",
            "١",
        ] {
            assert_eq!(expires(text.as_bytes()), None, "{text}");
        }
    }
}
