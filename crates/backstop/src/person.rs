//! The person at the terminal, if there is one: told what takes long, asked what policy asks.
//! Never answers for anybody: without a terminal the answer is to hold.

use std::io::{self, BufRead, IsTerminal, Write};
use std::time::{Duration, Instant};

use backstop_core::effect::EffectSet;
use backstop_core::id::RunId;
use backstop_core::policy::Judgement;
use backstop_core::run::RunRecord;
use backstop_engine::rehearse::Lane;
use backstop_engine::{Answer, Person, Step};

use crate::out;
use crate::screen::style::{Ink, Style};
use crate::screen::{message, size, tree};

/// How often the progress line is written anew.
const BLINK: Duration = Duration::from_millis(100);
/// Rows of the tree that a question comes with.
pub const ROWS: usize = 12;

/// What the words are typed for that a rule asks for.
const TAKE_EFFECT: &str = "to let it take effect";

/// Said before a command in the background begins.
const IN_PLACE: &str = "backstop: in the background, so this runs in place: it can write only in the workspace, in \
                        scratch directories and caches; undo does not cover what it changes there\n";
/// The same where the machine's settings or rules of its own keep undo.
const NOT_IN_PLACE: &str = "backstop: this machine keeps undo, so this is rehearsed, though in the background: what \
                                it changes is seen by nobody, and judged, when it ends\n";

/// Whoever sits there.
pub struct Terminal {
    style: Style,
    /// `--yes` was given, and checked: answer every Ask with it.
    yes: bool,
    /// Questions may be asked.
    ask: bool,
    /// A progress line stands on the screen.
    dirty: bool,
    /// When it was written.
    written: Option<Instant>,
}

impl Terminal {
    /// The person at this process's terminal. `ask` is false for `--json` and inside a run.
    pub fn new(yes: bool, ask: bool) -> Self {
        let both = io::stdin().is_terminal() && io::stderr().is_terminal();
        Self { style: Style::of(&io::stderr()), yes, ask: ask && both, dirty: false, written: None }
    }

    /// Takes the progress line away.
    pub fn clear(&mut self) {
        if self.dirty {
            out::say("\r\x1b[K");
            self.dirty = false;
        }
    }

    /// True when the person typed the word that says what is to be signed. False where nobody can.
    pub fn signs(&mut self, word: &str) -> bool {
        self.types("to sign this decision", word)
    }

    /// True when the person typed this word. False where nobody can.
    pub fn types(&mut self, purpose: &str, word: &str) -> bool {
        self.clear();
        let mut say = |text: &str| out::say(text);
        self.ask && typed(purpose, &[word], self.style, &mut say, &mut fresh_line).unwrap_or(false)
    }

    fn question(&self, record: &RunRecord, effects: &EffectSet) -> io::Result<Answer> {
        // The command may have left colours, a scroll region or a hidden cursor behind.
        out::say("\x1b[!p\x1b[0m");
        ask(record, effects, self.style, &mut |text| out::say(text), &mut fresh_line)
    }
}

/// A line from the terminal; none at its end. Keys that were pressed for the command must not answer for
/// a person.
fn fresh_line() -> io::Result<Option<String>> {
    rustix::termios::tcflush(io::stdin(), rustix::termios::QueueSelector::IFlush)?;
    let mut line = String::new();
    Ok((io::stdin().lock().read_line(&mut line)? > 0).then_some(line))
}

/// Asks for each of the words; anything else than these very words is a no.
fn typed(
    purpose: &str,
    words: &[&str],
    style: Style,
    say: &mut dyn FnMut(&str),
    read: &mut dyn FnMut() -> io::Result<Option<String>>,
) -> io::Result<bool> {
    for word in words {
        say(&format!("\n{purpose}, type: {}\n> ", style.ink(Ink::Strong, word)));
        if read()?.is_none_or(|line| line.trim() != *word) {
            say("not these words; nothing is let through\n");
            return Ok(false);
        }
    }
    Ok(true)
}

/// Shows the effect and asks until there is an answer; the end of the input, and anything that is
/// no clear yes, lets nothing through.
fn ask(
    record: &RunRecord,
    effects: &EffectSet,
    style: Style,
    say: &mut dyn FnMut(&str),
    read: &mut dyn FnMut() -> io::Result<Option<String>>,
) -> io::Result<Answer> {
    let mut rows = ROWS;
    say(&message::question(record, effects, style));
    say(&tree::draw(effects, style, rows));
    loop {
        let question = style.ink(Ink::Strong, "let it take effect?");
        say(&format!("\n{question}  [c]ommit  [h]old  [d]iscard  [s]how more  (hold) > "));
        let Some(answer) = read()? else {
            say("\n");
            return Ok(Answer::Hold);
        };
        match answer.trim() {
            "c" | "commit" => return Ok(Answer::Commit),
            "d" | "discard" => return Ok(Answer::Discard),
            "" | "h" | "hold" => return Ok(Answer::Hold),
            "s" | "show" => {
                rows = (rows * 4).min(4_096);
                say(&tree::draw(effects, style, rows));
            }
            _ => say("one of: c, h, d, s\n"),
        }
    }
}

impl Person for Terminal {
    fn background(&mut self, lane: &Lane) {
        match lane {
            Lane::InPlace(_) => out::say(IN_PLACE),
            Lane::Rehearse => out::say(NOT_IN_PLACE),
            Lane::Read => {}
        }
    }

    fn waiting(&mut self, holder: Option<RunId>) {
        self.clear();
        let whom = holder.map_or_else(|| "another run".to_owned(), |id| id.to_string());
        out::say(&format!(
            "backstop: waiting for {whom}, which has its turn in this workspace (--parallel doesn't wait)\n"
        ));
    }

    fn progress(&mut self, step: Step, done: u64) {
        if !self.style.terminal || self.written.is_some_and(|w| w.elapsed() < BLINK) {
            return;
        }
        self.written = Some(Instant::now());
        let text = match step {
            Step::Counting => format!("counting what would go: {}", size::counted(done, "entry", "entries")),
            Step::Hashing => format!("reading new content: {}", size::bytes(done)),
            Step::Keeping => format!("keeping copies: {}", size::bytes(done)),
            Step::Applying => format!("applying: {}", size::counted(done, "change", "changes")),
        };
        let mut err = io::stderr().lock();
        // A progress line that can't be written is no reason to stop.
        self.dirty = write!(err, "\r\x1b[K{}", self.style.ink(Ink::Faint, format!("backstop: {text} …"))).is_ok()
            && err.flush().is_ok();
    }

    fn confirm(&mut self, record: &RunRecord, effects: &EffectSet) -> Answer {
        self.clear();
        let answer = match (self.yes, self.ask) {
            (true, _) => Answer::Commit,
            (false, false) => Answer::Hold,
            (false, true) => self.question(record, effects).unwrap_or(Answer::Hold),
        };
        let words = record.judgement.as_ref().map(Judgement::words).unwrap_or_default();
        // A yes alone, or one given in advance, is too little for what is protected.
        if answer == Answer::Commit && !words.is_empty() && !self.agrees(&words) {
            return Answer::Hold;
        }
        answer
    }

    fn agrees(&mut self, words: &[&str]) -> bool {
        self.clear();
        if !self.ask {
            return false;
        }
        let style = self.style;
        typed(TAKE_EFFECT, words, style, &mut |text| out::say(text), &mut fresh_line).unwrap_or(false)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::screen::rehearsal;

    fn dialogue(answers: &[&str]) -> (Answer, String) {
        let outcome = rehearsal::incident();
        let mut text = String::new();
        let mut answers = answers.iter();
        let answer = ask(
            &outcome.record,
            &outcome.effects,
            Style { width: 100, ..Style::PLAIN },
            &mut |t| text.push_str(t),
            &mut || Ok(answers.next().map(|a| format!("{a}\n"))),
        );
        (answer.expect("no input fails here"), text)
    }

    #[test]
    fn only_a_clear_yes_lets_something_through() {
        for (answers, expected) in [
            (&["c"][..], Answer::Commit),
            (&["commit"], Answer::Commit),
            (&["s", "y", "d"], Answer::Discard),
            (&[""], Answer::Hold),
            (&["y"], Answer::Hold),
            (&["C"], Answer::Hold),
            (&["yes", "ok", "cc"], Answer::Hold),
            (&[], Answer::Hold),
        ] {
            assert_eq!(dialogue(answers).0, expected, "{answers:?}");
        }
    }

    #[test]
    fn what_is_protected_wants_its_words() {
        for (answers, expected) in [
            (&["lose a database", "change credentials"][..], true),
            (&["lose a database"], false),
            (&["lose a database", "yes"], false),
            (&["Lose a database", "change credentials"], false),
            (&[], false),
        ] {
            let mut answers = answers.iter();
            let words = ["lose a database", "change credentials"];
            let read = &mut || Ok(answers.next().map(|a| format!("{a}\n")));
            assert_eq!(
                typed(TAKE_EFFECT, &words, Style::PLAIN, &mut |_| {}, read).expect("no input fails here"),
                expected
            );
        }
    }

    #[test]
    fn the_question_comes_with_the_effect() {
        insta::assert_snapshot!(dialogue(&["x", ""]).1, @r#"
        backstop: asks r-2x7k3f: would delete 41,210 files (12.4 GB) in /var/lib/postgresql/15/main
          through  /var/www/temp -> /var/lib/postgresql/15/main             the command named /var/www/temp
          open     postgres[812] has 43 of these open for writing
          lost     41,210 files (12.4 GB) that exist nowhere else (no proven backup)
          is       database: a database keeps its data here
                   system: the machine runs on it
          rule     database                workstation.cedar:197        needs 1 person, has 0
                   a database would lose data (9 places)
                   system                  workstation.cedar:181        needs 1 person, has 0
                   the operating system's own files would change (9 places)
                   outside-workspace       workstation.cedar:24         needs 1 person, has 0
                   the place is outside the workspace (9 places)
                   … and 2 more
          instead  go through the database's own client, on a copy; never through its files
                   install into the workspace or the home (a virtual environment, --prefix), or have a person do it

          /var/lib/postgresql/15/main/                                12.4 GB  -41,210          ██████████
        ├─ - base/                                                    11.8 GB  -39,801          █████████▋
        │    open for writing by postgres[812]
        │  ├─   16384/16411                                            1.1 GB                   ▉
        │  ├─   16384/16411.1                                          1.1 GB                   ▉
        │  ├─   16384/16420                                            812 MB                   ▊
        │  └─ … and 39,798 more files (8.8 GB)
        ├─ - pg_wal/                                                   537 MB  -32              ▌
        │  ├─   000000010000000A000000C1                              16.8 MB                   ▏
        │  └─ … and 31 more files (520 MB)
        ├─ - pg_xact/                                                 61.0 MB  -1,312           ▏
        ├─ - global/                                                   590 kB  -61              ▏
        ├─ - postmaster.opts                                           8.2 kB                   ▏
        │    open for writing by postgres[812]
        ├─ - postmaster.pid                                             104 B                   ▏
        ├─ - postgresql.auto.conf                                        88 B                   ▏
        └─ … and 1 more file (3 B)

        let it take effect?  [c]ommit  [h]old  [d]iscard  [s]how more  (hold) > one of: c, h, d, s

        let it take effect?  [c]ommit  [h]old  [d]iscard  [s]how more  (hold) >
        "#);
    }

    #[test]
    fn without_a_terminal_nobody_is_asked() {
        let outcome = rehearsal::incident();
        // Tests run with a standard input of their own; `ask: false` is what `--json` gives.
        assert_eq!(Terminal::new(false, false).confirm(&outcome.record, &outcome.effects), Answer::Hold);
        // A yes that was typed ahead answers a plain question, not one that wants its words.
        assert_eq!(Terminal::new(true, false).confirm(&outcome.record, &outcome.effects), Answer::Hold);
        let plain = rehearsal::ordinary();
        assert_eq!(Terminal::new(true, false).confirm(&plain.record, &plain.effects), Answer::Commit);
    }
}
