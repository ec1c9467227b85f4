//! Samples on their way out: one JSON object a line.

use jiff::Timestamp;

use crate::hooks::Hooks;
use crate::measurement::{Clock, Figure, Host, Line, Measurement, Target};

/// A group of rows, by its name.
pub struct Row(pub &'static str);

impl Row {
    /// A and B, measured in turns.
    pub fn paired(
        &self,
        what: &str,
        unit: &str,
        [a, b]: [&str; 2],
        rounds: Vec<[f64; 2]>,
        target: Option<Target>,
    ) -> anyhow::Result<()> {
        self.measured(what, unit, Figure::Paired { a: a.to_owned(), b: b.to_owned(), rounds }, target)
    }

    /// Many observations, of which the tail matters.
    pub fn distribution(
        &self,
        what: &str,
        unit: &str,
        samples: Vec<f64>,
        target: Option<Target>,
    ) -> anyhow::Result<()> {
        self.measured(what, unit, Figure::Distribution { samples }, target)
    }

    /// The same, measured a few times or once.
    pub fn repeated(
        &self,
        what: &str,
        unit: &str,
        samples: Vec<f64>,
        target: Option<Target>,
    ) -> anyhow::Result<()> {
        self.measured(what, unit, Figure::Repeated { samples }, target)
    }

    /// Different numbers about one thing, each with its unit.
    pub fn several(&self, what: &str, numbers: &[(f64, &str)]) -> anyhow::Result<()> {
        let numbers = numbers.iter().map(|(number, unit)| (*number, (*unit).to_owned())).collect();
        self.measured(what, "", Figure::Several { numbers }, None)
    }

    fn measured(&self, what: &str, unit: &str, figure: Figure, target: Option<Target>) -> anyhow::Result<()> {
        let (row, what, unit) = (self.0.to_owned(), what.to_owned(), unit.to_owned());
        write(&Line::Measured(Measurement { row, what, unit, figure, target }))
    }
}

/// Where this is.
pub fn host(quick: bool, clock: Clock, hooks: Option<Hooks>) -> anyhow::Result<()> {
    let date = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let name = rustix::system::uname();
    let kernel = name.release().to_string_lossy().into_owned();
    let arch = name.machine().to_string_lossy().into_owned();
    let cpus = std::thread::available_parallelism()?.get();
    let hooks = hooks.map(|hooks| hooks.to_string());
    write(&Line::Host(Host { date, kernel, arch, cpus, quick, clock, hooks }))
}

/// A row that cannot be measured here.
pub fn skipped(row: &str, why: &str) -> anyhow::Result<()> {
    write(&Line::Skipped { row: row.to_owned(), why: why.to_owned() })
}

fn write(line: &Line) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string(line)?);
    Ok(())
}
