//! All sources of an address, asked beside each other, within the deadline.

use std::cell::RefCell;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::task::JoinSet;

use super::address::Scope;
use super::local::Local;
use super::quota::Share;
use super::reverse_dns::ReverseName;
use super::{Fact, Facts, Network, Opinion, Place, Reputation, Why};

/// Somebody who knows something about public addresses, and has to be waited for.
pub trait Source {
    /// Its name, for people.
    fn name(&self) -> &'static str;

    /// What it will have answered when everything is there; [`Why::Deadline`] stands for each answer.
    fn promise(&self) -> Found;

    /// The answer, if it is remembered.
    fn at_hand(&self, address: IpAddr, now: Timestamp) -> Option<Found>;

    /// Asks, if that share of the quotas is not used up, and puts each part of the answer into `found` as soon as it is
    /// there. Never fails: a failure is a fact.
    fn ask<'a>(
        &'a self,
        address: IpAddr,
        share: Share,
        found: &'a RefCell<Found>,
    ) -> Pin<Box<dyn Future<Output = ()> + 'a>>;
}

/// What one source says. `None` stands for what it never speaks of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    pub reputation: Option<Fact<Reputation>>,
    pub network: Option<Fact<Network>>,
    pub place: Option<Fact<Place>>,
    pub reverse_name: Option<Fact<ReverseName>>,
}

/// Is told of facts that came after the deadline.
pub type Late = Rc<dyn Fn(IpAddr, Facts)>;

/// Finds the facts of an address.
pub struct Enricher {
    deadline: Duration,
    local: Rc<Local>,
    /// In the order in which they are believed where several know a network or a place.
    sources: Vec<Rc<dyn Source>>,
    late: RefCell<Option<Late>>,
}

impl Enricher {
    /// Without sources every public address stays unknown, apart from what the files of this host say.
    pub fn new(deadline: Duration, local: Rc<Local>, sources: Vec<Rc<dyn Source>>) -> Self {
        Self { deadline, local, sources, late: RefCell::new(None) }
    }

    /// What is called with what comes after the deadline.
    pub fn tell_late(&self, late: Late) {
        *self.late.borrow_mut() = Some(late);
    }

    /// The files of this host.
    pub fn local(&self) -> &Local {
        &self.local
    }

    /// The facts of an address as far as they need nobody to be asked; `None` where somebody must be.
    pub fn at_hand(&self, address: Option<IpAddr>, now: Timestamp) -> Option<Facts> {
        let Some(address) = address else { return Some(Facts::unknown(Why::NoAddress)) };
        let address = address.to_canonical();
        if self.sources.is_empty() || Scope::of(address) != Scope::Public {
            return Some(self.facts(address, &[]));
        }
        let found: Option<Vec<Found>> =
            self.sources.iter().map(|source| source.at_hand(address, now)).collect();
        Some(self.facts(address, &found?))
    }

    /// The facts of a public address, asked for, within the deadline. Needs a `LocalSet` around it: what is late goes
    /// on in its own task, and is told when all of it is there.
    pub async fn ask(&self, address: IpAddr) -> Facts {
        self.ask_within(self.deadline, Share::Whole, address).await
    }

    /// The same for facts that no message waits for.
    pub async fn ask_within(&self, deadline: Duration, share: Share, address: IpAddr) -> Facts {
        let address = address.to_canonical();
        let found: Vec<Rc<RefCell<Found>>> =
            self.sources.iter().map(|source| Rc::new(RefCell::new(source.promise()))).collect();
        let mut asking = JoinSet::new();
        for (source, found) in self.sources.iter().zip(&found) {
            let (source, found) = (Rc::clone(source), Rc::clone(found));
            asking.spawn_local(async move { source.ask(address, share, &found).await });
        }
        let all = async {
            while let Some(asked) = asking.join_next().await {
                if let Err(error) = asked {
                    tracing::error!(%error, "a look-up broke off");
                }
            }
        };
        let is_late = tokio::time::timeout(deadline, all).await.is_err();
        let now: Vec<Found> = found.iter().map(|found| found.borrow().clone()).collect();
        if is_late {
            tracing::info!(%address, "look-ups did not answer within the deadline");
            self.go_on(address, asking, found);
        }
        self.facts(address, &now)
    }

    /// Lets what is late come in, in its own time.
    fn go_on(&self, address: IpAddr, mut asking: JoinSet<()>, found: Vec<Rc<RefCell<Found>>>) {
        let late = self.late.borrow().clone();
        let (local, sources) = (Rc::clone(&self.local), self.sources.clone());
        tokio::task::spawn_local(async move {
            while asking.join_next().await.is_some() {}
            let found: Vec<Found> = found.iter().map(|found| found.borrow().clone()).collect();
            if let Some(late) = late {
                late(address, facts(&local, &sources, address, &found));
            }
        });
    }

    fn facts(&self, address: IpAddr, found: &[Found]) -> Facts {
        facts(&self.local, &self.sources, address, found)
    }
}

/// Joins what everybody says about an address.
fn facts(local: &Local, sources: &[Rc<dyn Source>], address: IpAddr, found: &[Found]) -> Facts {
    let scope = Scope::of(address);
    let nobody = if scope == Scope::Public { Why::NotConfigured } else { Why::NotPublic(scope) };
    let mut facts = Facts::unknown(nobody);
    local.add_to(&mut facts, address);
    for (source, found) in sources.iter().zip(found) {
        better(&mut facts.network, found.network.clone(), nobody);
        better(&mut facts.place, found.place.clone(), nobody);
        if let Some(name) = &found.reverse_name {
            facts.reverse_name = name.clone();
        }
        if let Some(answer) = &found.reputation {
            facts.opinions.push(Opinion { source: source.name().to_owned(), answer: answer.clone() });
        }
    }
    facts.reputation = worst(&facts.opinions, nobody);
    facts
}

/// What is known of a session, with what the services say of its address now. A service that fails now says what it said,
/// and the owner's files stay what they were: [`Local::ask_again`] asks them.
pub fn renewed(before: &Facts, now: &Facts) -> Facts {
    let earlier = |source: &str| before.opinions.iter().find(|opinion| opinion.source == source);
    let opinions: Vec<_> = now
        .opinions
        .iter()
        .map(|now| match earlier(&now.source) {
            Some(earlier) => {
                Opinion { source: now.source.clone(), answer: newer(&earlier.answer, &now.answer) }
            }
            None => now.clone(),
        })
        .collect();
    Facts {
        reputation: match &now.reputation {
            Fact::Unknown { why } => worst(&opinions, *why),
            Fact::Known(_) => worst(&opinions, Why::NotAsked),
        },
        network: newer(&before.network, &now.network),
        place: newer(&before.place, &now.place),
        reverse_name: newer(&before.reverse_name, &now.reverse_name),
        opinions,
        ..before.clone()
    }
}

/// The second one, unless somebody fails who answered before: that there is nothing to know is an answer as well.
fn newer<T: Clone>(before: &Fact<T>, now: &Fact<T>) -> Fact<T> {
    let fails = |fact: &Fact<T>| matches!(fact, Fact::Unknown { why } if why.is_failure());
    if fails(now) && !fails(before) { before.clone() } else { now.clone() }
}

/// Takes what is known over what is not, and any reason over that nobody was there to ask.
fn better<T>(fact: &mut Fact<T>, other: Option<Fact<T>>, nobody: Why) {
    match (&*fact, other) {
        (Fact::Unknown { .. }, Some(other @ Fact::Known(_))) => *fact = other,
        (Fact::Unknown { why }, Some(other)) if *why == nobody => *fact = other,
        (_, _) => {}
    }
}

/// The highest score; without any, the first reason that is a failure, or else the first one.
fn worst(opinions: &[Opinion], nobody: Why) -> Fact<Reputation> {
    // The first of equals: max_by_key would take the last.
    let known = opinions.iter().rev().filter_map(|opinion| opinion.answer.known());
    if let Some(worst) = known.max_by_key(|reputation| reputation.score) {
        return Fact::Known(worst.clone());
    }
    let mut whys = opinions.iter().filter_map(|opinion| match &opinion.answer {
        Fact::Known(_) => None,
        Fact::Unknown { why } => Some(*why),
    });
    let failure = whys.clone().find(|why| why.is_failure());
    Fact::unknown(failure.or_else(|| whys.next()).unwrap_or(nobody))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opinion(answer: Fact<Reputation>) -> Opinion {
        Opinion { source: "Example".to_owned(), answer }
    }

    fn known(score: u8, reason: &str) -> Fact<Reputation> {
        Fact::Known(Reputation { score, reason: Some(reason.to_owned()), asn: None })
    }

    #[test]
    fn the_worst_is_believed() {
        let of = |answers: &[Fact<Reputation>]| {
            worst(&answers.iter().cloned().map(opinion).collect::<Vec<_>>(), Why::NotConfigured)
        };
        let (good, bad, silent) = (known(10, "a"), known(80, "b"), Fact::unknown(Why::Deadline));
        for answers in [[&good, &bad, &silent], [&bad, &silent, &good], [&silent, &good, &bad]] {
            assert_eq!(of(&answers.map(Clone::clone)), bad);
        }
        assert_eq!(of(&[bad.clone(), known(80, "c")]), bad, "the first of equals");
        let no_data = Fact::unknown(Why::NoData);
        assert_eq!(of(&[no_data.clone(), silent.clone()]), silent, "a failure is said before ignorance");
        assert_eq!(of(&[no_data.clone(), Fact::unknown(Why::NotAsked)]), no_data);
        assert_eq!(of(&[]), Fact::unknown(Why::NotConfigured));
    }

    #[test]
    fn a_service_that_fails_says_what_it_said() {
        let of = |answer: Fact<Reputation>| {
            let network = match &answer {
                Fact::Known(_) => Fact::Known(Network { asn: 1, name: None, description: None }),
                Fact::Unknown { why } => Fact::unknown(*why),
            };
            let opinions = vec![opinion(answer)];
            let reputation = worst(&opinions, Why::NotConfigured);
            Facts { reputation, network, opinions, ..Facts::unknown(Why::NotConfigured) }
        };
        let (good, bad, quota) = (of(known(10, "a")), of(known(80, "b")), of(Fact::unknown(Why::Deadline)));
        let no_data = of(Fact::unknown(Why::NoData));
        assert_eq!(renewed(&good, &bad), bad);
        assert_eq!(renewed(&bad, &good), good, "what is taken back is believed as well");
        assert_eq!(renewed(&bad, &quota), bad);
        assert_eq!(renewed(&bad, &no_data), no_data, "it knows nothing of the address any more");
        assert_eq!(renewed(&quota, &no_data), no_data);
        assert_eq!(renewed(&no_data, &quota), no_data, "it said that it knows nothing");
        // A service that is asked no more says nothing, a new one what it says.
        let nobody = Facts::unknown(Why::NotConfigured);
        assert_eq!(renewed(&bad, &nobody), nobody);
        assert_eq!(renewed(&nobody, &bad), bad);
    }

    #[test]
    fn the_files_and_the_past_stay_what_they_were() {
        let before = Facts {
            listings: vec![super::super::Listing {
                list: "a".to_owned(),
                entry: "b".to_owned(),
                points: None,
            }],
            unreadable: vec!["c".to_owned()],
            edition: Some("d".to_owned()),
            account: Fact::unknown(Why::NoAccount),
            history: Fact::unknown(Why::Unreadable),
            ..Facts::unknown(Why::NotConfigured)
        };
        assert_eq!(renewed(&before, &Facts::unknown(Why::NotConfigured)), before);
    }

    #[test]
    fn what_is_known_is_better() {
        let joined = |first: Fact<u8>, second: Option<Fact<u8>>| {
            let mut fact = first;
            better(&mut fact, second, Why::NotConfigured);
            fact
        };
        let (nobody, late) = (Fact::unknown(Why::NotConfigured), Fact::unknown(Why::Deadline));
        assert_eq!(joined(nobody.clone(), Some(Fact::Known(1))), Fact::Known(1));
        assert_eq!(joined(late.clone(), Some(Fact::Known(1))), Fact::Known(1));
        assert_eq!(joined(Fact::Known(1), Some(Fact::Known(2))), Fact::Known(1));
        assert_eq!(joined(Fact::Known(1), Some(late.clone())), Fact::Known(1));
        assert_eq!(joined(nobody.clone(), Some(late.clone())), late);
        assert_eq!(joined(late.clone(), Some(Fact::unknown(Why::NoData))), late);
        assert_eq!(joined(nobody.clone(), None), nobody);
    }
}
