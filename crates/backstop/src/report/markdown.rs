//! A report as Markdown (CommonMark with tables). Text from outside stands in code spans: there a name makes no heading,
//! link, mention or picture, also where pages are made of it that know more than CommonMark.

use std::fmt::Write;

use backstop_core::quoted::repaints;

use super::Block;
use crate::screen::size;

/// How wide the longest bar is, in characters.
const WIDE: u64 = 40;

/// The text of it.
pub fn text(blocks: &[Block]) -> String {
    let mut out = String::new();
    let mut put = |part: String| out.write_str(&part).expect("writing to a string never fails");
    for block in blocks {
        match block {
            Block::Title(title) => put(format!("# {}\n\n", plain(title))),
            Block::Heading(heading) => put(format!("## {}\n\n", plain(heading))),
            Block::Text(text) => put(format!("{}\n\n", ours(text))),
            Block::Alarm(text) => put(format!("**!** {}\n\n", plain(text))),
            Block::Facts(facts) => {
                put("| | |\n|---|---|\n".to_owned());
                facts.iter().for_each(|(key, value)| put(format!("| {key} | {} |\n", cell(value))));
                put("\n".to_owned());
            }
            Block::Table(head, rows) => {
                put(format!("| {} |\n|{}\n", head.join(" | "), "---|".repeat(head.len())));
                for row in rows {
                    let cells: Vec<String> = row.iter().map(|text| cell(text)).collect();
                    put(format!("| {} |\n", cells.join(" | ")));
                }
                put("\n".to_owned());
            }
            Block::Bars(what, bars) => {
                let most = bars.iter().map(|(_, n)| *n).max().unwrap_or(0).max(1);
                put(format!("| {what} | | |\n|---|---|---|\n"));
                for (label, n) in bars {
                    let wide = usize::try_from(u128::from(*n) * u128::from(WIDE) / u128::from(most)).unwrap_or(0);
                    put(format!("| {} | {} | {} |\n", cell(label), "█".repeat(wide.max(1)), size::bytes(*n)));
                }
                put("\n".to_owned());
            }
        }
    }
    out
}

/// Text that means itself: as it is where it is plain, else as code, in which no link, mention, picture or tag is one.
fn cell(text: &str) -> String {
    // A table's own mark is looked for before code is.
    plain(text).replace('|', "\\|")
}

fn plain(text: &str) -> String {
    let text: String = text.chars().map(|c| if repaints(c) { ' ' } else { c }).collect();
    if is_calm(&text) {
        return text;
    }
    let mut longest = 0;
    let mut run = 0;
    for c in text.chars() {
        run = if c == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    let fence = "`".repeat(longest + 1);
    let edge = text.starts_with(['`', ' ']) || text.ends_with(['`', ' ']);
    let pad = if edge { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}

/// True for words and numbers that nothing could be made of.
fn is_calm(text: &str) -> bool {
    let chars: Vec<char> = text.chars().collect();
    let digit = |at: usize| chars.get(at).is_some_and(char::is_ascii_digit);
    let calm = |(at, c): (usize, &char)| match c {
        // Behind a word, before a space, it is a colon and nothing else.
        ':' if at > 0 && chars.get(at + 1).is_none_or(|next| *next == ' ') => chars[at - 1].is_ascii_alphanumeric(),
        '.' | ':' => at > 0 && digit(at - 1) && digit(at + 1),
        '-' => at > 0,
        c => c.is_ascii_alphanumeric() || " ,;()%'".contains(*c),
    };
    let hex = text.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word.len() > 16);
    chars.iter().enumerate().all(calm) && !hex && !text.to_ascii_lowercase().contains("www")
}

/// Our own sentences: escaped where a character could mean something.
fn ours(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if "\\`*_[]<>#|~&!".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}
