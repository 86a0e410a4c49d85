//! The read lane on the running kernel: lines that write are taken for reads all the same, and end with the
//! tree as it was, an error of no right, and a hint that says so. `corpus/lane/` has the lines.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use crate::attacks::{NETWORKS, listeners, no_way_is_open};
use crate::runner::{Done, Scratch, Who, done};

#[derive(Deserialize)]
struct Writes {
    case: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    line: String,
    runs: Option<bool>,
}

#[derive(Deserialize)]
struct Reads {
    lines: Vec<String>,
}

/// What `writes.toml` says its lines find.
const FIXTURE: &str = r#"
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
printf 'b\na\nc\n' > a.txt; printf 'a\nb\n' > b.txt; printf 'a.txt\nnew.txt\n' > list.txt
mkdir dir; echo 1 > x.tmp; echo 2 > dir/x.tmp; echo '{"a": 1}' > data.json
tar cf a.tar b.txt; tar czf a.tgz b.txt; python3 -c "import zipfile; zipfile.ZipFile('a.zip', 'w').writestr('b.txt', 'z')"
printf -- '--- a.txt\n+++ a.txt\n@@ -1,3 +1,3 @@\n-b\n+B\n a\n c\n' > a.patch
echo 'touch out.txt' | base64 > a.b64; echo 'w out.txt' > script.sed; echo '{ print > "out.txt" }' > prog.awk
printf '#!/bin/sh\ntouch out.txt; cat\n' > pre.sh; chmod +x pre.sh; echo 'touch out.txt' > env.sh
printf '0 string x y\n' > magic; ln -s a.txt link
git init -q -b main; git add -A; git commit -q -m one; git tag v1; git branch old; git branch side; echo more >> b.txt
git stash -q; echo again >> b.txt; git worktree add -q ../gone side; rm -rf ../gone
"#;

/// A tree with everything that a write would change of it.
fn tree(dir: &Path) -> BTreeMap<PathBuf, String> {
    let mut all = BTreeMap::new();
    let mut todo = vec![dir.to_owned()];
    while let Some(path) = todo.pop() {
        let m = path.symlink_metadata().expect("it is there");
        if m.is_dir() {
            todo.extend(fs::read_dir(&path).expect("a directory").map(|e| e.expect("an entry").path()));
        }
        // Its change time moves with every write of content, owner, mode, attribute or name.
        let said =
            format!("{:o} {}:{} {} {} {}.{}", m.mode(), m.uid(), m.gid(), m.ino(), m.size(), m.ctime(), m.ctime_nsec());
        all.insert(path, said);
    }
    all
}

fn corpus<T: for<'a> Deserialize<'a>>(name: &str) -> T {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../corpus/lane").join(name);
    toml::from_str(&fs::read_to_string(path).expect("the corpus")).expect("a table")
}

fn fixture(who: Who) -> Scratch {
    let s = Scratch::reads(who);
    let made = plain(&s, &s.tree(), FIXTURE);
    assert!(made.status.success(), "{}", made.stderr.escape_ascii());
    s
}

/// A line in bash without Backstop, in `dir`.
fn plain(s: &Scratch, dir: &Path, line: &str) -> std::process::Output {
    let mut command = match s.who {
        Who::Root => Command::new("timeout"),
        Who::User => {
            let mut c = Command::new("setpriv");
            c.args(["--reuid=1000", "--regid=1000", "--clear-groups", "--", "timeout"]);
            c
        }
    };
    command.args(["20", "bash", "-c", line]).current_dir(dir).env("HOME", s.home()).env("LC_ALL", "C");
    command.env_remove("TMPDIR").stdin(std::process::Stdio::null()).output().expect("bash runs")
}

/// That the line is one that writes: what is refused has to be what bash would do. Only as a user.
fn writes(s: &Scratch, line: &str) -> bool {
    if s.who == Who::Root {
        return true;
    }
    let copy = s.home().join("copy");
    let copied = Command::new("cp").arg("-a").arg(s.tree()).arg(&copy).status().expect("cp runs");
    assert!(copied.success());
    let before = tree(&copy);
    plain(s, &copy, line);
    let wrote = tree(&copy) != before;
    fs::remove_dir_all(copy).expect("rm");
    wrote
}

/// The line in bash, as it would be taken for a read.
fn forced(s: &Scratch, line: &str) -> Done {
    let mut command = s.command("host", &["timeout", "20", "bash", "-c", line]);
    done(&command.env("LC_ALL", "C").env_remove("BASH_ENV").output().expect("the driver runs"))
}

/// The first program of a line that this machine lacks, by what bash said of it.
fn missing(d: &Done) -> bool {
    d.stderr.contains("command not found") || d.told["code"] == 127
}

const NO_RIGHT: [&str; 3] = ["Read-only file system", "Permission denied", "Operation not permitted"];

pub fn what_would_write_is_refused_and_told(who: Who) {
    let s = fixture(who);
    let (mut table, mut wrong, mut idle) = (Vec::new(), Vec::new(), Vec::new());
    for case in corpus::<Writes>("writes.toml").case.into_iter().filter(|c| c.runs != Some(false)) {
        if !writes(&s, &case.line) {
            println!("NOT RUN {}: it writes nothing here", case.line);
            idle.push(case.line);
            continue;
        }
        let before = tree(&s.tree());
        let d = forced(&s, &case.line);
        if missing(&d) {
            println!("NOT RUN {}: a program is missing", case.line);
            continue;
        }
        let said = NO_RIGHT.iter().find(|e| d.stderr.lines().rev().skip(1).any(|l| l.contains(**e)));
        let hint = d.told["hint"].as_str().unwrap_or_default().to_owned();
        let unlike = tree(&s.tree()) != before;
        if unlike {
            wrong.push(format!("{}: the tree is another\n{}", case.line, d.stderr));
        }
        if !hint.contains("backstop run --rehearse") {
            wrong.push(format!("{}: no hint\n{}", case.line, d.stderr));
        }
        table.push((case.line, d.code(), said.copied().unwrap_or("-"), hint.contains("was refused to write")));
    }
    println!("{:<72} {:>4}  {:<24} told which", "line taken for a read", "exit", "error");
    for (line, code, said, told) in &table {
        println!("{line:<72} {code:>4}  {said:<24} {}", if *told { "yes" } else { "-" });
    }
    let refused = table.iter().filter(|(_, _, said, _)| *said != "-").count();
    let told = table.iter().filter(|(_, _, _, told)| *told).count();
    println!("{} lines: {refused} say an error of no right, {told} are told what was refused", table.len());
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(table.len() >= 90 && refused >= 80, "{refused} of {}; idle: {idle:#?}", table.len());
}

pub fn what_only_reads_says_what_it_says_without_backstop(who: Who) {
    // What is never twice the same, or tells of the processes and mounts that the view has its own of.
    const VARIES: [&str; 12] =
        ["date", "ps ", "top ", "pgrep", "env", "df ", "lsof", "nproc", "ls -la", "time ", "id", "cd dir && ls -la"];
    let s = fixture(who);
    let before = tree(&s.tree());
    let (mut wrong, mut ran) = (Vec::new(), 0);
    for line in corpus::<Reads>("reads.toml").lines {
        let d = forced(&s, &line);
        if missing(&d) || d.told["code"].is_null() {
            continue;
        }
        ran += 1;
        // In a home where they never ran these make a directory for their settings, and do well without.
        let first = ["top ", "rustc "].iter().any(|p| line.starts_with(p));
        if let Some(hint) = d.told["hint"].as_str().filter(|h| !first && h.contains("was refused to write")) {
            wrong.push(format!("{line}: {hint}"));
        }
        let plain = plain(&s, &s.tree(), &line);
        let said = String::from_utf8_lossy(&plain.stdout);
        let same = said == d.stdout && plain.status.code().map(i64::from) == d.told["code"].as_i64();
        if !same && !VARIES.iter().any(|v| line.starts_with(v)) {
            wrong.push(format!("{line}: {:?} and not {:?}", d.stdout, said));
        }
    }
    // Plain git refreshes its index where the lane can't.
    let now = tree(&s.tree());
    let other: Vec<_> = now.iter().filter(|(p, v)| before.get(*p) != Some(v)).map(|(p, _)| p).collect();
    assert!(other.iter().all(|p| p.ends_with(".git") || p.ends_with("index")), "{other:?}");
    assert!(wrong.is_empty(), "{} wrong of {ran}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(ran >= 60, "{ran}");
}

pub fn nothing_leads_out_while_only_reading(who: Who) {
    no_way_is_open(&Scratch::reads(who));
}

pub fn sockets_of_the_machine_are_shut_while_only_reading(who: Who) {
    shut_sockets(&Scratch::reads(who));
}

/// Sockets, pipes and processes of the machine, in the tree and nowhere: none is reached.
pub fn shut_sockets(s: &Scratch) {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};
    let name = format!("backstop-lane-{}", std::process::id());
    let _path = UnixListener::bind(s.tree().join("path.sock")).expect("bind");
    let _datagram = UnixDatagram::bind(s.tree().join("datagram.sock")).expect("bind");
    let _abstract = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).expect("a name")).expect("bind");
    let made = Command::new("mkfifo").args(["-m", "666"]).arg(s.tree().join("pipe")).status().expect("mkfifo runs");
    assert!(made.success());
    // A reader outside, so that whoever opens the pipe for writing has somebody to write to.
    let mut reader = Command::new("timeout").args(["20", "cat"]).arg(s.tree().join("pipe")).spawn().expect("cat");
    s.own();
    let script = format!(
        "import os, socket\n\
         for kind, a in ((1, 'path.sock'), (2, 'datagram.sock'), (1, '\\0{name}')):\n\
         \x20   try: socket.socket(socket.AF_UNIX, kind).connect(a); print('open', a)\n\
         \x20   except OSError: pass\n\
         try: os.write(os.open('pipe', os.O_WRONLY | os.O_NONBLOCK), b'order'); print('open pipe')\n\
         except OSError: pass\n\
         a, b = socket.socketpair(); a.send(b'x'); print('pairs work', b.recv(1))\n"
    );
    let d = s.run(&["python3", "-c", &script]);
    // By a signal that it hands on: killed outright it would leave its child.
    Command::new("kill").arg(reader.id().to_string()).status().expect("kill");
    reader.wait().expect("wait");
    assert_eq!(d.stdout, "pairs work b'x'\n", "{}", d.stderr);
    // Signals too.
    let mut other = Command::new("sleep").arg("60").spawn().expect("starts");
    let d = s.sh(&format!("kill -9 {} && echo reached; kill -9 -1 2>/dev/null; echo end", other.id()));
    assert!(other.try_wait().expect("wait").is_none(), "still alive");
    other.kill().expect("kill");
    other.wait().expect("wait");
    assert_eq!(d.stdout, "end\n", "{}", d.stderr);
}

pub fn no_network_is_there_while_only_reading_without_one(who: Who) {
    let s = Scratch::reads(who);
    let ports = listeners();
    let mut argv = vec!["python3", "-c", NETWORKS];
    argv.extend(ports.iter().map(String::as_str));
    let d = done(&s.command("none", &argv).output().expect("runs"));
    assert_eq!(d.stdout, "tried\n", "{}", d.stderr);
}
