//! Sessions whose tokens are JWTs.

use std::future::{Ready, ready};

use credfed_core::session::{JwtSessions, Revocation};

use super::principal::Session;
use super::sealed::{let_through, not_opened};
use super::{KeyRequest, ResolveError, ResolveKey, Resolved};

/// Verifies the session token of each request, for tokens of [`JwtSessions`].
///
/// What it answers, it answers as [`SealedSessionResolver`](super::SealedSessionResolver) does. That the signature of
/// a token is remembered spares nothing else: its end and revocation are asked on every request.
#[derive(Clone, Debug)]
pub struct JwtSessionResolver {
    sessions: JwtSessions,
    revocation: Revocation,
}

impl JwtSessionResolver {
    /// Verifies with the keys and for the issuer and audience of `sessions`. Nothing is revoked yet.
    pub fn new(sessions: JwtSessions) -> Self {
        Self { sessions, revocation: Revocation::new() }
    }

    /// Asks `revocation` about each session; keep a clone, to revoke with. One may serve for sealed sessions, too.
    #[must_use]
    pub fn revocation(mut self, revocation: Revocation) -> Self {
        self.revocation = revocation;
        self
    }

    pub(super) fn look_up(&self, request: &KeyRequest<'_>) -> Result<Resolved<Session>, ResolveError> {
        let token = request.session_token.ok_or(ResolveError::Unknown)?;
        let opened = self.sessions.open(request.access_key, token, request.now);
        let session = opened.map_err(not_opened)?;
        let (claims, id) = (session.claims().as_ref(), session.id());
        let_through(&self.revocation, claims, id, || session.secret_access_key())
    }
}

impl ResolveKey for JwtSessionResolver {
    type Claims = Session;
    type Future = Ready<Result<Resolved<Session>, ResolveError>>;

    fn resolve(&self, request: KeyRequest<'_>) -> Self::Future {
        ready(self.look_up(&request))
    }
}
