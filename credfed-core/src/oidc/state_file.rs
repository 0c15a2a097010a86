//! An issuer's state that lives in a file.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::issuer::Issuer;
use super::state::IssuerState;
use crate::private_file::{self, Claim};
use crate::runtime::Runtime;
use crate::{ErrorKind, FileError, ProviderError, Secret};

/// Room for the most keys that a state may have, with their certificates.
const LONGEST_TEXT: usize = 1024 * 1024;

/// The file of an [`IssuerState`], private keys and all. A file that others than its owner may read is warned of.
#[derive(Clone, Debug)]
pub struct IssuerStateFile {
    path: PathBuf,
}

impl IssuerStateFile {
    /// Names the file; it is not looked at yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The path that was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the state, as a service does when it starts and as a tool does.
    ///
    /// # Errors
    /// [`Misconfigured`](crate::ErrorKind::Misconfigured): the file cannot be read or is longer than 1 MiB, and those
    /// of [`IssuerState::parse`].
    pub fn read(&self) -> Result<IssuerState, ProviderError> {
        IssuerState::parse(self.text()?.expose())
    }

    /// Writes the state over whatever the file holds: all or nothing, readable and writable for its owner only (mode
    /// 600), who stays the same. To change the state that it holds, see [`update`](Self::update).
    ///
    /// # Errors
    /// [`Misconfigured`](crate::ErrorKind::Misconfigured) if it cannot be written, with the [`FileError`] as its
    /// source; [`Transient`](crate::ErrorKind::Transient) while another change is under way.
    pub fn write(&self, state: &IssuerState) -> Result<(), ProviderError> {
        private_file::write(&self.path, &state.to_text()?).map_err(unusable)
    }

    /// Makes the file. One that is there already is left alone, also if it comes in between. The file system must
    /// know hard links.
    ///
    /// # Errors
    /// Those of [`write`](Self::write), with [`FileError::Exists`] as the source for a file that is there.
    pub fn create(&self, state: &IssuerState) -> Result<(), ProviderError> {
        private_file::create(&self.path, &state.to_text()?).map_err(unusable)
    }

    /// Changes the state in the file, and gives the new one. Of two that do so at the same time, threads or
    /// processes, one is refused, and nothing that was written is lost. If `change` fails, nothing is written.
    ///
    /// # Errors
    /// Those of [`read`](Self::read) and [`write`](Self::write), and those of `change`.
    pub fn update<E: From<ProviderError>>(
        &self,
        change: impl FnOnce(&mut IssuerState) -> Result<(), E>,
    ) -> Result<IssuerState, E> {
        let claim = Claim::of(&self.path).map_err(unusable)?;
        let text = claim.read(LONGEST_TEXT).map_err(unusable)?;
        let mut state = IssuerState::parse(text.expose())?;
        change(&mut state)?;
        claim.put(&state.to_text()?).map_err(unusable)?;
        Ok(state)
    }

    /// Reads the state anew and hands it to the issuer, which keeps its keys where the file is no good. Waits for a
    /// reload that is under way, so that the state in use is the last one that was read.
    ///
    /// # Errors
    /// Those of [`read`](Self::read) and of [`Issuer::reload`].
    pub fn reload(&self, issuer: &Issuer) -> Result<(), ProviderError> {
        issuer.reload_by(|| self.text())
    }

    /// Reloads `every` so often until it is dropped; failures show in the log. Let `every` be well below the time that
    /// a new key is published before it signs; less than a second is taken for a second.
    ///
    /// The read itself blocks for as long as the file system takes for a small file.
    pub async fn watch(self, issuer: Issuer, runtime: Arc<dyn Runtime>, every: Duration) {
        // Told of by the issuer itself.
        private_file::watch(&*runtime, every, || drop(self.reload(&issuer))).await;
    }

    fn text(&self) -> Result<Secret, ProviderError> {
        private_file::read(&self.path, LONGEST_TEXT).map_err(unusable)
    }
}

fn unusable(error: FileError) -> ProviderError {
    let kind = match error {
        FileError::Busy => ErrorKind::Transient,
        _ => ErrorKind::Misconfigured,
    };
    let text = format!("the file of the issuer's state cannot be used: {error}");
    ProviderError::new(kind, text).with_source(error)
}

#[cfg(all(test, feature = "test-util"))]
mod tests {
    use std::collections::hash_map::RandomState;
    use std::hash::BuildHasher;
    use std::time::SystemTime;

    use super::*;
    use crate::VirtualRuntime;
    use crate::oidc::{Algorithm, LocalSigner};

    const EVERY: Duration = Duration::from_secs(5);

    #[test]
    fn a_new_key_in_the_file_is_published_and_a_bad_file_changes_nothing() {
        let time = VirtualRuntime::new(SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_176_000));
        let folder =
            std::env::temp_dir().join(format!("credfed-state-{:016x}", RandomState::new().hash_one(0)));
        std::fs::create_dir(&folder).unwrap();
        let file = IssuerStateFile::new(folder.join("issuer.json"));
        let now = || time.now().wall();
        let key = || LocalSigner::generate(Algorithm::Es256).unwrap();
        let mut state = IssuerState::new(key(), now());
        file.write(&state).unwrap();
        let issuer = Issuer::builder("https://id.example.com").state(file.read().unwrap()).build().unwrap();
        let published = || String::from_utf8(issuer.jwks(now()).to_vec()).unwrap().matches("\"kid\"").count();
        time.spawn(Box::pin(file.clone().watch(issuer.clone(), Arc::new(time.clone()), EVERY)));
        time.run();

        assert_eq!(published(), 1);
        state.rotate(key(), now(), EVERY * 2, EVERY * 100).unwrap();
        file.write(&state).unwrap();
        time.advance(EVERY);
        assert_eq!(published(), 2);

        std::fs::write(file.path(), "{}").unwrap();
        time.advance(EVERY);
        assert_eq!(published(), 2);
        std::fs::remove_file(file.path()).unwrap();
        time.advance(EVERY);
        assert_eq!(published(), 2);
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn what_was_read_earlier_does_not_come_into_use_later() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_176_000);
        let state = || IssuerState::new(LocalSigner::generate(Algorithm::Es256).unwrap(), now);
        let time = VirtualRuntime::new(now);
        let issuer = Issuer::builder("https://id.example.com").state(state()).runtime(time).build().unwrap();
        let [earlier, later] = [state(), state()];
        let kid = later.keys().next().unwrap().0.kid().to_owned();
        std::thread::scope(|scope| {
            let slow = issuer.reload_by(|| {
                // Another one, which reads what the file holds after this, has to wait.
                assert!(issuer.is_being_replaced());
                scope.spawn(|| issuer.reload_by(|| later.to_text()));
                earlier.to_text()
            });
            assert!(slow.is_ok());
        });
        assert!(String::from_utf8_lossy(&issuer.jwks(now)).contains(&kid));
    }

    #[test]
    fn rotations_at_the_same_time_are_all_in_the_state_and_one_that_is_there_is_not_made_anew() {
        const EACH: usize = 3;
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_176_000);
        let key = || LocalSigner::generate(Algorithm::Es256).unwrap();
        let folder =
            std::env::temp_dir().join(format!("credfed-busy-{:016x}", RandomState::new().hash_one(0)));
        std::fs::create_dir(&folder).unwrap();
        let file = IssuerStateFile::new(folder.join("issuer.json"));
        file.create(&IssuerState::new(key(), now)).unwrap();
        let exists = file.create(&IssuerState::new(key(), now)).unwrap_err();
        assert_eq!(exists.kind(), ErrorKind::Misconfigured);
        let source = std::error::Error::source(&exists);
        assert_eq!(source.and_then(|error| error.downcast_ref()), Some(&FileError::Exists));
        let rotate = || {
            for _ in 0..EACH {
                // At once, so that none overtakes another.
                let change = |state: &mut IssuerState| state.rotate(key(), now, Duration::ZERO, EVERY);
                while let Err(error) = file.update(change) {
                    assert_eq!(error.kind(), ErrorKind::Transient, "{error}");
                    std::thread::yield_now();
                }
            }
        };
        std::thread::scope(|scope| {
            (0..4).for_each(|_| drop(scope.spawn(rotate)));
        });
        assert_eq!(file.read().unwrap().keys().count(), 1 + 4 * EACH);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
