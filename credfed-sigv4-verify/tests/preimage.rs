//! What a signature is computed over can be shown, and shown without the client's secrets.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use credfed_sigv4_verify::{Carrier, SignedRequest};
use http::request::Parts;
use support::Signer;

fn session(carrier: Carrier) -> Parts {
    let request = http::Request::get("https://example.com/bucket/key?a=1")
        .header("cookie", "cookie-of-the-client")
        .header("x-amz-server-side-encryption-customer-key", "key-of-the-client")
        .header("proxy-authorization", "password-of-the-client")
        .header("x-amz-mfa", "code-of-the-client")
        .header("x-amz-meta-a", "seen")
        .body("")
        .unwrap();
    Signer::s3(carrier).token(support::TOKEN).sign(request)
}

#[test]
fn the_string_to_sign_ends_in_the_hash_of_the_canonical_request() {
    use sha2::{Digest, Sha256};
    for carrier in [Carrier::Header, Carrier::Presigned] {
        let parts = session(carrier);
        let preimage = SignedRequest::parse(&parts).unwrap().preimage(None).unwrap();
        let hash = Sha256::digest(preimage.canonical_request().as_bytes());
        let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(preimage.string_to_sign().ends_with(&hash), "{}", preimage.string_to_sign());
        assert!(
            preimage
                .string_to_sign()
                .starts_with("AWS4-HMAC-SHA256\n20150830T123600Z\n20150830/us-east-1/s3/")
        );
    }
}

#[test]
fn what_is_redacted_holds_no_token_no_cookie_and_no_customer_key() {
    for carrier in [Carrier::Header, Carrier::Presigned] {
        let parts = session(carrier);
        let preimage = SignedRequest::parse(&parts).unwrap().preimage(None).unwrap();
        let whole = preimage.canonical_request().into_owned();
        let escaped: String =
            percent_encoding::utf8_percent_encode(support::TOKEN, percent_encoding::NON_ALPHANUMERIC)
                .to_string();
        assert!(whole.contains(support::TOKEN) || whole.contains(&escaped[..40]), "{whole}");
        assert!(whole.contains("cookie-of-the-client") && whole.contains("key-of-the-client"));
        let redacted = preimage.redacted();
        for secret in [support::TOKEN, &escaped[..40], "of-the-client"] {
            assert!(!redacted.contains(secret), "{redacted}");
        }
        assert!(redacted.contains("x-amz-meta-a:seen"));
        assert_eq!(redacted.lines().count(), whole.lines().count());
        assert!(!format!("{preimage:?}").contains("seen"));
    }
}

/// No signature can cover itself, and a list that says so is shown without it.
#[test]
fn an_authorization_that_was_signed_is_redacted_too() {
    let mut parts = session(Carrier::Header);
    let text = parts.headers["authorization"].to_str().unwrap().to_owned();
    let sent = text.rsplit('=').next().unwrap().to_owned();
    let text = text.replace("SignedHeaders=", "SignedHeaders=authorization;");
    parts.headers.insert("authorization", text.parse().unwrap());
    match SignedRequest::parse(&parts) {
        Ok(request) => assert!(!request.preimage(None).unwrap().redacted().contains(&sent)),
        Err(reason) => assert!(!reason.to_string().contains(&sent)),
    }
}

#[test]
fn where_the_bodys_hash_is_missing_there_is_nothing_to_show() {
    let parts = Signer::general(Carrier::Header).sign(support::get("https://example.com/"));
    let verifier = support::general();
    let request = verifier.parse(&parts).unwrap();
    assert!(request.needs_body_hash());
    assert!(request.preimage(None).is_none());
    assert!(request.preimage(Some([0; 32])).unwrap().canonical_request().ends_with(&"0".repeat(64)));
}
