//! The variables that EKS sets for a pod.

use std::ffi::OsString;

use credfed_core::ErrorKind::{Misconfigured, NotConfigured};
use credfed_core::aws::sts::AssumeRoleWithWebIdentity;
use credfed_core::{Provider, ProviderError};

use crate::support::{Hasty, ROLE, Script, body, checked, xml};

const FILE: (&str, &str) = ("AWS_WEB_IDENTITY_TOKEN_FILE", "/var/run/secrets/token");
const ARN: (&str, &str) = ("AWS_ROLE_ARN", ROLE);
const REGION: (&str, &str) = ("AWS_REGION", "eu-central-1");

fn made(variables: &[(&str, &str)]) -> Result<AssumeRoleWithWebIdentity, ProviderError> {
    let transport = Script::new([xml(200, body("AssumeRoleWithWebIdentity", 0))]).transport(&Hasty::new());
    AssumeRoleWithWebIdentity::from_reader(transport, |name| {
        variables.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value))
    })
}

#[test]
fn file_role_and_region_are_enough() {
    let plain = made(&[FILE, ARN, REGION]).unwrap();
    let text = format!("{plain:?}");
    assert!(text.contains("credfed") && text.contains("sts.eu-central-1.amazonaws.com"), "{text}");
    let named = made(&[FILE, ARN, REGION, ("AWS_ROLE_SESSION_NAME", "pod")]).unwrap();
    assert_ne!(plain.identity(), named.identity());
    let elsewhere = made(&[FILE, ARN, ("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:9000")]).unwrap();
    assert!(format!("{elsewhere:?}").contains("http://127.0.0.1:9000/"));
}

#[test]
fn no_file_is_not_configured_and_anything_else_that_is_missing_is_named() {
    for variables in [&[][..], &[ARN, REGION][..], &[("AWS_WEB_IDENTITY_TOKEN_FILE", " "), ARN, REGION][..]] {
        checked(&made(variables).unwrap_err(), NotConfigured);
    }
    for (variables, missing) in [
        (&[FILE, REGION][..], "AWS_ROLE_ARN is missing"),
        (&[FILE, ("AWS_ROLE_ARN", ""), REGION][..], "AWS_ROLE_ARN is missing"),
        (&[FILE, ARN][..], "AWS_REGION is missing"),
        (&[FILE, ("AWS_ROLE_ARN", "reader"), REGION][..], "RoleArn has 6 characters"),
        (&[FILE, ARN, REGION, ("AWS_ROLE_SESSION_NAME", "a b")][..], "RoleSessionName holds"),
        (&[FILE, ARN, ("AWS_REGION", "a.b")][..], "AWS_REGION: that is no name of a region"),
        (
            &[FILE, ARN, ("AWS_ENDPOINT_URL_STS", "http://far.example/?canary-7f3a")][..],
            "AWS_ENDPOINT_URL_STS: ",
        ),
    ] {
        let text = checked(&made(variables).unwrap_err(), Misconfigured);
        assert!(text.contains(missing), "{text}");
    }
}
