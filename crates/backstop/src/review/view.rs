//! Draws the approvers' screen. What comes from outside was made plain before it gets here; whatever control character is
//! left is drawn as what it is, and moves nothing.

use backstop_core::time::Timestamp;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, List, ListState, Paragraph};

use super::{Pane, Review};
use crate::screen::approval::{name, state};
use crate::screen::message::tame;
use crate::screen::size;

/// Rows and columns of a pane in which a text can be read.
const LEGIBLE: (usize, usize) = (5, 40);

/// Of the screen at most so much is the list.
const LIST_PART: usize = 3;

/// Draws it.
pub fn draw(review: &mut Review, now: Timestamp, frame: &mut Frame<'_>) {
    let height = usize::from(frame.area().height);
    let list = (review.all.len() + 2).clamp(3, (height / LIST_PART).max(3));
    let parts = [Constraint::Length(rows(list)), Constraint::Min(3), Constraint::Length(1), Constraint::Length(1)];
    let [above, middle, said, keys] = Layout::vertical(parts).areas(frame.area());

    let items: Vec<Line<'_>> = review
        .all
        .iter()
        .map(|asked| {
            Line::from(vec![
                Span::raw(format!("{:<9} ", name(asked))),
                Span::styled(format!("{:<26} ", state(asked, now)), Style::new().fg(Color::Yellow)),
                Span::raw(tame(asked.question.summary.as_bytes())),
            ])
        })
        .collect();
    let unreadable = match review.unreadable {
        0 => String::new(),
        n => format!(", {n} can't be read"),
    };
    let reviews = if review.reviews == 0 { "" } else { ", A BROKEN GLASS WAITS FOR A REVIEW (backstop pending)" };
    let title = format!(
        " {} for approval{unreadable}{reviews} ",
        size::counted(review.all.len() as u64, "request waits", "requests wait")
    );
    let list = List::new(items)
        .block(Block::new().borders(Borders::TOP).title(title))
        .highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    let mut chosen = ListState::default();
    chosen.select(review.chosen.map(|_| review.place()));
    frame.render_stateful_widget(list, above, &mut chosen);

    let lines: Vec<Line<'static>> =
        review.text().lines().flat_map(|l| wrapped(coloured(l), usize::from(middle.width))).collect();
    let room = usize::from(middle.height).saturating_sub(1);
    review.scroll = review.scroll.min(lines.len().saturating_sub(room));
    review.shown(
        (room, usize::from(middle.width)),
        lines.len(),
        room >= LEGIBLE.0 && usize::from(middle.width) >= LEGIBLE.1,
    );
    let end = (review.scroll + room).min(lines.len());
    let place = if lines.len() > room { format!(" {end} of {} lines ", lines.len()) } else { String::new() };
    let mut tabs = vec![Span::raw(" ")];
    for pane in Pane::ALL {
        let style = if pane == review.pane { Style::new().add_modifier(Modifier::REVERSED) } else { Style::new() };
        tabs.extend([Span::styled(format!(" {} ", pane.name()), style), Span::raw(" ")]);
    }
    let block = Block::new().borders(Borders::TOP).title(Line::from(tabs)).title(Line::from(place).right_aligned());
    let shown: Vec<Line<'static>> = lines.into_iter().skip(review.scroll).take(room).collect();
    frame.render_widget(Paragraph::new(shown).block(block), middle);

    frame.render_widget(Paragraph::new(tame(review.said.as_bytes())).style(Style::new().fg(Color::Yellow)), said);
    let help = " ↑↓ choose  Tab what is shown  PgUp PgDn read  a approve  d deny  r look again  q leave";
    frame.render_widget(Paragraph::new(help).style(Style::new().add_modifier(Modifier::DIM)), keys);
}

fn rows(n: usize) -> u16 {
    u16::try_from(n).unwrap_or(u16::MAX)
}

/// Our own colours, as `Ink` writes them; every other escape is no escape here.
fn coloured(line: &str) -> Vec<(Style, String)> {
    let mut parts: Vec<(Style, String)> = Vec::new();
    let mut style = Style::new();
    let mut rest = line;
    while let Some(at) = rest.find('\x1b') {
        let (before, from) = rest.split_at(at);
        parts.push((style, plain(before)));
        let code = from.strip_prefix("\x1b[").and_then(|from| from.split_once('m'));
        (style, rest) = match code.and_then(|(code, after)| Some((ink(code)?, after))) {
            Some(known) => known,
            None => {
                parts.push((style, "\u{fffd}".to_owned()));
                (style, &from[1..])
            }
        };
    }
    parts.push((style, plain(rest)));
    parts.retain(|(_, text)| !text.is_empty());
    parts
}

/// Each character a cell or two of its own. What joins the one before it (marks without a width, and the halfwidth marks
/// of katakana, which one counts and another does not) could take a whole row along that is drawn by graphemes.
fn plain(text: &str) -> String {
    let joins = |c: char| {
        unicode_width::UnicodeWidthChar::width(c).is_none_or(|w| w == 0) || ('\u{ff9e}'..='\u{ff9f}').contains(&c)
    };
    text.replace('\t', "    ").chars().map(|c| if joins(c) { '\u{fffd}' } else { c }).collect()
}

fn ink(code: &str) -> Option<Style> {
    let plain = Style::new();
    Some(match code {
        "0" => plain,
        "1" => plain.add_modifier(Modifier::BOLD),
        "2" => plain.add_modifier(Modifier::DIM),
        "31" => plain.fg(Color::Red),
        "32" => plain.fg(Color::Green),
        "33" => plain.fg(Color::Yellow),
        "36" => plain.fg(Color::Cyan),
        _ => return None,
    })
}

/// The parts on as many rows as they need: nothing is cut, for it is signed.
fn wrapped(parts: Vec<(Style, String)>, width: usize) -> Vec<Line<'static>> {
    let (mut lines, mut line, mut used) = (Vec::new(), Vec::new(), 0);
    for (style, text) in parts {
        let mut piece = String::new();
        for c in text.chars() {
            let wide = unicode_width::UnicodeWidthChar::width(c).unwrap_or(0);
            if used + wide > width.max(2) {
                line.push(Span::styled(std::mem::take(&mut piece), style));
                lines.push(Line::from(std::mem::take(&mut line)));
                used = 0;
            }
            piece.push(c);
            used += wide;
        }
        line.push(Span::styled(piece, style));
    }
    lines.push(Line::from(line));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_colours_are_colours() {
        let shown = |text: &str| coloured(text).into_iter().map(|(_, t)| t).collect::<String>();
        assert_eq!(shown("a \x1b[31mlost\x1b[0m b"), "a lost b");
        assert_eq!(shown("a\tb"), "a    b");
        assert_eq!(coloured("\x1b[31mlost\x1b[0m")[0].0.fg, Some(Color::Red));
        for text in
            ["\x1b[2Jx", "\x1b]0;title\x07", "\x1b[31", "\x1b", "a\r\x08", "e\u{301}", "a\u{ff9e}\u{ff9e}b", "\u{200d}"]
        {
            assert!(!shown(text).chars().any(char::is_control) && shown(text).contains('\u{fffd}'), "{text:?}");
        }
    }

    #[test]
    fn nothing_is_cut() {
        let lines = wrapped(coloured("ab\x1b[1mcdefg\x1b[0m日本"), 4);
        let text: Vec<String> = lines.iter().map(|l| l.spans.iter().map(|s| s.content.as_ref()).collect()).collect();
        assert_eq!(text, ["abcd", "efg", "日本"]);
        assert_eq!(wrapped(coloured(""), 10).len(), 1);
    }
}
