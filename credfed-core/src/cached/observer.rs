//! What a cache tells about itself.

use std::fmt;
use std::time::Duration;

use crate::cached::Rejection;
use crate::{Identity, ProviderError};

/// Is told what a cache does, for metrics. Every method has an empty default.
///
/// Calls come from whatever task happens to poll, so they must return at once. They never carry a secret.
pub trait Observer: fmt::Debug + Send + Sync + 'static {
    /// A credential was served that needed no attention.
    fn hit(&self, identity: &Identity) {
        let _ = identity;
    }

    /// A load began.
    fn refresh_started(&self, identity: &Identity) {
        let _ = identity;
    }

    /// A load brought a credential; `lifetime` is the time until it expires, if it does.
    fn refresh_succeeded(&self, identity: &Identity, lifetime: Option<Duration>) {
        let _ = (identity, lifetime);
    }

    /// A load failed; `still_valid` is how long the credential at hand lasts, if there is a valid one.
    fn refresh_failed(&self, identity: &Identity, error: &ProviderError, still_valid: Option<Duration>) {
        let _ = (identity, error, still_valid);
    }

    /// A valid credential was served although the last load failed: once per caller, whether it came through
    /// `get`, `try_get` or `with`.
    fn served_while_failing(&self, identity: &Identity) {
        let _ = identity;
    }

    /// The current credential was taken out because the service that it is for rejected it.
    fn invalidated(&self, identity: &Identity, why: Rejection) {
        let _ = (identity, why);
    }

    /// A [`ProviderPool`](super::ProviderPool) let go of a provider, to make room or because nobody had used it
    /// for long. What it held is dropped, and so wiped, unless somebody got hold of it elsewhere.
    fn evicted(&self, identity: &Identity) {
        let _ = identity;
    }
}
