use std::sync::Arc;

use credfed_core::{AwsCredentials, CachedProvider, Secret};
use object_store::aws::{AwsCredential, AwsCredentialProvider};

use zeroize::Zeroize;

use super::{Adapter, Wipe};

/// What `AmazonS3Builder::with_credentials` takes: keys that sign each request, session token included.
pub fn aws(provider: CachedProvider<AwsCredentials>) -> AwsCredentialProvider {
    Arc::new(Adapter { provider, store: "S3", convert })
}

impl Wipe for AwsCredential {
    fn wipe(&mut self) {
        self.secret_key.zeroize();
        self.token.zeroize();
    }
}

fn convert(keys: &AwsCredentials) -> AwsCredential {
    AwsCredential {
        key_id: String::from(keys.access_key_id()),
        secret_key: String::from(keys.secret_access_key().expose()),
        token: keys.session_token().map(Secret::expose).map(String::from),
    }
}
