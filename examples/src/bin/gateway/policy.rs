//! The authoriser: what the key may do against what the request needs. It runs after the signature was verified and
//! before anything goes on.

use std::sync::Arc;

use credfed_tower::{AccessRequest, Denied};

use crate::needs;
use crate::rights::Rights;

/// Allows a request when every one of its needs is covered by the caller's rights.
pub(crate) fn authorize(request: &AccessRequest<'_, Arc<Rights>>) -> Result<(), Denied> {
    let needs = needs::of(request.parts()).map_err(|unclear| Denied::new(unclear.to_string()))?;
    match needs.iter().find(|need| !request.claims().cover(need)) {
        None => Ok(()),
        Some(need) => Err(Denied::new(format!("{} has no right to {need}", request.access_key_id()))),
    }
}
