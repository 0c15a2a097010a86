//! POST forms signed by the book, as the bytes of a body.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::{ACCESS_KEY, REGION, secret};

pub const BOUNDARY: &str = "----a-boundary";
pub const FILE: &[u8] = b"the bytes of the file\r\n--, and\r\n----a-boundar almost a boundary\r";
const DATE: &str = "20261120T120000Z";

/// An upload of `user/photo.jpg` into `bucket`, for an hour from noon.
pub struct Form {
    pub fields: Vec<(String, String)>,
    pub conditions: Vec<String>,
    pub secret: String,
    pub file: Option<Vec<u8>>,
    /// Written behind the file, before the last boundary.
    pub after_file: String,
    pub last_boundary: bool,
}

impl Form {
    pub fn new() -> Self {
        Self {
            fields: vec![("key".into(), "user/${filename}".into())],
            conditions: vec![r#"{"bucket":"bucket"}"#.into(), r#"["starts-with","$key","user/"]"#.into()],
            secret: secret().into(),
            file: Some(FILE.to_vec()),
            after_file: String::new(),
            last_boundary: true,
        }
    }

    pub fn field(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.into(), value.into()));
        self
    }

    pub fn condition(mut self, json: &str) -> Self {
        self.conditions.push(json.into());
        self
    }

    /// A size range in bytes.
    pub fn size(self, least: usize, most: usize) -> Self {
        self.condition(&format!("[\"content-length-range\",{least},{most}]"))
    }

    pub fn body(&self) -> Vec<u8> {
        let scope = format!("20261120/{REGION}/s3/aws4_request");
        let credential = format!("{ACCESS_KEY}/{scope}");
        let own = [("algorithm", "AWS4-HMAC-SHA256"), ("credential", &credential), ("date", DATE)];
        let mut conditions = self.conditions.clone();
        conditions.extend(own.map(|(name, value)| format!("{{\"x-amz-{name}\":\"{value}\"}}")));
        let policy = STANDARD.encode(format!(
            "{{\"expiration\":\"2026-11-20T13:00:00Z\",\"conditions\":[{}]}}",
            conditions.join(",")
        ));
        let mut key = format!("AWS4{}", self.secret).into_bytes();
        for part in scope.split('/').chain([policy.as_str()]) {
            let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("any length");
            mac.update(part.as_bytes());
            key = mac.finalize().into_bytes().to_vec();
        }
        let signature: String = key.iter().map(|byte| format!("{byte:02x}")).collect();

        let mut fields = self.fields.clone();
        fields.extend(own.map(|(name, value)| (format!("x-amz-{name}"), value.to_owned())));
        fields.extend([("policy".into(), policy), ("x-amz-signature".into(), signature)]);
        let mut body = Vec::new();
        for (name, value) in &fields {
            body.extend_from_slice(part(name, "", value).as_bytes());
        }
        if let Some(file) = &self.file {
            let head = part("file", "; filename=\"C:\\dir\\photo.jpg\"\r\nContent-Type: text/plain", "");
            body.extend_from_slice(head.trim_end_matches("\r\n").as_bytes());
            body.extend_from_slice(b"\r\n\r\n");
            body.extend_from_slice(file);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(self.after_file.as_bytes());
        if self.last_boundary {
            body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
        }
        body
    }
}

/// One part with its line end.
pub fn part(name: &str, more: &str, value: &str) -> String {
    format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"{more}\r\n\r\n{value}\r\n")
}
