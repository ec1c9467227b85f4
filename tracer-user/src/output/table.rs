//! Text in aligned columns, by the width that a terminal gives each character.

use std::io::{self, Write};

use unicode_width::UnicodeWidthStr as _;

use super::{Style, View};

/// Blanks between two columns.
const GAP: usize = 2;

/// What stands in one field. The text must be harmless already.
#[derive(Debug, Clone)]
pub struct Cell {
    pub text: String,
    pub style: Style,
}

impl Cell {
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), style: Style::Plain }
    }

    pub fn styled(text: impl Into<String>, style: Style) -> Self {
        Self { text: text.into(), style }
    }
}

/// On which side of a column its texts stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Align {
    Left,
    Right,
}

/// Columns that grow with what was written in them and never shrink, so that a table of any length can be written
/// page by page.
#[derive(Debug)]
pub struct Table<const N: usize> {
    columns: [(&'static str, Align); N],
    widths: [usize; N],
    has_header: bool,
}

impl<const N: usize> Table<N> {
    /// With the names of its columns, whose texts stand on the left.
    pub fn new(names: [&'static str; N]) -> Self {
        Self {
            columns: names.map(|name| (name, Align::Left)),
            widths: names.map(|name| name.width()),
            has_header: false,
        }
    }

    /// With numbers in some of them, which stand on the right.
    #[must_use]
    pub fn right(mut self, names: &[&str]) -> Self {
        for (name, align) in &mut self.columns {
            if names.contains(name) {
                *align = Align::Right;
            }
        }
        self
    }

    /// Writes rows, before the first of them the header.
    pub fn write(&mut self, output: &mut dyn Write, view: &View, rows: &[[Cell; N]]) -> io::Result<()> {
        for row in rows {
            for (width, cell) in self.widths.iter_mut().zip(row) {
                *width = (*width).max(cell.text.width());
            }
        }
        if !self.has_header {
            self.has_header = true;
            let header = self.columns.map(|(name, _)| Cell::styled(name, Style::Bold));
            self.write_row(output, view, &header)?;
        }
        rows.iter().try_for_each(|row| self.write_row(output, view, row))
    }

    fn write_row(&self, output: &mut dyn Write, view: &View, row: &[Cell; N]) -> io::Result<()> {
        // Blanks are owed until something follows them: no line ends in blanks.
        let mut owed = 0;
        for ((cell, width), (_, align)) in row.iter().zip(self.widths).zip(self.columns) {
            let blank = width.saturating_sub(cell.text.width());
            let (before, after) = match align {
                Align::Left => (0, blank),
                Align::Right => (blank, 0),
            };
            if cell.text.is_empty() {
                owed += width + GAP;
                continue;
            }
            write!(output, "{:1$}{2}", "", owed + before, view.styled(cell.style, &cell.text))?;
            owed = after + GAP;
        }
        writeln!(output)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use jiff::tz::TimeZone;

    use super::*;

    #[test]
    fn wide_characters_take_two_columns_and_lines_end_clean() {
        let mut table = Table::new(["N", "NAME", "X"]).right(&["N"]);
        let mut output = Vec::new();
        let row = |n: &str, name: &str, x: &str| [Cell::new(n), Cell::new(name), Cell::new(x)];
        table.write(&mut output, &plain(), &[row("1", "名前名前", "a"), row("10", "root", "")]).unwrap();
        table.write(&mut output, &plain(), &[row("7", "", "b")]).unwrap();
        let expected = " N  NAME      X\n 1  名前名前  a\n10  root\n 7            b\n";
        assert_eq!(String::from_utf8(output).unwrap(), expected);
    }

    #[test]
    fn colour_has_no_width() {
        let mut table = Table::new(["A", "B"]);
        let mut output = Vec::new();
        let view = View { has_colour: true, ..plain() };
        table.write(&mut output, &view, &[[Cell::styled("red", Style::Red), Cell::new("b")]]).unwrap();
        let expected = "\u{1b}[1mA\u{1b}[0m    \u{1b}[1mB\u{1b}[0m\n\u{1b}[31mred\u{1b}[0m  b\n";
        assert_eq!(String::from_utf8(output).unwrap(), expected);
    }

    fn plain() -> View {
        View { now: Timestamp::UNIX_EPOCH, zone: TimeZone::UTC, has_colour: false }
    }
}
