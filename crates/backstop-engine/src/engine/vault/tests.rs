use backstop_core::bytes::Bytes;

use super::*;
use crate::engine::tests::settings;
use crate::store::Store;
use crate::transaction::RECORD;

/// An engine, a volume beside its state, and a run that has a plan on it and something in its vault.
fn scene() -> (tempfile::TempDir, Engine, OpenVolume, RunId) {
    let dir = tempfile::tempdir().expect("a directory");
    let engine = Engine::open(settings(&dir.path().join("state"))).expect("an engine");
    let spec = Volume {
        fs: "ext4".into(),
        root: Bytes::from(dir.path()),
        vault: Bytes::from("vault"),
        vault_id: String::new(),
        volatile: false,
    };
    let volume = OpenVolume::create(spec, engine.settings.uid).expect("a volume");
    let id = engine.store.new_run(clock::now()).expect("a run");
    let plan = Plan { keeps: Vec::new(), ops: Vec::new(), volumes: vec![volume.spec().clone()] };
    engine.store.write_json(id, PLAN, &plan, false).expect("written");
    volume.run_dir(id, true).expect("made");
    (dir, engine, volume, id)
}

#[test]
fn a_damaged_list_is_made_anew_from_the_plans() {
    let (_dir, engine, volume, _) = scene();
    let known = vec![volume.spec().clone()];
    let list = engine.store.path().join(VAULTS);
    assert_eq!(engine.known_vaults().expect("known"), known, "no list");
    fs::write(&list, "[{\"fs\":").expect("written");
    assert_eq!(engine.known_vaults().expect("known"), known, "half a list");
    let other = Volume { vault_id: "0".repeat(32), ..volume.spec().clone() };
    engine.note_vaults(std::slice::from_ref(&other)).expect("noted");
    assert_eq!(engine.known_vaults().expect("known"), [known, vec![other]].concat(), "whole again");
}

#[test]
fn what_a_run_keeps_goes_only_when_its_record_says_so() {
    let (_dir, mut engine, volume, id) = scene();
    let there = |volume: &OpenVolume| volume.run_dir(id, false).is_ok();
    engine.store.write(id, RECORD, b"{\"half\":", false).expect("written");
    let pruned = engine.prune(Some(Duration::ZERO)).expect("pruned");
    assert!(there(&volume) && pruned.runs.is_empty(), "a record that can't be read is no leave");
    fs::remove_file(engine.store.path().join("runs").join(id.to_string()).join(RECORD)).expect("removed");
    let pruned = engine.prune(Some(Duration::ZERO)).expect("pruned");
    assert!(!there(&volume) && pruned.runs == [id], "without one nobody can take it back");
}

/// A run that was committed a moment ago, with something in the vault.
fn committed(engine: &Engine, volume: &OpenVolume, id: RunId) {
    let kept = volume.run_dir(id, true).expect("its directory");
    sys::write_replace(kept.as_fd(), b"kept", &[7; 40_000]).expect("written");
    let record = serde_json::json!({
        "id": id, "state": "committed", "started": clock::now(), "updated": clock::now(), "version": 1,
        "request": {
            "command": {"argv": ["true"]}, "cwd": "/", "env_keys": [], "gid": 0, "net": "none",
            "parallel": false, "uid": 0,
        },
    });
    engine.store.write(id, RECORD, record.to_string().as_bytes(), false).expect("written");
    assert_eq!(engine.record(id).expect("a record").state, State::Committed);
}

#[test]
fn size_and_free_space_let_go_of_what_is_young_but_not_of_what_is_held() {
    for (percent, floor, goes) in [(100, 0, false), (0, 0, true), (100, 100, true)] {
        let (_dir, mut engine, volume, id) = scene();
        committed(&engine, &volume, id);
        let held = engine.store.new_run(clock::now()).expect("a run");
        committed(&engine, &volume, held);
        let mut record = engine.record(held).expect("a record");
        record.state = State::Held;
        engine.save(&mut record, false).expect("saved");
        engine.note_vaults(std::slice::from_ref(volume.spec())).expect("noted");
        engine.settings.vault_percent = percent;
        engine.settings.free_percent = floor;
        let pruned = engine.prune(None).expect("pruned");
        assert_eq!(pruned.runs == [id], goes, "vault {percent} %, floor {floor} %: {pruned:?}");
        assert_eq!(volume.run_dir(id, false).is_err(), goes);
        assert_eq!(engine.record(id).expect("a record").let_go, goes);
        assert!(volume.run_dir(held, false).is_ok(), "what is held is no copy of anything");
    }
}

#[test]
fn a_vault_over_its_share_is_brought_back_by_itself() {
    let (_dir, mut engine, volume, old) = scene();
    let new = engine.store.new_run(clock::now()).expect("a run");
    engine.note_vaults(std::slice::from_ref(volume.spec())).expect("noted");
    let total = space(&volume).expect("measured").total;
    for (id, share) in [(old, 19), (new, 19)] {
        committed(&engine, &volume, id);
        let mut record = engine.record(id).expect("a record");
        let mut totals = backstop_core::effect::Totals::default();
        totals.deleted.bytes = total / 100 * share;
        record.totals = Some(totals);
        engine.save(&mut record, false).expect("saved");
    }
    let last = engine.record(new).expect("a record");
    // By its records too much, by its files not: nothing goes.
    engine.tend(&last).expect("tended");
    assert!(volume.run_dir(old, false).is_ok());
    engine.settings.vault_percent = 0;
    engine.tend(&last).expect("tended");
    assert!(volume.run_dir(old, false).is_err(), "nobody asked for it");
    assert!(engine.record(old).expect("a record").let_go);
}

#[test]
fn a_run_whose_process_is_gone_is_given_up_with_what_it_left() {
    let (dir, engine, volume, id) = scene();
    drop(engine.store.alive(id).expect("marked"));
    let state = dir.path().join("state");
    drop(engine);
    let engine = Engine::open(settings(&state)).expect("an engine");
    assert!(engine.recovered().is_empty(), "no record, so nothing to tell");
    assert!(Store::open(&state).expect("open").dead().expect("listed").is_empty(), "the mark is gone");
    drop(volume);
}
