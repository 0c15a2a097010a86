//! The Authorization header, field by field, and what its signers date and declare beside it.

use credfed_sigv4_verify::Carrier;
use http::header::AUTHORIZATION;
use http::request::Parts;

use super::super::dice::Dice;
use super::super::samples::{Arrival, Sample};
use super::{Named, altered, header_value, recased, with_parts};

pub(super) const CHANGES: &[Named] = &[
    ("authorization: signature", signature),
    ("authorization: access key", access_key),
    ("authorization: scope", scope),
    ("authorization: a part of the scope more or less", scope_parts),
    ("authorization: signed name dropped", name_dropped),
    ("authorization: signed name added", name_added),
    ("authorization: list of names malformed", list_malformed),
    ("authorization: algorithm", algorithm),
    ("authorization: field dropped or doubled", fields),
    ("authorization: case of a field's name", field_case),
    ("authorization: header dropped", dropped),
    ("authorization: header doubled", doubled),
    ("authorization: another mode or hash declared", payload_line),
    ("authorization: date", date),
];

pub(super) const RESPELLINGS: &[Named] = &[
    ("authorization: order and blanks of its fields", order),
    ("authorization: order and case of signed names", names_alike),
];

fn text(sample: &Sample) -> Option<&str> {
    (sample.carrier == Carrier::Header).then(|| sample.parts()?.headers.get(AUTHORIZATION)?.to_str().ok())?
}

fn with_text(sample: &Sample, text: &str) -> Option<Arrival> {
    with_parts(sample, |parts| set(parts, text))
}

fn set(parts: &mut Parts, text: &str) -> Option<()> {
    parts.headers.insert(AUTHORIZATION, header_value(text.as_bytes())?);
    Some(())
}

/// Algorithm, credential, signed headers, signature.
fn split(text: &str) -> Option<[&str; 4]> {
    let (algorithm, rest) = text.split_once(' ')?;
    let mut fields = rest.split(", ").map(|field| field.split_once('=').map(|(_, value)| value));
    Some([algorithm, fields.next()??, fields.next()??, fields.next()??])
}

fn join([algorithm, credential, names, signature]: [&str; 4]) -> String {
    format!("{algorithm} Credential={credential}, SignedHeaders={names}, Signature={signature}")
}

fn signature(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    let [algorithm, credential, names, signature] = split(text(sample)?)?;
    let other = match dice.index(8)? {
        0 => signature.to_uppercase(),
        1 => signature[1..].to_owned(),
        2 => format!("{signature}0"),
        3 => format!("0x{}", &signature[2..]),
        4 => "0".repeat(64),
        _ => altered(signature, dice, |_| true)?,
    };
    (other != signature).then(|| with_text(sample, &join([algorithm, credential, names, &other])))?
}

fn access_key(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    let [algorithm, credential, names, signature] = split(text(sample)?)?;
    let end = credential.find('/')?;
    let other = if dice.coin() {
        altered(credential, dice, |at| at < end)?
    } else {
        recased(credential, dice, |at| at < end)?
    };
    with_text(sample, &join([algorithm, &other, names, signature]))
}

fn scope(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    let [algorithm, credential, names, signature] = split(text(sample)?)?;
    let start = credential.find('/')?;
    let other = if dice.coin() {
        altered(credential, dice, |at| at > start)?
    } else {
        recased(credential, dice, |at| at > start)?
    };
    with_text(sample, &join([algorithm, &other, names, signature]))
}

fn scope_parts(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    let [algorithm, credential, names, signature] = split(text(sample)?)?;
    let mut parts: Vec<_> = credential.split('/').collect();
    let at = dice.index(parts.len())?;
    let word = dice.word();
    match dice.index(4)? {
        0 => drop(parts.remove(at)),
        1 => parts.insert(at, &word),
        2 => parts.insert(at, parts[at]),
        _ => {
            let other = dice.index(parts.len())?;
            if parts[at] == parts[other] {
                return None;
            }
            parts.swap(at, other);
        }
    }
    with_text(sample, &join([algorithm, &parts.join("/"), names, signature]))
}

fn name_dropped(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    let [algorithm, credential, names, signature] = split(text(sample)?)?;
    let mut kept: Vec<_> = names.split(';').collect();
    kept.remove(dice.index(kept.len())?);
    with_text(sample, &join([algorithm, credential, &kept.join(";"), signature]))
}

/// One that is there, or one that is not.
fn name_added(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    let [algorithm, credential, names, signature] = split(text(sample)?)?;
    let more = format!("x-{}", dice.word());
    let is_there = dice.coin();
    let mut all: Vec<_> = names.split(';').chain([more.as_str()]).collect();
    all.sort_unstable();
    with_parts(sample, |parts| {
        if is_there {
            parts.headers.append(more.parse::<http::HeaderName>().ok()?, header_value(b"")?);
        }
        set(parts, &join([algorithm, credential, &all.join(";"), signature]))
    })
}

fn list_malformed(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    let [algorithm, credential, names, signature] = split(text(sample)?)?;
    let first = names.split(';').next()?;
    let names = match dice.index(8)? {
        0 => format!("{names};"),
        1 => format!(";{names}"),
        2 => names.replacen(';', ";;", 1),
        3 => names.replacen(';', "; ", 1),
        4 => format!("{names};{first}"),
        5 => format!("{names};{}", first.to_uppercase()),
        6 => format!("{names};a b"),
        _ => String::new(),
    };
    with_text(sample, &join([algorithm, credential, &names, signature]))
}

fn algorithm(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    let [algorithm, credential, names, signature] = split(text(sample)?)?;
    let word = dice.word();
    let other = match dice.index(7)? {
        0 => "AWS4-ECDSA-P256-SHA256".to_owned(),
        1 => algorithm.to_lowercase(),
        2 => "AWS4-HMAC-SHA1".to_owned(),
        3 => "AWS".to_owned(),
        4 => "Bearer".to_owned(),
        5 => format!("{algorithm}-{word}"),
        _ => altered(algorithm, dice, |_| true)?,
    };
    with_text(sample, &join([&other, credential, names, signature]))
}

fn fields(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    let (algorithm, rest) = text(sample)?.split_once(' ')?;
    let mut fields: Vec<_> = rest.split(", ").collect();
    let at = dice.index(fields.len())?;
    match dice.index(3)? {
        0 => drop(fields.remove(at)),
        1 => fields.push(fields[at]),
        _ => fields.push("Extra=1"),
    }
    with_text(sample, &format!("{algorithm} {}", fields.join(", ")))
}

fn field_case(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    let text = text(sample)?;
    let name = *dice.pick(&["Credential=", "SignedHeaders=", "Signature="])?;
    let at = text.find(name)?;
    with_text(sample, &recased(text, dice, |place| (at..at + name.len()).contains(&place))?)
}

fn dropped(sample: &Sample, _: &mut Dice) -> Option<Arrival> {
    with_parts(sample, |parts| parts.headers.remove(AUTHORIZATION).map(drop))
}

fn doubled(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    let text = text(sample)?;
    let again = if dice.coin() { text } else { "Bearer abc" };
    with_parts(sample, |parts| {
        parts.headers.append(AUTHORIZATION, header_value(again.as_bytes())?);
        Some(())
    })
}

/// Whatever selects a weaker mode, or another body.
fn payload_line(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    let line = sample.parts()?.headers.get("x-amz-content-sha256")?.to_str().ok()?;
    let upper = line.to_uppercase();
    let other = *dice.pick(&[
        "UNSIGNED-PAYLOAD",
        crate::support::EMPTY,
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
        "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD",
        "STREAMING-AWS4-HMAC-SHA256-EVENTS",
        "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
        "",
        &upper,
    ])?;
    (other != line).then_some(())?;
    with_parts(sample, |parts| {
        parts.headers.insert("x-amz-content-sha256", header_value(other.as_bytes())?);
        Some(())
    })
}

fn date(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    let other = *dice.pick(&[
        "20150830T123601Z",
        "20150830T123559Z",
        "20150831T123600Z",
        "20150830T123600",
        "2015-08-30T12:36:00Z",
        "not-a-date",
        "",
    ])?;
    with_parts(sample, |parts| {
        parts.headers.contains_key("x-amz-date").then_some(())?;
        parts.headers.insert("x-amz-date", header_value(other.as_bytes())?);
        Some(())
    })
}

fn order(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    let (algorithm, rest) = text(sample)?.split_once(' ')?;
    let mut fields: Vec<_> = rest.split(", ").collect();
    let (one, two) = (dice.index(3)?, dice.index(3)?);
    fields.swap(one, two);
    let separator = dice.pick(&[",", ", ", ",  "])?;
    with_text(sample, &format!("{algorithm} {}", fields.join(separator)))
}

fn names_alike(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    let [algorithm, credential, names, signature] = split(text(sample)?)?;
    let names = if dice.coin() { recased(names, dice, |_| true)? } else { names.to_owned() };
    let mut all: Vec<_> = names.split(';').collect();
    let (one, two) = (dice.index(all.len())?, dice.index(all.len())?);
    all.swap(one, two);
    with_text(sample, &join([algorithm, credential, &all.join(";"), signature]))
}
