//! Drills: accidents on scratch data through the real pipeline, with the way back and the proof.
//! Writes only beneath its own scratch directory, state and vault included, and takes that away.

mod live;
mod manifest;
mod scene;

use std::fmt::Display;
use std::io::{self, BufRead, IsTerminal};
use std::time::{Duration, Instant};

use backstop_core::bytes::Bytes;
use backstop_core::effect::EffectSet;
use backstop_core::id::RunId;
use backstop_core::request::{Command, Net, Request};
use backstop_core::run::{RunRecord, State};
use backstop_engine::porch::{self, Caller};
use backstop_engine::{
    Answer, Engine, Failure, Offer, Outcome, Person, RunOptions, Settings, Step, UndoOptions, Which,
};

use crate::args::Incident;
use crate::out::{self, Done, Trouble};
use crate::person::Terminal;
use crate::screen::style::{Ink, Style, columns};
use crate::screen::{message, size, tree};
use crate::{exit, inside};
use manifest::Manifest;
use scene::Scene;

/// `backstop drill incident`.
pub fn incident(typed: &Incident) -> Done {
    inside::records_needed("drill")?;
    let mut teller = Teller { style: Style::of(&io::stdout()), step: 0, ok: true };
    let began = Instant::now();
    let scene = Scene::make(typed.dir.as_deref(), typed.files)?;
    let result = play(typed, &scene, &mut teller, began.elapsed());
    let cleaned = scene.clear();
    result?;
    cleaned?;
    teller.end(began.elapsed())
}

fn play(typed: &Incident, scene: &Scene, teller: &mut Teller, making: Duration) -> Result<(), Trouble> {
    let before = Manifest::of(&scene.shop)?;
    teller.step("a shop, its live database, and a link nobody remembers", making)?;
    teller.tell("workspace", scene.web.quoted())?;
    teller.tell("database", format!("{}: {}", scene.database.quoted(), scene.live.what()))?;
    let files = size::counted(before.files(), "file", "files");
    teller.tell("in it", format!("{files}, {}", size::bytes(before.bytes())))?;
    teller.tell("the link", format!("{} -> {}", scene.link.quoted(), scene.database.quoted()))?;
    let orders = scene.live.count()?;

    let caller = Caller::of_this_process();
    let (settings, _) = porch::settings(caller)?;
    // The scratch data lies in a temporary directory, which is everybody's own; in the drill it is not.
    let settings = Settings { state: scene.state.clone(), scratch: Vec::new(), ..settings };
    let mut engine = Engine::open(settings)?;
    let mut nobody = Visitor(Terminal::new(false, false));

    let clock = Instant::now();
    let outcome = engine.run(request(scene, caller), &RunOptions::default(), &mut nobody)?;
    nobody.0.clear();
    teller.step("an agent cleans up the temporary files", clock.elapsed())?;
    teller.tell("runs", scene.command.quoted())?;
    teller.show(&outcome)?;
    teller.proof("the run is held", outcome.record.state == State::Held, outcome.record.state.name())?;
    let now = Manifest::of(&scene.shop)?;
    teller.same("nothing changed", &before, &now)?;
    if outcome.record.state != State::Held {
        return Ok(());
    }

    let id = outcome.record.id;
    if !typed.commit && !teller.asks()? {
        let clock = Instant::now();
        engine.discard(id)?;
        teller.step("given up: backstop discard", clock.elapsed())?;
        return teller.same("nothing changed", &before, &Manifest::of(&scene.shop)?);
    }

    let clock = Instant::now();
    let committed = engine.commit(id, Offer::default(), &mut nobody)?;
    nobody.0.clear();
    teller.step(&format!("a person lets it through: backstop commit {id}"), clock.elapsed())?;
    teller.show(&committed)?;
    let lost = Manifest::of(&scene.shop)?;
    let gone = before.files().saturating_sub(lost.files());
    let text = format!(
        "{} of {} files, {}",
        size::count(gone),
        size::count(before.files()),
        size::bytes(before.bytes() - lost.bytes().min(before.bytes()))
    );
    teller.proof("it is really lost", gone > 0 && committed.record.state == State::Committed, &text)?;

    let clock = Instant::now();
    let report = engine.undo(&Which::Runs(vec![id]), UndoOptions::default(), &mut nobody)?;
    nobody.0.clear();
    teller.step(&format!("and back: backstop undo {id}"), clock.elapsed())?;
    if let Some((_, why)) = &report.stopped {
        teller.proof("undo went through", false, &message::quoted(&why.what))?;
    }
    teller.same("every byte is back", &before, &Manifest::of(&scene.shop)?)?;
    if let Some(orders) = orders {
        let again = scene.live.count()?;
        let text = format!("{}, which never stopped, counts {}", scene.live.name(), orders);
        teller.proof("the live process goes on", again.as_deref() == Some(orders.as_str()), &text)?;
        let check = scene.live.check()?;
        teller.proof(
            "a fresh look at the database",
            check == "ok",
            &format!("integrity_check: {}", message::quoted(&check)),
        )?;
    }
    Ok(())
}

/// Whoever watches the drill. They were asked by the drill itself, on data made for it, so what is
/// protected needs no words here.
struct Visitor(Terminal);

impl Person for Visitor {
    fn waiting(&mut self, holder: Option<RunId>) {
        self.0.waiting(holder);
    }

    fn progress(&mut self, step: Step, done: u64) {
        self.0.progress(step, done);
    }

    fn confirm(&mut self, record: &RunRecord, effects: &EffectSet) -> Answer {
        self.0.confirm(record, effects)
    }

    fn agrees(&mut self, _words: &[&str]) -> bool {
        true
    }
}

fn request(scene: &Scene, caller: Caller) -> Request {
    Request {
        asker: None,
        by: None,
        command: Command::Line(scene.command.clone()),
        cwd: scene.web.clone(),
        env_keys: porch::env_keys(),
        gid: caller.gid,
        in_place: false,
        net: Net::Host,
        parallel: false,
        profile: "workstation".into(),
        reason: Some(Bytes::from("clean up the temporary files")),
        session: Some(Bytes::from("drill")),
        uid: caller.uid,
        workspace: Some(scene.web.clone()),
    }
}

/// Tells the drill on standard output, and remembers whether every proof held.
struct Teller {
    style: Style,
    step: u32,
    ok: bool,
}

impl Teller {
    fn step(&mut self, what: &str, took: Duration) -> io::Result<()> {
        self.step += 1;
        let head = format!("{}  {what}", self.step);
        let time = format!("{:.1} ms", took.as_secs_f64() * 1_000.0);
        let gap = self.style.width.saturating_sub(columns(&head) + columns(&time)).max(2);
        out::print(&format!(
            "\n{}{}{}\n",
            self.style.ink(Ink::Strong, head),
            " ".repeat(gap),
            self.style.ink(Ink::Faint, time)
        ))
    }

    fn tell(&self, key: &str, what: impl Display) -> io::Result<()> {
        out::print(&format!("   {} {what}\n", self.style.ink(Ink::Faint, format!("{key:<10}"))))
    }

    fn show(&self, outcome: &Outcome) -> io::Result<()> {
        let text = message::outcome(outcome, self.style);
        let tree = if outcome.record.state == State::Held {
            format!("\n{}", tree::draw(&outcome.effects, self.style, 9))
        } else {
            String::new()
        };
        let indented: String = format!("{text}{tree}").lines().map(|l| format!("   {l}\n")).collect();
        out::print(&format!("\n{indented}\n"))
    }

    fn proof(&mut self, claim: &str, holds: bool, detail: &str) -> io::Result<()> {
        self.ok &= holds;
        let mark = if holds { self.style.ink(Ink::Made, "✓") } else { self.style.ink(Ink::Lost, "✗") };
        out::print(&format!("   {mark} {claim}: {detail}\n"))
    }

    fn same(&mut self, claim: &str, before: &Manifest, now: &Manifest) -> Result<(), Trouble> {
        let differences = before.differences(now);
        let total = size::count(before.entries());
        let detail = if differences.is_empty() {
            format!("{total} of {total} entries have the same SHA-256, mode, owner and times")
        } else {
            format!("{} of {total} entries differ", size::count(differences.len() as u64))
        };
        self.proof(claim, differences.is_empty(), &detail)?;
        for line in differences.iter().take(5) {
            self.tell("", line)?;
        }
        Ok(())
    }

    /// At a terminal a person is asked whether to go on; without one the whole drill is played.
    fn asks(&self) -> io::Result<bool> {
        if !io::stdin().is_terminal() || !self.style.terminal {
            return Ok(true);
        }
        out::print("\n   Let the loss happen, to see it undone? [Y]es [n]o > ")?;
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer)?;
        Ok(!answer.trim().starts_with(['n', 'N']) && !answer.is_empty())
    }

    fn end(&self, took: Duration) -> Done {
        let seconds = format!("{:.1} s", took.as_secs_f64());
        let text = if self.ok {
            self.style.ink(Ink::Made, format!("drill passed in {seconds}: nothing was lost"))
        } else {
            self.style.ink(Ink::Lost, format!("drill failed after {seconds}: see the lines with ✗"))
        };
        out::print(&format!("\n{text}\n"))?;
        Ok(if self.ok { exit::OK } else { exit::FOUND })
    }
}

/// A failure of the drill's own making.
fn failure(what: impl Display, error: &io::Error) -> Failure {
    Failure::because(format!("the drill cannot {what}"), error)
}
