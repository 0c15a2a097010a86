//! s3s's whole service before an empty S3, less the same service without authentication and the same request without a
//! signature. It reads the clock itself; its window is opened for the requests that were signed long ago.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use futures::executor::block_on;
use futures::{StreamExt, stream};
use http::request::Parts;
use http_body::Frame;
use http_body_util::StreamBody;
use s3s::auth::SimpleAuth;
use s3s::config::{S3Config, StaticConfigProvider};
use s3s::dto::{GetObjectInput, GetObjectOutput, PutObjectInput, PutObjectOutput};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{Body, S3, S3Request, S3Response, S3Result, s3_error};

use crate::Subject;
use crate::requests::{ACCESS_KEY, Request, SECRET, frames};

pub fn of(request: &Request) -> Subject {
    let (parts, body) = (request.parts.clone(), request.frames.clone());
    let verifying = service(true);
    let run = move || answer(&verifying, parts.clone(), &body);
    assert_eq!(run(), 200);

    let (mut parts, data) = (request.parts.clone(), frames(&request.data));
    for name in ["authorization", "content-encoding"] {
        parts.headers.remove(name);
    }
    let amazon: Vec<_> =
        parts.headers.keys().filter(|name| name.as_str().starts_with("x-amz-")).cloned().collect();
    amazon.iter().for_each(|name| drop(parts.headers.remove(name)));
    if request.is_chunked {
        parts.headers.insert("content-length", request.data.len().into());
    }
    parts.uri = parts.uri.path().parse().unwrap();
    let open = service(false);
    let fixed = move || answer(&open, parts.clone(), &data);
    assert_eq!(fixed(), 200);
    Subject::new("s3s", move || assert_eq!(run(), 200)).without(move || assert_eq!(fixed(), 200))
}

fn service(verifies: bool) -> S3Service {
    let mut config = S3Config::default();
    config.presigned_url_max_skew_time_secs = u32::MAX;
    let mut builder = S3ServiceBuilder::new(Empty);
    builder.set_config(Arc::new(StaticConfigProvider::new(Arc::new(config))));
    if verifies {
        builder.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET));
    }
    builder.build()
}

fn answer(service: &S3Service, parts: Parts, body: &[Bytes]) -> u16 {
    let body = match body {
        [] => Body::empty(),
        [whole] => Body::from(whole.clone()),
        frames => {
            let frames: Vec<_> =
                frames.iter().cloned().map(|frame| Ok::<_, Infallible>(Frame::data(frame))).collect();
            Body::http_body(StreamBody::new(stream::iter(frames)))
        }
    };
    block_on(service.call(http::Request::from_parts(parts, body)))
        .map_or(500, |response| response.status().as_u16())
}

struct Empty;

impl S3 for Empty {
    fn get_object<'s: 'f, 'f>(
        &'s self,
        _: S3Request<GetObjectInput>,
    ) -> futures::future::BoxFuture<'f, S3Result<S3Response<GetObjectOutput>>> {
        Box::pin(async { Ok(S3Response::new(GetObjectOutput::default())) })
    }

    fn put_object<'s: 'f, 'f>(
        &'s self,
        request: S3Request<PutObjectInput>,
    ) -> futures::future::BoxFuture<'f, S3Result<S3Response<PutObjectOutput>>> {
        Box::pin(async {
            if let Some(mut body) = request.input.body {
                while let Some(frame) = body.next().await {
                    drop(std::hint::black_box(frame.map_err(|_| s3_error!(InternalError))?));
                }
            }
            Ok(S3Response::new(PutObjectOutput::default()))
        })
    }
}
