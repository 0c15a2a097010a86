//! What holds for every answer of a Security Token Service. Run by the fuzzer, and by `cargo test` over the corpus
//! that is checked in.

use std::time::{Duration, SystemTime};

use credfed_core::aws::sts::AssumeRoleWithWebIdentityRequest;

/// Input: a byte that chooses the status, then a body. It is a whole credential or an error of printable text.
#[allow(clippy::unwrap_used, clippy::panic, reason = "a property fails by panicking")]
pub(crate) fn sts_xml(data: &[u8]) {
    const STATUS: [u16; 4] = [200, 400, 403, 503];
    let Some((choice, body)) = data.split_first() else { return };
    let status = STATUS[usize::from(*choice) % STATUS.len()];
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_773_600);
    let request = AssumeRoleWithWebIdentityRequest::builder("arn:aws:iam:::role/W1", "ci")
        .duration(Duration::from_secs(3_600))
        .build()
        .unwrap();
    let answer = http::Response::builder()
        .status(status)
        .header("content-type", "text/xml")
        .body(bytes::Bytes::copy_from_slice(body))
        .unwrap();
    match request.parse(answer, now) {
        Ok(credential) => {
            assert_eq!(status, 200);
            let lifetime = credential.lifetime(now).unwrap();
            assert!(lifetime > Duration::ZERO && lifetime <= Duration::from_secs(3_900));
            let keys = credential.into_value();
            let token = keys.session_token().unwrap().expose();
            let text = std::str::from_utf8(body).unwrap();
            for field in ["AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration"] {
                assert!(text.contains(&format!("<{field}")), "a field from nowhere: {field}");
            }
            for value in [keys.access_key_id(), keys.secret_access_key().expose(), token] {
                assert!(!value.is_empty() && value.bytes().all(|byte| byte.is_ascii_graphic()));
                assert!(text.contains('&') || text.contains(value), "a value from nowhere");
            }
        }
        Err(error) => {
            let text = error.to_string();
            assert!(!text.is_empty() && !text.chars().any(char::is_control));
        }
    }
}
