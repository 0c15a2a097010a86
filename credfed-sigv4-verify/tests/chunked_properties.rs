//! Random uploads: what was signed comes out, however it is cut; what was changed does not.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use bytes::Bytes;
use credfed_sigv4_verify::{Limits, Reason};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use support::chunked::{Form, Mode, Upload, cut, drive};

fn upload() -> impl Strategy<Value = Upload> {
    let data = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        prop::collection::vec(select(b"\r\n0;:".as_slice()), 0..60),
        prop::collection::vec(any::<u8>(), 5_000..9_000),
    ];
    (select(Mode::ALL.as_slice()), select([Form::Sdk, Form::MinioGo].as_slice()), data, 1..4_000_usize)
        .prop_map(|(mode, form, data, size)| {
            // Not thousands of chunks.
            let size = size.max(data.len() / 20);
            Upload::new(mode, &data, size).form(form)
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_signed_comes_out_however_it_is_cut(
        upload in upload(),
        places in prop::collection::vec(any::<Index>(), 0..40),
    ) {
        let body = upload.body();
        prop_assert_eq!(upload.judge(&body), (upload.data(), Ok(())));
        let mut at: Vec<_> = places.iter().map(|place| place.index(body.len() + 1)).collect();
        at.sort_unstable();
        prop_assert_eq!(drive(upload.check(), cut(&body, &at)), (upload.data(), Ok(())));
    }

    #[test]
    fn what_was_changed_is_refused_alike_however_it_is_cut(
        upload in upload(),
        place in any::<Index>(),
        change in 0..4_u8,
        byte in any::<u8>(),
        places in prop::collection::vec(any::<Index>(), 0..10),
    ) {
        let mut body = upload.body();
        let at = place.index(body.len());
        match change {
            0 => body[at] = byte,
            1 => body.insert(at, byte),
            2 => drop(body.remove(at)),
            _ => {
                let other = usize::from(byte) % body.len();
                body.swap(at, other);
            }
        }
        let (out, verdict) = upload.judge(&body);
        let mut at: Vec<_> = places.iter().map(|place| place.index(body.len() + 1)).collect();
        at.sort_unstable();
        let (cut_out, cut_verdict) = drive(upload.check(), cut(&body, &at));
        prop_assert_eq!(&verdict, &cut_verdict);
        match verdict {
            // The same in other words: hex digits in another case, a zero in front.
            Ok(()) => prop_assert_eq!((&out, &cut_out), (&upload.data(), &upload.data())),
            Err(_) => {
                prop_assert!(out.len() < upload.data().len().max(1));
                prop_assert!(cut_out.len() < upload.data().len().max(1));
                if upload.mode.is_signed() {
                    prop_assert!(upload.data().starts_with(&out) && upload.data().starts_with(&cut_out));
                }
            }
        }
    }

    #[test]
    fn nothing_makes_the_decoder_panic(
        mode in select(Mode::ALL.as_slice()),
        lines in prop::collection::vec("[0-9a-f]{0,4}(;chunk-signature=[0-9a-f]{0,3})?\r?\n?|\\PC{0,20}", 0..20),
    ) {
        let upload = Upload::new(mode, &[7; 4096], 4096);
        let (out, verdict) = upload.judge(lines.concat().as_bytes());
        prop_assert!(verdict.is_err());
        prop_assert!(!mode.is_signed() || out.is_empty());
    }
}

/// The bytes that are kept: of signed chunks one at a time, of unsigned ones next to nothing.
#[test]
fn memory_is_bounded_by_one_signed_chunk() {
    let data = vec![7; 1 << 20];
    for mode in Mode::ALL {
        let upload = Upload::new(mode, &data, 64 * 1024);
        let body = Bytes::from(upload.body());
        for frame in [1, 1000, 16 * 1024] {
            let mut check = upload.check();
            let mut most = 0;
            for at in (0..body.len()).step_by(frame) {
                check.push(body.slice(at..body.len().min(at + frame))).unwrap();
                while check.pop().is_some() {}
                most = most.max(check.held());
            }
            check.finish().unwrap();
            let bound = if mode.is_signed() { 64 * 1024 + frame } else { frame };
            assert!(most <= bound, "{mode:?}: {most} bytes with frames of {frame}");
        }
    }
}

#[test]
fn large_frames_are_not_copied() {
    for mode in Mode::ALL {
        let upload = Upload::new(mode, &vec![7; 256 * 1024], 64 * 1024);
        let body = Bytes::from(upload.body());
        let memory = body.as_ptr_range();
        let mut check = upload.check();
        for at in (0..body.len()).step_by(16 * 1024) {
            check.push(body.slice(at..body.len().min(at + 16 * 1024))).unwrap();
            while let Some(data) = check.pop() {
                assert!(data.len() < 1024 || memory.contains(&data.as_ptr()), "{mode:?}");
            }
        }
        check.finish().unwrap();
    }
}

#[test]
fn a_size_line_commits_no_memory() {
    let limit = Limits::default().signed_chunk;
    for mode in Mode::ALL {
        let upload = Upload::new(mode, &vec![7; limit], limit);
        let mut check = upload.check();
        check.push(Bytes::from(upload.pieces()[0].clone())).unwrap();
        assert_eq!(check.held(), 0);
        assert_eq!(check.finish(), Err(Reason::IncompleteBody));
    }
}
