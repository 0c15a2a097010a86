//! A ring in a file, watched.

use std::fs;
use std::future::Future;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};
use std::time::Duration;

use credfed_core::keyring::{KeyRing, KeyRingError, KeyRingFile, SharedKeyRing};
use credfed_core::runtime::{Now, Runtime, Sleep};
use credfed_core::{FileError, VirtualRuntime};

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
    assert_eq!(file.read().unwrap_err(), KeyRingError::File(FileError::Io(std::io::ErrorKind::NotFound)));
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
    assert_eq!(shared.status().error, Some(KeyRingError::File(FileError::Io(std::io::ErrorKind::NotFound))));

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

#[cfg(unix)]
#[test]
fn what_is_no_regular_file_is_refused_without_waiting_and_a_link_to_one_is_not() {
    let folder = Folder::new("pipe-ring");
    let pipe = folder.0.join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for path in [&pipe, &folder.0, &PathBuf::from("/dev/zero")] {
        let error = KeyRingFile::new(path).read().unwrap_err();
        assert_eq!(error, KeyRingError::File(FileError::NotAFile), "{}", path.display());
        assert!(error.to_string().contains("no regular file"), "{error}");
    }
    let ring = KeyRingFile::new(folder.0.join("ring.json"));
    ring.write(&KeyRing::generate(noon()).unwrap()).unwrap();
    let link = folder.0.join("link");
    std::os::unix::fs::symlink("ring.json", &link).unwrap();
    assert!(KeyRingFile::new(&link).read().is_ok());
}

#[test]
fn rotations_at_the_same_time_are_all_in_the_ring() {
    const EACH: u32 = 7;
    let folder = Folder::new("busy-ring");
    let file = KeyRingFile::new(folder.0.join("ring.json"));
    file.create(&KeyRing::generate(noon()).unwrap()).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let file = &file;
            scope.spawn(move || {
                for number in 0..EACH {
                    let activates = noon() + HOUR + Duration::from_secs(1) * (thread * EACH + number);
                    let rotate = |ring: &KeyRing| ring.rotate(noon(), activates, Duration::ZERO);
                    while let Err(error) = file.update(rotate) {
                        assert_eq!(error, KeyRingError::File(FileError::Busy));
                        std::thread::yield_now();
                    }
                }
            });
        }
    });
    assert_eq!(file.read().unwrap().keys(noon()).count(), 29);
    assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 1, "nothing else is left");
}

#[test]
fn a_ring_that_is_there_is_not_made_anew() {
    let folder = Folder::new("made-ring");
    let file = KeyRingFile::new(folder.0.join("ring.json"));
    let (first, second) = (KeyRing::generate(noon()).unwrap(), KeyRing::generate(noon()).unwrap());
    file.create(&first).unwrap();
    let error = file.create(&second).unwrap_err();
    assert_eq!(error, KeyRingError::File(FileError::Exists));
    assert!(error.to_string().ends_with("it is there already: rotate it, or name another file"), "{error}");
    assert_eq!(file.read().unwrap().to_text(), first.to_text());
}

#[test]
fn of_several_that_make_a_ring_at_once_one_does() {
    for round in 0..20 {
        let folder = Folder::new(&format!("made-{round}"));
        let file = KeyRingFile::new(folder.0.join("ring.json"));
        let make = || {
            let ring = KeyRing::generate(noon()).unwrap();
            file.create(&ring).map(|()| ring.to_text())
        };
        let made: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(make)).collect();
            threads.into_iter().filter_map(|thread| thread.join().unwrap().ok()).collect()
        });
        assert_eq!(made, [file.read().unwrap().to_text()]);
    }
}

#[test]
fn a_change_that_fails_leaves_the_ring_as_it_was() {
    let folder = Folder::new("failed-ring");
    let file = KeyRingFile::new(folder.0.join("ring.json"));
    let rotate = |ring: &KeyRing| ring.rotate(noon(), noon(), HOUR);
    let missing = FileError::Io(std::io::ErrorKind::NotFound);
    assert_eq!(file.update(rotate).unwrap_err(), KeyRingError::File(missing));
    let ring = KeyRing::generate(noon()).unwrap();
    file.create(&ring).unwrap();
    assert_eq!(file.update(rotate).unwrap_err(), KeyRingError::TooSoon);
    assert_eq!(file.read().unwrap().to_text(), ring.to_text());
    assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 1);
}

#[test]
fn a_file_is_watched_once_a_second_at_most() {
    #[derive(Debug, Default)]
    struct Sleeps(Mutex<Vec<Duration>>);
    impl Runtime for Sleeps {
        fn now(&self) -> Now {
            Now::new(Duration::ZERO, noon())
        }

        fn sleep(&self, duration: Duration) -> Sleep {
            self.0.lock().unwrap().push(duration);
            Box::pin(std::future::pending())
        }
    }

    let runtime = Arc::new(Sleeps::default());
    let second = Duration::from_secs(1);
    for every in [Duration::ZERO, Duration::from_nanos(1), second, 2 * second] {
        let file = KeyRingFile::new("/nowhere/ring.json");
        let ring = SharedKeyRing::new(KeyRing::generate(noon()).unwrap());
        let watch = pin!(file.watch(ring, runtime.clone(), every));
        assert!(watch.poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    assert_eq!(*runtime.0.lock().unwrap(), [second, second, second, 2 * second]);
}
