//! POST forms signed by the book, for what honest signers make and for what they do not.

use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use credfed_sigv4_verify::{Reason, ResolvedKey, VerifiedForm, Verifier};
use hmac::{Hmac, KeyInit, Mac};
use http::request::Parts;
use sha2::Sha256;

use super::{ACCESS_KEY, SECRET, hex, now, s3, static_key};

/// The date of every form that is signed here.
pub(crate) const DATE: &str = "20150830T123600Z";
const SCOPE: &str = "20150830/us-east-1/s3/aws4_request";

/// A form before it is signed. Starts as an upload of `user/photo.jpg` into `bucket`, for an hour.
#[derive(Debug, Clone)]
pub(crate) struct Unsigned {
    pub(crate) fields: Vec<(String, String)>,
    /// Each as JSON.
    pub(crate) conditions: Vec<String>,
    pub(crate) expiration: String,
    pub(crate) scope: String,
    pub(crate) date: String,
}

impl Unsigned {
    pub(crate) fn new() -> Self {
        Self {
            fields: vec![("key".into(), "user/photo.jpg".into())],
            conditions: vec![exact("bucket", "bucket"), exact("key", "user/photo.jpg")],
            expiration: "2015-08-30T13:36:00Z".into(),
            scope: SCOPE.into(),
            date: DATE.into(),
        }
    }

    /// Without key and conditions but the bucket's.
    pub(crate) fn keyed(key: &str, condition: &str) -> Self {
        let mut this = Self::new();
        this.fields = vec![("key".into(), key.into())];
        this.conditions = vec![exact("bucket", "bucket")];
        this.condition(condition)
    }

    pub(crate) fn field(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.into(), value.into()));
        self
    }

    pub(crate) fn condition(mut self, json: &str) -> Self {
        self.conditions.push(json.into());
        self
    }

    /// A field and the condition that matches it exactly.
    pub(crate) fn exactly(self, name: &str, value: &str) -> Self {
        self.field(name, value).condition(&exact(name, value))
    }

    pub(crate) fn token(self, token: &str) -> Self {
        self.exactly("x-amz-security-token", token)
    }

    /// The policy document.
    pub(crate) fn json(&self) -> String {
        let credential = format!("{ACCESS_KEY}/{}", self.scope);
        let own = [
            exact("x-amz-algorithm", "AWS4-HMAC-SHA256"),
            exact("x-amz-credential", &credential),
            exact("x-amz-date", &self.date),
        ];
        let conditions: Vec<_> = self.conditions.iter().chain(&own).map(String::as_str).collect();
        format!("{{\"expiration\":\"{}\",\"conditions\":[{}]}}", self.expiration, conditions.join(","))
    }

    pub(crate) fn sign(&self) -> Sent {
        self.sign_json(&self.json())
    }

    /// Signs another document in place of [`json`](Self::json).
    pub(crate) fn sign_json(&self, json: &str) -> Sent {
        self.sign_text(&STANDARD.encode(json))
    }

    /// Signs `policy` as it stands.
    pub(crate) fn sign_text(&self, policy: &str) -> Sent {
        let mut sent = Sent {
            fields: self.fields.clone(),
            bucket: "bucket".into(),
            filename: Some("photo.jpg".into()),
            size: None,
        };
        let credential = format!("{ACCESS_KEY}/{}", self.scope);
        for (name, value) in [
            ("x-amz-algorithm", "AWS4-HMAC-SHA256"),
            ("x-amz-credential", &credential),
            ("x-amz-date", &self.date),
            ("policy", policy),
            ("x-amz-signature", &signature(SECRET, &self.scope, policy)),
        ] {
            sent.fields.push((name.into(), value.into()));
        }
        sent
    }
}

/// A form as it is sent.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) bucket: String,
    pub(crate) filename: Option<String>,
    pub(crate) size: Option<u64>,
}

impl Sent {
    pub(crate) fn size(mut self, size: u64) -> Self {
        self.size = Some(size);
        self
    }

    pub(crate) fn filename(mut self, name: Option<&str>) -> Self {
        self.filename = name.map(str::to_owned);
        self
    }

    pub(crate) fn for_bucket(mut self, bucket: &str) -> Self {
        self.bucket = bucket.into();
        self
    }

    /// With another value of a field, which is added where it was not there.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        match self.fields.iter_mut().find(|(have, _)| have == name) {
            Some((_, have)) => *have = value.into(),
            None => self.fields.push((name.into(), value.into())),
        }
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.fields.retain(|(have, _)| have != name);
        self
    }

    /// The value of a field.
    #[track_caller]
    pub(crate) fn value(&self, name: &str) -> &str {
        &self.fields.iter().find(|(have, _)| have == name).unwrap().1
    }

    pub(crate) fn verdict(&self) -> Result<(), Reason> {
        self.verify().map(drop)
    }

    pub(crate) fn verify(&self) -> Result<VerifiedForm, Reason> {
        self.verify_by(&s3(), &static_key())
    }

    pub(crate) fn verify_by(&self, verifier: &Verifier, key: &ResolvedKey) -> Result<VerifiedForm, Reason> {
        self.verify_at(verifier, Some(key), now())
    }

    pub(crate) fn verify_at(
        &self,
        verifier: &Verifier,
        key: Option<&ResolvedKey>,
        now: SystemTime,
    ) -> Result<VerifiedForm, Reason> {
        let mut fields = verifier.begin_form(&head(&self.bucket), &self.bucket)?;
        for (name, value) in &self.fields {
            fields.push(name.as_bytes(), value.as_bytes())?;
        }
        fields.file(self.filename.as_deref().map(str::as_bytes), self.size)?;
        verifier.verify_form(&verifier.parse_form(&fields)?, key, now)
    }
}

/// The head of a path-style upload.
pub(crate) fn head(bucket: &str) -> Parts {
    let request = http::Request::post(format!("/{bucket}"))
        .header("host", "s3.example.com")
        .header("content-type", "multipart/form-data; boundary=b");
    request.body(()).unwrap().into_parts().0
}

/// `{"name":"value"}`
pub(crate) fn exact(name: &str, value: &str) -> String {
    format!("{{{}:{}}}", quoted(name), quoted(value))
}

/// `["starts-with","$name","prefix"]`
pub(crate) fn starts_with(name: &str, prefix: &str) -> String {
    format!("[\"starts-with\",{},{}]", quoted(&format!("${name}")), quoted(prefix))
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The signature of a policy's text, by the book.
pub(crate) fn signature(secret: &str, scope: &str, policy: &str) -> String {
    let mut key = format!("AWS4{secret}").into_bytes();
    for part in scope.split('/').chain([policy]) {
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
        mac.update(part.as_bytes());
        key = mac.finalize().into_bytes().to_vec();
    }
    hex(&key)
}
