//! Keys from the environment.

use std::ffi::OsString;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{AwsCredentials, Expiring, Identity, Provider, ProviderError, Secret};

const ACCESS_KEY_ID: &str = "AWS_ACCESS_KEY_ID";
const SECRET_ACCESS_KEY: &str = "AWS_SECRET_ACCESS_KEY";
const SESSION_TOKEN: &str = "AWS_SESSION_TOKEN";

type Reader = dyn Fn(&str) -> Option<OsString> + Send + Sync;

/// Gives out `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and, if set, `AWS_SESSION_TOKEN`.
///
/// An empty or blank variable counts as absent. Neither key is
/// [`NotConfigured`](crate::ErrorKind::NotConfigured), which lets a chain go on to its next source; half a
/// pair is [`Misconfigured`](crate::ErrorKind::Misconfigured) and names what is missing. The variables are
/// read at each call; what they hold never expires.
#[derive(Clone)]
pub struct EnvProvider {
    read: Arc<Reader>,
    identity: Identity,
}

impl EnvProvider {
    /// Reads the environment of this process.
    pub fn new() -> Self {
        Self { read: Arc::new(|name| std::env::var_os(name)), identity: Identity::of("aws-env").finish() }
    }

    /// Reads variables through a closure. Each such provider has an identity of its own.
    pub fn with_reader(read: impl Fn(&str) -> Option<OsString> + Send + Sync + 'static) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let identity = Identity::of("aws-env").part("reader", number.to_be_bytes()).finish();
        Self { read: Arc::new(read), identity }
    }

    fn load(&self) -> Result<AwsCredentials, ProviderError> {
        let (id, secret) = (self.variable(ACCESS_KEY_ID)?, self.variable(SECRET_ACCESS_KEY)?);
        let missing = |name: &str, other: &str| {
            ProviderError::misconfigured(format!("{other} is set in the environment and {name} is missing"))
        };
        match (id, secret) {
            (Some(id), Some(secret)) => {
                Ok(AwsCredentials::new(id.expose(), secret, self.variable(SESSION_TOKEN)?))
            }
            (Some(_), None) => Err(missing(SECRET_ACCESS_KEY, ACCESS_KEY_ID)),
            (None, Some(_)) => Err(missing(ACCESS_KEY_ID, SECRET_ACCESS_KEY)),
            (None, None) => Err(ProviderError::not_configured("no aws keys are set in the environment")),
        }
    }

    /// Everything is taken for a secret: people mix the variables up.
    fn variable(&self, name: &str) -> Result<Option<Secret>, ProviderError> {
        let Some(value) = (self.read)(name) else { return Ok(None) };
        let text = value.into_string().map(Secret::new).map_err(|raw| {
            drop(zeroize::Zeroizing::new(raw.into_encoded_bytes()));
            ProviderError::misconfigured(format!("{name} is not text"))
        })?;
        if text.expose().chars().any(char::is_control) {
            return Err(ProviderError::misconfigured(format!(
                "{name} holds a line break or another control character"
            )));
        }
        Ok(Some(text).filter(|text| !text.expose().trim().is_empty()))
    }
}

impl Default for EnvProvider {
    fn default() -> Self {
        Self::new()
    }
}

impl Provider for EnvProvider {
    type Credential = AwsCredentials;

    fn identity(&self) -> Identity {
        self.identity
    }

    async fn provide(&self) -> Result<Expiring<AwsCredentials>, ProviderError> {
        self.load().map(Expiring::never)
    }
}

impl fmt::Debug for EnvProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnvProvider").field("identity", &self.identity).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    fn load(variables: &'static [(&str, &str)]) -> Result<AwsCredentials, ProviderError> {
        let provider = EnvProvider::with_reader(move |name| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value))
        });
        futures::executor::block_on(provider.provide()).map(Expiring::into_value)
    }

    #[test]
    fn all_three_parts_pass_through() {
        let keys = load(&[(ACCESS_KEY_ID, "AKID"), (SECRET_ACCESS_KEY, "s"), (SESSION_TOKEN, "t")]).unwrap();
        assert_eq!(keys, AwsCredentials::new("AKID", Secret::new("s"), Some(Secret::new("t"))));
    }

    #[test]
    fn an_empty_session_token_is_none() {
        let keys = load(&[(ACCESS_KEY_ID, "AKID"), (SECRET_ACCESS_KEY, "s"), (SESSION_TOKEN, "")]).unwrap();
        assert_eq!(keys.session_token(), None);
    }

    #[test]
    fn half_a_pair_names_what_is_missing_and_shows_nothing_of_the_other_half() {
        for (set, missing) in [(ACCESS_KEY_ID, SECRET_ACCESS_KEY), (SECRET_ACCESS_KEY, ACCESS_KEY_ID)] {
            let provider = EnvProvider::with_reader(move |name| {
                Some(OsString::from(if name == set { "canary" } else { "" }))
            });
            let error = provider.load().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Misconfigured);
            assert!(error.to_string().ends_with(&format!("{missing} is missing")), "{error}");
            assert!(!format!("{error} {error:?}").contains("canary"));
        }
    }

    #[test]
    fn neither_is_not_configured() {
        let blank = &[(ACCESS_KEY_ID, "  "), (SECRET_ACCESS_KEY, " "), (SESSION_TOKEN, "t")];
        for variables in
            [&[][..], blank, &[(ACCESS_KEY_ID, ""), (SECRET_ACCESS_KEY, ""), (SESSION_TOKEN, "t")]]
        {
            assert_eq!(load(variables).unwrap_err().kind(), ErrorKind::NotConfigured);
        }
    }

    #[test]
    fn what_cannot_go_into_a_header_is_refused_by_name() {
        let error = load(&[(ACCESS_KEY_ID, "AKID"), (SECRET_ACCESS_KEY, "canary\n")]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misconfigured);
        assert!(error.to_string().starts_with(SECRET_ACCESS_KEY));
        assert!(!format!("{error:?}").contains("canary"));
    }

    #[test]
    fn readers_do_not_share_an_identity_and_processes_environments_do() {
        assert_eq!(EnvProvider::new().identity(), EnvProvider::default().identity());
        let reader = || EnvProvider::with_reader(|_| None);
        assert_ne!(reader().identity(), reader().identity());
        assert_ne!(reader().identity(), EnvProvider::new().identity());
    }
}
