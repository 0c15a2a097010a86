//! The canonical request of a parsed request, in one buffer.

pub(crate) mod headers;
pub(crate) mod path;
pub(crate) mod percent;
pub(crate) mod query;

use crate::query::{Kind, index};
use crate::request::SignedRequest;
use crate::scratch::Canonical;

/// Builds the canonical request, which ends in `payload`: a hash or the name of a payload mode.
pub(crate) fn request(request: &SignedRequest<'_>, payload: &[u8]) -> Canonical {
    let uri = &request.parts.uri;
    let query = uri.query().unwrap_or_default().as_bytes();
    let slots = request.signed.slots();
    // Enough for every byte of path and query to be escaped, and for each name to stand twice.
    let capacity = 64
        + 3 * (uri.path().len() + query.len())
        + 2 * (request.work.pairs.len() + request.signed_bytes + slots.len())
        + payload.len();
    let mut out = Canonical::take(capacity);

    out.extend_from_slice(request.parts.method.as_str().as_bytes());
    out.push(b'\n');
    path::write(&mut out, &request.normal_path(), request.rules.profile);
    out.push(b'\n');
    let token_outside = request.rules.knobs.token_outside_signature;
    query::write(&mut out, &request.work.pairs, query, request.query_verbatim, |pair| match pair.kind {
        Kind::Credential(index::SIGNATURE) => true,
        Kind::Credential(index::SECURITY_TOKEN) => token_outside,
        _ => false,
    });
    out.push(b'\n');
    for slot in slots {
        out.extend_from_slice(slot.name.as_bytes());
        out.push(b':');
        headers::write_folded(&mut out, slot.value);
        if slot.repeated {
            for value in request.parts.headers.get_all(slot.name).iter().skip(1) {
                out.push(b',');
                headers::write_folded(&mut out, headers::trim(value.as_bytes()));
            }
        }
        out.push(b'\n');
    }
    out.push(b'\n');
    for (index, slot) in slots.iter().enumerate() {
        if index > 0 {
            out.push(b';');
        }
        out.extend_from_slice(slot.name.as_bytes());
    }
    out.push(b'\n');
    out.extend_from_slice(payload);
    out
}
