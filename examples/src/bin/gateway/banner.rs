//! What another terminal needs: lines to paste, alone on stdout.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::endpoint::Region;
use crate::keys::Key;
use crate::visitors::Visitors;

/// Prints the block. `visitors` and `key` are those that were made at start; the secrets of a file are not repeated.
/// Where there are both, the key is a comment: SDKs prefer a key to a web identity.
pub(crate) fn print(
    mut out: impl Write,
    listening: SocketAddr,
    is_tls: bool,
    region: &Region,
    visitors: Option<&Visitors>,
    key: Option<&Key>,
) -> io::Result<()> {
    let scheme = if is_tls { "https" } else { "http" };
    let url = format!("{scheme}://{}", reachable(listening));
    writeln!(out, "export AWS_ENDPOINT_URL={url}")?;
    if !is_tls {
        writeln!(out, "export AWS_ALLOW_HTTP=true")?;
    }
    if let Some(visitors) = visitors {
        writeln!(out, "export AWS_ENDPOINT_URL_STS={url}")?;
        writeln!(out, "export AWS_ROLE_ARN={}", visitors.role_arn)?;
        writeln!(out, "export AWS_ROLE_SESSION_NAME=visitor")?;
        writeln!(out, "export AWS_WEB_IDENTITY_TOKEN_FILE={}", visitors.token_file.display())?;
        writeln!(out, "unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_PROFILE")?;
    }
    if let Some(key) = key {
        let comment = if visitors.is_some() { "# " } else { "" };
        if visitors.is_some() {
            writeln!(out, "# or, with a long-lived key in place of the web identity:")?;
        }
        writeln!(out, "{comment}export AWS_ACCESS_KEY_ID={}", key.access_key_id)?;
        writeln!(out, "{comment}export AWS_SECRET_ACCESS_KEY={}", key.secret.expose())?;
        writeln!(out, "{comment}unset AWS_SESSION_TOKEN")?;
    }
    writeln!(out, "export AWS_REGION={}", region.as_str())?;
    writeln!(out, "export AWS_DEFAULT_REGION={}", region.as_str())?;
    out.flush()
}

/// An address to connect to, where the gateway listens on all of them.
pub(crate) fn reachable(listening: SocketAddr) -> SocketAddr {
    let ip = match listening.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listening.port())
}
