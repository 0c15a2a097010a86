//! One resolver out of several, chosen by what a request looks like.

use std::error::Error;
use std::fmt;
use std::future::{Future, Ready, ready};
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

#[cfg(feature = "oidc")]
use credfed_core::session::looks_jwt;
use credfed_core::session::{is_session_access_key_id, looks_sealed};
use pin_project::pin_project;

#[cfg(feature = "oidc")]
use super::jwt::JwtSessionResolver;
use super::principal::Principal;
use super::sealed::SealedSessionResolver;
use super::static_keys::StaticKeys;
use super::{KeyRequest, ResolveError, ResolveKey, Resolved};

/// Chooses a resolver by the shape of the access key id and of the token, and asks that one alone: what one refuses
/// is never tried at another.
///
/// | access key id | token | goes to |
/// |---|---|---|
/// | `ASIA` and 16 more | begins with `cf1.` | [`sealed`](Self::sealed) |
/// | any | begins with `cf1.`, and the key id is no session's | nobody: refused |
/// | `ASIA` and 16 more | a JWT: three parts, the first of them an object's | `jwt`, if it was given (features `session` and `oidc`); else as the next line |
/// | any | another one | [`other`](Self::other), unless the key id is a static one |
/// | `ASIA` and 16 more | none | nobody: a temporary key has a token |
/// | one of the static keys | none | [`static_keys`](Self::static_keys) |
/// | any | none | [`other`](Self::other) |
///
/// A resolver that was not given refuses what goes to it.
///
/// ```
/// use credfed_core::Secret;
/// use credfed_tower::{ByShape, ByShapeError, StaticKeys};
///
/// let secret = || Secret::new(std::env::var("BACKUP_SECRET").unwrap_or_default());
/// let keys = StaticKeys::new().with_key("AKIABACKUP", secret(), "backup");
/// assert!(ByShape::new().static_keys(keys).is_ok());
///
/// // A static key that looks like a session's would be one nobody could tell from a session.
/// let keys = StaticKeys::new().with_key("ASIAABCDEFGHIJKLMNOP", secret(), "backup");
/// assert_eq!(ByShape::new().static_keys(keys).err(), Some(ByShapeError::StaticKeyOfASession));
/// ```
pub struct ByShape<C, O = NoOthers<C>> {
    static_keys: StaticKeys<C>,
    sealed: Option<SealedSessionResolver>,
    #[cfg(feature = "oidc")]
    jwt: Option<JwtSessionResolver>,
    other: O,
}

impl<C> ByShape<C> {
    /// Refuses everything.
    pub fn new() -> Self {
        Self {
            static_keys: StaticKeys::new(),
            sealed: None,
            #[cfg(feature = "oidc")]
            jwt: None,
            other: NoOthers(PhantomData),
        }
    }
}

impl<C, O> ByShape<C, O> {
    /// Long-lived keys. Takes the place of those that were given before.
    ///
    /// # Errors
    /// [`ByShapeError::StaticKeyOfASession`], if one of them lies in the space of session keys.
    pub fn static_keys(mut self, keys: StaticKeys<C>) -> Result<Self, ByShapeError> {
        if keys.ids().any(is_session_access_key_id) {
            return Err(ByShapeError::StaticKeyOfASession);
        }
        self.static_keys = keys;
        Ok(self)
    }

    /// Sessions that were issued here.
    #[must_use]
    pub fn sealed(mut self, sessions: SealedSessionResolver) -> Self {
        self.sealed = Some(sessions);
        self
    }

    /// Sessions that were issued here, with tokens that are JWTs. From now on no JWT beside a session key goes to
    /// [`other`](Self::other).
    #[cfg(feature = "oidc")]
    #[must_use]
    pub fn jwt(mut self, sessions: JwtSessionResolver) -> Self {
        self.jwt = Some(sessions);
        self
    }

    /// Keys, and tokens of another shape, that something else knows: a closure, or a service that is asked over the
    /// network (see [`RemoteKeys`](super::RemoteKeys)). It is never asked about a static key, about a session key
    /// without a token, or with a sealed token.
    #[must_use]
    pub fn other<R: ResolveKey<Claims = C>>(self, other: R) -> ByShape<C, R> {
        ByShape {
            static_keys: self.static_keys,
            sealed: self.sealed,
            #[cfg(feature = "oidc")]
            jwt: self.jwt,
            other,
        }
    }
}

impl<C> Default for ByShape<C> {
    fn default() -> Self {
        Self::new()
    }
}

impl<C, O> fmt::Debug for ByShape<C, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByShape")
            .field("static_keys", &self.static_keys)
            .field("sealed", &self.sealed)
            .finish_non_exhaustive()
    }
}

/// Where a request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Static,
    Sealed,
    #[cfg(feature = "oidc")]
    Jwt,
    Other,
    Refused(ResolveError),
}

impl<C, O> ByShape<C, O> {
    fn shape(&self, request: &KeyRequest<'_>) -> Shape {
        let session_key = is_session_access_key_id(request.access_key);
        let static_key = self.static_keys.contains(request.access_key);
        match request.session_token {
            Some(token) if looks_sealed(token) && session_key => Shape::Sealed,
            Some(token) if looks_sealed(token) => Shape::Refused(ResolveError::Invalid),
            #[cfg(feature = "oidc")]
            Some(token) if session_key && self.jwt.is_some() && looks_jwt(token) => Shape::Jwt,
            // The verifier refuses a static key with a token, and says so.
            _ if static_key => Shape::Static,
            None if session_key => Shape::Refused(ResolveError::Unknown),
            _ => Shape::Other,
        }
    }
}

impl<C, O> ResolveKey for ByShape<C, O>
where
    C: Clone + Send + Sync + 'static,
    O: ResolveKey<Claims = C>,
{
    type Claims = Principal<C>;
    type Future = ByShapeFuture<C, O::Future>;

    fn resolve(&self, request: KeyRequest<'_>) -> Self::Future {
        let answer = match self.shape(&request) {
            Shape::Static => {
                self.static_keys.look_up(&request).map(|resolved| resolved.map(Principal::Static))
            }
            Shape::Sealed => match &self.sealed {
                Some(sessions) => sessions.look_up(&request).map(|resolved| resolved.map(Principal::Session)),
                None => Err(ResolveError::Invalid),
            },
            #[cfg(feature = "oidc")]
            Shape::Jwt => match &self.jwt {
                Some(sessions) => sessions.look_up(&request).map(|resolved| resolved.map(Principal::Session)),
                None => Err(ResolveError::Invalid),
            },
            Shape::Refused(error) => Err(error),
            Shape::Other => return ByShapeFuture { state: State::Other(self.other.resolve(request)) },
        };
        ByShapeFuture { state: State::Known(Some(answer)) }
    }
}

/// The answer of [`ByShape`].
#[pin_project]
pub struct ByShapeFuture<C, F> {
    #[pin]
    state: State<C, F>,
}

#[pin_project(project = StateProjection)]
enum State<C, F> {
    Known(Option<Result<Resolved<Principal<C>>, ResolveError>>),
    Other(#[pin] F),
}

impl<C, F> Future for ByShapeFuture<C, F>
where
    F: Future<Output = Result<Resolved<C>, ResolveError>>,
{
    type Output = Result<Resolved<Principal<C>>, ResolveError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProjection::Known(answer) => {
                Poll::Ready(answer.take().unwrap_or(Err(ResolveError::Unavailable)))
            }
            StateProjection::Other(future) => {
                future.poll(cx).map_ok(|resolved| resolved.map(Principal::Static))
            }
        }
    }
}

impl<C, F> fmt::Debug for ByShapeFuture<C, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByShapeFuture").finish_non_exhaustive()
    }
}

/// Knows no key. It stands where [`ByShape::other`] was not given.
#[derive(Clone, Copy, Debug)]
pub struct NoOthers<C>(PhantomData<fn() -> C>);

impl<C: Clone + Send + Sync + 'static> ResolveKey for NoOthers<C> {
    type Claims = C;
    type Future = Ready<Result<Resolved<C>, ResolveError>>;

    fn resolve(&self, request: KeyRequest<'_>) -> Self::Future {
        ready(Err(match request.session_token {
            Some(_) => ResolveError::Invalid,
            None => ResolveError::Unknown,
        }))
    }
}

/// Why a [`ByShape`] cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ByShapeError {
    /// A static key has the shape of a session's: 20 characters that begin with `ASIA`.
    StaticKeyOfASession,
}

impl fmt::Display for ByShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::StaticKeyOfASession => {
                "a static access key id has the shape of a session's (ASIA and 16 more): give it another one"
            }
        })
    }
}

impl Error for ByShapeError {}
