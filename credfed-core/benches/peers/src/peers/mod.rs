//! One file per peer.

use crate::peer::Kind;

mod aws_sdk;
mod credfed;
mod moka;
mod multistore;
mod object_store;
mod reqsign;

/// All of them, ours first.
pub const ALL: [Kind; 6] = [
    Kind { name: "credfed-core", package: None, new: credfed::new },
    Kind { name: "object_store", package: Some("object_store"), new: object_store::new },
    Kind { name: "AWS SDK", package: Some("aws-smithy-runtime"), new: aws_sdk::new },
    Kind { name: "reqsign", package: Some("reqsign-core"), new: reqsign::new },
    Kind { name: "moka", package: Some("moka"), new: moka::new },
    Kind { name: "multistore", package: Some("multistore-oidc-provider"), new: multistore::new },
];
