//! multistore's `verify_sigv4_signature`: no clock, no scope, no check of the date, the path as it came, the payload line
//! as given.

use std::hint::black_box;

use multistore::auth::{parse_sigv4_auth, verify_sigv4_signature};

use crate::Subject;
use crate::requests::{Request, SECRET};

pub fn of(request: &Request) -> Subject {
    let parts = request.parts.clone();
    let verify = move || -> Option<bool> {
        let parts = black_box(&parts);
        let text = |name| parts.headers.get(name)?.to_str().ok();
        let auth = parse_sigv4_auth(text("authorization")?).ok()?;
        let (path, query) = (parts.uri.path(), parts.uri.query().unwrap_or_default());
        let line = text("x-amz-content-sha256")?;
        verify_sigv4_signature(&parts.method, path, query, &parts.headers, &auth, SECRET, line).ok()
    };
    assert_eq!(verify(), Some(true));
    Subject::new("multistore", move || assert_eq!(verify(), Some(true)))
}
