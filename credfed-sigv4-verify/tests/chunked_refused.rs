//! Chunked bodies that must be refused (N1, N9, N14 to N17), and when.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use credfed_sigv4_verify::{Checksum, Limit, Limits, Malformed, Reason, Verifier};
use sha2::{Digest, Sha256};
use support::chunked::{Form, Mode, Upload, chunk_signature, cut, drive, trailer_signature};
use support::{s3, static_key, verify};

const DATA: &[u8] = b"what the caller uploads, in chunks";

/// The refusal is the same in one frame and in frames of one byte, and what came out before it is a part of the
/// data without its end.
#[track_caller]
fn refused(upload: &Upload, body: &[u8]) -> Reason {
    let (out, verdict) = upload.judge(body);
    let single: Vec<_> = (1..body.len()).collect();
    let (slow, again) = drive(upload.check(), cut(body, &single));
    assert_eq!(verdict, again);
    let data = upload.data();
    for out in [out, slow] {
        if upload.mode.is_signed() {
            assert!(data.starts_with(&out), "nothing but what was signed");
        }
        assert!(out.len() < data.len().max(1), "the last byte waits");
    }
    verdict.unwrap_err()
}

#[test]
fn n01_a_streaming_mode_is_no_way_around_the_signature_of_the_head() {
    for mode in Mode::ALL {
        let upload = Upload::new(mode, DATA, 9);
        for authorization in [
            upload.request.authorization_by("another secret"),
            Upload::new(mode, b"another length", 9).request.authorization(),
        ] {
            let parts = upload.request.parts_with(&authorization);
            let verified = verify(&s3(), &parts, &static_key()).map(drop);
            assert_eq!(verified, Err(Reason::SignatureMismatch), "{mode:?}");
        }
    }
}

#[test]
fn n09_streaming_without_credentials_is_refused() {
    for mode in Mode::ALL {
        let parts = support::without_header(Upload::new(mode, DATA, 9).request.parts(), "authorization");
        assert_eq!(verify(&s3(), &parts, &static_key()).map(drop), Err(Reason::NoCredentials));
    }
}

#[test]
fn one_mode_is_not_another() {
    for signed in Mode::ALL {
        for claimed in Mode::ALL.into_iter().map(Mode::line).chain(["UNSIGNED-PAYLOAD"]) {
            if claimed != signed.line() {
                let parts = Upload::new(signed, DATA, 9).request.parts();
                let parts = support::replace_header(parts, "x-amz-content-sha256", claimed);
                assert!(verify(&s3(), &parts, &static_key()).is_err(), "{signed:?} {claimed}");
            }
        }
    }
}

#[test]
fn n14_nothing_of_a_chunk_comes_out_before_its_signature_was_compared() {
    for mode in [Mode::SignedChunks, Mode::SignedTrailer] {
        let upload = Upload::new(mode, DATA, 9);
        let mut check = upload.check();
        let mut out = Vec::new();
        for (at, piece) in upload.pieces().iter().enumerate() {
            for (nth, byte) in piece.iter().enumerate() {
                check.push(Bytes::copy_from_slice(&[*byte])).unwrap();
                while let Some(data) = check.pop() {
                    out.extend_from_slice(&data);
                }
                // Data stand in every third piece; a chunk is out when its last byte is in.
                let whole = at / 3 + usize::from(at % 3 == 2 || (at % 3 == 1 && nth + 1 == piece.len()));
                let most = whole.min(upload.chunks.len() - 1) * 9;
                assert!(out.len() <= most, "{} of {most} after byte {nth} of piece {at}", out.len());
            }
        }
        check.finish().unwrap();
    }
}

#[test]
fn n14_a_changed_chunk_never_comes_out() {
    for mode in [Mode::SignedChunks, Mode::SignedTrailer] {
        let upload = Upload::new(mode, DATA, 9);
        for chunk in 0..upload.chunks.len() {
            let mut pieces = upload.pieces();
            pieces[chunk * 3 + 1][0] ^= 1;
            let (out, verdict) = drive(upload.check(), pieces.into_iter().map(Bytes::from));
            assert_eq!(verdict, Err(Reason::ChunkSignatureMismatch));
            assert_eq!(out, &DATA[..chunk * 9], "chunk {chunk}");
        }
    }
}

#[test]
fn n15_what_is_left_off_at_the_end_is_missed() {
    for mode in Mode::ALL {
        for form in [Form::Sdk, Form::MinioGo] {
            let upload = Upload::new(mode, DATA, 9).form(form);
            let body = upload.body();
            for length in 0..body.len() {
                assert_eq!(
                    refused(&upload, &body[..length]),
                    Reason::IncompleteBody,
                    "{mode:?} {form:?} {length}"
                );
            }
        }
    }
}

#[test]
fn n15_a_signed_chunk_without_a_signature_is_refused() {
    for mode in [Mode::SignedChunks, Mode::SignedTrailer] {
        let upload = Upload::new(mode, DATA, 9);
        let last = upload.chunks.len() * 3;
        for at in [0, 3, last] {
            for line in ["9\r\n", "9;chunk-signature=\r\n", "9;\r\n"] {
                let line = if at == last { line.replace('9', "0") } else { line.to_owned() };
                let mut pieces = upload.pieces();
                pieces[at] = line.clone().into_bytes();
                assert_eq!(refused(&upload, &pieces.concat()), Reason::MalformedChunk, "{line:?}");
            }
        }
    }
}

#[test]
fn n15_the_last_chunk_is_signed_too() {
    let upload = Upload::new(Mode::SignedChunks, DATA, 9);
    let last = upload.chunks.len() * 3;
    for signature in ["0".repeat(64), upload.seed()] {
        let mut pieces = upload.pieces();
        pieces[last] = format!("0;chunk-signature={signature}\r\n").into_bytes();
        assert_eq!(refused(&upload, &pieces.concat()), Reason::ChunkSignatureMismatch);
    }
}

#[test]
fn chunks_that_were_moved_repeated_or_left_out_are_refused() {
    // All chunks alike, so that only the chain tells them apart.
    for mode in [Mode::SignedChunks, Mode::SignedTrailer] {
        let upload = Upload::new(mode, &[7; 40], 10);
        let pieces = upload.pieces();
        let chunk = |at: usize| pieces[at * 3..at * 3 + 3].concat();
        let end = pieces[12..].concat();
        for order in [[1, 0, 2, 3], [0, 2, 1, 3], [0, 0, 2, 3], [0, 1, 2, 2], [3, 1, 2, 0]] {
            let body = [order.map(chunk).concat(), end.clone()].concat();
            assert_eq!(refused(&upload, &body), Reason::ChunkSignatureMismatch, "{order:?}");
        }
        let short = [chunk(0), chunk(1), chunk(2), end].concat();
        assert_eq!(refused(&upload, &short), Reason::DecodedLengthMismatch);
    }
}

#[test]
fn chunks_of_another_request_are_refused() {
    let upload = Upload::new(Mode::SignedChunks, DATA, 9);
    let other = upload.clone().set("x-amz-meta-other", "1");
    assert_eq!(refused(&upload, &other.body()), Reason::ChunkSignatureMismatch);
}

#[test]
fn n16_the_decoded_length_is_exact() {
    for mode in Mode::ALL {
        for length in [0, 1, DATA.len() - 1, DATA.len() + 1, usize::MAX] {
            for size in [9, 1000] {
                let upload =
                    Upload::new(mode, DATA, size).set("x-amz-decoded-content-length", &length.to_string());
                let verdict = upload.judge(&upload.body()).1;
                assert_eq!(verdict, Err(Reason::DecodedLengthMismatch), "{mode:?} {length} {size}");
            }
        }
    }
}

#[test]
fn n16_a_trailer_that_was_promised_has_to_come() {
    for mode in [Mode::SignedTrailer, Mode::UnsignedTrailer] {
        for form in [Form::Sdk, Form::MinioGo] {
            let whole = Upload::new(mode, DATA, 9).form(form);
            let mut without = whole.clone();
            without.fields.clear();
            assert_eq!(refused(&without, &without.body()), Reason::MalformedTrailer, "{mode:?} {form:?}");
            // As if the mode had no trailer.
            let last = whole.chunks.len() * 3;
            let cut = [whole.pieces()[..=last].concat(), b"\r\n".to_vec()].concat();
            assert_eq!(refused(&whole, &cut), Reason::MalformedTrailer);
            // Two were promised.
            let both = whole.clone().set("x-amz-trailer", "x-amz-checksum-sha256,x-amz-checksum-crc32");
            assert_eq!(refused(&both, &both.body()), Reason::MalformedTrailer);
            // Another one was.
            let other = whole.clone().set("x-amz-trailer", "x-amz-checksum-crc32");
            assert_eq!(refused(&other, &other.body()), Reason::MalformedTrailer);
            // Twice is once too often, and one more is too.
            for field in [whole.fields[0].clone(), ("x-amz-checksum-crc32".into(), "AAAAAA==".into())] {
                let mut twice = whole.clone();
                twice.fields.push(field);
                assert_eq!(refused(&twice, &twice.body()), Reason::MalformedTrailer);
            }
        }
    }
}

#[test]
fn n16_a_trailer_that_was_not_promised_is_refused() {
    let upload = Upload::new(Mode::SignedChunks, DATA, 9);
    let mut pieces = upload.pieces();
    let end = pieces.len() - 1;
    pieces.insert(end, b"x-amz-checksum-crc32:AAAAAA==\r\n".to_vec());
    assert_eq!(refused(&upload, &pieces.concat()), Reason::MalformedChunk);
}

#[test]
fn n16_a_wrong_checksum_is_refused() {
    let wrong = STANDARD.encode(Sha256::digest(b"something else"));
    for mode in [Mode::SignedTrailer, Mode::UnsignedTrailer] {
        for form in [Form::Sdk, Form::MinioGo] {
            let upload = Upload::new(mode, DATA, 9).form(form).field("x-amz-checksum-sha256", &wrong);
            assert_eq!(refused(&upload, &upload.body()), Reason::ChecksumMismatch(Checksum::Sha256));
            for value in ["", "=", "AAAA", &wrong[..43], &format!(" {wrong}"), &format!("{wrong} ")] {
                let upload = Upload::new(mode, DATA, 9).form(form).field("x-amz-checksum-sha256", value);
                let reason = refused(&upload, &upload.body());
                assert_eq!(reason, Reason::InvalidChecksum(Checksum::Sha256), "{value:?}");
            }
        }
    }
    // Without signatures the checksum is all that notices.
    let upload = Upload::new(Mode::UnsignedTrailer, DATA, 9);
    let mut pieces = upload.pieces();
    pieces[1][0] ^= 1;
    assert_eq!(refused(&upload, &pieces.concat()), Reason::ChecksumMismatch(Checksum::Sha256));
}

#[test]
fn n17_sizes_are_hex_digits_and_nothing_else() {
    for mode in Mode::ALL {
        let upload = Upload::new(mode, &[7; 5], 5);
        let line = String::from_utf8(upload.pieces()[0].clone()).unwrap();
        for size in [
            "+5",
            "-5",
            " 5",
            "5 ",
            "\t5",
            "0x5",
            "5h",
            "",
            "g",
            "5_",
            "00000000000000005",
            "10000000000000005",
            "ffffffffffffffff5",
            "5\0",
            "５",
        ] {
            let mut pieces = upload.pieces();
            pieces[0] = line.replacen('5', size, 1).into_bytes();
            assert_eq!(refused(&upload, &pieces.concat()), Reason::MalformedChunk, "{mode:?} {size:?}");
        }
        for size in ["ffffffffffffffff", "8000000000000000", "6", "4000000000000005"] {
            let mut pieces = upload.pieces();
            pieces[0] = line.replacen('5', size, 1).into_bytes();
            assert_eq!(
                refused(&upload, &pieces.concat()),
                Reason::DecodedLengthMismatch,
                "{mode:?} {size:?}"
            );
        }
    }
}

#[test]
fn n17_lines_end_with_crlf_and_nothing_else() {
    for mode in Mode::ALL {
        for form in [Form::Sdk, Form::MinioGo] {
            let upload = Upload::new(mode, DATA, 9).form(form);
            let body = upload.body();
            // Without its LF, a line of minio-go's form reads as one of the other form.
            let sdk = upload.clone().form(Form::Sdk).body();
            for (end, others) in [
                (b'\r', [b"\n".as_slice(), b"", b"\r\r", b" \r", b"\0", b"x"]),
                (b'\n', [b"\r", b"", b"\n\n", b" \n", b"\0", b"x"]),
            ] {
                for at in (0..body.len()).filter(|&at| body[at] == end) {
                    for other in others {
                        let other = [&body[..at], other, &body[at + 1..]].concat();
                        assert_eq!(upload.judge(&other).1.is_ok(), other == sdk, "{mode:?} {form:?} {at}");
                    }
                }
            }
        }
    }
}

#[test]
fn n17_nothing_comes_after_the_end() {
    for mode in Mode::ALL {
        for form in [Form::Sdk, Form::MinioGo] {
            let upload = Upload::new(mode, DATA, 9).form(form);
            let body = upload.body();
            for more in [b"\0".as_slice(), b"\n", b"\r\n", b"0\r\n\r\n", &body] {
                let longer = [&body, more].concat();
                assert_eq!(refused(&upload, &longer), Reason::MalformedChunk, "{mode:?} {form:?}");
            }
            let mut check = upload.check();
            check.push(Bytes::from(body)).unwrap();
            check.finish().unwrap();
            assert!(check.push(Bytes::from_static(b"x")).is_err());
            assert_eq!(check.pop(), None);
        }
    }
}

#[test]
fn a_chunk_longer_or_shorter_than_its_size_is_refused() {
    for mode in Mode::ALL {
        let upload = Upload::new(mode, DATA, 9);
        for data in [b"8 bytes.".as_slice(), b"10 bytes..", &[7; 2000]] {
            let mut pieces = upload.pieces();
            pieces[1] = data.to_vec();
            assert!(upload.judge(&pieces.concat()).1.is_err(), "{mode:?} {}", data.len());
        }
    }
}

#[test]
fn the_forms_of_trailers_do_not_mix() {
    let sha256 = STANDARD.encode(Sha256::digest(b"hello"));
    let field = format!("x-amz-checksum-sha256:{sha256}");
    let upload = Upload::new(Mode::UnsignedTrailer, b"hello", 5);
    for (trailer, expected) in [
        (format!("{field}\r\n\r\n"), Ok(())),
        (format!("{field}\n\r\n\r\n"), Ok(())),
        (format!("{field}\n\r\n"), Err(Reason::IncompleteBody)),
        (format!("{field}\n\n"), Err(Reason::MalformedTrailer)),
        (format!("{field}\r\n\n"), Err(Reason::MalformedTrailer)),
        (format!("{field}\r\n\r\n\r\n"), Err(Reason::MalformedChunk)),
        (format!("{field}\n\r\nx\r\n"), Err(Reason::MalformedTrailer)),
        (format!("\r\n{field}\r\n\r\n"), Err(Reason::MalformedTrailer)),
        (format!(" {field}\r\n\r\n"), Err(Reason::MalformedTrailer)),
        (format!("{}\r\n\r\n", field.replace(':', " :")), Err(Reason::MalformedTrailer)),
        (format!("{}\r\n\r\n", field.replace(':', "=")), Err(Reason::MalformedTrailer)),
        (format!(":{sha256}\r\n\r\n"), Err(Reason::MalformedTrailer)),
        (
            format!("{field}\r\nx-amz-trailer-signature:{}\r\n\r\n", "0".repeat(64)),
            Err(Reason::MalformedTrailer),
        ),
        (format!("{}\r\n\r\n", "x".repeat(500)), Err(Reason::MalformedTrailer)),
    ] {
        let body = format!("5\r\nhello\r\n0\r\n{trailer}");
        assert_eq!(upload.judge(body.as_bytes()).1, expected, "{trailer:?}");
    }

    let upload = Upload::new(Mode::SignedTrailer, b"hello", 5);
    let last = chunk_signature(&chunk_signature(&upload.seed(), b"hello"), b"");
    let chunks = upload.pieces()[..4].concat();
    let signature = trailer_signature(&last, &format!("{field}\n"));
    let signature = format!("x-amz-trailer-signature:{signature}");
    for (trailer, expected) in [
        (format!("{field}\r\n{signature}\r\n\r\n"), Ok(())),
        (format!("{field}\n\r\n{signature}\r\n\r\n"), Ok(())),
        (format!("{field}\r\n{signature}\r\n"), Err(Reason::IncompleteBody)),
        (format!("{field}\r\n{signature}\n\r\n"), Err(Reason::MalformedTrailer)),
        (format!("{field}\n{signature}\r\n\r\n"), Err(Reason::MalformedTrailer)),
        (format!("{field}\n\n{signature}\r\n\r\n"), Err(Reason::MalformedTrailer)),
        (format!("{field}\r\n\r\n{signature}\r\n\r\n"), Err(Reason::MalformedTrailer)),
        (format!("{field}\n\r\n{signature}\n\r\n"), Err(Reason::MalformedTrailer)),
        (format!("{signature}\r\n{field}\r\n\r\n"), Err(Reason::MalformedTrailer)),
        (format!("{field}\r\n{signature}\r\n{signature}\r\n\r\n"), Err(Reason::MalformedTrailer)),
        (format!("{field}\r\n{}\r\n\r\n", &signature[..87]), Err(Reason::MalformedTrailer)),
        (format!("{field}\r\n\r\n"), Err(Reason::MalformedTrailer)),
        (format!("{field}\n\r\n\r\n"), Err(Reason::MalformedTrailer)),
        (format!("{field}\n\r\n{field}\r\n\r\n"), Err(Reason::MalformedTrailer)),
    ] {
        let body = [chunks.as_slice(), trailer.as_bytes()].concat();
        assert_eq!(upload.judge(&body).1, expected, "{trailer:?}");
    }
}

#[test]
fn the_signature_of_a_trailer_covers_its_fields_and_the_chunks() {
    for form in [Form::Sdk, Form::MinioGo] {
        let upload = Upload::new(Mode::SignedTrailer, DATA, 9).form(form);
        let mut wrong = upload.pieces();
        let at = wrong.iter().position(|piece| piece.starts_with(b"x-amz-trailer-signature:")).unwrap();
        wrong[at][24] = if wrong[at][24] == b'0' { b'1' } else { b'0' };
        assert_eq!(refused(&upload, &wrong.concat()), Reason::TrailerSignatureMismatch);
        // A right checksum with another one's signature.
        let mut other = upload.clone();
        other.fields[0].1 = STANDARD.encode(Sha256::digest(b"other"));
        let mut spliced = upload.pieces();
        spliced[at] = other.pieces()[at].clone();
        assert_eq!(refused(&upload, &spliced.concat()), Reason::TrailerSignatureMismatch);
    }
}

#[test]
fn what_the_head_declares_is_judged_before_the_body() {
    let parse = |upload: &Upload| {
        let parts = upload.request.parts();
        s3().parse(&parts).map(drop)
    };
    for mode in Mode::ALL {
        let upload = Upload::new(mode, DATA, 9);
        let missing = upload.clone().without("x-amz-decoded-content-length");
        assert_eq!(parse(&missing), Err(Reason::MissingDecodedLength));
        for value in ["", "-1", "+5", "0x5", "5 5", "five", "18446744073709551616"] {
            let upload = upload.clone().set("x-amz-decoded-content-length", value);
            assert_eq!(parse(&upload), Err(Reason::MalformedRequest(Malformed::DecodedLength)), "{value:?}");
        }
        let twice = support::with_header(upload.request.parts(), "x-amz-decoded-content-length", "34");
        let repeated = Reason::MalformedRequest(Malformed::RepeatedHeader);
        assert_eq!(s3().parse(&twice).map(drop), Err(repeated));
        let mut get = upload.clone();
        for method in ["GET", "HEAD", "DELETE"] {
            get.request.method = method;
            assert_eq!(parse(&get), Err(Reason::StreamingWithoutUpload));
        }
    }
    for mode in [Mode::SignedTrailer, Mode::UnsignedTrailer] {
        let upload = Upload::new(mode, DATA, 9);
        assert_eq!(parse(&upload.clone().without("x-amz-trailer")), Err(Reason::MalformedTrailer));
        for algorithm in ["sha512", "md5", "xxhash64", "xxhash3", "xxhash128"] {
            let upload = upload.clone().set("x-amz-trailer", &format!("x-amz-checksum-{algorithm}"));
            assert_eq!(parse(&upload), Err(Reason::ChecksumNotImplemented), "{algorithm}");
        }
        let upload = upload.set("x-amz-trailer", "x-amz-meta-owner");
        assert_eq!(parse(&upload), Err(Reason::UnsupportedTrailer));
    }
    let upload = Upload::new(Mode::SignedChunks, DATA, 9).set("x-amz-trailer", "x-amz-checksum-crc32");
    assert_eq!(parse(&upload), Err(Reason::MalformedTrailer));
    for payload in ["UNSIGNED-PAYLOAD", support::EMPTY] {
        let upload = support::by_hand::ByHand::s3("/bucket/key", "/bucket/key", "")
            .payload(payload)
            .header("x-amz-trailer", "x-amz-checksum-crc32");
        assert_eq!(s3().parse(&upload.parts()).map(drop), Err(Reason::MalformedTrailer), "{payload}");
    }
    let presigned = support::by_hand::Presigned::s3().add("x-amz-trailer", "x-amz-checksum-crc32").parts();
    assert_eq!(s3().parse(&presigned).map(drop), Err(Reason::MalformedTrailer));
}

#[test]
fn a_signed_chunk_over_the_limit_is_refused_by_its_size_line() {
    let mut limits = Limits::default();
    limits.signed_chunk = 100;
    let verifier = Verifier::builder().region("us-east-1").limits(limits).build().unwrap();
    for mode in Mode::ALL {
        for (size, fits) in [(100, true), (101, !mode.is_signed())] {
            let upload = Upload::new(mode, &[7; 300], size);
            let head = verify(&verifier, &upload.request.parts(), &static_key()).unwrap();
            let mut check = head.into_body_check();
            let line = check.push(Bytes::from(upload.pieces()[0].clone()));
            let expected = if fits { Ok(()) } else { Err(Reason::LimitExceeded(Limit::SignedChunk)) };
            assert_eq!(line, expected, "{mode:?} {size}");
            assert_eq!(check.held(), 0);
        }
    }
}
