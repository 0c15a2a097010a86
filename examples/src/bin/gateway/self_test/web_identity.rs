//! Sessions for a web identity: what is given out, to whom, and that a token that is wrong in any way is refused.

use std::io;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use credfed_core::aws::sts::{AssumeRoleWithWebIdentity, AssumeRoleWithWebIdentityRequest, StsEndpoint};
use credfed_core::oidc::{Algorithm, IssuerState, LocalSigner};
use credfed_core::transport::HttpTransport;
use credfed_core::{AwsCredentials, CachedProvider, Clock, Provider, SystemClock};
use object_store::ObjectStoreExt;
use object_store::aws::AmazonS3Builder;
use object_store::path::Path;

use super::raw::{Answer, Raw, send_unsigned};
use super::{AUDIENCE, Bench, BoxError, Outcome, Report, TENANT, arn, expect};

pub(super) async fn check(bench: &Bench, report: &mut Report) -> io::Result<()> {
    report
        .check("web identity: object_store with our provider, in its own folder", own_folder(bench))
        .await?;
    report.check("web identity: refuse another tenant's folder", foreign_folder(bench)).await?;
    report.check("web identity: presign with a session", presigned(bench)).await?;
    let token = match bench.identity.of("tenant-a", AUDIENCE).provide().await {
        Ok(token) => token.into_value(),
        Err(error) => return report.check("mint a web identity", async { Err(error.into()) }).await,
    };
    let token = token.expose();
    for (name, wrong) in [
        ("refuse a changed signature", with_part(token, 2, flipped)),
        ("refuse a changed payload", with_part(token, 1, |part| renamed(part, "tenant-a", "tenant-b"))),
        ("refuse no signature", with_part(token, 2, |_| String::new())),
        (
            "refuse alg none",
            with_part(&with_part(token, 2, |_| String::new()), 0, |part| renamed(part, "RS256", "none")),
        ),
        ("refuse alg HS256", with_part(token, 0, |part| renamed(part, "RS256", "HS256"))),
        ("refuse two parts", token.rsplit_once('.').map_or(String::new(), |(two, _)| two.to_owned())),
        ("refuse no token at all", "x".repeat(20)),
    ] {
        report
            .check(&format!("web identity: {name}"), refused(bench, &wrong, 400, "InvalidIdentityToken"))
            .await?;
    }
    report.check("web identity: refuse another audience", wrong_audience(bench)).await?;
    report.check("web identity: refuse another issuer", wrong_issuer(bench)).await?;
    report.check("web identity: refuse a stranger's signature", wrong_key(bench)).await?;
    report
        .check("web identity: refuse a subject without a role, as a role that is not there", no_role(bench))
        .await
}

/// A session of the role of tenants.
pub(super) async fn session(bench: &Bench, subject: &str) -> Result<AwsCredentials, BoxError> {
    Ok(provider(bench, subject)?.provide().await?.into_value())
}

/// The answer to a token, for the role of tenants.
pub(super) async fn exchange(bench: &Bench, token: &str, more: &[(&str, &str)]) -> Result<Answer, BoxError> {
    exchange_for(bench, TENANT, token, more).await
}

async fn exchange_for(
    bench: &Bench,
    role: &str,
    token: &str,
    more: &[(&str, &str)],
) -> Result<Answer, BoxError> {
    let role = arn(role);
    let form = [
        ("Action", "AssumeRoleWithWebIdentity"),
        ("RoleArn", &role),
        ("RoleSessionName", "by-hand"),
        ("WebIdentityToken", token),
    ];
    send_unsigned(Raw::sts(&[&form[..], more].concat()), bench).await
}

fn provider(bench: &Bench, subject: &str) -> Result<AssumeRoleWithWebIdentity, BoxError> {
    let request = AssumeRoleWithWebIdentityRequest::builder(arn(TENANT), "self-test").build()?;
    let endpoint = StsEndpoint::custom(&format!("http://{}", bench.address), bench.region.as_str())?;
    let assertions = bench.identity.of(subject, AUDIENCE);
    Ok(AssumeRoleWithWebIdentity::new(request, endpoint, assertions, HttpTransport::client().build()?))
}

async fn own_folder(bench: &Bench) -> Outcome {
    let store = AmazonS3Builder::new()
        .with_endpoint(format!("http://{}", bench.address))
        .with_allow_http(true)
        .with_region(bench.region.as_str())
        .with_bucket_name(&bench.bucket)
        .with_credentials(credfed_object_store::aws(CachedProvider::new(provider(bench, "tenant-a")?)))
        .build()?;
    let own = Path::from("public/tenant-a/note");
    store.put(&own, "mine".into()).await?;
    let got = store.get(&own).await?.bytes().await?;
    expect(got == "mine", "another object came back")
}

async fn foreign_folder(bench: &Bench) -> Outcome {
    let session = session(bench, "tenant-b").await?;
    for target in ["public/tenant-a/note", "public/note", "private/secret.txt"] {
        let target = format!("/{}/{target}", bench.bucket);
        let answer = Raw::new("GET", &target).signer(&session).send(bench).await?;
        expect(answer.status == 403 && answer.code == "AccessDenied", answer)?;
    }
    Ok(())
}

async fn presigned(bench: &Bench) -> Outcome {
    let session = session(bench, "tenant-a").await?;
    let target = format!("/{}/public/tenant-a/presigned", bench.bucket);
    let minute = std::time::Duration::from_secs(60);
    let put = Raw::new("PUT", &target).body("x").signer(&session).presigned(minute).send(bench).await?;
    expect(put.status == 200, put)?;
    let got = Raw::new("GET", &target).signer(&session).presigned(minute).send(bench).await?;
    expect(got.status == 200 && got.body == "x", got)
}

async fn refused(bench: &Bench, token: &str, status: u16, code: &str) -> Outcome {
    let answer = exchange(bench, token, &[]).await?;
    expect(answer.status == status && answer.code == code, answer)
}

async fn wrong_audience(bench: &Bench) -> Outcome {
    let token = bench.identity.of("tenant-a", "elsewhere").provide().await?.into_value();
    let answer = exchange(bench, token.expose(), &[]).await?;
    let says = answer.element("Message").contains("Incorrect token audience");
    expect(answer.status == 400 && answer.code == "InvalidIdentityToken" && says, answer)
}

async fn wrong_issuer(bench: &Bench) -> Outcome {
    let stranger =
        crate::identity::LocalProvider::start("tenant-a").await.map_err(|error| error.to_string())?;
    let token = stranger.identity().of("tenant-a", AUDIENCE).provide().await?.into_value();
    refused(bench, token.expose(), 400, "InvalidIdentityToken").await
}

/// The right issuer's name, signed by somebody else.
async fn wrong_key(bench: &Bench) -> Outcome {
    let now = SystemClock.wall();
    let state = IssuerState::new(LocalSigner::generate(Algorithm::Rs256)?, now);
    let issuer = credfed_core::oidc::Issuer::builder(bench.identity.url())
        .network(crate::identity::network(bench.identity.url()))
        .state(state)
        .build()?;
    let claims = credfed_core::oidc::AssertionClaims::new("tenant-a", AUDIENCE);
    let token = issuer.sign(&claims, now).await?.into_value();
    refused(bench, token.expose(), 400, "InvalidIdentityToken").await
}

async fn no_role(bench: &Bench) -> Outcome {
    let token = bench.identity.of("nobody", AUDIENCE).provide().await?.into_value();
    let refused = exchange(bench, token.expose(), &[]).await?;
    let absent = exchange_for(bench, "absent", token.expose(), &[]).await?;
    for answer in [&refused, &absent] {
        expect(answer.status == 403 && answer.code == "AccessDenied", answer)?;
    }
    expect(refused.element("Message") == absent.element("Message"), "the two read differently")
}

fn with_part(token: &str, index: usize, change: impl Fn(&str) -> String) -> String {
    let parts: Vec<String> = token
        .split('.')
        .enumerate()
        .map(|(at, part)| if at == index { change(part) } else { part.to_owned() })
        .collect();
    parts.join(".")
}

fn flipped(part: &str) -> String {
    let mut bytes = URL_SAFE_NO_PAD.decode(part).unwrap_or_default();
    if let Some(byte) = bytes.first_mut() {
        *byte ^= 1;
    }
    URL_SAFE_NO_PAD.encode(bytes)
}

fn renamed(part: &str, from: &str, to: &str) -> String {
    let text = URL_SAFE_NO_PAD.decode(part).unwrap_or_default();
    URL_SAFE_NO_PAD.encode(String::from_utf8_lossy(&text).replace(from, to))
}
