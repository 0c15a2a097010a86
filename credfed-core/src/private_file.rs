//! Small files with secrets in them: read within a limit, changed by one at a time, for their owner only.

mod claim;
#[cfg(test)]
mod tests;

use std::error::Error;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use zeroize::Zeroizing;

pub(crate) use self::claim::Claim;
use crate::runtime::Runtime;
use crate::{Secret, regular_file};

/// The least time between two looks at a file.
const SHORTEST_WATCH: Duration = Duration::from_secs(1);

/// Why a file of keys cannot be read or written, and what to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileError {
    /// The system refused.
    Io(io::ErrorKind),
    /// There is something under that name that is no regular file: a folder, a pipe, a device.
    NotAFile,
    /// It is longer than such a file can be.
    TooLong,
    /// It was to be made, and is there already.
    Exists,
    /// Another process, or another thread, is changing it.
    Busy,
    /// A link leads to nothing.
    Dangling,
    /// It belongs to another user, and cannot be given back to it after the change.
    Owner,
    /// What was left beside it by a change that did not end cannot be cleared away.
    InTheWay,
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Io(kind) => return write!(f, "{kind}: check its path and its permissions"),
            Self::NotAFile => "it is no regular file: give the path of the right one",
            Self::TooLong => "it is too long: give the path of the right one",
            Self::Exists => "it is there already: rotate it, or name another file",
            Self::Busy => "another change of it is under way: try again in a moment",
            Self::Dangling => "it is a link that leads nowhere: take the link away, or name another file",
            Self::Owner => {
                "it belongs to another user, who could not read it after the change: change it as that user"
            }
            Self::InTheWay => {
                "a change of it did not end, and .NAME.credfed-new beside it cannot be removed: remove that"
            }
        })
    }
}

impl Error for FileError {}

impl From<io::Error> for FileError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::IsADirectory => Self::NotAFile,
            kind => Self::Io(kind),
        }
    }
}

/// Reads a text file of at most `limit` bytes. A file that others may read is read all the same, and warned of.
pub(crate) fn read(path: &Path, limit: usize) -> Result<Secret, FileError> {
    let (mut file, length) = regular_file::open(path)?.ok_or(FileError::NotAFile)?;
    if !usize::try_from(length).is_ok_and(|length| length <= limit) {
        return Err(FileError::TooLong);
    }
    warn_if_others_may_read(path, &file);
    // Room for all of it and one byte too many, so that no half of it is left behind by a reallocation.
    let mut text = Zeroizing::new(vec![0; limit.saturating_add(1)]);
    let mut length = 0;
    while let Some(rest) = text.get_mut(length..).filter(|rest| !rest.is_empty()) {
        match file.read(rest) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    if length > limit {
        return Err(FileError::TooLong);
    }
    let text = text.get(..length).unwrap_or_default();
    let text = std::str::from_utf8(text).map_err(|_| FileError::Io(io::ErrorKind::InvalidData))?;
    Ok(Secret::new(text))
}

/// Writes a file, whatever it held. See [`Claim::put`].
pub(crate) fn write(path: &Path, text: &Secret) -> Result<(), FileError> {
    Claim::of(path)?.put(text)
}

/// Makes a file, and leaves alone what is there already. See [`Claim::put_new`].
pub(crate) fn create(path: &Path, text: &Secret) -> Result<(), FileError> {
    Claim::of(path)?.put_new(text)
}

/// Reads a file again, `every` so often; see [`SHORTEST_WATCH`].
pub(crate) async fn watch(runtime: &dyn Runtime, every: Duration, mut reload: impl FnMut()) {
    loop {
        runtime.sleep(every.max(SHORTEST_WATCH)).await;
        reload();
    }
}

fn warn_if_others_may_read(path: &Path, file: &File) {
    #[cfg(unix)]
    if others_may_read(file) {
        tracing::warn!(
            target: "credfed::files",
            path = %path.display(),
            "others than its owner may read this file: it holds secrets, so set its mode to 600"
        );
    }
    #[cfg(not(unix))]
    let _ = (path, file);
}

#[cfg(unix)]
fn others_may_read(file: &File) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0)
}
