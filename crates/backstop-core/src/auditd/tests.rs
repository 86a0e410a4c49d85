use super::*;
use crate::program::{Program, Unlisted};

/// As auditd 3.0 wrote it, with what it adds for people in one of them.
const LOG: &str = "\
type=DAEMON_START msg=audit(1795364399.000:1): op=start ver=3.0.9 format=enriched pid=9 uid=0 res=success\x1dAUID=\"unset\"
type=SYSCALL msg=audit(1795364400.250:17): arch=c000003e syscall=59 success=yes exit=0 a0=5 a1=6 a2=7 a3=8 items=2 \
ppid=40 pid=41 auid=4294967295 uid=1000 gid=1000 euid=1000 tty=(none) ses=4294967295 comm=\"rm\" exe=\"/usr/bin/rm\" \
key=(null)\x1dARCH=x86_64 SYSCALL=execve AUID=\"unset\" UID=\"agent\"
node=db-1 type=SYSCALL msg=audit(1795364400.300:18): arch=c000003e syscall=59 success=yes exit=0 ppid=1 pid=50 auid=7 \
uid=0 comm=\"a b\" exe=2F746D702F6120C3A4 key=(null)
type=EXECVE msg=audit(1795364400.250:17): argc=3 a0=\"rm\" a1=\"-rf\" a2=2F7372762F6120620A
type=CWD msg=audit(1795364400.250:17): cwd=\"/srv\"
type=PATH msg=audit(1795364400.250:17): item=0 name=\"/usr/bin/rm\" inode=7 dev=fe:0a mode=0100755 ouid=0
type=PATH msg=audit(1795364400.250:17): item=1 name=\"/lib64/ld.so\" inode=8 dev=fe:0a mode=0100755 ouid=0
type=PROCTITLE msg=audit(1795364400.250:17): proctitle=726D
node=db-1 type=EXECVE msg=audit(1795364400.300:18): argc=2 a0=612062 a1_len=9000 a1[0]=61
type=PROCTITLE msg=audit(1795364400.300:18): proctitle=726D
type=SYSCALL msg=audit(1795364401.000:19): arch=c000003e syscall=59 success=no exit=-2 ppid=1 pid=60 auid=7 uid=0 exe=\"/x\"
type=EXECVE msg=audit(1795364401.000:19): argc=1 a0=\"x\"
type=PROCTITLE msg=audit(1795364401.000:19): proctitle=726D
type=SYSCALL msg=audit(1795364402.000:20): success=yes ppid=1 pid=61 auid=7 uid=0 exe=\"/written\" key=\"backstop-config\"
type=PROCTITLE msg=audit(1795364402.000:20): proctitle=726D
type=SYSCALL msg=audit(1795364403.000:21): success=yes ppid=1 pid=62 auid=7 uid=0 exe=\"/lost\" key=\"backstop-exec\"
type=EXECVE msg=audit(1795364404.000:22): argc=1 a0=\"whose\"
type=SYSCALL msg=audit(99999999999999999999.1:1): pid=1
type=SYSCALL msg=audit(1:1
type=
";

#[test]
fn events_are_put_together_whatever_stands_between_their_records() {
    let mut reader = Reader::default();
    let mut read: Vec<Exec> = LOG.split('\n').filter_map(|line| reader.take(line.as_bytes())).collect();
    let file = |number| Inode { device: (0xfe, 0x0a), number };
    let first = Exec {
        at: Timestamp::new(1_795_364_400, 250_000_000),
        auid: None,
        exe: "/usr/bin/rm".into(),
        files: vec![file(7), file(8)],
        pid: 41,
        parent: 40,
        uid: 1_000,
    };
    let second = Exec {
        at: Timestamp::new(1_795_364_400, 300_000_000),
        auid: Some(7),
        exe: "/tmp/a ä".into(),
        files: Vec::new(),
        pid: 50,
        parent: 1,
        uid: 0,
    };
    assert_eq!(read, [first, second]);
    // Of what our rules say the record that it was a program is not needed; of others' it is.
    read = reader.rest().collect();
    assert_eq!(read.iter().map(|exec| exec.exe.as_slice()).collect::<Vec<_>>(), [b"/lost"]);
}

#[test]
fn what_never_becomes_whole_is_given_all_the_same() {
    let mut reader = Reader::default();
    let mut given = 0;
    for n in 0..2 * HALVES {
        let line = format!(
            "type=SYSCALL msg=audit({n}.000:{n}): success=yes ppid=1 pid=2 auid=3 uid=4 exe=\"/x\" key=\"{KEY}\""
        );
        given += usize::from(reader.take(line.as_bytes()).is_some());
    }
    assert_eq!((given, reader.rest().count()), (HALVES, HALVES));
}

const AGENT: u32 = 1_000;

fn at(secs: i64) -> Timestamp {
    Timestamp::new(1_795_364_400 + secs, 0)
}

fn run(n: u32) -> RunId {
    RunId::from_number(n)
}

fn requested(n: u32) -> Body {
    let Body::RunRequested { asker, by, command, cwd, gid, in_place, net, reason, session, workspace, .. } =
        crate::audit::tests::requested_as(crate::request::Command::Argv(vec!["x".into()]), None)
    else {
        panic!("a request")
    };
    Body::RunRequested {
        asker,
        by,
        command,
        cwd,
        gid,
        in_place,
        net,
        reason,
        run: run(n),
        session,
        uid: AGENT,
        workspace,
    }
}

fn ran(n: u32, pid: u32, began: i64) -> Body {
    let program = program(pid, began);
    Body::ExecRan { program, run: run(n) }
}

fn program(pid: u32, began: i64) -> Program {
    Program {
        argv: vec!["x".into()],
        as_asked: false,
        began: at(began),
        cut: 0,
        cwd: None,
        exe: Some("/x".into()),
        exit: None,
        parent: 1,
        pid,
        sha256: None,
    }
}

fn told(bodies: &[(i64, Body)]) -> Explanations {
    let mut explained = Explanations::default();
    for (index, (secs, body)) in (0..).zip(bodies) {
        explained.tell(&Entry { at: at(*secs), body: body.clone(), index, version: Entry::VERSION });
    }
    explained
}

fn exec(pid: u32, secs: i64) -> Exec {
    Exec { at: at(secs), auid: None, exe: "/x".into(), files: Vec::new(), pid, parent: 1, uid: AGENT }
}

#[test]
fn what_a_run_started_is_explained_once_and_nothing_else_is() {
    let mut log = told(&[
        (10, requested(1)),
        (20, ran(1, 41, 11)),
        (20, ran(1, 41, 12)),
        (20, ran(1, 42, 13)),
        (20, Body::RunHeld { run: run(1) }),
        (30, requested(2)),
        (31, Body::RunFailed { run: run(2), why: String::new() }),
    ]);
    use Verdict::{Before, Explained, Unexplained};
    for (exec, verdict) in [
        (exec(41, 12), Explained),
        (exec(41, 11), Explained),
        (exec(41, 11), Unexplained),
        (exec(42, 13 + CLOSE), Explained),
        (exec(43, 13), Unexplained),
        (exec(44, 30), Unexplained),
        (exec(44, 9), Before),
        (Exec { uid: 0, ..exec(44, 40) }, Unexplained),
    ] {
        assert_eq!(log.explains(&exec, false), verdict, "{exec:?}");
    }
    let mut log = told(&[(10, requested(1)), (20, ran(1, 41, 11)), (20, Body::RunHeld { run: run(1) })]);
    assert_eq!(log.explains(&exec(41, 11 + CLOSE + 1), false), Unexplained, "another process of the same number");
    assert_eq!(log.unseen(&[AGENT].into(), (at(0), at(99))), 1);
    assert_eq!(log.unseen(&[AGENT + 1].into(), (at(0), at(99))), 0);
    assert_eq!(log.unseen(&[AGENT].into(), (at(12), at(99))), 0);
    assert_eq!((told(&[]).explains(&exec(1, 1), false), told(&[]).since()), (Before, None));
    assert_eq!(log.since(), Some(at(10)));
}

#[test]
fn another_program_or_account_is_not_explained_by_the_same_number() {
    let mut log = told(&[(10, requested(1)), (20, ran(1, 41, 11)), (20, Body::RunHeld { run: run(1) })]);
    for other in [Exec { exe: "/y".into(), ..exec(41, 11) }, Exec { uid: AGENT + 1, ..exec(41, 11) }] {
        assert_eq!(log.explains(&other, false), Verdict::Unexplained, "{other:?}");
    }
    assert_eq!(log.explains(&exec(41, 11), false), Verdict::Explained);
    for (ours, kernels, same) in [
        ("/usr/bin/x", "/usr/bin/x", true),
        ("/jail/bin/x", "/bin/x", true),
        ("/w/mine (deleted)", "/w/mine", true),
        ("/w/mine", "/w/mine (deleted)", true),
        ("/usr/bin/x", "x", false),
        ("/bin/x", "/jail/bin/x", false),
        ("/bin/xx", "/x", false),
    ] {
        assert_eq!(is_same(&ours.into(), &kernels.into()), same, "{ours} {kernels}");
    }
    // What nobody could look at proves nothing.
    let asked = Body::ExecRan { program: Program { as_asked: true, ..program(41, 11) }, run: run(1) };
    let mut log = told(&[(10, requested(1)), (20, asked), (20, Body::RunHeld { run: run(1) })]);
    assert_eq!(log.explains(&Exec { exe: "/real/x".into(), ..exec(41, 11) }, false), Verdict::Perhaps(run(1)));
    assert_eq!(log.explains(&exec(41, 11), false), Verdict::Unexplained);
}

#[test]
fn while_a_run_does_not_say_all_it_may_be_its_own() {
    let unlisted = |count| Body::ExecUnlisted { run: run(1), unlisted: Unlisted { count, why: String::new() } };
    let recovered = Body::Recovered { now: crate::audit::Settled::Discarded, run: run(3), what: String::new() };
    let story = |count| {
        told(&[
            (10, requested(1)),
            (20, unlisted(count)),
            (20, Body::RunHeld { run: run(1) }),
            (30, requested(3)),
            (35, recovered.clone()),
            (40, requested(2)),
        ])
    };
    let mut log = story(Some(2));
    for (exec, verdict) in [
        (exec(7, 15), Verdict::Perhaps(run(1))),
        (exec(8, 16), Verdict::Perhaps(run(1))),
        // No more than there were.
        (exec(9, 17), Verdict::Unexplained),
        (exec(7, 25), Verdict::Unexplained),
        // Cut off: which programs it started nobody can say any more.
        (exec(7, 33), Verdict::Perhaps(run(3))),
        // Under way: what it started is told when it ends.
        (exec(7, 4_000), Verdict::Perhaps(run(2))),
        (Exec { uid: 0, ..exec(7, 15) }, Verdict::Unexplained),
    ] {
        assert_eq!(log.explains(&exec, false), verdict, "{exec:?}");
    }
    // What is expected uses nothing of it up.
    let mut log = story(Some(1));
    assert_eq!(log.explains(&exec(7, 15), true), Verdict::Explained);
    assert_eq!(log.explains(&exec(8, 16), false), Verdict::Perhaps(run(1)));
    assert_eq!(story(None).explains(&exec(7, 15), false), Verdict::Unknown(run(1)));
}
