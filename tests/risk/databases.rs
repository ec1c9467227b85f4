//! Files in MaxMind's format (version 2.0 of its specification), made as small as they can be.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

/// A value of the data section.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Text(&'static str),
    Double(f64),
    Short(u16),
    Int(u32),
    Long(u64),
    Map(Vec<(&'static str, Self)>),
    List(Vec<Self>),
}

use Value::{Double, Int, List, Long, Map, Short, Text};

/// A record of a city database.
pub(crate) fn city(name: &'static str, code: &'static str, latitude: f64, longitude: f64) -> Value {
    let names = |name| Map(vec![("names", Map(vec![("en", Text(name)), ("de", Text("falsch"))]))]);
    Map(vec![
        ("city", names(name)),
        ("country", Map(vec![("iso_code", Text(code)), ("geoname_id", Int(7))])),
        ("subdivisions", List(vec![names("Region")])),
        ("location", Map(vec![("latitude", Double(latitude)), ("longitude", Double(longitude))])),
    ])
}

/// A record of a network database.
pub(crate) fn asn(number: u32, name: &'static str) -> Value {
    Map(vec![("autonomous_system_number", Int(number)), ("autonomous_system_organization", Text(name))])
}

/// A whole file. Networks must not overlap.
pub(crate) fn database(kind: &'static str, built: u64, records: &[(&str, Value)]) -> Vec<u8> {
    const NOTHING: u32 = u32::MAX;
    const DATA: u32 = 1 << 31;
    let mut nodes = vec![[NOTHING; 2]];
    let mut data = Vec::new();
    for (network, value) in records {
        let (bits, length) = bits_of(network.parse().unwrap());
        let offset = u32::try_from(data.len()).unwrap();
        encode(value, &mut data);
        let mut node = 0;
        for place in 0..length {
            let bit = usize::try_from(bits >> (127 - place) & 1).unwrap();
            if place == length - 1 {
                nodes[node][bit] = DATA | offset;
            } else {
                if nodes[node][bit] == NOTHING {
                    nodes.push([NOTHING; 2]);
                    nodes[node][bit] = u32::try_from(nodes.len() - 1).unwrap();
                }
                node = usize::try_from(nodes[node][bit]).unwrap();
            }
        }
    }
    let count = u32::try_from(nodes.len()).unwrap();
    let mut file = Vec::new();
    for record in nodes.into_iter().flatten() {
        let value = match record {
            NOTHING => count,
            data if data & DATA != 0 => count + 16 + (data & !DATA),
            node => node,
        };
        file.extend_from_slice(&value.to_be_bytes()[1..]);
    }
    file.extend_from_slice(&[0; 16]);
    file.append(&mut data);
    file.extend_from_slice(b"\xab\xcd\xefMaxMind.com");
    let metadata = Map(vec![
        ("node_count", Int(count)),
        ("record_size", Short(24)),
        ("ip_version", Short(6)),
        ("database_type", Text(kind)),
        ("languages", List(vec![Text("en")])),
        ("binary_format_major_version", Short(2)),
        ("binary_format_minor_version", Short(0)),
        ("build_epoch", Long(built)),
        ("description", Map(vec![("en", Text("made by a test"))])),
    ]);
    encode(&metadata, &mut file);
    file
}

/// IPv4 lies at the beginning of IPv6.
fn bits_of(network: IpNet) -> (u128, u32) {
    let length = u32::from(network.prefix_len());
    match network.network() {
        IpAddr::V4(address) => (u128::from(Ipv4Addr::to_bits(address)), length + 96),
        IpAddr::V6(address) => (address.to_bits(), length),
    }
}

fn encode(value: &Value, into: &mut Vec<u8>) {
    match value {
        Text(text) => {
            header(2, text.len(), into);
            into.extend_from_slice(text.as_bytes());
        }
        Double(number) => {
            header(3, 8, into);
            into.extend_from_slice(&number.to_be_bytes());
        }
        Short(number) => {
            header(5, 2, into);
            into.extend_from_slice(&number.to_be_bytes());
        }
        Int(number) => {
            header(6, 4, into);
            into.extend_from_slice(&number.to_be_bytes());
        }
        Long(number) => {
            header(9, 8, into);
            into.extend_from_slice(&number.to_be_bytes());
        }
        Map(entries) => {
            header(7, entries.len(), into);
            for (key, value) in entries {
                encode(&Text(key), into);
                encode(value, into);
            }
        }
        List(items) => {
            header(11, items.len(), into);
            for item in items {
                encode(item, into);
            }
        }
    }
}

/// Types above 7 have a byte of their own; sizes above 28 as well.
fn header(kind: u8, size: usize, into: &mut Vec<u8>) {
    let (short, more) = if size < 29 { (size, None) } else { (29, Some(size - 29)) };
    let short = u8::try_from(short).unwrap();
    if kind > 7 {
        into.extend_from_slice(&[short, kind - 7]);
    } else {
        into.push(kind << 5 | short);
    }
    into.extend(more.map(|more| u8::try_from(more).unwrap()));
}
