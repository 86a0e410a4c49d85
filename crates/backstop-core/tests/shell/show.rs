//! Takes what the reader gives, gives it on a line each, for the corpus: known words plain, everything
//! else in angle brackets.

use backstop_core::bytes::Bytes;
use backstop_core::quoted::Quoted;
use backstop_core::shell::{Mode, Part, Script, Simple, TypedPath, Word};

pub fn word(word: &Word) -> String {
    if let Some(known) = word.known() {
        let plain = |b: &u8| b.is_ascii_graphic() && !b"'<>\\".contains(b) || *b >= 0x80;
        let shown = Quoted(known.as_slice()).to_string();
        return if !known.is_empty() && known.as_slice().iter().all(plain) { shown } else { format!("'{shown}'") };
    }
    let part = |part: &Part| match part {
        Part::Literal(bytes) => Quoted(bytes.as_slice()).to_string(),
        Part::Pattern(bytes) => format!("<{}>", Quoted(bytes.as_slice())),
        Part::Home => "<~>".to_owned(),
        Part::HomeOf(name) => format!("<~{}>", name.quoted()),
        Part::Variable { name, quoted: true } => format!("<\"${}\">", name.quoted()),
        Part::Variable { name, quoted: false } => format!("<${}>", name.quoted()),
        Part::Unknown { quoted: true } => "<\"?\">".to_owned(),
        Part::Unknown { quoted: false } => "<?>".to_owned(),
    };
    word.parts.iter().map(part).collect()
}

pub fn simple(simple: &Simple) -> String {
    let mut out = Vec::new();
    if simple.fed {
        out.push("|".to_owned());
    }
    out.extend(simple.wrappers.iter().map(|w| format!("[{w}]")));
    for assignment in &simple.assignments {
        let values: Vec<_> = assignment.values.iter().map(word).collect();
        let sign = if assignment.partial { "+=" } else { "=" };
        out.push(format!("{}{sign}{}", assignment.name.quoted(), values.join(",")));
    }
    if let Some(program) = &simple.program {
        let own = if simple.own { "()" } else { "" };
        out.push(format!("{}{own}", word(program)));
    }
    out.extend(simple.arguments.iter().map(word));
    for redirect in &simple.redirects {
        let sign = match redirect.mode {
            Mode::Read => "<",
            Mode::Write => ">",
            Mode::Append => ">>",
            Mode::ReadWrite => "<>",
            Mode::Duplicate => "&",
            Mode::Document => "<<",
            Mode::Text => "<<<",
        };
        let descriptor = redirect.descriptor.map(|d| d.to_string()).unwrap_or_default();
        out.push(format!("{descriptor}{sign}{}", word(&redirect.target)));
    }
    for code in &simple.code {
        let text = code.text.as_ref().map_or("?".to_owned(), |t| t.quoted().to_string());
        out.push(format!("{{{:?}: {text}}}", code.language));
    }
    if simple.feeds {
        out.push("|".to_owned());
    }
    out.join(" ")
}

pub fn opaque(script: &Script, text: &[u8]) -> Vec<String> {
    let at = |o: &backstop_core::shell::Opaque| Quoted(&text[o.span.start..o.span.end]).to_string();
    script.opaque.iter().map(|o| format!("{:?}: {}", o.why, at(o))).collect()
}

pub fn path(path: &TypedPath) -> String {
    let home = if path.how == backstop_core::shell::How::Home { "~/" } else { "" };
    format!("{home}{}{}", path.path.quoted(), if path.open { "…" } else { "" })
}

/// The arguments joined by a blank: what the spans of an argument vector count in.
pub fn joined(argv: &[Bytes]) -> Vec<u8> {
    argv.iter().map(Bytes::as_slice).collect::<Vec<_>>().join(&b' ')
}
