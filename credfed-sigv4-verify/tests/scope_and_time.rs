//! Rules 4 and 5: scope and freshness, every bound on both sides.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::time::{Duration, SystemTime};

use credfed_sigv4_verify::{Carrier, Malformed, Profile, Reason, Verifier};
use http::request::Parts;
use support::by_hand::{ByHand, Presigned};
use support::{Signer, get, now, s3, static_key, verify, verify_at};

fn plain() -> ByHand {
    ByHand::s3("/bucket/key", "/bucket/key", "")
}

fn refused(parts: &Parts) -> Reason {
    verify(&s3(), parts, &static_key()).map(drop).unwrap_err()
}

fn at(verifier: &Verifier, parts: &Parts, time: SystemTime) -> Result<(), Reason> {
    verify_at(verifier, parts, &static_key(), time).map(drop)
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn n13_a_scope_for_another_service_or_region_is_refused() {
    let mut other = plain();
    other.service = "iam";
    let expected = Reason::WrongService { carrier: Carrier::Header, expected: "s3".into() };
    assert_eq!(refused(&other.parts()), expected);

    let mut signer = Signer::s3(Carrier::Header);
    signer.region = "eu-west-1".into();
    let parts = signer.sign(get("https://example.amazonaws.com/"));
    let expected = Reason::WrongRegion { carrier: Carrier::Header, expected: "us-east-1".into() };
    assert_eq!(refused(&parts), expected);
    let anywhere = Verifier::builder().any_region().build().unwrap();
    support::accept(&anywhere, &parts, &static_key());
    let both = Verifier::builder().region("us-east-1").region("eu-west-1").build().unwrap();
    support::accept(&both, &parts, &static_key());

    let presigned =
        Presigned::s3().set("X-Amz-Credential", "AKIDEXAMPLE%2F20150830%2Feu-west-1%2Fs3%2Faws4_request");
    let expected = Reason::WrongRegion { carrier: Carrier::Presigned, expected: "us-east-1".into() };
    assert_eq!(refused(&presigned.parts()), expected);
}

#[test]
fn each_part_of_the_scope_is_covered_by_the_signature() {
    let anything = Verifier::builder().any_region().any_service().build().unwrap();
    let good = plain().authorization();
    support::accept(&anything, &plain().parts(), &static_key());
    for (from, to) in [
        ("/us-east-1/", "/us-east-2/"),
        ("/s3/", "/s4/"),
        ("/20150830/", "/20150831/"),
        ("aws4_request", "aws4_requesT"),
        ("aws4_request", "aws5_request"),
        ("/s3/aws4_request", "/s3/aws4_request/aws4_request"),
        ("/us-east-1", "//us-east-1"),
        ("/us-east-1", ""),
    ] {
        let parts = plain().parts_with(&good.replace(from, to));
        assert!(verify(&anything, &parts, &static_key()).is_err(), "{from} -> {to}");
    }
}

#[test]
fn an_access_key_may_contain_slashes() {
    let header = plain().authorization().replace("AKIDEXAMPLE", "team/a/AKIDEXAMPLE");
    let parts = plain().parts_with(&header);
    let verifier = s3();
    assert_eq!(verifier.parse(&parts).unwrap().access_key(), "team/a/AKIDEXAMPLE");
    // The access key is not part of the signature: who it belongs to is the resolver's answer.
    support::accept(&verifier, &parts, &static_key());
}

#[test]
fn n19_header_requests_outside_the_window_are_refused() {
    let parts = plain().parts();
    let bound = seconds(900);
    for (time, fresh) in [
        (now(), true),
        (now() + bound - seconds(1), true),
        (now() + bound, true),
        (now() + bound + seconds(1), false),
        (now() + bound + Duration::from_nanos(1), false),
        (now() - bound + seconds(1), true),
        (now() - bound, true),
        (now() - bound - seconds(1), false),
        (now() + seconds(86_400), false),
        (now() - seconds(86_400), false),
        (SystemTime::UNIX_EPOCH, false),
    ] {
        let expected = Reason::ClockSkew { signed_at: now(), now: time, max_skew: bound };
        let expected = if fresh { Ok(()) } else { Err(expected) };
        assert_eq!(at(&s3(), &parts, time), expected, "{time:?}");
    }
}

#[test]
fn other_profiles_have_five_minutes_unless_told_otherwise() {
    let parts = Signer { checksum_header: true, ..Signer::general(Carrier::Header) }
        .sign(get("https://example.amazonaws.com/"));
    let general = |skew: Option<u64>| {
        let builder = Verifier::builder()
            .profile(Profile::General { normalize: true })
            .region("us-east-1")
            .service("service");
        match skew {
            Some(skew) => builder.max_skew(seconds(skew)).build(),
            None => builder.build(),
        }
    };
    for (verifier, bound) in
        [(general(None).unwrap(), 300), (general(Some(900)).unwrap(), 900), (general(Some(5)).unwrap(), 5)]
    {
        assert_eq!(at(&verifier, &parts, now() + seconds(bound)), Ok(()));
        assert_eq!(at(&verifier, &parts, now() - seconds(bound)), Ok(()));
        assert!(at(&verifier, &parts, now() + seconds(bound + 1)).is_err());
        assert!(at(&verifier, &parts, now() - seconds(bound + 1)).is_err());
    }
    assert!(general(Some(901)).is_err());
}

#[test]
fn n19_presigned_requests_outside_their_life_are_refused() {
    let parts = Presigned::s3().set("X-Amz-Expires", "60").parts();
    let early = |time| Err(Reason::PresignedNotYetValid { expires_in: 60, signed_at: now(), now: time });
    let late = |time| Err(Reason::PresignedExpired { expires_in: 60, signed_at: now(), now: time });
    for (offset, expected) in [(0, Ok(())), (59, Ok(())), (60, Ok(())), (61, late(now() + seconds(61)))] {
        assert_eq!(at(&s3(), &parts, now() + seconds(offset)), expected, "+{offset}");
    }
    for (offset, expected) in [(1, Ok(())), (900, Ok(())), (901, early(now() - seconds(901)))] {
        assert_eq!(at(&s3(), &parts, now() - seconds(offset)), expected, "-{offset}");
    }
    let week = Presigned::s3().set("X-Amz-Expires", "604800").parts();
    assert_eq!(at(&s3(), &week, now() + seconds(604_800)), Ok(()));
    assert!(at(&s3(), &week, now() + seconds(604_801)).is_err());
}

#[test]
fn n20_expires_is_a_number_of_seconds_up_to_a_week() {
    for bad in [
        "0",
        "-1",
        "604801",
        "1.5",
        "%205",
        "05",
        "+5",
        "1e3",
        "0x10",
        "18446744073709551616",
        "18446744073709552000",
        "",
        "NaN",
        "%35",
    ] {
        let parts = Presigned::s3().set("X-Amz-Expires", bad).parts();
        assert_eq!(refused(&parts), Reason::Malformed(Carrier::Presigned, Malformed::Expires), "{bad}");
    }
    let twice = Presigned::s3().add("X-Amz-Expires", "3600").parts();
    let expected = Reason::Malformed(Carrier::Presigned, Malformed::DuplicateOrVariant);
    assert_eq!(refused(&twice), expected);
}

#[test]
fn a_session_that_is_over_ends_its_presigned_requests() {
    let parts = Presigned::s3().parts();
    let key = static_key().not_after(now() + seconds(30));
    assert_eq!(verify_at(&s3(), &parts, &key, now() + seconds(29)).map(drop), Ok(()));
    let verified = verify_at(&s3(), &parts, &key, now() + seconds(30)).map(drop);
    assert_eq!(verified, Err(Reason::ExpiredToken));
}

#[test]
fn n19_the_scope_is_of_the_day_of_the_request() {
    // Signed for the 30th, dated a second after midnight of the 31st.
    let request = plain().without("x-amz-date").header("x-amz-date", "20150831T000001Z");
    let midnight = now() + seconds(11 * 3600 + 24 * 60 + 1);
    assert_eq!(at(&s3(), &request.parts(), midnight), Err(Reason::ScopeDate(Carrier::Header)));
    let presigned = Presigned::s3().set("X-Amz-Date", "20150831T000001Z").parts();
    assert_eq!(at(&s3(), &presigned, midnight), Err(Reason::ScopeDate(Carrier::Presigned)));
}

#[test]
fn n19_what_is_no_date_is_refused() {
    for bad in [
        "not-a-date",
        "",
        "20150830",
        "2015-08-30T12:36:00Z",
        "20150830T123600",
        "20150830T123600+0000",
        "Sun, 30 Aug 2015 12:36:00 GMT",
        "20150830T126000Z",
        "1440938160",
    ] {
        let request = plain().without("x-amz-date").header("x-amz-date", bad);
        let expected = Reason::Malformed(Carrier::Header, Malformed::Date);
        assert_eq!(refused(&request.parts()), expected, "{bad}");
        let encoded = bad.replace(' ', "%20");
        let presigned = Presigned::s3().set("X-Amz-Date", &encoded).parts();
        let expected = Reason::Malformed(Carrier::Presigned, Malformed::Date);
        assert_eq!(refused(&presigned), expected, "{bad}");
    }
    let none = plain().without("x-amz-date").parts();
    assert_eq!(refused(&none), Reason::Malformed(Carrier::Header, Malformed::Date));
}

#[test]
fn the_date_header_stands_in_for_x_amz_date() {
    for value in ["Sun, 30 Aug 2015 12:36:00 GMT", "20150830T123600Z"] {
        let request = plain().without("x-amz-date").header("date", value);
        support::accept(&s3(), &request.parts(), &static_key());
    }
    for value in ["Mon, 30 Aug 2015 12:36:00 GMT", "Sunday, 30-Aug-15 12:36:00 GMT", "now"] {
        let request = plain().without("x-amz-date").header("date", value);
        let expected = Reason::Malformed(Carrier::Header, Malformed::Date);
        assert_eq!(refused(&request.parts()), expected, "{value}");
    }
    let request = plain().without("x-amz-date").header("date", "Sun, 30 Aug 2015 12:36:00 GMT");
    let twice = support::with_header(request.parts(), "date", "Sun, 30 Aug 2015 12:36:00 GMT");
    assert_eq!(refused(&twice), Reason::MalformedRequest(Malformed::RepeatedHeader));
    // Beside x-amz-date it has no say.
    let request = plain().header("date", "Mon, 31 Aug 2015 23:59:59 GMT");
    support::accept(&s3(), &request.parts(), &static_key());
}

#[test]
fn a_verifier_needs_to_know_what_it_serves() {
    assert!(Verifier::builder().build().is_err());
    assert!(Verifier::builder().region("").build().is_err());
    assert!(Verifier::builder().region("us-east-1").any_region().build().is_err());
    let general = Verifier::builder().profile(Profile::General { normalize: false }).any_region();
    assert!(general.clone().build().is_err());
    assert!(general.clone().service("execute-api").any_service().build().is_err());
    assert!(general.any_service().build().is_ok());
    assert!(Verifier::builder().profile(Profile::Sts).any_region().build().is_ok());
}
