//! Which addresses a client may connect to.
//!
//! A name in a URL can point anywhere, this machine's own network and its metadata server included. The client
//! therefore resolves a name itself, checks what came out, and connects to those very addresses: nothing is
//! looked up twice.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where a client may connect to. Link-local, multicast, unspecified, reserved and metadata addresses are in none
/// of the guarded ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reach {
    /// Anywhere: the addresses are the settings' own responsibility. The default.
    #[default]
    Anywhere,
    /// Public addresses only.
    Public,
    /// Public addresses, and private ones: RFC 1918, shared (RFC 6598), unique local (RFC 4193).
    Private,
    /// This machine's loopback addresses only.
    Loopback,
}

impl Reach {
    /// Whether an address is within reach.
    ///
    /// An IPv6 address that stands for an IPv4 one (mapped, compatible, NAT64, 6to4, Teredo) is never within a
    /// guarded reach: a name has no good reason to resolve to one, and what it leads to is a gateway's decision.
    pub fn allows(self, address: IpAddr) -> bool {
        let class = Class::of(address);
        match self {
            Self::Anywhere => true,
            Self::Public => class == Class::Public,
            Self::Private => matches!(class, Class::Public | Class::Private),
            Self::Loopback => class == Class::Loopback,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Public,
    Private,
    Loopback,
    Forbidden,
}

impl Class {
    fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::of_v4(address),
            IpAddr::V6(address) => Self::of_v6(address),
        }
    }

    fn of_v4(address: Ipv4Addr) -> Self {
        // Metadata servers outside of 169.254.0.0/16: Azure's host (168.63.129.16), Oracle's former one
        // (192.0.0.192), Alibaba's (100.100.100.200).
        const METADATA: [[u8; 4]; 3] = [[168, 63, 129, 16], [192, 0, 0, 192], [100, 100, 100, 200]];
        let octets = address.octets();
        if METADATA.contains(&octets) {
            return Self::Forbidden;
        }
        match octets {
            [127, ..] => Self::Loopback,
            [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] => Self::Private,
            // "This network", link-local, protocol assignments, documentation, 6to4 relays, benchmarks,
            // multicast, reserved and broadcast (RFC 6890).
            [0, ..]
            | [169, 254, ..]
            | [192, 0, 0 | 2, _]
            | [192, 88, 99, _]
            | [198, 18 | 19, ..]
            | [198, 51, 100, _]
            | [203, 0, 113, _]
            | [224..=255, ..] => Self::Forbidden,
            _ => Self::Public,
        }
    }

    fn of_v6(address: Ipv6Addr) -> Self {
        // Metadata servers within fc00::/7, beside all of Amazon's fd00:ec2::/32: Google's, Oracle's, Scaleway's,
        // Akamai's and Alibaba's.
        const METADATA: [[u16; 8]; 5] = [
            [0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254],
            [0xfd00, 0xc1, 0, 0, 0, 0, 0xa9fe, 0xa9fe],
            [0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42],
            [0xfd00, 0xa9fe, 0xa9fe, 0, 0, 0, 0, 1],
            [0xfd00, 0x100, 0, 0, 0, 0, 0x100, 0x200],
        ];
        let segments = address.segments();
        if address == Ipv6Addr::LOCALHOST {
            return Self::Loopback;
        }
        if METADATA.contains(&segments) || matches!(segments, [0xfd00, 0xec2, ..]) {
            return Self::Forbidden;
        }
        match segments {
            [0xfc00..=0xfdff, ..] => Self::Private,
            // Teredo and the other protocol assignments, documentation (both), 6to4.
            [0x2001, 0x0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x2002, ..] | [0x3fff, 0x0..=0xfff, ..] => {
                Self::Forbidden
            }
            // Global unicast is 2000::/3. All else is forbidden: unspecified, mapped and compatible, NAT64
            // (64:ff9b::/96 and 64:ff9b:1::/48), discard, segment routing, link-local, site-local, multicast.
            [0x2000..=0x3fff, ..] => Self::Public,
            _ => Self::Forbidden,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reaches(text: &str) -> (bool, bool, bool) {
        let address: IpAddr = text.parse().unwrap();
        assert!(Reach::Anywhere.allows(address));
        (Reach::Public.allows(address), Reach::Private.allows(address), Reach::Loopback.allows(address))
    }

    #[test]
    fn public_addresses_are_public() {
        for text in [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "52.94.236.248",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "168.63.129.15",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2606:4700:4700::1111",
            "2a00:1450:4001:81b::200e",
            "2001:4860:4860::8888",
        ] {
            assert_eq!(reaches(text), (true, true, false), "{text}");
        }
    }

    #[test]
    fn private_addresses_need_the_class_that_says_so() {
        for text in [
            "10.0.0.0",
            "10.255.255.255",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.0.1",
            "100.64.0.0",
            "100.127.255.255",
            "fc00::1",
            "fd12:3456::1",
        ] {
            assert_eq!(reaches(text), (false, true, false), "{text}");
        }
    }

    #[test]
    fn loopback_addresses_are_for_loopback_alone() {
        for text in ["127.0.0.1", "127.255.255.254", "::1"] {
            assert_eq!(reaches(text), (false, false, true), "{text}");
        }
    }

    #[test]
    fn metadata_servers_and_whatever_stands_for_another_address_are_out_of_reach() {
        for text in [
            // Amazon, Google, Azure, DigitalOcean, OpenStack; ECS and EKS; Azure's host; Oracle; Alibaba.
            "169.254.169.254",
            "169.254.170.2",
            "169.254.170.23",
            "169.254.0.1",
            "168.63.129.16",
            "192.0.0.192",
            "100.100.100.200",
            "fd00:ec2::254",
            "fd00:ec2::23",
            "fd00:ec2:0:1::1",
            "fd20:ce::254",
            "fe80::a9fe:a9fe",
            // The same over IPv6: Oracle, Scaleway, Akamai, Alibaba.
            "fd00:c1::a9fe:a9fe",
            "fd00:42::42",
            "fd00:a9fe:a9fe::1",
            "fd00:100::100:200",
            // Unspecified, link-local, site-local, multicast, broadcast, reserved.
            "0.0.0.0",
            "0.1.2.3",
            "::",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "ff02::1",
            // Documentation, benchmarks, protocol assignments.
            "192.0.2.1",
            "198.51.100.1",
            "203.0.113.1",
            "198.18.0.1",
            "198.19.255.255",
            "192.0.0.1",
            "192.88.99.1",
            "2001:db8::1",
            "3fff::1",
            "100::1",
            // IPv4 in IPv6: mapped, compatible, NAT64 well-known and local, 6to4, Teredo, ISATAP's prefix.
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "::ffff:0:8.8.8.8",
            "::127.0.0.1",
            "::2",
            "64:ff9b::169.254.169.254",
            "64:ff9b::8.8.8.8",
            "64:ff9b:1::10.0.0.1",
            "2002:7f00:1::1",
            "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        ] {
            assert_eq!(reaches(text), (false, false, false), "{text}");
        }
    }
}
