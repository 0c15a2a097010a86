//! The fuzz corpus that is checked in, replayed: the property holds for every input in it.

use std::path::Path;

#[path = "../../../fuzz/properties/sts_xml.rs"]
mod properties;

#[test]
fn sts_xml() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/sts_xml");
    let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 20, "{}: {} files", folder.display(), files.len());
    for file in files {
        let data = std::fs::read(&file).unwrap();
        let verdict = std::panic::catch_unwind(|| properties::sts_xml(&data));
        assert!(verdict.is_ok(), "{}", file.display());
    }
}
