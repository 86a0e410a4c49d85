//! A database that is in use: a process of SQLite's own program, or of Python's module, that keeps
//! its file open all the while. No SQLite is linked into Backstop: a megabyte of C that only the
//! drill would use, where nearly every machine has one of the two. Where neither is, plain files
//! stand for it, and the drill says so.

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use backstop_engine::Failure;

/// Orders the shop has.
const ORDERS: u32 = 24_000;

/// What Python runs where there is no `sqlite3` program: one statement a line, one answer a line.
const PYTHON: &str = "\
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
for line in iter(sys.stdin.readline, ''):
    rows = db.execute(line).fetchall()
    if rows: print('|'.join(str(v) for v in rows[0]), flush=True)
";

/// A process that has the database open; stopped when dropped.
pub struct Live {
    file: PathBuf,
    process: Option<Process>,
}

struct Process {
    child: RefCell<Child>,
    pipes: RefCell<(ChildStdin, BufReader<ChildStdout>)>,
    program: Program,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Program {
    Sqlite,
    Python,
}

impl Program {
    fn open(self, file: &Path) -> Option<Process> {
        let mut command = match self {
            Self::Sqlite => Command::new("sqlite3"),
            Self::Python => Command::new("python3"),
        };
        match self {
            Self::Sqlite => command.args(["-batch", "-noheader", "-init", "/dev/null"]).arg(file),
            Self::Python => command.args(["-u", "-c", PYTHON]).arg(file),
        };
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
        let (stdin, stdout) = (child.stdin.take()?, child.stdout.take()?);
        let process =
            Process { child: RefCell::new(child), pipes: RefCell::new((stdin, BufReader::new(stdout))), program: self };
        // A program of that name that is no SQLite answers otherwise, or not at all.
        (process.ask("SELECT 'ready'").ok()? == "ready").then_some(process)
    }
}

impl Process {
    fn tell(&self, statement: &str) -> std::io::Result<()> {
        let mut pipes = self.pipes.borrow_mut();
        writeln!(pipes.0, "{statement};")?;
        pipes.0.flush()
    }

    fn ask(&self, query: &str) -> std::io::Result<String> {
        self.tell(query)?;
        let mut line = String::new();
        if self.pipes.borrow_mut().1.read_line(&mut line)? == 0 {
            return Err(std::io::Error::new(std::io::ErrorKind::UnexpectedEof, "the database program ended"));
        }
        Ok(line.trim_end().to_owned())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let child = self.child.get_mut();
        if child.kill().is_ok() && child.wait().is_err() {
            // It is not ours to wait for any more; nothing is left to do.
        }
    }
}

impl Live {
    /// Makes the database `file` and keeps it open.
    pub fn make(file: PathBuf) -> Result<Self, Failure> {
        let process = Program::Sqlite.open(&file).or_else(|| Program::Python.open(&file));
        let live = Self { file, process };
        if let Some(p) = &live.process {
            let fail = |e: std::io::Error| super::failure("make the database", &e);
            for statement in [
                "CREATE TABLE orders (id INTEGER PRIMARY KEY, customer TEXT, cents INTEGER, placed TEXT)",
                "CREATE INDEX by_customer ON orders (customer)",
            ] {
                p.tell(statement).map_err(fail)?;
            }
            p.tell(&format!(
                "INSERT INTO orders WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ORDERS}) \
                 SELECT i, 'customer-' || (i * 7919 % 5003), i * 104729 % 100000, \
                 date('2024-01-01', '+' || (i % 900) || ' days') FROM n"
            ))
            .map_err(fail)?;
        }
        Ok(live)
    }

    /// `orders, cents` as the process that has it open sees them; none where there is no SQLite.
    pub fn count(&self) -> Result<Option<String>, Failure> {
        let Some(process) = &self.process else { return Ok(None) };
        let fail = |e: std::io::Error| super::failure("ask the database", &e);
        let answer =
            process.ask("SELECT count(*) || ' orders worth ' || (sum(cents) / 100) FROM orders").map_err(fail)?;
        Ok(Some(answer))
    }

    /// What a process that opens the file anew says about it: `ok` when it is whole.
    pub fn check(&self) -> Result<String, Failure> {
        let fail = |e: std::io::Error| super::failure("check the database", &e);
        match self.process.as_ref().and_then(|p| p.program.open(&self.file)) {
            Some(fresh) => fresh.ask("PRAGMA integrity_check").map_err(fail),
            None => Ok("no program opens it".to_owned()),
        }
    }

    /// For a person: what it is and who has it open.
    pub fn what(&self) -> String {
        match &self.process {
            Some(p) => format!("SQLite, {ORDERS} orders, open in {}[{}]", self.name(), p.child.borrow().id()),
            None => "plain files (neither sqlite3 nor python3 is here, so no live database)".to_owned(),
        }
    }

    /// The program that has it open.
    pub fn name(&self) -> &'static str {
        match self.process.as_ref().map(|p| p.program) {
            Some(Program::Sqlite) => "sqlite3",
            Some(Program::Python) => "python3",
            None => "nobody",
        }
    }
}
