use std::sync::Arc;

use credfed_core::{Azure, BearerToken, CachedProvider};
use object_store::azure::{AzureCredential, AzureCredentialProvider};

use super::Adapter;

/// What `MicrosoftAzureBuilder::with_credentials` takes: a token of Microsoft Entra for
/// `https://storage.azure.com`.
pub fn azure(provider: CachedProvider<BearerToken<Azure>>) -> AzureCredentialProvider {
    Arc::new(Adapter { provider, store: "MicrosoftAzure", convert })
}

fn convert(token: &BearerToken<Azure>) -> AzureCredential {
    AzureCredential::BearerToken(String::from(token.secret().expose()))
}
