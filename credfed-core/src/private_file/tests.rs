use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;

use super::*;

struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let name = format!("credfed-private-{:016x}", RandomState::new().hash_one(0));
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn ring(&self) -> PathBuf {
        self.0.join("ring.json")
    }

    fn beside(&self) -> PathBuf {
        self.0.join(".ring.json.credfed-new")
    }

    fn count(&self) -> usize {
        fs::read_dir(&self.0).unwrap().count()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn text(text: &str) -> Secret {
    Secret::new(text)
}

#[test]
fn what_is_written_is_read_and_nothing_else_is_left() {
    let folder = Folder::new();
    for words in ["first", "the second, longer"] {
        write(&folder.ring(), &text(words)).unwrap();
        assert_eq!(read(&folder.ring(), 100).unwrap().expose(), words);
    }
    assert_eq!(folder.count(), 1);
}

#[test]
fn a_file_that_is_too_long_is_refused_and_one_at_the_limit_is_not() {
    let folder = Folder::new();
    write(&folder.ring(), &text("12345")).unwrap();
    assert_eq!(read(&folder.ring(), 5).unwrap().expose(), "12345");
    assert_eq!(read(&folder.ring(), 4).unwrap_err(), FileError::TooLong);
}

#[test]
fn while_one_changes_the_file_nobody_else_does() {
    let folder = Folder::new();
    write(&folder.ring(), &text("old")).unwrap();
    let claim = Claim::of(&folder.ring()).unwrap();
    assert_eq!(write(&folder.ring(), &text("other")).unwrap_err(), FileError::Busy);
    assert_eq!(create(&folder.0.join("new.json"), &text("another file")), Ok(()));
    assert_eq!(Claim::of(&folder.ring()).err(), Some(FileError::Busy));
    assert_eq!(claim.read(100).unwrap().expose(), "old");
    claim.put(&text("new")).unwrap();
    assert_eq!(read(&folder.ring(), 100).unwrap().expose(), "new");
    drop(Claim::of(&folder.ring()).unwrap());
    write(&folder.ring(), &text("newer")).unwrap();
}

#[test]
fn a_file_that_is_made_in_between_is_not_replaced() {
    let folder = Folder::new();
    let claim = Claim::of(&folder.ring()).unwrap();
    fs::write(folder.ring(), "somebody else's").unwrap();
    assert_eq!(claim.put_new(&text("mine")), Err(FileError::Exists));
    assert_eq!(fs::read_to_string(folder.ring()).unwrap(), "somebody else's");
    assert_eq!(folder.count(), 1);
}

#[test]
fn what_a_crash_left_is_cleared_away_and_not_written_to() {
    let folder = Folder::new();
    write(&folder.ring(), &text("old")).unwrap();
    fs::write(folder.beside(), "half of a te").unwrap();
    let still_open = File::open(folder.beside()).unwrap();
    write(&folder.ring(), &text("new")).unwrap();
    assert_eq!(read(&folder.ring(), 100).unwrap().expose(), "new");
    assert_eq!(io::read_to_string(still_open).unwrap(), "half of a te");
    assert_eq!(folder.count(), 1);
}

#[test]
fn what_a_crash_left_of_making_a_file_is_not_the_file() {
    let folder = Folder::new();
    create(&folder.ring(), &text("made")).unwrap();
    // It crashed after the link was made: both names are one file.
    fs::hard_link(folder.ring(), folder.beside()).unwrap();
    drop(Claim::of(&folder.ring()).unwrap());
    assert_eq!(read(&folder.ring(), 100).unwrap().expose(), "made");
    assert_eq!(folder.count(), 1);
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};

    use super::*;

    #[test]
    fn only_the_owner_may_read_what_is_written() {
        let folder = Folder::new();
        write(&folder.ring(), &text("secret")).unwrap();
        assert!(!others_may_read(&File::open(folder.ring()).unwrap()));
        fs::set_permissions(folder.ring(), fs::Permissions::from_mode(0o640)).unwrap();
        assert!(others_may_read(&File::open(folder.ring()).unwrap()));
        write(&folder.ring(), &text("secret")).unwrap();
        assert!(!others_may_read(&File::open(folder.ring()).unwrap()));
    }

    #[test]
    fn a_link_stays_a_link() {
        let folder = Folder::new();
        let link = folder.0.join("link");
        fs::write(folder.ring(), "old").unwrap();
        symlink(folder.ring(), &link).unwrap();
        write(&link, &text("new")).unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read_to_string(folder.ring()).unwrap(), "new");
        // By whichever name it is changed, there is one claim.
        let claim = Claim::of(&folder.ring()).unwrap();
        assert_eq!(write(&link, &text("newer")), Err(FileError::Busy));
        drop(claim);
    }

    #[test]
    fn a_link_that_leads_nowhere_is_neither_replaced_nor_followed() {
        let folder = Folder::new();
        let nowhere = folder.0.join("nowhere");
        symlink(&nowhere, folder.ring()).unwrap();
        assert_eq!(write(&folder.ring(), &text("new")), Err(FileError::Dangling));
        assert_eq!(create(&folder.ring(), &text("new")), Err(FileError::Dangling));
        assert!(folder.ring().is_symlink() && !nowhere.exists());
    }

    #[test]
    fn what_is_no_regular_file_is_not_replaced() {
        let folder = Folder::new();
        assert!(std::process::Command::new("mkfifo").arg(folder.ring()).status().unwrap().success());
        assert_eq!(write(&folder.ring(), &text("new")), Err(FileError::NotAFile));
        assert_eq!(write(&folder.0, &text("new")), Err(FileError::NotAFile));
        assert_eq!(folder.count(), 1);
    }

    #[test]
    fn what_lies_in_the_way_and_is_not_ours_is_left_alone() {
        let folder = Folder::new();
        write(&folder.ring(), &text("old")).unwrap();
        let theirs = folder.0.join("theirs");
        fs::write(&theirs, "theirs").unwrap();
        symlink(&theirs, folder.beside()).unwrap();
        assert_eq!(write(&folder.ring(), &text("new")), Err(FileError::InTheWay));
        fs::remove_file(folder.beside()).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(folder.beside()).status().unwrap().success());
        assert_eq!(write(&folder.ring(), &text("new")), Err(FileError::InTheWay));
        assert_eq!(fs::read_to_string(&theirs).unwrap(), "theirs");
        assert_eq!(read(&folder.ring(), 100).unwrap().expose(), "old");
    }

    #[test]
    fn the_owner_and_the_group_stay_the_same() {
        let folder = Folder::new();
        write(&folder.ring(), &text("old")).unwrap();
        // Only root can give files away, so this shows something only where root runs it.
        if chown(folder.ring(), Some(4321), Some(4322)).is_err() {
            return;
        }
        write(&folder.ring(), &text("new")).unwrap();
        let metadata = fs::metadata(folder.ring()).unwrap();
        assert_eq!((metadata.uid(), metadata.gid()), (4321, 4322));
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    }
}
