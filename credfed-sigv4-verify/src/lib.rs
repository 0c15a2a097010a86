//! Strict, sans-io verification of AWS Signature Version 4 requests: what an AWS SDK signed is accepted,
//! what anyone changed is refused.
//!
//! Nothing here opens a socket, reads a clock or spawns a task. A request's head goes in as
//! [`http::request::Parts`], the key as a [`ResolvedKey`], the time as an argument; out comes a
//! [`VerifiedHead`] or the [`Reason`] why not. For servers on tower there is `credfed-tower`, which
//! joins this crate with a key resolver, an authorizer and the body's stream.
//!
//! # Rules of acceptance
//!
//! 1. **One carrier**: the Authorization header, a presigned query, or the fields of a POST form. Two, or
//!    the parts of one spread over both, are refused; identity comes from the carrier that was verified. A
//!    form is a `POST` of `multipart/form-data` with one file, which is the last field.
//! 2. **Algorithm**: `AWS4-HMAC-SHA256`, byte for byte. Signature version 2 is refused by name. With the feature
//!    `sigv4a`, a verifier that is told to (`VerifierBuilder::accept_sigv4a`) takes `AWS4-ECDSA-P256-SHA256` too, in
//!    a header and a presigned query; forms are SigV4's alone.
//! 3. **Once each**: Host, Authorization, x-amz-date, x-amz-content-sha256, x-amz-security-token and
//!    [`CREDENTIAL_QUERY_PARAMETERS`], the latter in exact case and unescaped. Other `x-amz-*` headers
//!    come once too, `x-amz-meta-*` apart, and so do signed headers that HTTP defines with one value
//!    (Range, Content-Type and their like). *Hoisted* parameters (another `x-amz-*` in a presigned query)
//!    are unique after lower-casing and not also a header; see [`SignedRequest::effective_header`]. So are
//!    the fields of a form, and the members of its policy.
//! 4. **Scope**: access key, date, region, service, `aws4_request`, split from the right. The date is
//!    the request's; region and service are served by this [`Verifier`]. With SigV4A the scope has no region:
//!    x-amz-region-set takes its place, a signed header or the parameter of a presigned query, once and as its
//!    carrier is. It is a list of names with commas between; one is a region that is served, to the letter, or `*`.
//!    Other patterns are names of no region.
//! 5. **Freshness**: S3 and STS within 15 minutes both ways, others within 5. The date is
//!    `YYYYMMDDTHHMMSSZ`, or the Date header where x-amz-date is missing. A presigned request lives
//!    from its date, less the skew, for 1 to 604800 seconds, and no longer than the session. So does a
//!    form, to the expiration of its policy and for seven days at most.
//! 6. **Signed headers**: `host` (or `:authority`), the date that is used, and every `x-amz-*` that is
//!    there, but for x-amz-content-sha256 in header-signed requests, whose value is signed anyway. A
//!    signed header is there as a header. Names are tokens, none empty, none twice. Connection names
//!    none of them. In a **form** every field is covered by a condition of the policy, but for policy,
//!    signature, file and `x-ignore-*`; every condition is met; the bucket is the URL's and is covered;
//!    credential, date, algorithm and token are matched exactly; `${filename}` stands for the file's name
//!    before anything is judged. No `x-amz-*` header and no query stands beside it. The policy is JSON to
//!    the letter and is not read before its signature matched.
//! 7. **Session token**: covered by the signature, in its carrier. A static key comes without one, a
//!    temporary key with one.
//! 8. **One canonicalisation** per [`Profile`], never several: S3 decodes and encodes the path segment
//!    by segment; others encode the wire once more. Where signers normalise, a path that is not normal
//!    is refused. Broken escapes, encoded NULs and other forms of the target are refused. A raw `+` in a
//!    query is a blank, as AWS's signers read it. `X-Forwarded-Host` counts from
//!    [`trusted_proxies`](VerifierBuilder::trusted_proxies) alone.
//! 9. **What was verified is what is on the wire**: path and query are not rewritten here; what carried
//!    the credentials is told by [`query`](mod@query).
//! 10. **Payload modes** are a closed set: SHA-256 in hex or base64, `UNSIGNED-PAYLOAD` by policy, none
//!     at all as the profile has it, and with [`Profile::S3`] in a header-signed PUT or POST
//!     `STREAMING-AWS4-HMAC-SHA256-PAYLOAD`, that with `-TRAILER`, and (by the policy for unsigned payloads)
//!     `STREAMING-UNSIGNED-PAYLOAD-TRAILER`. These come with x-amz-decoded-content-length, and those with
//!     a trailer with x-amz-trailer, which names nothing but checksums that are computed here
//!     ([`Checksum`]). With SigV4A the first two are `STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD` and that with
//!     `-TRAILER`: chunks are signed with the algorithm of the head. Other streaming modes, any in a presigned request, and other checksums are
//!     answered with 501. Content-Encoding may say `aws-chunked`, with others, or leave it out. A form has
//!     none: its file is not covered, and where unsigned payloads are refused so are forms.
//! 11. **Body**: [`BodyCheck`] takes it as it comes and gives out what may be handed on, which is all of it
//!     only when everything has passed: the hash; the signature of every chunk, the last one of no bytes
//!     and the trailer included; the trailer's fields, exactly those declared; their checksums; the
//!     decoded length; and nothing behind the end. A trailer is written as SDKs do or as minio-go
//!     does. Nothing of a signed chunk comes out before its signature was compared. [`SizeCheck`] counts the
//!     file of a form: hold back its last byte until it has passed.
//! 12. **Comparison** in constant time over 32 raw bytes. An unknown key costs a derivation. With
//!     [`uniform_errors`](VerifierBuilder::uniform_errors) all failures that depend on the key look and
//!     cost alike. A signature of SigV4A is DER in lower-case hex, in chunks and trailers padded with `*` to 144
//!     characters, and nothing else; it is verified with a public key, for an unknown access key with nobody's. It
//!     has a twin that is as good, so nothing here is found or remembered by a signature.
//! 13. **Nothing leaks**: neither secrets nor tokens nor signatures, computed or sent, are in any
//!     `Debug`, `Display` or answer.
//! 14. **Evidence**: only a verifier makes a [`VerifiedHead`] or a [`VerifiedForm`].
//! 15. **[`Limits`]** hold before any cryptography, and a method has 32 bytes at most. The size of a signed
//!     chunk is judged before any of it is kept.
//!
//! # What it assumes
//!
//! The HTTP server decides where a request ends: run one that refuses conflicting lengths, and give the
//! inner service the bytes that it read. The clock is right to within the skew. Whoever resolves keys
//! checks that session token and access key belong together. What the server alone knows of a connection it says with
//! a [`Connection`] in the request's extensions: the peer that may forward for another host, and TLS.
//!
//! # Example
//!
//! ```
//! use std::time::{Duration, UNIX_EPOCH};
//!
//! use credfed_sigv4_verify::{KeyKind, Reason, ResolvedKey, Verifier};
//! # use hmac::{Hmac, KeyInit, Mac};
//! # use sha2::{Digest, Sha256};
//! # fn hmac(key: &[u8], message: &str) -> Vec<u8> {
//! #     let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
//! #     mac.update(message.as_bytes());
//! #     mac.finalize().into_bytes().to_vec()
//! # }
//! # fn hex(bytes: &[u8]) -> String {
//! #     bytes.iter().map(|byte| format!("{byte:02x}")).collect()
//! # }
//! # fn signature(secret: &str, canonical_request: &str) -> String {
//! #     let hash = hex(&Sha256::digest(canonical_request));
//! #     let scope = "20150830/eu-west-1/s3/aws4_request";
//! #     let string_to_sign = format!("AWS4-HMAC-SHA256\n20150830T123600Z\n{scope}\n{hash}");
//! #     let key = scope.split('/').fold(format!("AWS4{secret}").into_bytes(), |key, part| hmac(&key, part));
//! #     hex(&hmac(&key, &string_to_sign))
//! # }
//! let verifier = Verifier::builder().region("eu-west-1").build()?;
//! let key = ResolvedKey::new("secret", KeyKind::Static, 1);
//! let now = UNIX_EPOCH + Duration::from_secs(1_440_938_160);
//!
//! // Signed by the client: `signature` is an HMAC over the canonical request.
//! let signature = signature("secret", "GET\n/bucket/key\n\nhost:example.com\n\
//!     x-amz-content-sha256:UNSIGNED-PAYLOAD\nx-amz-date:20150830T123600Z\n\n\
//!     host;x-amz-content-sha256;x-amz-date\nUNSIGNED-PAYLOAD");
//! let request = |path: &str| {
//!     http::Request::get(path)
//!         .header("host", "example.com")
//!         .header("x-amz-date", "20150830T123600Z")
//!         .header("x-amz-content-sha256", "UNSIGNED-PAYLOAD")
//!         .header("authorization", format!(
//!             "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/eu-west-1/s3/aws4_request, \
//!              SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature={signature}"
//!         ))
//!         .body(())
//!         .map(|request| request.into_parts().0)
//! };
//!
//! let parts = request("/bucket/key")?;
//! let signed = verifier.parse(&parts)?;
//! assert_eq!(signed.access_key(), "AKIDEXAMPLE");
//! let head = verifier.verify(&signed, Some(&key), now)?;
//! let mut check = head.into_body_check();
//! check.finish()?;
//!
//! // The same signature does not open another object.
//! let parts = request("/bucket/other")?;
//! let refused = verifier.verify(&verifier.parse(&parts)?, Some(&key), now);
//! assert_eq!(refused.unwrap_err(), Reason::SignatureMismatch);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Where to look
//!
//! [`Verifier`] (and its builder), [`SignedRequest`] for what a client claims, [`Verifier::begin_form`]
//! for POST forms, [`Reason`] for refusals and what to answer, [`danger`] for the knobs that loosen a rule.

mod authorization;
mod body;
mod cache;
mod canonical;
mod chunked;
mod connection;
pub mod danger;
mod date;
mod error;
mod key;
mod limits;
mod payload;
mod post;
mod preimage;
mod profile;
pub mod query;
mod regions;
mod request;
mod scan;
mod scope;
mod scratch;
mod signature;
mod signed_headers;
#[cfg(feature = "sigv4a")]
mod sigv4a;
mod verified;
mod verifier;

pub use authorization::Algorithm;
pub use body::BodyCheck;
pub use chunked::{Checksum, Chunked};
pub use connection::Connection;
pub use error::{Malformed, PolicyFault, PostFault, Reason};
pub use key::{KeyKind, ResolvedKey};
pub use limits::{Limit, Limits};
pub use payload::{PayloadCheck, PayloadMode};
pub use post::{FormFields, PostObject, SignedForm, SizeCheck, VerifiedForm};
pub use preimage::Preimage;
pub use profile::{Profile, Protocol, UnsignedPayload};
pub use query::CREDENTIAL_QUERY_PARAMETERS;
pub use request::{Carrier, SignedRequest};
pub use scope::Scope;
pub use verified::VerifiedHead;
pub use verifier::{BuildError, Verifier, VerifierBuilder};

/// The README's snippets compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
