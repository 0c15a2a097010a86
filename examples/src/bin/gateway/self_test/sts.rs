//! The STS endpoint for callers that have a key or a session.

use std::io;
use std::time::Duration;

use credfed_core::session::{SessionClaims, SessionKind};
use credfed_core::{AwsCredentials, Clock, SystemClock};

use super::raw::{Answer, Raw, send_unsigned};
use super::{Bench, GONE, Outcome, PARTNER, READER, Report, TENANT, arn, expect, web_identity};

pub(super) async fn check(bench: &Bench, report: &mut Report) -> io::Result<()> {
    report.check("sts: who a key is", caller_of_a_key(bench)).await?;
    report.check("sts: who a session is", caller_of_a_session(bench)).await?;
    report.check("sts: a key becomes a session with the key's rights", session_token(bench)).await?;
    report.check("sts: refuse a session for a session", session_for_a_session(bench)).await?;
    report.check("sts: assume a role with a key", assume_role(bench)).await?;
    report.check("sts: chain roles for an hour, and refuse more", chain(bench)).await?;
    report
        .check(
            "sts: refuse a role that does not trust the caller, as one that is not there",
            untrusted(bench),
        )
        .await?;
    report.check("sts: an external id that is asked for has to come, and no tags", partner(bench)).await?;
    report.check("sts: refuse a session of a user who is gone", gone(bench)).await?;
    report.check("sts: refuse an hour too many", too_long(bench)).await?;
    report.check("sts: refuse what is not signed", unsigned(bench)).await?;
    report.check("sts: refuse what does not exist", unknown_action(bench)).await
}

async fn call(
    bench: &Bench,
    signer: &AwsCredentials,
    form: &[(&str, &str)],
) -> Result<Answer, super::BoxError> {
    Raw::sts(form).signer(signer).send(bench).await
}

/// Assumes a role by a signature.
pub(super) async fn assume(
    bench: &Bench,
    signer: &AwsCredentials,
    role: &str,
    more: &[(&str, &str)],
) -> Result<Answer, super::BoxError> {
    let role = arn(role);
    let form = [("Action", "AssumeRole"), ("RoleArn", &role), ("RoleSessionName", "by-hand")];
    call(bench, signer, &[&form[..], more].concat()).await
}

async fn caller_of_a_key(bench: &Bench) -> Outcome {
    let answer = call(bench, &bench.owner, &[("Action", "GetCallerIdentity")]).await?;
    let expected = format!("arn:aws:iam::000000000000:user/{}", bench.owner.access_key_id());
    expect(answer.status == 200 && answer.element("Arn") == expected, answer)
}

async fn caller_of_a_session(bench: &Bench) -> Outcome {
    let session = web_identity::session(bench, "tenant-a").await?;
    let answer = call(bench, &session, &[("Action", "GetCallerIdentity")]).await?;
    let expected = format!("arn:aws:sts::000000000000:assumed-role/{TENANT}/self-test");
    expect(answer.status == 200 && answer.element("Arn") == expected, answer)
}

async fn session_token(bench: &Bench) -> Outcome {
    let form = [("Action", "GetSessionToken"), ("DurationSeconds", "900")];
    let session = call(bench, &bench.guest, &form).await?.credentials()?;
    let target = |folder| format!("/{}/{folder}/by-a-session", bench.bucket);
    let put = Raw::new("PUT", &target("public")).body("x").signer(&session).send(bench).await?;
    expect(put.status == 200, put)?;
    let refused = Raw::new("PUT", &target("private")).body("x").signer(&session).send(bench).await?;
    expect(refused.status == 403 && refused.code == "AccessDenied", refused)
}

async fn session_for_a_session(bench: &Bench) -> Outcome {
    let session = web_identity::session(bench, "tenant-a").await?;
    let answer = call(bench, &session, &[("Action", "GetSessionToken")]).await?;
    let says = answer.element("Message").contains("Cannot call GetSessionToken with session credentials");
    expect(answer.status == 403 && answer.code == "AccessDenied" && says, answer)
}

async fn assume_role(bench: &Bench) -> Outcome {
    let session = assume(bench, &bench.owner, READER, &[("DurationSeconds", "7200")]).await?.credentials()?;
    let target = format!("/{}/public/plain.txt", bench.bucket);
    let got = Raw::new("GET", &target).signer(&session).send(bench).await?;
    expect(got.status == 200, got)?;
    let refused = Raw::new("PUT", &target).body("x").signer(&session).send(bench).await?;
    expect(refused.status == 403, refused)
}

async fn chain(bench: &Bench) -> Outcome {
    let tenant = web_identity::session(bench, "tenant-a").await?;
    let hour = assume(bench, &tenant, READER, &[("DurationSeconds", "3600")]).await?;
    hour.credentials()?;
    let more = assume(bench, &tenant, READER, &[("DurationSeconds", "3601")]).await?;
    expect(more.status == 400 && more.code == "ValidationError", more)
}

async fn untrusted(bench: &Bench) -> Outcome {
    let refused = assume(bench, &bench.guest, READER, &[]).await?;
    let absent = assume(bench, &bench.guest, "absent", &[]).await?;
    for answer in [&refused, &absent] {
        expect(answer.status == 403 && answer.code == "AccessDenied", answer)?;
    }
    let words = |answer: &Answer| answer.element("Message").replace("role/absent", "role/reader");
    expect(words(&refused) == words(&absent), "the two read differently")
}

async fn partner(bench: &Bench) -> Outcome {
    const RIGHT: (&str, &str) = ("ExternalId", "ticket-1234");
    assume(bench, &bench.owner, PARTNER, &[RIGHT]).await?.credentials()?;
    let tag = [RIGHT, ("Tags.member.1.Key", "team"), ("Tags.member.1.Value", "blue")];
    for more in [&[][..], &[("ExternalId", "ticket-1235")], &tag, &[RIGHT, ("SourceIdentity", "bob")]] {
        let answer = assume(bench, &bench.owner, PARTNER, more).await?;
        expect(answer.status == 403 && answer.code == "AccessDenied", answer)?;
    }
    Ok(())
}

async fn gone(bench: &Bench) -> Outcome {
    let now = SystemClock.wall();
    let user = format!("arn:aws:iam::000000000000:user/{GONE}");
    let claims = SessionClaims::builder(SessionKind::SessionToken, user, now, now + Duration::from_secs(900));
    let session = bench.sessions.mint(&claims.build()?, now)?.into_value();
    let answer = assume(bench, &session, READER, &[]).await?;
    expect(answer.status == 403 && answer.code == "AccessDenied", answer)
}

async fn too_long(bench: &Bench) -> Outcome {
    let answer = assume(bench, &bench.owner, READER, &[("DurationSeconds", "7201")]).await?;
    expect(answer.status == 400 && answer.code == "ValidationError", answer)
}

async fn unsigned(bench: &Bench) -> Outcome {
    let answer = send_unsigned(Raw::sts(&[("Action", "GetCallerIdentity")]), bench).await?;
    expect(answer.status == 403 && answer.code == "MissingAuthenticationToken", answer)
}

async fn unknown_action(bench: &Bench) -> Outcome {
    let answer = call(bench, &bench.owner, &[("Action", "GetFederationToken")]).await?;
    expect(answer.status == 400 && answer.code == "InvalidAction", answer)
}
