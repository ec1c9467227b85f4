//! A login of which nothing is remarkable, to be made remarkable in one point.

use jiff::Timestamp;
use login_tracer::assess::{Calculation, Login};
use login_tracer::config::{Risk, Rule};
use login_tracer::enrich::account::Account;
use login_tracer::enrich::history::{AddressHistory, History, Known, UserHistory};
use login_tracer::enrich::{Fact, Facts, Opinion, Reputation, Why};
use login_tracer::session::{AccountState, Auth, AuthKey, Escalation, Identity};

pub(crate) const KEY: &str = "SHA256:7L5FXqCp1cnVTcsWCKPhBLXgDd4YNbsk2gHbYYBmYfI";

/// A login and everything that is known about it.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) login: Login,
    pub(crate) facts: Facts,
    pub(crate) risk: Risk,
}

impl Case {
    /// Alice, as every day: by her key, from where she always comes from, which a service knows nothing against.
    pub(crate) fn plain() -> Self {
        let login = Login {
            user: Some("alice".to_owned()),
            uid: Some(1000),
            address: Some("193.146.30.12".parse().unwrap()),
            auth: Some(by("publickey")),
            at: "2026-11-21T09:05:34Z".parse::<Timestamp>().unwrap(),
            escalations: Vec::new(),
        };
        let user = UserHistory {
            known: Known { logins: 200, days: 100 },
            days_away: Some(1),
            address_seen: Some(true),
            network_seen: Some(true),
            key_seen: Some(true),
            hour_seen: Some(true),
            country_seen: Some(true),
            ..UserHistory::default()
        };
        let host = Known { logins: 1000, days: 300 };
        let history =
            History { host, user: Some(user), address: Some(AddressHistory::default()), events_lost: 0 };
        let account = Account {
            uid: 1000,
            home: "/home/alice".to_owned(),
            shell: "/bin/bash".to_owned(),
            groups: vec!["alice".to_owned()],
            is_service: false,
            may_use_sudo: Fact::unknown(Why::Unreadable),
            state: Fact::unknown(Why::Unreadable),
        };
        let facts = Facts {
            history: Fact::Known(history),
            account: Fact::Known(account),
            ..Facts::unknown(Why::NotConfigured)
        };
        let plain = Self { login, facts, risk: Risk::default() };
        plain.reputation(0)
    }

    pub(crate) fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// A service gives the address this score.
    pub(crate) fn reputation(self, score: u8) -> Self {
        self.opinion("Example", Fact::Known(Reputation { score, reason: None, asn: None }))
    }

    /// The only service says this.
    pub(crate) fn opinion(mut self, source: &str, answer: Fact<Reputation>) -> Self {
        self.facts.reputation = answer.clone();
        self.facts.opinions = vec![Opinion { source: source.to_owned(), answer }];
        self
    }

    /// No service is configured.
    pub(crate) fn offline(mut self) -> Self {
        self.facts.reputation = Fact::unknown(Why::NotConfigured);
        self.facts.opinions.clear();
        self
    }

    pub(crate) fn root(self) -> Self {
        self.with(|case| {
            case.login.user = Some("root".to_owned());
            case.login.uid = Some(0);
        })
    }

    pub(crate) fn password(self) -> Self {
        self.with(|case| case.login.auth = Some(by("password")))
    }

    /// The same login by a password: there is no key then that could be new.
    pub(crate) fn by_password_instead(self) -> Self {
        self.password().user(|user| user.key_seen = None)
    }

    pub(crate) fn user(self, change: impl FnOnce(&mut UserHistory)) -> Self {
        self.past(|history| change(history.user.as_mut().unwrap()))
    }

    pub(crate) fn address(self, change: impl FnOnce(&mut AddressHistory)) -> Self {
        self.past(|history| change(history.address.as_mut().unwrap()))
    }

    pub(crate) fn past(self, change: impl FnOnce(&mut History)) -> Self {
        self.with(|case| {
            let Fact::Known(history) = &mut case.facts.history else { panic!("no past") };
            change(history);
        })
    }

    pub(crate) fn account(self, change: impl FnOnce(&mut Account)) -> Self {
        self.with(|case| {
            let Fact::Known(account) = &mut case.facts.account else { panic!("no account") };
            change(account);
        })
    }

    pub(crate) fn state(self, state: AccountState) -> Self {
        self.account(|account| account.state = Fact::Known(state))
    }

    pub(crate) fn became(self, from: u32, to: u32, exe: &str) -> Self {
        let identity = |uid: u32| Identity { uid, user: (uid == 0).then(|| "root".to_owned()) };
        let how = Escalation { pid: 7, from: identity(from), to: identity(to), exe: exe.to_owned() };
        self.with(|case| case.login.escalations.push(how))
    }

    pub(crate) fn calculation(&self) -> Calculation {
        Calculation::of(&self.login, &self.facts, &self.risk)
    }

    /// What a rule gives; `None` if it found nothing.
    pub(crate) fn points(&self, rule: Rule) -> Option<i16> {
        self.calculation().items.iter().find(|item| item.rule == rule).map(|item| item.points)
    }
}

pub(crate) fn by(method: &str) -> Auth {
    let key = AuthKey { kind: "ED25519".to_owned(), fingerprint: KEY.to_owned() };
    let key = (method == "publickey").then_some(key);
    Auth { method: method.to_owned(), key, certificate: None, user_log: None }
}
