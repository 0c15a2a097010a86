//! What a key without the right is told, and that it gets no further by other spellings.

use std::io;

use super::raw::Raw;
use super::{Bench, Outcome, Report, expect};

pub(super) async fn check(bench: &Bench, report: &mut Report) -> io::Result<()> {
    let bucket = &bench.bucket;
    let secret = format!("/{bucket}/private/secret.txt");
    report.check("guest: read, write and list where that is granted", granted(bench)).await?;
    for (name, method, target) in [
        ("read", "GET", secret.clone()),
        ("read, seen by the status alone", "HEAD", secret.clone()),
        ("write", "PUT", secret.clone()),
        ("delete", "DELETE", format!("/{bucket}/public/plain.txt")),
        ("list everything", "GET", format!("/{bucket}?list-type=2")),
        ("list another folder", "GET", format!("/{bucket}?list-type=2&prefix=private%2F")),
        ("list with two prefixes", "GET", format!("/{bucket}?prefix=public%2F&prefix=private%2F")),
        ("list all buckets", "GET", "/".to_owned()),
        ("delete many at once", "POST", format!("/{bucket}?delete=")),
        ("delete the bucket", "DELETE", format!("/{bucket}")),
        ("change an access list", "PUT", format!("/{bucket}/public/plain.txt?acl=")),
        ("read by a dot segment", "GET", format!("/{bucket}/public/../private/secret.txt")),
        ("read by an escaped slash", "GET", format!("/{bucket}/public/..%2Fprivate/secret.txt")),
        ("read by an empty segment", "GET", format!("/{bucket}//private/secret.txt")),
    ] {
        report.check(&format!("guest: refuse to {name}"), refused(bench, method, &target)).await?;
    }
    report.check("guest: refuse to read by an escaped dot segment", escaped_dots(bench)).await?;
    for (name, source) in [
        ("copy from elsewhere", format!("{bucket}/private/secret.txt")),
        ("copy by a leading slash", format!("/{bucket}/private/secret.txt")),
        ("copy by escapes", format!("{bucket}%2F%70rivate%2Fsecret.txt")),
        ("copy by a dot segment", format!("{bucket}/public/../private/secret.txt")),
        ("copy by a version", format!("{bucket}/private/secret.txt?versionId=null")),
    ] {
        report.check(&format!("guest: refuse to {name}"), copy_refused(bench, &source)).await?;
    }
    report.check("guest: nothing came of all that", nothing_happened(bench)).await
}

async fn granted(bench: &Bench) -> Outcome {
    let bucket = &bench.bucket;
    let own = format!("/{bucket}/public/own%20note");
    for (method, target, body, headers) in [
        ("PUT", own.as_str(), "mine", None),
        ("GET", own.as_str(), "", None),
        ("GET", &format!("/{bucket}?list-type=2&prefix=public%2F"), "", None),
        ("PUT", &format!("/{bucket}/public/own%20copy"), "", Some(format!("{bucket}/public/own%20note"))),
    ] {
        let mut request = Raw::new(method, target).body(body).signer(&bench.guest);
        if let Some(source) = headers {
            request = request.header("x-amz-copy-source", source);
        }
        let answer = request.send(bench).await?;
        expect(answer.status == 200, format!("{method} {target}: {answer}"))?;
    }
    Ok(())
}

async fn refused(bench: &Bench, method: &'static str, target: &str) -> Outcome {
    let answer = Raw::new(method, target).signer(&bench.guest).send(bench).await?;
    let code = if method == "HEAD" { "" } else { "AccessDenied" };
    expect(answer.status == 403 && answer.code == code, answer)
}

async fn escaped_dots(bench: &Bench) -> Outcome {
    let signed = format!("/{}/public/../private/secret.txt", bench.bucket);
    let spelled = format!("/{}/public/%2e%2e/private/secret.txt", bench.bucket);
    let answer = Raw::new("GET", &signed).spelled(&spelled).signer(&bench.guest).send(bench).await?;
    expect(answer.status == 403 && answer.code == "AccessDenied", answer)
}

async fn copy_refused(bench: &Bench, source: &str) -> Outcome {
    let request = Raw::new("PUT", &format!("/{}/public/stolen", bench.bucket));
    let answer = request.header("x-amz-copy-source", source).signer(&bench.guest).send(bench).await?;
    expect(answer.status == 403 && answer.code == "AccessDenied", answer)
}

async fn nothing_happened(bench: &Bench) -> Outcome {
    let secret = Raw::new("GET", &format!("/{}/private/secret.txt", bench.bucket)).send(bench).await?;
    expect(secret.body == "not for guests", secret)?;
    let plain = Raw::new("GET", &format!("/{}/public/plain.txt", bench.bucket)).send(bench).await?;
    expect(plain.body == "hello", plain)?;
    let stolen = Raw::new("GET", &format!("/{}/public/stolen", bench.bucket)).send(bench).await?;
    expect(stolen.code == "NoSuchKey", stolen)
}
