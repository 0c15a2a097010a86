//! The credential parameters of a presigned query, one by one.

use credfed_sigv4_verify::Carrier;

use super::super::dice::Dice;
use super::super::samples::{Arrival, Sample};
use super::{Named, altered, header_value, in_escape, recased, with_parts, with_target};

pub(super) const CHANGES: &[Named] = &[
    ("presigned: another value", value),
    ("presigned: case of a value", value_case),
    ("presigned: life", life),
    ("presigned: value escaped that comes as it is", escaped),
    ("presigned: parameter dropped", dropped),
    ("presigned: parameter doubled", doubled),
    ("presigned: name in another spelling", name_respelt),
    ("presigned: parameter moved into a header", moved),
    ("presigned: values of two exchanged", exchanged),
    ("presigned: Authorization beside it", beside),
];

pub(super) const RESPELLINGS: &[Named] = &[("presigned: value respelt", value_respelt)];

/// The pieces of the query, and which of them are credentials.
fn split(sample: &Sample) -> Option<(&str, Vec<&str>, Vec<usize>)> {
    if sample.carrier != Carrier::Presigned {
        return None;
    }
    let parts = sample.parts()?;
    let pieces: Vec<_> = parts.uri.query()?.split('&').collect();
    let credentials = (0..pieces.len()).filter(|&at| pieces[at].starts_with("X-Amz-")).collect();
    Some((parts.uri.path(), pieces, credentials))
}

fn with_pieces(sample: &Sample, path: &str, pieces: &[&str]) -> Option<Arrival> {
    with_target(sample, &format!("{path}?{}", pieces.join("&")))
}

/// One credential parameter replaced.
fn with_piece(
    sample: &Sample,
    dice: &mut Dice,
    change: impl FnOnce(&str, &str, &mut Dice) -> Option<String>,
) -> Option<Arrival> {
    let (path, mut pieces, credentials) = split(sample)?;
    let at = *dice.pick(&credentials)?;
    let (name, value) = pieces[at].split_once('=')?;
    let other = change(name, value, dice)?;
    (other != pieces[at]).then_some(())?;
    pieces[at] = &other;
    with_pieces(sample, path, &pieces)
}

fn value(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    with_piece(sample, dice, |name, value, dice| {
        Some(format!("{name}={}", altered(value, dice, |at| !in_escape(value, at))?))
    })
}

/// Of the list of names too: it is a value of the signed query.
fn value_case(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    with_piece(sample, dice, |name, value, dice| {
        Some(format!("{name}={}", recased(value, dice, |at| !in_escape(value, at))?))
    })
}

fn life(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    let (path, mut pieces, credentials) = split(sample)?;
    let at = credentials.into_iter().find(|&at| pieces[at].starts_with("X-Amz-Expires="))?;
    let other = dice.pick(&[
        "0",
        "-1",
        "604801",
        "604800",
        "1.5",
        "%205",
        "3601",
        "03600",
        "18446744073709551616",
        "",
    ])?;
    let other = format!("X-Amz-Expires={other}");
    pieces[at] = &other;
    with_pieces(sample, path, &pieces)
}

/// Algorithm, date, life and signature come unescaped.
fn escaped(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    with_piece(sample, dice, |name, value, dice| {
        let exact = ["X-Amz-Algorithm", "X-Amz-Date", "X-Amz-Expires", "X-Amz-Signature"].contains(&name);
        exact.then_some(())?;
        let at = dice.index(value.len())?;
        Some(format!("{name}={}%{:02X}{}", &value[..at], value.as_bytes()[at], &value[at + 1..]))
    })
}

fn dropped(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    let (path, mut pieces, credentials) = split(sample)?;
    pieces.remove(*dice.pick(&credentials)?);
    with_pieces(sample, path, &pieces)
}

fn doubled(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    let (path, mut pieces, credentials) = split(sample)?;
    let at = *dice.pick(&credentials)?;
    let (name, value) = pieces[at].split_once('=')?;
    let again = match dice.index(4)? {
        0 => pieces[at].to_owned(),
        1 => format!("{name}="),
        2 => format!("{}={value}", name.to_lowercase()),
        _ => format!("{}={value}", name.replacen('-', "%2D", 1)),
    };
    pieces.insert(dice.index(pieces.len() + 1)?, &again);
    with_pieces(sample, path, &pieces)
}

fn name_respelt(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    with_piece(sample, dice, |name, value, dice| {
        let other = match dice.index(3)? {
            0 => name.to_lowercase(),
            1 => name.replacen('A', "%41", 1),
            _ => recased(name, dice, |_| true)?,
        };
        Some(format!("{other}={value}"))
    })
}

fn moved(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    let (path, mut pieces, credentials) = split(sample)?;
    let at = *dice.pick(&credentials)?;
    let (name, value) = pieces.remove(at).split_once('=')?;
    let name: http::HeaderName = name.to_lowercase().parse().ok()?;
    let value: Vec<u8> = percent_encoding::percent_decode_str(value).collect();
    let uri = format!("{path}?{}", pieces.join("&")).parse().ok()?;
    with_parts(sample, |parts| {
        parts.uri = uri;
        parts.headers.insert(name, header_value(&value)?);
        Some(())
    })
}

fn exchanged(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    let (path, mut pieces, credentials) = split(sample)?;
    let (one, two) = (*dice.pick(&credentials)?, *dice.pick(&credentials)?);
    let ((first, its), (second, theirs)) = (pieces[one].split_once('=')?, pieces[two].split_once('=')?);
    (its != theirs).then_some(())?;
    let exchanged = [format!("{first}={theirs}"), format!("{second}={its}")];
    pieces[one] = &exchanged[0];
    pieces[two] = &exchanged[1];
    with_pieces(sample, path, &pieces)
}

fn beside(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    (sample.carrier == Carrier::Presigned).then_some(())?;
    let value =
        *dice.pick(&["AWS4-HMAC-SHA256 Credential=a/20150830/us-east-1/s3/aws4_request", "Bearer a", ""])?;
    with_parts(sample, |parts| {
        parts.headers.insert("authorization", header_value(value.as_bytes())?);
        Some(())
    })
}

/// Credential, names and token may be written with other escapes.
fn value_respelt(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    with_piece(sample, dice, |name, value, dice| {
        let open = ["X-Amz-Credential", "X-Amz-SignedHeaders", "X-Amz-Security-Token"].contains(&name);
        open.then_some(())?;
        let other = match dice.index(4)? {
            0 => value.replace("%2F", "/"),
            1 => value.replace("%3B", ";"),
            2 => value.replace("%2F", "%2f").replace("%3B", "%3b").replace("%2B", "%2b"),
            _ => {
                let at = dice.index(value.len()).filter(|&at| !in_escape(value, at))?;
                format!("{}%{:02X}{}", &value[..at], value.as_bytes()[at], &value[at + 1..])
            }
        };
        Some(format!("{name}={other}"))
    })
}
