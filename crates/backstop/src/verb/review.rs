//! `review`: the approvers' screen at a terminal. Keys come from the terminal alone; signing is `approve`'s, which shows
//! the text once more and asks for the word.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use backstop_core::approval::statement::{Choice, Word};
use backstop_engine::{Doors, Failure, FailureKind, Outcome, Pending};
use ratatui::Terminal;
use ratatui::backend::TermionBackend;
use ratatui::termion::event::{Event, Key as Typed, parse_event};
use ratatui::termion::raw::IntoRawMode as _;
use ratatui::termion::screen::IntoAlternateScreen as _;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{self as verb, approve, look};
use crate::args::{Decide, ReviewArgs};
use crate::out::{self, Done, Trouble};
use crate::review::{Act, Key, Pane, Review, draw};
use crate::screen::page;
use crate::screen::style::Style;
use crate::{clock, exit, inside};

/// How often is looked what waits.
const LOOK: Duration = Duration::from_secs(2);
/// How long a key is waited for, at most; then times are drawn anew, and the size of the screen.
const PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 250_000_000 };
/// How long the rest of a key's bytes is waited for.
const REST: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
/// What such a key begins with.
const ESCAPE: u8 = 0x1b;
/// The tree is as long as `show` makes it; all of it is `show --tree`.
const ROWS: usize = 2_000;
/// No more of the differences is prepared.
const LONGEST: usize = 512 << 10;
/// The screen is no wider than this for what is prepared.
const WIDEST: usize = 160;

/// `backstop review`.
pub fn review(typed: &ReviewArgs) -> Done {
    inside::people_only("review")?;
    if let Some(name) = &typed.name {
        let choice = if typed.justified { Choice::Justified } else { Choice::Unjustified };
        let reason = approve::signed_reason(typed.reason.as_deref())?;
        let decide = Decide {
            name: name.clone(),
            key: typed.key.clone(),
            signature: typed.signature.clone(),
            statement: typed.statement.clone(),
            reason: typed.reason.clone(),
            json: typed.json,
        };
        return approve::decide(&decide, &Word::with(choice, reason, None));
    }
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return Err(Failure::new(FailureKind::Usage, "review is a screen, and this is no terminal")
            .next("backstop pending, backstop show RUN --approval")
            .into());
    }
    calm_panics();
    let mut doors = verb::doors()?;
    let mut review = Review::new(typed.key.is_some());
    review.waits(doors.pending()?);
    loop {
        match on_the_screen(&mut review, &mut doors)? {
            None => return Ok(exit::OK),
            Some((request, choice)) => {
                sign(typed, &request.to_string(), choice)?;
                // Whoever was asked meanwhile waits no more.
                doors = verb::doors()?;
                review.waits(doors.pending()?);
            }
        }
    }
}

/// What a bug says has to be seen, and not to go with the screen on which it was said.
fn calm_panics() {
    let said = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        out::say("\x1b[?1049l\x1b[?25h");
        said(info);
    }));
}

type Signs = (backstop_core::digest::Digest, Choice);

/// Until the person goes, or signs something.
fn on_the_screen(review: &mut Review, doors: &mut Box<dyn Doors>) -> Result<Option<Signs>, Trouble> {
    let tty = File::options().read(true).write(true).open("/dev/tty")?;
    let mut keys = Keys { tty: tty.try_clone()?, bytes: VecDeque::new() };
    let screen = tty.try_clone()?.into_raw_mode()?.into_alternate_screen()?;
    let mut terminal = Terminal::new(TermionBackend::new(screen))?;
    terminal.hide_cursor()?;
    let mut looked = Instant::now();
    let mut width = 0;
    let result = loop {
        let style =
            Style { height: ROWS, width: Style::of(&io::stdout()).width.min(WIDEST), ..Style::of(&io::stdout()) };
        if std::mem::replace(&mut width, style.width) != style.width {
            review.forget_pages();
        }
        if let Some((asked, pane)) = review.wanted() {
            match filled(&mut **doors, &asked, pane, style) {
                Ok(text) => review.fill(asked.question.request, pane, text),
                Err(failure) => {
                    // The next look may find it.
                    review.key(Key::Tab);
                    review.say(failure.what);
                }
            }
        }
        terminal.draw(|frame| draw(review, clock::now(), frame))?;
        let act = match keys.next()? {
            Some(key) => known(key).map_or(Act::Nothing, |key| key.map_or(Act::Quit, |key| review.key(key))),
            None => Act::Nothing,
        };
        match act {
            Act::Quit => break None,
            Act::Sign(request, choice) => break Some((request, choice)),
            Act::Refresh | Act::Nothing => {}
        }
        if act == Act::Refresh || looked.elapsed() >= LOOK {
            match doors.pending() {
                Ok(waiting) => review.waits(waiting),
                Err(failure) => {
                    review.say(failure.what);
                    // The daemon may have been started anew.
                    if let Ok(anew) = verb::doors() {
                        *doors = anew;
                    }
                }
            }
            looked = Instant::now();
        }
    };
    terminal.show_cursor()?;
    Ok(result)
}

/// What is typed at the terminal, byte by byte: all that is there is taken, so that no key waits for the next one.
struct Keys {
    tty: File,
    bytes: VecDeque<u8>,
}

impl Keys {
    /// The next key, where one comes within a moment.
    fn next(&mut self) -> io::Result<Option<Typed>> {
        if self.bytes.is_empty() {
            self.wait(PAUSE)?;
        }
        // Alone it is the key; what an arrow sends comes right behind it.
        if self.bytes.len() == 1 && self.bytes[0] == ESCAPE {
            self.wait(REST)?;
            if self.bytes.len() == 1 {
                self.bytes.clear();
                return Ok(Some(Typed::Esc));
            }
        }
        let Some(first) = self.bytes.pop_front() else { return Ok(None) };
        let bytes = &mut self.bytes;
        // What is no key is none.
        Ok(match parse_event(first, &mut std::iter::from_fn(|| bytes.pop_front().map(Ok))) {
            Ok(Event::Key(key)) => Some(key),
            Ok(Event::Mouse(_) | Event::Unsupported(_)) | Err(_) => None,
        })
    }

    fn wait(&mut self, pause: Timespec) -> io::Result<()> {
        let mut wait = [PollFd::new(&self.tty, PollFlags::IN)];
        match poll(&mut wait, Some(&pause)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(e) => Err(e.into()),
            Ok(_) => {
                let mut buffer = [0; 256];
                match self.tty.read(&mut buffer)? {
                    0 => Err(io::ErrorKind::UnexpectedEof.into()),
                    n => {
                        self.bytes.extend(&buffer[..n]);
                        Ok(())
                    }
                }
            }
        }
    }
}

/// A key that means something; none of it for Ctrl-C and its like, by which the person goes.
fn known(key: Typed) -> Option<Option<Key>> {
    Some(Some(match key {
        Typed::Up | Typed::Char('k') => Key::Up,
        Typed::Down | Typed::Char('j') => Key::Down,
        Typed::PageUp => Key::PageUp,
        Typed::PageDown => Key::PageDown,
        Typed::Home => Key::Home,
        Typed::End => Key::End,
        Typed::Char('\t') => Key::Tab,
        Typed::Char(letter) => Key::Letter(letter),
        Typed::Ctrl('c' | 'd') | Typed::Esc => return Some(None),
        _ => return None,
    }))
}

/// What a pane shows of a request.
fn filled(doors: &mut dyn Doors, asked: &Pending, pane: Pane, style: Style) -> Result<String, Failure> {
    let Some(run) = asked.question.matter.run() else {
        return Ok("it is a change of who may approve: what is signed says all of it\n".to_owned());
    };
    let shown = Outcome { record: doors.record(run)?, effects: doors.effects(run)? };
    if pane == Pane::Effect {
        return Ok(page::run(&shown, Some(asked), clock::now(), style));
    }
    let mut text = Short(Vec::new());
    let all = match look::differences(doors, run, &shown.effects, style, &mut text) {
        Ok(()) => true,
        Err(Trouble::Output(_)) => false,
        Err(Trouble::Failed(failure)) => return Err(failure),
    };
    let mut text = String::from_utf8_lossy(&text.0).into_owned();
    if !all {
        text.push_str(&format!("\n… and more: backstop show {run} --diff\n"));
    }
    Ok(if text.is_empty() { "no text differs\n".to_owned() } else { text })
}

/// Takes so much, and then no more.
struct Short(Vec<u8>);

impl io::Write for Short {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = LONGEST.saturating_sub(self.0.len()).min(bytes.len());
        self.0.extend_from_slice(&bytes[..room]);
        if room == 0 && !bytes.is_empty() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(room) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// As `approve` and `deny` do it, at the terminal as it was.
fn sign(typed: &ReviewArgs, name: &str, choice: Choice) -> Result<(), Trouble> {
    let decide = Decide {
        name: name.to_owned(),
        key: typed.key.clone(),
        signature: None,
        statement: None,
        reason: None,
        json: false,
    };
    match approve::decide(&decide, &choice.into()) {
        Ok(_) => {}
        Err(Trouble::Failed(failure)) => out::failure(&failure),
        Err(other) => return Err(other),
    }
    out::say("\nEnter goes back to what waits > ");
    io::stderr().flush()?;
    rustix::termios::tcflush(io::stdin().as_fd(), rustix::termios::QueueSelector::IFlush).map_err(io::Error::from)?;
    io::stdin().read_line(&mut String::new())?;
    Ok(())
}
