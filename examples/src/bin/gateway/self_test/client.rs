//! A client of other people's making: object_store, with its credential from ours.

use std::io;

use bytes::Bytes;
use credfed_core::{CachedProvider, StaticProvider};
use futures::{StreamExt, TryStreamExt};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{Error, GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutPayload, WriteMultipart};

use super::raw::Raw;
use super::{Bench, Outcome, Report, expect};

/// A key that shows whether paths are encoded and decoded alike everywhere.
const ODD_KEY: &str = "public/a folder/plus+percent%25/grüße=&?#~.bin";

pub(super) async fn check(bench: &Bench, report: &mut Report) -> io::Result<()> {
    let store = match store(bench) {
        Ok(store) => store,
        Err(error) => return report.check("build a client", async { Err(error.into()) }).await,
    };
    report.check("create a bucket", create_the_bucket(bench)).await?;
    report.check("put and get", put_and_get(&store)).await?;
    report.check("put and get under an odd key", put_and_get_odd(&store)).await?;
    report.check("put and get nothing", put_and_get_nothing(&store)).await?;
    report.check("get ranges", get_ranges(&store)).await?;
    report.check("get what is not there", get_missing(&store)).await?;
    report.check("list", list(&store)).await?;
    report.check("list folders", list_folders(&store)).await?;
    report.check("copy", copy(&store)).await?;
    report.check("upload in parts", upload_in_parts(&store)).await?;
    report.check("abort an upload", abort_an_upload(&store)).await?;
    report.check("delete", delete(&store)).await?;
    report.check("delete many at once", delete_many(&store)).await?;
    report.check("list all buckets", list_buckets(bench)).await
}

pub(super) fn store(bench: &Bench) -> object_store::Result<AmazonS3> {
    let provider = CachedProvider::new(StaticProvider::new(bench.owner.clone()));
    AmazonS3Builder::new()
        .with_endpoint(format!("http://{}", bench.address))
        .with_allow_http(true)
        .with_region(bench.region.as_str())
        .with_bucket_name(&bench.bucket)
        .with_credentials(credfed_object_store::aws(provider))
        .build()
}

pub(super) async fn delete_the_bucket(bench: &Bench) -> Outcome {
    let store = store(bench)?;
    let keys = store.list(None).map_ok(|found| found.location).boxed();
    store.delete_stream(keys).try_collect::<Vec<_>>().await?;
    let answer = Raw::new("DELETE", &format!("/{}", bench.bucket)).send(bench).await?;
    expect(answer.status == 204, answer)
}

async fn create_the_bucket(bench: &Bench) -> Outcome {
    let answer = Raw::new("PUT", &format!("/{}", bench.bucket)).send(bench).await?;
    expect(answer.status == 200, answer)
}

async fn list_buckets(bench: &Bench) -> Outcome {
    let answer = Raw::new("GET", "/").send(bench).await?;
    expect(answer.status == 200 && answer.body.contains(&bench.bucket), answer)
}

async fn put_and_get(store: &AmazonS3) -> Outcome {
    returns_what_was_put(store, &"public/plain.txt".into(), Bytes::from_static(b"hello")).await
}

async fn put_and_get_odd(store: &AmazonS3) -> Outcome {
    returns_what_was_put(store, &Path::parse(ODD_KEY)?, Bytes::from_static(b"odd")).await?;
    let folder = Path::parse("public/a folder")?;
    let found: Vec<_> = store.list(Some(&folder)).map_ok(|found| found.location).try_collect().await?;
    expect(found == [Path::parse(ODD_KEY)?], format!("listed: {found:?}"))
}

async fn put_and_get_nothing(store: &AmazonS3) -> Outcome {
    returns_what_was_put(store, &"public/empty".into(), Bytes::new()).await
}

async fn returns_what_was_put(store: &AmazonS3, key: &Path, content: Bytes) -> Outcome {
    store.put(key, PutPayload::from(content.clone())).await?;
    let got = store.get(key).await?.bytes().await?;
    expect(got == content, format!("{} bytes came back of {}", got.len(), content.len()))
}

async fn get_ranges(store: &AmazonS3) -> Outcome {
    let key = Path::from("public/plain.txt");
    let middle = store.get_range(&key, 1..3).await?;
    let tail = GetOptions { range: Some(GetRange::Suffix(2)), ..GetOptions::default() };
    let tail = store.get_opts(&key, tail).await?.bytes().await?;
    expect(middle == "el" && tail == "lo", format!("{middle:?} and {tail:?}"))
}

async fn get_missing(store: &AmazonS3) -> Outcome {
    match store.get(&"public/missing".into()).await {
        Err(Error::NotFound { .. }) => Ok(()),
        other => Err(format!("{other:?}").into()),
    }
}

async fn list(store: &AmazonS3) -> Outcome {
    store.put(&"private/secret.txt".into(), PutPayload::from_static(b"not for guests")).await?;
    let mut found: Vec<_> = store.list(None).map_ok(|found| found.location.to_string()).try_collect().await?;
    found.sort();
    let all = ["private/secret.txt", ODD_KEY, "public/empty", "public/plain.txt"];
    expect(found == all, format!("{found:?}"))
}

async fn list_folders(store: &AmazonS3) -> Outcome {
    let top = store.list_with_delimiter(None).await?;
    let folders: Vec<_> = top.common_prefixes.iter().map(Path::as_ref).collect();
    expect(folders == ["private", "public"] && top.objects.is_empty(), format!("{folders:?}"))
}

async fn copy(store: &AmazonS3) -> Outcome {
    let (from, to) = (Path::parse(ODD_KEY)?, Path::from("public/copy of it"));
    store.copy(&from, &to).await?;
    let got = store.get(&to).await?.bytes().await?;
    expect(got == "odd", format!("{got:?}"))
}

async fn upload_in_parts(store: &AmazonS3) -> Outcome {
    let key = Path::from("public/parts");
    let content: Vec<u8> = (0_u32..12 << 20).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut upload = WriteMultipart::new_with_chunk_size(store.put_multipart(&key).await?, 5 << 20);
    upload.write(&content);
    upload.finish().await?;
    let got = store.get(&key).await?.bytes().await?;
    expect(got == content, format!("{} bytes came back of {}", got.len(), content.len()))
}

async fn abort_an_upload(store: &AmazonS3) -> Outcome {
    let key = Path::from("public/aborted");
    let mut upload = store.put_multipart(&key).await?;
    upload.put_part(PutPayload::from_static(b"never to be seen")).await?;
    upload.abort().await?;
    match store.get(&key).await {
        Err(Error::NotFound { .. }) => Ok(()),
        other => Err(format!("{other:?}").into()),
    }
}

async fn delete(store: &AmazonS3) -> Outcome {
    let key = Path::from("public/empty");
    store.delete(&key).await?;
    match store.head(&key).await {
        Err(Error::NotFound { .. }) => Ok(()),
        other => Err(format!("{other:?}").into()),
    }
}

async fn delete_many(store: &AmazonS3) -> Outcome {
    let keys: Vec<_> = (0..5).map(|number| Path::from(format!("public/many/{number}"))).collect();
    for key in &keys {
        store.put(key, PutPayload::from_static(b"x")).await?;
    }
    let deleting = futures::stream::iter(keys.clone()).map(Ok).boxed();
    let deleted: Vec<_> = store.delete_stream(deleting).try_collect().await?;
    let left: Vec<_> = store.list(Some(&"public/many".into())).try_collect().await?;
    expect(deleted.len() == keys.len() && left.is_empty(), format!("{deleted:?}, and {left:?} are left"))
}
