//! Headers: what is signed of them, and what is not.

use http::HeaderName;
use http::request::Parts;

use super::super::dice::Dice;
use super::super::samples::{Arrival, Sample};
use super::{Named, header_value, with_parts};

pub(super) const CHANGES: &[Named] = &[
    ("header: another byte", byte),
    ("header: a blank inside", blank),
    ("header: removed", removed),
    ("header: doubled", doubled),
    ("header: a second value", second),
    ("header: values exchanged", exchanged),
    ("header: values in another order", reordered),
    ("header: renamed", renamed),
    ("header: moved into the query", moved),
    ("header: unsigned x-amz-*", unsigned_amazon),
    ("header: Connection names what is signed", connection),
    ("host: port", host_port),
    ("host: case", host_case),
    ("host: another authority", authority),
    ("host: another one in the target alone", other_alone),
];

pub(super) const RESPELLINGS: &[Named] = &[
    ("header: unsigned", unsigned),
    ("header: blanks around and between", blanks),
    ("header: values joined or split", joined_or_split),
    ("host: in the target too", authority_alike),
    ("host: in the target alone", authority_alone),
];

/// A signed header that is there.
fn signed<'a>(sample: &'a Sample, dice: &mut Dice) -> Option<&'a str> {
    sample.parts()?;
    dice.pick(&sample.signed).map(String::as_str)
}

fn values(parts: &Parts, name: &str) -> Vec<Vec<u8>> {
    parts.headers.get_all(name).iter().map(|value| value.as_bytes().to_vec()).collect()
}

fn set_values(parts: &mut Parts, name: &str, values: &[Vec<u8>]) -> Option<()> {
    let name: HeaderName = name.parse().ok()?;
    parts.headers.remove(&name);
    for value in values {
        parts.headers.append(&name, header_value(value)?);
    }
    Some(())
}

/// As it is signed: trimmed, runs of blanks folded, joined with commas.
fn meaning(values: &[Vec<u8>]) -> Vec<u8> {
    let folded: Vec<_> = values
        .iter()
        .map(|value| {
            let words = value.split(|byte| b" \t".contains(byte)).filter(|word| !word.is_empty());
            words.collect::<Vec<_>>().join(&b' ')
        })
        .collect();
    folded.join(&b',')
}

/// Another list of values for a signed header, if it means another one.
fn other_values(
    sample: &Sample,
    dice: &mut Dice,
    change: impl FnOnce(&mut Vec<Vec<u8>>, &mut Dice) -> Option<()>,
) -> Option<Arrival> {
    let name = signed(sample, dice)?;
    with_parts(sample, |parts| {
        let old = values(parts, name);
        let mut new = old.clone();
        change(&mut new, dice)?;
        if meaning(&new) == meaning(&old) && new.is_empty() == old.is_empty() {
            return None;
        }
        set_values(parts, name, &new)
    })
}

fn byte(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    other_values(sample, dice, |values, dice| {
        let which = dice.index(values.len())?;
        let value = &mut values[which];
        match dice.index(value.len()) {
            None => value.push(b'x'),
            Some(at) if value[at] == b' ' => value[at] = b'_',
            Some(at) => value[at] = dice.other_than(value[at]),
        }
        Some(())
    })
}

fn blank(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    other_values(sample, dice, |values, dice| {
        let which = dice.index(values.len())?;
        let value = &mut values[which];
        let at = 1 + dice.index(value.len().checked_sub(1)?)?;
        value.insert(at, b' ');
        Some(())
    })
}

/// One of its values, or all.
fn removed(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    other_values(sample, dice, |values, dice| {
        if dice.coin() {
            values.clear();
        } else {
            values.remove(dice.index(values.len())?);
        }
        Some(())
    })
}

fn doubled(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    other_values(sample, dice, |values, dice| {
        let again = dice.pick(values)?.clone();
        values.push(again);
        Some(())
    })
}

fn second(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    other_values(sample, dice, |values, dice| {
        let at = dice.index(values.len() + 1)?;
        values.insert(at, dice.word().into_bytes());
        Some(())
    })
}

fn exchanged(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    let (one, two) = (signed(sample, dice)?, signed(sample, dice)?);
    with_parts(sample, |parts| {
        let (first, other) = (values(parts, one), values(parts, two));
        (meaning(&first) != meaning(&other)).then_some(())?;
        set_values(parts, one, &other)?;
        set_values(parts, two, &first)
    })
}

fn reordered(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    other_values(sample, dice, |values, _| {
        values.reverse();
        Some(())
    })
}

fn renamed(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    let name = signed(sample, dice)?;
    let other = format!("{name}{}", dice.word());
    with_parts(sample, |parts| {
        let values = values(parts, name);
        set_values(parts, name, &[])?;
        set_values(parts, &other, &values)
    })
}

fn moved(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    let name = signed(sample, dice)?;
    with_parts(sample, |parts| {
        let value = meaning(&values(parts, name));
        set_values(parts, name, &[])?;
        let value = percent_encoding::percent_encode(&value, percent_encoding::NON_ALPHANUMERIC);
        let separator = if parts.uri.query().is_some() { '&' } else { '?' };
        parts.uri = format!("{}{separator}{name}={value}", parts.uri).parse().ok()?;
        Some(())
    })
}

fn unsigned_amazon(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    let known = [
        "x-amz-acl",
        "x-amz-cf-id",
        "x-amz-content-sha256",
        "x-amz-copy-source",
        "x-amz-date",
        "x-amz-decoded-content-length",
        "x-amz-meta-owner",
        "x-amz-region-set",
        "x-amz-s3session-token",
        "x-amz-security-token",
        "x-amz-server-side-encryption",
        "x-amz-server-side-encryption-customer-key",
        "x-amz-storage-class",
        "x-amz-tagging",
        "x-amz-trailer",
        "x-amz-website-redirect-location",
    ];
    let word = format!("x-amz-{}", dice.word());
    let name = if dice.coin() { *dice.pick(&known)? } else { &word };
    let value = dice.word();
    with_parts(sample, |parts| {
        parts.headers.append(name.parse::<HeaderName>().ok()?, value.parse().ok()?);
        Some(())
    })
}

fn connection(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    let name = if dice.coin() { signed(sample, dice)? } else { "x-amz-copy-source" };
    let value = match dice.index(3)? {
        0 => name.to_owned(),
        1 => format!("close, {}", name.to_uppercase()),
        _ => format!("{name},keep-alive"),
    };
    with_parts(sample, |parts| {
        parts.headers.append("connection", value.parse().ok()?);
        Some(())
    })
}

fn host(parts: &Parts) -> Option<String> {
    Some(parts.headers.get("host")?.to_str().ok()?.to_owned())
}

fn host_port(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    let port = dice.pick(&["443", "80", "8443", ""])?;
    with_parts(sample, |parts| set_values(parts, "host", &[format!("{}:{port}", host(parts)?).into_bytes()]))
}

fn host_case(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    with_parts(sample, |parts| {
        let other = super::recased(&host(parts)?, dice, |_| true)?;
        set_values(parts, "host", &[other.into_bytes()])
    })
}

fn authority(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    let also_in_host = dice.coin();
    let word = dice.word();
    with_parts(sample, |parts| {
        let host = host(parts)?;
        let other = match word.len() % 3 {
            0 => format!("{word}.{host}"),
            1 => format!("{host}:8443"),
            _ => format!("{word}@{host}"),
        };
        parts.uri = format!("https://{other}{}", parts.uri).parse().ok()?;
        if !also_in_host {
            parts.headers.remove("host");
        }
        Some(())
    })
}

/// As HTTP/2 has it: the port, the dot and the case of what is signed count there too.
fn other_alone(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    with_parts(sample, |parts| {
        let host = host(parts)?;
        let other = match dice.index(4)? {
            0 => format!("{host}:443"),
            1 => format!("{host}:8443"),
            2 => format!("{host}."),
            _ => super::recased(&host, dice, |_| true)?,
        };
        parts.uri = format!("https://{other}{}", parts.uri).parse().ok()?;
        parts.headers.remove("host");
        Some(())
    })
}

fn unsigned(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    let (name, value) = *dice.pick(&[
        ("accept", "*/*"),
        ("amz-sdk-request", "attempt=2"),
        ("connection", "keep-alive"),
        ("content-length", "5"),
        ("content-type", "text/plain"),
        ("cookie", "a=b"),
        ("date", "Mon, 31 Aug 2015 23:59:59 GMT"),
        ("expect", "100-continue"),
        ("if-none-match", "*"),
        ("range", "bytes=0-9"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ("transfer-encoding", "chunked"),
        ("user-agent", "another"),
        ("via", "1.1 proxy"),
        ("x-amzn-trace-id", "Root=1-5759e988-bd862e3fe1be46a994272793"),
        ("x-forwarded-for", "192.0.2.1"),
        ("x-forwarded-host", "evil.example.org"),
        ("x-latin", "caf\u{e9}"),
        ("x-custom", ""),
    ])?;
    (!sample.signed.iter().any(|signed| signed == name)).then_some(())?;
    with_parts(sample, |parts| {
        parts.headers.append(name.parse::<HeaderName>().ok()?, header_value(value.as_bytes())?);
        Some(())
    })
}

fn blanks(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    let name = signed(sample, dice)?;
    with_parts(sample, |parts| {
        let old = values(parts, name);
        let mut new = old.clone();
        let which = dice.index(new.len())?;
        let value = &mut new[which];
        let blank = *dice.pick(b" \t")?;
        match dice.index(3)? {
            0 => value.insert(0, blank),
            1 => value.push(blank),
            _ => {
                let at = value.iter().position(|&byte| byte == b' ')?;
                value.insert(at, blank);
            }
        }
        assert_eq!(meaning(&new), meaning(&old));
        set_values(parts, name, &new)
    })
}

/// Of headers that may come several times.
fn joined_or_split(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    let name = signed(sample, dice)?;
    if !name.starts_with("x-test-") && !name.starts_with("x-amz-meta-") {
        return None;
    }
    with_parts(sample, |parts| {
        let old = values(parts, name);
        let new = match old.as_slice() {
            [one] => one.split(|&byte| byte == b',').map(<[u8]>::to_vec).collect(),
            _ => vec![meaning(&old)],
        };
        (new.len() != old.len() && meaning(&new) == meaning(&old)).then_some(())?;
        set_values(parts, name, &new)
    })
}

fn authority_alike(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    let recased = dice.coin();
    with_parts(sample, |parts| {
        let host = host(parts)?;
        let host = if recased { host.to_uppercase() } else { host };
        parts.uri = format!("https://{host}{}", parts.uri).parse().ok()?;
        Some(())
    })
}

/// As HTTP/2 has it.
fn authority_alone(sample: &Sample, _: &mut Dice) -> Option<Arrival> {
    with_parts(sample, |parts| {
        parts.uri = format!("https://{}{}", host(parts)?, parts.uri).parse().ok()?;
        parts.headers.remove("host");
        Some(())
    })
}
