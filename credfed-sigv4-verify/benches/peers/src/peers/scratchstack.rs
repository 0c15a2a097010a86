//! scratchstack-aws-signature, less the clone of the request that it consumes. It takes bodies as a whole
//! and hashes them always: UNSIGNED-PAYLOAD it refuses, and presigned URLs as signers of S3 write them.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::executor::block_on;
use scratchstack_aws_principal::User;
use scratchstack_aws_signature::{
    GetSigningKeyRequest, GetSigningKeyResponse, KSecretKey, NO_ADDITIONAL_SIGNED_HEADERS, SignatureOptions,
    service_for_signing_key_fn, sigv4_validate_request,
};
use tower::BoxError;

use crate::Subject;
use crate::requests::{Request, SECRET};

pub fn of(request: &Request) -> Subject {
    let mut verify = verification(request);
    verify().unwrap();
    let (parts, data) = (request.parts.clone(), request.data.clone());
    Subject::new("scratchstack", move || verify().unwrap())
        .without(move || drop(std::hint::black_box((parts.clone(), data.clone()))))
}

/// Why it refuses a request.
pub fn refusal(request: &Request) -> Option<String> {
    verification(request)().err().map(|error| error.to_string())
}

fn verification(request: &Request) -> impl FnMut() -> Result<(), BoxError> + use<> {
    let (parts, data) = (request.parts.clone(), request.data.clone());
    let at = DateTime::<Utc>::from(request.at);
    let mut keys = service_for_signing_key_fn(signing_key);
    move || {
        let request = http::Request::from_parts(parts.clone(), data.clone());
        let verdict = sigv4_validate_request::<Bytes, _, _, _>(
            request,
            "us-east-1",
            "s3",
            &mut keys,
            at,
            &NO_ADDITIONAL_SIGNED_HEADERS,
            SignatureOptions::S3,
        );
        block_on(verdict).map(|verdict| drop(std::hint::black_box(verdict)))
    }
}

async fn signing_key(request: GetSigningKeyRequest) -> Result<GetSigningKeyResponse, BoxError> {
    let secret: KSecretKey = SECRET.parse()?;
    let user = User::new("aws", "123456789012", "/", "user")?;
    let key = secret.to_ksigning(request.request_date(), request.region(), request.service());
    Ok(GetSigningKeyResponse::builder().principal(user).signing_key(key).build()?)
}
