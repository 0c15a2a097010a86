//! A ring that lives in a file.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::document::LONGEST_TEXT;
use super::ring::{KeyRing, KeyRingError};
use super::shared::SharedKeyRing;
use crate::private_file;
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
        let text = private_file::read(&self.path, LONGEST_TEXT).map_err(|error| match error.kind() {
            io::ErrorKind::FileTooLarge => KeyRingError::TooLong,
            kind => KeyRingError::File(kind),
        })?;
        KeyRing::parse(text.expose())
    }

    /// Writes the ring: all or nothing, for the owner only (mode 600).
    ///
    /// # Errors
    /// [`KeyRingError::File`].
    pub fn write(&self, ring: &KeyRing) -> Result<(), KeyRingError> {
        private_file::write(&self.path, &ring.to_text()).map_err(|error| KeyRingError::File(error.kind()))
    }

    /// Reads the ring anew and puts it in the place of the one in use; that one stays if the file is no good.
    ///
    /// # Errors
    /// Those of [`read`](Self::read).
    pub fn reload(&self, ring: &SharedKeyRing) -> Result<(), KeyRingError> {
        match self.read() {
            Ok(new) => {
                ring.replace(new);
                Ok(())
            }
            Err(error) => {
                ring.refused(&error);
                Err(error)
            }
        }
    }

    /// Reloads `every` so often until it is dropped; failures show in the log and in
    /// [`SharedKeyRing::status`]. Let `every` be well below the time between adding a key and its activation.
    ///
    /// The read itself blocks for as long as the file system takes for a small file.
    pub async fn watch(self, ring: SharedKeyRing, runtime: Arc<dyn Runtime>, every: Duration) {
        loop {
            runtime.sleep(every).await;
            // Told of by the ring itself.
            let _ = self.reload(&ring);
        }
    }
}
