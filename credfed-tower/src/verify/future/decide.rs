//! What follows from a key that was found, or was not.

use std::time::SystemTime;

use credfed_sigv4_verify::{Reason, SignedForm, SignedRequest, VerifiedForm, VerifiedHead};
use http::request::Parts;

use crate::authorize::{AccessRequest, Authorize, Denied};
use crate::resolve::{ResolveError, ResolveKey, Resolved};
use crate::verify::caller::Caller;
use crate::verify::layer::Shared;

/// Asks the authoriser about a request that was verified.
pub(super) fn decide<R, A>(
    shared: &Shared<R, A>,
    parts: &Parts,
    signed: &SignedRequest<'_>,
    head: &VerifiedHead,
    resolved: Resolved<R::Claims>,
) -> Result<(Caller<R::Claims>, A::Future), Reason>
where
    R: ResolveKey,
    A: Authorize<R::Claims>,
{
    check_restriction(shared, &resolved)?;
    let caller = Caller::new(head, signed, resolved.key.session_end(), resolved.claims);
    let decision = shared.authorizer.authorize(&AccessRequest::new(parts, signed, caller.claims()));
    Ok((caller, decision))
}

/// As [`decide`], for the form of a request.
pub(super) fn decide_form<R, A>(
    shared: &Shared<R, A>,
    parts: &Parts,
    signed: &SignedForm<'_>,
    verified: &VerifiedForm,
    resolved: Resolved<R::Claims>,
) -> Result<(Caller<R::Claims>, A::Future), Reason>
where
    R: ResolveKey,
    A: Authorize<R::Claims>,
{
    check_restriction(shared, &resolved)?;
    let caller = Caller::of_form(verified, signed, resolved.key.session_end(), resolved.claims);
    let request = AccessRequest::of_form(parts, signed, verified.object(), caller.claims());
    let decision = shared.authorizer.authorize(&request);
    Ok((caller, decision))
}

/// A restriction that nobody evaluates is not dropped in silence.
fn check_restriction<R, A, C>(shared: &Shared<R, A>, resolved: &Resolved<C>) -> Result<(), Reason> {
    if resolved.is_restricted && !shared.evaluates_session_policies {
        return Err(denied(Denied::new("the session has a policy, and nothing here evaluates it")));
    }
    Ok(())
}

/// Without a key there is nothing to verify; the verifier still does the same work, and has the last word on what
/// the client learns.
pub(super) fn unresolved<R, A>(
    shared: &Shared<R, A>,
    signed: &SignedRequest<'_>,
    error: ResolveError,
    now: SystemTime,
) -> Reason {
    let dummy = match signed.needs_body_hash() {
        true => shared.verifier.verify_with_body_hash(signed, None, now, [0; 32]),
        false => shared.verifier.verify(signed, None, now),
    };
    judge_unresolved(error, dummy.map(drop))
}

/// `dummy` is what the verifier says without a key.
pub(super) fn judge_unresolved(error: ResolveError, dummy: Result<(), Reason>) -> Reason {
    match (error, dummy) {
        (ResolveError::Unavailable, _) => Reason::ResolverUnavailable,
        (ResolveError::Invalid, Err(Reason::UnknownKey)) => Reason::InvalidToken,
        (ResolveError::Expired, Err(Reason::UnknownKey)) => Reason::ExpiredToken,
        (_, Err(reason)) => reason,
        (_, Ok(())) => Reason::Internal,
    }
}

pub(super) fn denied(denied: Denied) -> Reason {
    tracing::info!(target: "credfed::authorize", note = denied.note(), "not allowed");
    if denied.is_unavailable() { Reason::ResolverUnavailable } else { Reason::AccessDenied }
}
