//! What the logs of tests and measurements tell.

use backstop_core::audit::{Body, By};
use backstop_core::bytes::Bytes;
use backstop_core::digest::Digest;
use backstop_core::effect::Totals;
use backstop_core::id::RunId;
use backstop_core::policy::{Decision, Judgement, Reason};
use backstop_core::request::{Command, Net, Request};
use backstop_core::run::Exit;

pub fn run(n: u32) -> RunId {
    RunId::from_number(n)
}

/// The story of a run that policy asked about, that a person let through and took back.
pub fn story(n: u32) -> Vec<Body> {
    let run = run(n);
    let request = Request {
        asker: None,
        by: None,
        command: Command::Argv(vec!["rm".into(), "-rf".into(), "temp/*".into()]),
        cwd: "/srv/www".into(),
        env_keys: Vec::new(),
        gid: 1000,
        in_place: false,
        net: Net::None,
        parallel: false,
        profile: "workstation".into(),
        reason: Some("clean up".into()),
        session: None,
        uid: 1000,
        workspace: Some("/srv/www".into()),
    };
    let reason = Reason {
        count: 3,
        paths: vec![Bytes::from("/srv/db/a")],
        why: "the place is outside the workspace".to_owned(),
        ..Reason::new(Decision::Ask, "outside-workspace")
    };
    let digest = Digest::of_content(b"effects");
    let by = By::Person { uid: 1000 };
    vec![
        Body::requested(run, &request),
        Body::RunRehearsed {
            digest,
            doors: Vec::new(),
            effects: 3,
            exit: Exit::Code(0),
            left_behind: Vec::new(),
            run,
            totals: Totals::default(),
        },
        Body::RunJudged { judgement: Judgement::of(vec![reason]), run },
        Body::RunHeld { run },
        Body::RunCommitting { by, digest, plan: Digest::of_content(b"plan"), run },
        Body::RunCommitted { run },
        Body::RunUndoing { by, run },
        Body::RunUndone { run },
    ]
}
