use std::path::Path;
use std::time::{Duration, Instant};

use backstop_core::bytes::Bytes;
use backstop_core::effect::EffectSet;
use backstop_core::id::RunId;
use backstop_core::request::{Command, Net, Request};
use backstop_core::run::RunRecord;

use super::{Answer, Engine, Person, Step};
use crate::failure::FailureKind;
use crate::settings::{Durability, Settings};

/// Settings for an engine of its own, with no place but its state.
pub(super) fn settings(state: &Path) -> Settings {
    Settings {
        login: None,
        viewer: None,
        stand_in: None,
        uid: backstop_sys::process::own_ids().0,
        state: state.to_owned(),
        home: None,
        homes: Vec::new(),
        homes_of: std::collections::BTreeMap::new(),
        scratch: Vec::new(),
        hide: Vec::new(),
        kinds: crate::law::Kinds::default(),
        force_user: false,
        durability: Durability::Ordered,
        vault_percent: 20,
        vault_age: Duration::from_secs(14 * 86_400),
        free_percent: 0,
        grace: Duration::ZERO,
        turn_limit: Duration::ZERO,
    }
}

/// Nobody who could answer; remembers for whom was waited.
#[derive(Default)]
pub(super) struct Nobody {
    waited_for: Vec<Option<RunId>>,
}

impl Person for Nobody {
    fn waiting(&mut self, holder: Option<RunId>) {
        self.waited_for.push(holder);
    }
    fn progress(&mut self, _: Step, _: u64) {}
    fn confirm(&mut self, _: &RunRecord, _: &EffectSet) -> Answer {
        Answer::Hold
    }
}

fn request(workspace: &str, parallel: bool) -> Request {
    Request {
        asker: None,
        by: None,
        command: Command::Argv(vec![Bytes::from("true")]),
        cwd: Bytes::from("/srv/a"),
        env_keys: Vec::new(),
        gid: 0,
        in_place: false,
        net: Net::None,
        parallel,
        profile: "workstation".into(),
        reason: None,
        session: None,
        uid: 0,
        workspace: Some(Bytes::from(workspace)),
    }
}

#[test]
fn runs_of_one_workspace_take_turns_and_waiting_has_an_end() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut settings = settings(&dir.path().join("state"));
    settings.turn_limit = Duration::from_millis(2_200);
    let engine = Engine::open(settings).expect("an engine");
    let mut nobody = Nobody::default();
    let first = engine.turn(&request("/srv/a", false), &mut nobody).expect("free").expect("a turn");
    // Of a process that can't be piped to us, since there is none of that number.
    first.name("r-7k3f9q 0").expect("named");
    assert!(engine.turn(&request("/srv/a", true), &mut nobody).expect("beside").is_none());
    assert!(engine.turn(&request("/srv/b", false), &mut nobody).expect("another's").is_some());
    assert_eq!(nobody.waited_for, [], "nobody waited");
    let start = Instant::now();
    let failure = engine.turn(&request("/srv/a", false), &mut nobody).expect_err("in vain");
    assert!(start.elapsed() >= Duration::from_millis(2_200));
    assert_eq!(failure.kind, FailureKind::Conflict);
    assert!(failure.what.contains("r-7k3f9q"), "{failure}");
    assert_eq!(nobody.waited_for, [RunId::parse("r-7k3f9q")], "told once, after two seconds");
    drop(first);
    assert!(engine.turn(&request("/srv/a", false), &mut nobody).expect("free again").is_some());
}
