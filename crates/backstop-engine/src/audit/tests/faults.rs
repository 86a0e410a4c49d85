//! Killed, or refused by the disk, at every fault point: what was acknowledged is in the log, once, in
//! order, and the log goes on.

use std::io::Write as _;
use std::process::Command as Process;

use super::*;

const DIR: &str = "BACKSTOP_TEST_AUDIT_FAULT_DIR";
const NAME: &str = "audit::tests::faults::a_process_that_meets_a_fault";

/// Does nothing unless another test starts this program again for it. Writes down what was
/// acknowledged, as `run.failed` of runs 0, 1, 2, ….
#[test]
fn a_process_that_meets_a_fault() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let dir = Path::new(&dir);
    let mut acknowledged = fs::File::create(dir.join("acknowledged")).expect("create");
    let open = || AuditLog::open(&dir.join("audit"), at(0));
    // A failure of the disk comes once.
    let mut log = open().or_else(|_| open()).expect("open");
    log.segment_bytes = 400;
    for n in 0..12 {
        let body = Body::RunFailed { run: run(n), why: "x".repeat(60) };
        if log.append(at(i64::from(n)), &[body]).is_ok() {
            writeln!(acknowledged, "{n}").expect("write");
        }
    }
}

/// Starts it; true when it was killed.
fn meet(dir: &Path, fault: &str) -> bool {
    let program = std::env::current_exe().expect("this program");
    let mut process = Process::new(program);
    process.args(["--exact", NAME]).env(DIR, dir).env("BACKSTOP_FAULT", fault);
    let end = process.output().expect("start");
    let killed = std::os::unix::process::ExitStatusExt::signal(&end.status) == Some(9);
    assert!(killed || end.status.success(), "{fault}: {}", Bytes::from(end.stdout).quoted());
    killed
}

#[test]
fn at_every_fault_point_what_was_acknowledged_stays() {
    let temp = tempfile::tempdir().expect("a temporary directory");
    let counted = temp.path().join("counted");
    // A torn end from an earlier crash, so that cutting it off is among the points.
    let prepare = |name: &str| {
        let dir = temp.path().join(name);
        let audit = dir.join("audit");
        AuditLog::open(&audit, at(0)).expect("a new log");
        let torn = [fs::read(audit.join(FIRST)).expect("read"), b"{\"at\"".to_vec()].concat();
        fs::write(audit.join(FIRST), torn).expect("write");
        dir
    };
    meet(&prepare("whole"), &format!("count:{}", counted.display()));
    let counted = fs::read_to_string(&counted).expect("read");
    let named: Vec<&str> = counted.lines().filter_map(|line| line.split(' ').nth(1)).collect();
    assert!(named.len() > 30, "{}", named.len());
    for kind in ["kill", "enospc", "eio"] {
        for (point, name) in named.iter().enumerate() {
            let fault = format!("{kind}:{point}");
            let dir = prepare(&fault);
            assert_eq!(meet(&dir, &fault), kind == "kill", "{fault}");
            let audit = dir.join("audit");
            AuditLog::open(&audit, at(99)).expect("open after the fault");
            let report = verify(&audit, &Kept::default());
            assert_eq!(report.integrity, Answer::Holds, "{fault}: {:?}", report.findings);
            let acknowledged = fs::read_to_string(dir.join("acknowledged")).expect("read");
            let acknowledged: Vec<_> = acknowledged.lines().map(|n| run(n.parse().expect("a number"))).collect();
            let there: Vec<_> = entries(&audit, 0).filter_map(|e| e.expect("an entry").body.run()).collect();
            let kept: Vec<_> = there.iter().filter(|run| acknowledged.contains(run)).copied().collect();
            assert_eq!(kept, acknowledged, "{fault}");
            if kind == "enospc" && *name == "audit.reserve" {
                // What has to be said is said where no more room can be taken.
                assert_eq!(acknowledged.len(), 12, "{fault}");
            }
            assert!(there.len() <= acknowledged.len() + 1, "{fault}: {there:?}");
        }
    }
}
