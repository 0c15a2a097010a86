//! The canonical request of a parsed request, in one buffer.

pub(crate) mod headers;
pub(crate) mod path;
pub(crate) mod percent;
pub(crate) mod query;

use crate::query::{Kind, index};
use crate::request::SignedRequest;
use crate::scratch::{Canonical, Sink};

/// Builds the canonical request, which ends in `payload`: a hash or the name of a payload mode.
#[inline(never)]
pub(crate) fn request(request: &SignedRequest<'_>, payload: &[u8]) -> Canonical {
    let uri = &request.parts.uri;
    let query = uri.query().unwrap_or_default().as_bytes();
    let slots = request.signed.slots();
    // Enough for every byte of path and query to be escaped, and for each name to stand twice.
    let capacity = 64
        + request.parts.method.as_str().len()
        + 3 * (uri.path().len() + query.len())
        + 2 * (request.work.pairs.len() + request.signed_bytes)
        + 3 * slots.len()
        + payload.len();
    let mut out = Canonical::take(capacity);

    out.put_all([request.parts.method.as_str().as_bytes(), b"\n"]);
    path::write(&mut *out, &request.normal_path(), request.profile);
    out.put_byte(b'\n');
    let token_outside = request.knobs.token_outside_signature;
    query::write(&mut *out, &request.work.pairs, query, request.query_verbatim, |pair| match pair.kind {
        Kind::Credential(index::SIGNATURE) => true,
        Kind::Credential(index::SECURITY_TOKEN) => token_outside,
        _ => false,
    });
    out.put_byte(b'\n');
    let list = request.signed_list();
    for slot in slots {
        let name = slot.name(list);
        let value = slot.value.unwrap_or_default();
        if slot.visible && !slot.repeated {
            out.put_all([name, b":", value, b"\n"]);
            continue;
        }
        out.put_all([name, b":"]);
        headers::write_folded(&mut *out, value);
        if slot.repeated {
            write_further_values(&mut *out, request, name);
        }
        out.put_byte(b'\n');
    }
    out.put_byte(b'\n');
    if request.signed.reordered {
        let names: Vec<_> = slots.iter().map(|slot| slot.name(list)).collect();
        out.put_all([&names.join(&b';'), b"\n", payload]);
    } else {
        out.put_all([list, b"\n", payload]);
    }
    out
}

fn write_further_values(out: &mut impl Sink, request: &SignedRequest<'_>, name: &[u8]) {
    let headers = &request.parts.headers;
    let values = http::HeaderName::from_bytes(name).map(|name| headers.get_all(name));
    for value in values.iter().flat_map(|values| values.iter().skip(1)) {
        out.put_byte(b',');
        headers::write_folded(out, headers::trim(value.as_bytes()));
    }
}
