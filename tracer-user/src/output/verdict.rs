//! What was decided about a change, in words.

use std::io::{self, Write};

use super::View;
use super::session::time;
use crate::notify::route::{Allowed, Failed, Held, Look, Verdict, Why};
use crate::sanitize;

/// Characters shown of a text that was found.
const TEXT_CHARS: usize = 200;

/// The whole in one line: `to ops, pager: by the first route that matches`.
pub fn headline(verdict: &Verdict) -> String {
    let sinks: Vec<_> = verdict.sinks.iter().map(|to| sanitize::text(&to.sink, TEXT_CHARS)).collect();
    let sinks = if sinks.is_empty() { "nobody".to_owned() } else { sinks.join(", ") };
    let why = match verdict.reason {
        Why::NoRoutes => "there are no routes, so every sink is told",
        Why::FirstRoute => "by the first route that matches",
        Why::AllRoutes => "by all routes that match",
        Why::Dropped => "the route that matches names no sink",
        Why::NoMatch => "no route matches",
        Why::NewsWithoutRoute => {
            "no route matches, and news of the tracer and the host go to every sink then"
        }
        Why::Allowed => "the login is allowed",
        Why::NotAsked => "attempts are told only where a route names them",
        Why::Scheduled => "as its schedule says",
    };
    format!("to {sinks}: {why}")
}

/// What led to it, a line each: allowlist, routes, quiet hours.
pub fn write_details(verdict: &Verdict, view: &View, indent: &str, output: &mut dyn Write) -> io::Result<()> {
    if let Some(allowed) = &verdict.allowed {
        let is_told = verdict.reason != Why::Allowed;
        let what = if is_told { "; that is about its beginning and its end alone" } else { "" };
        writeln!(output, "{indent}allowed by {}{what}", allowed_by(allowed))?;
    }
    for look in &verdict.routes {
        writeln!(output, "{indent}{}", route(look))?;
    }
    for to in &verdict.sinks {
        if let Some(Held { until, hours }) = &to.held {
            let sink = sanitize::text(&to.sink, TEXT_CHARS);
            let hours = sanitize::text(hours, TEXT_CHARS);
            writeln!(output, "{indent}{sink}: held until {} by quiet hours {hours}", time(view, *until))?;
        }
    }
    Ok(())
}

/// `entry 2 (backup of the databases, until 2026-12-31)`
pub fn allowed_by(allowed: &Allowed) -> String {
    let reason = sanitize::text(&allowed.reason, TEXT_CHARS);
    match &allowed.until {
        Some(until) => {
            format!("entry {} ({reason}, until {})", allowed.entry, sanitize::text(until, TEXT_CHARS))
        }
        None => format!("entry {} ({reason})", allowed.entry),
    }
}

fn route(look: &Look) -> String {
    let name = sanitize::text(&look.route, TEXT_CHARS);
    let Some(Failed { condition, wanted, found }) = &look.failed else {
        let sinks = if look.sinks.is_empty() { "nobody".to_owned() } else { look.sinks.join(", ") };
        return format!("route {name}: yes, to {}", sanitize::text(&sinks, TEXT_CHARS));
    };
    let found =
        found.as_ref().map_or_else(|| "not known".to_owned(), |found| sanitize::text(found, TEXT_CHARS));
    let wanted = sanitize::text(wanted, TEXT_CHARS);
    let condition = sanitize::text(condition, TEXT_CHARS);
    format!("route {name}: no, {condition} wants {wanted} and it is {found}")
}
