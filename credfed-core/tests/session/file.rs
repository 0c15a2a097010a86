//! A ring in a file, watched.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use credfed_core::VirtualRuntime;
use credfed_core::keyring::{KeyRing, KeyRingError, KeyRingFile, SharedKeyRing};
use credfed_core::runtime::Runtime;

use crate::support::{HOUR, noon};

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("credfed-{name}-{}", std::process::id()));
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
fn a_file_is_watched_and_a_broken_one_changes_nothing() {
    let folder = Folder::new("watched-ring");
    let file = KeyRingFile::new(folder.0.join("ring.json"));
    assert_eq!(file.read().unwrap_err(), KeyRingError::File(std::io::ErrorKind::NotFound));
    let first = KeyRing::generate(noon()).unwrap();
    file.write(&first).unwrap();
    let shared = SharedKeyRing::new(file.read().unwrap());

    let runtime = VirtualRuntime::new(noon());
    let period = Duration::from_secs(30);
    runtime.spawn(Box::pin(file.clone().watch(shared.clone(), Arc::new(runtime.clone()), period)));
    let keys = || shared.load().keys(noon()).count();
    runtime.advance(period);
    assert_eq!((keys(), shared.status().replaced), (1, 1));

    file.write(&first.rotate(noon(), noon() + HOUR, period).unwrap()).unwrap();
    runtime.advance(period - Duration::from_millis(1));
    assert_eq!(keys(), 1);
    runtime.advance(Duration::from_millis(1));
    assert_eq!(keys(), 2);

    fs::write(file.path(), "{").unwrap();
    runtime.advance(3 * period);
    assert_eq!((keys(), shared.status().refused), (2, 3));
    fs::write(file.path(), [b' '; 70_000]).unwrap();
    runtime.advance(period);
    assert_eq!((keys(), shared.status().error), (2, Some(KeyRingError::TooLong)));
    fs::remove_file(file.path()).unwrap();
    runtime.advance(period);
    assert_eq!(shared.status().error, Some(KeyRingError::File(std::io::ErrorKind::NotFound)));

    file.write(&first).unwrap();
    runtime.advance(period);
    assert_eq!((keys(), shared.status().refused, shared.status().error), (1, 0, None));
}

#[cfg(unix)]
#[test]
fn a_ring_is_written_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new("private-ring");
    let file = KeyRingFile::new(folder.0.join("ring.json"));
    file.write(&KeyRing::generate(noon()).unwrap()).unwrap();
    let mode = fs::metadata(file.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}
