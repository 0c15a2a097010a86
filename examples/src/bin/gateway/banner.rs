//! What another terminal needs: lines to paste, alone on stdout.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::endpoint::Region;
use crate::keys::Key;

/// Prints the block. `key` is the one that was made at start; the secrets of a keys file are not repeated.
pub(crate) fn print(
    mut out: impl Write,
    listening: SocketAddr,
    region: &Region,
    key: Option<&Key>,
) -> io::Result<()> {
    let address = reachable(listening);
    writeln!(out, "export AWS_ENDPOINT_URL=http://{address}")?;
    writeln!(out, "export AWS_ALLOW_HTTP=true")?;
    if let Some(key) = key {
        writeln!(out, "export AWS_ACCESS_KEY_ID={}", key.access_key_id)?;
        writeln!(out, "export AWS_SECRET_ACCESS_KEY={}", key.secret.expose())?;
        writeln!(out, "unset AWS_SESSION_TOKEN")?;
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
