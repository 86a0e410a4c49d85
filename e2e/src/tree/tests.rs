use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;
use std::time::{Duration, SystemTime};

use super::*;

fn make(dir: &std::path::Path) {
    fs::create_dir(dir.join("d")).unwrap();
    fs::write(dir.join("d/a"), "one").unwrap();
    fs::hard_link(dir.join("d/a"), dir.join("b")).unwrap();
    symlink("d/a", dir.join("s")).unwrap();
    fs::write(dir.join(std::ffi::OsStr::from_bytes(b"\xff\n\x1b[2J")), "odd").unwrap();
    let sparse = fs::File::create(dir.join("sparse")).unwrap();
    sparse.set_len(1 << 30).unwrap();
    std::os::unix::fs::FileExt::write_at(&sparse, b"x", 1 << 20).unwrap();
    assert!(Command::new("mkfifo").arg(dir.join("pipe")).status().unwrap().success());
    assert!(Command::new("setfattr").args(["-n", "user.k", "-v", "v"]).arg(dir.join("d")).status().unwrap().success());
}

fn capture(dir: &std::path::Path) -> Tree {
    Tree::capture(dir, CaptureOpts::default())
}

#[test]
fn the_same_tree_captured_twice_has_no_difference() {
    let t = tempfile::tempdir().unwrap();
    make(t.path());
    let tree = capture(t.path());
    assert_eq!(tree.diff(&capture(t.path()), &DiffOpts::default()), Vec::<String>::new());
    assert_eq!(tree.entries.len(), 8);
    assert_eq!(tree.entries[&b"d/a"[..]].link_group, b"b");
    assert_eq!(tree.entries[&b"d"[..]].xattrs[&b"user.k"[..]], b"v");
}

#[test]
fn every_kind_of_change_is_one_line() {
    type Change = fn(&std::path::Path);
    let changes: [(&str, Change, &[&str]); 9] = [
        ("content", |d| fs::write(d.join("d/a"), "two").unwrap(), &["content", "content"]),
        ("mode", |d| fs::set_permissions(d.join("sparse"), PermissionsExt::from_mode(0o600)).unwrap(), &["mode"]),
        ("xattr", |d| run("setfattr -x user.k", &d.join("d")), &["xattr user.k"]),
        ("target", |d| run("ln -sfn x", &d.join("s")), &["points to"]),
        ("type", |d| run("rm", &d.join("pipe")), &["fifo is gone"]),
        ("links", |d| run("rm", &d.join("b")), &["file is gone", "links", "same file as"]),
        ("hole", |d| run("fallocate -x -o 0 -l 4096", &d.join("sparse")), &[]),
        (
            "zeros",
            |d| run("dd status=none if=/dev/zero bs=4096 count=1 conv=notrunc", &d.join("sparse")),
            &["data segments"],
        ),
        ("acl", |d| run("setfacl -m u:12345:r", &d.join("sparse")), &["mode", "xattr system.posix_acl_access"]),
    ];
    for (name, change, expected) in changes {
        let t = tempfile::tempdir().unwrap();
        make(t.path());
        fs::set_permissions(t.path().join("sparse"), PermissionsExt::from_mode(0o604)).unwrap();
        let before = capture(t.path());
        change(t.path());
        let lines = before.diff(&capture(t.path()), &DiffOpts { no_mtime: true, ..DiffOpts::default() });
        assert_eq!(lines.len(), expected.len(), "{name}: {lines:?}");
        for (line, word) in lines.iter().zip(expected) {
            assert!(line.contains(word), "{name}: {line}");
        }
    }
}

fn run(line: &str, path: &std::path::Path) {
    let mut words = line.split(' ');
    let mut command = Command::new(words.next().unwrap());
    command.args(words);
    if line.starts_with("dd") {
        command.arg(format!("of={}", path.display()));
    } else {
        command.arg(path);
    }
    assert!(command.status().unwrap().success(), "{line}");
}

#[test]
fn times_are_compared_to_the_nanosecond_unless_both_are_new() {
    let t = tempfile::tempdir().unwrap();
    make(t.path());
    let file = fs::File::options().write(true).open(t.path().join("d/a")).unwrap();
    let old = SystemTime::UNIX_EPOCH + Duration::new(1_000_000_000, 1);
    file.set_modified(old).unwrap();
    let before = capture(t.path());
    file.set_modified(old + Duration::from_nanos(1)).unwrap();
    let after = capture(t.path());
    let diff = |since| before.diff(&after, &DiffOpts { mtime_since: since, ..DiffOpts::default() }).len();
    assert_eq!((diff(None), diff(Some(old)), diff(Some(old + Duration::from_nanos(1)))), (2, 0, 2));
}

#[test]
fn a_path_longer_than_the_kernel_takes_is_captured() {
    let t = tempfile::tempdir().unwrap();
    let script = "n=$(printf 'n%.0s' $(seq 250)); for i in $(seq 20); do mkdir $n; cd $n; done; echo deep > f";
    assert!(Command::new("bash").args(["-c", script]).current_dir(t.path()).status().unwrap().success());
    let tree = capture(t.path());
    assert_eq!(tree.entries.keys().map(Vec::len).max(), Some(20 * 251 + 1));
    assert_eq!(tree.entries.len(), 22);
    // `rm -rf` takes it apart by handles; the temp dir's own removal must not trip over it.
    assert!(Command::new("rm").arg("-rf").arg(t.path()).status().unwrap().success());
}
