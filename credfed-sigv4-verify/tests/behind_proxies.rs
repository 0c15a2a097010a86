//! What proxies in front of a service do: another Host, TLS that ends before it, headers of a CDN's own (rules 6, 8, 10).
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::net::IpAddr;

use credfed_sigv4_verify::danger::Knobs;
use credfed_sigv4_verify::{
    BuildError, Carrier, Connection, Malformed, Profile, Reason, UnsignedPayload, Verifier, VerifierBuilder,
};
use http::request::Parts;
use support::{Signer, get, static_key, verify};

const PROXY: &str = "10.1.2.3";

fn builder() -> VerifierBuilder {
    Verifier::builder().region("us-east-1")
}

fn behind_proxies() -> Verifier {
    builder().trusted_proxies(["10.0.0.0/8", "fd00::/8", "192.0.2.7"]).build().unwrap()
}

/// Signed for example.com, and passed on by a proxy that talks to `backend:8080`.
fn passed_on(carrier: Carrier, peer: &str) -> Parts {
    let mut parts = Signer::s3(carrier).sign(get("https://example.com/bucket/key"));
    parts.headers.insert("host", "backend:8080".parse().unwrap());
    parts.headers.insert("x-forwarded-host", "example.com".parse().unwrap());
    parts.extensions.insert(Connection::new(peer.parse().unwrap()));
    parts
}

#[test]
fn the_forwarded_host_of_a_trusted_proxy_is_what_has_to_be_signed() {
    for carrier in [Carrier::Header, Carrier::Presigned] {
        for peer in [PROXY, "::ffff:10.1.2.3", "fd00::1", "192.0.2.7"] {
            let parts = passed_on(carrier, peer);
            let verifier = behind_proxies();
            assert_eq!(verify(&verifier, &parts, &static_key()).map(drop), Ok(()), "{peer}");
            assert_eq!(verifier.parse(&parts).unwrap().host(), "example.com");
        }
    }
}

#[test]
fn n25_forwarded_headers_of_anyone_else_mean_nothing() {
    let mismatch = Err(Reason::SignatureMismatch);
    for peer in ["11.0.0.1", "192.0.2.8", "2001:db8::1", "::1", "127.0.0.1"] {
        let parts = passed_on(Carrier::Header, peer);
        assert_eq!(verify(&behind_proxies(), &parts, &static_key()).map(drop), mismatch, "{peer}");
    }
    let mut unknown = passed_on(Carrier::Header, PROXY);
    unknown.extensions.clear();
    assert_eq!(verify(&behind_proxies(), &unknown, &static_key()).map(drop), mismatch);
    let trusted_nowhere = builder().build().unwrap();
    let parts = passed_on(Carrier::Header, PROXY);
    assert_eq!(verify(&trusted_nowhere, &parts, &static_key()).map(drop), mismatch);
    // A request that one verifier read is not taken over by another one that trusts other peers.
    let read = behind_proxies();
    let signed = read.parse(&parts).unwrap();
    assert_eq!(trusted_nowhere.verify(&signed, Some(&static_key()), support::now()).map(drop), mismatch);
    // And a request for another host does not become one for this one.
    let mut direct = Signer::s3(Carrier::Header).sign(get("https://other.example/bucket/key"));
    direct.headers.insert("x-forwarded-host", "example.com".parse().unwrap());
    assert_eq!(verify(&behind_proxies(), &direct, &static_key()).map(drop), Ok(()));
    direct.extensions.insert(Connection::new(PROXY.parse().unwrap()));
    assert_eq!(verify(&behind_proxies(), &direct, &static_key()).map(drop), mismatch);
}

#[test]
fn a_trusted_proxy_that_forwards_for_itself_needs_no_header() {
    let mut parts = Signer::s3(Carrier::Header).sign(get("https://example.com/bucket/key"));
    parts.extensions.insert(Connection::new(PROXY.parse().unwrap()));
    assert_eq!(verify(&behind_proxies(), &parts, &static_key()).map(drop), Ok(()));
}

#[test]
fn more_than_one_forwarded_host_is_refused() {
    let refused = Err(Reason::MalformedRequest(Malformed::Host));
    for value in [
        "evil.example, example.com",
        "",
        "example.com/bucket",
        "user@example.com",
        "example.com evil",
        "%65xample.com",
    ] {
        let mut parts = passed_on(Carrier::Header, PROXY);
        parts.headers.insert("x-forwarded-host", value.parse().unwrap());
        assert_eq!(verify(&behind_proxies(), &parts, &static_key()).map(drop), refused, "{value}");
    }
    let mut parts = passed_on(Carrier::Header, PROXY);
    parts.headers.append("x-forwarded-host", "example.com".parse().unwrap());
    assert_eq!(verify(&behind_proxies(), &parts, &static_key()).map(drop), refused);
}

#[test]
fn proxies_have_to_be_named_when_the_verifier_is_built() {
    // A peer never has an address of IPv4 in the spelling of IPv6: such a network would trust nobody.
    for networks in [
        &[][..],
        &["10.0.0.0/33"],
        &["proxy.internal"],
        &[""],
        &["10.0.0.0/8", "x"],
        &["::ffff:10.0.0.0/104"],
        &["::ffff:10.1.2.3"],
    ] {
        let built = builder().trusted_proxies(networks.iter().copied()).build();
        assert_eq!(built.map(drop), Err(BuildError::TrustedProxies), "{networks:?}");
    }
}

#[test]
fn an_unsigned_payload_may_be_accepted_over_tls_alone() {
    let verifier = builder().unsigned_payload(UnsignedPayload::OverTls).build().unwrap();
    let peer = IpAddr::from([192, 0, 2, 1]);
    for carrier in [Carrier::Header, Carrier::Presigned] {
        let mut parts = Signer::s3(carrier).sign_unsigned(get("https://example.com/bucket/key").map(drop));
        // What a client writes into its target is no evidence.
        let refused = Err(Reason::UnsignedPayloadRefused);
        assert_eq!(verify(&verifier, &parts, &static_key()).map(drop), refused);
        parts.extensions.insert(Connection::new(peer));
        assert_eq!(verify(&verifier, &parts, &static_key()).map(drop), refused);
        parts.extensions.insert(Connection::new(peer).over_tls());
        assert_eq!(verify(&verifier, &parts, &static_key()).map(drop), Ok(()));
    }
    let sts = Verifier::builder().profile(Profile::Sts).any_region();
    let built = sts.unsigned_payload(UnsignedPayload::OverTls).build();
    assert_eq!(built.map(drop), Err(BuildError::UnsignedPayload));
}

#[test]
fn cloudfronts_own_header_may_come_unsigned_where_that_is_said_and_no_other_one() {
    let behind = builder().danger(Knobs::new().behind_cloudfront()).build().unwrap();
    let mut parts = Signer::s3(Carrier::Header).sign(get("https://example.com/bucket/key"));
    assert_eq!(behind.parse(&parts).unwrap().exempted_headers().count(), 0);
    parts.headers.insert("x-amz-cf-id", "id-of-the-cdn".parse().unwrap());
    let unsigned = |name: &str| Err(Reason::UnsignedHeaders(vec![name.into()]));
    assert_eq!(verify(&support::s3(), &parts, &static_key()).map(drop), unsigned("x-amz-cf-id"));
    assert_eq!(verify(&behind, &parts, &static_key()).map(drop), Ok(()));
    let exempted: Vec<_> = behind.parse(&parts).unwrap().exempted_headers().collect();
    assert_eq!(exempted, ["x-amz-cf-id"]);
    parts.headers.insert("x-amz-acl", "public-read".parse().unwrap());
    assert_eq!(verify(&behind, &parts, &static_key()).map(drop), unsigned("x-amz-acl"));
}
