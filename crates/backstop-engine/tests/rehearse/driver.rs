//! Rehearses one command in this process, and tells on the last line of standard error, as JSON,
//! what came of it.

use std::path::Path;
use std::time::Duration;

use backstop_core::bytes::Bytes;
use backstop_core::id::RunId;
use backstop_core::policy::InPlace;
use backstop_core::request::{Command, Net, Request};
use backstop_engine::executables::Executables;
use backstop_engine::freeze::Gate;
use backstop_engine::rehearse::{Lane, RehearseInput, Started, rehearse};
use backstop_engine::store::Store;

/// `STATE root|user[-reads|-in-place] none|host LIMIT COMMAND…`; `-reads` takes the command for one that only
/// reads, whatever the reader says, which no option of the command line can; `-in-place` opens the current
/// directory.
pub fn main(args: &[String]) {
    let [state, mode, net, limit, argv @ ..] = args else { panic!("too few arguments") };
    let (uid, gid) = (id("-u"), id("-g"));
    let request = Request {
        asker: None,
        by: None,
        command: Command::Argv(argv.iter().map(|a| Bytes::from(a.as_str())).collect()),
        cwd: Bytes::from(std::env::current_dir().expect("a directory")),
        env_keys: Vec::new(),
        gid,
        in_place: false,
        net: if net == "none" { Net::None } else { Net::Host },
        parallel: false,
        profile: "workstation".into(),
        reason: None,
        session: None,
        uid,
        workspace: None,
    };
    let lane = match mode.split_once('-') {
        Some((_, "reads")) => Lane::Read,
        Some((_, "in-place")) => {
            let shut = [".git", ".claude", ".codex"].map(|name| request.cwd.join(name.as_bytes()));
            Lane::InPlace(InPlace { open: vec![request.cwd.clone()], private: vec!["/tmp".into()], shut: shut.into() })
        }
        _ => Lane::Rehearse,
    };
    let home = std::env::var_os("HOME").map(Bytes::from);
    let (id, store) = (RunId::from_number(7), Store::open(Path::new(state)).expect("a state directory"));
    let _alive = store.alive(id).expect("a mark");
    let programs: std::cell::RefCell<Started> = std::cell::RefCell::default();
    let input = RehearseInput {
        id,
        gate: &Gate::new(&store, id, [].into()),
        request: &request,
        state: Path::new(state),
        home: home.as_ref(),
        hide: &[],
        stdout_to_stderr: false,
        cwd_to: None,
        shell_from: None,
        grace: Duration::from_millis(100),
        upper_limit: limit.parse().ok(),
        force_user: mode.starts_with("user"),
        lane,
        stand_in: None,
        started: &programs,
        executables: &std::cell::RefCell::new(Executables::of(Path::new(state))),
    };
    let started = std::time::Instant::now();
    let ended = rehearse(&input);
    let programs = programs.take();
    let result = match ended {
        Ok(r) => serde_json::json!({
            "programs": programs.programs,
            "unlisted": programs.unlisted,
            "exit": r.exit,
            "code": r.exit.code(),
            "not_started": r.not_started,
            "left_behind": r.left_behind,
            "doors": r.doors,
            "notes": r.notes,
            "hint": r.wrong_guess(),
            "mounts": r.mounts,
            "t0": r.t0,
            "layers": r.layers.iter().map(|l| serde_json::json!({
                "volume": l.volume,
                "lower": l.lower,
                "point": l.point,
                "upper": r.volumes[l.volume].vault_path().join(b"r-000007").join(l.upper.as_slice()),
                "mount": l.mount,
            })).collect::<Vec<_>>(),
            "took_us": started.elapsed().as_micros() as u64,
        }),
        Err(e) => {
            let mut text = e.to_string();
            let mut source = std::error::Error::source(&e);
            while let Some(cause) = source {
                text.push_str(&format!(": {cause}"));
                source = cause.source();
            }
            serde_json::json!({ "error": text, "kind": format!("{e:?}"), "programs": programs.programs })
        }
    };
    // In one piece: standard error is not buffered.
    let line = format!("{result}\n");
    std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes()).expect("stderr");
}

fn id(which: &str) -> u32 {
    let out = std::process::Command::new("id").arg(which).output().expect("id");
    String::from_utf8(out.stdout).expect("digits").trim().parse().expect("a number")
}
