//! Who a caller is where long-lived keys and sessions are both accepted.

use std::fmt;
use std::sync::Arc;

use credfed_core::session::{SessionClaims, TokenId};

/// The claims of a [`ByShape`](super::ByShape) resolver: what the application knows of a long-lived key, or the
/// session that the caller's token stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Principal<C> {
    /// A key of the application's own, long-lived or looked up elsewhere.
    Static(C),
    /// A session that was issued here.
    Session(Session),
}

impl<C> Principal<C> {
    /// The claims of the application's own key, if it is one.
    pub fn as_static(&self) -> Option<&C> {
        match self {
            Self::Static(claims) => Some(claims),
            Self::Session(_) => None,
        }
    }

    /// The session, if it is one.
    pub fn as_session(&self) -> Option<&Session> {
        match self {
            Self::Static(_) => None,
            Self::Session(session) => Some(session),
        }
    }
}

/// A session whose token was opened: genuine, not over and not revoked when the request came. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Session(Arc<Inner>);

#[derive(PartialEq, Eq)]
struct Inner {
    claims: SessionClaims,
    id: TokenId,
}

impl Session {
    pub(super) fn new(claims: SessionClaims, id: TokenId) -> Self {
        Self(Arc::new(Inner { claims, id }))
    }

    /// What the token says. Whoever does not evaluate session policies must refuse a session whose claims are
    /// [`restricted`](SessionClaims::restricted).
    pub fn claims(&self) -> &SessionClaims {
        &self.0.claims
    }

    /// The id of the token.
    pub fn token_id(&self) -> TokenId {
        self.0.id
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("claims", &self.0.claims).field("id", &self.0.id).finish()
    }
}
