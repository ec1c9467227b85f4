//! Services that take a key and say all they know of an address in one request.

use std::cell::RefCell;
use std::future::Future;
use std::marker::PhantomData;
use std::net::IpAddr;
use std::pin::Pin;
use std::rc::Rc;

use jiff::Timestamp;
use reqwest::header::HeaderName;

use super::quota::{Limits, Period, Share};
use super::remote::{Answer, Remote, Service};
use super::{Fact, Found, Ledger, Source, Why};
use crate::config::KeyedService;

/// What tells one such service from the others.
pub trait Keyed {
    /// Its name, for people.
    const NAME: &'static str;
    /// Its name in the ledger; must never change.
    const LEDGER_NAME: &'static str;
    /// The header that holds the key, in small letters.
    const KEY_HEADER: &'static str;
    /// Requests in a minute: of the service, or so few that a storm of logins does not use up the period.
    const PER_MINUTE: u32;
    /// What the configured number of requests is counted in.
    const PERIOD: Period;

    /// What it answers.
    type Answer: Answer;

    /// Where it is asked about an address; `None` where it knows nothing of such addresses.
    fn path(address: IpAddr) -> Option<String>;

    /// What an answer says.
    fn found(fact: Fact<<Self::Answer as Answer>::Fact>) -> Found;
}

/// The client of one account with such a service.
pub struct Client<S> {
    remote: Remote,
    service: PhantomData<S>,
}

impl<S: Keyed> Client<S> {
    pub fn new(config: KeyedService, client: reqwest::Client, ledger: Rc<dyn Ledger>) -> Self {
        let service = Service {
            name: S::NAME,
            ledger_name: S::LEDGER_NAME,
            base_url: config.base_url,
            header: (HeaderName::from_static(S::KEY_HEADER), ""),
            key: config.key,
            cache_ttl: config.cache_ttl,
            limits: Limits { per_minute: S::PER_MINUTE, per_period: config.requests, period: S::PERIOD },
        };
        Self { remote: Remote::new(service, client, ledger), service: PhantomData }
    }
}

impl<S: Keyed> Source for Client<S> {
    fn name(&self) -> &'static str {
        self.remote.name()
    }

    fn promise(&self) -> Found {
        S::found(Fact::unknown(Why::Deadline))
    }

    fn at_hand(&self, address: IpAddr, now: Timestamp) -> Option<Found> {
        let fact = match S::path(address) {
            Some(path) => self.remote.remembered::<S::Answer>(&path, now)?,
            None => Fact::unknown(Why::NoData),
        };
        Some(S::found(fact))
    }

    fn ask<'a>(
        &'a self,
        address: IpAddr,
        share: Share,
        answer: &'a RefCell<Found>,
    ) -> Pin<Box<dyn Future<Output = ()> + 'a>> {
        Box::pin(async move {
            let fact = match S::path(address) {
                Some(path) => self.remote.get::<S::Answer>(&path, share).await,
                None => Fact::unknown(Why::NoData),
            };
            *answer.borrow_mut() = S::found(fact);
        })
    }
}
