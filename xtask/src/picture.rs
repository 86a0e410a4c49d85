//! `cargo xtask picture`: takes what a terminal got (text with colour codes) on standard input, gives
//! an SVG of it. Real output only: a picture that somebody drew would soon be untrue.

use std::io::Read as _;
use std::path::PathBuf;

/// Where to.
#[derive(clap::Args)]
pub struct Args {
    /// The line typed, shown above.
    #[arg(long)]
    typed: Option<String>,
    /// The SVG.
    out: PathBuf,
}

const CELL: (f32, f32) = (8.4, 19.0);
const PAD: f32 = 18.0;
const COLOURS: [&str; 8] = ["#5c6773", "#e5484d", "#46a758", "#ffb224", "#3e8fdd", "#a06fd8", "#12a594", "#d8dee9"];
const TEXT: &str = "#d8dee9";

/// One of the eight, or any.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Colour {
    Listed(usize),
    Exact(u32),
}

impl Colour {
    fn hex(self) -> String {
        match self {
            Self::Listed(n) => COLOURS[n].to_owned(),
            Self::Exact(rgb) => format!("#{rgb:06x}"),
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Pen {
    colour: Option<Colour>,
    bold: bool,
    dim: bool,
}

/// Writes the picture.
pub fn run(args: &Args) -> Result<(), String> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).map_err(|e| format!("cannot read the terminal's text: {e}"))?;
    if let Some(typed) = &args.typed {
        text = format!("\u{1b}[2m$\u{1b}[0m \u{1b}[1m{typed}\u{1b}[0m\n{text}");
    }
    if let Some(folder) = args.out.parent() {
        std::fs::create_dir_all(folder).map_err(|e| format!("cannot make {}: {e}", folder.display()))?;
    }
    std::fs::write(&args.out, svg(&text)).map_err(|e| format!("cannot write {}: {e}", args.out.display()))
}

fn svg(text: &str) -> String {
    let lines: Vec<Vec<(Pen, String)>> = pieces(text);
    let columns = lines.iter().map(|l| l.iter().map(|(_, t)| t.chars().count()).sum()).max().unwrap_or(0).max(60);
    let (width, height) = (columns as f32 * CELL.0 + 2.0 * PAD, lines.len() as f32 * CELL.1 + 2.0 * PAD);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" height=\"{height:.0}\">\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"#1b1f27\"/>\n\
         <g font-family=\"ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace\" font-size=\"14\" xml:space=\"preserve\">\n"
    );
    for (row, line) in lines.iter().enumerate() {
        let y = PAD + CELL.1 * (row as f32 + 0.75);
        let mut column = 0;
        for (pen, text) in line {
            // Each piece at its own column: a font with other widths must not shift the rest.
            let x = PAD + CELL.0 * column as f32;
            let length = text.chars().count();
            column += length;
            if text.trim().is_empty() {
                continue;
            }
            let fill = pen.colour.map_or_else(|| TEXT.to_owned(), Colour::hex);
            let weight = if pen.bold { " font-weight=\"bold\"" } else { "" };
            let opacity = if pen.dim { " opacity=\"0.6\"" } else { "" };
            let span = CELL.0 * length as f32;
            out.push_str(&format!(
                "<text x=\"{x:.1}\" y=\"{y:.1}\" textLength=\"{span:.1}\" lengthAdjust=\"spacingAndGlyphs\" fill=\"{fill}\"{weight}{opacity}>{}</text>\n",
                escaped(text)
            ));
        }
    }
    out.push_str("</g>\n</svg>\n");
    out
}

/// Lines of pieces that share a pen. Knows bold, dim, eight colours and their bright twins, which Backstop
/// uses, and any colour, which agents do; any other sequence is left out, backgrounds among them.
fn pieces(text: &str) -> Vec<Vec<(Pen, String)>> {
    let mut lines = Vec::new();
    let mut pen = Pen::default();
    for line in text.trim_matches(['\n', '\r']).split('\n') {
        // What was written over (a line of progress) is not what stood there in the end.
        let line = line.trim_end_matches('\r').rsplit('\r').next().unwrap_or_default();
        let mut row: Vec<(Pen, String)> = Vec::new();
        let mut rest = line;
        loop {
            let (plain, code) = rest.split_once("\u{1b}[").map_or((rest, None), |(p, c)| (p, Some(c)));
            if !plain.is_empty() {
                row.push((pen, plain.to_owned()));
            }
            let Some(code) = code else { break };
            let end = code.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(code.len());
            if code[end..].starts_with('m') {
                pen = changed(pen, &code[..end]);
            }
            rest = code.get(end + 1..).unwrap_or_default();
        }
        lines.push(row);
    }
    lines
}

fn changed(mut pen: Pen, codes: &str) -> Pen {
    let mut codes = codes.split(';').map(|code| code.parse::<usize>().unwrap_or(0));
    while let Some(code) = codes.next() {
        if !matches!(code, 38 | 48) {
            pen = change(pen, code);
            continue;
        }
        // `2` and red, green, blue; or `5` and one of 256, which nobody here has used yet.
        let exact = codes.next() == Some(2);
        let rgb = codes.by_ref().take(if exact { 3 } else { 1 }).fold(0, |all, part| all << 8 | part as u32 & 0xff);
        if code == 38 && exact {
            pen.colour = Some(Colour::Exact(rgb));
        }
    }
    pen
}

fn change(pen: Pen, code: usize) -> Pen {
    match code {
        0 => Pen::default(),
        1 => Pen { bold: true, ..pen },
        2 => Pen { dim: true, ..pen },
        22 => Pen { bold: false, dim: false, ..pen },
        39 => Pen { colour: None, ..pen },
        n @ 30..=37 => Pen { colour: Some(Colour::Listed(n - 30)), ..pen },
        n @ 90..=97 => Pen { colour: Some(Colour::Listed(n - 90)), ..pen },
        _ => pen,
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::{Colour, Pen, pieces, svg};

    #[test]
    fn colours_become_pieces_and_the_rest_is_left_out() {
        let red = Pen { colour: Some(Colour::Listed(1)), bold: true, dim: false };
        let line = pieces("counting\r\u{1b}[K\u{1b}[1;31mheld\u{1b}[0m r-1\u{1b}[K\n\u{1b}[2mx");
        assert_eq!(line[0], [(red, "held".to_owned()), (Pen::default(), " r-1".to_owned())]);
        assert_eq!(line[1], [(Pen { dim: true, ..Pen::default() }, "x".to_owned())]);
    }

    #[test]
    fn any_colour_is_one_and_a_background_is_none() {
        let line = pieces("\u{1b}[1;38;2;255;107;128mheld\u{1b}[48;2;2;0;31m r-1\u{1b}[38;5;1m x\u{1b}[39m.");
        let rose = Pen { colour: Some(Colour::Exact(0xff6b80)), bold: true, dim: false };
        let [held, run, listed, plain] = line[0].as_slice() else { panic!("{line:?}") };
        assert_eq!([held, run, listed].map(|(pen, _)| *pen), [rose; 3]);
        assert_eq!(plain.0, Pen { colour: None, ..rose });
        assert!(svg("\u{1b}[38;2;255;107;128mheld").contains("fill=\"#ff6b80\""));
    }

    #[test]
    fn a_name_is_no_markup() {
        assert!(svg("<b>&").contains("&lt;b&gt;&amp;"));
    }
}
