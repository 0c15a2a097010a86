//! x-amz-region-set: mandatory, once, covered, in the carrier, one of them served (rule 4).

use credfed_sigv4_verify::{Carrier, Malformed, Protocol, Reason, Verifier};
use http::request::Parts;

use crate::support::by_hand::{ByHand, Presigned};
use crate::support::{self, static_key, with_header, with_target, without_header};
use crate::{plain, refused, verdict};

fn header(regions: &str) -> Parts {
    plain().without("x-amz-region-set").header("x-amz-region-set", regions).parts()
}

fn presigned(regions: &str) -> Parts {
    let escaped = regions.replace(',', "%2C").replace('*', "%2A").replace(' ', "%20");
    Presigned::s3().asymmetric().set("X-Amz-Region-Set", &escaped).parts()
}

fn both(regions: &str) -> [(Carrier, Parts); 2] {
    [(Carrier::Header, header(regions)), (Carrier::Presigned, presigned(regions))]
}

#[test]
fn one_of_the_regions_has_to_be_served() {
    let served = |regions: &[&str]| {
        let builder = regions.iter().fold(Verifier::builder(), |builder, region| builder.region(*region));
        builder.accept_sigv4a().build().unwrap()
    };
    let verifier = served(&["eu-west-1", "us-east-1"]);
    for regions in [
        "us-east-1",
        "eu-west-1",
        "us-east-1,ap-south-1",
        "ap-south-1,us-east-1",
        "ap-south-1, us-east-1",
        "*",
        "ap-south-1,*",
    ] {
        for (carrier, parts) in both(regions) {
            assert_eq!(verdict(&verifier, &parts, &static_key()), Ok(()), "{carrier:?} {regions}");
        }
    }
    for regions in [
        "ap-south-1",
        "us-east-2,us-west-1",
        "us-east",
        "US-EAST-1",
        "us-east-11",
        "us-*",
        "us-east-*",
        "**",
        "eu-west-?",
    ] {
        for (carrier, parts) in both(regions) {
            let expected = Reason::WrongRegion { carrier, expected: "eu-west-1".into() };
            assert_eq!(verdict(&verifier, &parts, &static_key()), Err(expected.clone()), "{regions}");
            // Before any key is looked up.
            assert_eq!(verifier.parse(&parts).map(drop), Err(expected));
        }
    }
}

#[test]
fn where_every_region_is_served_any_set_will_do_but_there_has_to_be_one() {
    let any = Verifier::builder().any_region().accept_sigv4a().build().unwrap();
    for regions in ["us-east-1", "*", "us-*", "nowhere,else"] {
        for (carrier, parts) in both(regions) {
            assert_eq!(verdict(&any, &parts, &static_key()), Ok(()), "{carrier:?} {regions}");
        }
    }
    for regions in ["", ","] {
        for (carrier, parts) in both(regions) {
            let malformed = Err(Reason::Malformed(carrier, Malformed::RegionSet));
            assert_eq!(verdict(&any, &parts, &static_key()), malformed, "{regions:?}");
        }
    }
}

#[test]
fn a_set_that_is_missing_or_no_list_is_refused() {
    let long = "us-east-1,".repeat(110) + "us-east-1";
    for regions in ["", ",", "us-east-1,", "us-east-1,,*", "us east 1", "a/b", "us-east-1;*", &long] {
        for (carrier, parts) in both(regions) {
            assert_eq!(refused(&parts), Reason::Malformed(carrier, Malformed::RegionSet), "{regions:?}");
        }
    }
    let without = plain().without("x-amz-region-set");
    assert_eq!(refused(&without.parts()), Reason::Malformed(Carrier::Header, Malformed::RegionSet));
    let without = Presigned::s3().asymmetric().remove("X-Amz-Region-Set").parts();
    assert_eq!(refused(&without), Reason::Malformed(Carrier::Presigned, Malformed::RegionSet));
}

#[test]
fn the_set_comes_once_and_in_the_carrier() {
    // Twice in the header, signed as both together.
    let twice = plain().without("x-amz-region-set").header("x-amz-region-set", "us-east-1,*");
    let one = replaced(twice.parts(), "us-east-1");
    let repeated = Reason::MalformedRequest(Malformed::RepeatedHeader);
    assert_eq!(refused(&with_header(one, "x-amz-region-set", "*")), repeated);
    // Header and query.
    for name in ["X-Amz-Region-Set", "x-amz-region-set"] {
        let target = format!("/bucket/key?{name}=us-east-1");
        let query = format!("{name}=us-east-1");
        let parts = ByHand::s3(&target, "/bucket/key", &query).asymmetric().parts();
        assert_eq!(refused(&parts), Reason::TwoCarriers);
    }
    let signed = Presigned::s3().asymmetric().header("x-amz-region-set", "us-east-1").parts();
    assert_eq!(refused(&signed), Reason::TwoCarriers);
    // In a presigned request a header is none in place of the parameter.
    let moved =
        Presigned::s3().asymmetric().remove("X-Amz-Region-Set").header("x-amz-region-set", "us-east-1");
    assert_eq!(refused(&moved.parts()), Reason::TwoCarriers);
    let query = Presigned::s3().asymmetric().wire_query();
    let duplicate = Reason::Malformed(Carrier::Presigned, Malformed::DuplicateOrVariant);
    for twin in ["X-Amz-Region-Set=*", "x-amz-region-set=*", "X-Amz-Region%2DSet=*"] {
        let parts = Presigned::s3().asymmetric().parts_with(&format!("{query}&{twin}"));
        assert_eq!(refused(&parts), duplicate, "{twin}");
    }
}

#[test]
fn the_set_is_covered_by_the_signature() {
    let unsigned = with_header(plain().without("x-amz-region-set").parts(), "x-amz-region-set", "us-east-1");
    assert_eq!(refused(&unsigned), Reason::UnsignedHeaders(vec!["x-amz-region-set".into()]));
    let other = plain().without("x-amz-region-set").header("x-amz-region-set", "eu-west-1");
    assert_eq!(refused(&replaced(other.parts(), "us-east-1")), Reason::SignatureMismatch);
    let query = Presigned::s3().asymmetric().set("X-Amz-Region-Set", "eu-west-1").wire_query();
    let target = format!("/bucket/key?{}", query.replace("Set=eu-west-1", "Set=us-east-1"));
    let parts = with_target(Presigned::s3().asymmetric().parts(), &target);
    assert_eq!(refused(&parts), Reason::SignatureMismatch);
}

#[test]
fn a_wrong_region_is_answered_as_with_sigv4() {
    for (reason, code) in both("eu-west-1").map(|(carrier, parts)| {
        let code = match carrier {
            Carrier::Presigned => "AuthorizationQueryParametersError",
            _ => "AuthorizationHeaderMalformed",
        };
        (refused(&parts), code)
    }) {
        assert_eq!((reason.code(Protocol::S3), reason.status(Protocol::S3).as_u16()), (code, 400));
        assert_eq!(reason.fields(), [("Region", "us-east-1".to_owned())]);
        assert_eq!(reason.rule(), Some(4));
    }
    let missing = refused(&plain().without("x-amz-region-set").parts());
    assert_eq!((missing.code(Protocol::S3), missing.rule()), ("AuthorizationHeaderMalformed", Some(4)));
}

/// SigV4 has no set of regions: a signed header of that name is a header, and decides nothing.
#[test]
fn with_sigv4_the_header_has_no_say() {
    let parts = ByHand::s3("/bucket/key", "/bucket/key", "").header("x-amz-region-set", "eu-west-1").parts();
    let verifier = support::s3_asymmetric();
    assert_eq!(verdict(&verifier, &parts, &static_key()), Ok(()));
    assert_eq!(verifier.parse(&parts).unwrap().region_set(), None);
    let presigned = Presigned::s3().add("X-Amz-Region-Set", "us-east-1").parts();
    assert_eq!(refused(&presigned), Reason::Malformed(Carrier::Presigned, Malformed::Grammar));
}

fn replaced(parts: Parts, regions: &str) -> Parts {
    with_header(without_header(parts, "x-amz-region-set"), "x-amz-region-set", regions)
}
