//! A report as one page of HTML that needs nothing else: no script, no address, no font. Text is escaped wherever it
//! stands; a policy in its head keeps even a mistake in that from doing anything.

use std::fmt::Write;

use super::Block;
use crate::screen::size;

/// How wide the longest bar is, and how high each line, in pixels.
const WIDE: u64 = 420;
const HIGH: usize = 22;

const HEAD: &str = "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
<meta name=\"viewport\" content=\"width=device-width\">\n<style>\n\
body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#1b1b1b;background:#fff}\n\
h1{font-size:1.6rem}h2{font-size:1.2rem;margin-top:2rem;border-bottom:1px solid #ccc}\n\
table{border-collapse:collapse;margin:1rem 0;width:100%}td,th{text-align:left;vertical-align:top;padding:.2rem .6rem;\
border-bottom:1px solid #e4e4e4;overflow-wrap:anywhere}th{font-weight:600}td.k{white-space:nowrap;color:#555;width:9rem}\n\
svg text{font:13px system-ui,sans-serif;fill:#1b1b1b}svg rect{fill:#b3261e}\n\
@media print{body{margin:0}}\n</style>\n";

/// The text of it.
pub fn text(blocks: &[Block]) -> String {
    let title = blocks.iter().find_map(|b| if let Block::Title(title) = b { Some(title.as_str()) } else { None });
    let mut out = format!("{HEAD}<title>{}</title>\n</head>\n<body>\n", plain(title.unwrap_or_default()));
    let mut put = |part: String| out.write_str(&part).expect("writing to a string never fails");
    for block in blocks {
        match block {
            Block::Title(title) => put(format!("<h1>{}</h1>\n", plain(title))),
            Block::Heading(heading) => put(format!("<h2>{}</h2>\n", plain(heading))),
            Block::Text(text) => put(format!("<p>{}</p>\n", plain(text))),
            Block::Facts(facts) => {
                let row = |(key, value): &(&str, String)| {
                    format!("<tr><td class=\"k\">{key}</td><td>{}</td></tr>\n", plain(value))
                };
                put(format!("<table>\n{}</table>\n", facts.iter().map(row).collect::<String>()));
            }
            Block::Table(head, rows) => {
                let head: String = head.iter().map(|h| format!("<th>{h}</th>")).collect();
                put(format!("<table>\n<tr>{head}</tr>\n"));
                for row in rows {
                    let cells: String = row.iter().map(|cell| format!("<td>{}</td>", plain(cell))).collect();
                    put(format!("<tr>{cells}</tr>\n"));
                }
                put("</table>\n".to_owned());
            }
            Block::Bars(what, bars) => put(drawing(what, bars)),
        }
    }
    out.push_str("</body>\n</html>\n");
    out
}

/// Bytes by place, drawn; what is drawn can be read as well.
fn drawing(what: &str, bars: &[(String, u64)]) -> String {
    let most = bars.iter().map(|(_, n)| *n).max().unwrap_or(0).max(1);
    let mut out = format!(
        "<figure>\n<figcaption>{}</figcaption>\n<svg role=\"img\" aria-label=\"{}\" width=\"100%\" height=\"{}\">\n",
        plain(what),
        plain(what),
        bars.len() * HIGH + 4
    );
    for (at, (label, n)) in bars.iter().enumerate() {
        let wide = (u128::from(*n) * u128::from(WIDE) / u128::from(most)).max(2);
        let (top, base) = (at * HIGH + 3, at * HIGH + HIGH - 6);
        let text = wide + 8;
        out.push_str(&format!(
            "<rect x=\"0\" y=\"{top}\" width=\"{wide}\" height=\"{}\"/><text x=\"{text}\" y=\"{base}\">{} {}</text>\n",
            HIGH - 6,
            size::bytes(*n),
            plain(label)
        ));
    }
    out.push_str("</svg>\n</figure>\n");
    out
}

/// Text that means itself.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}
