//! Which addresses mean something to the rest of the world. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

/// Where an address has a meaning, after the IANA special-purpose address registries (RFC 6890 and its updates).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Everywhere: the only kind that is looked up.
    Public,
    /// On this host.
    Loopback,
    /// In a private network: RFC 1918, unique local IPv6 (RFC 4193).
    Private,
    /// Behind a carrier's address translation (RFC 6598).
    SharedByCarrier,
    /// On one link.
    LinkLocal,
    /// In books.
    Documentation,
    /// Nowhere that a connection could come from: unspecified, multicast, reserved, benchmarks.
    Reserved,
}

impl Scope {
    /// The scope of an address; an IPv4-mapped one is judged as IPv4.
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => of_v4(address),
            IpAddr::V6(address) => of_v6(address),
        }
    }
}

fn of_v4(address: Ipv4Addr) -> Scope {
    match address.octets() {
        [127, ..] => Scope::Loopback,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Scope::Private,
        [100, 64..=127, ..] => Scope::SharedByCarrier,
        [169, 254, ..] => Scope::LinkLocal,
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Scope::Documentation,
        // "This network", protocol assignments, benchmarks, multicast and the reserved rest with broadcast.
        [0, ..] | [192, 0, 0, _] | [198, 18..=19, ..] | [224..=255, ..] => Scope::Reserved,
        _ => Scope::Public,
    }
}

fn of_v6(address: Ipv6Addr) -> Scope {
    if address == Ipv6Addr::LOCALHOST {
        return Scope::Loopback;
    }
    match address.segments() {
        [0xfc00..=0xfdff, ..] => Scope::Private,
        [0xfe80..=0xfebf, ..] => Scope::LinkLocal,
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Scope::Documentation,
        // Benchmarks and ORCHID within the protocol assignments 2001::/23.
        [0x2001, 2, 0, ..] | [0x2001, 0x10..=0x2f, ..] => Scope::Reserved,
        // Global unicast is 2000::/3; nothing outside of it is assigned to anybody.
        [0x2000..=0x3fff, ..] => Scope::Public,
        _ => Scope::Reserved,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_at_their_borders() {
        let table: &[(&str, Scope)] = &[
            ("127.0.0.1", Scope::Loopback),
            ("127.255.255.255", Scope::Loopback),
            ("128.0.0.1", Scope::Public),
            ("10.255.0.1", Scope::Private),
            ("11.0.0.1", Scope::Public),
            ("172.15.255.255", Scope::Public),
            ("172.16.0.0", Scope::Private),
            ("172.31.255.255", Scope::Private),
            ("172.32.0.0", Scope::Public),
            ("192.168.1.1", Scope::Private),
            ("100.63.255.255", Scope::Public),
            ("100.64.0.0", Scope::SharedByCarrier),
            ("100.127.255.255", Scope::SharedByCarrier),
            ("100.128.0.0", Scope::Public),
            ("169.254.169.254", Scope::LinkLocal),
            ("192.0.2.1", Scope::Documentation),
            ("198.51.100.9", Scope::Documentation),
            ("203.0.113.77", Scope::Documentation),
            ("0.0.0.0", Scope::Reserved),
            ("198.18.0.1", Scope::Reserved),
            ("224.0.0.1", Scope::Reserved),
            ("255.255.255.255", Scope::Reserved),
            ("8.8.8.8", Scope::Public),
            ("::1", Scope::Loopback),
            ("::", Scope::Reserved),
            ("::ffff:10.0.0.1", Scope::Private),
            ("::ffff:127.0.0.1", Scope::Loopback),
            ("::ffff:8.8.8.8", Scope::Public),
            ("fc00::1", Scope::Private),
            ("fdff::1", Scope::Private),
            ("fe80::1", Scope::LinkLocal),
            ("febf::1", Scope::LinkLocal),
            ("fec0::1", Scope::Reserved),
            ("ff02::1", Scope::Reserved),
            ("2001:db8::1", Scope::Documentation),
            ("3fff:fff::1", Scope::Documentation),
            ("2a00:1450::8", Scope::Public),
            ("2001:4860:4860::8888", Scope::Public),
            ("4000::1", Scope::Reserved),
        ];
        for (address, scope) in table {
            assert_eq!(Scope::of(address.parse().unwrap()), *scope, "{address}");
        }
    }
}
