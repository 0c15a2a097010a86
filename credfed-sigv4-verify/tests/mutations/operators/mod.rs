//! What is done to a valid request: one change that makes it another request, which must be refused, or another way to
//! write the same one, which must be accepted.

mod chunks;
mod form;
mod header_credentials;
mod headers;
mod presigned;
mod target;
mod whole;

use bytes::Bytes;
use http::HeaderValue;
use http::request::Parts;

use super::dice::Dice;
use super::samples::{Arrival, Message, Sample};

/// `None` where it does not apply to the request, or would not change what it means.
pub(crate) type Operator = fn(&Sample, &mut Dice) -> Option<Arrival>;

pub(crate) type Named = (&'static str, Operator);

/// Each makes another request of it.
pub(crate) fn changes() -> Vec<Named> {
    [
        target::CHANGES,
        headers::CHANGES,
        header_credentials::CHANGES,
        presigned::CHANGES,
        whole::CHANGES,
        chunks::CHANGES,
        form::CHANGES,
    ]
    .concat()
}

/// Each says the same in other words, or says more of what nobody signs.
pub(crate) fn respellings() -> Vec<Named> {
    [
        target::RESPELLINGS,
        headers::RESPELLINGS,
        header_credentials::RESPELLINGS,
        presigned::RESPELLINGS,
        whole::RESPELLINGS,
        chunks::RESPELLINGS,
        form::RESPELLINGS,
    ]
    .concat()
}

/// The sample with another head; `None` where `change` says so, and where there is no head.
fn with_parts(sample: &Sample, change: impl FnOnce(&mut Parts) -> Option<()>) -> Option<Arrival> {
    let Message::Request { parts, body } = &sample.arrival.message else { return None };
    let mut parts = parts.clone();
    change(&mut parts)?;
    let message = Message::Request { parts, body: body.clone() };
    Some(Arrival { message, now: sample.arrival.now, key: sample.arrival.key.clone() })
}

/// The sample with another body.
fn with_body(sample: &Sample, body: Vec<u8>) -> Option<Arrival> {
    let Message::Request { parts, .. } = &sample.arrival.message else { return None };
    let message = Message::Request { parts: parts.clone(), body: Bytes::from(body) };
    Some(Arrival { message, now: sample.arrival.now, key: sample.arrival.key.clone() })
}

/// The sample with another target, where that can be one.
fn with_target(sample: &Sample, target: &str) -> Option<Arrival> {
    let uri = target.parse().ok()?;
    with_parts(sample, |parts| {
        parts.uri = uri;
        Some(())
    })
}

fn header_value(bytes: &[u8]) -> Option<HeaderValue> {
    HeaderValue::from_bytes(bytes).ok()
}

/// `text` with one letter or digit at a place that `is_open` replaced by another one.
fn altered(text: &str, dice: &mut Dice, is_open: impl Fn(usize) -> bool) -> Option<String> {
    let places: Vec<_> = text
        .bytes()
        .enumerate()
        .filter(|(at, byte)| byte.is_ascii_alphanumeric() && is_open(*at))
        .map(|(at, _)| at)
        .collect();
    let at = *dice.pick(&places)?;
    let mut bytes = text.as_bytes().to_vec();
    bytes[at] = dice.other_than(bytes[at]);
    String::from_utf8(bytes).ok()
}

/// `text` with the case of one letter flipped.
fn recased(text: &str, dice: &mut Dice, is_open: impl Fn(usize) -> bool) -> Option<String> {
    let places: Vec<_> = text
        .bytes()
        .enumerate()
        .filter(|(at, byte)| byte.is_ascii_alphabetic() && is_open(*at))
        .map(|(at, _)| at)
        .collect();
    let at = *dice.pick(&places)?;
    let mut bytes = text.as_bytes().to_vec();
    bytes[at] ^= 0x20;
    String::from_utf8(bytes).ok()
}

/// Whether the byte at `at` belongs to an escape.
fn in_escape(text: &str, at: usize) -> bool {
    let bytes = text.as_bytes();
    bytes[at] == b'%' || (at >= 1 && bytes[at - 1] == b'%') || (at >= 2 && bytes[at - 2] == b'%')
}
