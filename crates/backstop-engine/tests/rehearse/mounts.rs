//! Views of machines with further mounts, each made in a mount namespace of the case's own.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::runner::{Done, Scratch, Who};

fn cover<'a>(done: &'a Done, path: &Path) -> &'a Value {
    let mounts = done.told["mounts"].as_array().expect("mounts");
    let found = mounts.iter().rfind(|m| m["path"].as_str() == path.to_str());
    &found.unwrap_or_else(|| panic!("{} is not told: {:#}", path.display(), done.told["mounts"]))["cover"]
}

pub fn a_tmpfs_has_a_layer_and_a_vault_of_its_own(who: Who) {
    let s = Scratch::new(who);
    let mem = s.tree().join("mem");
    fs::create_dir(&mem).expect("mkdir");
    let d = s.sh_with_mounts(
        "mount -t tmpfs -o mode=777 x mem; echo real > mem/f; chown -R 1000:1000 mem",
        "rm mem/f && echo new > mem/g && ls mem && touch beside",
    );
    let beside = d.code();
    assert_eq!(d.stdout, "g\n", "{}", d.stderr);
    assert_eq!(cover(&d, &mem)["as"], "overlay");
    let layer = d.told["layers"].as_array().expect("layers").iter().find(|l| l["point"].as_str() == mem.to_str());
    let upper = layer.expect("a layer")["upper"].as_str().expect("text").to_owned();
    assert!(upper.starts_with(mem.to_str().expect("text")), "its vault lies on it: {upper}");
    // Without root, what has a mount beneath can't be covered as a whole.
    assert_eq!(beside, i64::from(who == Who::User), "{}", d.stderr);
}

pub fn a_bind_mount_leads_to_the_same_files(who: Who) {
    if who == Who::User {
        // A bind is a mount like any other there, with a layer of its own.
        return;
    }
    let s = Scratch::new(who);
    let (nas, data) = (s.tree().join("nas"), s.tree().join("www/data"));
    fs::create_dir_all(&nas).expect("mkdir");
    fs::create_dir_all(&data).expect("mkdir");
    fs::write(nas.join("f"), "precious").expect("write");
    let d = s.sh_with_mounts(
        "mount --bind nas www/data",
        "cat www/data/f; rm -rf www/data/*; ls nas; echo x > www/data/new; cat nas/new",
    );
    assert_eq!(d.stdout, "preciousx\n", "one directory under two names: {}", d.stderr);
    assert_eq!(fs::read(nas.join("f")).expect("still there"), b"precious");
    assert_eq!(cover(&d, &data)["as"], "overlay");
    assert!(s.upper(&d, &nas.join("new")).exists(), "the change lies where the directory really is");
    assert!(!s.upper(&d, &data).join("new").exists());
}

pub fn read_only_mounts_stay_read_only(who: Who) {
    let s = Scratch::new(who);
    let ro = s.tree().join("ro");
    fs::create_dir(&ro).expect("mkdir");
    let d = s.sh_with_mounts(
        "mount -t tmpfs x ro; echo there > ro/f; mount -o remount,ro ro",
        "cat ro/f; echo x > ro/g || echo refused",
    );
    assert_eq!(d.stdout, "there\nrefused\n", "{}", d.stderr);
    assert_eq!(cover(&d, &ro)["as"], "read-only");
}

/// The kernel mounts an overlay read-only, without a word, where it has no room for its own names.
pub fn what_a_full_disk_makes_read_only_is_told(who: Who) {
    if who == Who::User {
        return;
    }
    let mut told = 0;
    for free in (4..16).chain([40]) {
        let s = Scratch::new(who);
        let mem = s.tree().join("mem");
        fs::create_dir(&mem).expect("mkdir");
        let mount = format!("mount -t tmpfs -o nr_inodes={free} x mem; echo there > mem/f");
        let d = s.sh_with_mounts(&mount, "cat mem/f; LC_ALL=C chmod 600 mem/f");
        assert_eq!(d.stdout, "there\n", "{free}: {} {}", d.told, d.stderr);
        let read_only = d.stderr.contains("Read-only file system");
        assert_eq!(cover(&d, &mem)["as"] == "read-only", read_only, "{free}: {} {}", cover(&d, &mem), d.stderr);
        told += u32::from(read_only);
    }
    assert_eq!(told, 12, "forty names are enough");
}

pub fn a_disk_below_run_is_there(who: Who) {
    let s = Scratch::new(who);
    // A loop file would need a device; a bind of a directory is a disk's mount as well.
    let d = s.sh_with_mounts(
        "mount -t tmpfs x /run; mkdir -p /run/media/disk; echo there > f; mount --bind . /run/media/disk",
        "cat /run/media/disk/f; ls -A /run/lock; test -d /run/user/$(id -u) && echo private",
    );
    let expected = if who == Who::Root { "there\nprivate\n" } else { "private\n" };
    assert_eq!(d.stdout, expected, "{}", d.stderr);
}

pub fn a_bind_mount_with_a_shorter_path_than_its_source_works(who: Who) {
    if who == Who::User {
        return;
    }
    let s = Scratch::new(who);
    for name in ["b", "disk-with-a-long-name"] {
        fs::create_dir(s.tree().join(name)).expect("mkdir");
    }
    let d = s.sh_with_mounts(
        "mount -t tmpfs x disk-with-a-long-name; mkdir -p disk-with-a-long-name/sub/inner; \
         mount --bind disk-with-a-long-name/sub b; mount -t tmpfs y b/inner; echo y > b/inner/f",
        "echo one > b/f; cat disk-with-a-long-name/sub/f; cat b/inner/f; ls disk-with-a-long-name/sub/inner",
    );
    assert_eq!(d.stdout, "one\ny\n", "{}", d.stderr);
    let layers = d.told["layers"].as_array().expect("layers");
    assert_eq!(layers.len(), 3, "/, the disk and the inner one: {layers:#?}");
}

pub fn a_file_mounted_on_a_file_is_read_only(who: Who) {
    let s = Scratch::new(who);
    fs::write(s.tree().join("a"), "a").expect("write");
    fs::write(s.tree().join("b"), "b").expect("write");
    s.own();
    let d = s
        .sh_with_mounts("mount --bind /etc/hostname b", "cmp b /etc/hostname && echo same; echo x > b || echo refused");
    let expected = if who == Who::User { "same\nrefused\n" } else { "same\n" };
    assert_eq!(d.stdout, expected, "{}", d.stderr);
    assert_ne!(fs::read("/etc/hostname").expect("read"), b"x\n");
}

pub fn a_machine_that_allows_no_view_is_refused_with_advice(who: Who) {
    if who == Who::User {
        // Root in name only is an ordinary user already.
        return;
    }
    let s = Scratch::new(who);
    s.clear();
    // In a user namespace that may make no further one, root is root in name only.
    let inner = s.command("host", &["true"]);
    let mut command = std::process::Command::new("unshare");
    command.args(["-Ur", "-m", "sh", "-ec", "echo 0 > /proc/sys/user/max_user_namespaces; exec \"$@\"", "sh"]);
    command.arg(s.dir.path().join("driver")).args(inner.get_args().skip_while(|a| *a != "--driver"));
    command.current_dir(s.tree()).env("HOME", s.home()).stdin(std::process::Stdio::null());
    let d = crate::runner::done(&command.output().expect("unshare runs"));
    assert!(d.error().starts_with("no copy-on-write view can be made here: "), "{}", d.error());
    assert!(d.error().contains("a new user namespace: No space left on device"), "{}", d.error());
}

pub fn a_root_that_gets_only_a_users_view_is_told_why(who: Who) {
    if who == Who::User {
        return;
    }
    let s = Scratch::new(who);
    s.clear();
    // Root in name only: its own view can't be had, a user's can.
    let inner = s.command("host", &["true"]);
    let mut command = std::process::Command::new("unshare");
    command.args(["-Ur", "-m", "sh", "-ec", "exec \"$@\"", "sh"]);
    command.arg(s.dir.path().join("driver")).args(inner.get_args().skip_while(|a| *a != "--driver"));
    command.current_dir(s.tree()).env("HOME", s.home()).stdin(std::process::Stdio::null());
    let d = crate::runner::done(&command.output().expect("unshare runs"));
    assert_eq!(d.code(), 0, "{}", d.stderr);
    let notes = d.told["notes"].as_array().expect("a list");
    let told = notes.iter().filter_map(|n| n.as_str()).find(|n| n.starts_with("root's own view can't be had here"));
    assert!(told.is_some_and(|t| t.contains("overlay") || t.contains("namespace")), "{notes:?}");
}

pub fn a_bind_mount_does_not_lead_to_what_is_hidden(who: Who) {
    let s = Scratch::new(who);
    for name in ["whole", "inner"] {
        fs::create_dir(s.tree().join(name)).expect("mkdir");
    }
    fs::write(s.state().join("secret"), "x").expect("write");
    s.own();
    let d = s.sh_with_mounts(
        "mount --bind .. whole; mkdir -p ../state/vault; mount --bind ../state/vault inner",
        "ls -A ../state whole/state inner | grep -v : | grep .; rm -rf whole/state inner; touch whole/state/x || echo refused",
    );
    assert_eq!(d.stdout, "refused\n", "{}", d.stderr);
    assert!(s.state().join("secret").exists());
}
