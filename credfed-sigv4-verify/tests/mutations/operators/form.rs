//! The fields of a POST form, its policy, and what stands around them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::super::dice::Dice;
use super::super::samples::{Arrival, Message, Sample};
use super::Named;
use crate::support::post::{Sent, exact};

pub(super) const CHANGES: &[Named] = &[
    ("form: another value", value),
    ("form: shorter value", shorter),
    ("form: field renamed", renamed),
    ("form: field dropped", dropped),
    ("form: field doubled", doubled),
    ("form: field added", added),
    ("form: values exchanged", exchanged),
    ("form: another bucket", bucket),
    ("form: another file name", filename),
    ("form: another size", size),
    ("form: policy rewritten", policy),
    ("form: policy loosened", policy_loosened),
    ("form: policy of no use", policy_of_no_use),
];

pub(super) const RESPELLINGS: &[Named] = &[
    ("form: order of fields", order),
    ("form: case of names", name_case),
    ("form: what is ignored", ignored),
    ("form: the bucket as a field", bucket_field),
    ("form: file name that no field uses", filename_unused),
    ("form: directories of the file's name", directories),
];

fn edited(sample: &Sample, change: impl FnOnce(&mut Sent) -> Option<()>) -> Option<Arrival> {
    let mut form = sample.form()?.clone();
    change(&mut form)?;
    Some(Arrival { message: Message::Form(Box::new(form)), ..sample.arrival.clone() })
}

fn is_ignored(name: &str) -> bool {
    name.starts_with("x-ignore-")
}

/// A field that counts.
fn field<'a>(form: &'a mut Sent, dice: &mut Dice) -> Option<&'a mut (String, String)> {
    let mut fields: Vec<_> = form.fields.iter_mut().filter(|(name, _)| !is_ignored(name)).collect();
    let at = dice.index(fields.len())?;
    Some(fields.swap_remove(at))
}

fn value(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    edited(sample, |form| {
        let (_, value) = field(form, dice)?;
        let places: Vec<_> = value.char_indices().collect();
        let (at, letter) = *dice.pick(&places)?;
        let other = dice.other_than(u8::try_from(letter).unwrap_or_default());
        value.replace_range(at..at + letter.len_utf8(), &char::from(other).to_string());
        Some(())
    })
}

fn shorter(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    edited(sample, |form| {
        let (_, value) = field(form, dice)?;
        if dice.coin() {
            value.pop().map(drop)
        } else {
            let is_empty = std::mem::take(value).is_empty();
            (!is_empty).then_some(())
        }
    })
}

fn renamed(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    edited(sample, |form| {
        field(form, dice)?.0.push('x');
        Some(())
    })
}

fn dropped(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    edited(sample, |form| {
        let name = field(form, dice)?.0.clone();
        form.fields.retain(|(have, _)| *have != name);
        Some(())
    })
}

fn doubled(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    edited(sample, |form| {
        let (name, value) = dice.pick(&form.fields)?.clone();
        let name = if dice.coin() { name.to_uppercase() } else { name };
        let value = if dice.coin() { dice.word() } else { value };
        form.fields.insert(dice.index(form.fields.len() + 1)?, (name, value));
        Some(())
    })
}

fn added(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    let known = [
        "acl",
        "file",
        "tagging",
        "success_action_redirect",
        "x-amz-storage-class",
        "x-amz-meta-zzzzzzz",
        "x-amz-server-side-encryption",
        "Content-Type",
        "awsaccesskeyid",
        "signature",
        "",
    ];
    let word = format!("{}-", dice.word());
    let name = if dice.coin() { *dice.pick(&known)? } else { &word };
    edited(sample, |form| {
        form.fields.insert(dice.index(form.fields.len() + 1)?, (name.to_owned(), dice.word()));
        Some(())
    })
}

fn exchanged(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    edited(sample, |form| {
        let counts = |(at, (name, _)): (usize, &(String, String))| (!is_ignored(name)).then_some(at);
        let places: Vec<_> = form.fields.iter().enumerate().filter_map(counts).collect();
        let (one, two) = (*dice.pick(&places)?, *dice.pick(&places)?);
        let (first, second) = (form.fields[one].1.clone(), form.fields[two].1.clone());
        // What begins with the other is within a prefix that was signed.
        (!first.starts_with(&second) && !second.starts_with(&first)).then_some(())?;
        form.fields[one].1 = second;
        form.fields[two].1 = first;
        Some(())
    })
}

fn bucket(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    edited(sample, |form| {
        form.bucket = if dice.coin() { format!("{}x", form.bucket) } else { dice.word() };
        (form.bucket != sample.form()?.bucket).then_some(())
    })
}

fn filename(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    edited(sample, |form| {
        let name = form.filename.as_mut()?;
        // Where the key is made of it.
        match dice.index(3)? {
            0 => name.push('x'),
            1 => name.pop().map(drop)?,
            _ => *name = format!("{name}/{}", dice.word()),
        }
        (*name != *sample.form()?.filename.as_ref()?).then_some(())?;
        (name.rsplit('/').next() != sample.form()?.filename.as_deref()).then_some(())
    })
}

fn size(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    edited(sample, |form| {
        let size = form.size?;
        form.size = Some(match dice.index(4)? {
            0 => size + 1,
            1 => size.checked_sub(1)?,
            2 => u64::MAX,
            _ => dice.next() >> (dice.next() % 64),
        });
        (form.size != Some(size)).then_some(())
    })
}

fn with_policy(sample: &Sample, change: impl FnOnce(&str) -> Option<String>) -> Option<Arrival> {
    edited(sample, |form| {
        let (_, policy) = form.fields.iter_mut().find(|(name, _)| name == "policy")?;
        let json = String::from_utf8(STANDARD.decode(&*policy).ok()?).ok()?;
        let other = change(&json)?;
        (other != json).then_some(())?;
        *policy = STANDARD.encode(other);
        Some(())
    })
}

/// The same document in other words is not what was signed.
fn policy(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    with_policy(sample, |json| {
        Some(match dice.index(4)? {
            0 => json.replace("},", "}, "),
            1 => format!(" {json}"),
            2 => format!("{json}\n"),
            _ => json.replacen('[', "[ ", 1),
        })
    })
}

fn policy_loosened(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    with_policy(sample, |json| {
        Some(match dice.index(3)? {
            0 => json.replace("2015-08-30T13", "2015-08-31T13"),
            1 => json.replacen('[', &format!("[{},", exact("acl", "public-read")), 1),
            _ => json.replacen('[', "[[\"starts-with\",\"$key\",\"\"],", 1),
        })
    })
}

/// Whatever it says, only the key's holder can have signed it.
fn policy_of_no_use(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    edited(sample, |form| {
        let (_, policy) = form.fields.iter_mut().find(|(name, _)| name == "policy")?;
        *policy = match dice.coin() {
            true => dice.word(),
            false => {
                STANDARD.encode(format!("{{\"expiration\":\"2015-08-30T13:36:00Z\",\"{}\":[]}}", dice.word()))
            }
        };
        Some(())
    })
}

fn order(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    edited(sample, |form| {
        for _ in 0..form.fields.len() {
            let (one, two) = (dice.index(form.fields.len())?, dice.index(form.fields.len())?);
            form.fields.swap(one, two);
        }
        Some(())
    })
}

fn name_case(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    edited(sample, |form| {
        let at = dice.index(form.fields.len())?;
        form.fields[at].0 = super::recased(&form.fields[at].0, dice, |_| true)?;
        Some(())
    })
}

fn ignored(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    edited(sample, |form| {
        match dice.index(3)? {
            0 => form.fields.retain(|(name, _)| !is_ignored(name)),
            1 => form.fields.iter_mut().find(|(name, _)| is_ignored(name))?.1 = dice.word(),
            _ => {
                // Not one that is there.
                let field = (format!("x-ignore-{}-", dice.word()), dice.word());
                form.fields.insert(dice.index(form.fields.len() + 1)?, field);
            }
        }
        Some(())
    })
}

fn bucket_field(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    edited(sample, |form| {
        let field = ("bucket".to_owned(), form.bucket.clone());
        form.fields.insert(dice.index(form.fields.len() + 1)?, field);
        Some(())
    })
}

fn filename_unused(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    edited(sample, |form| {
        form.filename.is_none().then_some(())?;
        form.filename = Some(dice.word());
        Some(())
    })
}

fn directories(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    edited(sample, |form| {
        let name = form.filename.as_mut()?;
        *name = format!("{}{}{name}", dice.word(), dice.pick(&['/', '\\'])?);
        Some(())
    })
}
