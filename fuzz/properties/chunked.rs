//! What holds for every chunked body. Run by the fuzzer, and by `cargo test` over the corpus that is checked in. Whoever
//! includes this file has `support` at its root.

use bytes::Bytes;
use credfed_sigv4_verify::Reason;

use crate::support::chunked::{Form, Mode, Upload, cut, drive};

/// Input: a byte of choices (bits 0 and 1: the mode; 2: the form of the trailer; 3: whether the rest is the body as it
/// is; 4 to 7: SigV4A where they are 1), a byte for the size of chunks, two bytes for the decoded length of a body as it
/// is; a count and as many places of two bytes where the body is cut; a count and as many changes of four bytes (kind,
/// place, byte); then the data.
pub(crate) fn chunked_body(data: &[u8]) {
    let mut input = Input(data);
    let choices = input.byte();
    let mode = Mode::ALL[usize::from(choices & 3) % 3];
    let form = if choices & 4 == 0 { Form::Sdk } else { Form::MinioGo };
    let size = usize::from(input.byte()).max(1);
    let length = input.word();
    let places: Vec<_> = (0..input.byte() % 16).map(|_| input.word()).collect();
    let changes: Vec<_> = (0..input.byte() % 8).map(|_| (input.byte(), input.word(), input.byte())).collect();
    let Input(rest) = input;
    let rest = &rest[..rest.len().min(4096)];

    // A hundred times slower, and most of the grammar is the same.
    let asymmetric = cfg!(feature = "sigv4a") && choices >> 4 == 1;
    let signed = |upload: Upload| if asymmetric { upload.asymmetric() } else { upload };
    // A signature of SigV4A takes long.
    let most = if asymmetric { 3 } else { 32 };
    let (upload, mut body) = if choices & 8 == 0 {
        let upload = signed(Upload::new(mode, rest, size.max(rest.len() / most)).form(form));
        let body = upload.body();
        (upload, body)
    } else {
        let upload = Upload::new(mode, b"", 1).set("x-amz-decoded-content-length", &length.to_string());
        let upload = signed(upload);
        (upload, rest.to_vec())
    };
    let honest = body.clone();
    for (kind, place, byte) in changes {
        change(&mut body, kind, place, byte);
    }
    let mut at: Vec<_> = places.iter().map(|place| place % (body.len() + 1)).collect();
    at.sort_unstable();
    let single: Vec<_> = (1..body.len()).collect();

    let (out, verdict) = upload.judge(&body);
    if choices & 8 == 0 && body == honest {
        assert_eq!((&out, &verdict), (&upload.data(), &Ok(())));
    }
    for frames in [cut(&body, &at), cut(&body, &single)] {
        let (slices, cut_verdict) = drive(upload.check(), frames);
        assert_eq!(cut_verdict, verdict);
        match verdict {
            Ok(()) => assert_eq!(slices, out),
            // Of two parts of the same data one is a part of the other.
            Err(_) => assert!(slices.starts_with(&out) || out.starts_with(&slices)),
        }
        if choices & 8 == 0 && verdict.is_err() && mode.is_signed() {
            assert!(upload.data().starts_with(&slices) && slices.len() < upload.data().len().max(1));
        }
    }
    // No chunk of the body is signed by anybody.
    if choices & 8 != 0 && mode.is_signed() {
        assert!(verdict.is_err() && out.is_empty());
    }
    assert_ends(&upload, &body, &verdict);
}

/// A body that verifies is no longer one when anything is left off or added.
fn assert_ends(upload: &Upload, body: &[u8], verdict: &Result<(), Reason>) {
    let Ok(()) = verdict else { return };
    let (_, shorter) = upload.judge(&body[..body.len() - 1]);
    assert_eq!(shorter, Err(Reason::IncompleteBody));
    let (_, longer) = drive(upload.check(), [Bytes::copy_from_slice(body), Bytes::from_static(b"\n")]);
    assert_eq!(longer, Err(Reason::MalformedChunk));
}

fn change(body: &mut Vec<u8>, kind: u8, place: usize, byte: u8) {
    if body.is_empty() {
        return body.push(byte);
    }
    let place = place % body.len();
    match kind % 6 {
        0 => body[place] = byte,
        1 => body.insert(place, byte),
        2 => drop(body.remove(place)),
        3 => body.truncate(place),
        4 => {
            let other = usize::from(byte) % body.len();
            body.swap(place, other);
        }
        _ => {
            // A piece once more.
            let end = body.len().min(place + usize::from(byte));
            body.extend_from_within(place..end);
        }
    }
}

/// What is left of the input; zeros behind its end.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn word(&mut self) -> usize {
        usize::from(self.byte()) << 8 | usize::from(self.byte())
    }
}
