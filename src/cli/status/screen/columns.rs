//! The columns of the screen, as far as there is room for them.

use ratatui::text::Span;

use crate::{
    cli::status::{lines::people, speed::settled},
    report::moment::LaneNow,
};

/// Between columns.
pub(super) const GAP: usize = 2;
/// The shortest bar that is worth its room, and the longest that says more.
pub(super) const BAR_MIN: usize = 8;
pub(super) const BAR_MAX: usize = 40;
/// Room for what is said of a lane, before anything but its numbers.
const REMARK_MIN: usize = 34;
/// `superseded`
const STATE: usize = 10;
/// Eighths of a cell.
const EIGHTHS: [&str; 8] = ["░", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/// How wide each column is; 0 is none.
#[derive(Debug)]
pub(super) struct Columns {
    product: usize,
    sku: usize,
    round: usize,
    channel: usize,
    bar: usize,
    people: usize,
}

/// What stands in a row: which lane it is, where it stands, and how far it is.
pub(super) struct Cells {
    pub(super) name: String,
    pub(super) state: String,
    pub(super) people: String,
}

impl Columns {
    /// Product, round, state and people always; then what is said, the bar, the code, the channel, as long as they fit.
    pub(super) fn fit(lanes: &[LaneNow], width: usize) -> Self {
        let widest = |cell: fn(&LaneNow) -> String| lanes.iter().map(|lane| wide(&cell(lane))).max().unwrap_or(0);
        let product = widest(|lane| lane.row.product.to_string());
        let (round, people) = (widest(round), widest(|lane| people(&lane.row)));
        let mut left = width.saturating_sub(product + round + STATE + people + 4 * GAP + REMARK_MIN);
        let mut take = |wanted: usize| {
            let is_taken = wanted > 0 && left >= wanted + GAP;
            left -= if is_taken { wanted + GAP } else { 0 };
            if is_taken { wanted } else { 0 }
        };
        let (bar, sku, channel) = (take(BAR_MIN), take(widest(sku)), take(widest(|lane| lane.row.channel.to_string())));
        let bar = if bar > 0 { (bar + left).min(BAR_MAX) } else { 0 };
        Self { product, sku, round, channel, bar, people }
    }

    pub(super) fn cells(&self, lane: &LaneNow, state: &str) -> Cells {
        let row = &lane.row;
        let optional = |text: String, width: usize| if width > 0 { left(&text, width) } else { String::new() };
        let bar = match self.bar {
            0 => String::new(),
            length => format!("{}{}", bar(settled(row), row.total, length), " ".repeat(GAP)),
        };
        Cells {
            name: [
                right(&row.product.to_string(), self.product),
                optional(sku(lane), self.sku),
                right(&round(lane), self.round),
                optional(row.channel.to_string(), self.channel),
            ]
            .concat(),
            state: format!("{}{bar}", left(state, STATE)),
            people: right(&people(row), self.people),
        }
    }
}

fn sku(lane: &LaneNow) -> String {
    lane.row.sku.as_ref().map(ToString::to_string).unwrap_or_default()
}

fn round(lane: &LaneNow) -> String {
    format!("r{}", lane.row.round)
}

/// So many of `of` as a bar; empty as long as `of` is not known.
pub(super) fn bar(full: u64, of: Option<u64>, length: usize) -> String {
    let eighths = match of {
        None => 0,
        Some(0) => length * 8,
        Some(of) => {
            let part = u128::from(full.min(of)) * (length as u128) * 8 / u128::from(of);
            usize::try_from(part).unwrap_or(0)
        }
    };
    let (whole, rest) = (eighths / 8, eighths % 8);
    let partial = if whole < length { EIGHTHS[rest] } else { "" };
    format!("{}{partial}{}", "█".repeat(whole), "░".repeat(length.saturating_sub(whole + 1)))
}

/// The cells of the terminal that a text takes.
pub(super) fn wide(text: &str) -> usize {
    Span::raw(text).width()
}

fn left(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(wide(text)) + GAP))
}

fn right(text: &str, width: usize) -> String {
    format!("{}{text}{}", " ".repeat(width.saturating_sub(wide(text))), " ".repeat(GAP))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_long_as_it_was_asked_for_and_as_full_as_it_should_be() {
        for (full, of, shown) in [
            (0, Some(8), "░░░░"),
            (1, Some(8), "▌░░░"),
            (4, Some(8), "██░░"),
            (8, Some(8), "████"),
            (9, Some(8), "████"),
            (0, Some(0), "████"),
            (5, None, "░░░░"),
        ] {
            assert_eq!(bar(full, of, 4), shown, "{full} of {of:?}");
        }
        assert_eq!(wide(&bar(u64::MAX, Some(u64::MAX), 40)), 40);
    }

    #[test]
    fn wide_characters_take_two_cells() {
        assert_eq!((wide(&left("品切", 6)), wide(&right("a", 6))), (8, 8));
    }
}
