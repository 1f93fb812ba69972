//! The picture of `status --watch`: a heading, and a row per lane, whatever the size of the terminal.

mod columns;

use std::{cmp::Reverse, time::Instant};

use chrono::Utc;
use ratatui::{
    Frame,
    style::{Color, Modifier, Style},
    text::{Line, Span},
    widgets::Paragraph,
};

use self::columns::{BAR_MAX, BAR_MIN, Columns, GAP, bar, wide};
use super::{
    lines::{self, remark, word_of},
    speed::{Speeds, span},
};
use crate::{
    config::Backends,
    report::{
        moment::{LaneNow, Moment},
        status::StatusRow,
    },
    round::Status,
};

/// What is shown.
pub(super) struct Look {
    redis: String,
    mysql: String,
    has_colours: bool,
    moment: Option<Moment>,
    speeds: Speeds,
    /// What went wrong with the last look.
    trouble: Option<String>,
    /// When the moment was seen.
    seen: Instant,
    /// Rows scrolled away.
    skip: usize,
}

impl Look {
    pub(super) fn new(backends: &Backends, has_colours: bool) -> Self {
        Self {
            redis: backends.redis_address(),
            mysql: backends.mysql_address(),
            has_colours,
            moment: None,
            speeds: Speeds::default(),
            trouble: None,
            seen: Instant::now(),
            skip: 0,
        }
    }

    /// Takes in a look; after one that failed the last moment stays, with its age.
    pub(super) fn learn(&mut self, looked: Result<Moment, String>) {
        match looked {
            Ok(mut moment) => {
                self.seen = Instant::now();
                self.speeds.learn(&moment, self.seen);
                moment.lanes.sort_by_key(order);
                (self.moment, self.trouble) = (Some(moment), None);
            }
            Err(error) => self.trouble = Some(error),
        }
    }

    /// Scrolls; drawing keeps it within what there is.
    pub(super) fn scroll(&mut self, rows: isize) {
        self.skip = self.skip.saturating_add_signed(rows);
    }

    fn colour(&self, colour: Color) -> Style {
        if self.has_colours { Style::new().fg(colour) } else { Style::new() }
    }
}

/// What runs, then what waits, then what needs somebody, then the rest; the newest end first.
fn order(lane: &LaneNow) -> (u8, Reverse<Option<String>>) {
    let rank = match lane.row.status {
        status if status.is_open() && lane.row.paused => 2,
        Status::InProgress => 0,
        Status::Queued => 1,
        Status::CanceledByError => 3,
        _ => 4,
    };
    (rank, Reverse(lane.row.ended_at.clone()))
}

/// Draws everything.
pub(super) fn draw(frame: &mut Frame, look: &mut Look) {
    let area = frame.area();
    let (width, height) = (usize::from(area.width), usize::from(area.height));
    let mut all = heading(look, width);
    // On a very low screen the lanes matter more than what stands above them.
    all.truncate(height / 2);
    let room = height.saturating_sub(all.len());
    if let Some(moment) = &look.moment {
        look.skip = look.skip.min(moment.lanes.len().saturating_sub(room.saturating_sub(1).max(1)));
        all.extend(lanes(look, moment, width, room));
    }
    frame.render_widget(Paragraph::new(all), area);
}

const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);
const DIM: Style = Style::new().add_modifier(Modifier::DIM);

fn heading(look: &Look, width: usize) -> Vec<Line<'static>> {
    let right = format!("{}  q quits", Utc::now().format("%H:%M:%SZ"));
    let left = format!("restock  redis {}  mysql {}", look.redis, look.mysql);
    let space = width.saturating_sub(wide(&left) + wide(&right));
    let title = if space >= GAP { format!("{left}{}{right}", " ".repeat(space)) } else { left };
    let mut all = vec![Line::styled(title, BOLD)];
    let Some(moment) = &look.moment else { return all };

    if let Some(trouble) = &look.trouble {
        let age = span(i64::try_from(look.seen.elapsed().as_millis()).unwrap_or(i64::MAX));
        all.push(Line::styled(format!("seen {age} ago: {trouble}"), look.colour(Color::Red).patch(BOLD)));
    } else if !moment.live {
        let text = "Redis does not answer: this is what MySQL knows, and it may lag";
        all.push(Line::styled(text, look.colour(Color::Red).patch(BOLD)));
    }
    if moment.paused {
        let text = "all sending is paused: `restock-cli unpause` lets it go on";
        all.push(Line::styled(text, look.colour(Color::Yellow).patch(BOLD)));
    }
    all.push(pace_line(look, moment, width));
    all.push(Line::raw(lines::lag(moment)));
    all.push(Line::default());
    all
}

fn pace_line(look: &Look, moment: &Moment, width: usize) -> Line<'static> {
    let (pace, counts) = (format!("rate {:<14}", lines::pace(moment)), lines::counts(moment));
    let left = width.saturating_sub(wide(&pace) + wide(&counts) + 2 * GAP);
    let mut spans = vec![Span::styled(pace, BOLD), Span::raw(" ".repeat(GAP))];
    if moment.limit > 0 && left >= BAR_MIN {
        let used = moment.used.unwrap_or(0).max(0).unsigned_abs();
        let full = bar(used, Some(u64::from(moment.limit)), left.min(BAR_MAX));
        spans.push(Span::styled(full, look.colour(Color::Cyan)));
        spans.push(Span::raw(" ".repeat(GAP)));
    }
    spans.push(Span::raw(counts));
    Line::from(spans)
}

fn lanes(look: &Look, moment: &Moment, width: usize, room: usize) -> Vec<Line<'static>> {
    if moment.lanes.is_empty() {
        return vec![Line::raw("no rounds yet: `restock-cli enqueue P` announces a restock")];
    }
    let (all, columns) = (&moment.lanes, Columns::fit(&moment.lanes, width));
    let is_cut = look.skip > 0 || all.len() > room;
    // The last row then says how many are not shown.
    let rows = if is_cut && room > 1 { room - 1 } else { room };
    let mut shown: Vec<Line<'static>> =
        all.iter().skip(look.skip).take(rows).map(|lane| lane_line(look, lane, &columns)).collect();
    if is_cut && room > 1 {
        let (above, below) = (look.skip, all.len() - look.skip - shown.len());
        shown.push(Line::styled(format!("{above} more above, {below} more below; ↑ ↓ scroll"), DIM));
    }
    shown
}

fn lane_line(look: &Look, lane: &LaneNow, columns: &Columns) -> Line<'static> {
    let cells = columns.cells(lane, word_of(&lane.row));
    let style = look.colour(colour_of(&lane.row));
    Line::from(vec![
        Span::raw(cells.name),
        Span::styled(cells.state, style),
        Span::raw(cells.people),
        Span::raw(remark(lane, &look.speeds)),
    ])
}

fn colour_of(row: &StatusRow) -> Color {
    match row.status {
        status if status.is_open() && row.paused => Color::Yellow,
        Status::Queued => Color::Blue,
        Status::InProgress => Color::Cyan,
        Status::Completed => Color::Green,
        Status::CanceledBySoldOut => Color::Magenta,
        Status::CanceledByError => Color::Red,
        Status::CanceledByAdmin => Color::Yellow,
        Status::Superseded => Color::Gray,
    }
}
