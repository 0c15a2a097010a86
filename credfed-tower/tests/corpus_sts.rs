//! The fuzz corpus of the STS endpoint, replayed: the property holds for every input in it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../../fuzz/properties/sts.rs"]
mod properties;

use std::path::Path;

use proptest::prelude::*;

#[test]
fn sts_form() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/sts_form");
    let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 20, "{}: {} files", folder.display(), files.len());
    for file in files {
        let data = std::fs::read(&file).unwrap();
        let verdict = std::panic::catch_unwind(|| properties::sts_form(&data));
        assert!(verdict.is_ok(), "{}", file.display());
    }
}

proptest! {
    #[test]
    fn pieces_of_forms_in_any_order(
        choices in 0..8_u8,
        pieces in proptest::collection::vec(
            prop_oneof![
                Just("Action=AssumeRole"), Just("Action=GetCallerIdentity"), Just("Version=2011-06-15"),
                Just("RoleArn=arn:aws:iam::123456789012:role/r"), Just("RoleSessionName=ci"), Just("Tags="),
                Just("Tags.member.1.Key=a"), Just("Tags.member.1.Value=b"), Just("%41ction=GetSessionToken"),
                Just("\n"), Just("application/x-www-form-urlencoded"), Just("="), Just("%"), Just("+"),
            ],
            0..12,
        ),
    ) {
        let data = [&[choices][..], pieces.join("&").replace("&\n&", "\n").as_bytes()].concat();
        properties::sts_form(&data);
    }
}
