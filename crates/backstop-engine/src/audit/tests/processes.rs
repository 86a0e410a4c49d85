//! Several processes append to one log at once, and it stays one sequence.

use std::process::Command as Process;

use super::*;

const DIR: &str = "BACKSTOP_TEST_AUDIT_DIR";
const NAME: &str = "audit::tests::processes::a_process_that_appends_where_it_is_told";

/// Does nothing unless another test starts this program again for it.
#[test]
fn a_process_that_appends_where_it_is_told() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let mut log = AuditLog::open(Path::new(&dir), at(0)).expect("open");
    log.segment_bytes = 4_096;
    for n in 0..15 {
        let id = std::process::id() * 100 + n;
        for body in story(id) {
            log.append(at(0), &[body]).expect("append");
        }
    }
}

#[test]
fn processes_at_once_make_one_log_with_every_entry_once() {
    let temp = tempfile::tempdir().expect("a temporary directory");
    let dir = temp.path().join("state/audit");
    let program = std::env::current_exe().expect("this program");
    let start = || Process::new(&program).args(["--exact", NAME]).env(DIR, &dir).output().expect("start");
    let ends: Vec<_> = std::thread::scope(|s| {
        let threads: Vec<_> = (0..4).map(|_| s.spawn(start)).collect();
        threads.into_iter().map(|t| t.join().expect("join")).collect()
    });
    for end in ends {
        assert!(end.status.success(), "{}", Bytes::from(end.stdout).quoted());
    }
    let report = verify(&dir, &Kept::default());
    assert_eq!(whats(&report), [""; 0]);
    assert_eq!((report.exit(), report.entries, report.runs), (0, 1 + 4 * 15 * 8, 60));
    let left: Vec<_> = fs::read_dir(dir.parent().expect("parent")).expect("list").collect();
    assert_eq!(left.len(), 1, "nothing of the losers' new logs is left");
}
