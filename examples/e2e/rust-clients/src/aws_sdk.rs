//! The AWS SDK for Rust.

use aws_sdk_s3::config::{
    Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation, retry::RetryConfig,
};
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::{ByteStream, Length};
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use aws_sdk_s3::{Client, Config};
use serde_json::json;

use crate::{Ask, Outcome, PART, PRESIGNED_FOR, Setting};

pub(crate) fn client(setting: &Setting) -> Client {
    let Setting { access_key, secret_key, token, .. } = setting;
    let (calculation, validation) = if setting.checksums {
        (RequestChecksumCalculation::WhenSupported, ResponseChecksumValidation::WhenSupported)
    } else {
        (RequestChecksumCalculation::WhenRequired, ResponseChecksumValidation::WhenRequired)
    };
    let config = Config::builder()
        .behavior_version_latest()
        .endpoint_url(&setting.endpoint)
        .force_path_style(true)
        .region(Region::new(setting.region.clone()))
        .credentials_provider(Credentials::new(access_key, secret_key, token.clone(), None, "e2e"))
        .request_checksum_calculation(calculation)
        .response_checksum_validation(validation)
        .retry_config(RetryConfig::disabled());
    Client::from_conf(config.build())
}

pub(crate) async fn answer(client: &Client, ask: Ask) -> Outcome {
    Ok(match ask {
        Ask::Put { bucket, key, body } => {
            let body = ByteStream::from(body.into_bytes());
            client.put_object().bucket(bucket).key(key).body(body).send().await?;
            json!(null)
        }
        Ask::Get { bucket, key } => {
            let got = client.get_object().bucket(bucket).key(key).send().await?;
            json!(String::from_utf8(got.body.collect().await?.to_vec())?)
        }
        Ask::Head { bucket, key } => {
            json!(client.head_object().bucket(bucket).key(key).send().await?.content_length())
        }
        Ask::Delete { bucket, key } => {
            client.delete_object().bucket(bucket).key(key).send().await?;
            json!(null)
        }
        Ask::Copy { bucket, from, to } => {
            // The caller of the SDK encodes it.
            let source: String = format!("{bucket}/{from}")
                .bytes()
                .map(|byte| match byte {
                    b'/' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
                    byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
                    byte => format!("%{byte:02X}"),
                })
                .collect();
            client.copy_object().bucket(bucket).key(to).copy_source(source).send().await?;
            json!(null)
        }
        Ask::List { bucket, prefix, delimited } => {
            let list = client.list_objects_v2().bucket(bucket).prefix(prefix);
            let list = list.set_delimiter(delimited.then(|| "/".to_owned()));
            let mut pages = list.into_paginator().send();
            let (mut keys, mut prefixes) = (Vec::new(), Vec::new());
            while let Some(page) = pages.next().await {
                let page = page?;
                keys.extend(page.contents().iter().filter_map(|object| object.key().map(str::to_owned)));
                let found = page.common_prefixes().iter();
                prefixes.extend(found.filter_map(|prefix| prefix.prefix().map(str::to_owned)));
            }
            json!({ "keys": keys, "prefixes": prefixes })
        }
        Ask::Stream { bucket, key, path } => {
            let body = ByteStream::from_path(path).await?;
            client.put_object().bucket(bucket).key(key).body(body).send().await?;
            json!(null)
        }
        Ask::Upload { bucket, key, path } => {
            let size = tokio::fs::metadata(&path).await?.len();
            let upload = client.create_multipart_upload().bucket(&bucket).key(&key).send().await?;
            let id = upload.upload_id().ok_or("no upload id")?;
            let mut done = CompletedMultipartUpload::builder();
            let starts = (0..size).step_by(PART);
            for (number, start) in (1..).zip(starts) {
                let length = Length::Exact((size - start).min(PART as u64));
                let body = ByteStream::read_from().path(&path).offset(start).length(length).build().await?;
                let part = client.upload_part().bucket(&bucket).key(&key).upload_id(id).part_number(number);
                let sent = part.body(body).send().await?;
                let part = CompletedPart::builder().part_number(number).set_e_tag(sent.e_tag);
                done = done.parts(part.set_checksum_crc32(sent.checksum_crc32).build());
            }
            let complete = client.complete_multipart_upload().bucket(bucket).key(key).upload_id(id);
            complete.multipart_upload(done.build()).send().await?;
            json!(null)
        }
        Ask::Download { bucket, key, path } => {
            let mut body = client.get_object().bucket(bucket).key(key).send().await?.body.into_async_read();
            tokio::io::copy(&mut body, &mut tokio::fs::File::create(path).await?).await?;
            json!(null)
        }
        Ask::Presign { bucket, key, method } => {
            let config = PresigningConfig::expires_in(PRESIGNED_FOR)?;
            let signed = match method.as_str() {
                "GET" => client.get_object().bucket(bucket).key(key).presigned(config).await?,
                _ => client.put_object().bucket(bucket).key(key).presigned(config).await?,
            };
            json!(signed.uri())
        }
    })
}
