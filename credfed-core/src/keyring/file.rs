//! A ring that lives in a file.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::document::LONGEST_TEXT;
use super::ring::{KeyRing, KeyRingError};
use super::shared::SharedKeyRing;
use crate::private_file::{self, Claim};
use crate::runtime::Runtime;

/// The file of a [key ring](super). A file that others than its owner may read is warned of.
#[derive(Clone, Debug)]
pub struct KeyRingFile {
    path: PathBuf,
}

impl KeyRingFile {
    /// Names the file; it is not looked at yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The path that was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the ring, as a service does when it starts and as a tool does.
    ///
    /// # Errors
    /// [`KeyRingError::File`], [`KeyRingError::TooLong`], and those of [`KeyRing::parse`].
    pub fn read(&self) -> Result<KeyRing, KeyRingError> {
        KeyRing::parse(private_file::read(&self.path, LONGEST_TEXT)?.expose())
    }

    /// Writes the ring over whatever the file holds: all or nothing, readable and writable for its owner only (mode
    /// 600), who stays the same. To change the ring that it holds, see [`update`](Self::update).
    ///
    /// # Errors
    /// [`KeyRingError::File`].
    pub fn write(&self, ring: &KeyRing) -> Result<(), KeyRingError> {
        Ok(private_file::write(&self.path, &ring.to_text())?)
    }

    /// Makes the file. One that is there already is left alone, also if it comes in between. The file system must
    /// know hard links.
    ///
    /// # Errors
    /// [`KeyRingError::File`], with [`FileError::Exists`](crate::FileError::Exists) for a file that is there.
    pub fn create(&self, ring: &KeyRing) -> Result<(), KeyRingError> {
        Ok(private_file::create(&self.path, &ring.to_text())?)
    }

    /// Replaces the ring in the file by what follows from it, and gives the new one. Of two that do so at the same
    /// time, threads or processes, one is refused, and nothing that was written is lost. If `change` fails, nothing is
    /// written.
    ///
    /// # Errors
    /// Those of [`read`](Self::read) and [`write`](Self::write), with
    /// [`FileError::Busy`](crate::FileError::Busy) while another change is under way; and those of `change`.
    pub fn update<E: From<KeyRingError>>(
        &self,
        change: impl FnOnce(&KeyRing) -> Result<KeyRing, E>,
    ) -> Result<KeyRing, E> {
        let of_file = KeyRingError::from;
        let claim = Claim::of(&self.path).map_err(of_file)?;
        let text = claim.read(LONGEST_TEXT).map_err(of_file)?;
        let new = change(&KeyRing::parse(text.expose())?)?;
        claim.put(&new.to_text()).map_err(of_file)?;
        Ok(new)
    }

    /// Reads the ring anew and puts it in the place of the one in use; that one stays if the file is no good. Waits
    /// for a reload that is under way, so that the ring in use is the last one that was read.
    ///
    /// # Errors
    /// Those of [`read`](Self::read).
    pub fn reload(&self, ring: &SharedKeyRing) -> Result<(), KeyRingError> {
        ring.replace_by(|| self.read())
    }

    /// Reloads `every` so often until it is dropped; failures show in the log and in
    /// [`SharedKeyRing::status`]. Let `every` be well below the time between adding a key and its activation; less
    /// than a second is taken for a second.
    ///
    /// The read itself blocks for as long as the file system takes for a small file.
    pub async fn watch(self, ring: SharedKeyRing, runtime: Arc<dyn Runtime>, every: Duration) {
        // Told of by the ring itself.
        private_file::watch(&*runtime, every, || drop(self.reload(&ring))).await;
    }
}
