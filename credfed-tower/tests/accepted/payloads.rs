//! Payload modes: hashes in either form, none at all, and `aws-chunked` as real clients write it.

use std::time::Duration;

use aws_sigv4::http_request::SignableBody;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::request::Parts;
use http::{Request, StatusCode};
use sha2::{Digest, Sha256};

use super::support::chunked::{Mode, Upload};
use super::support::wire::{Front, head_of};
use super::support::{Signer, layer, origin_form, run, sha256_hex};
use super::{VERSIONS, assert_ok, url};

const DATA: &[u8] = b"what the caller uploads, in whatever form it comes";

fn put() -> http::request::Builder {
    Request::put(url("/bucket/key"))
}

/// Over a bare socket with a length, over one in HTTP's own chunks, and over HTTP/2: the inner service reads `data`.
async fn everywhere(front: &Front, head: &Parts, body: &[u8], data: &[u8], what: &str) {
    let parts = origin_form(Request::from_parts(head.clone(), ())).into_parts().0;
    let length = body.len().to_string();
    let with_length = head_of(&parts, "/bucket/key", &[("content-length", length.as_bytes())]);
    assert_ok(&front.raw(&[&with_length, body].concat()).await, what);
    for size in [7, body.len().max(1)] {
        let chunked = head_of(&parts, "/bucket/key", &[("transfer-encoding", b"chunked")]);
        let mut message = chunked;
        for piece in body.chunks(size) {
            message.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
            message.extend_from_slice(piece);
            message.extend_from_slice(b"\r\n");
        }
        message.extend_from_slice(b"0\r\n\r\n");
        assert_ok(&front.raw(&message).await, what);
    }
    for version in VERSIONS {
        let request = Request::from_parts(head.clone(), Bytes::copy_from_slice(body));
        let (status, answer) = front.send(version, request).await;
        assert_eq!(status, StatusCode::OK, "{version:?} {what}: {answer}");
    }
    let calls = front.calls();
    assert_eq!(calls.len(), 5);
    assert!(calls.iter().all(|call| call.body.as_deref() == Some(data)), "{what}");
}

#[test]
fn a_declared_hash_is_accepted_in_hex_and_base64() {
    run(async {
        let front = Front::new(layer()).await;
        for hash in [sha256_hex(DATA), sha256_hex(DATA).to_uppercase(), STANDARD.encode(Sha256::digest(DATA))]
        {
            let signed =
                Signer::default().sign(put().body(()).unwrap(), SignableBody::Precomputed(hash.clone()));
            assert_eq!(signed.headers()["x-amz-content-sha256"], hash);
            everywhere(&front, &signed.into_parts().0, DATA, DATA, &hash).await;
        }
    });
}

#[test]
fn a_presigned_upload_needs_no_payload_header() {
    run(async {
        let front = Front::new(layer()).await;
        let signer = Signer { presign: Some(Duration::from_secs(60)), ..Signer::default() };
        let signed =
            signer.sign(put().body(Bytes::from_static(DATA)).unwrap(), SignableBody::UnsignedPayload);
        assert!(!signed.headers().contains_key("x-amz-content-sha256"));
        for version in VERSIONS {
            assert_eq!(front.send(version, signed.clone()).await.0, StatusCode::OK);
        }
        assert!(front.calls().iter().all(|call| call.body.as_deref() == Some(DATA)));
    });
}

#[test]
fn aws_chunked_is_accepted_with_and_without_a_length() {
    run(async {
        let front = Front::new(layer()).await;
        for mode in Mode::ALL {
            for encoding in ["aws-chunked", "gzip,aws-chunked", "aws-chunked, gzip"] {
                let upload = Upload::encoded(mode, &url("/bucket/key"), DATA, 20, encoding);
                let what = format!("{mode:?} {encoding}");
                everywhere(&front, &upload.head, &upload.body(), DATA, &what).await;
            }
        }
    });
}

#[test]
fn one_unsigned_chunk_may_be_as_large_as_the_object() {
    run(async {
        let front = Front::new(layer()).await;
        let data = vec![b'x'; 20 << 20];
        let upload = Upload::new(Mode::UnsignedTrailer, &url("/bucket/key"), &data, data.len());
        assert_eq!(upload.pieces[0], format!("{:x}\r\n", data.len()).into_bytes());
        let body = Bytes::from(upload.body());
        for version in VERSIONS {
            let request = Request::from_parts(upload.head.clone(), body.clone());
            let (status, answer) = front.send(version, request).await;
            assert_eq!(status, StatusCode::OK, "{version:?} {answer}");
            let call = front.calls().remove(0);
            assert!(call.body.is_some_and(|body| body == data));
        }
    });
}

fn unsigned_trailer(name: &str, length: usize) -> Parts {
    let request = put()
        .header("content-encoding", "aws-chunked")
        .header("x-amz-decoded-content-length", length)
        .header("x-amz-trailer", name);
    let payload = SignableBody::StreamingUnsignedPayloadTrailer;
    Signer::default().sign(request.body(()).unwrap(), payload).into_parts().0
}

/// As minio-go 7 writes them: LF alone behind a field, and CRLF before what comes next.
#[test]
fn minio_gos_trailers_are_accepted_as_recorded() {
    run(async {
        let front = Front::new(layer()).await;
        let recorded = b"5\r\nhello\r\n0\r\nx-amz-checksum-crc32c:mnG7TA==\n\r\n\r\n";
        let head = unsigned_trailer("x-amz-checksum-crc32c", 5);
        everywhere(&front, &head, recorded, b"hello", "unsigned").await;

        let mut upload = Upload::new(Mode::SignedTrailer, &url("/bucket/key"), DATA, 20);
        let at = upload.pieces.iter().position(|piece| piece.starts_with(b"x-amz-checksum")).unwrap();
        let end = upload.pieces[at].len() - 2;
        upload.pieces[at].remove(end);
        upload.pieces.insert(at + 1, b"\r\n".to_vec());
        everywhere(&front, &upload.head, &upload.body(), DATA, "signed").await;
    });
}

#[test]
fn chunks_may_carry_signatures_where_nobody_signs_them() {
    run(async {
        let front = Front::new(layer()).await;
        let signature = "0123456789abcdef".repeat(4);
        let body = format!(
            "5;chunk-signature={signature}\r\nhello\r\n0;chunk-signature={signature}\r\n\
             x-amz-checksum-crc32c:mnG7TA==\r\n\r\n"
        );
        let head = unsigned_trailer("x-amz-checksum-crc32c", 5);
        everywhere(&front, &head, body.as_bytes(), b"hello", "signatures").await;
    });
}
