//! A client of S3 on a string: reads one JSON object a line, does what it says, and answers with one.
//!
//! The first line says who and where ([`Setting`]); each of the others is an [`Ask`].

mod aws_sdk;
mod object_store_s3;
mod opendal_s3;

use std::error::Error;
use std::io::{self, BufRead, Write};

use serde::Deserialize;
use serde_json::{Value, json};

type Outcome = Result<Value, Box<dyn Error + Send + Sync>>;

/// Small enough that 20 MiB are several parts, and the least that S3 takes.
const PART: usize = 5 << 20;

const PRESIGNED_FOR: std::time::Duration = std::time::Duration::from_secs(600);

#[derive(Deserialize)]
struct Setting {
    client: String,
    endpoint: String,
    region: String,
    access_key: String,
    secret_key: String,
    token: Option<String>,
    /// Whether uploads carry a checksum: as the SDK has it by default, and chosen where none is the default.
    checksums: bool,
}

#[derive(Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
enum Ask {
    Put {
        bucket: String,
        key: String,
        body: String,
    },
    Get {
        bucket: String,
        key: String,
    },
    /// Answers with the length.
    Head {
        bucket: String,
        key: String,
    },
    Delete {
        bucket: String,
        key: String,
    },
    Copy {
        bucket: String,
        from: String,
        to: String,
    },
    /// Answers with the keys and the common prefixes of all pages.
    List {
        bucket: String,
        prefix: String,
        delimited: bool,
    },
    /// One PUT of a file, which is read as it is sent.
    Stream {
        bucket: String,
        key: String,
        path: String,
    },
    /// In parts, from a file.
    Upload {
        bucket: String,
        key: String,
        path: String,
    },
    Download {
        bucket: String,
        key: String,
        path: String,
    },
    /// Answers with a URL.
    Presign {
        bucket: String,
        key: String,
        method: String,
    },
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut lines = io::stdin().lock().lines();
    let first = lines.next().ok_or("nothing was said")??;
    let setting: Setting = serde_json::from_str(&first)?;
    let sdk = aws_sdk::client(&setting);
    for line in lines {
        let ask: Ask = serde_json::from_str(&line?)?;
        let outcome = match setting.client.as_str() {
            "aws-sdk-s3" => aws_sdk::answer(&sdk, ask).await,
            "object_store" => object_store_s3::answer(&setting, ask).await,
            "opendal" => opendal_s3::answer(&setting, ask).await,
            _ => Err("there is no such client".into()),
        };
        let said = match outcome {
            Ok(value) => json!({ "value": value }),
            Err(error) => json!({ "error": in_full(&*error) }),
        };
        let mut out = io::stdout().lock();
        writeln!(out, "{said}")?;
        out.flush()?;
    }
    Ok(())
}

fn in_full(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    causes.map(|error| format!("{error} {error:?}")).collect::<Vec<_>>().join(": ")
}
