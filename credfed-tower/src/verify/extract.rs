//! The verified caller as an axum extractor (feature `axum`).

use axum_core::extract::FromRequestParts;
use http::StatusCode;
use http::request::Parts;

use super::caller::Caller;

/// Takes the caller that [`VerifySigV4Layer`](super::VerifySigV4Layer) left in the extensions.
///
/// The rejection is `500 Internal Server Error`: it means that the route is not behind the layer, or that the type
/// of the claims is not the resolver's. That is a fault of the service and never the client's.
impl<C, S> FromRequestParts<S> for Caller<C>
where
    C: Send + Sync + 'static,
    S: Sync,
{
    type Rejection = (StatusCode, &'static str);

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        parts.extensions.get::<Self>().cloned().ok_or((
            StatusCode::INTERNAL_SERVER_ERROR,
            "this route is not behind the layer that verifies callers",
        ))
    }
}
