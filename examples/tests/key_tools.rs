//! The tools `keyring` and `issuer`, run as programs.

#![allow(clippy::unwrap_used, reason = "only tests call this")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const KEYRING: &str = env!("CARGO_BIN_EXE_keyring");
const ISSUER: &str = env!("CARGO_BIN_EXE_issuer");

fn run(tool: &str, arguments: &[&str], file: &Path) -> Output {
    command(tool, arguments, file).output().unwrap()
}

fn command(tool: &str, arguments: &[&str], file: &Path) -> Command {
    let mut command = Command::new(tool);
    command.arg(arguments[0]).arg(file).args(&arguments[1..]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// What a tool showed, without the head line.
fn keys(output: &Output) -> usize {
    assert!(output.status.success(), "{}", said(output));
    String::from_utf8_lossy(&output.stdout).lines().count() - 1
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_file_that_is_there_is_not_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    for (tool, alg) in [(KEYRING, &["new"][..]), (ISSUER, &["new", "--alg", "ES256"])] {
        let file = folder.path().join("keys.json");
        assert_eq!(keys(&run(tool, alg, &file)), 1);
        let before = fs::read(&file).unwrap();
        let again = run(tool, alg, &file);
        assert!(!again.status.success());
        assert!(
            said(&again).contains("it is there already: rotate it, or name another file"),
            "{}",
            said(&again)
        );
        assert_eq!(fs::read(&file).unwrap(), before);
        fs::remove_file(&file).unwrap();
    }
}

#[test]
fn every_rotation_that_was_confirmed_is_in_the_file_however_many_run_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let ring = folder.path().join("ring.json");
    assert_eq!(keys(&run(KEYRING, &["new"], &ring)), 1);
    // Far enough apart that no two become current in the same second.
    let rotate = |hours| command(KEYRING, &["rotate", &format!("--activate-in={hours}h")], &ring);
    let running: Vec<_> = (1..=8).map(|hours| rotate(hours).spawn().unwrap()).collect();
    let ended: Vec<_> = running.into_iter().map(|child| child.wait_with_output().unwrap()).collect();
    let (confirmed, refused): (Vec<_>, Vec<_>) = ended.iter().partition(|output| output.status.success());
    for output in refused {
        assert!(said(output).contains("another change of it is under way: try again"), "{}", said(output));
    }
    assert!(!confirmed.is_empty());
    assert_eq!(keys(&run(KEYRING, &["show"], &ring)), 1 + confirmed.len());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left");
}

#[cfg(unix)]
#[test]
fn a_file_of_another_user_is_not_taken_away_from_it() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    let folder = tempfile::tempdir().unwrap();
    let ring = folder.path().join("ring.json");
    assert_eq!(keys(&run(KEYRING, &["new"], &ring)), 1);
    let before = fs::read(&ring).unwrap();
    fs::set_permissions(&ring, fs::Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    // Another user may write to the folder and read the ring, and still must not make it its own.
    let mut rotate = command(KEYRING, &["rotate"], &ring);
    let Ok(output) = rotate.uid(65_534).gid(65_534).output() else {
        // Only root becomes another user.
        return;
    };
    assert!(!output.status.success());
    assert!(said(&output).contains("it belongs to another user"), "{}", said(&output));
    assert_eq!(fs::read(&ring).unwrap(), before);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}
