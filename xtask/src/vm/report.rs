//! What the guests said, as a table of scenario by kernel and tier. Pure: lines in, verdicts out.

use std::collections::BTreeMap;

use super::boot::Said;
use super::tiers::Tier;

/// What came of a scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Passed,
    Failed,
    Skipped,
}

/// One tier on one kernel.
#[derive(Debug)]
struct Column {
    kernel: String,
    tier: &'static str,
    /// Exit status of the suite; `None`: it did not get to its end.
    status: Option<u8>,
    scenarios: BTreeMap<String, Outcome>,
}

/// Everything so far.
#[derive(Debug)]
pub(super) struct Report {
    columns: Vec<Column>,
    /// Names of scenarios as they were first played.
    order: Vec<String>,
    /// Of the tier that the guest plays.
    current: Option<usize>,
}

impl Report {
    /// A guest begins that shall play these tiers; what it does not play has failed.
    pub(super) fn begin(kernel: &str, tiers: &[&Tier]) -> Self {
        let columns = tiers.iter().map(|tier| Column {
            kernel: kernel.to_owned(),
            tier: tier.name,
            status: None,
            scenarios: BTreeMap::new(),
        });
        Self { columns: columns.collect(), order: Vec::new(), current: None }
    }

    /// Several as one.
    pub(super) fn of(reports: impl IntoIterator<Item = Self>) -> Self {
        let mut all = Self { columns: Vec::new(), order: Vec::new(), current: None };
        for report in reports {
            all.columns.extend(report.columns);
            for name in report.order {
                if !all.order.contains(&name) {
                    all.order.push(name);
                }
            }
        }
        all
    }

    /// Takes in a line of the guest.
    pub(super) fn hear(&mut self, line: &str) -> Option<Said> {
        let line = without_colours(line);
        if let Some(order) = line.strip_prefix("@@") {
            return self.hear_order(order);
        }
        let (name, outcome) = scenario(&line)?;
        let column = self.columns.get_mut(self.current?)?;
        if !self.order.contains(&name) {
            self.order.push(name.clone());
        }
        let said =
            (outcome == Outcome::Failed).then(|| Said::Progress(format!("{}: {name} failed", column.tier)));
        column.scenarios.insert(name, outcome);
        said
    }

    /// The words of the guest's init.
    fn hear_order(&mut self, order: &str) -> Option<Said> {
        let mut words = order.split(' ');
        match (words.next()?, words.next(), words.next(), words.next()) {
            ("kernel", Some(release), ..) => Some(Said::Progress(format!("Linux {release}"))),
            ("tier", Some(tier), ..) => {
                self.current = self.columns.iter().position(|column| column.tier == tier);
                None
            }
            ("end", Some(tier), Some(status), Some(uptime)) => {
                let column = self.columns.get_mut(self.current.take()?)?;
                column.status = status.parse().ok();
                let passed = column.count(Outcome::Passed);
                Some(Said::Progress(format!(
                    "{tier}: {passed} of {} passed, {uptime} s after boot",
                    column.scenarios.len()
                )))
            }
            ("done", ..) => Some(Said::Done),
            _ => None,
        }
    }

    /// `None` when every tier was played to its end and every scenario passed.
    pub(super) fn failures(&self) -> Option<String> {
        let failed: Vec<_> = self.columns.iter().filter_map(Column::failure).collect();
        (!failed.is_empty()).then(|| failed.join("\n"))
    }

    /// Whether a scenario failed, whatever became of the others.
    pub(super) fn any_failed(&self) -> bool {
        self.columns.iter().any(|column| column.count(Outcome::Failed) > 0)
    }

    /// One line for each scenario, one column for each tier of each kernel.
    pub(super) fn table(&self) -> String {
        let width = self.order.iter().map(String::len).max().unwrap_or(0);
        let heads: Vec<_> =
            self.columns.iter().map(|column| format!("{} {}", column.kernel, column.tier)).collect();
        let mut table = format!("{:width$}  {}\n", "", heads.join("  "));
        for name in &self.order {
            let cells = self.columns.iter().zip(&heads).map(|(column, head)| {
                let word = match column.scenarios.get(name) {
                    Some(Outcome::Passed) => "ok",
                    Some(Outcome::Failed) => "FAILED",
                    Some(Outcome::Skipped) => "skipped",
                    None => "-",
                };
                format!("{word:length$}", length = head.len())
            });
            let cells: Vec<_> = cells.collect();
            table += format!("{name:width$}  {}", cells.join("  ")).trim_end();
            table.push('\n');
        }
        table
    }
}

impl Column {
    fn count(&self, outcome: Outcome) -> usize {
        self.scenarios.values().filter(|one| **one == outcome).count()
    }

    fn failure(&self) -> Option<String> {
        let what = match self.status {
            None => "did not get to its end".to_owned(),
            Some(0) if self.count(Outcome::Passed) == 0 => "played nothing".to_owned(),
            Some(0) if self.count(Outcome::Failed) == 0 => return None,
            Some(status) => format!("{} failed, exit status {status}", self.count(Outcome::Failed)),
        };
        Some(format!("  {} {}: {what}", self.kernel, self.tier))
    }
}

/// Reads `test NAME ... ok`. A line of the suite's may begin with other words that reached the terminal before.
fn scenario(line: &str) -> Option<(String, Outcome)> {
    let (_, rest) =
        line.rsplit_once("test ").filter(|(before, _)| before.is_empty() || before.ends_with(' '))?;
    let (name, outcome) = rest.split_once(" ... ")?;
    let outcome = match outcome.trim() {
        "ok" => Outcome::Passed,
        "FAILED" => Outcome::Failed,
        "ignored" => Outcome::Skipped,
        _ => return None,
    };
    Some((name.trim_end().to_owned(), outcome))
}

/// Without the terminal's colour sequences.
fn without_colours(line: &str) -> String {
    let mut text = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        text += before;
        rest = after.split_once('m').map_or("", |(_, rest)| rest);
    }
    text + rest
}

#[cfg(test)]
mod tests {
    use super::super::tiers;
    use super::*;

    fn heard(lines: &[&str]) -> Report {
        let mut report =
            Report::begin("6.1", &[tiers::named("fentry").unwrap(), tiers::named("kprobe").unwrap()]);
        for line in lines {
            report.hear(line);
        }
        report
    }

    #[test]
    fn a_guest_that_plays_all_passes() {
        let report = heard(&[
            "@@kernel 6.1.0",
            "@@tier fentry",
            "test logins::a   ... \u{1b}[32mok\u{1b}[0m",
            "@@end fentry 0 12.5",
            "@@tier kprobe",
            "test logins::a   ... ok",
            "test logins::bcd ... ignored",
            "@@end kprobe 0 20.5",
            "@@done",
        ]);
        assert_eq!(report.failures(), None);
        assert_eq!(
            report.table(),
            "             6.1 fentry  6.1 kprobe\nlogins::a    ok          ok\nlogins::bcd  -           skipped\n"
        );
    }

    #[test]
    fn silence_is_a_failure_and_so_is_an_empty_run() {
        let report =
            heard(&["@@tier fentry", "test result: ok. 0 passed", "@@end fentry 0 12.5", "@@tier kprobe"]);
        let failures = report.failures().unwrap();
        assert_eq!(failures, "  6.1 fentry: played nothing\n  6.1 kprobe: did not get to its end");
        assert!(heard(&[]).failures().unwrap().contains("fentry: did not get to its end"));
    }

    #[test]
    fn several_kernels_share_a_table() {
        let play = |kernel, name: &str| {
            let mut report = Report::begin(kernel, &[tiers::named("fentry").unwrap()]);
            for line in ["@@tier fentry", &format!("test {name} ... ok"), "@@end fentry 0 1.0"] {
                report.hear(line);
            }
            report
        };
        let report = Report::of([play("6.1", "a"), play("6.12", "b")]);
        assert_eq!(report.failures(), None);
        assert_eq!(report.table(), "   6.1 fentry  6.12 fentry\na  ok          -\nb  -           ok\n");
    }

    #[test]
    fn a_failed_scenario_is_a_failure_whatever_the_status() {
        for status in ["0", "1"] {
            let end = format!("@@end fentry {status} 1.0");
            let report = heard(&["@@tier fentry", "test a ... ok", "test b ... FAILED", &end]);
            assert!(report.failures().unwrap().contains("6.1 fentry: 1 failed"), "{status}");
        }
    }

    #[test]
    fn the_guests_own_words_decide() {
        let mut report = heard(&[]);
        assert_eq!(report.hear("@@done"), Some(Said::Done));
        assert_eq!(report.hear("whatever @@done"), None);
        assert_eq!(report.hear("test a ... ok"), None);
        assert!(report.order.is_empty(), "no tier is being played");
    }
}
