//! Every input that shapes a credential is in its identity.

use std::collections::HashSet;
use std::time::Duration;

use credfed_core::aws::sts::{
    AssumeRole, AssumeRoleRequest, AssumeRoleRequestBuilder, AssumeRoleWithWebIdentity,
    AssumeRoleWithWebIdentityRequest, AssumeRoleWithWebIdentityRequestBuilder, StsEndpoint,
};
use credfed_core::{AwsCredentials, CachedProvider, Expiring, Identity, Provider, Secret, provider_fn};

use crate::support::{Hasty, ROLE, Script, body, xml};

fn assertion(name: &'static str) -> impl Provider<Credential = Secret> {
    provider_fn(Identity::of(name).finish(), || async { Ok(Expiring::never(Secret::new("eyJ0"))) })
}

fn base(name: &'static str) -> CachedProvider<AwsCredentials> {
    CachedProvider::new(provider_fn(Identity::of(name).finish(), || async {
        Ok(Expiring::never(AwsCredentials::new("AKID", Secret::new("s"), None)))
    }))
}

#[test]
fn each_input_of_a_web_identity_changes_the_identity() {
    type Builder = AssumeRoleWithWebIdentityRequestBuilder;
    let script = Script::new([xml(200, body("AssumeRoleWithWebIdentity", 0))]);
    let make = |builder: Builder, url: &str, region: &str, source: &'static str| {
        let endpoint = StsEndpoint::custom(url, region).unwrap();
        let transport = script.transport(&Hasty::new());
        AssumeRoleWithWebIdentity::new(builder.build().unwrap(), endpoint, assertion(source), transport)
            .identity()
    };
    let plain = || AssumeRoleWithWebIdentityRequest::builder(ROLE, "ci");
    let named = |role: &str, session: &str| AssumeRoleWithWebIdentityRequest::builder(role, session);
    let (url, region, source) = ("https://sts.example", "us-east-1", "issuer");
    let all = [
        make(plain(), url, region, source),
        make(named("arn:aws:iam::123456789012:role/writer", "ci"), url, region, source),
        make(named(ROLE, "cd"), url, region, source),
        make(plain().duration(Duration::from_secs(900)), url, region, source),
        make(plain().duration(Duration::from_secs(901)), url, region, source),
        make(plain().policy(String::from("{}")), url, region, source),
        make(plain().policy(String::from("{ }")), url, region, source),
        make(plain().policy_arn("arn:aws:iam::aws:policy/a"), url, region, source),
        make(plain().policy_arn("arn:aws:iam::aws:policy/b"), url, region, source),
        make(
            plain().policy_arn("arn:aws:iam::aws:policy/a").policy_arn("arn:aws:iam::aws:policy/b"),
            url,
            region,
            source,
        ),
        make(plain().provider_id("www.amazon.com"), url, region, source),
        make(plain(), "https://sts.example:8443", region, source),
        make(plain(), "https://sts.example/path", region, source),
        make(plain(), url, "eu-west-1", source),
        make(plain(), url, region, "another issuer"),
    ];
    assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len());
    assert_eq!(all[0], make(plain(), url, region, source));
}

#[test]
fn each_input_of_an_assumed_role_changes_the_identity() {
    type Builder = AssumeRoleRequestBuilder;
    let script = Script::new([xml(200, body("AssumeRole", 0))]);
    let make = |builder: Builder, url: &str, region: &str, source: &'static str| {
        let endpoint = StsEndpoint::custom(url, region).unwrap();
        let transport = script.transport(&Hasty::new());
        AssumeRole::new(builder.build().unwrap(), endpoint, base(source), transport).unwrap().identity()
    };
    let plain = || AssumeRoleRequest::builder(ROLE, "ci");
    let text = String::from;
    let (url, region, source) = ("https://sts.example", "us-east-1", "base");
    let all = [
        make(plain(), url, region, source),
        make(AssumeRoleRequest::builder(ROLE, "cd"), url, region, source),
        make(AssumeRoleRequest::builder("arn:aws:iam::123456789012:role/writer", "ci"), url, region, source),
        make(plain().duration(Duration::from_secs(900)), url, region, source),
        make(plain().policy(text("{}")), url, region, source),
        make(plain().policy_arn("arn:aws:iam::aws:policy/a"), url, region, source),
        make(plain().external_id(text("x1")), url, region, source),
        make(plain().external_id(text("x2")), url, region, source),
        make(plain().source_identity("x1"), url, region, source),
        make(plain().tag("ab", "c"), url, region, source),
        make(plain().tag("a", "bc"), url, region, source),
        make(plain().transitive_tag_key("ab"), url, region, source),
        make(plain().mfa("GAHT12345678", text("123456")), url, region, source),
        make(plain().mfa("GAHT12345678", text("123457")), url, region, source),
        make(plain().mfa("GAHT12345679", text("123456")), url, region, source),
        make(plain(), "http://127.0.0.1:1", region, source),
        make(plain(), url, "eu-west-1", source),
        make(plain(), url, region, "another base"),
    ];
    assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len());
    assert_eq!(all[0], make(plain(), url, region, source));
}
