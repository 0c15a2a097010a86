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
        let head = HeadObjectInput { bucket: bucket.clone(), key: name_of(&key), ..Default::default() };
        let found = self.files.head_object(request.map_input(|_| head)).await;
        let Some(objects) = buckets.get_mut(&bucket) else { return Ok(()) };
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
        let answer = self.files.create_bucket(request).await?;
        self.buckets.lock().await.entry(bucket).or_default();
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
        let mut keys = Vec::with_capacity(request.input.delete.objects.len());
        for object in &mut request.input.delete.objects {
            let name = name_of(&object.key);
            keys.push(std::mem::replace(&mut object.key, name));
        }
        let mut answer = self.files.delete_objects(request).await?;
        for deleted in answer.output.deleted.iter_mut().flatten() {
            let key = keys.iter().find(|key| deleted.key.as_deref() == Some(&*name_of(key)));
            deleted.key = key.cloned();
        }
        for key in keys {
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
        let wanted = Wanted::new(&asked.prefix, &asked.delimiter, asked.max_keys)
            .after([&asked.start_after, &asked.continuation_token]);
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
            // To clients it is opaque, so it is never encoded.
            next_continuation_token: found.next,
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
