//! Commands in place on the running kernel: what they write in their own place is there at once, and nothing
//! else can be written, reached or planted.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use crate::attacks::no_way_is_open;
use crate::lane::shut_sockets;
use crate::runner::{Scratch, Who};

/// A tree with a repository, an agent's settings, and a link that leads out.
fn place(who: Who) -> Scratch {
    let s = Scratch::in_place(who);
    for dir in [".git", ".claude", "src", "mnt", "gone"] {
        fs::create_dir(s.tree().join(dir)).expect("mkdir");
    }
    for file in [".git/config", ".claude/settings.json", "src/main", "gone/old"] {
        fs::write(s.tree().join(file), "old").expect("write");
    }
    fs::create_dir(s.home().join("data")).expect("mkdir");
    fs::write(s.home().join("data/row"), "old").expect("write");
    symlink("../data", s.tree().join("out")).expect("link");
    s.own();
    s
}

pub fn its_own_place_is_written_at_once_and_nothing_else_at_all(who: Who) {
    let s = place(who);
    let line = "
        echo new > src/main; mkdir dist; echo made > dist/a; mv dist/a dist/b; rm -r gone
        mkfifo pipe; (echo through > pipe) & cat pipe
        for place in out/row .git/config .git/x .claude/settings.json ../data/row ../x /x mnt/row; do
            (echo lost > $place) 2>/dev/null && echo wrote $place
        done
        rm -rf out/* .git .claude ../data mnt/* 2>/dev/null; mv .git g 2>/dev/null && echo moved; ln ../data/row here 2>/dev/null && echo linked
        cat src/main .git/config mnt/row";
    let mounts = "mount -t tmpfs -o mode=777 x mnt; printf ' old' > mnt/row; chmod 666 mnt/row";
    let d = s.sh_with_mounts(mounts, line);
    assert_eq!(d.stdout, "through\nnew\nold old", "{}", d.stderr);
    let read = |path: &str| fs::read_to_string(s.tree().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"));
    assert_eq!((read("src/main").as_str(), read("dist/b").as_str()), ("new\n", "made\n"), "it is on the disk");
    assert!(!s.tree().join("gone").exists() && !s.tree().join("g").exists());
    for kept in [".git/config", ".claude/settings.json", "out/row", "../data/row"] {
        assert_eq!(read(kept), "old", "{kept}");
    }
    assert!(d.told["layers"].as_array().expect("a list").is_empty(), "nothing was rehearsed");
}

pub fn nothing_leads_out_in_place(who: Who) {
    no_way_is_open(&Scratch::in_place(who));
}

pub fn sockets_of_the_machine_are_shut_in_place(who: Who) {
    shut_sockets(&Scratch::in_place(who));
}

pub fn what_sets_up_an_agent_is_not_planted(who: Who) {
    let s = place(who);
    for (line, waits) in [("mkdir -p .codex; echo '{}' > .codex/hooks.json; sleep 60", true), ("touch .codex", false)] {
        let began = Instant::now();
        let d = s.sh(line);
        assert!(d.error().contains("made or replaced") && d.error().contains(".codex"), "{line}: {}", d.told);
        assert!(!waits || began.elapsed() < Duration::from_secs(20), "it was stopped, not waited for");
        let path = s.tree().join(".codex");
        if path.is_dir() { fs::remove_dir_all(path).expect("rm") } else { fs::remove_file(path).expect("rm") }
    }
    assert_eq!(s.sh("echo fine > src/main").code(), 0);
}

pub fn what_sets_up_an_agent_is_not_replaced(who: Who) {
    let s = place(who);
    // A link is no file that could be covered: it leads to one that is.
    fs::rename(s.tree().join(".claude"), s.tree().join("dots")).expect("mv");
    symlink("dots", s.tree().join(".claude")).expect("link");
    s.own();
    let d = s.sh("(echo lost > dots/settings.json) 2>/dev/null || echo shut; (echo lost > .claude/settings.json) 2>/dev/null || echo shut");
    assert_eq!(d.stdout, "shut\nshut\n", "{}", d.stderr);
    let began = Instant::now();
    let d = s.sh("rm .claude; mkdir .claude; echo lost > .claude/settings.json; sleep 60");
    assert!(d.error().contains("made or replaced") && d.error().contains(".claude"), "{}", d.told);
    assert!(began.elapsed() < Duration::from_secs(20), "it was stopped, not waited for");
    assert_eq!(fs::read_to_string(s.tree().join("dots/settings.json")).expect("there"), "old");
}

/// Where others keep things as well, it sees an empty place of its own.
pub fn a_shared_place_is_its_own(who: Who) {
    let s = place(who);
    let theirs = tempfile::NamedTempFile::new_in("/tmp").expect("a file");
    let name = theirs.path().display();
    let d = s.sh(&format!("cat {name} 2>/dev/null && echo seen; rm -f {name}; echo mine > /tmp/mine && cat /tmp/mine"));
    assert_eq!(d.stdout, "mine\n", "{}", d.stderr);
    assert!(theirs.path().exists() && !fs::exists("/tmp/mine").expect("a look"));
}

pub fn the_machine_is_as_ever_to_a_server(who: Who) {
    let s = place(who);
    let server = "import socket, subprocess, tempfile
l = socket.socket(); l.bind(('127.0.0.1', 0)); l.listen()
u = socket.socket(socket.AF_UNIX); u.bind('own.sock'); u.listen()
c = socket.socket(); c.connect(l.getsockname()); d = socket.socket(socket.AF_UNIX); d.connect('own.sock')
open('log', 'w').write('served'); print(subprocess.check_output(['cat', 'log']).decode())
open('/dev/null', 'w').write('x'); open('/dev/shm/x', 'w').write('x')";
    let d = s.run(&["python3", "-c", server]);
    assert_eq!((d.stdout.as_str(), d.code()), ("served\n", 0), "{}", d.stderr);
    assert!(!fs::exists("/dev/shm/x").expect("a look"), "what is private stays so");
}

/// Where the tree is a file system of its own, with so much room.
fn mounted(size: &str) -> String {
    format!("mount -t tmpfs -o mode=777,size={size} x \"$PWD\" && cd \"$PWD\"")
}

pub fn a_disk_that_runs_full_ends_it(who: Who) {
    let s = Scratch::in_place(who);
    let began = Instant::now();
    let d = s.sh_with_mounts(&mounted("40m"), "head -c 30M /dev/zero > big; sleep 60");
    assert!(d.error().contains("bytes free"), "{}", d.told);
    assert!(began.elapsed() < Duration::from_secs(20), "it was stopped, not waited for");
}

/// Others are rehearsed while it runs: what would be their vault is shut before anything is in it.
pub fn vaults_that_are_not_there_yet_are_shut(who: Who) {
    let s = Scratch::in_place(who);
    let line = "v=.backstop-$(id -u); test -d $v && echo there; (echo x > $v/x) 2>/dev/null && echo wrote
        rm -rf $v 2>/dev/null; mv $v w 2>/dev/null && echo moved; ls -A $v; echo end";
    let d = s.sh_with_mounts(&mounted("100m"), line);
    assert_eq!(d.stdout, "there\nend\n", "{}", d.stderr);
}
