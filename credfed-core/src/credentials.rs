//! The credentials that come out of a source.

use std::any::{Any, type_name};
use std::fmt;
use std::marker::PhantomData;

use crate::Secret;

/// Keys that sign AWS requests: long-term keys, or a session with its token.
///
/// `Debug` shows the access key id, which is an identifier, and nothing else.
#[derive(Clone, PartialEq, Eq)]
pub struct AwsCredentials {
    access_key_id: String,
    secret_access_key: Secret,
    session_token: Option<Secret>,
}

impl AwsCredentials {
    /// Joins the parts of one credential. `session_token` is `None` for long-term keys only.
    pub fn new(
        access_key_id: impl Into<String>,
        secret_access_key: Secret,
        session_token: Option<Secret>,
    ) -> Self {
        Self { access_key_id: access_key_id.into(), secret_access_key, session_token }
    }

    /// The access key id, such as `AKIA…` (long-term) or `ASIA…` (session).
    pub fn access_key_id(&self) -> &str {
        &self.access_key_id
    }

    /// The key that signs.
    pub fn secret_access_key(&self) -> &Secret {
        &self.secret_access_key
    }

    /// The token that travels in `x-amz-security-token`, if this is a session.
    pub fn session_token(&self) -> Option<&Secret> {
        self.session_token.as_ref()
    }
}

impl fmt::Debug for AwsCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwsCredentials")
            .field("access_key_id", &self.access_key_id)
            .field("is_session", &self.session_token.is_some())
            .finish_non_exhaustive()
    }
}

/// Marks a [`BearerToken`] that Microsoft Entra issued.
#[derive(Debug)]
pub enum Azure {}

/// Marks a [`BearerToken`] that Google issued.
#[derive(Debug)]
pub enum Google {}

/// An OAuth 2.0 access token (RFC 6750), bound by type to the cloud that takes it.
///
/// Entra's token cannot be handed to Google:
///
/// ```compile_fail
/// use credfed_core::{Azure, BearerToken, Google, Secret};
///
/// fn call_google(_: &BearerToken<Google>) {}
/// let entra: BearerToken<Azure> = BearerToken::new(Secret::new("eyJ0eXAi"));
/// call_google(&entra);
/// ```
pub struct BearerToken<For> {
    secret: Secret,
    target: PhantomData<fn() -> For>,
}

impl<For> BearerToken<For> {
    /// Wraps the token text, without the word `Bearer`.
    pub fn new(secret: Secret) -> Self {
        Self { secret, target: PhantomData }
    }

    /// The token text.
    pub fn secret(&self) -> &Secret {
        &self.secret
    }
}

impl<For> Clone for BearerToken<For> {
    fn clone(&self) -> Self {
        Self::new(self.secret.clone())
    }
}

impl<For> PartialEq for BearerToken<For> {
    fn eq(&self, other: &Self) -> bool {
        self.secret == other.secret
    }
}

impl<For> Eq for BearerToken<For> {}

impl<For> fmt::Debug for BearerToken<For> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let target = type_name::<For>().rsplit("::").next().unwrap_or_default();
        write!(f, "BearerToken<{target}>([redacted])")
    }
}

/// Whether two values of a known credential type are the very same credential. Types that this crate does
/// not know never are.
pub(crate) fn same<C: 'static>(held: &C, new: &C) -> bool {
    fn eq<T: PartialEq + 'static>(held: &dyn Any, new: &dyn Any) -> bool {
        matches!((held.downcast_ref::<T>(), new.downcast_ref::<T>()), (Some(a), Some(b)) if a == b)
    }
    let (held, new): (&dyn Any, &dyn Any) = (held, new);
    eq::<AwsCredentials>(held, new)
        || eq::<BearerToken<Azure>>(held, new)
        || eq::<BearerToken<Google>>(held, new)
        || eq::<Secret>(held, new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_the_key_id_and_no_secret() {
        let keys = AwsCredentials::new("AKIDEXAMPLE", Secret::new("canary-1"), Some(Secret::new("canary-2")));
        for text in [format!("{keys:?}"), format!("{keys:#?}")] {
            assert!(text.contains("AKIDEXAMPLE"));
            assert!(!text.contains("canary"), "{text}");
        }
        let token = BearerToken::<Azure>::new(Secret::new("canary-3"));
        assert_eq!(format!("{token:?}"), "BearerToken<Azure>([redacted])");
    }

    #[test]
    fn the_very_same_credential_is_recognised() {
        let keys = |secret: &str| AwsCredentials::new("AKID", Secret::new(secret), None);
        assert!(same(&keys("a"), &keys("a")));
        assert!(!same(&keys("a"), &keys("b")));
        assert!(same(&Secret::new("a"), &Secret::new("a")));
        assert!(!same(&7_u32, &7_u32), "a type that is not known here");
    }
}
