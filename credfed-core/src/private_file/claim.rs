//! The right to change a file, and the one way to do it.

use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::FileError;
use crate::Secret;
use crate::regular_file::{self, Links};

/// How often a claim begins anew because another one ended meanwhile.
const TRIES: u32 = 16;

/// The right to change a file. It is had by whoever holds the lock on the file beside it, `.NAME.credfed-new`, which
/// the new text is prepared in; nobody else can have it until this is dropped.
///
/// A file beside it that nobody has locked was left behind by a crash. It is removed by the next claim, never written
/// to: whoever could open it once could go on reading.
pub(crate) struct Claim {
    target: PathBuf,
    beside: PathBuf,
    file: File,
    /// Whether the file beside is still there under its name.
    is_beside: bool,
}

impl Claim {
    /// Claims the file that a path leads to, which need not be there. The folder must be.
    pub(crate) fn of(path: &Path) -> Result<Self, FileError> {
        let target = target(path)?;
        let old = match fs::symlink_metadata(&target) {
            Ok(old) if !old.is_file() => return Err(FileError::NotAFile),
            Ok(old) => Some(old),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error.into()),
        };
        let beside = beside(&target)?;
        for _ in 0..TRIES {
            let Some((file, is_new)) = make_or_open(&beside)? else { continue };
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(FileError::Busy),
                Err(TryLockError::Error(error)) => {
                    if is_new {
                        // The error that matters is the first one.
                        let _ = fs::remove_file(&beside);
                    }
                    return Err(error.into());
                }
            }
            // Only who holds its lock takes a file away. So one that is still there is this claim's from here on.
            if !is_at(&file, &beside)? {
                continue;
            }
            if is_new {
                let claim = Self { target, beside, file, is_beside: true };
                if let Some(old) = old {
                    claim.keep_owner(&old)?;
                }
                return Ok(claim);
            }
            fs::remove_file(&beside).map_err(|_| FileError::InTheWay)?;
        }
        Err(FileError::Busy)
    }

    /// Reads what the file holds, as [`read`](super::read) does.
    pub(crate) fn read(&self, limit: usize) -> Result<Secret, FileError> {
        super::read(&self.target, limit)
    }

    /// Replaces the file so that a reader sees the old text or the new one, whole, even after a crash; readable and
    /// writable for its owner only, who stays the same. What a link leads to is replaced, not the link.
    pub(crate) fn put(mut self, text: &Secret) -> Result<(), FileError> {
        self.prepare(text)?;
        fs::rename(&self.beside, &self.target)?;
        self.is_beside = false;
        Ok(sync_folder(&self.target)?)
    }

    /// As [`put`](Self::put), for a file that must not be there: whoever makes it in between keeps it.
    pub(crate) fn put_new(mut self, text: &Secret) -> Result<(), FileError> {
        self.prepare(text)?;
        // Unlike a rename, a link replaces nothing.
        fs::hard_link(&self.beside, &self.target).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => FileError::Exists,
            kind => FileError::Io(kind),
        })?;
        Ok(sync_folder(&self.target)?)
    }

    fn prepare(&mut self, text: &Secret) -> io::Result<()> {
        self.file.write_all(text.expose().as_bytes())?;
        self.file.sync_all()
    }

    /// The file goes on belonging to whom it belonged: a service must be able to read what root has changed.
    fn keep_owner(&self, old: &Metadata) -> Result<(), FileError> {
        #[cfg(unix)]
        {
            use std::os::unix::fs::{MetadataExt, fchown};
            let new = self.file.metadata()?;
            if new.uid() != old.uid() {
                let given = fchown(&self.file, Some(old.uid()), Some(old.gid()));
                given.map_err(|_| FileError::Owner)?;
            } else if new.gid() != old.gid() {
                // Where it is not permitted nothing is lost: the group may not read the file.
                let _ = fchown(&self.file, None, Some(old.gid()));
            }
        }
        #[cfg(not(unix))]
        let _ = old;
        Ok(())
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if self.is_beside {
            // One that stays is removed by the next claim.
            let _ = fs::remove_file(&self.beside);
        }
    }
}

/// What the path leads to, which is changed rather than a link on the way to it.
fn target(path: &Path) -> Result<PathBuf, FileError> {
    match fs::canonicalize(path) {
        Ok(target) => Ok(target),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
        Err(_) if fs::symlink_metadata(path).is_ok() => Err(FileError::Dangling),
        Err(_) => Ok(path.to_path_buf()),
    }
}

/// In the same folder, since a rename does not cross file systems.
fn beside(target: &Path) -> Result<PathBuf, FileError> {
    let name = target.file_name().ok_or(FileError::NotAFile)?;
    let mut beside = std::ffi::OsString::from(".");
    beside.push(name);
    beside.push(".credfed-new");
    Ok(target.with_file_name(beside))
}

/// The file beside, and whether it was made by this. `None` if it went away in between.
fn make_or_open(beside: &Path) -> Result<Option<(File, bool)>, FileError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(beside) {
        Ok(file) => return Ok(Some((file, true))),
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error.into()),
        Err(_) => {}
    }
    // To write, since there are network file systems that lock nothing else.
    match regular_file::open_with(OpenOptions::new().write(true), beside, Links::Refused) {
        Ok(Some((file, _))) => Ok(Some((file, false))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Ok(None) | Err(_) => Err(FileError::InTheWay),
    }
}

/// Whether the path still is that of the open file.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let open = file.metadata()?;
        match fs::symlink_metadata(path) {
            Ok(there) => Ok((there.dev(), there.ino()) == (open.dev(), open.ino())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
    #[cfg(not(unix))]
    {
        let _ = (file, path);
        Ok(true)
    }
}

/// The name is on disk only once its folder is.
fn sync_folder(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    if let Some(folder) = path.parent() {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}
