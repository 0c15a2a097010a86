//! Small files with secrets in them: read within a limit, written all or nothing, for their owner only.

use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::Secret;

/// Reads a text file of at most `limit` bytes; a longer one is [`io::ErrorKind::FileTooLarge`]. A file that others
/// may read is read all the same, and warned of.
pub(crate) fn read(path: &Path, limit: usize) -> io::Result<Secret> {
    let mut file = File::open(path)?;
    warn_if_others_may_read(path, &file);
    // Room for all of it and one byte too many, so that no half of it is left behind by a reallocation.
    let mut text = Zeroizing::new(vec![0; limit.saturating_add(1)]);
    let mut length = 0;
    while let Some(rest) = text.get_mut(length..).filter(|rest| !rest.is_empty()) {
        match file.read(rest) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    if length > limit {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let text = text.get(..length).unwrap_or_default();
    let text = std::str::from_utf8(text).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
    Ok(Secret::new(text))
}

/// Writes a file so that a reader sees the old text or the new one, whole, even after a crash; readable and
/// writable for its owner only. The folder must be there.
pub(crate) fn write(path: &Path, text: &Secret) -> io::Result<()> {
    // What the path leads to is replaced, not a link on the way to it.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let temporary = beside(&path)?;
    let written = write_to(&temporary, text).and_then(|()| fs::rename(&temporary, &path));
    if written.is_err() {
        // The error that matters is the first one.
        let _ = fs::remove_file(&temporary);
    }
    written?;
    sync_folder(&path)
}

fn write_to(temporary: &Path, text: &Secret) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(temporary)?;
    file.write_all(text.expose().as_bytes())?;
    file.sync_all()
}

/// A name of its own in the same folder, since a rename does not cross file systems.
fn beside(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let mut temporary = std::ffi::OsString::from(".");
    temporary.push(name);
    temporary.push(format!(".{:016x}", RandomState::new().hash_one(std::process::id())));
    Ok(path.with_file_name(temporary))
}

/// The rename itself is on disk only once its folder is.
fn sync_folder(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    if let Some(folder) = path.parent() {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        File::open(folder)?.sync_all()?;
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new() -> Self {
            let name = format!("credfed-private-{:016x}", RandomState::new().hash_one(0));
            let path = std::env::temp_dir().join(name);
            fs::create_dir(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn what_is_written_is_read_and_nothing_else_is_left() {
        let folder = Folder::new();
        let path = folder.0.join("ring.json");
        for text in ["first", "the second, longer"] {
            write(&path, &Secret::new(text)).unwrap();
            assert_eq!(read(&path, 100).unwrap().expose(), text);
        }
        assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_is_too_long_is_refused_and_one_at_the_limit_is_not() {
        let folder = Folder::new();
        let path = folder.0.join("ring.json");
        write(&path, &Secret::new("12345")).unwrap();
        assert_eq!(read(&path, 5).unwrap().expose(), "12345");
        assert_eq!(read(&path, 4).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_may_read_what_is_written() {
        use std::os::unix::fs::PermissionsExt;
        let folder = Folder::new();
        let path = folder.0.join("ring.json");
        write(&path, &Secret::new("secret")).unwrap();
        assert!(!others_may_read(&File::open(&path).unwrap()));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(others_may_read(&File::open(&path).unwrap()));
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_a_link() {
        let folder = Folder::new();
        let (real, link) = (folder.0.join("real"), folder.0.join("link"));
        fs::write(&real, "old").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        write(&link, &Secret::new("new")).unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read_to_string(&real).unwrap(), "new");
    }
}
