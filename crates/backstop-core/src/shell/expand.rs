//! Takes the text at a word, gives the word: quotes and escapes taken away, expansions told apart, the
//! commands within substitutions read. Expands nothing.

use super::grammar::{Reader, Result};
use super::marks::{is_meta, is_name, is_name_start};
use super::peel::Base;
use super::word::{Part, Word};
use super::{Opaque, Unread};
use crate::bytes::Bytes;

/// Wildcards and braces that only the end of the word decides upon.
#[derive(Default)]
struct Marks {
    /// Part numbers of `[`.
    brackets: Vec<usize>,
    /// Part numbers of `{`, `,` and `}`.
    braces: Vec<usize>,
    /// Seen: 1 `{`, 2 and `,` or `..`, 3 and `}`.
    brace: u8,
    closed: bool,
}

impl Reader<'_> {
    /// True at `<(` and `>(`.
    pub(super) fn starts_process(&self) -> bool {
        self.starts_with(b"<(") || self.starts_with(b">(")
    }

    /// The word that stands here; the caller knows that one does.
    pub(super) fn word(&mut self) -> Result<Word> {
        self.word_until(false)
    }

    /// As `word`; in the pattern after `=~`, brackets and `|` belong to it.
    pub(super) fn word_until(&mut self, regex: bool) -> Result<Word> {
        let start = self.at;
        let mut word = Word::default();
        let mut marks = Marks::default();
        let mut open = 0usize;
        self.tilde(&mut word);
        while let Some(b) = self.peek() {
            if is_meta(b) {
                if self.starts_process() {
                    self.at += 2;
                    self.substitution()?;
                    word.push(b"/dev/fd/");
                    word.parts.push(Part::Unknown { quoted: true });
                    continue;
                }
                let glob = b == b'(' && self.at > start && b"?*+@!".contains(&self.text[self.at - 1]);
                if regex && (open > 0 && b != b'\n' || matches!(b, b'(' | b'|')) {
                    match b {
                        b'(' => open += 1,
                        b')' => open -= 1,
                        _ => {}
                    }
                    self.at += 1;
                    word.push_pattern(&[b]);
                    continue;
                }
                // `!(…)` and its like; whether the option is on doesn't matter, it isn't known then.
                if glob {
                    self.at += 1;
                    let from = self.at;
                    self.deeper(|r| r.group(b')', Some(b'('), false))?;
                    word.push_pattern(b"(");
                    let text = self.text;
                    word.push_pattern(&text[from..self.at]);
                    continue;
                }
                break;
            }
            self.piece(b, start, &mut word, &mut marks)?;
        }
        if open > 0 {
            return Err(Unread::Syntax);
        }
        word.span = self.span(start);
        word.typed = Bytes::from(&self.text[start..self.at]);
        settle(&mut word, &marks);
        Ok(word)
    }

    /// One piece of a word outside double quotes; `b` stands here and is no meta character.
    fn piece(&mut self, b: u8, start: usize, word: &mut Word, marks: &mut Marks) -> Result<()> {
        match b {
            b'\\' | b'\'' | b'"' | b'$' | b'`' => return self.quoting(b, word),
            b'*' | b'?' => word.push_pattern(&[b]),
            b'[' => {
                marks.brackets.push(word.parts.len());
                word.parts.push(Part::Pattern(Bytes::from(&[b][..])));
            }
            b'{' | b',' | b'}' if b == b'{' || marks.brace > 0 => {
                marks.brace = match (b, marks.brace) {
                    (b'{', 0) => 1,
                    (b',', 1) => 2,
                    (b'}', 2) => 3,
                    (_, state) => state,
                };
                marks.braces.push(word.parts.len());
                word.parts.push(Part::Pattern(Bytes::from(&[b][..])));
            }
            b => {
                if b == b'.' && marks.brace == 1 && self.peek_at(1) == Some(b'.') {
                    marks.brace = 2;
                }
                marks.closed |= b == b']' && !marks.brackets.is_empty();
                word.push(&[b]);
                self.at += 1;
                if self.value_begins(b, start) {
                    self.tilde(word);
                }
                return Ok(());
            }
        }
        self.at += 1;
        Ok(())
    }

    /// An escape, a quoted part or an expansion, outside double quotes.
    fn quoting(&mut self, b: u8, word: &mut Word) -> Result<()> {
        match b {
            b'\\' => {
                match self.peek_at(1) {
                    Some(b'\n') => {}
                    Some(c) => word.push(&[c]),
                    None => word.push(b"\\"),
                }
                self.at = (self.at + 2).min(self.end);
                Ok(())
            }
            b'\'' => {
                let quoted = self.single()?;
                word.push(quoted);
                Ok(())
            }
            b'"' => self.double(word),
            b'$' => self.dollar(word, false),
            _ => self.backtick(word, false),
        }
    }

    /// `'…'`: what is between.
    fn single(&mut self) -> Result<&[u8]> {
        let rest = &self.text[self.at + 1..self.end];
        let length = rest.iter().position(|b| *b == b'\'').ok_or(Unread::Syntax)?;
        self.at += length + 2;
        Ok(&rest[..length])
    }

    /// `"…"`.
    fn double(&mut self, word: &mut Word) -> Result<()> {
        self.at += 1;
        loop {
            match self.peek() {
                None => return Err(Unread::Syntax),
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b) => self.soft(b, word, b"$`\"\\")?,
            }
        }
    }

    /// One piece of text in which only `$`, backticks and some escapes mean something.
    fn soft(&mut self, b: u8, word: &mut Word, escapes: &[u8]) -> Result<()> {
        match b {
            b'\\' => {
                match self.peek_at(1) {
                    Some(b'\n') => {}
                    Some(c) if escapes.contains(&c) => word.push(&[c]),
                    Some(c) => word.push(&[b'\\', c]),
                    None => word.push(b"\\"),
                }
                self.at = (self.at + 2).min(self.end);
                Ok(())
            }
            b'$' => self.dollar(word, true),
            b'`' => self.backtick(word, true),
            b => {
                word.push(&[b]);
                self.at += 1;
                Ok(())
            }
        }
    }

    /// Text up to where the reader ends for now, as in double quotes, quotes being nothing special:
    /// arithmetic, an index.
    pub(super) fn inert(&mut self, word: &mut Word) -> Result<()> {
        self.inert_lines(word, false)
    }

    /// As `inert`, for a document; `strip` takes away the tabs that a line begins with.
    pub(super) fn inert_lines(&mut self, word: &mut Word, strip: bool) -> Result<()> {
        let mut fresh = true;
        while let Some(b) = self.peek() {
            if fresh && strip && b == b'\t' {
                self.at += 1;
                continue;
            }
            fresh = b == b'\n';
            self.soft(b, word, b"$`\\")?;
        }
        Ok(())
    }

    /// `~` or `~name` where a word or a value begins.
    fn tilde(&mut self, word: &mut Word) {
        if self.peek() != Some(b'~') {
            return;
        }
        let rest = &self.text[self.at + 1..self.end];
        let plain = |b: &&u8| b.is_ascii_alphanumeric() || b"_-.+".contains(b);
        // No name is that long; and it keeps `a=~~~…` from being looked at again and again.
        let length = rest.iter().take(256).take_while(plain).count();
        match rest.get(length) {
            None | Some(b'/' | b':') => {}
            Some(b) if is_meta(*b) => {}
            Some(_) => return,
        }
        word.parts.push(match &rest[..length] {
            b"" => Part::Home,
            // `~+` and `~-` are where the shell stands or stood.
            [b'+' | b'-', ..] => Part::Unknown { quoted: true },
            name => Part::HomeOf(Bytes::from(name)),
        });
        self.at += 1 + length;
    }

    /// True after the `=` of `NAME=` and the `:` in its value: `A=~/x` and `PATH=a:~/x` begin a home.
    fn value_begins(&self, b: u8, start: usize) -> bool {
        match b {
            // A name is rarely this long, and `a=a=a=…` isn't looked at from its start each time.
            b'=' => {
                let before = &self.text[start..self.at - 1];
                before.len() < 256
                    && before.first().is_some_and(|b| is_name_start(*b))
                    && before.iter().all(|b| is_name(*b))
            }
            b':' => start > 0 && self.text[start - 1] == b'=',
            _ => false,
        }
    }

    /// `$…`.
    fn dollar(&mut self, word: &mut Word, quoted: bool) -> Result<()> {
        let rest = &self.text[self.at + 1..self.end];
        match rest {
            [b'(', b'(', ..] if self.arithmetic(1)? => word.parts.push(Part::Unknown { quoted }),
            [b'(', ..] => {
                self.at += 2;
                self.substitution()?;
                word.parts.push(Part::Unknown { quoted });
            }
            [b'[', ..] => {
                self.at += 2;
                self.deeper(|r| r.group(b']', Some(b'['), true))?;
                word.parts.push(Part::Unknown { quoted });
            }
            [b'{', ..] => {
                self.at += 2;
                let part = self.deeper(|r| r.braced(quoted))?;
                word.parts.push(part);
            }
            [b'\'', ..] if !quoted => {
                self.at += 1;
                self.ansi(word)?;
            }
            [b'"', ..] if !quoted => {
                self.at += 1;
                self.double(word)?;
            }
            [b, ..] if is_name_start(*b) => {
                let length = rest.iter().position(|b| !is_name(*b)).unwrap_or(rest.len());
                word.parts.push(Part::Variable { name: Bytes::from(&rest[..length]), quoted });
                self.at += 1 + length;
            }
            [b, ..] if b.is_ascii_digit() || b"@*#?-$!".contains(b) => {
                word.parts.push(Part::Variable { name: Bytes::from(&rest[..1]), quoted });
                self.at += 2;
            }
            _ => {
                word.push(b"$");
                self.at += 1;
            }
        }
        Ok(())
    }

    /// The commands up to `)`, which is passed over.
    fn substitution(&mut self) -> Result<()> {
        self.deeper(|r| {
            let outside = r.documents_before.replace(r.documents_read);
            r.list()?;
            r.documents_before = outside;
            r.expect_byte(b')')
        })
    }

    /// `((…))` at `ahead` bytes from here, where it is one: then it is passed over, its substitutions
    /// read. As in bash: what matches the second bracket must be followed by the other one.
    pub(super) fn arithmetic(&mut self, ahead: usize) -> Result<bool> {
        let start = self.at + ahead + 2;
        let mut open = 1usize;
        let mut at = start;
        let stop = loop {
            match self.text[..self.end].get(at) {
                None => return Ok(false),
                Some(b'\\') => at += 1,
                Some(b'(') => open += 1,
                Some(b')') => {
                    open -= 1;
                    if open == 0 {
                        break at;
                    }
                }
                Some(quote @ (b'\'' | b'"' | b'`')) => {
                    let rest = &self.text[at + 1..self.end];
                    let Some(length) = rest.iter().position(|b| b == quote) else { return Ok(false) };
                    // Quotes within quotes: where it ends can't be told without reading it as both.
                    if *quote != b'\'' && rest[..length].iter().any(|b| matches!(b, b'\\' | b'(' | b'`' | b'\'')) {
                        return Err(Unread::Syntax);
                    }
                    at += length + 1;
                }
                Some(_) => {}
            }
            at += 1;
        };
        if self.text[..self.end].get(stop + 1) != Some(&b')') {
            return Ok(false);
        }
        self.at = start;
        let outer = std::mem::replace(&mut self.end, stop);
        self.deeper(|r| r.inert(&mut Word::default()))?;
        self.end = outer;
        self.at = stop + 2;
        Ok(true)
    }

    /// What follows `${`, and its end.
    fn braced(&mut self, quoted: bool) -> Result<Part> {
        // `${ cmd; }` and `${| cmd; }` of newer shells.
        if matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'|')) {
            self.at += 1;
            self.list()?;
            self.expect(b"}")?;
            return Ok(Part::Unknown { quoted });
        }
        let rest = &self.text[self.at..self.end];
        let name = match rest {
            [b, ..] if is_name_start(*b) => rest.iter().position(|b| !is_name(*b)).unwrap_or(rest.len()),
            [b, ..] if b.is_ascii_digit() => rest.iter().position(|b| !b.is_ascii_digit()).unwrap_or(rest.len()),
            [b'@' | b'*' | b'#' | b'?' | b'-' | b'$' | b'!', ..] => 1,
            _ => return Err(Unread::Syntax),
        };
        let variable = Part::Variable { name: Bytes::from(&rest[..name]), quoted };
        // `${X:?}` is the variable, or the end of everything.
        let plain = matches!(&rest[name..], [b'}', ..] | [b'?', ..] | [b':', b'?', ..]);
        self.at += name;
        self.group(b'}', None, quoted)?;
        Ok(if plain { variable } else { Part::Unknown { quoted } })
    }

    /// Up to `close`, which is passed over; `open` within needs a `close` of its own. Quotes and
    /// substitutions within are read, everything else is let go.
    fn group(&mut self, close: u8, open: Option<u8>, quoted: bool) -> Result<()> {
        let mut nested = 0usize;
        let mut scratch = Word::default();
        while let Some(b) = self.peek() {
            scratch.parts.clear();
            match b {
                b if b == close && nested == 0 => {
                    self.at += 1;
                    return Ok(());
                }
                b if b == close => nested -= 1,
                b if Some(b) == open => nested += 1,
                // Whether a quote means something here depends on the operator.
                b'\'' if quoted => return Err(Unread::Syntax),
                b'\\' | b'\'' | b'"' | b'$' | b'`' => {
                    if b == b'$' && quoted {
                        self.dollar(&mut scratch, true)?;
                    } else {
                        self.quoting(b, &mut scratch)?;
                    }
                    continue;
                }
                b'<' | b'>' if !quoted && self.starts_process() => {
                    self.at += 2;
                    self.substitution()?;
                    continue;
                }
                _ => {}
            }
            self.at += 1;
        }
        Err(Unread::Syntax)
    }

    /// `` `…` ``: its text is unescaped once, then read as a script.
    fn backtick(&mut self, word: &mut Word, quoted: bool) -> Result<()> {
        let start = self.at;
        let mut inner = Vec::new();
        let mut verbatim = true;
        self.at += 1;
        loop {
            match self.peek() {
                None => return Err(Unread::Syntax),
                Some(b'`') => break,
                Some(b'\\') => {
                    match self.peek_at(1) {
                        Some(c @ (b'`' | b'\\' | b'$')) => inner.push(c),
                        Some(b'"') if quoted => inner.push(b'"'),
                        Some(c) => inner.extend([b'\\', c]),
                        None => return Err(Unread::Syntax),
                    }
                    verbatim = false;
                    self.at += 2;
                }
                Some(b) => {
                    inner.push(b);
                    self.at += 1;
                }
            }
        }
        self.at += 1;
        let base = if verbatim { self.base.within(start + 1) } else { Base::Whole(self.span(start)) };
        let (fed, depth) = (self.fed, self.depth + 1);
        if depth > super::DEEPEST {
            return Err(Unread::TooDeep);
        }
        let mut reader = Reader::new(&inner, base, depth, self.found);
        reader.fed = fed;
        reader.run();
        word.parts.push(Part::Unknown { quoted });
        Ok(())
    }

    /// `$'…'`, the dollar passed over.
    fn ansi(&mut self, word: &mut Word) -> Result<()> {
        let start = self.at;
        self.at += 1;
        loop {
            let Some(b) = self.peek() else { return Err(Unread::Syntax) };
            self.at += 1;
            match b {
                b'\'' => return Ok(()),
                b'\\' => {
                    let Some(c) = self.peek() else { return Err(Unread::Syntax) };
                    self.at += 1;
                    if !self.escape(c, word) {
                        // A NUL ends what bash takes from the quotes; nobody means that.
                        let span = self.span(start);
                        self.found.opaque.push(Opaque { span, why: Unread::Syntax });
                    }
                }
                b => word.push(&[b]),
            }
        }
    }

    /// What `\c` stands for in `$'…'`; false for a NUL.
    fn escape(&mut self, c: u8, word: &mut Word) -> bool {
        let plain = match c {
            b'n' => b'\n',
            b't' => b'\t',
            b'r' => b'\r',
            b'a' => 7,
            b'b' => 8,
            b'e' | b'E' => 0x1b,
            b'f' => 12,
            b'v' => 11,
            b'\\' | b'\'' | b'"' | b'?' => c,
            b'0'..=b'7' => {
                self.at -= 1;
                (self.number(8, 3) & 0xff) as u8
            }
            b'x' | b'u' | b'U' => {
                let most = if c == b'x' { 2 } else { 4 + 4 * usize::from(c == b'U') };
                let before = self.at;
                let value = self.number(16, most);
                if self.at == before {
                    word.push(&[b'\\', c]);
                    return true;
                }
                if c != b'x' {
                    let mut buffer = [0; 4];
                    // What is no character, and what depends on the locale, is nothing we know.
                    match char::from_u32(value).filter(|_| value != 0) {
                        Some(c) if c.is_ascii() => word.push(c.encode_utf8(&mut buffer).as_bytes()),
                        _ => word.parts.push(Part::Unknown { quoted: true }),
                    }
                    return value != 0;
                }
                (value & 0xff) as u8
            }
            b'c' => {
                let Some(control) = self.peek() else { return true };
                self.at += 1;
                control & 0x1f
            }
            c => {
                word.push(&[b'\\', c]);
                return true;
            }
        };
        word.push(&[plain]);
        plain != 0
    }

    fn number(&mut self, radix: u32, most: usize) -> u32 {
        let mut value = 0u32;
        for _ in 0..most {
            let Some(digit) = self.peek().and_then(|b| char::from(b).to_digit(radix)) else { break };
            value = value.wrapping_mul(radix).wrapping_add(digit);
            self.at += 1;
        }
        value
    }
}

/// Decides what the marks were, and joins neighbouring parts.
fn settle(word: &mut Word, marks: &Marks) {
    let brackets: &[usize] = if marks.closed { &[] } else { &marks.brackets };
    let braces: &[usize] = if marks.brace == 3 { &[] } else { &marks.braces };
    for at in brackets.iter().chain(braces) {
        if let Part::Pattern(bytes) = &mut word.parts[*at] {
            word.parts[*at] = Part::Literal(std::mem::take(bytes));
        }
    }
    let parts = std::mem::take(&mut word.parts);
    for part in parts {
        match part {
            Part::Literal(bytes) => word.push(bytes.as_slice()),
            Part::Pattern(bytes) => word.push_pattern(bytes.as_slice()),
            part @ (Part::Home | Part::HomeOf(_) | Part::Variable { .. } | Part::Unknown { .. }) => {
                word.parts.push(part);
            }
        }
    }
}
