//! A report as Markdown (CommonMark with tables). Every character that could mean something is escaped: a file's name
//! makes no heading, no link and no picture.

use std::fmt::Write;

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
            Block::Text(text) => put(format!("{}\n\n", plain(text))),
            Block::Facts(facts) => {
                put("| | |\n|---|---|\n".to_owned());
                facts.iter().for_each(|(key, value)| put(format!("| {key} | {} |\n", plain(value))));
                put("\n".to_owned());
            }
            Block::Table(head, rows) => {
                put(format!("| {} |\n|{}\n", head.join(" | "), "---|".repeat(head.len())));
                for row in rows {
                    let cells: Vec<String> = row.iter().map(|cell| plain(cell)).collect();
                    put(format!("| {} |\n", cells.join(" | ")));
                }
                put("\n".to_owned());
            }
            Block::Bars(what, bars) => {
                let most = bars.iter().map(|(_, n)| *n).max().unwrap_or(0).max(1);
                put(format!("| {} | | |\n|---|---|---|\n", plain(what)));
                for (label, n) in bars {
                    let wide = usize::try_from(u128::from(*n) * u128::from(WIDE) / u128::from(most)).unwrap_or(0);
                    put(format!("| {} | {} | {} |\n", plain(label), "█".repeat(wide.max(1)), size::bytes(*n)));
                }
                put("\n".to_owned());
            }
        }
    }
    out
}

/// Text that means itself.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        // What means something only where a line begins (a list, a quotation) never stands there.
        if c.is_ascii_punctuation() && !",.:;/()='->".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    // An address by itself would become a link; neither does it with an escape in it, nor an at sign, which has one.
    out.replace("://", ":\\//")
}
