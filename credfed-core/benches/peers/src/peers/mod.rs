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
    Kind { name: "credfed-core", package: "credfed-core", new: credfed::new },
    Kind { name: "object_store", package: "object_store", new: object_store::new },
    Kind { name: "AWS SDK", package: "aws-smithy-runtime", new: aws_sdk::new },
    Kind { name: "reqsign", package: "reqsign-core", new: reqsign::new },
    Kind { name: "moka", package: "moka", new: moka::new },
    Kind { name: "multistore", package: "multistore-oidc-provider", new: multistore::new },
];
