//! What a request does, read from its head: the needs that a policy must cover before it goes on.
//!
//! The gateway implements no S3 operation, so this is no list of operations. A request is read at its strongest:
//! every query parameter adds the need of what it could select, an unknown one needs `administer`, and a request
//! that two servers could read in two ways is refused. What an upstream makes of the rest is then covered.

use std::fmt;

use credfed_sigv4_verify::query;
use http::request::Parts;
use http::{HeaderMap, Method};

use crate::names::{BucketName, KeyPrefix, ObjectKey, decoded, decoded_with_blanks};
use crate::rights::{Action, Extent, Need};

/// Why a request cannot be judged, and is refused therefore.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unclear {
    Path,
    Query,
    Method,
    /// Something other than "list my buckets" that concerns no bucket.
    Service,
    /// A header that means another method, path or object to some servers.
    Header,
    CopySource,
}

/// The needs of a request: at least one.
pub(crate) fn of(parts: &Parts) -> Result<Vec<Need>, Unclear> {
    let query = Query::parse(parts.uri.query().unwrap_or_default())?;
    let acting = Acting { headers: &parts.headers, hoisted: &query.hoisted };
    if acting.names().any(is_misleading) {
        return Err(Unclear::Header);
    }
    let mut needs = match Target::parse(parts.uri.path())? {
        Target::Service => of_service(&parts.method, &query)?,
        Target::Bucket(bucket) => {
            let mut needs = of_bucket(&parts.method, &bucket, &query)?;
            needs.extend(of_headers(&acting, bucket, Extent::Everything)?);
            needs
        }
        Target::Object(bucket, key) => {
            let mut needs = of_object(&parts.method, &bucket, &key, &query)?;
            needs.extend(of_headers(&acting, bucket, Extent::Key(key))?);
            needs
        }
    };
    if let Some(source) = acting.value("x-amz-copy-source")? {
        needs.extend(of_copy_source(&source)?);
    }
    Ok(needs)
}

fn of_service(method: &Method, query: &Query) -> Result<Vec<Need>, Unclear> {
    const LISTING: [&str; 5] = ["bucket-region", "continuation-token", "max-buckets", "prefix", "x-id"];
    // Servers with an STS of their own answer it here: never with the gateway's credential.
    if *method == Method::GET && query.has_only(&LISTING) {
        Ok(vec![Need::ListBuckets])
    } else {
        Err(Unclear::Service)
    }
}

fn of_bucket(method: &Method, bucket: &BucketName, query: &Query) -> Result<Vec<Need>, Unclear> {
    const LISTING: [&str; 19] = [
        "continuation-token",
        "delimiter",
        "encoding-type",
        "fetch-owner",
        "key-marker",
        "list-type",
        "location",
        "marker",
        "max-keys",
        "max-uploads",
        "prefix",
        "start-after",
        "upload-id-marker",
        "uploads",
        "version-id-marker",
        "versions",
        "x-id",
        "allow-unordered",
        "optional-object-attributes",
    ];
    let need = |action, extent| Need::In { bucket: bucket.clone(), action, extent };
    let administer = need(Action::Administer, Extent::Everything);
    Ok(match *method {
        Method::GET => {
            let prefix = KeyPrefix::asked(query.value("prefix").unwrap_or_default().to_owned())
                .ok_or(Unclear::Query)?;
            let mut needs = vec![need(Action::List, Extent::Prefix(prefix))];
            needs.extend((!query.has_only(&LISTING)).then_some(administer));
            needs
        }
        Method::HEAD if query.has_only(&["x-id"]) => vec![need(Action::List, Extent::Existence)],
        Method::POST => {
            let mut needs = Vec::new();
            // The keys to delete stand in the body, so this takes the right to delete all of them.
            needs.extend(query.has("delete").then(|| need(Action::Delete, Extent::Everything)));
            if needs.is_empty() || !query.has_only(&["delete", "x-id"]) {
                needs.extend([administer, need(Action::Write, Extent::Everything)]);
            }
            needs
        }
        Method::HEAD | Method::PUT | Method::DELETE => vec![administer],
        _ => return Err(Unclear::Method),
    })
}

fn of_object(
    method: &Method,
    bucket: &BucketName,
    key: &ObjectKey,
    query: &Query,
) -> Result<Vec<Need>, Unclear> {
    const READING: [&str; 19] = [
        "acl",
        "attributes",
        "encoding-type",
        "legal-hold",
        "max-parts",
        "part-number-marker",
        "partNumber",
        "response-cache-control",
        "response-content-disposition",
        "response-content-encoding",
        "response-content-language",
        "response-content-type",
        "response-expires",
        "retention",
        "tagging",
        "torrent",
        "uploadId",
        "versionId",
        "x-id",
    ];
    const WRITING: [&str; 5] = ["partNumber", "tagging", "uploadId", "versionId", "x-id"];
    const DELETING: [&str; 3] = ["tagging", "versionId", "x-id"];
    const POSTING: [&str; 5] = ["select", "select-type", "uploadId", "uploads", "x-id"];

    let need = |action| Need::In { bucket: bucket.clone(), action, extent: Extent::Key(key.clone()) };
    let (mut needs, known) = match *method {
        Method::GET | Method::HEAD => (vec![need(Action::Read)], &READING[..]),
        Method::PUT => (vec![need(Action::Write)], &WRITING[..]),
        // An empty upload id is none to some servers, and then the object goes.
        Method::DELETE if query.value("uploadId").is_some_and(|id| !id.is_empty()) => {
            if query.has_only(&["uploadId", "x-id"]) {
                (vec![need(Action::Write)], &["uploadId", "x-id"][..])
            } else {
                (vec![need(Action::Write), need(Action::Delete)], &DELETING[..])
            }
        }
        Method::DELETE => (vec![need(Action::Delete)], &DELETING[..]),
        Method::POST => {
            let mut needs = Vec::new();
            needs.extend(query.has("select").then(|| need(Action::Read)));
            let uploads = query.has("uploads") || query.has("uploadId");
            needs.extend((uploads || needs.is_empty()).then(|| need(Action::Write)));
            needs.extend((!uploads && !query.has("select")).then(|| need(Action::Administer)));
            (needs, &POSTING[..])
        }
        _ => return Err(Unclear::Method),
    };
    needs.extend((!query.has_only(known)).then(|| need(Action::Administer)));
    needs.dedup();
    Ok(needs)
}

/// Headers that reach further than the bytes of the objects that are named.
fn of_headers(acting: &Acting<'_>, bucket: BucketName, extent: Extent) -> Result<Option<Need>, Unclear> {
    // Unpacks an archive into keys that its own table names.
    let unpacks = acting.names().any(|name| name == "x-amz-meta-snowball-auto-extract");
    let shares = acting.value("x-amz-acl")?.is_some_and(|acl| acl != "private");
    let unlocks = |name: &str| {
        name.starts_with("x-amz-grant-")
            || name.starts_with("x-amz-object-lock-")
            || name == "x-amz-bypass-governance-retention"
            || name == "x-amz-mfa"
    };
    let extent = if unpacks { Extent::Everything } else { extent };
    let administers = unpacks || shares || acting.names().any(unlocks);
    Ok(administers.then_some(Need::In { bucket, action: Action::Administer, extent }))
}

/// `bucket/key`, `/bucket/key`, percent-encoded in part or whole, with `?versionId=…` behind it or not. An access
/// point's ARN names its bucket nowhere, and is refused. A raw `+` is a blank to some servers: both must be allowed.
fn of_copy_source(value: &str) -> Result<Vec<Need>, Unclear> {
    let (path, version) = value.split_once('?').unwrap_or((value, "versionId="));
    if version.strip_prefix("versionId=").is_none_or(|id| id.contains(['?', '&', ';', '#', '/'])) {
        return Err(Unclear::CopySource);
    }
    let mut needs = Vec::new();
    for read in [decoded, decoded_with_blanks] {
        let source = read(path).ok_or(Unclear::CopySource)?;
        let named = source.strip_prefix('/').unwrap_or(&source);
        let (bucket, key) = named.split_once('/').ok_or(Unclear::CopySource)?;
        let bucket = BucketName::parse(bucket).ok_or(Unclear::CopySource)?;
        let key = ObjectKey::parse(key.to_owned()).ok_or(Unclear::CopySource)?;
        let need = Need::In { bucket, action: Action::Read, extent: Extent::Key(key) };
        if !needs.contains(&need) {
            needs.push(need);
        }
    }
    Ok(needs)
}

/// What the path names. Path style only: the host that the caller used does not reach the upstream.
enum Target {
    Service,
    Bucket(BucketName),
    Object(BucketName, ObjectKey),
}

impl Target {
    fn parse(path: &str) -> Result<Self, Unclear> {
        let path = path.strip_prefix('/').ok_or(Unclear::Path)?;
        if path.is_empty() {
            return Ok(Self::Service);
        }
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        // Judged as it stands on the wire: a bucket's name has nothing to escape, and an escaped slash in it would
        // be a bucket and a key to the next server.
        let bucket = BucketName::parse(bucket).ok_or(Unclear::Path)?;
        if key.is_empty() {
            return Ok(Self::Bucket(bucket));
        }
        let key = decoded(key).and_then(ObjectKey::parse).ok_or(Unclear::Path)?;
        Ok(Self::Object(bucket, key))
    }
}

/// The query without the parameters of the signature.
struct Query {
    pairs: Vec<(String, String)>,
    /// `x-amz-*` of a presigned query, in lower case: they act as headers.
    hoisted: Vec<(String, String)>,
}

impl Query {
    /// Read as the verifier reads it.
    fn parse(text: &str) -> Result<Self, Unclear> {
        let (mut pairs, mut hoisted) = (Vec::new(), Vec::new());
        let mut presigned = false;
        for parameter in query::parameters(text) {
            if parameter.is_credential() {
                presigned = true;
                continue;
            }
            // To some servers `;` separates parameters too.
            if parameter.as_str().contains(';') {
                return Err(Unclear::Query);
            }
            let value = parameter.value().ok_or(Unclear::Query)?.into_owned();
            match parameter.hoisted() {
                Some(name) => hoisted.push((name, value)),
                None => pairs.push((parameter.name().ok_or(Unclear::Query)?.into_owned(), value)),
            }
        }
        // Of two values some servers take the first, some the last, and no operation of S3 has two.
        if pairs
            .iter()
            .enumerate()
            .any(|(index, (name, _))| pairs[..index].iter().any(|(other, _)| other == name))
        {
            return Err(Unclear::Query);
        }
        // Beside a signature in the header they mean nothing, or to some servers something.
        if presigned || hoisted.is_empty() { Ok(Self { pairs, hoisted }) } else { Err(Unclear::Query) }
    }

    fn has(&self, name: &str) -> bool {
        self.pairs.iter().any(|(found, _)| found == name)
    }

    fn has_only(&self, known: &[&str]) -> bool {
        self.pairs.iter().all(|(found, _)| known.contains(&found.as_str()))
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

/// The `x-amz-*` headers that act: those of the head, and those that a presigned query carries in their place.
struct Acting<'a> {
    headers: &'a HeaderMap,
    hoisted: &'a [(String, String)],
}

impl Acting<'_> {
    fn names(&self) -> impl Iterator<Item = &str> {
        self.headers
            .keys()
            .map(|name| name.as_str())
            .chain(self.hoisted.iter().map(|(name, _)| name.as_str()))
    }

    /// The one value of a header; one that is no text cannot be judged.
    fn value(&self, name: &str) -> Result<Option<String>, Unclear> {
        let mut values = Vec::new();
        for value in self.headers.get_all(name) {
            values.push(std::str::from_utf8(value.as_bytes()).map_err(|_| Unclear::Header)?.to_owned());
        }
        values.extend(self.hoisted.iter().filter(|(found, _)| found == name).map(|(_, value)| value.clone()));
        if values.len() > 1 { Err(Unclear::Header) } else { Ok(values.pop()) }
    }
}

/// Whether some server takes this header for another method, another path, or another source object than the ones
/// that are judged here.
fn is_misleading(name: &str) -> bool {
    const REWRITING: [&str; 5] =
        ["x-http-method", "x-http-method-override", "x-method-override", "x-original-url", "x-rewrite-url"];
    // User metadata is the caller's own, but for the one name that acts.
    if name.starts_with("x-amz-meta-") {
        return name.contains('_') && name.replace('_', "-") == "x-amz-meta-snowball-auto-extract";
    }
    // Gateways to older interfaces take an underscore for a hyphen.
    if name.contains('_') {
        let hyphened = name.replace('_', "-");
        return hyphened.starts_with("x-amz-") || is_misleading(&hyphened);
    }
    REWRITING.contains(&name)
        || name.starts_with("x-minio-")
        || name.starts_with("x-rgw-")
        || (name.starts_with("x-amz-") && name.ends_with("-source") && name != "x-amz-copy-source")
}

impl fmt::Display for Unclear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Path => "the path does not name one bucket and one key in one way",
            Self::Query => "the query can be read in more than one way",
            Self::Method => "no right stands for this method",
            Self::Service => "no right stands for this request to the service",
            Self::Header => "a header changes what the request means",
            Self::CopySource => "the copy source does not name one bucket and one key in one way",
        })
    }
}

#[cfg(test)]
mod against_s3s;
#[cfg(test)]
mod tests;
