use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;

use backstop_sys::process;

use super::*;

fn spec(root: &std::path::Path) -> Volume {
    Volume {
        fs: "ext4".into(),
        root: Bytes::from(root),
        vault: Bytes::from("vault"),
        vault_id: String::new(),
        volatile: false,
    }
}

fn scratch() -> (tempfile::TempDir, OpenVolume) {
    let dir = tempfile::tempdir().expect("a directory");
    let volume = OpenVolume::create(spec(dir.path()), process::own_ids().0).expect("a volume");
    (dir, volume)
}

#[test]
fn a_volume_is_found_again_by_its_vaults_name() {
    let (dir, volume) = scratch();
    let spec = volume.spec().clone();
    drop(volume);
    assert_eq!(reopen(&spec).expect("the same").spec(), &spec);
    let other = Volume { vault_id: "0".repeat(32), ..spec.clone() };
    assert!(matches!(reopen(&other), Err(VolumeError::Different { .. })));
    let memory = Volume { volatile: true, ..other };
    assert!(matches!(reopen(&memory), Err(VolumeError::Gone { volatile: true, .. })));
    fs::remove_dir_all(dir.path()).expect("rm");
    assert!(matches!(reopen(&spec), Err(VolumeError::Gone { volatile: false, .. })));
}

#[test]
fn a_new_vault_gets_one_name_whoever_comes_first() {
    for _ in 0..20 {
        let dir = tempfile::tempdir().expect("a directory");
        let start = std::sync::Barrier::new(8);
        let open = || {
            start.wait();
            OpenVolume::create(spec(dir.path()), process::own_ids().0).expect("a volume").spec().clone()
        };
        let specs: Vec<Volume> = std::thread::scope(|s| {
            let all: Vec<_> = (0..8).map(|_| s.spawn(open)).collect();
            all.into_iter().map(|one| one.join().expect("it ends")).collect()
        });
        for spec in &specs {
            assert_eq!(reopen(spec).expect("the same").spec(), &specs[0]);
        }
    }
}

#[test]
fn a_vault_that_others_can_enter_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    fs::create_dir(dir.path().join("vault")).expect("mkdir");
    fs::set_permissions(dir.path().join("vault"), fs::Permissions::from_mode(0o755)).expect("chmod");
    let result = OpenVolume::create(spec(dir.path()), process::own_ids().0);
    assert!(matches!(result, Err(VolumeError::Foreign { .. })), "{result:?}");
}

#[test]
fn each_state_directory_has_a_vault_of_its_own_below_one_that_is_guarded() {
    use std::os::fd::AsFd;
    let dir = tempfile::tempdir().expect("a directory");
    let uid = process::own_ids().0;
    let of = |state: &str| {
        let vault = vault_in(&Bytes::default(), uid, std::path::Path::new(state));
        OpenVolume::create(Volume { vault, ..spec(dir.path()) }, uid).expect("a volume")
    };
    let (a, b) = (of("/var/lib/backstop"), of("/tmp/other/backstop"));
    assert_ne!(a.vault_path(), b.vault_path());
    assert_eq!(a.guarded_path(), b.guarded_path());
    assert_eq!(a.guarded_path(), Bytes::from(dir.path()).join(format!(".backstop-{uid}").as_bytes()));
    let run = RunId::from_number(7);
    a.run_dir(run, true).expect("a run");
    tidy(&b, run, Leftover::All).expect("nothing to do");
    assert!(backstop_sys::fs::open_dir_read(a.vault().as_fd(), run.to_string().as_bytes()).is_ok());
}

#[test]
fn a_vault_behind_a_link_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let elsewhere = tempfile::tempdir().expect("a directory");
    std::os::unix::fs::symlink(elsewhere.path(), dir.path().join("vault")).expect("symlink");
    assert!(OpenVolume::create(spec(dir.path()), process::own_ids().0).is_err());
    assert_eq!(fs::read_dir(elsewhere.path()).expect("read").count(), 0);
}

#[test]
fn its_clock_stands_between_what_was_and_what_will_be() {
    use std::os::unix::fs::MetadataExt;
    let (dir, volume) = scratch();
    let file = dir.path().join("f");
    let ctime = || {
        fs::write(&file, "x").expect("write");
        let m = fs::metadata(&file).expect("stat");
        Timestamp::new(m.ctime(), m.ctime_nsec() as u32)
    };
    for _ in 0..50 {
        let before = ctime();
        let now = volume.now().expect("a moment");
        let after = ctime();
        assert!(before < now && now <= after, "{before} {now} {after}");
    }
}

#[test]
fn tidying_follows_no_link_and_opens_closed_directories() {
    let (dir, volume) = scratch();
    let precious = dir.path().join("precious");
    fs::create_dir(&precious).expect("mkdir");
    fs::write(precious.join("f"), "x").expect("write");
    let id = RunId::from_number(5);
    drop(volume.run_dir(id, true).expect("made"));
    let run = dir.path().join("vault").join(id.to_string());
    fs::create_dir_all(run.join("work/0/work/inner")).expect("mkdir");
    fs::create_dir_all(run.join("upper/0")).expect("mkdir");
    fs::create_dir_all(run.join("keep")).expect("mkdir");
    std::os::unix::fs::symlink(&precious, run.join("upper/0/link")).expect("symlink");
    std::os::unix::fs::symlink(&precious, run.join("work/0/link")).expect("symlink");
    fs::set_permissions(run.join("work/0/work"), fs::Permissions::from_mode(0o000)).expect("chmod");
    tidy(&volume, id, Leftover::Work).expect("tidied");
    assert!(!run.join("work").exists() && run.join("upper/0/link").symlink_metadata().is_ok());
    tidy(&volume, id, Leftover::Upper).expect("tidied");
    assert!(!run.join("upper").exists() && run.join("keep").exists());
    tidy(&volume, id, Leftover::All).expect("tidied");
    tidy(&volume, id, Leftover::All).expect("twice is as once");
    assert!(!run.exists());
    assert!(precious.join("f").exists());
}

#[test]
fn tidying_goes_to_any_depth() {
    let (dir, volume) = scratch();
    let id = RunId::from_number(5);
    let run = volume.run_dir(id, true).expect("made");
    sys::make_dir(run.as_fd(), b"upper", 0o700).expect("mkdir");
    let mut at = sys::open_dir_read(run.as_fd(), b"upper").expect("open");
    let name = [b'd'; 200];
    for _ in 0..400 {
        sys::make_dir(at.as_fd(), &name, 0o700).expect("mkdir");
        at = sys::open_dir_read(at.as_fd(), &name).expect("open");
    }
    drop(at);
    tidy(&volume, id, Leftover::Upper).expect("tidied");
    let left: Vec<_> = fs::read_dir(dir.path().join("vault").join(id.to_string())).expect("read").collect();
    assert!(left.is_empty(), "{left:?}");
    assert!(dir.path().as_os_str().as_bytes().len() < 100);
}
