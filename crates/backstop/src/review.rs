//! The approvers' screen: a list of what waits, and of the one that is chosen the very text whose digest is signed, the
//! effect, and the differences. Takes keys, gives what is to be done; signs nothing itself, and asks nobody.

mod view;

use std::collections::{BTreeMap, BTreeSet};

use backstop_core::approval::statement::Choice;
use backstop_core::digest::Digest;
use backstop_engine::{Pending, Waiting};

pub use view::draw;

/// What is shown of the one that is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pane {
    /// The text whose digest is signed.
    #[default]
    Asked,
    /// The run with its effect as a tree, and the rules that spoke.
    Effect,
    /// The differences of texts.
    Diff,
}

impl Pane {
    /// Every pane, in the order of their tabs.
    pub const ALL: [Self; 3] = [Self::Asked, Self::Effect, Self::Diff];

    /// The tab's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Asked => "what is signed",
            Self::Effect => "effect",
            Self::Diff => "differences",
        }
    }

    fn next(self) -> Self {
        let at = Self::ALL.iter().position(|p| *p == self).unwrap_or(0);
        Self::ALL[(at + 1) % Self::ALL.len()]
    }
}

/// A key that means something here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// The one above.
    Up,
    /// The one below.
    Down,
    /// A page back.
    PageUp,
    /// A page on.
    PageDown,
    /// To the beginning.
    Home,
    /// To the end.
    End,
    /// The next pane.
    Tab,
    /// A letter.
    Letter(char),
}

/// What is to be done outside of this screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Nothing.
    Nothing,
    /// Show the text once more, ask, and sign.
    Sign(Digest, Choice),
    /// Look what waits.
    Refresh,
    /// The person goes.
    Quit,
}

/// What is on the screen.
#[derive(Debug, Default)]
pub struct Review {
    all: Vec<Pending>,
    /// How many others can't be read; why, is said.
    unreadable: usize,
    /// How many deeds of somebody alone wait for a review.
    reviews: usize,
    chosen: Option<Digest>,
    pane: Pane,
    scroll: usize,
    /// Rows of the pane, as it was drawn last.
    rows: usize,
    /// What was prepared for panes.
    pages: BTreeMap<(Digest, Pane), String>,
    /// Up to which row the text of the chosen one was on the screen, without a gap.
    seen: usize,
    /// The texts that were on the screen from their beginning to their end, by the digest that is signed.
    read: BTreeSet<Digest>,
    /// Where the last one stood that is over: nothing is chosen until the person does so.
    place: usize,
    /// It was looked before: from then on the person chooses.
    begun: bool,
    /// How wide the rows were that were drawn last.
    width: usize,
    /// Said below everything.
    said: String,
    /// There is a key to sign with.
    signs: bool,
}

impl Review {
    /// A screen; `signs` where there is a key to sign with.
    pub fn new(signs: bool) -> Self {
        Self { signs, ..Self::default() }
    }

    /// Takes what waits now. The choice stays where it was; what is over is told.
    pub fn waits(&mut self, waiting: Waiting) {
        let first = !std::mem::replace(&mut self.begun, true);
        self.place = self.chosen.map_or(self.place, |_| self.place());
        let votes = |all: &[Pending]| -> BTreeMap<Digest, usize> {
            all.iter().map(|p| (p.question.request, p.votes.len())).collect()
        };
        let before = votes(&self.all);
        self.all = waiting.requests;
        let now = votes(&self.all);
        // What is over is not looked at any more, and what was decided on says so.
        self.pages.retain(|(request, _), _| now.contains_key(request) && now.get(request) == before.get(request));
        self.reviews = waiting.reviews.len();
        let unreadable = waiting.unreadable.len();
        if std::mem::replace(&mut self.unreadable, unreadable) != unreadable
            && let Some(first) = waiting.unreadable.into_iter().next()
        {
            self.said = first.what;
        }
        if let Some(chosen) = self.chosen
            && self.all.iter().all(|p| p.question.request != chosen)
        {
            self.said = format!("{} does not wait any more", backstop_core::approval::matter::code(chosen));
            self.chosen = None;
        }
        // Never another under a finger that is on its way.
        if first {
            self.choose(0);
        }
    }

    /// The one that is chosen.
    pub fn chosen(&self) -> Option<&Pending> {
        self.all.iter().find(|p| Some(p.question.request) == self.chosen)
    }

    /// The pane that has to be filled before the screen can be drawn, and for which request.
    pub fn wanted(&self) -> Option<(Pending, Pane)> {
        let chosen = self.chosen()?;
        let key = (chosen.question.request, self.pane);
        (self.pane != Pane::Asked && !self.pages.contains_key(&key)).then(|| (chosen.clone(), self.pane))
    }

    /// Fills a pane. Effects of a request stay as they are, so that it is filled once.
    pub fn fill(&mut self, request: Digest, pane: Pane, text: String) {
        self.pages.insert((request, pane), text);
    }

    /// The screen has another width: panes are made anew.
    pub fn forget_pages(&mut self) {
        self.pages.clear();
    }

    /// Says something below everything.
    pub fn say(&mut self, what: String) {
        self.said = what;
    }

    /// Takes a key.
    pub fn key(&mut self, key: Key) -> Act {
        self.said.clear();
        let page = self.rows.max(2) - 1;
        match key {
            Key::Up | Key::Down if self.chosen.is_none() => self.choose(self.place),
            Key::Up => self.choose(self.place().saturating_sub(1)),
            Key::Down => self.choose(self.place() + 1),
            Key::PageUp | Key::Letter('b') => self.scroll = self.scroll.saturating_sub(page),
            Key::PageDown | Key::Letter(' ') => self.scroll = self.scroll.saturating_add(page),
            Key::Home | Key::Letter('g') => self.scroll = 0,
            Key::End | Key::Letter('G') => self.scroll = usize::MAX,
            Key::Tab => (self.pane, self.scroll) = (self.pane.next(), 0),
            Key::Letter('a') => return self.sign(Choice::ApproveOnce),
            Key::Letter('d') => return self.sign(Choice::Deny),
            Key::Letter('r') => return Act::Refresh,
            Key::Letter('q') => return Act::Quit,
            Key::Letter(_) => {}
        }
        Act::Nothing
    }

    fn sign(&mut self, choice: Choice) -> Act {
        let Some((request, display)) = self.chosen().map(|p| (p.question.request, p.question.display)) else {
            return Act::Nothing;
        };
        if !self.signs {
            "to sign here, begin with a key: backstop review --key FILE".clone_into(&mut self.said);
            return Act::Nothing;
        }
        // Nobody has to read on to say no.
        if choice == Choice::ApproveOnce && !self.read.contains(&display) {
            (self.pane, self.scroll) = (Pane::Asked, 0);
            "read what is signed to its end first, page by page: PgDn".clone_into(&mut self.said);
            return Act::Nothing;
        }
        Act::Sign(request, choice)
    }

    fn place(&self) -> usize {
        self.all.iter().position(|p| Some(p.question.request) == self.chosen).unwrap_or(0)
    }

    fn choose(&mut self, place: usize) {
        if let Some(asked) = self.all.get(place.min(self.all.len().saturating_sub(1)))
            && self.chosen != Some(asked.question.request)
        {
            self.chosen = Some(asked.question.request);
            (self.pane, self.scroll, self.seen) = (Pane::Asked, 0, 0);
        }
    }

    /// What stands in the pane.
    fn text(&self) -> &str {
        match (self.chosen(), self.pane) {
            (None, _) => "",
            (Some(asked), Pane::Asked) => &asked.display,
            (Some(asked), pane) => self.pages.get(&(asked.question.request, pane)).map_or("…", String::as_str),
        }
    }

    /// Notes which of `all` rows were on the screen, on one on which they can be read. Whoever jumps over some has not
    /// had them there.
    fn shown(&mut self, (rows, width): (usize, usize), all: usize, legible: bool) {
        self.rows = rows;
        if std::mem::replace(&mut self.width, width) != width {
            self.seen = 0;
        }
        let display = self.chosen().map(|p| p.question.display);
        if let (Some(display), Pane::Asked, true) = (display, self.pane, legible) {
            if self.scroll <= self.seen {
                self.seen = self.seen.max(self.scroll + rows);
            }
            if self.seen >= all {
                self.read.insert(display);
            }
        }
    }
}

#[cfg(test)]
mod tests;
