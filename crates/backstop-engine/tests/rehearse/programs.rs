//! Which programs a run starts, as the running kernel shows them: each by what it is, whatever whoever starts it would have
//! us believe, and none of them kept from anything.

use std::process::Command;

use serde_json::{Value, json};

use crate::runner::{Done, Scratch, Who};

fn programs(done: &Done) -> &[Value] {
    done.told["programs"].as_array().unwrap_or_else(|| panic!("no programs: {}", done.told))
}

/// The arguments of those with this name.
fn named<'a>(done: &'a Done, name: &str) -> Vec<&'a Value> {
    programs(done).iter().filter(|p| p["argv"][0] == name).collect()
}

fn sha256(path: &str) -> String {
    let out = Command::new("sha256sum").arg(path).output().expect("sha256sum");
    let text = String::from_utf8(out.stdout).expect("text");
    format!("sha256:{}", text.split(' ').next().expect("digits"))
}

fn real(path: &str) -> String {
    std::fs::canonicalize(path).expect("it is there").to_str().expect("text").to_owned()
}

/// How others' children ended: since Linux 6.15.
fn tells_ends() -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").expect("a release");
    let mut numbers = release.split(['.', '-']).map(|n| n.trim().parse::<u32>().unwrap_or(0));
    (numbers.next(), numbers.next()) >= (Some(6), Some(15))
}

/// Python, as it is itself: what stands first in the path may be a script that looks for it.
fn python(scratch: &Scratch, text: &str) -> Done {
    let path = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output().expect("python");
    let mut path = String::from_utf8(path.stdout).expect("a path").trim().to_owned();
    if scratch.who == Who::User && path.starts_with("/root/") {
        path = "/usr/bin/python3".to_owned();
    }
    scratch.run(&[&path, "-c", text])
}

pub fn each_is_told_by_what_it_is(who: Who) {
    for scratch in [Scratch::new(who), Scratch::reads(who), Scratch::in_place(who)] {
        let done =
            scratch.sh("cat /nothing 2>/dev/null; env A=b sh -c 'kill -9 $$'; cd / && printf '' | od -c >&2; exit 3");
        assert_eq!(done.code(), 3);
        assert!(done.told["unlisted"].is_null(), "{}", done.told);
        let all = programs(&done);
        let (shell, cat) = (&all[0], &all[1]);
        assert_eq!((&shell["argv"][0], &shell["argv"][1]), (&json!("sh"), &json!("-c")));
        assert_eq!((&shell["exe"], &shell["sha256"]), (&json!(real("/bin/sh")), &json!(sha256("/bin/sh"))));
        assert_eq!(shell["cwd"], Value::Null, "where the command was to run");
        assert_eq!(cat["argv"], json!(["cat", "/nothing"]));
        assert_eq!((&cat["exe"], &cat["sha256"]), (&json!(real("/bin/cat")), &json!(sha256("/bin/cat"))));
        assert_eq!(cat["parent"], shell["pid"]);
        // Two programs of one process: how it ended is how the second did.
        let (env, killed) = (&all[2], &all[3]);
        assert_eq!((&env["pid"], &env["exit"]), (&killed["pid"], &Value::Null));
        assert_eq!(named(&done, "od")[0]["cwd"], "/");
        assert_eq!(all.len(), 5, "{all:#?}");
        assert!(all.iter().all(|p| p.get("as_asked").is_none()), "{all:#?}");
        if tells_ends() {
            assert_eq!((&shell["exit"], &cat["exit"]), (&json!({ "code": 3 }), &json!({ "code": 1 })));
            assert_eq!(killed["exit"], json!({ "signal": 9 }));
        }
    }
}

pub fn a_script_is_its_interpreter_and_what_is_not_there_is_nothing(who: Who) {
    let scratch = Scratch::new(who);
    let script = "printf '#!/bin/sh -e\\nexit 4\\n' >s; chmod +x s; ./s one; PATH=/nothing:/usr/nothing:/bin; true; nosuch; \
                  sh -c true";
    let done = scratch.sh(script);
    let script = programs(&done).iter().find(|p| p["argv"][2] == "./s").expect("the script");
    assert_eq!(script["argv"], json!(["/bin/sh", "-e", "./s", "one"]));
    assert_eq!((&script["exe"], &script["sha256"]), (&json!(real("/bin/sh")), &json!(sha256("/bin/sh"))));
    assert!(named(&done, "nosuch").is_empty() && done.told["unlisted"].is_null(), "{}", done.told);
    // What the run made itself, and what is gone by now, has its digest as well.
    let done = scratch.sh("cp /bin/true mine; ./mine; rm mine");
    let [mine] = named(&done, "./mine")[..] else { panic!("{}", done.told) };
    assert_eq!(mine["sha256"], sha256("/bin/true"));
    assert_eq!(mine["exe"], scratch.tree().join("mine").to_str().expect("text"));
}

/// Somebody else changes the arguments while they are being passed on: what is told is what the program got.
pub fn arguments_that_are_changed_meanwhile_are_told_as_they_came(who: Who) {
    const LIAR: &str = r#"
import ctypes, os, threading
libc = ctypes.CDLL(None)
word, over = ctypes.create_string_buffer(b"seen"), False
def lie():
    while not over:
        word.raw = b"told\0"
        word.raw = b"seen\0"
threading.Thread(target=lie, daemon=True).start()
argv = (ctypes.c_char_p * 3)(b"echo", ctypes.cast(word, ctypes.c_char_p), None)
env = (ctypes.c_char_p * 1)(None)
for n in range(60):
    pid = ctypes.c_int()
    assert libc.posix_spawn(ctypes.byref(pid), b"/bin/echo", None, None, argv, env) == 0
    os.waitpid(pid.value, 0)
over = True
"#;
    let scratch = Scratch::new(who);
    let done = python(&scratch, LIAR);
    assert_eq!(done.code(), 0, "{}", done.stderr);
    let told: Vec<&str> = named(&done, "echo").iter().map(|p| p["argv"][1].as_str().expect("a word")).collect();
    let came: Vec<&str> = done.stdout.lines().collect();
    assert_eq!(told, came);
    assert_eq!(told.len(), 60);
}

pub fn whoever_asks_in_vain_goes_on_as_ever(who: Who) {
    const VAIN: &str = r#"
import os, signal, threading, time
got = []
signal.signal(signal.SIGALRM, lambda *_: got.append("alarm"))
signal.signal(signal.SIGUSR1, lambda *_: got.append("usr1"))
for _ in range(3):
    try:
        os.execv("/nosuch", ["nosuch"])
    except FileNotFoundError:
        pass
signal.setitimer(signal.ITIMER_REAL, 0.05)
while len(got) < 1:
    time.sleep(0.01)
os.kill(os.getpid(), signal.SIGUSR1)
child = os.fork()
if child == 0:
    time.sleep(30)
    os._exit(9)
os.kill(child, signal.SIGSTOP)
assert os.WIFSTOPPED(os.waitpid(child, os.WUNTRACED)[1])
os.kill(child, signal.SIGCONT)
assert os.WIFCONTINUED(os.waitpid(child, os.WCONTINUED)[1])
os.kill(child, signal.SIGTERM)
assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGTERM
assert got == ["alarm", "usr1"], got
# A thread that is not the first becomes the whole process.
threading.Thread(target=lambda: os.execv("/bin/sh", ["sh", "-c", "exit 5"])).start()
time.sleep(30)
"#;
    let done = python(&Scratch::new(who), VAIN);
    assert_eq!(done.code(), 5, "{}", done.stderr);
    let [first, shell] = programs(&done) else { panic!("{}", done.told) };
    assert_eq!(first["pid"], shell["pid"]);
    assert_eq!(shell["argv"], json!(["sh", "-c", "exit 5"]));
    // To look at one of several threads would keep the others from it.
    assert_eq!((&first["as_asked"], &shell["as_asked"]), (&Value::Null, &json!(true)));
    assert_eq!((&first["exit"], &shell["exit"]), (&Value::Null, &Value::Null), "how it ended is not how the first did");
}

/// Many threads that all become another program at once, with names that are no text: one does, and nobody waits for ever.
pub fn threads_that_begin_at_once_keep_nobody_waiting(who: Who) {
    const STORM: &str = r#"
import ctypes, os, sys, threading
libc = ctypes.CDLL(None)
for n in range(20):
    child = os.fork()
    if child == 0:
        wall = threading.Barrier(50)
        def go():
            libc.prctl(15, b"\xff\xfe\xff", 0, 0, 0)
            wall.wait()
            try:
                os.execv("/nosuch", ["nosuch"])
            except FileNotFoundError:
                pass
            wall.wait()
            os.execv("/bin/true", ["true"])
        for _ in range(50):
            threading.Thread(target=go, daemon=True).start()
        threading.Event().wait()
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0, status
"#;
    let begun = std::time::Instant::now();
    let done = python(&Scratch::new(who), STORM);
    assert_eq!(done.code(), 0, "{}", done.stderr);
    assert!(begun.elapsed() < std::time::Duration::from_secs(60), "{:?}", begun.elapsed());
    let ran = named(&done, "true").len() as u64;
    // What is not there may have been there a moment later: that was asked for it is counted.
    assert!(done.told["unlisted"]["count"].as_u64() >= Some(1_000), "{}", done.told);
    assert!(ran >= 20, "{}", done.told);
    assert!(named(&done, "true").iter().all(|p| p["as_asked"] == true), "{}", done.told);
}

/// A debugger has its own: that still works, and what it debugs is told as it was asked for.
pub fn what_is_debugged_is_told_as_it_was_asked_for(who: Who) {
    const DEBUGGER: &str = r#"
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
child = os.fork()
if child == 0:
    assert libc.ptrace(0, 0, None, None) == 0
    os.execv("/bin/cat", ["cat", "/nothing"])
_, status = os.waitpid(child, 0)
assert os.WIFSTOPPED(status), status
assert libc.ptrace(7, child, None, None) == 0
_, status = os.waitpid(child, 0)
assert os.WEXITSTATUS(status) == 1, status
"#;
    let done = python(&Scratch::new(who), DEBUGGER);
    assert_eq!(done.code(), 0, "{}", done.stderr);
    let [_, cat] = programs(&done) else { panic!("{}", done.told) };
    assert_eq!(cat["argv"], json!(["cat", "/nothing"]));
    assert_eq!((&cat["as_asked"], &cat["exe"], &cat["sha256"]), (&json!(true), &json!("/bin/cat"), &Value::Null));
    // By a link that leads elsewhere outside of the view than in it.
    let scratch = Scratch::new(who);
    let mine = scratch.tree().join("mine").display().to_string();
    let linked = DEBUGGER
        .replace("child = os.fork()", &format!("os.system('cp /bin/cat mine; ln -s {mine} link')\nchild = os.fork()"));
    let done = python(&scratch, &linked.replace("/bin/cat\", [", "link\", ["));
    assert_eq!(done.code(), 0, "{}", done.stderr);
    let [link] = named(&done, "cat")[..] else { panic!("{}", done.told) };
    assert_eq!((&link["as_asked"], &link["argv"]), (&json!(true), &json!(["cat", "/nothing"])));
}

pub fn too_many_are_counted(who: Who) {
    let done = Scratch::new(who).sh("seq 4200 | xargs -n 1 true");
    assert_eq!(done.code(), 0);
    assert_eq!(programs(&done).len(), 4096);
    // The shell, `seq` and `xargs` are among them.
    assert_eq!(done.told["unlisted"]["count"], 4200 + 3 - 4096);
}

/// What is killed in the middle of it keeps nobody waiting.
pub fn a_run_that_is_stopped_still_tells(who: Who) {
    let scratch = Scratch::new(who);
    let line = "while :; do (exec /bin/true) & (exec /bin/nosuch) 2>/dev/null & wait; done";
    let mut command = scratch.command("host", &["timeout", "-s", "KILL", "3", "sh", "-c", line]);
    let done = crate::runner::done(&command.output().expect("the driver runs"));
    assert_eq!(done.told["exit"], json!({ "signal": 9 }), "{}", done.told);
    assert!(named(&done, "/bin/true").len() > 1 && named(&done, "/bin/nosuch").is_empty(), "{}", done.told);
}
