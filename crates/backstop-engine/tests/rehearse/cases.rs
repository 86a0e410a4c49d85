//! What a rehearsal keeps of plain execution, and what it leaves behind.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::runner::{Scratch, Who, done};

pub fn a_delete_through_a_link_stays_in_the_upper(who: Who) {
    let s = Scratch::new(who);
    let (data, web) = (s.home().join("data"), s.tree().join("web"));
    fs::create_dir(&data).expect("mkdir");
    fs::create_dir(&web).expect("mkdir");
    fs::write(data.join("db"), "precious").expect("write");
    symlink(&data, web.join("temp")).expect("symlink");
    s.own();
    let d = s.sh("rm -rf web/temp/ web/temp/*; test ! -e web/temp/db");
    assert_eq!(d.code(), 0, "{}", d.stderr);
    assert_eq!(fs::read(data.join("db")).expect("still there"), b"precious");
    let white = s.upper(&d, &data.join("db"));
    let meta = fs::symlink_metadata(&white).expect("a whiteout");
    assert!(meta.file_type().is_char_device() && meta.rdev() == 0, "{meta:?}");
}

pub fn codes_and_signals_come_out_as_they_are(who: Who) {
    let s = Scratch::new(who);
    fs::write(s.tree().join("script"), "exit 9").expect("write");
    for (argv, exit) in [
        (vec!["true"], json!({"code": 0})),
        (vec!["sh", "-c", "exit 42"], json!({"code": 42})),
        (vec!["sh", "-c", "kill -9 $$"], json!({"signal": 9})),
        (vec!["sh", "-c", "kill -TERM $$"], json!({"signal": 15})),
        (vec!["no-such-command-here"], json!({"code": 127})),
        (vec!["./script"], json!({"code": 126})),
        (vec!["/etc"], json!({"code": 126})),
    ] {
        s.clear();
        let d = s.run(&argv);
        assert_eq!(d.told["exit"], exit, "{argv:?} {}", d.stderr);
        let started = !matches!(d.code(), 126 | 127);
        assert_eq!(d.told["not_started"].is_null(), started, "{argv:?}");
    }
}

pub fn a_file_without_a_format_is_given_to_sh(who: Who) {
    let s = Scratch::new(who);
    fs::write(s.tree().join("script"), "exit 9").expect("write");
    fs::set_permissions(s.tree().join("script"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("chmod");
    assert_eq!(s.run(&["./script"]).code(), 9);
}

pub fn the_surroundings_are_the_callers(who: Who) {
    let s = Scratch::new(who);
    let line = "pwd; umask; ulimit -n; printf '%s|' \"$FOO\" \"$BAR\"; env | grep -c BACKSTOP; nice; \
                python3 -c 'import signal; print(signal.getsignal(signal.SIGPIPE) == signal.SIG_IGN, \
                sorted(map(int, signal.pthread_sigmask(0, []))))'; \
                grep -E 'Sig(Blk|Ign)' /proc/self/status";
    let plain = |argv: &[&str]| {
        let mut c = std::process::Command::new("sh");
        c.args(["-c", "umask 027; ulimit -n 123; exec nice -n 3 \"$@\"", "sh"]).args(argv);
        c.current_dir(s.tree()).env("HOME", s.home()).env("FOO", "a\nb").env("BAR", "").stdin(Stdio::null());
        c.env_remove("TMPDIR");
        c.output().expect("runs")
    };
    let bare = plain(&["sh", "-c", line]);
    let inner = s.command("host", &["sh", "-c", line]);
    let mut argv = vec![inner.get_program().to_str().expect("text")];
    argv.extend(inner.get_args().map(|a| a.to_str().expect("text")));
    let d = done(&plain(&argv));
    assert_eq!(d.stdout, String::from_utf8(bare.stdout).expect("text"), "{}", d.stderr);
}

pub fn what_outlives_the_command_is_stopped_and_told(who: Who) {
    let s = Scratch::new(who);
    let start = Instant::now();
    let d = s.sh("sleep 300 & (trap '' TERM; exec sleep 301) & sleep 0.03 & exit 5");
    assert_eq!(d.code(), 5);
    let names: Vec<_> = d.told["left_behind"].as_array().expect("a list").iter().map(|l| l["name"].clone()).collect();
    assert_eq!(names, ["sleep", "sleep"], "{}", d.stderr);
    assert!(start.elapsed() < Duration::from_secs(3));
}

pub fn killing_backstop_kills_the_run(who: Who) {
    let s = Scratch::new(who);
    let mark = format!("31{}", std::process::id());
    let mut child = s.command("host", &["sh", "-c", &format!("sleep {mark} & sleep {mark}")]).spawn().expect("starts");
    let alive = || {
        fs::read_dir("/proc")
            .expect("proc")
            .flatten()
            .filter_map(|e| fs::read(e.path().join("cmdline")).ok())
            .filter(|c| c.starts_with(b"sleep\0") && c.windows(mark.len()).any(|w| w == mark.as_bytes()))
            .count()
    };
    let until = |wanted: usize| {
        let end = Instant::now() + Duration::from_secs(5);
        while alive() != wanted && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(alive(), wanted);
    };
    until(2);
    child.kill().expect("kill");
    child.wait().expect("wait");
    until(0);
}

pub fn a_termination_ends_the_run_with_an_error(who: Who) {
    let s = Scratch::new(who);
    let child =
        s.command("host", &["sleep", "60"]).stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("starts");
    std::thread::sleep(Duration::from_millis(400));
    let ok = std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status().expect("kill");
    assert!(ok.success());
    let d = done(&child.wait_with_output().expect("ends"));
    assert_eq!(d.error(), "interrupted by signal 15");
    assert!(!s.state().join("vault/r-000007").exists(), "what it wrote is cleared away");
}

pub fn standard_input_moves_on_for_the_caller(who: Who) {
    let s = Scratch::new(who);
    fs::write(s.tree().join("input"), "one\ntwo\nthree\n").expect("write");
    let inner =
        s.command("host", &["sh", "-c", "head -c 4 >/dev/null; echo over >/proc/self/fd/0; chmod 600 /proc/self/fd/0"]);
    let mut c = std::process::Command::new("sh");
    c.args(["-c", "(\"$@\"; cat) < input", "sh"]).arg(inner.get_program()).args(inner.get_args());
    let out = c.current_dir(s.tree()).env("HOME", s.home()).env_remove("TMPDIR").output().expect("runs");
    assert_eq!(String::from_utf8(out.stdout).expect("text"), "two\nthree\n");
    assert_eq!(
        fs::read_to_string(s.tree().join("input")).expect("read"),
        "one\ntwo\nthree\n",
        "the real one is untouched"
    );
    assert_eq!(fs::metadata(s.tree().join("input")).expect("stat").mode() & 0o777, 0o644);
}

pub fn a_directory_as_a_stream_is_refused(who: Who) {
    let s = Scratch::new(who);
    let dir = fs::File::open("/").expect("open");
    let d = done(&s.command("host", &["true"]).stdin(dir).output().expect("runs"));
    assert!(d.error().contains("descriptor 0 is a directory"), "{}", d.error());
}

pub fn a_file_that_could_be_opened_anew_for_writing_is_refused(who: Who) {
    let s = Scratch::new(who);
    let path = s.tree().join("victim");
    let attack = ["sh", "-c", "echo evil > /proc/self/fd/1; echo evil > /proc/self/fd/0; true"];
    fs::write(&path, "old").expect("write");
    s.own();
    let read_only = || fs::File::open(&path).expect("open");
    let d = done(&s.command("host", &attack).stdout(read_only()).output().expect("runs"));
    assert!(d.error().contains("descriptor 1 is a file that is open for reading only"), "{}", d.error());
    // Opened by a name that is gone, while the file has another.
    let other = s.tree().join("other");
    fs::hard_link(&path, &other).expect("link");
    let by_other = fs::File::open(&other).expect("open");
    fs::remove_file(&other).expect("rm");
    s.clear();
    let d = done(&s.command("host", &attack).stdin(by_other).output().expect("runs"));
    assert!(d.error().contains("descriptor 0 is a file that has another name"), "{}", d.error());
    assert_eq!(fs::read_to_string(&path).expect("read"), "old");
    // Without any name it belongs to whoever holds it, like a shell's here-document.
    let held = read_only();
    fs::remove_file(&path).expect("rm");
    s.clear();
    let d = done(&s.command("host", &["cat"]).stdin(held).output().expect("runs"));
    assert_eq!(d.stdout, "old");
}

pub fn a_hidden_working_directory_is_a_clear_error(who: Who) {
    let s = Scratch::new(who);
    fs::create_dir(s.state().join("sub")).expect("mkdir");
    s.own();
    let mut c = s.command("host", &["true"]);
    let d = done(&c.current_dir(s.state().join("sub")).output().expect("runs"));
    assert!(d.error().contains("is not there inside the view"), "{}", d.error());
}

pub fn only_pipes_are_inherited(who: Who) {
    let s = Scratch::new(who);
    let inner = s.command("host", &["sh", "-c", "ls /proc/self/fd | tr '\\n' ' '"]);
    let mut c = std::process::Command::new("bash");
    c.args(["-c", "exec 7</etc/passwd 8< <(sleep 1) 9</; exec \"$@\"", "bash"])
        .arg(inner.get_program())
        .args(inner.get_args());
    let d = done(
        &c.current_dir(s.tree())
            .env("HOME", s.home())
            .env_remove("TMPDIR")
            .stdin(Stdio::null())
            .output()
            .expect("runs"),
    );
    let open: Vec<&str> = d.stdout.split_whitespace().collect();
    // 3 is the directory that `ls` reads; bash keeps a second end of the pipe somewhere high.
    assert!(open.starts_with(&["0", "1", "2"]) && open.contains(&"8"), "{open:?} {}", d.stderr);
    assert!(!open.contains(&"7") && !open.contains(&"9"), "{open:?}");
}

/// The command, stopped when it has written more than 20 MB.
fn limited(s: &Scratch, net: &str, argv: &[&str]) -> std::process::Command {
    let plain = s.command(net, argv);
    let args: Vec<_> = plain.get_args().map(|a| if a == "-" { "20000000".into() } else { a.to_owned() }).collect();
    let mut limited = std::process::Command::new(plain.get_program());
    limited.args(args).current_dir(s.tree()).env("HOME", s.home()).stdin(Stdio::null());
    limited
}

/// What others free meanwhile hides nothing.
pub fn too_much_is_stopped_while_others_free_as_much(who: Who) {
    let s = Scratch::new(who);
    let others = s.home().join("others");
    std::fs::write(&others, vec![1; 200 << 20]).expect("written");
    std::fs::File::open(&others).expect("open").sync_all().expect("synced");
    let script = "sleep 0.5; head -c 80M /dev/zero > big; sync -d big; sleep 20";
    let start = Instant::now();
    let run = limited(&s, "host", &["sh", "-c", script]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let run = run.expect("runs");
    std::thread::sleep(std::time::Duration::from_millis(200));
    std::fs::remove_file(&others).expect("removed");
    let d = done(&run.wait_with_output().expect("ends"));
    assert_eq!(d.error(), "stopped: the command wrote more than 20000000 bytes");
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
}

pub fn too_much_is_stopped(who: Who) {
    let s = Scratch::new(who);
    let mut c = limited(&s, "host", &["sh", "-c", "head -c 80M /dev/zero > big; sync -d big; sleep 20"]);
    let start = Instant::now();
    let d = done(&c.output().expect("runs"));
    assert_eq!(d.error(), "stopped: the command wrote more than 20000000 bytes");
    assert!(start.elapsed() < Duration::from_secs(10));
}

pub fn too_much_is_stopped_while_it_connects_without_pause(who: Who) {
    let s = Scratch::new(who);
    let script = "
import socket, time
big, until = open('big', 'wb'), time.time() + 20
for _ in range(80): big.write(bytes(1 << 20))
big.flush(); __import__('os').fsync(big.fileno())
while time.time() < until:
    try: socket.socket(socket.AF_UNIX).connect('nobody')
    except OSError: pass
    time.sleep(0.05)
";
    let start = Instant::now();
    let d = done(&limited(&s, "none", &["python3", "-c", script]).output().expect("runs"));
    assert_eq!(d.error(), "stopped: the command wrote more than 20000000 bytes");
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
}

pub fn inside_knows_it_is_inside(who: Who) {
    let s = Scratch::new(who);
    let d = s.sh("cat /run/backstop/inside; echo x > /run/backstop/inside || rm /run/backstop/inside || exit 3");
    assert_eq!(d.stdout, r#"{"run":"r-000007","session":null,"workspace":null}"#);
    assert_eq!(d.code(), 3);
}
