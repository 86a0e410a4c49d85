//! Takes the text of a script, gives its simple commands as they stand there: lists, pipelines, simple
//! commands, redirections, here-documents. Blocks are in `compound`, words in `expand`. Each byte is
//! looked at a bounded number of times, and nothing recurses without `deeper`.

use super::marks::{index_length, is_descriptor, is_meta, is_name, is_name_start, named_descriptor, stripped};
use super::peel::Base;
use super::word::{Assignment, Mode, Redirect, Span, Word};
use super::{DEEPEST, MOST_WORDS, Opaque, Simple, Unread};
use crate::bytes::Bytes;

pub(super) type Result<T> = std::result::Result<T, Unread>;

/// What a text says, before wrappers are looked into.
#[derive(Default)]
pub(super) struct Found {
    pub(super) commands: Vec<Simple>,
    pub(super) opaque: Vec<Opaque>,
    pub(super) loose: Vec<Word>,
    pub(super) functions: Vec<Bytes>,
    /// Words kept so far, of all texts.
    pub(super) words: usize,
    /// Documents in the order of their operators.
    pub(super) documents: Vec<Word>,
}

/// A here-document whose text comes after the end of the line.
struct Announced {
    number: usize,
    delimiter: Vec<u8>,
    quoted: bool,
    strip: bool,
}

/// Reads one text.
pub(super) struct Reader<'a> {
    pub(super) text: &'a [u8],
    pub(super) at: usize,
    /// Where the text ends for now; a document's or an arithmetic's end while in it.
    pub(super) end: usize,
    pub(super) depth: usize,
    pub(super) base: Base,
    pub(super) found: &'a mut Found,
    /// In a pipeline, after its first command.
    pub(super) fed: bool,
    announced: Vec<Announced>,
    /// Where the outermost command that is being read begins.
    begun: usize,
    /// How many documents have been read, and how many when the innermost substitution began.
    pub(super) documents_read: usize,
    pub(super) documents_before: Option<usize>,
    /// The depth of the outermost list.
    outermost: usize,
}

/// Words with a meaning of their own where a command may begin.
const RESERVED: [&[u8]; 22] = [
    b"!",
    b"[[",
    b"case",
    b"coproc",
    b"do",
    b"done",
    b"elif",
    b"else",
    b"esac",
    b"fi",
    b"for",
    b"function",
    b"if",
    b"in",
    b"select",
    b"then",
    b"time",
    b"until",
    b"while",
    b"{",
    b"}",
    b"]]",
];

/// Words of the shell whose arguments may be assignments.
const DECLARES: [&[u8]; 7] = [b"declare", b"typeset", b"local", b"export", b"readonly", b"command", b"builtin"];

/// Those that end a list.
const CLOSERS: [&[u8]; 8] = [b"then", b"else", b"elif", b"fi", b"do", b"done", b"esac", b"}"];

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a [u8], base: Base, depth: usize, found: &'a mut Found) -> Self {
        Self {
            text,
            at: 0,
            end: text.len(),
            depth,
            base,
            found,
            fed: false,
            announced: Vec::new(),
            begun: 0,
            documents_read: 0,
            documents_before: None,
            outermost: depth,
        }
    }

    /// Reads to the end. What comes after a mistake is one opaque part: bash would not run it, nor
    /// anything before it on the same line.
    pub(super) fn run(mut self) {
        let first = self.found.commands.len();
        let first_document = self.found.documents.len();
        // What doesn't end with the text ends with something that doesn't belong there.
        let read = match self.list() {
            Ok(()) if self.at < self.end => Err(Unread::Syntax),
            read => read,
        };
        if let Err(why) = read {
            let span = self.base.span(self.begun.min(self.text.len()), self.text.len());
            self.found.opaque.push(Opaque { span, why });
        }
        for redirect in self.found.commands[first..].iter_mut().flat_map(|c| &mut c.redirects) {
            let number = redirect.document.filter(|n| *n >= first_document);
            if let Some(document) = number.and_then(|n| self.found.documents.get_mut(n)) {
                redirect.target = std::mem::take(document);
                redirect.document = None;
            }
        }
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.peek_at(0)
    }

    pub(super) fn peek_at(&self, ahead: usize) -> Option<u8> {
        self.text[..self.end].get(self.at + ahead).copied()
    }

    pub(super) fn starts_with(&self, what: &[u8]) -> bool {
        self.text[self.at.min(self.end)..self.end].starts_with(what)
    }

    pub(super) fn span(&self, start: usize) -> Span {
        self.base.span(start, self.at)
    }

    /// The one way to recurse.
    pub(super) fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth >= DEEPEST {
            return Err(Unread::TooDeep);
        }
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        result
    }

    /// Every word that is kept passes here.
    pub(super) fn count(&mut self) -> Result<()> {
        self.found.words += 1;
        if self.found.words > MOST_WORDS { Err(Unread::TooMany) } else { Ok(()) }
    }

    /// Passes over blanks, joined lines and a comment; not over the line's end.
    pub(super) fn blank(&mut self) {
        loop {
            match self.peek() {
                Some(b' ' | b'\t') => self.at += 1,
                Some(b'\\') if self.peek_at(1) == Some(b'\n') => self.at += 2,
                Some(b'#') => {
                    while self.peek().is_some_and(|b| b != b'\n') {
                        self.at += 1;
                    }
                }
                _ => return,
            }
        }
    }

    /// Passes over blanks and line ends, with the documents that lie behind them.
    pub(super) fn lines(&mut self) -> Result<()> {
        loop {
            self.blank();
            if self.peek() != Some(b'\n') {
                return Ok(());
            }
            self.at += 1;
            self.documents()?;
        }
    }

    /// The reserved word that stands here, if one does.
    pub(super) fn reserved(&self) -> Option<&'static [u8]> {
        let rest = &self.text[self.at.min(self.end)..self.end];
        RESERVED.into_iter().find(|word| rest.starts_with(word) && rest.get(word.len()).is_none_or(|b| is_meta(*b)))
    }

    /// Passes over a reserved word that has to stand here.
    pub(super) fn expect(&mut self, word: &[u8]) -> Result<()> {
        if self.reserved() == Some(word) {
            self.at += word.len();
            return Ok(());
        }
        Err(Unread::Syntax)
    }

    pub(super) fn expect_byte(&mut self, byte: u8) -> Result<()> {
        if self.peek() == Some(byte) {
            self.at += 1;
            return Ok(());
        }
        Err(Unread::Syntax)
    }

    fn closes(&self) -> bool {
        match self.peek() {
            None | Some(b')') => true,
            Some(b';') => matches!(self.peek_at(1), Some(b';' | b'&')),
            Some(_) => self.reserved().is_some_and(|word| CLOSERS.contains(&word)),
        }
    }

    /// Commands up to something that ends a list; the caller knows what has to stand there.
    pub(super) fn list(&mut self) -> Result<()> {
        loop {
            self.lines()?;
            if self.depth == self.outermost {
                self.begun = self.at;
            }
            if self.closes() {
                return Ok(());
            }
            self.and_or()?;
            self.blank();
            match self.peek() {
                Some(b';') if self.closes() => return Ok(()),
                Some(b';' | b'&') => self.at += 1,
                Some(b'\n') => {}
                _ if self.closes() => return Ok(()),
                _ => return Err(Unread::Syntax),
            }
        }
    }

    fn and_or(&mut self) -> Result<()> {
        loop {
            self.pipeline()?;
            self.blank();
            if !self.starts_with(b"&&") && !self.starts_with(b"||") {
                return Ok(());
            }
            self.at += 2;
            self.lines()?;
        }
    }

    fn pipeline(&mut self) -> Result<()> {
        let mut bare = false;
        loop {
            self.blank();
            match self.reserved() {
                Some(b"!") => self.at += 1,
                Some(b"time") => {
                    self.at += 4;
                    self.blank();
                    if self.starts_with(b"-p") && self.peek_at(2).is_none_or(is_meta) {
                        self.at += 2;
                    }
                }
                _ => break,
            }
            bare = true;
        }
        self.blank();
        if bare && matches!(self.peek(), None | Some(b'\n' | b';' | b'&' | b')')) {
            return Ok(());
        }
        let outside = self.fed;
        loop {
            let first = self.found.commands.len();
            self.command()?;
            self.blank();
            if self.peek() != Some(b'|') || self.peek_at(1) == Some(b'|') {
                break;
            }
            self.at += if self.peek_at(1) == Some(b'&') { 2 } else { 1 };
            for command in &mut self.found.commands[first..] {
                command.feeds = true;
            }
            self.fed = true;
            self.lines()?;
        }
        self.fed = outside;
        Ok(())
    }

    /// One command, simple or not.
    pub(super) fn command(&mut self) -> Result<()> {
        self.blank();
        // Bash 5.2 makes a text of a substitution again before it runs it, and loses the separator
        // between the commands after a document: two of them become one. What it runs is not what is
        // typed.
        if self.documents_before.is_some_and(|before| self.documents_read > before) {
            return Err(Unread::Syntax);
        }
        if self.compound()? {
            let start = self.at;
            let mut redirects = Vec::new();
            loop {
                self.blank();
                if !self.redirect(&mut redirects)? {
                    break;
                }
            }
            if !redirects.is_empty() {
                let span = self.span(start);
                self.found.commands.push(Simple { span, redirects, fed: self.fed, ..Simple::default() });
            }
            return Ok(());
        }
        self.simple()
    }

    fn simple(&mut self) -> Result<()> {
        let start = self.at;
        let mut stop = self.at;
        let mut simple = Simple { fed: self.fed, ..Simple::default() };
        loop {
            self.blank();
            if !self.redirect(&mut simple.redirects)? {
                match self.peek() {
                    None | Some(b'\n' | b';' | b'&' | b'|' | b')') => break,
                    Some(b'(') if simple.arguments.is_empty() && simple.redirects.is_empty() => {
                        let Some(name) = simple.program.filter(|_| simple.assignments.is_empty()) else {
                            return Err(Unread::Syntax);
                        };
                        return self.function_after(name.typed);
                    }
                    Some(b'(') => return Err(Unread::Syntax),
                    Some(_) => self.simple_word(&mut simple)?,
                }
            }
            stop = self.at;
        }
        if stop == start {
            return Err(Unread::Syntax);
        }
        simple.span = self.base.span(start, stop);
        self.found.commands.push(simple);
        Ok(())
    }

    fn simple_word(&mut self, simple: &mut Simple) -> Result<()> {
        if simple.program.is_none() {
            if let Some(assignment) = self.assignment()? {
                simple.assignments.push(assignment);
                return Ok(());
            }
            self.count()?;
            simple.program = Some(self.word()?);
            return Ok(());
        }
        if simple.program.as_ref().is_some_and(|p| DECLARES.iter().any(|d| p.is(d))) {
            let rest = &self.text[self.at..self.end];
            let name = rest.iter().take_while(|b| is_name(**b)).count();
            let index = index_length(&rest[name..])?;
            if rest[name..name + index].iter().any(|b| is_meta(*b)) {
                return Err(Unread::Syntax);
            }
        }
        // `declare -a x=(…)`: the array's words are not arguments, but nothing else is lost by
        // taking the whole for one.
        self.count()?;
        let mut word = self.word()?;
        if self.peek() == Some(b'(') && word.typed.as_slice().ends_with(b"=") {
            let start = self.at;
            let values = self.array()?;
            self.found.loose.extend(values);
            word.typed.extend(&self.text[start..self.at]);
            word.span = word.span.around(self.span(start));
            word.parts.push(super::Part::Unknown { quoted: true });
        }
        simple.arguments.push(word);
        Ok(())
    }

    /// `NAME=`, `NAME+=`, `NAME[…]=` with its value, where one stands here.
    pub(super) fn assignment(&mut self) -> Result<Option<Assignment>> {
        let rest = &self.text[self.at..self.end];
        if !rest.first().is_some_and(|b| is_name_start(*b)) {
            return Ok(None);
        }
        let name = rest.iter().position(|b| !is_name(*b)).unwrap_or(rest.len());
        let index = index_length(&rest[name..])?;
        let operator = match &rest[name + index..] {
            [b'=', ..] => 1,
            [b'+', b'=', ..] => 2,
            // Bash takes all of `x[a b]` for one word here.
            _ if rest[name..name + index].iter().any(|b| is_meta(*b)) => return Err(Unread::Syntax),
            _ => return Ok(None),
        };
        let bytes = Bytes::from(&rest[..name]);
        self.at += name;
        if index > 0 {
            let outer = std::mem::replace(&mut self.end, self.at + index);
            self.inert(&mut Word::default())?;
            self.end = outer;
        }
        self.at += operator;
        self.count()?;
        let array = self.peek() == Some(b'(');
        let values = if array {
            self.array()?
        } else if self.peek().is_none_or(|b| is_meta(b) && !self.starts_process()) {
            Vec::new()
        } else {
            vec![self.word()?]
        };
        Ok(Some(Assignment { name: bytes, values, partial: array || index > 0 || operator == 2 }))
    }

    /// `(word …)`, with `[index]=word` too.
    fn array(&mut self) -> Result<Vec<Word>> {
        self.at += 1;
        self.deeper(|r| {
            let mut values = Vec::new();
            loop {
                r.lines()?;
                match r.peek() {
                    Some(b')') => {
                        r.at += 1;
                        return Ok(values);
                    }
                    Some(b) if !is_meta(b) || r.starts_process() => {
                        let index = index_length(&r.text[r.at..r.end])?;
                        if r.text[r.at..r.at + index].iter().any(|b| is_meta(*b)) {
                            return Err(Unread::Syntax);
                        }
                        r.count()?;
                        values.push(r.word()?);
                    }
                    _ => return Err(Unread::Syntax),
                }
            }
        })
    }

    /// Reads a redirection where one stands here.
    pub(super) fn redirect(&mut self, into: &mut Vec<Redirect>) -> Result<bool> {
        let start = self.at;
        let rest = &self.text[start..self.end];
        let digits = rest.iter().take(10).take_while(|b| b.is_ascii_digit()).count();
        let named = named_descriptor(rest);
        let skip = if named > 0 { named } else { digits };
        let (operator, mode): (&[u8], Mode) = match rest.get(skip..).unwrap_or_default() {
            [b'<' | b'>', b'(', ..] => return Ok(false),
            [b'<', b'<', b'<', ..] => (b"<<<", Mode::Text),
            [b'<', b'<', b'-', ..] => (b"<<-", Mode::Document),
            [b'<', b'<', ..] => (b"<<", Mode::Document),
            [b'<', b'>', ..] => (b"<>", Mode::ReadWrite),
            [b'<', b'&', ..] => (b"<&", Mode::Duplicate),
            [b'<', ..] => (b"<", Mode::Read),
            [b'>', b'>', ..] => (b">>", Mode::Append),
            [b'>', b'|', ..] => (b">|", Mode::Write),
            [b'>', b'&', ..] => (b">&", Mode::Duplicate),
            [b'>', ..] => (b">", Mode::Write),
            [b'&', b'>', b'>', ..] if skip == 0 => (b"&>>", Mode::Append),
            [b'&', b'>', ..] if skip == 0 => (b"&>", Mode::Write),
            _ => return Ok(false),
        };
        let descriptor = std::str::from_utf8(&rest[..digits]).ok().and_then(|d| d.parse().ok());
        self.at += skip + operator.len();
        self.blank();
        self.count()?;
        let mut redirect =
            Redirect { span: Span::default(), descriptor, mode, target: Word::default(), document: None };
        if mode == Mode::Document {
            let from = self.at;
            let (delimiter, quoted) = self.delimiter()?;
            redirect.target = Word { span: self.span(from), ..Word::default() };
            redirect.document = Some(self.found.documents.len());
            self.announced.push(Announced {
                number: self.found.documents.len(),
                delimiter,
                quoted,
                strip: operator == b"<<-",
            });
            self.found.documents.push(redirect.target.clone());
        } else {
            if self.peek().is_none_or(|b| is_meta(b) && !self.starts_process()) {
                return Err(Unread::Syntax);
            }
            redirect.target = self.word()?;
            // `>&FILE` writes both streams to a file.
            let number = redirect.target.known().is_some_and(|t| is_descriptor(t.as_slice()));
            if operator == b">&" && !number {
                redirect.mode = Mode::Write;
            }
        }
        redirect.span = self.span(start);
        into.push(redirect);
        Ok(true)
    }

    /// The word after `<<`: quotes taken away, nothing expanded.
    fn delimiter(&mut self) -> Result<(Vec<u8>, bool)> {
        let start = self.at;
        let mut bytes = Vec::new();
        let mut quoted = false;
        while let Some(b) = self.peek().filter(|b| !is_meta(*b)) {
            self.at += 1;
            match b {
                b'\\' => {
                    quoted = true;
                    bytes.extend(self.peek());
                    self.at = (self.at + 1).min(self.end);
                }
                b'\'' | b'"' => {
                    quoted = true;
                    let rest = &self.text[self.at..self.end];
                    let length = rest.iter().position(|c| *c == b).ok_or(Unread::Syntax)?;
                    // A backslash within double quotes is rare enough to be left alone.
                    if b == b'"' && rest[..length].contains(&b'\\') {
                        return Err(Unread::Syntax);
                    }
                    bytes.extend_from_slice(&rest[..length]);
                    self.at += length + 1;
                }
                // `<<$(x)` and its like are legal and mean their own text; nobody writes them.
                b'$' | b'`' => return Err(Unread::Syntax),
                b => bytes.push(b),
            }
        }
        if self.at == start { Err(Unread::Syntax) } else { Ok((bytes, quoted)) }
    }

    /// Reads the documents announced on the line that just ended.
    fn documents(&mut self) -> Result<()> {
        for announced in std::mem::take(&mut self.announced) {
            self.documents_read += 1;
            let start = self.at;
            let mut stop = start;
            loop {
                let (line, next, last) = self.document_line(stop, announced.quoted);
                let tabs = if announced.strip { line.iter().take_while(|b| **b == b'\t').count() } else { 0 };
                let hit = line[tabs..] == announced.delimiter;
                if hit || last && line.is_empty() {
                    self.at = next;
                    break;
                }
                stop = next;
            }
            let mut word = Word { span: self.base.span(start, stop), ..Word::default() };
            word.typed = Bytes::from(&self.text[start..stop]);
            if announced.quoted {
                word.push(&stripped(&self.text[start..stop], announced.strip));
            } else {
                let after = std::mem::replace(&mut self.at, start);
                let outer = std::mem::replace(&mut self.end, stop);
                let read = self.deeper(|r| r.inert_lines(&mut word, announced.strip));
                self.end = outer;
                self.at = after;
                if let Err(why) = read {
                    self.found.opaque.push(Opaque { span: word.span, why });
                    word.parts = vec![super::Part::Unknown { quoted: true }];
                }
            }
            if let Some(slot) = self.found.documents.get_mut(announced.number) {
                *slot = word;
            }
        }
        Ok(())
    }

    /// The line at `from` without its end, where the next begins, and whether the text ends with it.
    /// Where the delimiter wasn't quoted, a backslash at the end joins lines before they are compared.
    fn document_line(&self, from: usize, quoted: bool) -> (Vec<u8>, usize, bool) {
        let mut line = Vec::new();
        let mut at = from;
        loop {
            let rest = &self.text[at..self.end];
            let Some(length) = rest.iter().position(|b| *b == b'\n') else {
                line.extend_from_slice(rest);
                return (line, self.end, true);
            };
            let slashes = rest[..length].iter().rev().take_while(|b| **b == b'\\').count();
            at += length + 1;
            if quoted || slashes % 2 == 0 {
                line.extend_from_slice(&rest[..length]);
                return (line, at, false);
            }
            line.extend_from_slice(&rest[..length - 1]);
        }
    }
}
