//! Who is asked about addresses, and how the owner's files stand.

use jiff::Timestamp;

use crate::config::Config;
use crate::enrich::local::{Local, Standing};
use crate::output::findings::Finding;

/// The services that are asked, and each file.
pub(super) fn findings(config: &Config) -> Vec<Finding> {
    let enrich = &config.enrich;
    let keyed = [&enrich.abuseipdb, &enrich.crowdsec, &enrich.greynoise];
    let keyed = keyed.into_iter().flatten().map(|service| service.base_url.as_str());
    let services: Vec<&str> =
        enrich.threat_jammer.iter().map(|service| service.base_url.as_str()).chain(keyed).collect();
    let reputation = if services.is_empty() {
        Finding::note(
            "reputation",
            "not configured: remote addresses that are not known well stay unknown",
            "add a section such as [enrich.threat_jammer] with a token",
        )
    } else {
        Finding::good("reputation", services.join(", "))
    };
    let files = Local::open(&enrich.databases, &enrich.lists).standings(Timestamp::now());
    std::iter::once(reputation).chain(files.into_iter().map(file)).collect()
}

fn file(file: Standing) -> Finding {
    let path = file.path.display();
    match (file.in_use, file.refused) {
        (_, Some(why)) => Finding::problem(
            file.name,
            format!("{path} cannot be used: {why}"),
            "put it right; until then, logins that would be green are unknown",
        ),
        (Some(in_use), None) => match file.old {
            Some(days) => Finding::note(
                file.name,
                format!("{in_use}, in {path}"),
                format!("fetch a newer one: it is {days} days old, and places and networks move"),
            ),
            None => Finding::good(file.name, format!("{in_use}, in {path}")),
        },
        (None, None) => Finding::problem(file.name, format!("{path} was not read"), "check its permissions"),
    }
}
