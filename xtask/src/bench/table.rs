//! The table: one line for each measurement. Pure.

use std::fmt::Write as _;

use super::measurement::{Clock, Figure, Host, Measurement, Target};
use super::statistics::{self, Reduced, Spread};

/// A measurement with what it comes to; nothing where it has no usable samples.
pub(super) type Row<'a> = (&'a Measurement, Option<Reduced>);

/// How figures are to be read where the clock counts instructions.
const INSTRUCTIONS: &str = "The processor is emulated, and what was measured are the instructions that it executed (instr), not time: \
     nothing disturbs that,\nand it lacks what caches, memory, wrong guesses and slow instructions cost.\n";

/// Lays everything out: first how it is to be read, then each group of rows by itself.
pub(super) fn render(host: &Host, rows: &[Row<'_>], skipped: &[(String, String)]) -> String {
    let Host { date, kernel, arch, cpus, quick, clock, hooks } = host;
    let how = match (clock, quick) {
        (Clock::Instructions, _) => ", emulated",
        (Clock::Time, true) => ", --quick",
        (Clock::Time, false) => "",
    };
    let mut text = format!("{date}, Linux {kernel}, {arch}, {cpus} CPUs{how}\n");
    if let Some(hooks) = hooks {
        writeln!(text, "hooks: {hooks}").expect("writing to memory");
    }
    text += "A figure is the median; in brackets the least and the most. \"A ..., B ...: 1.02x\" was measured in turns: \
             the medians of A and B,\nthen the median of B/A of each turn. It is what a target is held against; of \
             p50, p99, max it is p99.\n";
    if *clock == Clock::Instructions {
        text += INSTRUCTIONS;
    }
    for of_group in rows.chunk_by(|(one, _), (next, _)| one.row == next.row) {
        writeln!(text, "\n{}", of_group[0].0.row).expect("writing to memory");
        text += &aligned(&of_group.iter().map(cells).collect::<Vec<_>>());
    }
    if !skipped.is_empty() {
        text += "\nnot measured\n";
        text += &aligned(&skipped.iter().map(|(what, why)| [what.clone(), why.clone()]).collect::<Vec<_>>());
    }
    text
}

fn cells((measurement, reduced): &Row<'_>) -> [String; 4] {
    let measured = match reduced {
        Some(reduced) => measured(measurement, reduced),
        None => "no samples".to_owned(),
    };
    let verdict = match (measurement.target, reduced) {
        (Some(target), Some(reduced)) if statistics::meets(reduced, target) => "met",
        (Some(_), _) => "MISSED",
        (None, _) => "",
    };
    let wanted = measurement.target.map(|target| wanted(target, measurement)).unwrap_or_default();
    [measurement.what.clone(), measured, wanted, verdict.to_owned()]
}

fn measured(measurement: &Measurement, reduced: &Reduced) -> String {
    let unit = &measurement.unit;
    match (reduced, &measurement.figure) {
        (Reduced::Paired { a, b, ratio }, Figure::Paired { a: a_name, b: b_name, .. }) => {
            let Spread { min, median, max } = ratio;
            format!(
                "{a_name} {} {unit}, {b_name} {} {unit}: {median:.3}x ({min:.3} to {max:.3})",
                number(a.median),
                number(b.median)
            )
        }
        (Reduced::Distribution { count, p50, p99, max }, _) => {
            format!("p50 {}, p99 {}, max {} {unit} (of {count})", number(*p50), number(*p99), number(*max))
        }
        (Reduced::Repeated { count: 1, value }, _) => format!("{} {unit}", number(value.median)),
        (Reduced::Several, Figure::Several { numbers }) => {
            let each = numbers.iter().map(|(value, unit)| format!("{} {unit}", number(*value)));
            each.collect::<Vec<_>>().join(", ")
        }
        (Reduced::Repeated { value, .. } | Reduced::Paired { a: value, .. }, _) => {
            format!("{} {unit} ({} to {})", number(value.median), number(value.min), number(value.max))
        }
        // Of another measurement.
        (Reduced::Several, _) => String::new(),
    }
}

fn wanted(target: Target, measurement: &Measurement) -> String {
    let (sign, value) = match target {
        Target::AtMost(value) => ("<=", value),
        Target::AtLeast(value) => (">=", value),
    };
    match measurement.figure {
        Figure::Paired { .. } => format!("{sign} {value:.2}x"),
        Figure::Distribution { .. } => format!("p99 {sign} {} {}", number(value), measurement.unit),
        Figure::Repeated { .. } | Figure::Several { .. } => {
            format!("{sign} {} {}", number(value), measurement.unit)
        }
    }
}

/// Three digits that mean something, thousands separated: 0.0123, 1.23, 12.3, 123, 1,234,567.
fn number(value: f64) -> String {
    let decimals = match value.abs() {
        0.0 => 0,
        large if large >= 100.0 => 0,
        tens if tens >= 10.0 => 1,
        ones if ones >= 1.0 => 2,
        tenths if tenths >= 0.1 => 3,
        _ => 4,
    };
    let text = format!("{value:.decimals$}");
    let (whole, rest) = text.find('.').map_or((text.as_str(), ""), |point| text.split_at(point));
    let mut grouped = String::new();
    for (position, digit) in whole.char_indices() {
        if digit != '-'
            && position > 0
            && (whole.len() - position).is_multiple_of(3)
            && !grouped.ends_with('-')
        {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + rest
}

fn aligned<const N: usize>(cells: &[[String; N]]) -> String {
    let widths: [usize; N] =
        std::array::from_fn(|column| cells.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
    let mut text = String::new();
    for row in cells {
        let line: Vec<String> =
            row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        text += format!("  {}", line.join("  ")).trim_end();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measurement(unit: &str, figure: Figure, target: Option<Target>) -> Measurement {
        let unit = unit.to_owned();
        Measurement { row: "row".to_owned(), what: "what".to_owned(), unit, figure, target }
    }

    #[test]
    fn every_kind_of_figure_has_its_line() {
        let rounds = vec![[100.0, 101.0], [100.0, 103.0], [100.0, 102.0]];
        let measurements = [
            measurement(
                "ns",
                Figure::Paired { a: "off".into(), b: "on".into(), rounds },
                Some(Target::AtMost(1.01)),
            ),
            measurement(
                "ms",
                Figure::Distribution { samples: vec![1.0, 2.0, 3.0] },
                Some(Target::AtMost(5.0)),
            ),
            measurement(
                "/s",
                Figure::Repeated { samples: vec![1_234_567.0, 1_000_000.0, 2_000_000.0] },
                Some(Target::AtLeast(200_000.0)),
            ),
            measurement("MiB", Figure::Repeated { samples: vec![9.87] }, None),
            measurement("MiB", Figure::Repeated { samples: vec![] }, Some(Target::AtMost(1.0))),
            measurement(
                "",
                Figure::Several { numbers: vec![(2.0, "runs".into()), (1e3, "ns".into())] },
                None,
            ),
        ];
        let mut last = measurement("", Figure::Repeated { samples: vec![1.0] }, None);
        last.row = "other".to_owned();
        let rows: Vec<Row<'_>> =
            measurements.iter().chain([&last]).map(|m| (m, statistics::reduce(&m.figure))).collect();
        let host = Host {
            date: "today".into(),
            kernel: "6.1".into(),
            arch: "x86_64".into(),
            cpus: 2,
            quick: true,
            clock: Clock::Time,
            hooks: Some("fentry".into()),
        };
        let text = render(&host, &rows, &[("login".to_owned(), "needs root".to_owned())]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[..2], ["today, Linux 6.1, x86_64, 2 CPUs, --quick", "hooks: fentry"]);
        let squeezed = |line: &str| {
            line.split("  ").map(str::trim).filter(|c| !c.is_empty()).collect::<Vec<_>>().join(" | ")
        };
        let body: Vec<String> = lines[4..].iter().map(|line| squeezed(line)).collect();
        assert_eq!(
            body,
            [
                "",
                "row",
                "what | off 100 ns, on 102 ns: 1.020x (1.010 to 1.030) | <= 1.01x | MISSED",
                "what | p50 2.00, p99 3.00, max 3.00 ms (of 3) | p99 <= 5.00 ms | met",
                "what | 1,234,567 /s (1,000,000 to 2,000,000) | >= 200,000 /s | met",
                "what | 9.87 MiB",
                "what | no samples | <= 1.00 MiB | MISSED",
                "what | 2.00 runs, 1,000 ns",
                "",
                "other",
                "what | 1.00",
                "",
                "not measured",
                "login | needs root",
            ]
        );
    }

    #[test]
    fn a_table_of_instructions_says_so() {
        let host = |clock| Host {
            date: "today".into(),
            kernel: "6.1".into(),
            arch: "x86_64".into(),
            cpus: 1,
            quick: false,
            clock,
            hooks: None,
        };
        let counted = render(&host(Clock::Instructions), &[], &[]);
        assert!(counted.starts_with("today, Linux 6.1, x86_64, 1 CPUs, emulated\n"), "{counted}");
        assert!(counted.ends_with(INSTRUCTIONS), "{counted}");
        let timed = render(&host(Clock::Time), &[], &[]);
        assert!(!timed.contains("emulated") && !timed.contains("instr"), "{timed}");
    }

    #[test]
    fn numbers_keep_three_digits_and_separate_thousands() {
        let cases = [
            (0.0, "0"),
            (0.0123, "0.0123"),
            (0.5, "0.500"),
            (1.234, "1.23"),
            (12.34, "12.3"),
            (123.4, "123"),
            (1234.0, "1,234"),
            (12_345_678.0, "12,345,678"),
            (-1234.0, "-1,234"),
            (-123.0, "-123"),
        ];
        for (value, text) in cases {
            assert_eq!(number(value), text);
        }
    }
}
