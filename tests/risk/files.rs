//! The owner's files: found out quickly, read again when they change, and never half.

use std::fmt::Write as _;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use login_tracer::config::{Databases, List};
use login_tracer::enrich::history::Atlas as _;
use login_tracer::enrich::local::watch::Watch;
use login_tracer::enrich::local::{Addresses, Local, OLD_DAYS};
use login_tracer::enrich::{Fact, Facts, Why};

use crate::databases::Value::{Map, Text};
use crate::databases::{asn, city, database};

const LISTED: &str = "193.146.30.12";

struct Files {
    folder: tempfile::TempDir,
}

impl Files {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// As programs do that know their business: written beside, then moved.
    fn write(&self, name: &str, content: &[u8]) {
        let beside = self.path(&format!("{name}.new"));
        fs::write(&beside, content).unwrap();
        fs::rename(beside, self.path(name)).unwrap();
    }

    fn local(&self, list: &str, city: Option<&str>, asn: Option<&str>) -> Local {
        let databases = Databases {
            city: city.map(|name| self.path(name)),
            country: None,
            asn: asn.map(|name| self.path(name)),
        };
        let list = List { name: "drop".to_owned(), path: self.path(list), points: None };
        Local::open(&databases, &[list])
    }
}

fn facts(local: &Local, address: &str) -> Facts {
    let mut facts = Facts::unknown(Why::NotConfigured);
    local.add_to(&mut facts, address.parse().unwrap());
    facts
}

fn lists(local: &Local, address: &str) -> Vec<String> {
    facts(local, address)
        .listings
        .into_iter()
        .map(|listing| format!("{} {}", listing.list, listing.entry))
        .collect()
}

fn run<T>(what: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(what)
}

fn now() -> u64 {
    u64::try_from(Timestamp::now().as_second()).unwrap()
}

#[test]
fn a_list_is_read_again_when_it_changes_and_never_half() {
    let files = Files::new();
    files.write("drop.txt", b"193.146.30.0/24 ; SBL1\n");
    let local = files.local("drop.txt", None, None);
    let is_listed = || !lists(&local, LISTED).is_empty();
    assert_eq!(lists(&local, LISTED), ["drop 193.146.30.0/24"]);
    assert!(!run(local.refresh()), "nothing changed");
    files.write("drop.txt", b"192.0.2.0/24\n");
    assert!(run(local.refresh()));
    assert!(!is_listed());
    // Everything that is not a list: the old one stays, and that is said.
    files.write("drop.txt", format!("{LISTED}\n").as_bytes());
    assert!(run(local.refresh()));
    let broken: [&[u8]; 4] = [b"<html>503</html>", b"193.146.30.1\n193.14", b"\xff\xfe\x00", b""];
    for content in broken {
        files.write("drop.txt", content);
        assert!(!run(local.refresh()), "{content:?}");
        assert!(is_listed(), "{content:?}");
        let standing = local.standings(Timestamp::now()).remove(0);
        assert!(
            standing.refused.is_some() && standing.in_use.as_deref() == Some("1 entries"),
            "{standing:?}"
        );
    }
    // Written over in its place, as long as before.
    fs::write(files.path("drop.txt"), format!("{LISTED}\n")).unwrap();
    assert!(run(local.refresh()));
    // The clock of files has ticks of some milliseconds.
    std::thread::sleep(Duration::from_millis(20));
    fs::write(files.path("drop.txt"), "193.146.30.13\n").unwrap();
    assert!(run(local.refresh()), "only its time says that it changed");
    assert!(!is_listed());
    fs::write(files.path("drop.txt"), format!("# all\n{LISTED}\n")).unwrap();
    assert!(run(local.refresh()));
    fs::remove_file(files.path("drop.txt")).unwrap();
    assert!(!run(local.refresh()));
    assert!(is_listed());
    files.write("drop.txt", b"# all is well\n192.0.2.1\n");
    assert!(run(local.refresh()));
    assert!(!is_listed());
    assert_eq!(local.standings(Timestamp::now())[0].refused, None);
}

#[test]
fn a_list_that_was_never_read_is_said() {
    let files = Files::new();
    let local = files.local("missing.txt", Some("missing.mmdb"), None);
    assert_eq!(facts(&local, LISTED).unreadable, ["list drop", "city database"]);
    files.write("missing.txt", b"192.0.2.1\n");
    assert!(run(local.refresh()));
    assert_eq!(facts(&local, LISTED).unreadable, ["city database"]);
    // A folder, a device, a pipe that nobody writes to.
    let pipe = files.path("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    for path in [files.folder.path(), Path::new("/dev/zero"), &pipe] {
        let list = List { name: "odd".to_owned(), path: path.to_owned(), points: None };
        let odd = Local::open(&Databases::default(), &[list]);
        assert_eq!(facts(&odd, LISTED).unreadable, ["list odd"]);
    }
}

#[test]
fn databases_know_places_and_networks() {
    let files = Files::new();
    let madrid = city("Madrid", "ES", 40.4, -3.7);
    let six = city("Sydney", "AU", -33.9, 151.2);
    let records = [("193.146.0.0/16", madrid), ("2a00:1450::/32", six)];
    files.write("city.mmdb", &database("GeoLite2-City", now() - 86_400 * 12, &records));
    files.write(
        "asn.mmdb",
        &database("GeoLite2-ASN", now(), &[("193.146.0.0/16", asn(15704, "XTRA TELECOM"))]),
    );
    files.write("drop.txt", b"# nothing\n");
    let local = files.local("drop.txt", Some("city.mmdb"), Some("asn.mmdb"));
    let known = facts(&local, LISTED);
    let place = known.place.known().unwrap();
    assert_eq!(
        (place.city.as_deref(), place.region.as_deref(), place.country_code.as_deref()),
        (Some("Madrid"), Some("Region"), Some("ES"))
    );
    let network = known.network.known().unwrap();
    assert_eq!((network.asn, network.name.as_deref()), (15704, Some("XTRA TELECOM")));
    let six: IpAddr = "2a00:1450:4001::42".parse().unwrap();
    assert_eq!(local.country(six).as_deref(), Some("AU"));
    let apart = local.position(LISTED.parse().unwrap()).unwrap().km_to(local.position(six).unwrap());
    assert!((17_000..18_000).contains(&apart));
    assert_eq!(facts(&local, "8.8.8.8").place, Fact::unknown(Why::NotConfigured));
    let standings = local.standings(Timestamp::now());
    assert_eq!(standings[1].in_use.as_deref(), Some("GeoLite2-City, 12 days old"));
    assert_eq!(standings[1].old, None);
    let old = u64::try_from(OLD_DAYS + 1).unwrap() * 86_400;
    files.write("city.mmdb", &database("GeoLite2-City", now() - old, &[]));
    assert!(run(local.refresh()));
    assert_eq!(local.standings(Timestamp::now())[1].old, Some(OLD_DAYS + 1));
}

#[test]
fn a_list_has_points_of_its_own() {
    let files = Files::new();
    files.write("drop.txt", b"193.146.30.0/24\n");
    let list = |name: &str, points| List { name: name.to_owned(), path: files.path("drop.txt"), points };
    let local = Local::open(&Databases::default(), &[list("mild", Some(20)), list("usual", None)]);
    let points: Vec<_> = facts(&local, LISTED).listings.iter().map(|listing| listing.points).collect();
    assert_eq!(points, [Some(20), None]);
}

#[test]
fn a_country_database_serves_where_there_is_no_city() {
    let files = Files::new();
    let country = |code| Map(vec![("country", Map(vec![("iso_code", Text(code))]))]);
    let records = [("193.146.0.0/16", country("ES")), ("8.0.0.0/8", country("US"))];
    files.write("country.mmdb", &database("GeoLite2-Country", now() + 86_400 * 9, &records));
    files.write(
        "city.mmdb",
        &database("GeoLite2-City", now(), &[("8.0.0.0/8", city("Berlin", "DE", 52.5, 13.4))]),
    );
    files.write("asn.mmdb", &database("GeoLite2-ASN", now(), &[("8.0.0.0/8", asn(15169, "GOOGLE"))]));
    let open = |city: &str, country| {
        let databases = Databases { city: Some(files.path(city)), country, asn: None };
        Local::open(&databases, &[])
    };
    let code = |local: &Local, address: &str| local.country(address.parse().unwrap());
    let both = open("city.mmdb", Some(files.path("country.mmdb")));
    // The better one first, the other one where that knows nothing.
    assert_eq!(code(&both, "8.8.8.8").as_deref(), Some("DE"));
    assert_eq!(code(&both, LISTED).as_deref(), Some("ES"));
    // Of tomorrow's file nobody says that it is minus nine days old.
    assert_eq!(both.standings(Timestamp::now())[1].in_use.as_deref(), Some("GeoLite2-Country, 0 days old"));
    // A database of something else has no places.
    assert_eq!(facts(&open("asn.mmdb", None), "8.8.8.8").place, Fact::unknown(Why::NotConfigured));
}

#[test]
fn a_damaged_database_does_not_take_the_place_of_a_good_one() {
    let files = Files::new();
    let good = database("GeoLite2-City", now(), &[("193.146.0.0/16", city("Madrid", "ES", 40.4, -3.7))]);
    files.write("city.mmdb", &good);
    files.write("drop.txt", b"# nothing\n");
    let local = files.local("drop.txt", Some("city.mmdb"), None);
    let half = &good[..good.len() / 2];
    let text: &[u8] = b"<html>licence key missing</html>";
    for broken in [half, text, b"", &good[good.len() / 2..]] {
        files.write("city.mmdb", broken);
        assert!(!run(local.refresh()));
        assert_eq!(local.country(LISTED.parse().unwrap()).as_deref(), Some("ES"));
        assert!(local.standings(Timestamp::now())[1].refused.is_some());
    }
    // Whole by its size and its ends, and nothing in it can be read.
    let mut hollow = database("GeoLite2-City", now(), &[("8.0.0.0/8", city("Berlin", "DE", 52.5, 13.4))]);
    let data = hollow.windows(6).position(|bytes| bytes == b"Berlin").unwrap();
    hollow[data - 40..data + 20].fill(0xff);
    files.write("city.mmdb", &hollow);
    assert!(!run(local.refresh()));
    let refused = local.standings(Timestamp::now())[1].refused.clone();
    assert!(refused.is_some_and(|why| why.starts_with("it is damaged")));
    assert_eq!(local.country(LISTED.parse().unwrap()).as_deref(), Some("ES"));
    // Whatever is flipped: no panic, and no place that is none.
    for place in 0..good.len() {
        let mut broken = good.clone();
        broken[place] ^= 0xa5;
        files.write("flipped.mmdb", &broken);
        let flipped = files.local("drop.txt", Some("flipped.mmdb"), Some("flipped.mmdb"));
        facts(&flipped, LISTED);
        flipped.position(LISTED.parse().unwrap());
    }
}

#[test]
fn changes_are_noticed_without_looking() {
    let files = Files::new();
    files.write("drop.txt", b"192.0.2.1\n");
    let local = files.local("drop.txt", None, None);
    run(async {
        let mut watch = Watch::new(&local).unwrap().unwrap();
        assert!(
            tokio::time::timeout(Duration::from_millis(200), watch.changed()).await.is_err(),
            "nothing happened"
        );
        files.write("drop.txt", format!("{LISTED}\n").as_bytes());
        tokio::time::timeout(Duration::from_secs(20), watch.changed()).await.unwrap().unwrap();
        assert!(local.refresh().await);
        assert_eq!(lists(&local, LISTED), [format!("drop {LISTED}/32")]);
    });
    run(async { assert!(Watch::new(&Local::none()).unwrap().is_none()) });
}

#[test]
fn fifty_thousand_lines_are_searched_in_microseconds() {
    let files = Files::new();
    let mut text = String::new();
    for number in 0..50_000_u32 {
        let prefix = 20 + number % 13;
        writeln!(text, "{}/{prefix} ; entry {number}", Ipv4Addr::from_bits(0x0100_0000 + number * 83_467))
            .unwrap();
    }
    files.write("drop.txt", text.as_bytes());
    files.write("city.mmdb", &database("City", now(), &[("0.0.0.0/1", city("Madrid", "ES", 40.4, -3.7))]));
    files.write("asn.mmdb", &database("ASN", now(), &[("0.0.0.0/1", asn(64_500, "EXAMPLE"))]));
    let local = files.local("drop.txt", Some("city.mmdb"), Some("asn.mmdb"));
    assert_eq!(Addresses::read(&text).unwrap().len(), 50_000);
    let addresses: Vec<IpAddr> =
        (0..2_000_u32).map(|number| Ipv4Addr::from_bits(number.wrapping_mul(2_654_435_761)).into()).collect();
    let mut times: Vec<Duration> = addresses
        .iter()
        .map(|address| {
            let begun = Instant::now();
            let mut facts = Facts::unknown(Why::NotConfigured);
            local.add_to(&mut facts, *address);
            begun.elapsed()
        })
        .collect();
    times.sort();
    // The median: a busy machine takes the processor away now and then.
    let median = times[times.len() / 2];
    assert!(median < Duration::from_micros(50), "{median:?}");
    // While it is read again, look-ups go on.
    text.push_str("193.146.30.0/24\n");
    files.write("drop.txt", text.as_bytes());
    run(async {
        let reading = local.refresh();
        tokio::pin!(reading);
        let mut longest = Duration::ZERO;
        loop {
            let begun = Instant::now();
            tokio::select! {
                biased;
                is_new = &mut reading => {
                    assert!(is_new);
                    break;
                }
                () = tokio::time::sleep(Duration::from_micros(200)) => {
                    let before = Instant::now();
                    lists(&local, "8.8.8.8");
                    longest = longest.max(before.elapsed());
                }
            }
            assert!(begun.elapsed() < Duration::from_secs(20));
        }
        assert!(longest < Duration::from_millis(100), "{longest:?}");
    });
    assert_eq!(lists(&local, LISTED), ["drop 193.146.30.0/24"]);
}
