//! s3s-sigv4: parts to build a verification from. This is the least that uses them; nothing is checked besides the
//! signature.

use std::hint::black_box;

use s3s_sigv4::{
    AmzDate, AuthorizationV4, Payload, calculate_signature, create_canonical_request, create_string_to_sign,
};

use crate::Subject;
use crate::requests::{Request, SECRET};

pub fn of(request: &Request) -> Subject {
    let parts = request.parts.clone();
    let verify = move || -> Option<bool> {
        let parts = black_box(&parts);
        let text = |name: &str| parts.headers.get(name)?.to_str().ok();
        let authorization = AuthorizationV4::parse(text("authorization")?).ok()?;
        let date = AmzDate::parse(text("x-amz-date")?).ok()?;
        let headers: Vec<(&str, &str)> = authorization
            .signed_headers
            .iter()
            .map(|name| text(name).map(|value| (*name, value)))
            .collect::<Option<_>>()?;
        let none: &[(&str, &str)] = &[];
        let canonical = create_canonical_request(
            parts.method.as_str(),
            parts.uri.path(),
            none,
            headers,
            Payload::Unsigned,
        );
        let (region, service) = (authorization.credential.aws_region, authorization.credential.aws_service);
        let string_to_sign = create_string_to_sign(&canonical, &date, region, service);
        let signature = calculate_signature(&string_to_sign, SECRET, &date, region, service);
        Some(black_box(signature == authorization.signature))
    };
    assert_eq!(verify(), Some(true));
    Subject::new("s3s-sigv4", move || assert_eq!(verify(), Some(true)))
}
