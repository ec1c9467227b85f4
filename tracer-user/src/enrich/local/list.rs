//! A list of addresses and networks: one a line, `#` or `;` begin a comment.
//!
//! A file with a line that is neither is refused as a whole: half a list is worse than yesterday's. Entries are sorted
//! numbers, one row for each length of prefix: 4 bytes for an IPv4 entry, 16 for an IPv6 one, and a look-up is at most one
//! binary search for each length that occurs.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::Content;
use crate::sanitize;

/// Characters shown of a line that is no entry.
const LINE_CHARS: usize = 40;

/// The entries of a list.
#[derive(Debug, Default)]
pub struct Addresses {
    /// Longest prefix first; the networks of each in order.
    v4: Vec<(u8, Vec<u32>)>,
    v6: Vec<(u8, Vec<u128>)>,
}

impl Addresses {
    /// Reads a list.
    ///
    /// # Errors
    /// The first line that is no entry.
    pub fn read(text: &str) -> Result<Self, String> {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for (number, line) in text.lines().enumerate() {
            let entry = line.split(['#', ';']).next().unwrap_or("").trim();
            if entry.is_empty() {
                continue;
            }
            match parse(entry) {
                Some(IpNet::V4(network)) => v4.push((network.prefix_len(), network.network().to_bits())),
                Some(IpNet::V6(network)) => v6.push((network.prefix_len(), network.network().to_bits())),
                None => {
                    let (line, entry) = (number + 1, sanitize::text(entry, LINE_CHARS));
                    return Err(format!("line {line} is no address or network: {entry}"));
                }
            }
        }
        Ok(Self { v4: by_prefix(v4), v6: by_prefix(v6) })
    }

    /// The smallest entry that holds an address.
    pub fn find(&self, address: IpAddr) -> Option<IpNet> {
        match address.to_canonical() {
            IpAddr::V4(address) => {
                let bits = address.to_bits();
                self.v4.iter().find_map(|(prefix, networks)| {
                    let network = bits & u32::MAX.checked_shl(32 - u32::from(*prefix)).unwrap_or(0);
                    networks.binary_search(&network).ok()?;
                    IpNet::new(Ipv4Addr::from_bits(network).into(), *prefix).ok()
                })
            }
            IpAddr::V6(address) => {
                let bits = address.to_bits();
                self.v6.iter().find_map(|(prefix, networks)| {
                    let network = bits & u128::MAX.checked_shl(128 - u32::from(*prefix)).unwrap_or(0);
                    networks.binary_search(&network).ok()?;
                    IpNet::new(Ipv6Addr::from_bits(network).into(), *prefix).ok()
                })
            }
        }
    }

    /// How many different entries there are.
    pub fn len(&self) -> usize {
        let v4: usize = self.v4.iter().map(|(_, networks)| networks.len()).sum();
        let v6: usize = self.v6.iter().map(|(_, networks)| networks.len()).sum();
        v4 + v6
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Content for Addresses {
    fn parse(bytes: Vec<u8>) -> Result<Self, String> {
        let text = String::from_utf8(bytes).map_err(|_| "it is not text".to_owned())?;
        Self::read(&text)
    }

    fn is_nothing(&self) -> bool {
        self.is_empty()
    }
}

fn parse(entry: &str) -> Option<IpNet> {
    match entry.parse::<IpAddr>() {
        Ok(address) => Some(IpNet::from(address.to_canonical())),
        Err(_) => entry.parse::<IpNet>().ok(),
    }
}

fn by_prefix<T: Ord + Copy>(mut entries: Vec<(u8, T)>) -> Vec<(u8, Vec<T>)> {
    entries.sort_unstable_by(|one, other| other.0.cmp(&one.0).then(one.1.cmp(&other.1)));
    entries.dedup();
    entries
        .chunk_by(|one, other| one.0 == other.0)
        .filter_map(|chunk| Some((chunk.first()?.0, chunk.iter().map(|(_, network)| *network).collect())))
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(list: &Addresses, address: &str) -> Option<String> {
        list.find(address.parse().unwrap()).map(|entry| entry.to_string())
    }

    #[test]
    fn the_smallest_network_is_named() {
        let list = Addresses::read(
            "; Spamhaus DROP\n1.10.16.0/20 ; SBL256894\n\n# own\n1.10.17.5\n1.10.17.0/24 # office\n\
             2001:db8::/32\n  2001:db8::7  \n::ffff:192.0.2.7\n10.1.2.3/8\n",
        )
        .unwrap();
        assert_eq!(list.len(), 7);
        assert_eq!(found(&list, "1.10.17.5").as_deref(), Some("1.10.17.5/32"));
        assert_eq!(found(&list, "1.10.17.6").as_deref(), Some("1.10.17.0/24"));
        assert_eq!(found(&list, "1.10.31.255").as_deref(), Some("1.10.16.0/20"));
        assert_eq!(found(&list, "1.10.32.0"), None);
        assert_eq!(found(&list, "2001:db8::7").as_deref(), Some("2001:db8::7/128"));
        assert_eq!(found(&list, "2001:db8:ffff::").as_deref(), Some("2001:db8::/32"));
        assert_eq!(found(&list, "2001:db9::"), None);
        assert_eq!(found(&list, "::ffff:192.0.2.7").as_deref(), Some("192.0.2.7/32"));
        assert_eq!(found(&list, "10.255.0.1").as_deref(), Some("10.0.0.0/8"));
    }

    #[test]
    fn an_entry_that_stands_twice_is_one() {
        let list = Addresses::read("1.2.3.4\n1.2.3.4/32\n::ffff:1.2.3.4\n10.0.0.0/8\n10.1.2.3/8\n").unwrap();
        assert_eq!(list.len(), 2);
    }

    #[test]
    fn everything_is_a_network_too() {
        let list = Addresses::read("0.0.0.0/0\n::/0\n").unwrap();
        assert_eq!(found(&list, "255.255.255.255").as_deref(), Some("0.0.0.0/0"));
        assert_eq!(found(&list, "ffff::1").as_deref(), Some("::/0"));
    }

    #[test]
    fn a_line_that_is_none_refuses_the_list() {
        for (text, line) in
            [("192.0.2.1\n192.0.2\n", 2), ("<html>", 1), ("\n\n1.2.3.4/33", 3), ("1.2.3.4 x", 1)]
        {
            let error = Addresses::read(text).unwrap_err();
            assert!(error.starts_with(&format!("line {line} is no address or network")), "{error}");
        }
        assert!(!Addresses::read("\u{1b}[31mred").unwrap_err().contains('\u{1b}'));
        assert!(<Addresses as Content>::parse(vec![0xff, 0xfe]).is_err());
        assert!(Addresses::read("# nothing\n").unwrap().is_empty());
    }

    proptest! {
        #[test]
        fn it_agrees_with_looking_at_every_entry(
            entries in prop::collection::vec((any::<u32>(), 0_u8..=32), 0..40),
            address in any::<u32>(),
        ) {
            // Small numbers, so that some of them meet.
            let networks: Vec<IpNet> = entries
                .iter()
                .map(|(bits, prefix)| IpNet::new(Ipv4Addr::from_bits((bits % 64) << 26).into(), *prefix).unwrap())
                .collect();
            let text: String = networks.iter().map(|network| format!("{network}\n")).collect();
            let address = IpAddr::from(Ipv4Addr::from_bits((address % 64) << 26));
            let expected = networks
                .iter()
                .map(IpNet::trunc)
                .filter(|network| network.contains(&address))
                .max_by_key(IpNet::prefix_len);
            prop_assert_eq!(Addresses::read(&text).unwrap().find(address), expected);
        }

        #[test]
        fn no_text_panics(text in "[0-9a-f.:/#; \n\\PC]{0,200}") {
            Addresses::read(&text).ok();
        }
    }
}
