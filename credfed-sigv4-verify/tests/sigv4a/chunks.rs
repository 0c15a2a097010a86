//! Chunked uploads: chunks and trailer signed as the head is, their signatures padded (rules 10 and 11).

use credfed_sigv4_verify::{PayloadCheck, PayloadMode, Protocol, Reason, Verifier};

use crate::support::by_hand::Presigned;
use crate::support::chunked::{Form, Mode, Upload, drive};
use crate::support::{self, s3, s3_asymmetric, static_key};
use crate::{other_signature, refused, verdict};

const DATA: &[u8] = b"what the caller uploads, in chunks";

fn upload(mode: Mode) -> Upload {
    Upload::new(mode, DATA, 10).asymmetric()
}

fn signed() -> impl Iterator<Item = Mode> {
    Mode::ALL.into_iter().filter(|mode| mode.is_signed())
}

/// What is said of the body with piece `at` changed.
fn changed(upload: &Upload, at: usize, change: impl FnOnce(&str) -> String) -> (Vec<u8>, Result<(), Reason>) {
    let mut pieces = upload.pieces();
    pieces[at] = change(std::str::from_utf8(&pieces[at]).unwrap()).into_bytes();
    judge(upload, pieces)
}

/// What is said of a body that comes piece by piece.
fn judge(upload: &Upload, pieces: Vec<Vec<u8>>) -> (Vec<u8>, Result<(), Reason>) {
    drive(upload.check(), pieces.into_iter().map(Into::into))
}

#[test]
fn every_mode_gives_the_data_whatever_the_chunks_and_the_form_of_the_trailer() {
    for mode in Mode::ALL {
        for form in [Form::Sdk, Form::MinioGo] {
            for size in [5, DATA.len() - 1, DATA.len(), 1000] {
                let upload = Upload::new(mode, DATA, size).asymmetric().form(form);
                assert_eq!(upload.judge(&upload.body()), (DATA.to_vec(), Ok(())), "{mode:?} {form:?} {size}");
            }
            let empty = Upload::new(mode, b"", 1).asymmetric().form(form);
            assert_eq!(empty.judge(&empty.body()), (Vec::new(), Ok(())), "{mode:?} {form:?}");
        }
    }
}

#[test]
fn the_head_tells_what_is_coming() {
    for mode in Mode::ALL {
        let parts = upload(mode).request.parts();
        let verifier = s3_asymmetric();
        let request = verifier.parse(&parts).unwrap();
        let PayloadMode::Chunked(chunked) = request.payload_mode() else { panic!("another mode") };
        assert_eq!((chunked.is_signed(), chunked.decoded_length()), (mode.is_signed(), DATA.len() as u64));
        let head = verifier.verify(&request, Some(&static_key()), support::now()).unwrap();
        let check = if mode.is_signed() { PayloadCheck::SignedChunks } else { PayloadCheck::UnsignedChunks };
        assert_eq!(head.payload_check(), check);
    }
}

#[test]
fn chunks_are_signed_as_the_head_is() {
    for mode in signed() {
        // Chunks of SigV4 under a head of SigV4A.
        let mut mixed = upload(mode);
        mixed.request = mixed.request.payload(mode.line());
        assert_eq!(refused(&mixed.request.parts()), Reason::InvalidPayloadMode);
        // And the other way round.
        let line = mode.line().replace("HMAC-SHA256", "ECDSA-P256-SHA256");
        let mut mixed = Upload::new(mode, DATA, 10);
        mixed.request = mixed.request.payload(&line);
        let parts = mixed.request.parts();
        assert_eq!(refused(&parts), Reason::InvalidPayloadMode);
        let invalid = Reason::InvalidPayloadMode;
        assert_eq!(
            (invalid.code(Protocol::S3), invalid.status(Protocol::S3).as_u16()),
            ("InvalidArgument", 400)
        );
        // Where SigV4A is not accepted there is no such mode.
        assert_eq!(verdict(&s3(), &parts, &static_key()), Err(Reason::PayloadModeNotImplemented));
    }
}

#[test]
fn signatures_of_chunks_are_padded_to_144_characters() {
    for mode in signed() {
        let upload = upload(mode);
        let unpadded = |line: &str| line.replace('*', "");
        assert!(
            upload.pieces()[0].contains(&b'*')
                || upload.pieces()[0].len() == "a;chunk-signature=\r\n".len() + 144
        );
        let (out, verdict) = changed(&upload, 0, |line| line.replace("\r\n", "*\r\n"));
        assert_eq!((out, verdict), (vec![], Err(Reason::MalformedChunk)));
        for change in [
            (|_| format!("a;chunk-signature={}\r\n", "0".repeat(64))) as fn(&str) -> String,
            |_| "a\r\n".to_owned(),
            |_| "a;chunk-signature=\r\n".to_owned(),
            |line| line.replacen("3", "", 1),
        ] {
            assert_eq!(changed(&upload, 0, change), (vec![], Err(Reason::MalformedChunk)));
        }
        // Of the right length, and no signature.
        for change in [
            (|line: &str| line.to_uppercase().replace("A;CHUNK-SIGNATURE", "a;chunk-signature"))
                as fn(&str) -> String,
            |_| format!("a;chunk-signature={}\r\n", "*".repeat(144)),
            |_| format!("a;chunk-signature={}\r\n", "0".repeat(144)),
            |line| {
                let digits =
                    line.trim_end().strip_prefix("a;chunk-signature=").unwrap().trim_end_matches('*');
                format!("a;chunk-signature={digits:*>144}\r\n")
            },
        ] {
            let (out, verdict) = changed(&upload, 0, change);
            assert_eq!((out, verdict), (vec![], Err(Reason::ChunkSignatureMismatch)));
        }
        let first = std::str::from_utf8(&upload.pieces()[0]).unwrap().to_owned();
        if first.contains('*') {
            assert_eq!(changed(&upload, 0, |line| unpadded(line)).1, Err(Reason::MalformedChunk));
        }
    }
}

#[test]
fn the_trailers_signature_is_padded_too() {
    for form in [Form::Sdk, Form::MinioGo] {
        let upload = upload(Mode::SignedTrailer).form(form);
        let at = upload.pieces().len() - 2;
        for change in [
            (|line: &str| line.replacen(':', ":*", 1)) as fn(&str) -> String,
            |_| format!("x-amz-trailer-signature:{}\r\n", "0".repeat(64)),
            |_| "x-amz-trailer-signature:\r\n".to_owned(),
        ] {
            assert_eq!(changed(&upload, at, change).1, Err(Reason::MalformedTrailer), "{form:?}");
        }
        let wrong = changed(&upload, at, |_| format!("x-amz-trailer-signature:{}\r\n", "*".repeat(144)));
        assert_eq!(wrong.1, Err(Reason::TrailerSignatureMismatch), "{form:?}");
        // The signature of a chunk is none of a trailer.
        let chunk = String::from_utf8(upload.pieces()[0].clone()).unwrap();
        let chunk = chunk.trim_end().rsplit_once('=').unwrap().1.to_owned();
        let wrong = changed(&upload, at, |_| format!("x-amz-trailer-signature:{chunk}\r\n"));
        assert_eq!(wrong.1, Err(Reason::TrailerSignatureMismatch), "{form:?}");
        // Neither signature nor trailer can be left off.
        let mut pieces = upload.pieces();
        pieces.remove(at);
        assert!(upload.judge(&pieces.concat()).1.is_err(), "{form:?}");
    }
}

#[test]
fn n14_n15_nothing_of_a_chunk_comes_out_before_its_signature_and_none_can_be_moved_or_left_off() {
    for mode in signed() {
        let upload = upload(mode);
        let pieces = upload.pieces();
        // Data of the second chunk changed: the first one is all that comes.
        let mut other = pieces.clone();
        other[4][0] ^= 1;
        assert_eq!(judge(&upload, other), (DATA[..10].to_vec(), Err(Reason::ChunkSignatureMismatch)));
        // Chunks in another order.
        let mut other = pieces.clone();
        other.swap(1, 4);
        other.swap(0, 3);
        assert_eq!(judge(&upload, other), (vec![], Err(Reason::ChunkSignatureMismatch)));
        // The last one left off.
        let last = pieces.iter().position(|piece| piece.starts_with(b"0;")).unwrap();
        assert_eq!(upload.judge(&pieces[..last].concat()).1, Err(Reason::IncompleteBody));
        let mut other = pieces;
        other[last] = format!("0;chunk-signature={}\r\n", "*".repeat(144)).into_bytes();
        assert_eq!(judge(&upload, other).1, Err(Reason::ChunkSignatureMismatch));
    }
}

/// The twin of a chunk's signature fits the chunk, but not what the next one covers.
#[test]
fn a_signature_in_the_chain_cannot_be_exchanged_for_its_twin() {
    let upload = upload(Mode::SignedChunks);
    let twin = |line: &str| {
        let (before, padded) = line.trim_end().rsplit_once('=').unwrap();
        let twin = other_signature(padded.trim_end_matches('*'));
        format!("{before}={twin:*<144}\r\n")
    };
    let (out, verdict) = changed(&upload, 0, twin);
    assert_eq!((out, verdict), (DATA[..10].to_vec(), Err(Reason::ChunkSignatureMismatch)));
    // Nothing covers the last one.
    let last = upload.pieces().len() - 2;
    assert_eq!(changed(&upload, last, twin), (DATA.to_vec(), Ok(())));
}

#[test]
fn the_chain_begins_with_the_heads_signature_and_needs_no_cache() {
    let builder = Verifier::builder().region("us-east-1").accept_sigv4a();
    let uncached = builder.cached_keys(0).build().unwrap();
    for mode in signed() {
        let upload = upload(mode);
        let head = support::verify(&uncached, &upload.request.parts(), &static_key()).unwrap();
        assert_eq!(drive(head.into_body_check(), [upload.body().into()]), (DATA.to_vec(), Ok(())));
        // The chunks of another request of the same data.
        let other = upload.clone().set("x-amz-meta-a", "b");
        assert_eq!(other.judge(&upload.body()), (vec![], Err(Reason::ChunkSignatureMismatch)));
    }
}

#[test]
fn in_a_presigned_request_chunks_are_not_implemented() {
    for mode in signed() {
        let line = mode.line().replace("HMAC-SHA256", "ECDSA-P256-SHA256");
        let presigned =
            Presigned::s3().asymmetric().add("X-Amz-Content-Sha256", &line).payload(&line).parts();
        assert_eq!(refused(&presigned), Reason::PayloadModeNotImplemented);
        let signed =
            Presigned::s3().asymmetric().header("x-amz-content-sha256", &line).payload(&line).parts();
        assert_eq!(refused(&signed), Reason::PayloadModeNotImplemented);
    }
    let events = crate::plain().payload("STREAMING-AWS4-ECDSA-P256-SHA256-EVENTS");
    assert_eq!(refused(&events.parts()), Reason::PayloadModeNotImplemented);
}
