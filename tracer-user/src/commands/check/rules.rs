//! Routes, quiet hours and allowlist: what may not be meant as it is written.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::config::{Conditions, Config, Kind, Rules};
use crate::notify::{groups, route};
use crate::output::findings::Finding;

/// What there is to say; nothing where nothing is configured.
pub(super) fn findings(config: &Config) -> Vec<Finding> {
    let rules = &config.rules;
    let mut findings: Vec<_> = routes(rules).into_iter().collect();
    findings.extend(groups::missing(rules).into_iter().map(|group| {
        let text = format!("this host has no group {group}: routes by it match nobody");
        Finding::note("routes", text, format!("correct the name, or run `groupadd {group}`"))
    }));
    findings.extend(allowed(rules));
    findings
}

fn routes(rules: &Rules) -> Option<Finding> {
    let last = rules.routes.last()?;
    let names: Vec<_> = rules.routes.iter().map(|route| route.name.as_str()).collect();
    let takes_all = |when: &Conditions| {
        let tells_sessions =
            [Kind::Opened, Kind::Closed, Kind::Escalated].iter().all(|kind| when.kinds.contains(kind));
        let rest = Conditions { kinds: Vec::new(), ..when.clone() };
        rest == Conditions::default() && (when.kinds.is_empty() || tells_sessions)
    };
    if rules.routes.iter().any(|route| takes_all(&route.when)) {
        return Some(Finding::good("routes", names.join(", ")));
    }
    let text = format!("{}: what none of them matches goes nowhere", names.join(", "));
    let advice = format!("add a route without conditions after {}, unless that is meant", last.name);
    Some(Finding::note("routes", text, advice))
}

fn allowed(rules: &Rules) -> Vec<Finding> {
    let (now, zone) = (Timestamp::now(), TimeZone::system());
    let (over, valid): (Vec<_>, Vec<_>) =
        rules.allow.iter().partition(|entry| route::is_over(entry, now, &zone));
    let mut findings = Vec::new();
    if !valid.is_empty() {
        let text = format!("{} of {} entries hold", valid.len(), rules.allow.len());
        findings.push(Finding::good("allowlist", text));
    }
    findings.extend(over.into_iter().map(|entry| {
        let until = entry.until.as_ref().map_or("", |until| until.text.as_str());
        let text = format!("entry {} ({}) ended with {until} and has no effect", entry.number, entry.reason);
        Finding::note("allowlist", text, "remove it, or set another date")
    }));
    findings
}
