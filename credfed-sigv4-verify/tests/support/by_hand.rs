//! Requests signed by the book, canonical form given by the test: for signers that differ from
//! aws-sigv4, and for requests that no honest signer makes.

use http::request::Parts;

use super::{ACCESS_KEY, SECRET, SignedAs, asymmetric_signature, authorization, authorization_by, signature};

/// A header-signed request whose canonical form the test spells out.
#[derive(Debug, Clone)]
pub(crate) struct ByHand {
    pub(crate) method: &'static str,
    /// As on the wire, query included.
    pub(crate) target: String,
    pub(crate) canonical_path: String,
    pub(crate) canonical_query: String,
    /// Lower-case names, canonical values; signed and sent.
    pub(crate) headers: Vec<(String, String)>,
    /// The last line of the canonical request.
    pub(crate) payload: String,
    pub(crate) service: &'static str,
    /// Signed with SigV4A.
    pub(crate) asymmetric: bool,
}

impl ByHand {
    /// GET of an S3 object; UNSIGNED-PAYLOAD.
    pub(crate) fn s3(target: &str, canonical_path: &str, canonical_query: &str) -> Self {
        let payload = "UNSIGNED-PAYLOAD".to_owned();
        let mut this =
            Self::general(target, canonical_path, canonical_query).header("x-amz-content-sha256", &payload);
        this.payload = payload;
        this.service = "s3";
        this
    }

    /// GET of another service, without x-amz-content-sha256 and with an empty body.
    pub(crate) fn general(target: &str, canonical_path: &str, canonical_query: &str) -> Self {
        Self {
            method: "GET",
            target: target.into(),
            canonical_path: canonical_path.into(),
            canonical_query: canonical_query.into(),
            headers: Vec::new(),
            payload: super::EMPTY.into(),
            service: "service",
            asymmetric: false,
        }
        .header("host", "example.amazonaws.com")
        .header("x-amz-date", "20150830T123600Z")
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Signs with SigV4A, for us-east-1.
    pub(crate) fn asymmetric(mut self) -> Self {
        self.asymmetric = true;
        self.header("x-amz-region-set", "us-east-1")
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(have, _)| have != name);
        self
    }

    pub(crate) fn payload(mut self, line: &str) -> Self {
        self.payload = line.into();
        self.without("x-amz-content-sha256").header("x-amz-content-sha256", line)
    }

    /// The names, as they are signed.
    pub(crate) fn signed_headers(&self) -> String {
        let mut names: Vec<_> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        names.join(";")
    }

    pub(crate) fn canonical_request(&self) -> String {
        let mut headers = self.headers.clone();
        headers.sort();
        let headers: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        format!(
            "{}\n{}\n{}\n{headers}\n{}\n{}",
            self.method,
            self.canonical_path,
            self.canonical_query,
            self.signed_headers(),
            self.payload
        )
    }

    pub(crate) fn authorization(&self) -> String {
        if self.asymmetric {
            return format!(
                "AWS4-ECDSA-P256-SHA256 Credential={ACCESS_KEY}/20150830/{}/aws4_request, SignedHeaders={}, \
                 Signature={}",
                self.service,
                self.signed_headers(),
                asymmetric_signature(&self.canonical_request(), self.service)
            );
        }
        authorization(&self.canonical_request(), &self.signed_headers(), self.service)
    }

    /// Signed with another secret.
    pub(crate) fn authorization_by(&self, secret: &str) -> String {
        authorization_by(secret, &self.canonical_request(), &self.signed_headers(), self.service)
    }

    pub(crate) fn parts(&self) -> Parts {
        self.parts_with(&self.authorization())
    }

    pub(crate) fn parts_with(&self, authorization: &str) -> Parts {
        let mut builder = http::Request::builder().method(self.method).uri(&self.target);
        for (name, value) in &self.headers {
            builder = builder.header(name, http::HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        builder.header("authorization", authorization).body(()).unwrap().into_parts().0
    }
}

/// A presigned GET whose query the test controls.
#[derive(Debug, Clone)]
pub(crate) struct Presigned {
    pub(crate) path: &'static str,
    /// Encoded names and values; all but X-Amz-Signature, in any order.
    pub(crate) query: Vec<(String, String)>,
    /// Further headers, signed and sent.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) payload: String,
    pub(crate) as_signed: SignedAs,
    /// Signed with SigV4A.
    pub(crate) asymmetric: bool,
}

impl Presigned {
    pub(crate) fn s3() -> Self {
        let mut this = Self {
            path: "/bucket/key",
            query: Vec::new(),
            headers: vec![("host".into(), "example.amazonaws.com".into())],
            payload: "UNSIGNED-PAYLOAD".into(),
            as_signed: SignedAs::Sorted,
            asymmetric: false,
        };
        for (name, value) in [
            ("X-Amz-Algorithm", "AWS4-HMAC-SHA256".to_owned()),
            ("X-Amz-Credential", format!("{ACCESS_KEY}%2F20150830%2Fus-east-1%2Fs3%2Faws4_request")),
            ("X-Amz-Date", "20150830T123600Z".to_owned()),
            ("X-Amz-Expires", "3600".to_owned()),
            ("X-Amz-SignedHeaders", "host".to_owned()),
        ] {
            this.query.push((name.into(), value));
        }
        this
    }

    /// Signs with SigV4A, for us-east-1.
    pub(crate) fn asymmetric(mut self) -> Self {
        self.asymmetric = true;
        self.set("X-Amz-Algorithm", "AWS4-ECDSA-P256-SHA256")
            .set("X-Amz-Credential", &format!("{ACCESS_KEY}%2F20150830%2Fs3%2Faws4_request"))
            .add("X-Amz-Region-Set", "us-east-1")
    }

    pub(crate) fn add(mut self, name: &str, value: &str) -> Self {
        self.query.push((name.into(), value.into()));
        self
    }

    pub(crate) fn set(mut self, name: &str, value: &str) -> Self {
        for (have, old) in &mut self.query {
            if have == name {
                *old = value.into();
            }
        }
        self
    }

    pub(crate) fn remove(mut self, name: &str) -> Self {
        self.query.retain(|(have, _)| have != name);
        self
    }

    /// A header that is signed.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self.headers.sort();
        let names: Vec<_> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        let names = names.join("%3B");
        self.set("X-Amz-SignedHeaders", &names)
    }

    pub(crate) fn payload(mut self, line: &str) -> Self {
        self.payload = line.into();
        self
    }

    /// The query as on the wire, signature included.
    pub(crate) fn wire_query(&self) -> String {
        let mut sorted = self.query.clone();
        if self.as_signed == SignedAs::Sorted {
            sorted.sort();
        }
        let joined = |pairs: &[(String, String)]| {
            pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
        };
        let headers: String = self.headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let names: Vec<_> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        let canonical = format!(
            "GET\n{}\n{}\n{headers}\n{}\n{}",
            self.path,
            joined(&sorted),
            names.join(";"),
            self.payload
        );
        let signature = match self.asymmetric {
            true => asymmetric_signature(&canonical, "s3"),
            false => signature(SECRET, &canonical, "s3"),
        };
        format!("{}&X-Amz-Signature={signature}", joined(&self.query))
    }

    pub(crate) fn parts(&self) -> Parts {
        self.parts_with(&self.wire_query())
    }

    pub(crate) fn parts_with(&self, query: &str) -> Parts {
        let mut builder = http::Request::get(format!("{}?{query}", self.path));
        for (name, value) in &self.headers {
            builder = builder.header(name, value);
        }
        builder.body(()).unwrap().into_parts().0
    }
}
