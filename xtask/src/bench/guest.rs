//! Measuring inside a stock kernel: what the benchmark program writes there, line by line over the guest's serial port.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use super::measurement::ROWS_IN_INSTRUCTIONS;
use crate::setup::BpfTools;
use crate::vm::{self, Pace, Payload, Said};

/// Boots the kernel, measures, and gives what the benchmark program wrote.
///
/// # Errors
/// The kernel cannot be had, something does not build, or the program did not get to its end.
pub(super) fn measure(kernel: &str, agent: &Path, tools: &BpfTools) -> Result<String> {
    let agent = fs::read(agent).with_context(|| format!("cannot read {}", agent.display()))?;
    let arguments = format!("--instructions {}", ROWS_IN_INSTRUCTIONS.join(" "));
    let payload = Payload {
        program: vm::BENCHMARK,
        script: include_str!("guest.sh"),
        files: vec![("agent", agent), ("arguments", arguments.into_bytes())],
        pace: Pace::Instructions,
    };
    let mut heard = Heard::default();
    vm::boot(kernel, &payload, tools, format!("{kernel}-bench"), |line| heard.hear(line))?;
    heard.output()
}

/// What the guest said.
#[derive(Debug, Default)]
struct Heard {
    /// The program's lines on stdout: JSON objects.
    lines: String,
    /// Its other lines, for whoever wants to know why it failed.
    said: String,
    /// How it ended.
    status: Option<u8>,
}

impl Heard {
    fn hear(&mut self, line: &str) -> Option<Said> {
        if line.starts_with('{') {
            self.lines += &format!("{line}\n");
            return None;
        }
        let Some(order) = line.strip_prefix("@@") else {
            self.said += &format!("{line}\n");
            return (!line.is_empty()).then(|| Said::Progress(line.to_owned()));
        };
        match order.split_once(' ') {
            Some(("kernel", release)) => Some(Said::Progress(format!("Linux {release}"))),
            Some(("end", status)) => {
                self.status = status.parse().ok();
                None
            }
            None if order == "done" => Some(Said::Done),
            _ => None,
        }
    }

    fn output(self) -> Result<String> {
        let status = self.status.context("the guest did not say how measuring ended")?;
        ensure!(
            status == 0,
            "the benchmark program failed (exit status {status}):\n{}",
            self.said.trim_end()
        );
        Ok(self.lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(lines: &[&str]) -> Result<String> {
        let mut heard = Heard::default();
        for line in lines {
            heard.hear(line);
        }
        heard.output()
    }

    #[test]
    fn only_what_the_program_writes_to_stdout_is_its_output() {
        let output = heard(&[
            "@@kernel 6.1.0",
            "{\"a\":1}",
            "measured: machine, in 9 s",
            "{\"b\":2}",
            "@@end 0",
            "@@done",
        ]);
        assert_eq!(output.unwrap(), "{\"a\":1}\n{\"b\":2}\n");
    }

    #[test]
    fn a_failure_and_an_end_without_a_word_are_errors() {
        let failed = heard(&["{\"a\":1}", "cannot fork", "@@end 1", "@@done"]).unwrap_err().to_string();
        assert_eq!(failed, "the benchmark program failed (exit status 1):\ncannot fork");
        assert!(heard(&["{\"a\":1}", "@@done"]).is_err());
        assert!(heard(&["@@end ?", "@@done"]).is_err());
    }

    #[test]
    fn the_guest_is_done_when_it_says_so() {
        let mut heard = Heard::default();
        assert_eq!(heard.hear("{\"a\":1}"), None);
        assert_eq!(heard.hear("@@end 0"), None);
        assert_eq!(heard.hear("round 1"), Some(Said::Progress("round 1".to_owned())));
        assert_eq!(heard.hear("@@done"), Some(Said::Done));
    }
}
