//! Sessions that were sealed by [`SealedSessions`].

use std::cell::RefCell;
use std::collections::hash_map::RandomState;
use std::future::{Ready, ready};
use std::hash::BuildHasher;
use std::sync::LazyLock;

use credfed_core::session::{
    OpenError, Revocation, RevokedError, Scratch, SealedSessions, SecretAccessKey, SessionClaimsRef, TokenId,
};
use credfed_sigv4_verify::{KeyKind, ResolvedKey};

use super::principal::Session;
use super::{KeyRequest, ResolveError, ResolveKey, Resolved};

/// Opens the session token of each request: no store, no cache, no waiting.
///
/// A request without a token is [`ResolveError::Unknown`]; a token that does not open is
/// [`ResolveError::Invalid`], and [`ResolveError::Expired`] once it is over. Revocation is asked on every request.
#[derive(Clone, Debug)]
pub struct SealedSessionResolver {
    sessions: SealedSessions,
    revocation: Revocation,
}

impl SealedSessionResolver {
    /// Opens with the ring and for the issuer of `sessions`. Nothing is revoked yet.
    pub fn new(sessions: SealedSessions) -> Self {
        Self { sessions, revocation: Revocation::new() }
    }

    /// Asks `revocation` about each session; keep a clone, to revoke with.
    #[must_use]
    pub fn revocation(mut self, revocation: Revocation) -> Self {
        self.revocation = revocation;
        self
    }

    pub(super) fn look_up(&self, request: &KeyRequest<'_>) -> Result<Resolved<Session>, ResolveError> {
        thread_local! {
            static SCRATCH: RefCell<Scratch> = RefCell::default();
        }
        let token = request.session_token.ok_or(ResolveError::Unknown)?;
        SCRATCH.with(|held| match held.try_borrow_mut() {
            Ok(mut scratch) => {
                let resolved = self.open(request, token, &mut scratch);
                scratch.wipe();
                resolved
            }
            // A deny hook that opens a session itself, or a subscriber of the log that does.
            Err(_) => self.open(request, token, &mut Scratch::new()),
        })
    }

    fn open(
        &self,
        request: &KeyRequest<'_>,
        token: &str,
        scratch: &mut Scratch,
    ) -> Result<Resolved<Session>, ResolveError> {
        let opened = self.sessions.open(request.access_key, token, request.now, scratch);
        let session = opened.map_err(not_opened)?;
        let_through(&self.revocation, session.claims(), session.id(), || session.secret_access_key())
    }
}

impl ResolveKey for SealedSessionResolver {
    type Claims = Session;
    type Future = Ready<Result<Resolved<Session>, ResolveError>>;

    fn resolve(&self, request: KeyRequest<'_>) -> Self::Future {
        ready(self.look_up(&request))
    }
}

/// What is known of a session whose token was opened, unless it was revoked. Only then is its secret derived.
pub(super) fn let_through(
    revocation: &Revocation,
    claims: SessionClaimsRef<'_>,
    id: TokenId,
    secret: impl FnOnce() -> SecretAccessKey,
) -> Result<Resolved<Session>, ResolveError> {
    revocation.check(&claims, &id).map_err(revoked)?;
    let resolved = Resolved::new(temporary(secret().expose(), &id), Session::new(claims.to_owned(), id));
    Ok(resolved.not_after(claims.expires()).restricted(claims.restricted()))
}

/// The key of a session, so that the verifier's cache of derived keys tells sessions apart by their whole ids.
///
/// The cache compares access key id and scope, then the generation, then a keyed 64-bit tag of the secret. The access
/// key id keeps 80 bits of the token's id, and whoever may mint sessions meets a collision of those after 2^40 of
/// them. Both other parts depend on all 192 bits: the generation is a keyed hash of them, and the secret is
/// HMAC-SHA256 over them. Both keys are drawn at random in each process, so that nobody can search for two sessions
/// that agree in all three.
fn temporary(secret_access_key: &str, id: &TokenId) -> ResolvedKey {
    static GENERATIONS: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    ResolvedKey::new(secret_access_key, KeyKind::Temporary, GENERATIONS.hash_one(id))
}

pub(super) fn not_opened(error: OpenError) -> ResolveError {
    tracing::debug!(target: "credfed::session", %error, "not opened");
    match error {
        OpenError::Expired => ResolveError::Expired,
        _ => ResolveError::Invalid,
    }
}

fn revoked(error: RevokedError) -> ResolveError {
    tracing::info!(target: "credfed::session", %error, "not let through");
    match error {
        RevokedError::Revoked => ResolveError::Invalid,
        // What cannot be told closes the door, and says that it is ours to repair.
        _ => ResolveError::Unavailable,
    }
}
