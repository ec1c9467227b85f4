//! `login-tracer notify-test [SINK]`: an example through each sink, and word for word what was said.

use std::io::Write;

use super::{Exit, Usage};
use crate::cli::{Global, NotifyTestArgs};
use crate::config::{self, Config, Secrets, Sink};
use crate::notify::outcome::Outcome;
use crate::notify::rehearsal;
use crate::notify::sink::Report;
use crate::supervise::privileges;
use crate::{output, sanitize};

pub(super) fn run(args: &NotifyTestArgs, global: &Global) -> anyhow::Result<Exit> {
    // As the role does it: the configuration is read as root if need be, nothing is sent as root.
    let config = config::load(global.config.as_deref(), Secrets::Read)?;
    let sinks = chosen(args, &config)?;
    if privileges::is_root() {
        privileges::become_account(&privileges::notify_account(&config)?)?;
    } else {
        privileges::seal()?;
    }
    privileges::shut_out_others();
    let mut failed = false;
    rehearsal::run(&config, &sinks, |sink, report| {
        failed |= report.outcome != Outcome::Delivered;
        output::to_stdout(|stdout| write(sink, report, stdout))
    })?;
    Ok(if failed { Exit::Failure } else { Exit::Success })
}

fn chosen<'a>(args: &NotifyTestArgs, config: &'a Config) -> Result<Vec<&'a Sink>, Usage> {
    let Some(name) = &args.sink else { return Ok(config.sinks.iter().collect()) };
    let found: Vec<_> = config.sinks.iter().filter(|sink| sink.name == *name).collect();
    if found.is_empty() {
        let names: Vec<_> = config.sinks.iter().map(|sink| sink.name.as_str()).collect();
        return Err(Usage(format!(
            "there is no sink {}; configured are {}",
            sanitize::text(name, 40),
            names.join(", ")
        )));
    }
    Ok(found)
}

fn write(sink: &Sink, report: &Report, output: &mut dyn Write) -> anyhow::Result<()> {
    writeln!(output, "== {} ({}): {}", sink.name, sink.kind.as_str(), verdict(&report.outcome))?;
    if let Some(exchange) = &report.exchange {
        for (title, text) in [("sent", &exchange.sent), ("received", &exchange.received)] {
            writeln!(output, "-- {title}")?;
            for line in text.trim_end_matches('\n').split('\n') {
                writeln!(output, "{}", sanitize::line(line.trim_end_matches('\r')))?;
            }
        }
    }
    writeln!(output)?;
    Ok(())
}

fn verdict(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Delivered => "delivered".to_owned(),
        Outcome::Retry { after: Some(after), why } => {
            format!("not delivered ({why}); the role would try again in {after:?}")
        }
        Outcome::Retry { after: None, why } => format!("not delivered ({why}); the role would try again"),
        Outcome::Doubtful { why } => format!("perhaps delivered ({why}); the role would try a few times"),
        Outcome::Gone { why } => {
            format!("refused ({why}); the role would hold back all messages for this sink")
        }
        Outcome::Park { why } => format!("refused ({why}); the role would not try again"),
    }
}
