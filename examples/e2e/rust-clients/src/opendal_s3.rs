//! OpenDAL.

use opendal::{Operator, services};
use serde_json::json;

use crate::{Ask, Outcome, PART, PRESIGNED_FOR, Setting};

fn operator(setting: &Setting, bucket: &str) -> opendal::Result<Operator> {
    opendal::install_default();
    let mut builder = services::S3::default()
        .endpoint(&setting.endpoint)
        .region(&setting.region)
        .bucket(bucket)
        .access_key_id(&setting.access_key)
        .secret_access_key(&setting.secret_key)
        .disable_config_load()
        .disable_ec2_metadata();
    if let Some(token) = &setting.token {
        builder = builder.session_token(token);
    }
    if setting.checksums {
        builder = builder.checksum_algorithm("crc32c");
    }
    Operator::new(builder)
}

pub(crate) async fn answer(setting: &Setting, ask: Ask) -> Outcome {
    Ok(match ask {
        Ask::Put { bucket, key, body } => {
            operator(setting, &bucket)?.write(&key, body.into_bytes()).await?;
            json!(null)
        }
        Ask::Get { bucket, key } => {
            json!(String::from_utf8(operator(setting, &bucket)?.read(&key).await?.to_vec())?)
        }
        Ask::Head { bucket, key } => json!(operator(setting, &bucket)?.stat(&key).await?.content_length()),
        Ask::Delete { bucket, key } => {
            operator(setting, &bucket)?.delete(&key).await?;
            json!(null)
        }
        Ask::Copy { bucket, from, to } => {
            operator(setting, &bucket)?.copy(&from, &to).await?;
            json!(null)
        }
        Ask::List { bucket, prefix, delimited } => {
            let found = operator(setting, &bucket)?.list_with(&prefix).recursive(!delimited).await?;
            let (prefixes, keys): (Vec<_>, Vec<_>) =
                found.iter().map(|entry| entry.path().to_owned()).partition(|path| path.ends_with('/'));
            json!({ "keys": keys, "prefixes": prefixes })
        }
        Ask::Stream { .. } => return Err("bytes in memory, or parts".into()),
        Ask::Upload { bucket, key, path } => {
            let bytes = tokio::fs::read(path).await?;
            operator(setting, &bucket)?.write_with(&key, bytes).chunk(PART).await?;
            json!(null)
        }
        Ask::Download { bucket, key, path } => {
            let got = operator(setting, &bucket)?.read(&key).await?;
            tokio::fs::write(path, got.to_vec()).await?;
            json!(null)
        }
        Ask::Presign { bucket, key, method } => {
            let operator = operator(setting, &bucket)?;
            let signed = match method.as_str() {
                "GET" => operator.presign_read(&key, PRESIGNED_FOR).await?,
                _ => operator.presign_write(&key, PRESIGNED_FOR).await?,
            };
            json!(signed.uri().to_string())
        }
    })
}
