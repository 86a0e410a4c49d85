//! Claims: a directory that can't be read hides no change of what can be, and root's own state, which no
//! user reads, stands in no user's way. As a user, because root reads everything.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

use backstop_e2e::ground::{Ground, User, backstop_beside};
use backstop_e2e::images::{FsKind, in_private_mounts};

fn ground() -> Ground {
    let treeops = Path::new(env!("CARGO_BIN_EXE_treeops"));
    let backstop = backstop_beside(treeops).expect("cargo build -p backstop");
    Ground::make(FsKind::Ext4, User::Plain, 64, Some(&backstop), treeops).expect("a file system")
}

#[test]
fn an_edit_beside_an_unreadable_directory_is_a_conflict() {
    in_private_mounts("an_edit_beside_an_unreadable_directory_is_a_conflict", || {
        let ground = ground();
        let dir = ground.fresh("w").expect("a directory");
        for edited in [true, false] {
            for path in ["d", "d/a", "d/shut", "d/z"] {
                fs::create_dir(dir.join(path)).expect("a directory");
                chown(dir.join(path), Some(1000), Some(1000)).expect("the user's");
            }
            fs::set_permissions(dir.join("d/shut"), Permissions::from_mode(0o000)).expect("shut");
            for path in ["d/a/f", "d/z/f"] {
                fs::write(dir.join(path), "old\n").expect("a file");
            }
            let say = |args: &[&str]| ground.say(&dir, args).expect("backstop starts");
            let held = say(&["run", "--hold", "--", "rm", "-rf", "d"]);
            assert_eq!(held.code, 75, "{held}");
            if edited {
                fs::write(dir.join("d/a/f"), "edited\n").expect("edited");
                fs::write(dir.join("d/z/f"), "edited\n").expect("edited");
                let ran = say(&["commit", "@last"]);
                assert_eq!(ran.code, 74, "{ran}");
                assert_eq!(fs::read_to_string(dir.join("d/z/f")).expect("there"), "edited\n");
                fs::remove_dir_all(dir.join("d")).expect("cleared");
            } else {
                let ran = say(&["commit", "@last"]);
                assert_eq!(ran.code, 0, "what a person was told can't be read is no conflict by itself: {ran}");
                assert!(!dir.join("d").exists());
            }
        }
    });
}

#[test]
fn the_state_of_root_stands_in_no_users_way() {
    in_private_mounts("the_state_of_root_stands_in_no_users_way", || {
        let ground = ground();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "mode=755", "root", "/var/lib"]).status();
        assert!(mounted.expect("mount starts").success());
        let state = Path::new("/var/lib/backstop");
        fs::create_dir(state).expect("a directory");
        fs::write(state.join("secret"), "root's\n").expect("a file");
        fs::set_permissions(state, Permissions::from_mode(0o700)).expect("shut");
        let dir = ground.fresh("w").expect("a directory");
        let ran =
            ground.say(&dir, &["run", "--rehearse", "--", "sh", "-c", "ls -A /var/lib /var/lib/backstop; touch f"]);
        let ran = ran.expect("backstop starts");
        assert_eq!(ran.code, 0, "{ran}");
        assert_eq!(ran.stdout, "/var/lib:\nbackstop\n\n/var/lib/backstop:\n", "an empty one stands there: {ran}");
        assert!(dir.join("f").exists());
    });
}
