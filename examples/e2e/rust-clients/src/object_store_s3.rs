//! object_store.

use std::str::FromStr;

use futures::TryStreamExt;
use object_store::aws::{AmazonS3, AmazonS3Builder, Checksum};
use object_store::path::Path;
use object_store::signer::Signer;
use object_store::{ObjectStore, ObjectStoreExt, RetryConfig, WriteMultipart};
use serde_json::json;

use crate::{Ask, Outcome, PART, PRESIGNED_FOR, Setting};

fn store(setting: &Setting, bucket: &str) -> object_store::Result<AmazonS3> {
    let mut builder = AmazonS3Builder::new()
        .with_endpoint(&setting.endpoint)
        .with_allow_http(true)
        .with_virtual_hosted_style_request(false)
        .with_region(&setting.region)
        .with_bucket_name(bucket)
        .with_access_key_id(&setting.access_key)
        .with_secret_access_key(&setting.secret_key)
        .with_retry(RetryConfig { max_retries: 0, ..RetryConfig::default() });
    if let Some(token) = &setting.token {
        builder = builder.with_token(token);
    }
    if setting.checksums {
        builder = builder.with_checksum_algorithm(Checksum::SHA256);
    }
    builder.build()
}

pub(crate) async fn answer(setting: &Setting, ask: Ask) -> Outcome {
    Ok(match ask {
        Ask::Put { bucket, key, body } => {
            store(setting, &bucket)?.put(&Path::parse(key)?, body.into_bytes().into()).await?;
            json!(null)
        }
        Ask::Get { bucket, key } => {
            let got = store(setting, &bucket)?.get(&Path::parse(key)?).await?;
            json!(String::from_utf8(got.bytes().await?.to_vec())?)
        }
        Ask::Head { bucket, key } => json!(store(setting, &bucket)?.head(&Path::parse(key)?).await?.size),
        Ask::Delete { bucket, key } => {
            store(setting, &bucket)?.delete(&Path::parse(key)?).await?;
            json!(null)
        }
        Ask::Copy { bucket, from, to } => {
            store(setting, &bucket)?.copy(&Path::parse(from)?, &Path::parse(to)?).await?;
            json!(null)
        }
        Ask::List { bucket, prefix, delimited } => {
            let (store, prefix) = (store(setting, &bucket)?, Path::parse(prefix)?);
            if delimited {
                let found = store.list_with_delimiter(Some(&prefix)).await?;
                let keys: Vec<_> = found.objects.iter().map(|object| object.location.to_string()).collect();
                let prefixes: Vec<_> =
                    found.common_prefixes.iter().map(|prefix| format!("{prefix}/")).collect();
                json!({ "keys": keys, "prefixes": prefixes })
            } else {
                let found: Vec<_> = store.list(Some(&prefix)).try_collect().await?;
                let keys: Vec<_> = found.iter().map(|object| object.location.to_string()).collect();
                json!({ "keys": keys, "prefixes": [] })
            }
        }
        Ask::Stream { .. } => return Err("bytes in memory, or parts".into()),
        Ask::Upload { bucket, key, path } => {
            let upload = store(setting, &bucket)?.put_multipart(&Path::parse(key)?).await?;
            let mut upload = WriteMultipart::new_with_chunk_size(upload, PART);
            upload.write(&tokio::fs::read(path).await?);
            upload.finish().await?;
            json!(null)
        }
        Ask::Download { bucket, key, path } => {
            let got = store(setting, &bucket)?.get(&Path::parse(key)?).await?;
            tokio::fs::write(path, got.bytes().await?).await?;
            json!(null)
        }
        Ask::Presign { bucket, key, method } => {
            let method = FromStr::from_str(&method)?;
            json!(
                store(setting, &bucket)?
                    .signed_url(method, &Path::parse(key)?, PRESIGNED_FOR)
                    .await?
                    .as_str()
            )
        }
    })
}
