//! `[risk]`: what makes a login risky, and how much.
//!
//! The rules themselves are in [`crate::assess`]; here are their names and what they weigh.

use ipnet::IpNet;

/// How logins are judged.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Risk {
    pub thresholds: Thresholds,
    pub learning: Learning,
    pub points: Points,
    pub trusted: Trusted,
}

/// Scores above these are yellow and red.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thresholds {
    pub medium_above: u8,
    pub high_above: u8,
}

impl Default for Thresholds {
    /// The bands of the scripts that people use today: green up to 34, yellow up to 67, red above.
    fn default() -> Self {
        Self { medium_above: 34, high_above: 67 }
    }
}

/// How long nothing is new yet: until a user has been known for so many days, or has logged in so often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Learning {
    pub days: u16,
    pub logins: u16,
}

impl Learning {
    /// The most logins that can be asked for: so many are counted for each assessment.
    pub const MOST_LOGINS: u16 = 1_000;
}

impl Default for Learning {
    /// One to four weeks is what people use elsewhere; whoever comes daily need not wait for it.
    fn default() -> Self {
        Self { days: 14, logins: 20 }
    }
}

/// What lowers a score.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Trusted {
    /// Addresses and networks.
    pub networks: Vec<IpNet>,
    /// Names of accounts.
    pub users: Vec<String>,
    /// Fingerprints of keys, as sshd writes them: `SHA256:...`.
    pub keys: Vec<String>,
}

macro_rules! rules {
    ($($(#[$doc:meta])* $rule:ident $key:literal $points:literal,)*) => {
        /// The rules, in the order in which they are listed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Rule {
            $($(#[$doc])* $rule,)*
        }

        impl Rule {
            /// Every rule.
            pub const ALL: &'static [Self] = &[$(Self::$rule),*];
            /// Their keys in `[risk.points]`.
            pub const KEYS: &'static [&'static str] = &[$($key),*];

            /// Its key in `[risk.points]`.
            pub const fn key(self) -> &'static str {
                match self { $(Self::$rule => $key),* }
            }

            /// What it weighs where nothing else is configured.
            pub const fn default_points(self) -> u8 {
                match self { $(Self::$rule => $points),* }
            }
        }
    };
}

rules! {
    /// Percent of the worst score that a reputation service gives.
    Reputation "reputation" 100,
    Listed "listed" 70,
    UnconfirmedName "unconfirmed_name" 5,
    Root "root" 15,
    Password "password" 10,
    /// On top of the two before.
    RootPassword "root_password" 20,
    NoLoginShell "no_login_shell" 45,
    ServiceAccount "service_account" 30,
    DisabledAccount "disabled_account" 50,
    LockedAccount "locked_account" 35,
    NewUser "new_user" 15,
    NewAddress "new_address" 10,
    NewNetwork "new_network" 10,
    NewCountry "new_country" 20,
    NewKey "new_key" 15,
    NewHour "new_hour" 10,
    Dormant "dormant" 15,
    FailuresFromAddress "failures_from_address" 45,
    FailuresOfUser "failures_of_user" 20,
    ImpossibleTravel "impossible_travel" 40,
    ManyUsers "many_users" 20,
    ManyAddresses "many_addresses" 20,
    Escalation "escalation" 10,
    UnusualEscalation "unusual_escalation" 70,
    FailuresAfter "failures_after" 15,
    EventsLost "events_lost" 10,
    /// Taken away, like the next two.
    TrustedNetwork "trusted_network" 40,
    TrustedUser "trusted_user" 10,
    TrustedKey "trusted_key" 20,
}

/// What each rule weighs: 0 switches it off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Points([u8; Rule::ALL.len()]);

impl Points {
    pub fn of(&self, rule: Rule) -> u8 {
        self.0[rule as usize]
    }

    pub fn set(&mut self, rule: Rule, points: u8) {
        self.0[rule as usize] = points;
    }
}

impl Default for Points {
    fn default() -> Self {
        let mut points = Self([0; Rule::ALL.len()]);
        for rule in Rule::ALL {
            points.set(*rule, rule.default_points());
        }
        points
    }
}
