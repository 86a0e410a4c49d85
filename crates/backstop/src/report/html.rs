//! A report as one page of HTML that needs nothing else: no script, no address, no font. Text is escaped wherever it
//! stands; a policy in its head keeps even a mistake in that from doing anything.

use std::fmt::Write;

use backstop_core::quoted::repaints;

use super::Block;
use crate::screen::size;

const HEAD: &str = "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
<meta name=\"viewport\" content=\"width=device-width\">\n<style>\n\
body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#1b1b1b;background:#fff}\n\
h1{font-size:1.6rem}h2{font-size:1.2rem;margin-top:2rem;border-bottom:1px solid #ccc}\n\
table{border-collapse:collapse;margin:1rem 0;width:100%}td,th{text-align:left;vertical-align:top;padding:.2rem .6rem;\
border-bottom:1px solid #e4e4e4;overflow-wrap:anywhere}th{font-weight:600}td.k{white-space:nowrap;color:#555;width:9rem}\n\
td{white-space:pre-wrap}.alarm{border-left:4px solid #b3261e;padding-left:.6rem;font-weight:600;white-space:pre-wrap}\
td.b{width:45%}td.b div{background:#b3261e;height:.9rem}\n\
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
            Block::Alarm(text) => put(format!("<p class=\"alarm\">{}</p>\n", plain(text))),
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
    let mut out = format!("<table>\n<tr><th colspan=\"3\">{}</th></tr>\n", plain(what));
    for (label, n) in bars {
        let wide = (u128::from(*n) * 100 / u128::from(most)).max(1);
        out.push_str(&format!(
            "<tr><td>{}</td><td class=\"b\"><div style=\"width:{wide}%\"></div></td><td class=\"k\">{}</td></tr>\n",
            plain(label),
            size::bytes(*n)
        ));
    }
    out.push_str("</table>\n");
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
            c if repaints(c) => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
