//! The Authorization header: `AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…`.

use super::{ALGORITHM, Algorithm, Authorization, Sent, Text};
use crate::error::{Malformed, Reason};
use crate::request::Carrier;
use crate::scan;
use crate::scratch::Work;

/// Reads the value. Each parameter once, in any order, separated by a comma with or without blanks
/// after it; nothing else. Capitals in SignedHeaders are lowered into `work`.
pub(crate) fn parse<'a>(
    value: &'a [u8],
    accepts_sigv4a: bool,
    work: &mut Work,
) -> Result<Authorization<'a>, Reason> {
    let (algorithm, rest) = match value.strip_prefix(ALGORITHM).and_then(|rest| rest.strip_prefix(b" ")) {
        Some(rest) => (Algorithm::HmacSha256, rest),
        None => other_algorithm(value, accepts_sigv4a)?,
    };
    let [mut credential, mut signed_headers, mut signature] = [None::<&[u8]>; 3];
    let mut start = 0;
    for end in memchr::memchr_iter(b',', rest).chain([rest.len()]) {
        let parameter = rest[start..end].trim_ascii_start();
        start = end + 1;
        let (slot, value) = if let Some(value) = parameter.strip_prefix(b"Credential=") {
            (&mut credential, value)
        } else if let Some(value) = parameter.strip_prefix(b"SignedHeaders=") {
            (&mut signed_headers, value)
        } else if let Some(value) = parameter.strip_prefix(b"Signature=") {
            (&mut signature, value)
        } else {
            return Err(malformed(Malformed::Grammar));
        };
        if slot.replace(value).is_some() {
            return Err(malformed(Malformed::Grammar));
        }
    }
    let (Some(credential), Some(signed_headers), Some(signature)) = (credential, signed_headers, signature)
    else {
        return Err(malformed(Malformed::Grammar));
    };
    let (parsed, signature) = Sent::read(algorithm, credential, signature).map_err(malformed)?;
    Ok(Authorization {
        credential_text: Text::Wire(credential),
        credential: parsed,
        signed_headers: lowered(signed_headers, work),
        signature,
        region_set: None,
    })
}

fn lowered<'a>(list: &'a [u8], work: &mut Work) -> Text<'a> {
    if scan::all(list, |block| !block.within(b'A', b'Z')) {
        return Text::Wire(list);
    }
    work.decode_with(|decoded| {
        decoded.extend(list.iter().map(u8::to_ascii_lowercase));
        Some(())
    })
    .unwrap_or(Text::Wire(list))
}

fn other_algorithm(value: &[u8], accepts_sigv4a: bool) -> Result<(Algorithm, &[u8]), Reason> {
    let name = value.split(|&byte| byte == b' ').next().unwrap_or_default();
    match (Algorithm::parse(name, accepts_sigv4a), value.get(name.len() + 1..)) {
        (Some(algorithm), Some(rest)) => Ok((algorithm, rest)),
        (Some(_), None) => Err(malformed(Malformed::Grammar)),
        (None, _) => Err(other_scheme(value)),
    }
}

fn other_scheme(value: &[u8]) -> Reason {
    if value.starts_with(b"AWS ") {
        Reason::SignatureVersion2
    } else if value.get(..3).is_some_and(|start| start.eq_ignore_ascii_case(b"AWS")) {
        Reason::UnsupportedAlgorithm(Carrier::Header)
    } else {
        Reason::UnsupportedScheme
    }
}

fn malformed(part: Malformed) -> Reason {
    Reason::Malformed(Carrier::Header, part)
}
