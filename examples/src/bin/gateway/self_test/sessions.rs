//! Session tokens: what is refused of one that is wrong, over, revoked, restricted or of another key.

use std::io;
use std::time::{Duration, SystemTime};

use credfed_core::keyring::KeyRing;
use credfed_core::session::{SealedSessions, SessionClaims, SessionKind};
use credfed_core::{AwsCredentials, Clock, Provider, Secret, SystemClock};

use super::raw::Raw;
use super::{AUDIENCE, Bench, BoxError, Outcome, Report, TENANT, arn, expect, web_identity};

const MINUTE: Duration = Duration::from_secs(60);

pub(super) async fn check(bench: &Bench, report: &mut Report) -> io::Result<()> {
    report.check("session: refuse a tampered token", tampered(bench)).await?;
    report.check("session: refuse a missing token", missing(bench)).await?;
    report.check("session: refuse the token of another key", of_another(bench)).await?;
    report.check("session: refuse a token with a long-lived key", with_a_static_key(bench)).await?;
    report.check("session: refuse one that is over", over(bench)).await?;
    report.check("session: refuse one of another issuer", of_another_issuer(bench)).await?;
    report
        .check("session: refuse one that a policy restricts, which nobody here evaluates", restricted(bench))
        .await?;
    report.check("session: refuse a restricted one to assume a role", restricted_at_sts(bench)).await?;
    report.check("session: rotate the key ring under it", rotated(bench)).await?;
    report.check("session: refuse it once its key is out of the ring", key_removed(bench)).await?;
    report.check("session: refuse it once it is revoked", revoked(bench)).await
}

async fn tampered(bench: &Bench) -> Outcome {
    let session = web_identity::session(bench, "tenant-a").await?;
    let token = session.session_token().ok_or("a session has a token")?.expose();
    let (start, last) = token.split_at(token.len() - 1);
    let other = if last == "A" { "Q" } else { "A" };
    refused(bench, &with_token(&session, Some(format!("{start}{other}"))), 400, "InvalidToken").await?;
    let (head, tail) = token.split_at(token.len() / 2);
    let flipped = if tail.starts_with('A') {
        tail.replacen('A', "B", 1)
    } else {
        format!("A{}", tail.get(1..).unwrap_or_default())
    };
    refused(bench, &with_token(&session, Some(format!("{head}{flipped}"))), 400, "InvalidToken").await
}

async fn missing(bench: &Bench) -> Outcome {
    let session = web_identity::session(bench, "tenant-a").await?;
    refused(bench, &with_token(&session, None), 403, "InvalidAccessKeyId").await
}

async fn of_another(bench: &Bench) -> Outcome {
    let (one, other) =
        (web_identity::session(bench, "tenant-a").await?, web_identity::session(bench, "tenant-a").await?);
    let token = other.session_token().map(|token| token.expose().to_owned());
    refused(bench, &with_token(&one, token), 400, "InvalidToken").await
}

async fn with_a_static_key(bench: &Bench) -> Outcome {
    let session = web_identity::session(bench, "tenant-a").await?;
    let token = session.session_token().map(|token| token.expose().to_owned());
    refused(bench, &with_token(&bench.owner, token), 400, "InvalidToken").await
}

async fn over(bench: &Bench) -> Outcome {
    let now = SystemClock.wall();
    let start = now - 20 * MINUTE;
    let claims = claims(start, start + 15 * MINUTE);
    let session = bench.sessions.mint(&claims.build()?, start)?.into_value();
    refused(bench, &session, 400, "ExpiredToken").await
}

async fn of_another_issuer(bench: &Bench) -> Outcome {
    let now = SystemClock.wall();
    let elsewhere = SealedSessions::new("elsewhere", bench.sessions.ring().clone());
    let session = elsewhere.mint(&claims(now, now + 15 * MINUTE).build()?, now)?.into_value();
    refused(bench, &session, 400, "InvalidToken").await
}

const POLICY: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}]}"#;

async fn restricted_session(bench: &Bench) -> Result<AwsCredentials, BoxError> {
    let token = bench.identity.of("tenant-a", AUDIENCE).provide().await?.into_value();
    web_identity::exchange(bench, token.expose(), &[("Policy", POLICY)]).await?.credentials()
}

async fn restricted(bench: &Bench) -> Outcome {
    refused(bench, &restricted_session(bench).await?, 403, "AccessDenied").await
}

async fn restricted_at_sts(bench: &Bench) -> Outcome {
    let session = restricted_session(bench).await?;
    let who = Raw::sts(&[("Action", "GetCallerIdentity")]).signer(&session).send(bench).await?;
    expect(who.status == 200, who)?;
    let answer = super::sts::assume(bench, &session, super::READER, &[]).await?;
    expect(answer.status == 403 && answer.code == "AccessDenied", answer)
}

async fn rotated(bench: &Bench) -> Outcome {
    let before = web_identity::session(bench, "tenant-a").await?;
    let now = SystemClock.wall();
    let ring = bench.sessions.ring();
    ring.replace(
        ring.load().rotate_at_once(now + Duration::from_secs(1)).or_else(|_| KeyRing::generate(now))?,
    );
    accepted(bench, &before).await?;
    accepted(bench, &web_identity::session(bench, "tenant-a").await?).await
}

async fn key_removed(bench: &Bench) -> Outcome {
    let session = web_identity::session(bench, "tenant-a").await?;
    accepted(bench, &session).await?;
    let ring = bench.sessions.ring();
    let before = ring.load().to_text();
    ring.replace(KeyRing::generate(SystemClock.wall())?);
    let outcome = refused(bench, &session, 400, "InvalidToken").await;
    ring.replace_from(before.expose())?;
    outcome?;
    accepted(bench, &session).await
}

/// Last of all: the role cannot be assumed again within the same second.
async fn revoked(bench: &Bench) -> Outcome {
    let session = web_identity::session(bench, "tenant-a").await?;
    accepted(bench, &session).await?;
    bench.revocation.revoke(&arn(TENANT), SystemClock.wall())?;
    refused(bench, &session, 400, "InvalidToken").await
}

fn claims(from: SystemTime, to: SystemTime) -> credfed_core::session::SessionClaimsBuilder {
    SessionClaims::builder(SessionKind::WebIdentity, arn(TENANT), from, to)
        .session_name("self-test")
        .subject("tenant-a")
        .issuer("https://id.example.com")
}

fn with_token(keys: &AwsCredentials, token: Option<String>) -> AwsCredentials {
    AwsCredentials::new(keys.access_key_id(), keys.secret_access_key().clone(), token.map(Secret::new))
}

fn own(bench: &Bench) -> String {
    format!("/{}?list-type=2&prefix=public%2Ftenant-a%2F", bench.bucket)
}

async fn accepted(bench: &Bench, session: &AwsCredentials) -> Outcome {
    let answer = Raw::new("GET", &own(bench)).signer(session).send(bench).await?;
    expect(answer.status == 200, answer)
}

async fn refused(bench: &Bench, session: &AwsCredentials, status: u16, code: &str) -> Outcome {
    let answer = Raw::new("GET", &own(bench)).signer(session).send(bench).await?;
    expect(answer.status == status && answer.code == code, answer)
}
