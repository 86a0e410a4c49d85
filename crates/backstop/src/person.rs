//! The person at the terminal, if there is one: told what takes long, asked what policy asks.
//! Never answers for anybody: without a terminal the answer is to hold.

use std::io::{self, BufRead, IsTerminal, Write};

use backstop_core::effect::EffectSet;
use backstop_core::id::RunId;
use backstop_core::run::RunRecord;
use backstop_engine::{Answer, Outcome, Person, Step};

use crate::out;
use crate::screen::style::{Ink, Style};
use crate::screen::{message, size, tree};

/// Whoever sits there.
pub struct Terminal {
    style: Style,
    /// `--yes` was given, and checked: answer every Ask with it.
    yes: bool,
    /// Questions may be asked.
    ask: bool,
    /// A progress line stands on the screen.
    dirty: bool,
}

impl Terminal {
    /// The person at this process's terminal. `ask` is false for `--json` and inside a run.
    pub fn new(yes: bool, ask: bool) -> Self {
        let both = io::stdin().is_terminal() && io::stderr().is_terminal();
        Self { style: Style::of(&io::stderr()), yes, ask: ask && both, dirty: false }
    }

    /// Takes the progress line away.
    pub fn clear(&mut self) {
        if self.dirty {
            out::say("\r\x1b[K");
            self.dirty = false;
        }
    }

    fn question(&mut self, record: &RunRecord, effects: &EffectSet) -> io::Result<Answer> {
        // The command may have left colours, a scroll region or a hidden cursor behind, and keys
        // that were pressed for it must not answer for a person.
        out::say("\x1b[!p\x1b[0m");
        let shown = Outcome { record: record.clone(), effects: effects.clone() };
        let mut rows = 12;
        out::say(&message::outcome(&shown, self.style));
        out::say(&tree::draw(effects, self.style, rows));
        loop {
            rustix::termios::tcflush(io::stdin(), rustix::termios::QueueSelector::IFlush)?;
            out::say(&format!(
                "{} [c]ommit  [h]old  [d]iscard  [s]how more  (hold) > ",
                self.style.ink(Ink::Strong, "backstop: let it take effect?")
            ));
            let mut answer = String::new();
            if io::stdin().lock().read_line(&mut answer)? == 0 {
                out::say("\n");
                return Ok(Answer::Hold);
            }
            match answer.trim() {
                "c" | "commit" => return Ok(Answer::Commit),
                "d" | "discard" => return Ok(Answer::Discard),
                "" | "h" | "hold" => return Ok(Answer::Hold),
                "s" | "show" => {
                    rows = (rows * 4).min(4_096);
                    out::say(&tree::draw(effects, self.style, rows));
                }
                _ => out::say("c, h, d or s\n"),
            }
        }
    }
}

impl Person for Terminal {
    fn waiting(&mut self, holder: Option<RunId>) {
        self.clear();
        let whom = holder.map_or_else(|| "another run".to_owned(), |id| id.to_string());
        out::say(&format!(
            "backstop: waiting for {whom}, which has its turn in this workspace (--parallel doesn't wait)\n"
        ));
    }

    fn progress(&mut self, step: Step, done: u64) {
        if !self.style.terminal {
            return;
        }
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
        if self.yes {
            return Answer::Commit;
        }
        if !self.ask {
            return Answer::Hold;
        }
        self.question(record, effects).unwrap_or(Answer::Hold)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.clear();
    }
}
