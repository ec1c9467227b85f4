//! The logins of a summary as a chart of table cells: mail programs load no pictures and know no scripts.

use super::{colour, html};
use crate::assess::Level;
use crate::notify::summary::{Bar, Levels};

/// Height of the highest bar, in pixels.
const HEIGHT: u64 = 80;
/// Width of all bars together, in pixels.
const WIDTH: usize = 480;

/// The chart, with the time of every few bars below. Nothing in it is a stranger's text.
pub(super) fn chart(bars: &[Bar]) -> String {
    let highest = bars.iter().map(|bar| bar.logins.total()).max().unwrap_or(0);
    if highest == 0 {
        return String::new();
    }
    let width = (WIDTH / bars.len().max(1)).clamp(6, 60);
    // A label has room for some 40 pixels.
    let every = 40_usize.div_ceil(width + 2);
    let mut drawn = format!(
        "<table cellspacing=\"2\" cellpadding=\"0\" style=\"table-layout:fixed;width:{}px;font-size:10px;color:#666666;margin-bottom:10px\">\n<tr>",
        bars.len() * (width + 2) + 2
    );
    for bar in bars {
        let total = bar.logins.total();
        let count = if total > 0 { total.to_string() } else { String::new() };
        drawn.push_str(&format!(
            "<td valign=\"bottom\" align=\"center\" width=\"{width}\" height=\"{}\">{count}{}</td>",
            HEIGHT + 14,
            stacked(bar.logins, highest, width)
        ));
    }
    drawn.push_str("</tr>\n<tr>");
    for bars in bars.chunks(every) {
        let label = bars.first().map_or(String::new(), |bar| html(&bar.label));
        drawn.push_str(&format!("<td colspan=\"{}\">{label}</td>", bars.len()));
    }
    drawn.push_str("</tr>\n</table>\n");
    drawn
}

/// The levels of one bar, the worst on top.
fn stacked(logins: Levels, highest: u64, width: usize) -> String {
    let levels = [
        (logins.high, Level::High),
        (logins.medium, Level::Medium),
        (logins.unknown, Level::Unknown),
        (logins.low, Level::Low),
    ];
    let mut cells = String::new();
    for (count, level) in levels.into_iter().filter(|(count, _)| *count > 0) {
        // Whatever there was can be seen.
        let height = (count.saturating_mul(HEIGHT) / highest).max(2);
        cells.push_str(&format!(
            "<div style=\"width:{width}px;height:{height}px;line-height:0;font-size:0;background:#{:06x}\"></div>",
            colour(Some(level))
        ));
    }
    cells
}
