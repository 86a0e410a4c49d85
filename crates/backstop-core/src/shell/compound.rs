//! Takes the text at a block, reads the commands within: `if`, loops, `case`, `[[`, `((`, groups,
//! functions, `coproc`. Which branch is taken is never asked.

use super::grammar::{Reader, Result};
use super::marks::is_meta;
use super::word::Word;
use super::{Simple, Unread};
use crate::bytes::Bytes;

impl Reader<'_> {
    /// Reads the block that stands here; false when a simple command does.
    pub(super) fn compound(&mut self) -> Result<bool> {
        if self.peek() == Some(b'(') {
            self.brackets()?;
            return Ok(true);
        }
        let Some(word) = self.reserved() else { return Ok(false) };
        match word {
            b"in" | b"]]" => return Ok(false),
            b"{" => self.deeper(|r| {
                r.at += 1;
                r.list()?;
                r.expect(b"}")
            })?,
            b"if" => self.deeper(Self::condition)?,
            b"while" | b"until" => self.deeper(|r| {
                r.at += word.len();
                r.list()?;
                r.body()
            })?,
            b"for" | b"select" => self.deeper(|r| {
                r.at += word.len();
                r.through()
            })?,
            b"case" => self.deeper(Self::case)?,
            b"[[" => self.deeper(Self::test)?,
            b"function" => {
                self.at += word.len();
                self.blank();
                let name = self.word()?;
                self.blank();
                if self.peek() == Some(b'(') {
                    return self.function_after(name.typed).map(|()| true);
                }
                self.function(name.typed)?;
            }
            b"coproc" => self.deeper(|r| {
                r.at += word.len();
                r.coproc()
            })?,
            _ => return Err(Unread::Syntax),
        }
        Ok(true)
    }

    /// `((…))` or `(list)`.
    fn brackets(&mut self) -> Result<()> {
        if self.starts_with(b"((") && self.arithmetic(0)? {
            return Ok(());
        }
        self.deeper(|r| {
            r.at += 1;
            r.list()?;
            r.expect_byte(b')')
        })
    }

    fn condition(&mut self) -> Result<()> {
        self.at += 2;
        loop {
            self.list()?;
            self.expect(b"then")?;
            self.list()?;
            match self.reserved() {
                Some(b"elif") => self.at += 4,
                Some(b"else") => {
                    self.at += 4;
                    self.list()?;
                    return self.expect(b"fi");
                }
                _ => return self.expect(b"fi"),
            }
        }
    }

    fn body(&mut self) -> Result<()> {
        self.expect(b"do")?;
        self.list()?;
        self.expect(b"done")
    }

    /// What follows `for` and `select`.
    fn through(&mut self) -> Result<()> {
        self.blank();
        if self.starts_with(b"((") {
            if !self.arithmetic(0)? {
                return Err(Unread::Syntax);
            }
            self.blank();
            if self.peek() == Some(b';') {
                self.at += 1;
            }
            self.lines()?;
            return self.body_or_group();
        }
        if self.peek().is_none_or(is_meta) {
            return Err(Unread::Syntax);
        }
        self.word()?;
        self.lines()?;
        if self.reserved() == Some(b"in") {
            self.at += 2;
            loop {
                self.blank();
                match self.peek() {
                    Some(b) if !is_meta(b) || self.starts_process() => {
                        self.count()?;
                        let word = self.word()?;
                        self.found.loose.push(word);
                    }
                    _ => break,
                }
            }
        }
        self.blank();
        if self.peek() == Some(b';') {
            self.at += 1;
        }
        self.lines()?;
        self.body_or_group()
    }

    /// The body of a `for` may be a group, too.
    fn body_or_group(&mut self) -> Result<()> {
        if self.reserved() != Some(b"{") {
            return self.body();
        }
        self.at += 1;
        self.list()?;
        self.expect(b"}")
    }

    fn case(&mut self) -> Result<()> {
        self.at += 4;
        self.lines()?;
        if self.peek().is_none_or(|b| is_meta(b) && !self.starts_process()) {
            return Err(Unread::Syntax);
        }
        self.count()?;
        let subject = self.word()?;
        self.found.loose.push(subject);
        self.lines()?;
        self.expect(b"in")?;
        loop {
            self.lines()?;
            if self.reserved() == Some(b"esac") {
                self.at += 4;
                return Ok(());
            }
            if self.peek() == Some(b'(') {
                self.at += 1;
            }
            loop {
                self.blank();
                if self.peek().is_none_or(|b| is_meta(b) && b != b'(') {
                    return Err(Unread::Syntax);
                }
                self.pattern()?;
                self.blank();
                match self.peek() {
                    Some(b'|') => self.at += 1,
                    _ => break,
                }
            }
            self.expect_byte(b')')?;
            self.list()?;
            match self.peek() {
                Some(b';') => {
                    self.at += if self.starts_with(b";;&") { 3 } else { 2 };
                }
                _ => {
                    self.expect(b"esac")?;
                    return Ok(());
                }
            }
        }
    }

    /// A pattern of `case`: a word, whose text says nothing about what is done.
    fn pattern(&mut self) -> Result<()> {
        if self.peek() == Some(b'(') {
            return Err(Unread::Syntax);
        }
        self.word().map(|_| ())
    }

    /// `[[ … ]]`, kept as a command of that name: it looks at files.
    fn test(&mut self) -> Result<()> {
        let start = self.at;
        self.at += 2;
        let program = Word::literal("[[", self.span(start));
        let mut simple = Simple { program: Some(program), fed: self.fed, ..Simple::default() };
        let mut open = 0usize;
        let mut regex = false;
        loop {
            self.lines()?;
            if open == 0 && self.reserved() == Some(b"]]") {
                self.at += 2;
                simple.span = self.span(start);
                self.found.commands.push(simple);
                return Ok(());
            }
            if regex && matches!(self.peek(), Some(b'(' | b'|')) {
                self.count()?;
                simple.arguments.push(self.word_until(true)?);
                regex = false;
                continue;
            }
            match self.peek() {
                None | Some(b';') => return Err(Unread::Syntax),
                Some(b'(') => open += 1,
                Some(b')') => open = open.checked_sub(1).ok_or(Unread::Syntax)?,
                Some(b'&' | b'|') if self.starts_with(b"&&") || self.starts_with(b"||") => self.at += 1,
                Some(b'&' | b'|') => return Err(Unread::Syntax),
                Some(b'<' | b'>') if !self.starts_process() => {}
                Some(_) => {
                    self.count()?;
                    let word = self.word_until(regex)?;
                    regex = word.is(b"=~");
                    simple.arguments.push(word);
                    continue;
                }
            }
            self.at += 1;
        }
    }

    /// `coproc [NAME] command`.
    fn coproc(&mut self) -> Result<()> {
        self.blank();
        let before = self.at;
        // A name only counts as one before a block.
        let named = self.reserved().is_none() && self.peek().is_some_and(|b| !is_meta(b)) && {
            let rest = &self.text[self.at..self.end];
            let length = rest.iter().position(|b| is_meta(*b)).unwrap_or(rest.len());
            self.at += length;
            self.blank();
            self.peek() == Some(b'(')
                || self.reserved().is_some_and(|w| {
                    matches!(w, b"{" | b"if" | b"while" | b"until" | b"for" | b"select" | b"case" | b"[[")
                })
        };
        if !named {
            self.at = before;
        }
        self.command()
    }

    /// `()` and the body; the name has been read.
    pub(super) fn function_after(&mut self, name: Bytes) -> Result<()> {
        self.expect_byte(b'(')?;
        self.blank();
        self.expect_byte(b')')?;
        self.function(name)
    }

    /// The body of a function: a block and its redirections.
    fn function(&mut self, name: Bytes) -> Result<()> {
        self.lines()?;
        if self.peek() != Some(b'(') && self.reserved().is_none() {
            return Err(Unread::Syntax);
        }
        self.found.functions.push(name);
        self.deeper(Self::command)
    }
}
