//! Chunked bodies that real clients send, and AWS's own examples.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use credfed_sigv4_verify::{
    Carrier, Checksum, Connection, KeyKind, Limits, PayloadCheck, PayloadMode, Reason, ResolvedKey,
    UnsignedPayload, Verifier,
};
use support::chunked::{Form, Mode, Upload, by_aws, checksum_of, chunk_signature, cut, drive};
use support::{Signer, s3, session_key, static_key, verify};

/// "Example: PUT Object" of the two pages of the Amazon S3 API reference on chunked uploads: 65 KiB of `a` in chunks
/// of 64 KiB and 1 KiB, on 24 May 2013.
fn example(mode: &str, headers: &[(&str, &str)], signature: &str) -> credfed_sigv4_verify::BodyCheck {
    let mut builder = http::Request::put("/examplebucket/chunkObject.txt")
        .header("host", "s3.amazonaws.com")
        .header("x-amz-date", "20130524T000000Z")
        .header("x-amz-storage-class", "REDUCED_REDUNDANCY")
        .header("x-amz-content-sha256", mode)
        .header("content-encoding", "aws-chunked")
        .header("x-amz-decoded-content-length", "66560");
    let mut names = vec![
        "content-encoding",
        "host",
        "x-amz-content-sha256",
        "x-amz-date",
        "x-amz-decoded-content-length",
        "x-amz-storage-class",
    ];
    for (name, value) in headers {
        builder = builder.header(*name, *value);
        names.push(name);
    }
    names.sort_unstable();
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders={},\
         Signature={signature}",
        names.join(";")
    );
    let parts = builder.header("authorization", authorization).body(()).unwrap().into_parts().0;
    let key = ResolvedKey::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", KeyKind::Static, 1);
    let now = UNIX_EPOCH + Duration::from_secs(1_369_353_600);
    let verifier = s3();
    verifier.verify(&verifier.parse(&parts).unwrap(), Some(&key), now).unwrap().into_body_check()
}

fn example_body(signatures: [&str; 3], end: &str) -> Vec<u8> {
    let [first, second, last] = signatures;
    let mut body = format!("10000;chunk-signature={first}\r\n").into_bytes();
    body.extend_from_slice(&[b'a'; 65536]);
    body.extend_from_slice(format!("\r\n400;chunk-signature={second}\r\n").as_bytes());
    body.extend_from_slice(&[b'a'; 1024]);
    body.extend_from_slice(format!("\r\n0;chunk-signature={last}\r\n{end}\r\n").as_bytes());
    body
}

#[test]
fn the_chunked_upload_of_awss_documentation_verifies() {
    let check = || {
        let mode = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
        let seed = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9";
        example(mode, &[("content-length", "66824")], seed)
    };
    let signatures = [
        "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
        "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
        "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
    ];
    let body = example_body(signatures, "");
    assert_eq!(body.len(), 66_824);
    assert_eq!(drive(check(), [body.clone().into()]), (vec![b'a'; 66_560], Ok(())));
    let mut other = body;
    other[100_usize] = b'b';
    assert_eq!(drive(check(), [other.into()]).1, Err(Reason::ChunkSignatureMismatch));
}

#[test]
fn the_trailer_of_awss_documentation_verifies() {
    let check = || {
        let mode = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER";
        let seed = "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e";
        example(mode, &[("x-amz-trailer", "x-amz-checksum-crc32c")], seed)
    };
    let signatures = [
        "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
        "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
        "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
    ];
    let trailer = |signature: &str| {
        let end = format!("x-amz-checksum-crc32c:sOO8/Q==\r\nx-amz-trailer-signature:{signature}\r\n");
        example_body(signatures, &end)
    };
    let right = "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435";
    assert_eq!(drive(check(), [trailer(right).into()]), (vec![b'a'; 66_560], Ok(())));
    let wrong = right.replace('d', "e");
    assert_eq!(drive(check(), [trailer(&wrong).into()]).1, Err(Reason::TrailerSignatureMismatch));
}

const DATA: &[u8] = b"what the caller uploads, in chunks";

/// Head, chunks and trailer signed by aws-sigv4, with a session's credentials.
#[test]
fn what_a_stranger_signs_in_chunks_is_accepted() {
    let signer = Signer::s3(Carrier::Header).token(support::TOKEN);
    for mode in Mode::ALL {
        for form in [Form::Sdk, Form::MinioGo] {
            for checksum in 0..5 {
                let request = http::Request::put("https://bucket.s3.us-east-1.amazonaws.com/a%20key");
                let (parts, pieces) =
                    by_aws(&signer, request.body(()).unwrap(), mode, form, checksum, DATA, 10);
                let check = verify(&s3(), &parts, &session_key()).unwrap().into_body_check();
                let (out, verdict) = drive(check, [pieces.concat().into()]);
                assert_eq!((out, verdict), (DATA.to_vec(), Ok(())), "{mode:?} {form:?} {checksum}");
            }
        }
    }
}

#[test]
fn every_mode_gives_the_data_whatever_the_chunks_and_the_form_of_the_trailer() {
    for mode in Mode::ALL {
        for form in [Form::Sdk, Form::MinioGo] {
            for size in [1, 5, DATA.len() - 1, DATA.len(), 1000] {
                let upload = Upload::new(mode, DATA, size).form(form);
                assert_eq!(upload.judge(&upload.body()), (DATA.to_vec(), Ok(())), "{mode:?} {form:?} {size}");
            }
            let empty = Upload::new(mode, b"", 1).form(form);
            assert_eq!(empty.judge(&empty.body()), (Vec::new(), Ok(())), "{mode:?} {form:?}");
        }
    }
}

#[test]
fn the_head_tells_what_is_coming() {
    for mode in Mode::ALL {
        let parts = Upload::new(mode, DATA, 5).request.parts();
        let verifier = s3();
        let request = verifier.parse(&parts).unwrap();
        let PayloadMode::Chunked(chunked) = request.payload_mode() else { panic!("another mode") };
        assert_eq!((chunked.is_signed(), chunked.decoded_length()), (mode.is_signed(), DATA.len() as u64));
        let expected = if mode.has_trailer() { vec![Checksum::Sha256] } else { vec![] };
        assert_eq!(chunked.checksums().collect::<Vec<_>>(), expected);
        let head = verifier.verify(&request, Some(&static_key()), support::now()).unwrap();
        let check = if mode.is_signed() { PayloadCheck::SignedChunks } else { PayloadCheck::UnsignedChunks };
        assert_eq!(head.payload_check(), check);
        assert_eq!(head.into_body_check().decoded_rest(), Some(DATA.len() as u64));
    }
}

#[test]
fn every_checksum_is_verified() {
    for checksum in 0..5 {
        let (name, value) = checksum_of(checksum, DATA);
        for name in [name.to_owned(), name.replace("x-amz-c", "X-Amz-C")] {
            for mode in [Mode::SignedTrailer, Mode::UnsignedTrailer] {
                for form in [Form::Sdk, Form::MinioGo] {
                    let upload = Upload::new(mode, DATA, 9).form(form).field(&name, &value);
                    assert_eq!(upload.judge(&upload.body()), (DATA.to_vec(), Ok(())), "{name} {mode:?}");
                }
            }
        }
    }
}

#[test]
fn several_declared_checksums_are_all_verified() {
    let (_, crc) = checksum_of(0, DATA);
    for mode in [Mode::SignedTrailer, Mode::UnsignedTrailer] {
        for form in [Form::Sdk, Form::MinioGo] {
            let mut upload = Upload::new(mode, DATA, 9)
                .form(form)
                .set("x-amz-trailer", "x-amz-checksum-sha256, x-amz-checksum-crc32");
            upload.fields.push(("x-amz-checksum-crc32".into(), crc.clone()));
            assert_eq!(upload.judge(&upload.body()), (DATA.to_vec(), Ok(())));
            upload.fields.reverse();
            assert_eq!(upload.judge(&upload.body()), (DATA.to_vec(), Ok(())), "in any order");
            upload.fields[0].1 = "AAAAAA==".into();
            assert_eq!(upload.judge(&upload.body()).1, Err(Reason::ChecksumMismatch(Checksum::Crc32)));
        }
    }
}

/// What minio-go 7 writes behind the last chunk, `pkg/signer/request-signature-streaming.go` and
/// `…-streaming-unsigned-trailer.go`: LF alone behind a field, and CRLF before what comes next.
#[test]
fn minio_gos_trailers_are_accepted_as_it_writes_them() {
    let unsigned = b"5\r\nhello\r\n0\r\nx-amz-checksum-crc32c:mnG7TA==\n\r\n\r\n";
    let upload = Upload::new(Mode::UnsignedTrailer, b"hello", 5)
        .field("x-amz-checksum-crc32c", "mnG7TA==")
        .form(Form::MinioGo);
    assert_eq!(upload.body(), unsigned);
    assert_eq!(upload.judge(unsigned), (b"hello".to_vec(), Ok(())));

    let upload = Upload::new(Mode::SignedTrailer, b"hello", 5)
        .field("x-amz-checksum-crc32c", "mnG7TA==")
        .form(Form::MinioGo)
        .without("content-encoding");
    let body = upload.body();
    let text = String::from_utf8(body.clone()).unwrap();
    let trailer = text.split_once("\r\n0;chunk-signature=").unwrap().1;
    let (first, rest) =
        trailer[64..].split_at("\r\nx-amz-checksum-crc32c:mnG7TA==\n\r\nx-amz-trailer-signature:".len());
    assert_eq!(first, "\r\nx-amz-checksum-crc32c:mnG7TA==\n\r\nx-amz-trailer-signature:");
    assert_eq!((rest.len(), &rest[64..]), (68, "\r\n\r\n"));
    assert_eq!(upload.judge(&body), (b"hello".to_vec(), Ok(())));
}

#[test]
fn chunks_may_carry_signatures_where_nobody_signs_them() {
    let upload = Upload::new(Mode::UnsignedTrailer, DATA, 9);
    let mut pieces = upload.pieces();
    let mut previous = upload.seed();
    for (at, chunk) in (0..).step_by(3).zip(upload.chunks.iter().chain([&Vec::new()])) {
        previous = chunk_signature(&previous, chunk);
        pieces[at] = format!("{:x};chunk-signature={previous}\r\n", chunk.len()).into_bytes();
    }
    assert_eq!(upload.judge(&pieces.concat()), (DATA.to_vec(), Ok(())));
    // They mean nothing there, but have to look like signatures.
    pieces[0] = format!("9;chunk-signature={}\r\n", "0".repeat(64)).into_bytes();
    assert_eq!(upload.judge(&pieces.concat()), (DATA.to_vec(), Ok(())));
    for signature in ["", "0", &"0".repeat(63), &"0".repeat(65), &"0".repeat(144)] {
        pieces[0] = format!("9;chunk-signature={signature}\r\n").into_bytes();
        assert_eq!(upload.judge(&pieces.concat()).1, Err(Reason::MalformedChunk), "{signature}");
    }
}

#[test]
fn the_content_encoding_may_name_others_or_be_missing() {
    for mode in Mode::ALL {
        for value in ["gzip,aws-chunked", "aws-chunked,gzip", "gzip, aws-chunked", "gzip"] {
            let upload = Upload::new(mode, DATA, 9).set("content-encoding", value);
            assert_eq!(upload.judge(&upload.body()), (DATA.to_vec(), Ok(())), "{value}");
        }
        let upload = Upload::new(mode, DATA, 9).without("content-encoding");
        assert_eq!(upload.judge(&upload.body()), (DATA.to_vec(), Ok(())));
    }
}

#[test]
fn sizes_are_hex_in_either_case_and_may_have_leading_zeros() {
    let upload = Upload::new(Mode::UnsignedTrailer, &[7; 0xab], 1000);
    let mut pieces = upload.pieces();
    for size in ["ab", "AB", "aB", "00000000000000ab"] {
        pieces[0] = format!("{size}\r\n").into_bytes();
        assert_eq!(upload.judge(&pieces.concat()).1, Ok(()), "{size}");
    }
}

#[test]
fn one_unsigned_chunk_may_be_larger_than_what_a_signed_one_may() {
    let size = 3 * Limits::default().signed_chunk;
    let data = vec![7; size];
    let upload = Upload::new(Mode::UnsignedTrailer, &data, size);
    let mut check = upload.check();
    let body = Bytes::from(upload.body());
    let mut out = 0;
    for at in (0..body.len()).step_by(16 * 1024) {
        check.push(body.slice(at..body.len().min(at + 16 * 1024))).unwrap();
        while let Some(data) = check.pop() {
            out += data.len();
        }
        assert!(check.held() <= 16 * 1024, "it streams");
    }
    check.finish().unwrap();
    while let Some(data) = check.pop() {
        out += data.len();
    }
    assert_eq!(out, size);
}

#[test]
fn the_verdict_does_not_depend_on_the_frames() {
    for mode in Mode::ALL {
        for form in [Form::Sdk, Form::MinioGo] {
            let upload = Upload::new(mode, b"some data", 4).form(form);
            let body = upload.body();
            for at in 0..=body.len() {
                assert_eq!(drive(upload.check(), cut(&body, &[at])), (b"some data".to_vec(), Ok(())), "{at}");
            }
            let single: Vec<_> = (1..body.len()).collect();
            assert_eq!(drive(upload.check(), cut(&body, &single)), (b"some data".to_vec(), Ok(())));
        }
    }
}

#[test]
fn streaming_is_for_s3_with_credentials_in_the_header_alone() {
    for mode in Mode::ALL {
        let upload = Upload::new(mode, DATA, 9);
        let mut general = upload.request.clone();
        general.service = "service";
        let verified = verify(&support::general(), &general.parts(), &static_key()).map(drop);
        assert_eq!(verified, Err(Reason::PayloadModeNotImplemented), "{mode:?}");
        let presigned = support::by_hand::Presigned::s3();
        for parts in [
            presigned.clone().add("X-Amz-Content-Sha256", mode.line()).payload(mode.line()).parts(),
            presigned
                .header("x-amz-content-sha256", mode.line())
                .header("x-amz-decoded-content-length", "5")
                .payload(mode.line())
                .parts(),
        ] {
            let verified = verify(&s3(), &parts, &static_key()).map(drop);
            assert_eq!(verified, Err(Reason::PayloadModeNotImplemented), "{mode:?}");
        }
    }
}

#[test]
fn where_payloads_have_to_be_signed_chunks_have_to_be() {
    let verifier = |policy| Verifier::builder().region("us-east-1").unsigned_payload(policy).build().unwrap();
    for mode in Mode::ALL {
        let plain = Upload::new(mode, DATA, 9).request.parts();
        let mut over_tls = plain.clone();
        over_tls.extensions.insert(Connection::new([127, 0, 0, 1].into()).over_tls());
        for (policy, parts, accepted) in [
            (UnsignedPayload::Allow, &plain, true),
            (UnsignedPayload::OverTls, &plain, false),
            (UnsignedPayload::OverTls, &over_tls, true),
            (UnsignedPayload::Refuse, &plain, false),
            (UnsignedPayload::Refuse, &over_tls, false),
        ] {
            let verified = verify(&verifier(policy), parts, &static_key()).map(drop);
            let accepted = accepted || mode.is_signed();
            let expected = if accepted { Ok(()) } else { Err(Reason::UnsignedPayloadRefused) };
            assert_eq!(verified, expected, "{mode:?} {policy:?}");
        }
    }
}

#[test]
fn the_chain_needs_no_cache_of_keys() {
    let verifier = Verifier::builder().region("us-east-1").cached_keys(0).build().unwrap();
    for mode in Mode::ALL {
        let upload = Upload::new(mode, DATA, 9);
        let check = verify(&verifier, &upload.request.parts(), &static_key()).unwrap().into_body_check();
        assert_eq!(drive(check, [upload.body().into()]), (DATA.to_vec(), Ok(())), "{mode:?}");
    }
}
