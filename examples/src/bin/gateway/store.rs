//! The store of the cloud inside: s3s-fs, with what it lacks as an object store of any client's. A file system has no
//! `a//b`, no `/a`, no `./a`, and no `a` beside `a/b`; so each object lies in a file that is named after a hash of its
//! key, and the keys stand in an index, from which lists are made. The index is in memory: it goes with the folder
//! when the gateway ends.

mod listing;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use async_trait::async_trait;
use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, CompleteMultipartUploadInput,
    CompleteMultipartUploadOutput, CopyObjectInput, CopyObjectOutput, CopySource, CreateBucketInput,
    CreateBucketOutput, CreateMultipartUploadInput, CreateMultipartUploadOutput, DeleteBucketInput,
    DeleteBucketOutput, DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput,
    GetBucketLocationInput, GetBucketLocationOutput, GetObjectInput, GetObjectOutput, HeadBucketInput,
    HeadBucketOutput, HeadObjectInput, HeadObjectOutput, ListBucketsInput, ListBucketsOutput,
    ListObjectsInput, ListObjectsOutput, ListObjectsV2Input, ListObjectsV2Output, ListPartsInput,
    ListPartsOutput, Object, PutObjectInput, PutObjectOutput, UploadPartCopyInput, UploadPartCopyOutput,
    UploadPartInput, UploadPartOutput,
};
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};
use s3s_fs::FileSystem;
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;

use self::listing::{Listed, Listing, Wanted};

/// Buckets in a folder, as s3s serves them.
pub(crate) struct Store {
    files: FileSystem,
    buckets: Mutex<BTreeMap<String, Bucket>>,
}

/// The most objects that one request may delete, as at AWS.
const DELETED_AT_ONCE: usize = 1000;

/// What is in a bucket, by key.
type Bucket = BTreeMap<String, Listed>;

impl Store {
    pub(crate) fn new(folder: &Path) -> Result<Self, s3s_fs::Error> {
        Ok(Self { files: FileSystem::new(folder)?, buckets: Mutex::default() })
    }

    async fn needs_bucket(&self, bucket: &str) -> S3Result<()> {
        let is_there = self.buckets.lock().await.contains_key(bucket);
        is_there.then_some(()).ok_or_else(|| s3_error!(NoSuchBucket))
    }

    /// Makes the index say of an object what the files say. Of two changes at once the later one to come here sees
    /// both, whichever of them won.
    async fn refresh<T>(&self, request: S3Request<T>, bucket: String, key: String) -> S3Result<()> {
        let mut buckets = self.buckets.lock().await;
        let Some(objects) = buckets.get_mut(&bucket) else {
            // It went meanwhile. s3s-fs makes its folder anew for an object; with the index it would never agree again.
            let gone = DeleteBucketInput { bucket, ..Default::default() };
            let _ = self.files.delete_bucket(request.map_input(|_| gone)).await;
            return Err(s3_error!(NoSuchBucket));
        };
        let head = HeadObjectInput { bucket, key: name_of(&key), ..Default::default() };
        let found = self.files.head_object(request.map_input(|_| head)).await;
        match found {
            Ok(found) => {
                objects.insert(key, Listed::from(found.output));
            }
            Err(_) => {
                objects.remove(&key);
            }
        }
        Ok(())
    }

    async fn list(&self, bucket: &str, wanted: Wanted<'_>) -> S3Result<Listing> {
        let buckets = self.buckets.lock().await;
        let objects = buckets.get(bucket).ok_or_else(|| s3_error!(NoSuchBucket))?;
        Ok(Listing::of(objects, &wanted))
    }
}

/// The file of an object: a plain name, however long or odd the key is.
fn name_of(key: &str) -> String {
    Sha256::digest(key).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A request for the same thing without what it was for, to ask something else with.
fn bare<T>(request: &S3Request<T>) -> S3Request<()> {
    S3Request {
        input: (),
        method: request.method.clone(),
        uri: request.uri.clone(),
        headers: request.headers.clone(),
        extensions: http::Extensions::new(),
        credentials: request.credentials.clone(),
        region: request.region.clone(),
        service: request.service.clone(),
        trailing_headers: None,
    }
}

#[async_trait]
impl S3 for Store {
    async fn create_bucket(
        &self,
        request: S3Request<CreateBucketInput>,
    ) -> S3Result<S3Response<CreateBucketOutput>> {
        let bucket = request.input.bucket.clone();
        let mut buckets = self.buckets.lock().await;
        let answer = self.files.create_bucket(request).await?;
        buckets.entry(bucket).or_default();
        Ok(answer)
    }

    async fn delete_bucket(
        &self,
        request: S3Request<DeleteBucketInput>,
    ) -> S3Result<S3Response<DeleteBucketOutput>> {
        let bucket = request.input.bucket.clone();
        let mut buckets = self.buckets.lock().await;
        if buckets.get(&bucket).is_some_and(|objects| !objects.is_empty()) {
            return Err(s3_error!(BucketNotEmpty));
        }
        let answer = self.files.delete_bucket(request).await?;
        buckets.remove(&bucket);
        Ok(answer)
    }

    async fn head_bucket(
        &self,
        request: S3Request<HeadBucketInput>,
    ) -> S3Result<S3Response<HeadBucketOutput>> {
        self.files.head_bucket(request).await
    }

    async fn get_bucket_location(
        &self,
        request: S3Request<GetBucketLocationInput>,
    ) -> S3Result<S3Response<GetBucketLocationOutput>> {
        self.files.get_bucket_location(request).await
    }

    async fn list_buckets(
        &self,
        request: S3Request<ListBucketsInput>,
    ) -> S3Result<S3Response<ListBucketsOutput>> {
        self.files.list_buckets(request).await
    }

    async fn put_object(
        &self,
        mut request: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        let (bucket, key) = (request.input.bucket.clone(), request.input.key.clone());
        self.needs_bucket(&bucket).await?;
        let later = bare(&request);
        request.input.key = name_of(&key);
        let answer = self.files.put_object(request).await?;
        self.refresh(later, bucket, key).await?;
        Ok(answer)
    }

    async fn get_object(
        &self,
        mut request: S3Request<GetObjectInput>,
    ) -> S3Result<S3Response<GetObjectOutput>> {
        self.needs_bucket(&request.input.bucket).await?;
        request.input.key = name_of(&request.input.key);
        self.files.get_object(request).await
    }

    async fn head_object(
        &self,
        mut request: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        request.input.key = name_of(&request.input.key);
        self.files.head_object(request).await
    }

    async fn delete_object(
        &self,
        mut request: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        let (bucket, key) = (request.input.bucket.clone(), request.input.key.clone());
        let later = bare(&request);
        request.input.key = name_of(&key);
        let answer = self.files.delete_object(request).await?;
        self.refresh(later, bucket, key).await?;
        Ok(answer)
    }

    async fn delete_objects(
        &self,
        mut request: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let bucket = request.input.bucket.clone();
        self.needs_bucket(&bucket).await?;
        let later = bare(&request);
        if request.input.delete.objects.len() > DELETED_AT_ONCE {
            return Err(s3_error!(MalformedXML));
        }
        let mut keys = BTreeMap::new();
        for object in &mut request.input.delete.objects {
            let name = name_of(&object.key);
            keys.insert(name.clone(), std::mem::replace(&mut object.key, name));
        }
        let mut answer = self.files.delete_objects(request).await?;
        for deleted in answer.output.deleted.iter_mut().flatten() {
            deleted.key = deleted.key.as_ref().and_then(|name| keys.get(name)).cloned();
        }
        for key in keys.into_values() {
            self.refresh(bare(&later), bucket.clone(), key).await?;
        }
        Ok(answer)
    }

    async fn copy_object(
        &self,
        mut request: S3Request<CopyObjectInput>,
    ) -> S3Result<S3Response<CopyObjectOutput>> {
        let (bucket, key) = (request.input.bucket.clone(), request.input.key.clone());
        self.needs_bucket(&bucket).await?;
        let later = bare(&request);
        request.input.key = name_of(&key);
        rename_source(&mut request.input.copy_source);
        let answer = self.files.copy_object(request).await?;
        self.refresh(later, bucket, key).await?;
        Ok(answer)
    }

    async fn list_objects(
        &self,
        request: S3Request<ListObjectsInput>,
    ) -> S3Result<S3Response<ListObjectsOutput>> {
        let asked = request.input;
        let encode = listing::encoding(asked.encoding_type.as_ref())?;
        let wanted = Wanted::new(&asked.prefix, &asked.delimiter, asked.max_keys).after([&asked.marker]);
        let found = self.list(&asked.bucket, wanted).await?;
        Ok(S3Response::new(ListObjectsOutput {
            next_marker: found.next.as_deref().map(encode),
            is_truncated: Some(found.next.is_some()),
            contents: found.contents(encode),
            common_prefixes: found.common_prefixes(encode),
            name: Some(asked.bucket),
            prefix: asked.prefix.as_deref().map(encode),
            delimiter: asked.delimiter.as_deref().map(encode),
            marker: asked.marker.as_deref().map(encode),
            max_keys: Some(found.max_keys),
            encoding_type: asked.encoding_type,
            ..Default::default()
        }))
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let asked = request.input;
        let encode = listing::encoding(asked.encoding_type.as_ref())?;
        let behind = asked.continuation_token.as_deref().map(listing::of_token).transpose()?;
        let wanted =
            Wanted::new(&asked.prefix, &asked.delimiter, asked.max_keys).after([&asked.start_after, &behind]);
        let found = self.list(&asked.bucket, wanted).await?;
        Ok(S3Response::new(ListObjectsV2Output {
            key_count: Some(found.count()),
            is_truncated: Some(found.next.is_some()),
            contents: found.contents(encode),
            common_prefixes: found.common_prefixes(encode),
            name: Some(asked.bucket),
            prefix: asked.prefix.as_deref().map(encode),
            delimiter: asked.delimiter.as_deref().map(encode),
            start_after: asked.start_after.as_deref().map(encode),
            continuation_token: asked.continuation_token,
            next_continuation_token: found.next.as_deref().map(listing::token),
            max_keys: Some(found.max_keys),
            encoding_type: asked.encoding_type,
            ..Default::default()
        }))
    }

    async fn create_multipart_upload(
        &self,
        mut request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        self.needs_bucket(&request.input.bucket).await?;
        let key = request.input.key.clone();
        request.input.key = name_of(&key);
        let mut answer = self.files.create_multipart_upload(request).await?;
        answer.output.key = Some(key);
        Ok(answer)
    }

    async fn upload_part(
        &self,
        mut request: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        request.input.key = name_of(&request.input.key);
        self.files.upload_part(request).await
    }

    async fn upload_part_copy(
        &self,
        mut request: S3Request<UploadPartCopyInput>,
    ) -> S3Result<S3Response<UploadPartCopyOutput>> {
        request.input.key = name_of(&request.input.key);
        rename_source(&mut request.input.copy_source);
        self.files.upload_part_copy(request).await
    }

    async fn list_parts(
        &self,
        mut request: S3Request<ListPartsInput>,
    ) -> S3Result<S3Response<ListPartsOutput>> {
        let key = request.input.key.clone();
        request.input.key = name_of(&key);
        let mut answer = self.files.list_parts(request).await?;
        answer.output.key = Some(key);
        Ok(answer)
    }

    async fn complete_multipart_upload(
        &self,
        mut request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let (bucket, key) = (request.input.bucket.clone(), request.input.key.clone());
        self.needs_bucket(&bucket).await?;
        let later = bare(&request);
        request.input.key = name_of(&key);
        // The object is whole when this returns; what is left to wait for is the answer's text.
        let mut answer = self.files.complete_multipart_upload(request).await?;
        self.refresh(later, bucket, key.clone()).await?;
        answer.output.key = answer.output.key.map(|_| key.clone());
        if let Some(rest) = answer.output.future.take() {
            answer.output.future = Some(Box::pin(async move {
                let output = rest.await?;
                Ok(CompleteMultipartUploadOutput { key: Some(key), ..output })
            }));
        }
        Ok(answer)
    }

    async fn abort_multipart_upload(
        &self,
        mut request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        request.input.key = name_of(&request.input.key);
        self.files.abort_multipart_upload(request).await
    }
}

/// s3s-fs knows no other kind of source.
fn rename_source(source: &mut CopySource) {
    if let CopySource::Bucket { key, .. } = source {
        *key = name_of(key).into();
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("files", &self.files).finish_non_exhaustive()
    }
}

impl From<HeadObjectOutput> for Listed {
    fn from(found: HeadObjectOutput) -> Self {
        Self(Object {
            size: found.content_length,
            e_tag: found.e_tag,
            last_modified: found.last_modified,
            ..Object::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use bytes::Bytes;
    use futures::channel::mpsc;
    use http::{HeaderMap, Method, Uri};
    use s3s::S3ErrorCode;
    use s3s::dto::{Delete, ObjectIdentifier, StreamingBlob};

    use super::*;

    fn asked<T>(input: T) -> S3Request<T> {
        S3Request {
            input,
            method: Method::GET,
            uri: Uri::from_static("/"),
            headers: HeaderMap::new(),
            extensions: http::Extensions::new(),
            credentials: None,
            region: None,
            service: None,
            trailing_headers: None,
        }
    }

    fn code<T: Debug>(outcome: S3Result<T>) -> S3ErrorCode {
        outcome.unwrap_err().code().clone()
    }

    async fn with_bucket(folder: &tempfile::TempDir) -> Store {
        let store = Store::new(folder.path()).unwrap();
        store.create_bucket(asked(bucket())).await.unwrap();
        store
    }

    fn bucket() -> CreateBucketInput {
        CreateBucketInput { bucket: "bucket".to_owned(), ..Default::default() }
    }

    fn put(key: &str, body: StreamingBlob) -> S3Request<PutObjectInput> {
        let (bucket, key) = ("bucket".to_owned(), key.to_owned());
        asked(PutObjectInput { bucket, key, body: Some(body), ..Default::default() })
    }

    fn text() -> StreamingBlob {
        StreamingBlob::from(s3s::Body::from(Bytes::from_static(b"text")))
    }

    #[tokio::test]
    async fn a_bucket_that_goes_during_an_upload_does_not_come_back_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let store = with_bucket(&folder).await;
        let (send, frames) = mpsc::unbounded::<Result<Bytes, std::io::Error>>();
        let mut uploading = store.put_object(put("key", StreamingBlob::wrap(frames)));
        send.unbounded_send(Ok(Bytes::from_static(b"text"))).unwrap();
        // Until it waits for the rest of the body.
        for _ in 0..100 {
            assert!(futures::poll!(&mut uploading).is_pending());
            tokio::task::yield_now().await;
        }
        let gone = DeleteBucketInput { bucket: "bucket".to_owned(), ..Default::default() };
        store.delete_bucket(asked(gone)).await.unwrap();
        drop(send);
        assert_eq!(code(uploading.await), S3ErrorCode::NoSuchBucket);
        store.create_bucket(asked(bucket())).await.expect("nothing is left of the first one");
    }

    #[tokio::test]
    async fn no_more_than_a_thousand_objects_are_deleted_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let store = with_bucket(&folder).await;
        store.put_object(put("0", text())).await.unwrap();
        let delete = |count: usize| {
            let object = |number: usize| ObjectIdentifier { key: number.to_string(), ..Default::default() };
            let delete = Delete { objects: (0..count).map(object).collect(), ..Default::default() };
            let input = DeleteObjectsInput {
                bucket: "bucket".to_owned(),
                delete,
                bypass_governance_retention: None,
                checksum_algorithm: None,
                expected_bucket_owner: None,
                mfa: None,
                request_payer: None,
            };
            store.delete_objects(asked(input))
        };
        assert_eq!(code(delete(1001).await), S3ErrorCode::MalformedXML);
        let keys: Vec<_> =
            delete(1000).await.unwrap().output.deleted.unwrap().into_iter().map(|gone| gone.key).collect();
        assert_eq!(keys, (0..1000).map(|number| Some(number.to_string())).collect::<Vec<_>>());
    }

    /// XML has no such characters as `\u{1}`, and makes `\n` of `\r`.
    #[tokio::test]
    async fn a_token_leads_on_from_every_key() {
        let folder = tempfile::tempdir().unwrap();
        let store = with_bucket(&folder).await;
        let keys = ["a\u{1}", "b\r", "c%", "d é"];
        for key in keys {
            store.put_object(put(key, text())).await.unwrap();
        }
        let (mut shown, mut token) = (Vec::new(), None);
        loop {
            let page = ListObjectsV2Input {
                bucket: "bucket".to_owned(),
                max_keys: Some(1),
                continuation_token: token,
                ..Default::default()
            };
            let page = store.list_objects_v2(asked(page)).await.unwrap().output;
            shown.extend(page.contents.unwrap().into_iter().filter_map(|object| object.key));
            token = page.next_continuation_token;
            let Some(token) = &token else { break };
            assert!(token.bytes().all(|byte| byte.is_ascii_graphic()), "{token:?}");
        }
        assert_eq!(shown, keys);
    }
}
