//! Claim: a directory that can't be read hides no change of what can be. As a user, because root reads
//! everything.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use backstop_e2e::ground::{Ground, User, backstop_beside};
use backstop_e2e::images::{FsKind, in_private_mounts};

#[test]
fn an_edit_beside_an_unreadable_directory_is_a_conflict() {
    in_private_mounts("an_edit_beside_an_unreadable_directory_is_a_conflict", || {
        let treeops = Path::new(env!("CARGO_BIN_EXE_treeops"));
        let backstop = backstop_beside(treeops).expect("cargo build -p backstop");
        let ground = Ground::make(FsKind::Ext4, User::Plain, 64, Some(&backstop), treeops).expect("a file system");
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
