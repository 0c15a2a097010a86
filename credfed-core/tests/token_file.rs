//! A token that somebody else rotates: by a link that is swapped, in place, or not at all.

#![allow(clippy::unwrap_used, reason = "only tests call this")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use credfed_core::ErrorKind::{Misconfigured, Transient};
use credfed_core::runtime::{Now, Runtime, Sleep};
use credfed_core::{Provider, ProviderError, TokenFile, VirtualRuntime};
use futures::executor::block_on;

/// A folder of this test alone, gone at its end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("credfed-token-{}-{number}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn file(&self, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join("token");
        fs::write(&path, content).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Pauses end at once, after something was done.
struct Meanwhile<F>(F, Arc<AtomicUsize>);

impl<F> std::fmt::Debug for Meanwhile<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Meanwhile")
    }
}

impl<F: Fn(usize) + Send + Sync + 'static> Runtime for Meanwhile<F> {
    fn now(&self) -> Now {
        VirtualRuntime::new(SystemTime::UNIX_EPOCH).now()
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        assert_eq!(duration, Duration::from_millis(50));
        self.0(self.1.fetch_add(1, Ordering::SeqCst));
        Box::pin(std::future::ready(()))
    }
}

fn read_while(
    path: &Path,
    meanwhile: impl Fn(usize) + Send + Sync + 'static,
) -> (Result<String, ProviderError>, usize) {
    let pauses = Arc::new(AtomicUsize::new(0));
    let file = TokenFile::new(path).runtime(Meanwhile(meanwhile, Arc::clone(&pauses)));
    let answer = block_on(file.provide()).map(|token| token.into_value().expose().to_owned());
    (answer, pauses.load(Ordering::SeqCst))
}

fn read(path: &Path) -> (Result<String, ProviderError>, usize) {
    read_while(path, |_| ())
}

/// Each part names its number, so that a torn one shows.
fn token(number: usize) -> String {
    let part = format!("{number:08}").repeat(60);
    format!("ey{}.ey{part}.{part}", &part[2..])
}

#[test]
fn the_token_is_what_the_file_holds_now_without_the_line_break() {
    let folder = Folder::new();
    for (number, end) in ["", "\n", "\r\n", " \n\n"].into_iter().enumerate() {
        let path = folder.file(token(number) + end);
        let (answer, pauses) = read(&path);
        assert_eq!((answer.unwrap(), pauses), (token(number), 0));
    }
}

#[test]
fn a_time_of_change_that_stays_hides_no_token() {
    let folder = Folder::new();
    let path = folder.file(token(1));
    let changed = fs::metadata(&path).unwrap().modified().unwrap();
    let file = TokenFile::new(&path);
    assert_eq!(block_on(file.provide()).unwrap().into_value().expose(), token(1));
    fs::write(&path, token(2)).unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_modified(changed).unwrap();
    assert_eq!(block_on(file.provide()).unwrap().into_value().expose(), token(2));
}

#[test]
fn what_is_no_token_for_a_moment_is_looked_at_three_times() {
    let folder = Folder::new();
    for (content, text) in [
        ("", "the token file is empty"),
        (" \n", "the token file is empty"),
        ("eyJh", "the token file does not hold a JWT"),
        ("eyJh.eyJz", "the token file does not hold a JWT"),
        ("eyJh.eyJz.", "the token file does not hold a JWT"),
        ("eyJh.eyJz.c2ln.c2ln", "the token file does not hold a JWT"),
        ("eyJh.eyJz.c2 ln", "the token file does not hold a JWT"),
        ("eyJhb.eyJz.c2ln", "the token file does not hold a JWT"),
        ("abcd.eyJz.c2ln", "the token file does not hold a JWT"),
        ("canary.canary.\u{e9}\u{e9}", "the token file does not hold a JWT"),
    ] {
        let path = folder.file(content);
        let (answer, pauses) = read(&path);
        let error = answer.unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str(), pauses), (Transient, text, 2));
        assert!(!format!("{error:?}").contains("canary"));
        let refreshed = path.clone();
        let (answer, pauses) = read_while(&path, move |pause| {
            if pause == 1 {
                fs::write(&refreshed, token(7)).unwrap();
            }
        });
        assert_eq!((answer.unwrap(), pauses), (token(7), 2));
    }
    let (answer, pauses) = read(&folder.0.join("missing"));
    let error = answer.unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string().as_str(), pauses),
        (Misconfigured, "the token file is missing", 2)
    );
}

#[test]
fn what_will_not_pass_is_looked_at_once() {
    let folder = Folder::new();
    let (answer, pauses) = read(&folder.0);
    let error = answer.unwrap_err();
    assert_eq!((error.kind(), pauses), (Misconfigured, 0));
    assert_eq!(error.to_string(), "the token file is not a regular file");
    let path = folder.file([b'a'; 65_537]);
    let (answer, pauses) = read(&path);
    let error = answer.unwrap_err();
    assert_eq!((error.kind(), pauses), (Misconfigured, 0));
    assert_eq!(error.to_string(), "the token file is longer than 65536 bytes");
    let longest = format!("eyJh.{}.c2ln", "a".repeat(65_526));
    assert_eq!(read(&folder.file(&longest)).0.unwrap(), longest);
}

#[test]
#[cfg(unix)]
fn a_pipe_is_refused_without_waiting_for_its_other_end() {
    let folder = Folder::new();
    let path = folder.0.join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    assert_eq!(read(&path).0.unwrap_err().to_string(), "the token file is not a regular file");
}

#[test]
#[cfg(unix)]
fn a_link_that_is_swapped_all_the_time_never_gives_a_torn_token() {
    const READS: usize = 20_000;
    let folder = Folder::new();
    for number in 0..4 {
        fs::create_dir(folder.0.join(number.to_string())).unwrap();
        fs::write(folder.0.join(number.to_string()).join("token"), token(number)).unwrap();
    }
    let (link, new) = (folder.0.join("data"), folder.0.join("new"));
    std::os::unix::fs::symlink("0", &link).unwrap();
    let tokens = [0, 1, 2, 3].map(token);
    let done = AtomicBool::new(false);
    let swaps = AtomicUsize::new(0);
    let mut seen = [0_usize; 4];
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let number = swaps.fetch_add(1, Ordering::Relaxed) % 4;
                std::os::unix::fs::symlink(number.to_string(), &new).unwrap();
                fs::rename(&new, &link).unwrap();
            }
        });
        let file = TokenFile::new(link.join("token"));
        for _ in 0..READS {
            let token_read = block_on(file.provide()).unwrap().into_value();
            let number = tokens.iter().position(|token| token == token_read.expose());
            seen[number.unwrap()] += 1;
        }
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!(seen.iter().sum::<usize>(), READS);
    assert!(swaps.load(Ordering::Relaxed) > 100, "{swaps:?}");
}

#[test]
fn a_file_that_is_written_in_place_all_the_time_never_gives_a_token_that_was_not_written() {
    let folder = Folder::new();
    let path = folder.file(token(0));
    let tokens = [0, 1, 2, 3].map(token);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut number = 0;
            while !done.load(Ordering::Relaxed) {
                number = (number + 1) % 4;
                fs::write(&path, &tokens[number]).unwrap();
            }
        });
        let file = TokenFile::new(&path).runtime(Meanwhile(|_| (), Arc::default()));
        for _ in 0..10_000 {
            if let Ok(read) = block_on(file.provide()) {
                assert!(tokens.iter().any(|token| token == read.value().expose()), "torn");
            }
        }
        done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn the_identity_is_the_name_of_the_file() {
    assert_eq!(TokenFile::new("/a").identity(), TokenFile::new("/a").identity());
    assert_ne!(TokenFile::new("/a").identity(), TokenFile::new("/b").identity());
}
