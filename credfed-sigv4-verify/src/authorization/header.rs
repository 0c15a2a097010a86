//! The Authorization header: `AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…`.

use super::{ALGORITHM, Authorization, Text};
use crate::error::{Malformed, Reason};
use crate::request::Carrier;
use crate::scan;
use crate::scope::Credential;
use crate::scratch::{Sink, Work};
use crate::signature::Signature;

/// Reads the value. Each parameter once, in any order, separated by a comma with or without blanks
/// after it; nothing else. Capitals in SignedHeaders are lowered into `work`.
pub(crate) fn parse<'a>(value: &'a [u8], work: &mut Work) -> Result<Authorization<'a>, Reason> {
    let rest = match value.strip_prefix(ALGORITHM).and_then(|rest| rest.strip_prefix(b" ")) {
        Some(rest) => rest,
        None => return Err(other_scheme(value)),
    };
    let [mut credential, mut signed_headers, mut signature] = [None::<&[u8]>; 3];
    let mut commas = scan::positions(rest, |block| block.is(b','));
    let mut start = 0;
    while start <= rest.len() {
        let end = commas.next().unwrap_or(rest.len());
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
    Ok(Authorization {
        credential_text: Text::Wire(credential),
        credential: Credential::parse(credential).ok_or_else(|| malformed(Malformed::Credential))?,
        signed_headers: lowered(signed_headers, work),
        signature: Signature::from_hex(signature).ok_or_else(|| malformed(Malformed::Signature))?,
    })
}

fn lowered<'a>(list: &'a [u8], work: &mut Work) -> Text<'a> {
    if scan::all(list, |block| !block.within(b'A', b'Z')) {
        return Text::Wire(list);
    }
    work.decode_with(|decoded| {
        list.iter().for_each(|byte| decoded.put_byte(byte.to_ascii_lowercase()));
        Some(())
    })
    .unwrap_or(Text::Wire(list))
}

fn other_scheme(value: &[u8]) -> Reason {
    if value == ALGORITHM {
        malformed(Malformed::Grammar)
    } else if value.starts_with(b"AWS ") {
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
