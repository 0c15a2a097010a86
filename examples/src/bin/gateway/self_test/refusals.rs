//! Requests whose signature does not hold: each is refused, with AWS's own code.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use credfed_core::{AwsCredentials, Secret};
use http::{HeaderName, HeaderValue, Request};
use http_body_util::Full;

use super::raw::{Raw, send};
use super::{Bench, Outcome, Report, expect};

const MINUTE: Duration = Duration::from_secs(60);

pub(super) async fn check(bench: &Bench, report: &mut Report) -> io::Result<()> {
    report.check("refuse: no credentials", no_credentials(bench)).await?;
    report.check("refuse: wrong secret", wrong_secret(bench)).await?;
    report.check("refuse: unknown key", unknown_key(bench)).await?;
    report.check("refuse: stale date", stale_date(bench)).await?;
    report.check("refuse: other region", other_region(bench)).await?;
    report.check("refuse: changed body, of which nothing is kept", changed_body(bench)).await?;
    report.check("refuse: changed path", changed_path(bench)).await?;
    report.check("refuse: added x-amz-copy-source", added_copy_source(bench)).await?;
    report.check("refuse: credentials in header and query", two_carriers(bench)).await?;
    report.check("refuse: session token with a static key", token_with_static_key(bench)).await?;
    report.check("presign: put and get", presigned(bench)).await?;
    report.check("refuse: presigned for another method", presigned_for_another_method(bench)).await?;
    report.check("refuse: presigned, changed", presigned_and_changed(bench)).await?;
    report.check("refuse: presigned, expired", presigned_and_expired(bench)).await?;
    report.check("refuse: presigned, added x-amz-copy-source", presigned_with_copy_source(bench)).await
}

async fn no_credentials(bench: &Bench) -> Outcome {
    let uri = format!("http://{}{}", bench.address, known(bench));
    refused(Request::builder().uri(uri).body(Full::default())?, 403, "AccessDenied").await
}

async fn wrong_secret(bench: &Bench) -> Outcome {
    let wrong = AwsCredentials::new(bench.owner.access_key_id(), Secret::new("not the owner's secret"), None);
    refused(Raw::new("GET", &known(bench)).signer(&wrong).sign(bench)?, 403, "SignatureDoesNotMatch").await
}

async fn unknown_key(bench: &Bench) -> Outcome {
    let unknown = AwsCredentials::new("AKIANOBODY", Secret::new("nobody's secret"), None);
    refused(Raw::new("GET", &known(bench)).signer(&unknown).sign(bench)?, 403, "InvalidAccessKeyId").await
}

async fn stale_date(bench: &Bench) -> Outcome {
    let just_good = Raw::new("GET", &known(bench)).age(14 * MINUTE).send(bench).await?;
    expect(just_good.status == 200, just_good)?;
    let stale = Raw::new("GET", &known(bench)).age(16 * MINUTE).sign(bench)?;
    refused(stale, 403, "RequestTimeTooSkewed").await
}

async fn other_region(bench: &Bench) -> Outcome {
    let request = Raw::new("GET", &known(bench)).region("mars-north-1").sign(bench)?;
    refused(request, 400, "AuthorizationHeaderMalformed").await
}

async fn changed_body(bench: &Bench) -> Outcome {
    let target = format!("/{}/public/changed", bench.bucket);
    let mut request = Raw::new("PUT", &target).body("pay 10 to Alice").sign(bench)?;
    *request.body_mut() = Full::new(Bytes::from_static(b"pay 99 to Mally"));
    refused(request, 400, "XAmzContentSHA256Mismatch").await?;
    refused(Raw::new("GET", &target).sign(bench)?, 404, "NoSuchKey").await
}

async fn changed_path(bench: &Bench) -> Outcome {
    let mut request = Raw::new("GET", &known(bench)).sign(bench)?;
    *request.uri_mut() = format!("http://{}/{}/private/secret.txt", bench.address, bench.bucket).parse()?;
    refused(request, 403, "SignatureDoesNotMatch").await
}

async fn added_copy_source(bench: &Bench) -> Outcome {
    let mut request = Raw::new("PUT", &format!("/{}/public/stolen", bench.bucket)).sign(bench)?;
    add(&mut request, "x-amz-copy-source", &format!("{}/private/secret.txt", bench.bucket))?;
    refused(request, 403, "AccessDenied").await
}

async fn two_carriers(bench: &Bench) -> Outcome {
    let mut request = Raw::new("GET", &known(bench)).presigned(5 * MINUTE).sign(bench)?;
    let other = Raw::new("GET", &known(bench)).sign(bench)?;
    if let Some(authorization) = other.headers().get("authorization") {
        request.headers_mut().insert("authorization", authorization.clone());
    }
    refused(request, 400, "InvalidArgument").await
}

async fn token_with_static_key(bench: &Bench) -> Outcome {
    let secret = Secret::new(bench.owner.secret_access_key().expose().to_owned());
    let session = AwsCredentials::new(bench.owner.access_key_id(), secret, Some(Secret::new("made-up")));
    refused(Raw::new("GET", &known(bench)).signer(&session).sign(bench)?, 400, "InvalidToken").await
}

async fn presigned(bench: &Bench) -> Outcome {
    let target = format!("/{}/public/presigned", bench.bucket);
    let put = Raw::new("PUT", &target).body("by its URL alone").presigned(5 * MINUTE).send(bench).await?;
    expect(put.status == 200, put)?;
    let got = Raw::new("GET", &target).presigned(5 * MINUTE).send(bench).await?;
    expect(got.status == 200 && got.body == "by its URL alone", got)
}

async fn presigned_for_another_method(bench: &Bench) -> Outcome {
    let mut request = Raw::new("GET", &known(bench)).presigned(5 * MINUTE).sign(bench)?;
    *request.method_mut() = http::Method::DELETE;
    refused(request, 403, "SignatureDoesNotMatch").await
}

async fn presigned_and_changed(bench: &Bench) -> Outcome {
    let mut request = Raw::new("GET", &known(bench)).presigned(5 * MINUTE).sign(bench)?;
    *request.uri_mut() =
        request.uri().to_string().replace("X-Amz-Expires=300", "X-Amz-Expires=3000").parse()?;
    refused(request, 403, "SignatureDoesNotMatch").await
}

async fn presigned_and_expired(bench: &Bench) -> Outcome {
    let request = Raw::new("GET", &known(bench)).presigned(MINUTE).age(2 * MINUTE).sign(bench)?;
    refused(request, 403, "AccessDenied").await
}

async fn presigned_with_copy_source(bench: &Bench) -> Outcome {
    let target = format!("/{}/public/stolen", bench.bucket);
    let mut request = Raw::new("PUT", &target).presigned(5 * MINUTE).sign(bench)?;
    add(&mut request, "x-amz-copy-source", &format!("{}/private/secret.txt", bench.bucket))?;
    refused(request, 403, "AccessDenied").await
}

/// An object that is there.
fn known(bench: &Bench) -> String {
    format!("/{}/public/plain.txt", bench.bucket)
}

fn add(request: &mut Request<Full<Bytes>>, name: &'static str, value: &str) -> Outcome {
    request.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_str(value)?);
    Ok(())
}

async fn refused(request: Request<Full<Bytes>>, status: u16, code: &str) -> Outcome {
    let answer = send(request).await?;
    expect(answer.status == status && answer.code == code, answer)
}
