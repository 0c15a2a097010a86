//! Tokens that somebody else keeps fresh in a file.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::runtime::{Runtime, default_runtime};
use crate::{Expiring, Identity, Provider, ProviderError, Secret, regular_file};

/// The most that a token file may hold, in bytes.
const MOST: usize = 64 * 1024;
const TRIES: u32 = 3;
const BETWEEN: Duration = Duration::from_millis(50);

/// What a token is taken for good for. It only matters to a cache that somebody puts around the file.
const GOOD_FOR: Duration = Duration::from_secs(60);

/// A web-identity token in a file that is rotated by somebody else, such as the kubelet
/// (`AWS_WEB_IDENTITY_TOKEN_FILE`, `AZURE_FEDERATED_TOKEN_FILE`).
///
/// 1. The file is opened by its name and read whole on every call; neither its content nor its time of change is
///    remembered. A symbolic link is followed each time, so a link that is swapped is a new token at once.
/// 2. Up to 64 KiB, looked at before reading. White space at the end is not part of the token.
/// 3. It must look like a JWT in the compact form: three parts of base64url. The signature is the server's to judge.
/// 4. A file that is missing, empty, without a token, or that changed its length while it was read is looked at
///    again after 50 ms, three times in all.
///
/// The read is a plain blocking one on the caller's thread: a few kilobytes that the kernel holds in memory, less
/// than handing them to another thread costs. A file on a network share is not for this type.
#[derive(Clone, Debug)]
pub struct TokenFile {
    path: PathBuf,
    runtime: Arc<dyn Runtime>,
}

impl TokenFile {
    /// The file of this name. It is not touched until a token is asked for.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), runtime: default_runtime() }
    }

    /// Where the pauses between tries come from. Default: [`default_runtime`].
    #[must_use]
    pub fn runtime(mut self, runtime: impl Runtime) -> Self {
        self.runtime = Arc::new(runtime);
        self
    }

    /// The name of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// # Errors
///
/// [`Misconfigured`](crate::ErrorKind::Misconfigured): a directory or another thing that is no regular file, a file
/// that is still missing after three tries, may not be read, or is over 64 KiB.
/// [`Transient`](crate::ErrorKind::Transient): a file that holds no token after three tries.
impl Provider for TokenFile {
    type Credential = Secret;

    fn identity(&self) -> Identity {
        Identity::of("token-file").part("path", self.path.as_os_str().as_encoded_bytes()).finish()
    }

    async fn provide(&self) -> Result<Expiring<Secret>, ProviderError> {
        let mut tries = 1;
        loop {
            match read(&self.path) {
                Ok(token) => return Ok(Expiring::after(token, GOOD_FOR)),
                Err(fault) if fault.passes() && tries < TRIES => tries += 1,
                Err(fault) => return Err(fault.into_error()),
            }
            self.runtime.sleep(BETWEEN).await;
        }
    }
}

enum Fault {
    NotAFile,
    TooLong,
    Io(io::Error),
    Empty,
    NoToken,
    Torn,
}

impl Fault {
    fn passes(&self) -> bool {
        !matches!(self, Self::NotAFile | Self::TooLong)
    }

    fn into_error(self) -> ProviderError {
        match self {
            Self::NotAFile => ProviderError::misconfigured("the token file is not a regular file"),
            Self::TooLong => ProviderError::misconfigured("the token file is longer than 65536 bytes"),
            Self::Io(error) if error.kind() == io::ErrorKind::NotFound => {
                ProviderError::misconfigured("the token file is missing").with_source(error)
            }
            Self::Io(error) => {
                ProviderError::misconfigured("the token file cannot be read").with_source(error)
            }
            Self::Empty => ProviderError::transient("the token file is empty"),
            Self::NoToken => ProviderError::transient("the token file does not hold a JWT"),
            Self::Torn => ProviderError::transient("the token file keeps changing while it is read"),
        }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

fn read(path: &Path) -> Result<Secret, Fault> {
    let (mut file, long) = regular_file::open(path)?.ok_or(Fault::NotAFile)?;
    let length = usize::try_from(long).unwrap_or(usize::MAX);
    if length > MOST {
        return Err(Fault::TooLong);
    }
    // Room for more than is read, so that the buffer never moves and leaves a copy behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(length + 64));
    file.by_ref().take(long.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() != length || file.metadata()?.len() != long {
        return Err(Fault::Torn);
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| Fault::NoToken)?.trim_ascii_end();
    if text.is_empty() {
        return Err(Fault::Empty);
    }
    if !looks_like_a_jwt(text) {
        return Err(Fault::NoToken);
    }
    Ok(Secret::new(text))
}

/// Three parts of base64url, none of a length that base64 cannot have, the first one an object (`{"`).
fn looks_like_a_jwt(text: &str) -> bool {
    let part = |part: &str| {
        let alphabet = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        !part.is_empty() && part.len() % 4 != 1 && part.bytes().all(alphabet)
    };
    let mut parts = text.split('.');
    let three = [parts.next(), parts.next(), parts.next()];
    three.iter().all(|text| text.is_some_and(part)) && parts.next().is_none() && text.starts_with("ey")
}
