//! Values in, facts out. Whole files are in `corpus/lens/terraform/`.

use proptest::prelude::*;

use super::*;

fn state(lineage: &str, serial: u64, resources: &str) -> Vec<u8> {
    format!(r#"{{"version":4,"serial":{serial},"lineage":"{lineage}","outputs":{{}},"resources":[{resources}]}}"#)
        .into()
}

const DB: &str =
    r#"{"mode":"managed","type":"aws_db_instance","name":"main","instances":[{"attributes":{"id":"db-1"}}]}"#;
const VM: &str = r#"{"module":"module.a","mode":"managed","type":"aws_instance","name":"w","instances":[
    {"index_key":0,"attributes":{"id":"i-0"}},{"index_key":"b","attributes":{"id":"i-1"}}]}"#;
const DATA: &str = r#"{"mode":"data","type":"aws_ami","name":"x","instances":[{"attributes":{"id":"ami"}}]}"#;

#[test]
fn names_of_states() {
    let backup = |of: &str| Some(Place::Backup(of.into()));
    for (path, expected) in [
        ("/w/terraform.tfstate", Some(Place::State)),
        ("/w/terraform.tfstate.d/prod/terraform.tfstate", Some(Place::State)),
        ("/w/errored.tfstate", Some(Place::State)),
        ("/w/terraform.tfstate.backup", backup("/w/terraform.tfstate")),
        ("/w/terraform.tfstate.1700000000.backup", backup("/w/terraform.tfstate")),
        ("/w/.terraform/terraform.tfstate", None),
        ("/w/terraform.tfstate.lock.info", None),
        ("/w/terraform.tfstate.x.backup", None),
        ("/w/terraform.tfstatebackup", None),
        ("/w/main.tf", None),
    ] {
        assert_eq!(place(&path.into()), expected, "{path}");
    }
}

#[test]
fn a_destroy_names_what_holds_data_first() {
    let before = state("l", 4, &[VM, DB, DATA].join(","));
    let seen = compare(Some(&before), Some(&state("l", 5, DATA)));
    let facts = Terraform { resources_removed: 3, stateful_removed: 1, ..Terraform::default() };
    let told = vec![
        "1 resource that holds data removed: aws_db_instance.main".to_owned(),
        "2 other resources removed: module.a.aws_instance.w[\"b\"], module.a.aws_instance.w[0]".to_owned(),
    ];
    assert_eq!(seen, Seen { facts, incomplete: vec![], told });
}

#[test]
fn another_state_is_another_lineage_or_an_older_serial() {
    let before = state("l", 40, DB);
    let swapped = compare(Some(&before), Some(&state("m", 2, DB))).facts;
    assert_eq!(swapped, Terraform { lineage_changed: 1, ..Terraform::default() });
    let older = compare(Some(&before), Some(&state("l", 2, DB))).facts;
    assert_eq!(older, Terraform { serial_lowered: 1, ..Terraform::default() });
}

#[test]
fn the_same_object_at_another_address_is_no_loss() {
    let moved = DB.replace("\"main\"", "\"other\"");
    let seen = compare(Some(&state("l", 1, DB)), Some(&state("l", 2, &moved)));
    assert_eq!(seen, Seen::default());
}

#[test]
fn a_copy_that_goes_loses_only_what_the_state_has_not() {
    let (copy, live) = (state("l", 1, &[DB, VM].join(",")), state("l", 2, DB));
    let lost = |state_before: Option<&[u8]>| compare_backup(Some(&copy), None, state_before, None).facts;
    assert_eq!(lost(Some(&live)).resources_removed, 2);
    assert_eq!(lost(None).resources_removed, 3);
    assert_eq!(lost(Some(&state("m", 2, DB))).resources_removed, 3);
}

#[test]
fn what_cant_be_read_is_said() {
    let before = state("l", 1, DB);
    for (after, why) in [
        (&b"{\"version\":4,"[..], "after: it is no JSON"),
        (b"[1]", "after: it is JSON, but no Terraform state"),
        (b"{}", "after: it is JSON, but no Terraform state: it has no version"),
        (b"{\"version\":9}", "after: its format is version 9, which this lens doesn't know"),
        (
            br#"{"serial":3,"lineage":"l","encrypted_data":"x","encryption_version":"v0"}"#,
            "the state is encrypted: its resources can't be read",
        ),
    ] {
        assert_eq!(compare(Some(&before), Some(after)).incomplete, [why]);
    }
    assert_eq!(compare(Some(&before), Some(b" \n")).told[0], "state emptied: 1 resource no longer tracked");
    assert_eq!(compare(Some(b"junk"), None).incomplete, ["before: it is no JSON"]);
}

#[test]
fn version_three_is_read() {
    let old = br#"{"version":3,"serial":1,"lineage":"l","modules":[{"path":["root","db"],"resources":{
        "aws_db_instance.m":{"type":"aws_db_instance","primary":{"id":"x"},"deposed":[]},
        "data.aws_ami.x":{"type":"aws_ami","primary":{"id":"y"}}}}]}"#;
    let seen = compare(Some(old), None);
    assert_eq!(seen.facts, Terraform { resources_removed: 1, stateful_removed: 1, ..Terraform::default() });
    assert_eq!(seen.told[1], "1 resource that holds data removed: module.db.aws_db_instance.m");
}

proptest! {
    #[test]
    fn no_bytes_stop_it(cut in 0usize..400, at in 0usize..400, byte: u8, junk: Vec<u8>) {
        let mut bytes = state("l", 4, &[VM, DB, DATA].join(","));
        let n = bytes.len();
        bytes[at % n] = byte;
        let whole = bytes.clone();
        bytes.truncate(cut % n);
        for other in [&bytes, &junk] {
            let seen = compare(Some(&whole), Some(other));
            prop_assert!(seen.facts.resources_removed <= 4);
            let _seen = compare(Some(other), Some(&whole));
        }
    }
}
