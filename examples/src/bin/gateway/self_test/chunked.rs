//! Uploads in the `aws-chunked` coding: with signatures, as SDKs send them over plain HTTP, and without, as over TLS.

use std::io;

use http_body_util::{BodyExt, Full};

use super::raw::{Raw, send};
use super::{Bench, Outcome, Report, expect};

const CHUNKS: [&str; 3] = ["in chunks, ", "one after ", "the other"];
const WHOLE: &str = "in chunks, one after the other";
/// The CRC-32 of [`WHOLE`].
const CRC32: &str = "zEfUpQ==";

pub(super) async fn check(bench: &Bench, report: &mut Report) -> io::Result<()> {
    report.check("chunked: put in signed chunks, and get", signed(bench)).await?;
    report.check("chunked: put with a checksum behind, and get", unsigned(bench)).await?;
    report.check("refuse: signed chunks, changed, of which nothing is kept", changed(bench)).await?;
    report.check("refuse: signed chunks, the last one left off", cut_off(bench)).await?;
    report.check("refuse: a checksum behind that is not the body's", wrong_checksum(bench)).await
}

async fn signed(bench: &Bench) -> Outcome {
    let target = format!("/{}/public/signed-chunks", bench.bucket);
    let put = Raw::new("PUT", &target).signed_chunks(&CHUNKS).send(bench).await?;
    expect(put.status == 200, put)?;
    let got = Raw::new("GET", &target).send(bench).await?;
    expect(got.status == 200 && got.body == WHOLE, got)
}

async fn unsigned(bench: &Bench) -> Outcome {
    let target = format!("/{}/public/unsigned-chunks", bench.bucket);
    let put = with_checksum(&target, CRC32).send(bench).await?;
    expect(put.status == 200, put)?;
    let got = Raw::new("GET", &target).send(bench).await?;
    expect(got.status == 200 && got.body == WHOLE, got)
}

async fn changed(bench: &Bench) -> Outcome {
    let target = format!("/{}/public/changed-chunks", bench.bucket);
    let mut request = Raw::new("PUT", &target).signed_chunks(&CHUNKS).sign(bench)?;
    let body = request.body_mut().collect().await?.to_bytes();
    let other = String::from_utf8(body.to_vec())?.replace("the other", "the third");
    *request.body_mut() = Full::new(other.into());
    let answer = send(request).await?;
    expect(answer.status == 403 && answer.code == "SignatureDoesNotMatch", answer)?;
    let got = Raw::new("GET", &target).send(bench).await?;
    expect(got.status == 404, got)
}

async fn cut_off(bench: &Bench) -> Outcome {
    let target = format!("/{}/public/cut-off-chunks", bench.bucket);
    let mut request = Raw::new("PUT", &target).signed_chunks(&CHUNKS).sign(bench)?;
    let body = request.body_mut().collect().await?.to_bytes();
    let end = String::from_utf8_lossy(&body).rfind("0;chunk-signature=").ok_or("no last chunk")?;
    *request.body_mut() = Full::new(body.slice(..end));
    let answer = send(request).await?;
    expect(answer.status == 400 && answer.code == "IncompleteBody", answer)?;
    let got = Raw::new("GET", &target).send(bench).await?;
    expect(got.status == 404, got)
}

async fn wrong_checksum(bench: &Bench) -> Outcome {
    let target = format!("/{}/public/wrong-checksum", bench.bucket);
    let answer = with_checksum(&target, "AAAAAA==").send(bench).await?;
    expect(answer.status == 400 && answer.code == "BadDigest", answer)?;
    let got = Raw::new("GET", &target).send(bench).await?;
    expect(got.status == 404, got)
}

/// As an SDK with default checksums over TLS.
fn with_checksum(target: &str, crc32: &str) -> Raw {
    let chunks: String = CHUNKS.iter().map(|chunk| format!("{:x}\r\n{chunk}\r\n", chunk.len())).collect();
    Raw::new("PUT", target)
        .header("content-encoding", "aws-chunked")
        .header("x-amz-decoded-content-length", WHOLE.len().to_string())
        .header("x-amz-sdk-checksum-algorithm", "CRC32")
        .header("x-amz-trailer", "x-amz-checksum-crc32")
        .payload("STREAMING-UNSIGNED-PAYLOAD-TRAILER")
        .body(format!("{chunks}0\r\nx-amz-checksum-crc32:{crc32}\r\n\r\n"))
}
