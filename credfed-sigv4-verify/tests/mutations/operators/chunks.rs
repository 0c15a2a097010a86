//! The body of a chunked upload: sizes, signatures, data, order, trailer, end.

use super::super::dice::Dice;
use super::super::samples::{Arrival, Sample, Upload};
use super::{Named, altered, recased, with_body};

pub(super) const CHANGES: &[Named] = &[
    ("chunks: a bit of the data", data),
    ("chunks: another size", size),
    ("chunks: size malformed", size_malformed),
    ("chunks: signature", signature),
    ("chunks: signature dropped", signature_dropped),
    ("chunks: signatures of two exchanged", signatures_exchanged),
    ("chunks: dropped", dropped),
    ("chunks: doubled", doubled),
    ("chunks: exchanged", exchanged),
    ("chunks: split though signed", |sample, dice| split(sample, dice, true)),
    ("chunks: joined though signed", |sample, dice| joined(sample, dice, true)),
    ("chunks: the last one dropped", last_dropped),
    ("chunks: ended early", ended_early),
    ("trailer: another value", trailer_value),
    ("trailer: another name", trailer_name),
    ("trailer: field dropped", trailer_dropped),
    ("trailer: field doubled or added", trailer_added),
    ("trailer: signature", trailer_signature),
    ("trailer: signature dropped", trailer_signature_dropped),
    ("trailer: line ends", line_ends),
    ("upload: another byte", byte),
    ("upload: a byte more", byte_more),
    ("upload: a byte less", byte_less),
    ("upload: cut off", cut_off),
    ("upload: more behind the end", more),
    ("upload: the decoded body", decoded),
];

pub(super) const RESPELLINGS: &[Named] = &[
    ("chunks: digits of a size", digits_alike),
    ("chunks: split where nobody signs them", |sample, dice| split(sample, dice, false)),
    ("chunks: joined where nobody signs them", |sample, dice| joined(sample, dice, false)),
    ("chunks: signature where nobody signs them", unasked),
    ("trailer: case of a name", name_alike),
    ("trailer: the other form", other_form),
];

const SIGNATURE: &str = ";chunk-signature=";

fn edited(sample: &Sample, change: impl FnOnce(&Upload, &mut Vec<Vec<u8>>) -> Option<()>) -> Option<Arrival> {
    let upload = sample.upload.as_ref()?;
    let mut pieces = upload.pieces.clone();
    change(upload, &mut pieces)?;
    with_body(sample, pieces.concat())
}

/// The places of the size lines, the last one included.
fn lines(upload: &Upload) -> Vec<usize> {
    (0..=upload.chunks).map(|chunk| chunk * 3).collect()
}

fn line_of(piece: &[u8]) -> Option<(&str, &str)> {
    let text = str::from_utf8(piece).ok()?.strip_suffix("\r\n")?;
    Some(text.split_once(';').map_or((text, ""), |(digits, _)| (digits, &text[digits.len()..])))
}

fn set_line(piece: &mut Vec<u8>, digits: &str, extension: &str) {
    *piece = format!("{digits}{extension}\r\n").into_bytes();
}

/// The place of the trailer's field, and of its signature.
fn trailer(upload: &Upload) -> Option<(usize, Option<usize>)> {
    let find = |start: &[u8]| upload.pieces.iter().rposition(|piece| piece.starts_with(start));
    (upload.mode.has_trailer()).then_some(())?;
    Some((find(b"x-amz-checksum-")?, find(b"x-amz-trailer-signature:")))
}

fn data(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    edited(sample, |upload, pieces| {
        let piece = &mut pieces[dice.index(upload.chunks)? * 3 + 1];
        let at = dice.index(piece.len())?;
        piece[at] ^= 1 << dice.index(8)?;
        Some(())
    })
}

fn size(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    edited(sample, |upload, pieces| {
        let piece = &mut pieces[*dice.pick(&lines(upload))?];
        let (digits, extension) = line_of(piece)?;
        let size = u64::from_str_radix(digits, 16).ok()?;
        let other = match dice.index(5)? {
            0 => size + 1,
            1 => size.checked_sub(1)?,
            2 => 0,
            3 => size << 4,
            _ => dice.next() >> (dice.next() % 64),
        };
        let (other, extension) = (format!("{other:x}"), extension.to_owned());
        (other != digits).then(|| set_line(piece, &other, &extension))
    })
}

fn size_malformed(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    edited(sample, |upload, pieces| {
        let piece = &mut pieces[*dice.pick(&lines(upload))?];
        let (digits, extension) = line_of(piece)?;
        let digits = match dice.index(8)? {
            0 => format!("+{digits}"),
            1 => format!(" {digits}"),
            2 => format!("0x{digits}"),
            3 => format!("{digits:0>17}"),
            4 => format!("{digits} "),
            5 => format!("1{digits:0>16}"),
            6 => format!("-{digits}"),
            _ => String::new(),
        };
        let extension = extension.to_owned();
        set_line(piece, &digits, &extension);
        Some(())
    })
}

fn signature(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    edited(sample, |upload, pieces| {
        let piece = &mut pieces[*dice.pick(&lines(upload))?];
        let (digits, extension) = line_of(piece)?;
        let signature = extension.strip_prefix(SIGNATURE)?;
        let other = match dice.index(8)? {
            0 => signature.to_uppercase(),
            1 => signature[1..].to_owned(),
            2 => format!("{signature}0"),
            3 => "0".repeat(64),
            4 => format!("{signature:*<144}"),
            _ => altered(signature, dice, |_| true)?,
        };
        let (changed, digits) = (other != signature, digits.to_owned());
        changed.then(|| set_line(piece, &digits, &format!("{SIGNATURE}{other}")))
    })
}

fn signature_dropped(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    edited(sample, |upload, pieces| {
        let piece = &mut pieces[*dice.pick(&lines(upload))?];
        let (digits, extension) = line_of(piece)?;
        let (digits, is_signed) = (digits.to_owned(), !extension.is_empty());
        is_signed.then(|| set_line(piece, &digits, ""))
    })
}

fn signatures_exchanged(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    edited(sample, |upload, pieces| {
        let lines = lines(upload);
        let (one, two) = (*dice.pick(&lines)?, *dice.pick(&lines)?);
        let read =
            |at: usize| line_of(&pieces[at]).map(|(digits, more)| (digits.to_owned(), more.to_owned()));
        let ((first, its), (second, theirs)) = (read(one)?, read(two)?);
        (its != theirs).then_some(())?;
        set_line(&mut pieces[one], &first, &theirs);
        set_line(&mut pieces[two], &second, &its);
        Some(())
    })
}

fn dropped(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    edited(sample, |upload, pieces| {
        let at = dice.index(upload.chunks)? * 3;
        drop(pieces.drain(at..at + 3));
        Some(())
    })
}

fn doubled(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    edited(sample, |upload, pieces| {
        let at = dice.index(upload.chunks)? * 3;
        let again: Vec<_> = pieces[at..at + 3].to_vec();
        drop(pieces.splice(at..at, again));
        Some(())
    })
}

fn exchanged(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    edited(sample, |upload, pieces| {
        let (one, two) = (dice.index(upload.chunks)? * 3, dice.index(upload.chunks)? * 3);
        let decoded = |pieces: &[Vec<u8>]| -> Vec<u8> {
            (0..upload.chunks).flat_map(|chunk| pieces[chunk * 3 + 1].clone()).collect()
        };
        let before = decoded(pieces);
        for part in 0..3 {
            pieces.swap(one + part, two + part);
        }
        // Where nobody signs chunks, and the data is the same, so is the upload.
        (one != two && (upload.mode.is_signed() || decoded(pieces) != before)).then_some(())
    })
}

fn split(sample: &Sample, dice: &mut Dice, signed: bool) -> Option<Arrival> {
    edited(sample, |upload, pieces| {
        (upload.mode.is_signed() == signed).then_some(())?;
        let at = dice.index(upload.chunks)? * 3;
        let (_, extension) = line_of(&pieces[at])?;
        let extension = extension.to_owned();
        let data = pieces[at + 1].clone();
        let (first, second) = data.split_at(1 + dice.index(data.len().checked_sub(1)?)?);
        let line = |data: &[u8]| format!("{:x}{extension}\r\n", data.len()).into_bytes();
        let new = [line(first), first.to_vec(), b"\r\n".to_vec(), line(second), second.to_vec()];
        drop(pieces.splice(at..at + 2, new));
        Some(())
    })
}

fn joined(sample: &Sample, dice: &mut Dice, signed: bool) -> Option<Arrival> {
    edited(sample, |upload, pieces| {
        (upload.mode.is_signed() == signed).then_some(())?;
        let at = dice.index(upload.chunks.checked_sub(1)?)? * 3;
        let (_, extension) = line_of(&pieces[at])?;
        let data = [pieces[at + 1].clone(), pieces[at + 4].clone()].concat();
        let line = format!("{:x}{extension}\r\n", data.len()).into_bytes();
        drop(pieces.splice(at..at + 5, [line, data]));
        Some(())
    })
}

fn last_dropped(sample: &Sample, _: &mut Dice) -> Option<Arrival> {
    edited(sample, |upload, pieces| {
        pieces.remove(upload.chunks * 3);
        Some(())
    })
}

/// The last size line comes before a chunk.
fn ended_early(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    edited(sample, |upload, pieces| {
        let at = dice.index(upload.chunks)? * 3;
        if dice.coin() {
            drop(pieces.drain(at..upload.chunks * 3));
        } else {
            let last = pieces[upload.chunks * 3].clone();
            pieces.insert(at, last);
        }
        Some(())
    })
}

fn with_field(
    sample: &Sample,
    change: impl FnOnce(&str, &str, &str) -> Option<(String, String)>,
) -> Option<Arrival> {
    edited(sample, |upload, pieces| {
        let (at, _) = trailer(upload)?;
        let text = str::from_utf8(&pieces[at]).ok()?;
        let line = text.trim_end_matches(['\r', '\n']);
        let (name, value) = line.split_once(':')?;
        let end = &text[line.len()..];
        let (other_name, other_value) = change(name, value, end)?;
        pieces[at] = format!("{other_name}:{other_value}{end}").into_bytes();
        Some(())
    })
}

fn trailer_value(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    with_field(sample, |name, value, _| {
        let other = match dice.index(6)? {
            0 => format!(" {value}"),
            1 => value.trim_end_matches('=').to_owned(),
            2 => format!("{value}, {value}"),
            3 => String::new(),
            _ => altered(value, dice, |_| true)?,
        };
        (other != value).then(|| (name.to_owned(), other))
    })
}

fn trailer_name(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    const NAMES: [&str; 7] = [
        "x-amz-checksum-crc32",
        "x-amz-checksum-crc32c",
        "x-amz-checksum-crc64nvme",
        "x-amz-checksum-sha1",
        "x-amz-checksum-sha256",
        "x-amz-checksum-md5",
        "x-amz-meta-a",
    ];
    let other = *dice.pick(&NAMES)?;
    with_field(sample, |name, value, _| (name != other).then(|| (other.to_owned(), value.to_owned())))
}

fn trailer_dropped(sample: &Sample, _: &mut Dice) -> Option<Arrival> {
    edited(sample, |upload, pieces| {
        pieces.remove(trailer(upload)?.0);
        Some(())
    })
}

fn trailer_added(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    edited(sample, |upload, pieces| {
        let (at, _) = trailer(upload)?;
        let field = match dice.index(3)? {
            0 => pieces[at].clone(),
            1 => b"x-amz-meta-owner:mallory\r\n".to_vec(),
            _ => b"x-amz-checksum-crc32:AAAAAA==\r\n".to_vec(),
        };
        pieces.insert(at + dice.index(2)?, field);
        Some(())
    })
}

fn trailer_signature(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    edited(sample, |upload, pieces| {
        let at = trailer(upload)?.1?;
        let text = str::from_utf8(&pieces[at]).ok()?;
        let start = text.find(':')? + 1;
        let other = match dice.index(4)? {
            0 => recased(text, dice, |place| place >= start)?,
            1 => text.replacen(':', ": ", 1),
            _ => altered(text, dice, |place| place >= start)?,
        };
        pieces[at] = other.into_bytes();
        Some(())
    })
}

fn trailer_signature_dropped(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    edited(sample, |upload, pieces| {
        let at = trailer(upload)?.1?;
        match dice.coin() {
            true => drop(pieces.remove(at)),
            false => pieces.truncate(at),
        }
        Some(())
    })
}

/// A CR taken away before an LF, or put there.
fn line_ends(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    edited(sample, |_, pieces| {
        let ends: Vec<_> = (0..pieces.len()).filter(|&at| pieces[at].ends_with(b"\n")).collect();
        let piece = &mut pieces[*dice.pick(&ends)?];
        let at = piece.len() - 1;
        match dice.index(3)? {
            0 if piece.ends_with(b"\r\n") => drop(piece.remove(at - 1)),
            1 => piece.insert(at, b'\r'),
            _ => piece.push(b'\n'),
        }
        Some(())
    })
}

fn byte(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    sample.upload.as_ref()?;
    let mut body = sample.body()?.to_vec();
    let at = dice.index(body.len())?;
    let other = if dice.coin() { body[at] ^ 0x80 } else { dice.other_than(body[at]) };
    body[at] = other;
    with_body(sample, body)
}

fn byte_more(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    sample.upload.as_ref()?;
    let mut body = sample.body()?.to_vec();
    let at = dice.index(body.len() + 1)?;
    // A zero in front of a size changes nothing.
    body.insert(at, *dice.pick(b"1af \r\n;:-\xff")?);
    (Some(&body) != in_the_other_form(sample).as_ref()).then(|| with_body(sample, body))?
}

fn byte_less(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    sample.upload.as_ref()?;
    let mut body = sample.body()?.to_vec();
    body.remove(dice.index(body.len())?);
    (Some(&body) != in_the_other_form(sample).as_ref()).then(|| with_body(sample, body))?
}

/// The same trailer as minio-go writes it, or as SDKs do. One byte may be all of the difference.
fn in_the_other_form(sample: &Sample) -> Option<Vec<u8>> {
    let upload = sample.upload.as_ref()?;
    let (at, _) = trailer(upload)?;
    let mut pieces = upload.pieces.clone();
    match pieces[at].strip_suffix(b"\r\n") {
        Some(field) => {
            pieces[at] = [field, b"\n"].concat();
            pieces.insert(at + 1, b"\r\n".to_vec());
        }
        None => {
            let end = pieces[at].len() - 1;
            pieces[at].insert(end, b'\r');
            pieces.remove(at + 1);
        }
    }
    Some(pieces.concat())
}

fn other_form(sample: &Sample, _: &mut Dice) -> Option<Arrival> {
    with_body(sample, in_the_other_form(sample)?)
}

fn cut_off(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    sample.upload.as_ref()?;
    let mut body = sample.body()?.to_vec();
    let end = match dice.coin() {
        true => dice.index(body.len())?,
        false => body.len() - 1 - dice.index(body.len().min(8))?,
    };
    body.truncate(end);
    with_body(sample, body)
}

fn more(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    sample.upload.as_ref()?;
    let mut body = sample.body()?.to_vec();
    match dice.coin() {
        true => body.extend_from_slice(dice.pick(&[&b"\r\n"[..], b"\n", b"0\r\n\r\n", b"x", b"\0"])?),
        false => body.extend_from_within(..),
    }
    with_body(sample, body)
}

/// As if it had not been chunked.
fn decoded(sample: &Sample, _: &mut Dice) -> Option<Arrival> {
    let upload = sample.upload.as_ref()?;
    let data: Vec<_> = (0..upload.chunks).flat_map(|chunk| upload.pieces[chunk * 3 + 1].clone()).collect();
    with_body(sample, data)
}

fn digits_alike(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    edited(sample, |upload, pieces| {
        let piece = &mut pieces[*dice.pick(&lines(upload))?];
        let (digits, extension) = line_of(piece)?;
        let digits = match dice.coin() {
            true => digits.to_uppercase(),
            false => format!("{digits:0>width$}", width = 1 + dice.index(16)?),
        };
        let extension = extension.to_owned();
        set_line(piece, &digits, &extension);
        Some(())
    })
}

fn unasked(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    edited(sample, |upload, pieces| {
        (!upload.mode.is_signed()).then_some(())?;
        let piece = &mut pieces[*dice.pick(&lines(upload))?];
        let digits = line_of(piece)?.0.to_owned();
        set_line(piece, &digits, &format!("{SIGNATURE}{:064x}", dice.next()));
        Some(())
    })
}

fn name_alike(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    with_field(sample, |name, value, _| Some((recased(name, dice, |_| true)?, value.to_owned())))
}
