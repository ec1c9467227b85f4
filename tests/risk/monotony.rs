//! What must hold of any login.

use login_tracer::assess::Level;
use login_tracer::config::{Points, Rule};
use login_tracer::enrich::history::Travel;
use login_tracer::enrich::reverse_dns::ReverseName;
use login_tracer::enrich::{Fact, Listing, Why};
use login_tracer::session::AccountState;
use proptest::prelude::*;

use crate::case::{Case, KEY};

/// So many ways to be worse.
const WORSE: usize = 24;
const ROOT: usize = 2;
const PASSWORD: usize = 3;
const EXPIRED: usize = 6;

/// Makes a login worse in one way.
fn worse(case: Case, way: usize) -> Case {
    match way {
        0 => case.reputation(80),
        1 => case.with(|case| {
            case.facts.listings.push(Listing { list: "l".to_owned(), entry: "e".to_owned(), points: None });
        }),
        ROOT => case.root(),
        PASSWORD => case.by_password_instead(),
        4 => case.account(|account| account.shell = "/bin/false".to_owned()),
        5 => case.account(|account| account.is_service = true),
        EXPIRED => case.state(AccountState::Expired),
        7 => case.user(|user| user.address_seen = Some(false)),
        8 => case.user(|user| user.network_seen = Some(false)),
        9 => case.user(|user| user.country_seen = Some(false)),
        10 => case.user(|user| user.key_seen = Some(false)),
        11 => case.user(|user| user.hour_seen = Some(false)),
        12 => case.user(|user| user.days_away = Some(400)),
        13 => case.address(|address| address.failures += 100),
        14 => case.user(|user| user.failures += 100),
        15 => case.user(|user| user.travel = Some(Travel { km: 9000, minutes: 5 })),
        16 => case.address(|address| address.other_users += 10),
        17 => case.became(1000, 0, "/usr/bin/sudo"),
        18 => case.became(1000, 0, "/tmp/x"),
        19 => case.past(|past| past.events_lost += 1),
        20 => case.address(|address| address.failures_after += 100),
        21 => case.user(|user| user.other_addresses += 10),
        22 => case.with(|case| {
            let name = ReverseName { name: "bank.example".to_owned(), confirmed: false };
            case.facts.reverse_name = Fact::Known(name);
        }),
        // One that has expired is worse already.
        _ => case.account(|account| {
            if account.state.known() != Some(&AccountState::Expired) {
                account.state = Fact::Known(AccountState::Locked);
            }
        }),
    }
}

/// The rules whose finding a step takes the place of: they speak of what is not there any more. A password leaves no key that
/// could be new, and whether it is right to use it is another rule's; that root's password is locked means nothing; of an
/// account that has expired no other state matters.
fn replaced(way: usize) -> &'static [Rule] {
    match way {
        PASSWORD => &[Rule::NewKey, Rule::LockedAccount],
        ROOT | EXPIRED => &[Rule::LockedAccount],
        _ => &[],
    }
}

fn case() -> impl Strategy<Value = Case> {
    let points = prop::collection::vec(0_u8..=100, Rule::ALL.len());
    let ways = prop::collection::vec(0..WORSE, 0..8);
    (points, ways, any::<[bool; 4]>(), 0_u8..100, 0_u8..100).prop_map(
        |(points, ways, trust, medium, more)| {
            let mut case = ways.into_iter().fold(Case::plain(), worse);
            for (rule, points) in Rule::ALL.iter().zip(points) {
                case.risk.points.set(*rule, points);
            }
            case.risk.thresholds.medium_above = medium;
            case.risk.thresholds.high_above = medium.saturating_add(more).clamp(medium + 1, 100);
            if trust[0] {
                case.risk.trusted.networks = vec!["0.0.0.0/0".parse().unwrap()];
            }
            if trust[1] {
                case.risk.trusted.users = vec!["alice".to_owned(), "root".to_owned()];
            }
            if trust[2] {
                case.risk.trusted.keys = vec![KEY.to_owned()];
            }
            if trust[3] { case.offline() } else { case }
        },
    )
}

proptest! {
    #[test]
    fn every_point_is_shown_and_the_score_is_capped(case in case()) {
        let calculation = case.calculation();
        let sum: i32 = calculation.items.iter().map(|item| i32::from(item.points)).sum();
        prop_assert_eq!(calculation.sum, sum);
        prop_assert!(sum >= 0);
        prop_assert_eq!(i32::from(calculation.score), sum.min(100));
        let assessment = calculation.assessment();
        let shown: i32 = assessment.reasons.iter().map(|reason| i32::from(reason.points)).sum();
        prop_assert_eq!(shown, sum);
        prop_assert_eq!(assessment.score.is_none(), assessment.level == Level::Unknown);
    }

    #[test]
    fn what_is_worse_never_lowers_the_score(case in case(), way in 0..WORSE) {
        let before = case.calculation();
        let after = worse(case, way).calculation();
        let replaced: i32 = before
            .items
            .iter()
            .filter(|item| replaced(way).contains(&item.rule))
            .map(|item| i32::from(item.points))
            .sum();
        prop_assert!(
            i32::from(after.score) + replaced >= i32::from(before.score),
            "{:#?}\n{:#?}", before, after
        );
        // What was green may become grey: nobody vouches for it any more.
        if before.level > Level::Low && replaced == 0 {
            prop_assert!(after.level >= before.level, "{:#?}\n{:#?}", before, after);
        }
    }

    /// With the points as they are shipped, only a new key weighs more than what takes its place.
    #[test]
    fn as_shipped_only_a_password_for_a_new_key_weighs_less(case in case(), way in 0..WORSE) {
        let case = case.with(|case| case.risk.points = Points::default());
        let has_new_key = case.points(Rule::NewKey).is_some();
        let is_locked = case.points(Rule::LockedAccount).is_some();
        let is_exempt = way == PASSWORD && has_new_key || way == ROOT && is_locked;
        prop_assume!(!is_exempt);
        let before = case.calculation();
        let after = worse(case, way).calculation();
        prop_assert!(after.score >= before.score, "{:#?}\n{:#?}", before, after);
    }

    #[test]
    fn a_failure_is_never_green(case in case()) {
        let failed = case.with(|case| {
            let opinion = login_tracer::enrich::Opinion {
                source: "Example".to_owned(),
                answer: Fact::unknown(Why::Deadline),
            };
            case.facts.opinions.push(opinion);
        });
        prop_assert!(failed.calculation().level != Level::Low);
    }

    #[test]
    fn trust_only_lowers_and_never_hides_root_with_a_password(case in case()) {
        let case = case.root().password();
        let without = case.clone().with(|case| case.risk.trusted = Default::default()).calculation();
        let with = case.calculation();
        prop_assert!(with.score <= without.score);
        if without.level > Level::Low {
            prop_assert!(with.level > Level::Low, "{:#?}\n{:#?}", without, with);
        }
    }
}
