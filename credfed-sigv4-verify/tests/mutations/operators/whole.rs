//! The body of a request that is not chunked, the moment, and the key.

use std::time::Duration;

use credfed_sigv4_verify::{Carrier, KeyKind, Profile, ResolvedKey};

use super::super::dice::Dice;
use super::super::samples::{Arrival, Sample};
use super::{Named, with_body};
use crate::support;

pub(super) const CHANGES: &[Named] = &[
    ("body: a bit", |sample, dice| covered(sample).then(|| bit(sample, dice))?),
    ("body: shorter", |sample, dice| covered(sample).then(|| shorter(sample, dice))?),
    ("body: longer", |sample, dice| covered(sample).then(|| longer(sample, dice))?),
    ("body: another", |sample, dice| covered(sample).then(|| another(sample, dice))?),
    ("time: too late", late),
    ("time: too early", early),
    ("time: the session is over", over),
    ("key: another secret", secret),
    ("key: static for temporary and the reverse", kind),
];

pub(super) const RESPELLINGS: &[Named] = &[
    ("body: not covered", |sample, dice| {
        let open = !sample.covers_body && sample.upload.is_none();
        open.then(|| another(sample, dice))?
    }),
    ("time: within", within),
];

fn covered(sample: &Sample) -> bool {
    sample.covers_body && sample.upload.is_none()
}

fn bit(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    let mut body = sample.body()?.to_vec();
    let at = dice.index(body.len())?;
    body[at] ^= 1 << dice.index(8)?;
    with_body(sample, body)
}

fn shorter(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    let mut body = sample.body()?.to_vec();
    body.truncate(dice.index(body.len())?);
    with_body(sample, body)
}

fn longer(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    let mut body = sample.body()?.to_vec();
    let at = dice.index(body.len() + 1)?;
    body.insert(at, *dice.pick(b"a\n\r\0 ")?);
    with_body(sample, body)
}

fn another(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    let body = dice.word().into_bytes();
    (sample.body()? != &body).then(|| with_body(sample, body))?
}

/// How far before and after its date a request is accepted, in seconds.
fn window(sample: &Sample) -> (u64, u64) {
    let skew = if matches!(sample.profile, Profile::General { .. }) { 300 } else { 900 };
    // Forms and presigned requests of the samples live for an hour.
    if sample.carrier == Carrier::Header { (skew, skew) } else { (skew, 3600) }
}

fn late(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    let late = Duration::from_secs(window(sample).1)
        + Duration::from_nanos(1 + (dice.next() >> (dice.next() % 64)) / 4);
    Some(Arrival { now: support::now() + late, ..sample.arrival.clone() })
}

fn early(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    let day = 24 * 60 * 60 * 1_000_000_000;
    let early = Duration::from_secs(window(sample).0)
        + Duration::from_nanos(1 + (dice.next() >> (dice.next() % 64)) % day);
    Some(Arrival { now: support::now() - early, ..sample.arrival.clone() })
}

fn within(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    let (before, after) = window(sample);
    let now = match dice.index(4)? {
        0 => support::now() - Duration::from_secs(before),
        1 => support::now() + Duration::from_secs(after),
        2 => support::now() - Duration::from_secs(dice.next() % before),
        _ => support::now() + Duration::from_secs(dice.next() % after),
    };
    Some(Arrival { now, ..sample.arrival.clone() })
}

fn over(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    let end = support::now() - Duration::from_secs(dice.next() % 1000);
    Some(Arrival { key: sample.arrival.key.clone().not_after(end), ..sample.arrival.clone() })
}

fn secret(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    let secret = match dice.index(4)? {
        0 => String::new(),
        1 => format!("{}=", support::SECRET),
        2 => support::SECRET.to_lowercase(),
        _ => dice.word(),
    };
    let key = ResolvedKey::new(secret, sample.arrival.key.kind(), 1);
    Some(Arrival { key, ..sample.arrival.clone() })
}

fn kind(sample: &Sample, _: &mut Dice) -> Option<Arrival> {
    let key = match sample.arrival.key.kind() {
        KeyKind::Static => support::session_key(),
        _ => support::static_key(),
    };
    Some(Arrival { key, ..sample.arrival.clone() })
}
