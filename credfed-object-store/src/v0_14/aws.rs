use std::sync::Arc;

use credfed_core::{AwsCredentials, CachedProvider, Secret};
use object_store::aws::{AwsCredential, AwsCredentialProvider};

use super::Adapter;

/// What `AmazonS3Builder::with_credentials` takes: keys that sign each request, session token included.
pub fn aws(provider: CachedProvider<AwsCredentials>) -> AwsCredentialProvider {
    Arc::new(Adapter { provider, store: "S3", convert })
}

fn convert(keys: &AwsCredentials) -> AwsCredential {
    AwsCredential {
        key_id: String::from(keys.access_key_id()),
        secret_key: String::from(keys.secret_access_key().expose()),
        token: keys.session_token().map(Secret::expose).map(String::from),
    }
}
