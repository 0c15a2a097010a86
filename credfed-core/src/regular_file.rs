//! Opening a file by a name that may lead to something else.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;

/// Opens a regular file to read it, and tells its length; a link is followed. `None` for what is there and is no
/// regular file: a folder, a pipe, a device. Never waits.
pub(crate) fn open(path: &Path) -> io::Result<Option<(File, u64)>> {
    // Opening a pipe or a device may do something: what can be told before is told before.
    if !fs::metadata(path)?.is_file() {
        return Ok(None);
    }
    let mut options = OpenOptions::new();
    open_with(options.read(true), path, Links::Followed)
}

/// Whether the last part of the path may be a link.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Links {
    Followed,
    #[cfg(any(feature = "oidc", feature = "session"))]
    Refused,
}

/// As [`open`], without the look beforehand.
pub(crate) fn open_with(
    options: &mut OpenOptions,
    path: &Path,
    links: Links,
) -> io::Result<Option<(File, u64)>> {
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        // A pipe that took the place of the file would wait for somebody to write to it.
        let mut flags = OFlags::NONBLOCK | OFlags::NOCTTY;
        flags.set(OFlags::NOFOLLOW, links != Links::Followed);
        std::os::unix::fs::OpenOptionsExt::custom_flags(options, flags.bits().cast_signed());
    }
    #[cfg(not(unix))]
    let _ = links;
    let file = options.open(path)?;
    let metadata = file.metadata()?;
    Ok(metadata.is_file().then_some((file, metadata.len())))
}

#[cfg(all(test, unix))]
mod tests {
    use std::hash::{BuildHasher, RandomState};

    use super::*;

    #[test]
    fn a_pipe_that_takes_the_place_of_the_file_is_not_waited_for() {
        let name = format!("credfed-pipe-{:016x}", RandomState::new().hash_one(0));
        let pipe = std::env::temp_dir().join(name);
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let opened = open_with(OpenOptions::new().read(true), &pipe, Links::Followed);
        fs::remove_file(&pipe).unwrap();
        assert!(opened.unwrap().is_none());
    }
}
