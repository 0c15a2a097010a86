use std::sync::Arc;

use credfed_core::{Azure, BearerToken, CachedProvider};
use object_store::azure::{AzureCredential, AzureCredentialProvider};

use zeroize::Zeroize;

use super::{Adapter, Wipe};

/// What `MicrosoftAzureBuilder::with_credentials` takes: a token of Microsoft Entra for
/// `https://storage.azure.com`.
pub fn azure(provider: CachedProvider<BearerToken<Azure>>) -> AzureCredentialProvider {
    Arc::new(Adapter { provider, store: "MicrosoftAzure", convert })
}

impl Wipe for AzureCredential {
    fn wipe(&mut self) {
        match self {
            Self::BearerToken(token) => token.zeroize(),
            // Keys that are not ours to hand out; `convert` makes none of these.
            Self::AccessKey(_) | Self::SASToken(_) => {}
        }
    }
}

fn convert(token: &BearerToken<Azure>) -> AzureCredential {
    AzureCredential::BearerToken(String::from(token.secret().expose()))
}
