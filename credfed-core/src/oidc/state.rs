//! An issuer's keys as they survive a restart.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::algorithm::Algorithm;
use super::jwk::PublicJwk;
use super::signer::LocalSigner;
use crate::{ProviderError, Secret};

const VERSION: u32 = 1;

/// The most keys that a state may have.
const MOST: usize = 16;

/// Private keys with the times of their lives: published first, signing later, retired when the last assertion
/// that they signed has expired.
///
/// The text form is JSON with PKCS#8 keys in base64, times in whole seconds since 1970. Reading it is strict and all
/// or nothing: an unknown or repeated member, a key that is not its id's, times out of order, and it is refused.
#[derive(Clone)]
pub struct IssuerState {
    pub(super) keys: Vec<StateKey>,
}

#[derive(Clone)]
pub(super) struct StateKey {
    pub(super) signer: Arc<LocalSigner>,
    pub(super) times: KeyTimes,
}

/// When a key is published, begins to sign, and is no longer published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyTimes {
    /// From then on it is in the key set.
    pub publish: SystemTime,
    /// From then on it signs, unless a key that came later does.
    pub activate: SystemTime,
    /// From then on it neither signs nor is in the key set; `None` is never.
    pub retire: Option<SystemTime>,
}

impl KeyTimes {
    /// A key that is in use from `now` on.
    pub fn from(now: SystemTime) -> Self {
        Self { publish: now, activate: now, retire: None }
    }

    pub(super) fn is_published(&self, now: SystemTime) -> bool {
        self.publish <= now && !self.is_retired(now)
    }

    pub(super) fn may_sign(&self, now: SystemTime) -> bool {
        self.is_published(now) && self.activate <= now
    }

    fn is_retired(&self, now: SystemTime) -> bool {
        self.retire.is_some_and(|retire| retire <= now)
    }
}

impl IssuerState {
    /// A state with one key, in use from `now` on.
    pub fn new(key: LocalSigner, now: SystemTime) -> Self {
        Self { keys: vec![StateKey { signer: Arc::new(key), times: KeyTimes::from(whole_seconds(now)) }] }
    }

    /// Adds the next key: published now, signing after `lead`. Keys that have no end yet get one: `overlap` after
    /// the next one began to sign. Retired keys are dropped, and so are those that would begin to sign after this one.
    ///
    /// `lead` must be longer than whoever trusts this issuer keeps its keys (an hour is usual); `overlap` as long as
    /// the longest assertion lives, and a little for clocks that differ.
    ///
    /// # Errors
    ///
    /// [`Misconfigured`](crate::ErrorKind::Misconfigured) if the key is there already, there are too many, or the
    /// times leave the calendar.
    pub fn rotate(
        &mut self,
        key: LocalSigner,
        now: SystemTime,
        lead: Duration,
        overlap: Duration,
    ) -> Result<(), ProviderError> {
        let wrong = ProviderError::misconfigured;
        let now = whole_seconds(now);
        let mut keys: Vec<_> = self.keys.iter().filter(|key| !key.times.is_retired(now)).cloned().collect();
        if keys.iter().any(|one| one.signer.public_key().kid() == key.public_key().kid()) {
            return Err(wrong("the key is there already"));
        }
        if keys.len() >= MOST {
            return Err(wrong("the issuer has too many keys: wait until some have retired"));
        }
        let far = || wrong("the times of the key are beyond the calendar");
        let activate = now.checked_add(lead).map(whole_seconds).ok_or_else(far)?;
        let retire = activate.checked_add(overlap).map(whole_seconds).ok_or_else(far)?;
        // A key that waits for a later moment than the new one's is overtaken: it would take over in the end, and be
        // retired before what it signs has expired. It has signed nothing yet.
        keys.retain(|key| key.times.activate <= now || key.times.activate < activate);
        for key in &mut keys {
            let earliest = key.times.activate.checked_add(Duration::from_secs(1)).ok_or_else(far)?;
            key.times.retire.get_or_insert(retire.max(earliest));
        }
        let times = KeyTimes { publish: now, activate, retire: None };
        keys.push(StateKey { signer: Arc::new(key), times });
        self.keys = keys;
        Ok(())
    }

    /// The public keys and their times, oldest first.
    pub fn keys(&self) -> impl Iterator<Item = (&PublicJwk, KeyTimes)> {
        self.keys.iter().map(|key| (key.signer.public_key(), key.times))
    }

    /// Reads the text form.
    ///
    /// # Errors
    ///
    /// [`Misconfigured`](crate::ErrorKind::Misconfigured), which names the first rule that the text breaks and
    /// nothing of the text.
    pub fn parse(text: &str) -> Result<Self, ProviderError> {
        let wrong = ProviderError::misconfigured;
        // What serde says may quote the text, and the text is a secret.
        let file: File<'_> = serde_json::from_str(text)
            .map_err(|_| wrong("the issuer's state is not a document of its kind"))?;
        if file.version != VERSION {
            return Err(wrong("the issuer's state is of another version"));
        }
        if file.keys.is_empty() || file.keys.len() > MOST {
            return Err(wrong("the issuer's state has no keys, or too many"));
        }
        let mut keys: Vec<StateKey> = Vec::with_capacity(file.keys.len());
        for key in &file.keys {
            let key = key.read()?;
            if keys.iter().any(|one| one.signer.public_key().kid() == key.signer.public_key().kid()) {
                return Err(wrong("a key comes twice in the issuer's state"));
            }
            keys.push(key);
        }
        Ok(Self { keys })
    }

    /// The text form. It holds private keys: keep it in a file that only its owner reads.
    ///
    /// # Errors
    ///
    /// [`Misconfigured`](crate::ErrorKind::Misconfigured) if a key cannot be written.
    pub fn to_text(&self) -> Result<Secret, ProviderError> {
        let failed = |_| ProviderError::misconfigured("the issuer's state cannot be written");
        let mut private = Vec::with_capacity(self.keys.len());
        for key in &self.keys {
            let der = key.signer.pkcs8_der()?;
            let mut text = Zeroizing::new(String::with_capacity(der.len() * 2));
            STANDARD.encode_string(der.as_slice(), &mut text);
            private.push(text);
        }
        let keys: Vec<FileKey<'_>> =
            self.keys.iter().zip(&private).map(|(key, private)| FileKey::of(key, private)).collect();
        let length = |key: &FileKey<'_>| {
            512 + key.pkcs8.len() + key.x5c.iter().map(|certificate| certificate.len() + 16).sum::<usize>()
        };
        // One buffer, large enough: one that grew would leave parts of a key behind.
        let capacity = 256 + keys.iter().map(length).sum::<usize>() * 2;
        let mut text = Zeroizing::new(Vec::with_capacity(capacity));
        serde_json::to_writer_pretty(&mut *text, &File { version: VERSION, keys }).map_err(failed)?;
        let text = String::from_utf8(std::mem::take(&mut *text));
        text.map(Secret::new)
            .map_err(|_| ProviderError::misconfigured("the issuer's state cannot be written"))
    }
}

/// Shows public halves only.
impl fmt::Debug for IssuerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.keys().map(|(key, times)| (key.kid(), times))).finish()
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File<'a> {
    version: u32,
    #[serde(borrow)]
    keys: Vec<FileKey<'a>>,
}

/// Borrowed from the text, so that no copy of a key is left behind. base64 has nothing to escape.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileKey<'a> {
    #[serde(borrow)]
    kid: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    alg: std::borrow::Cow<'a, str>,
    publish: u64,
    activate: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retire: Option<u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    x5c: Vec<String>,
    pkcs8: &'a str,
}

impl<'a> FileKey<'a> {
    fn of(key: &'a StateKey, private: &'a str) -> Self {
        let public = key.signer.public_key();
        Self {
            kid: public.kid().into(),
            alg: public.algorithm().name().into(),
            publish: seconds(key.times.publish),
            activate: seconds(key.times.activate),
            retire: key.times.retire.map(seconds),
            x5c: public.chain().iter().map(|certificate| STANDARD.encode(certificate)).collect(),
            pkcs8: private,
        }
    }

    fn read(&self) -> Result<StateKey, ProviderError> {
        let wrong = ProviderError::misconfigured;
        let algorithm =
            Algorithm::from_name(&self.alg).ok_or_else(|| wrong("the algorithm of a key is not known"))?;
        let mut der = Zeroizing::new(vec![0; self.pkcs8.len()]);
        let length = STANDARD
            .decode_slice(self.pkcs8, &mut der)
            .map_err(|_| wrong("a private key of the issuer's state is not base64"))?;
        let der = der.get(..length).unwrap_or_default();
        let mut signer = LocalSigner::from_pkcs8_der(algorithm, der)?;
        if signer.public_key().kid() != self.kid {
            return Err(wrong("a key of the issuer's state is not the one that its id says"));
        }
        if !self.x5c.is_empty() {
            let chain: Result<Vec<_>, _> = self.x5c.iter().map(|one| STANDARD.decode(one)).collect();
            let chain = chain.map_err(|_| wrong("a certificate of the issuer's state is not base64"))?;
            signer = signer.with_chain(chain)?;
        }
        let retire_is_last = self.retire.is_none_or(|retire| retire > self.activate);
        if self.publish > self.activate || !retire_is_last {
            return Err(wrong("the times of a key are out of order"));
        }
        let times = (|| {
            Some(KeyTimes {
                publish: time(self.publish)?,
                activate: time(self.activate)?,
                retire: match self.retire {
                    Some(retire) => Some(time(retire)?),
                    None => None,
                },
            })
        })();
        let times = times.ok_or_else(|| wrong("the times of a key are beyond the calendar"))?;
        Ok(StateKey { signer: Arc::new(signer), times })
    }
}

fn time(seconds: u64) -> Option<SystemTime> {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

pub(super) fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn whole_seconds(instant: SystemTime) -> SystemTime {
    time(seconds(instant)).unwrap_or(instant)
}
