//! The name of an address, and whether that name has the address: forward-confirmed reverse DNS.
//!
//! The host's own resolver is asked, whatever it is configured to be. Whoever owns an address chooses its name: it is
//! strangers' text, and it is worth something only if the name's owner says the same. The resolver cannot be interrupted, so
//! at most [`AT_ONCE`] questions are under way, each in a thread of its own; further ones wait, and their messages do not.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::CStr;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use super::quota::Share;
use super::{Fact, Found, Source, Why};

/// Questions that may be under way.
const AT_ONCE: usize = 4;
/// How long an answer is used again.
const GOOD_FOR: Duration = Duration::from_secs(3600);
/// The same where there was none.
const BAD_FOR: Duration = Duration::from_secs(60);
/// Answers that are remembered, in memory.
const REMEMBERED: usize = 4096;
/// Longest name that DNS has (RFC 1035), with room for its end.
const MAX_NAME: usize = 1025;

/// The name of an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReverseName {
    pub name: String,
    /// Whether the name has the address.
    pub confirmed: bool,
}

/// Asks the host's resolver.
pub struct ReverseDns {
    resolve: Resolve,
    slots: Arc<Semaphore>,
    answers: RefCell<HashMap<IpAddr, (Instant, Fact<ReverseName>)>>,
}

/// How a name is found; waits for the network.
pub type Resolve = Arc<dyn Fn(IpAddr) -> Fact<ReverseName> + Send + Sync>;

impl Default for ReverseDns {
    fn default() -> Self {
        Self::with(Arc::new(resolve))
    }
}

impl ReverseDns {
    /// With a resolver of one's own.
    pub fn with(resolve: Resolve) -> Self {
        Self { resolve, slots: Arc::new(Semaphore::new(AT_ONCE)), answers: RefCell::default() }
    }

    fn remember(&self, address: IpAddr, answer: Fact<ReverseName>) {
        let mut answers = self.answers.borrow_mut();
        if answers.len() >= REMEMBERED {
            answers.clear();
        }
        let keep = if answer.known().is_some() { GOOD_FOR } else { BAD_FOR };
        answers.insert(address, (Instant::now() + keep, answer));
    }
}

impl Source for ReverseDns {
    fn name(&self) -> &'static str {
        "reverse DNS"
    }

    fn promise(&self) -> Found {
        found(Fact::unknown(Why::Deadline))
    }

    fn at_hand(&self, address: IpAddr, _now: Timestamp) -> Option<Found> {
        let answers = self.answers.borrow();
        let (until, answer) = answers.get(&address)?;
        (Instant::now() < *until).then(|| found(answer.clone()))
    }

    fn ask<'a>(
        &'a self,
        address: IpAddr,
        _share: Share,
        answer: &'a RefCell<Found>,
    ) -> Pin<Box<dyn Future<Output = ()> + 'a>> {
        Box::pin(async move {
            let Ok(slot) = Arc::clone(&self.slots).acquire_owned().await else { return };
            let resolve = Arc::clone(&self.resolve);
            let asked = tokio::task::spawn_blocking(move || {
                // Held until the thread is done, whoever waits for it.
                let _slot = slot;
                resolve(address)
            });
            let fact = asked.await.unwrap_or(Fact::unknown(Why::Unreachable));
            self.remember(address, fact.clone());
            *answer.borrow_mut() = found(fact);
        })
    }
}

fn found(name: Fact<ReverseName>) -> Found {
    Found { reverse_name: Some(name), ..Found::default() }
}

fn resolve(address: IpAddr) -> Fact<ReverseName> {
    use std::net::ToSocketAddrs as _;
    let name = match name_of(address) {
        Ok(Some(name)) => name,
        Ok(None) => return Fact::unknown(Why::NoData),
        Err(()) => return Fact::unknown(Why::Unreachable),
    };
    let confirmed = (name.as_str(), 0).to_socket_addrs().is_ok_and(|found| is_among(found, address));
    Fact::Known(ReverseName { name, confirmed })
}

/// Whether a name has the address that is called by it.
fn is_among(mut found: impl Iterator<Item = SocketAddr>, address: IpAddr) -> bool {
    found.any(|found| found.ip().to_canonical() == address)
}

/// The name of an address by getnameinfo(3); `None` if it has none.
fn name_of(address: IpAddr) -> Result<Option<String>, ()> {
    let mut name = [0_u8; MAX_NAME];
    let address = rustix::net::SocketAddrAny::from(SocketAddr::new(address, 0));
    // SAFETY: `address` holds a socket address of the length that it says, `name` is as long as is said and stays where it
    // is during the call. Without a buffer for the service, none is written.
    let status = unsafe {
        libc::getnameinfo(
            address.as_ptr().cast(),
            address.addr_len(),
            name.as_mut_ptr().cast(),
            name.len() as libc::socklen_t,
            std::ptr::null_mut(),
            0,
            libc::NI_NAMEREQD,
        )
    };
    match status {
        0 => {
            let name = CStr::from_bytes_until_nul(&name).map_err(|_| ())?.to_string_lossy().into_owned();
            Ok((!name.is_empty()).then_some(name))
        }
        libc::EAI_NONAME | libc::EAI_NODATA => Ok(None),
        _ => Err(()),
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::task::LocalSet;

    use super::*;

    fn named(name: &str) -> Fact<ReverseName> {
        Fact::Known(ReverseName { name: name.to_owned(), confirmed: true })
    }

    #[test]
    fn a_name_is_confirmed_by_the_address_that_it_has() {
        let found = |addresses: &[&str]| -> Vec<SocketAddr> {
            addresses.iter().map(|address| SocketAddr::new(address.parse().unwrap(), 0)).collect()
        };
        let address = "192.0.2.7".parse().unwrap();
        assert!(is_among(found(&["2001:db8::1", "192.0.2.7"]).into_iter(), address));
        assert!(is_among(found(&["::ffff:192.0.2.7"]).into_iter(), address));
        assert!(!is_among(found(&["192.0.2.8", "2001:db8::1"]).into_iter(), address));
        assert!(!is_among(found(&[]).into_iter(), address));
    }

    #[test]
    fn answers_are_forgotten() {
        let resolver = ReverseDns::with(Arc::new(|_| named("x")));
        let now = Timestamp::UNIX_EPOCH;
        let address = |number: u32| IpAddr::from(std::net::Ipv4Addr::from_bits(number));
        for number in 0..=u32::try_from(REMEMBERED).unwrap() {
            resolver.remember(address(number), named("x"));
            assert!(resolver.at_hand(address(number), now).is_some());
            assert!(resolver.answers.borrow().len() <= REMEMBERED);
        }
        let over = Instant::now() - Duration::from_millis(1);
        resolver.answers.borrow_mut().insert(address(7), (over, named("x")));
        assert_eq!(resolver.at_hand(address(7), now), None);
        // Where there was no answer, it is asked again sooner.
        resolver.remember(address(8), Fact::unknown(Why::Unreachable));
        let until = resolver.answers.borrow()[&address(8)].0;
        assert!(until <= Instant::now() + BAD_FOR);
    }

    #[test]
    fn this_host_knows_itself() {
        // Whatever the hosts file says of it: an answer, and no harm.
        let answer = resolve(IpAddr::from([127, 0, 0, 1]));
        if let Fact::Known(name) = answer {
            assert!(!name.name.is_empty());
        }
        // An address of books has no name, or nobody can be asked about it.
        assert!(!matches!(name_of("2001:db8::1".parse().unwrap()), Ok(Some(_))));
    }

    #[tokio::test(flavor = "current_thread")]
    async fn few_are_asked_at_once_and_each_once() {
        let (now, most, all) =
            (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (peak, count) = (Arc::clone(&most), Arc::clone(&all));
        let resolver = ReverseDns::with(Arc::new(move |_| {
            peak.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            count.fetch_add(1, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(20));
            now.fetch_sub(1, Ordering::SeqCst);
            Fact::Known(ReverseName { name: "host.example.org".to_owned(), confirmed: true })
        }));
        let resolver = Rc::new(resolver);
        let ask = |last: u8| {
            let resolver = Rc::clone(&resolver);
            async move {
                let cell = RefCell::new(resolver.promise());
                resolver.ask(IpAddr::from([192, 0, 2, last]), Share::Whole, &cell).await;
            }
        };
        let asking = LocalSet::new();
        for last in 1..=12 {
            asking.spawn_local(ask(last));
        }
        asking.await;
        assert!(most.load(Ordering::SeqCst) <= AT_ONCE);
        assert_eq!(all.load(Ordering::SeqCst), 12);
        for last in 1..=12 {
            let at_hand = resolver.at_hand(IpAddr::from([192, 0, 2, last]), Timestamp::UNIX_EPOCH);
            assert!(at_hand.unwrap().reverse_name.unwrap().known().is_some_and(|name| name.confirmed));
        }
        assert_eq!(resolver.at_hand(IpAddr::from([192, 0, 2, 13]), Timestamp::UNIX_EPOCH), None);
    }
}
