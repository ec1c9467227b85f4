//! `login-tracer rules`: the rules of risk, with what they weigh by the configuration.

use std::io::Write;

use serde::Serialize;

use super::Exit;
use crate::cli::{Global, RulesArgs};
use crate::config::{self, Risk, Rule, Secrets};
use crate::output::table::{Cell, Table};
use crate::output::{self, Style, View, json};
use crate::words::risk::sentence;

#[derive(Debug, Serialize)]
struct Record {
    rule: &'static str,
    points: u8,
    default_points: u8,
    text: &'static str,
}

pub(super) fn run(args: &RulesArgs, global: &Global) -> anyhow::Result<Exit> {
    let config = config::load(global.config.as_deref(), Secrets::Skip)?;
    let view = View::of_stdout();
    output::to_stdout(|stdout| write(args, &config.risk, &view, stdout))?;
    Ok(Exit::Success)
}

/// Writes what `args` ask for.
pub fn write(args: &RulesArgs, risk: &Risk, view: &View, output: &mut dyn Write) -> anyhow::Result<()> {
    if args.json {
        for rule in Rule::ALL {
            let record = Record {
                rule: rule.key(),
                points: risk.points.of(*rule),
                default_points: rule.default_points(),
                text: sentence(*rule),
            };
            json::write_line(output, &record)?;
        }
        return Ok(());
    }
    let mut table = Table::new(["RULE", "POINTS", "WHAT IT LOOKS FOR"]).right(&["POINTS"]);
    let rows: Vec<[Cell; 3]> = Rule::ALL
        .iter()
        .map(|rule| {
            let points = risk.points.of(*rule);
            // What the owner changed stands out.
            let style = if points == rule.default_points() { Style::Plain } else { Style::Bold };
            [Cell::new(rule.key()), Cell::styled(points.to_string(), style), Cell::new(sentence(*rule))]
        })
        .collect();
    table.write(output, view, &rows)?;
    let thresholds = risk.thresholds;
    writeln!(
        output,
        "\nMedium above {}, high above {}. Nothing is new before {} days or {} logins.",
        thresholds.medium_above, thresholds.high_above, risk.learning.days, risk.learning.logins
    )?;
    Ok(())
}
