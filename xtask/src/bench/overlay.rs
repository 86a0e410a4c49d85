//! Takes a directory, covers it with one kernel overlay in a mount namespace of its own and becomes
//! the command: the least that copy-on-write can cost, as root or in a user namespace. What was written is thrown away.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

/// What to cover; for the bench's own use.
#[derive(clap::Args)]
pub struct Args {
    /// The directory.
    dir: PathBuf,
    /// Where upper and work directory are made; on the same file system.
    layer: PathBuf,
    /// The command.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
    argv: Vec<std::ffi::OsString>,
}

/// Becomes the command; returns only a failure.
pub fn run(args: &Args) -> Result<(), String> {
    let failed = |what: &str, e: &dyn std::fmt::Display| format!("cannot {what}: {e}");
    for name in ["upper", "work"] {
        std::fs::create_dir_all(args.layer.join(name)).map_err(|e| failed("make the layer", &e))?;
    }
    let (uid, gid) = (nix::unistd::geteuid(), nix::unistd::getegid());
    let extra = if uid.is_root() {
        unshare(CloneFlags::CLONE_NEWNS).map_err(|e| failed("unshare the mounts", &e))?;
        "redirect_dir=on,metacopy=on,index=on"
    } else {
        let own = CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS;
        unshare(own).map_err(|e| failed("make a user namespace", &e))?;
        for (file, text) in [("setgroups", "deny".to_owned()), ("uid_map", map(uid)), ("gid_map", map(gid))] {
            std::fs::write(Path::new("/proc/self").join(file), text).map_err(|e| failed("map the user", &e))?;
        }
        "userxattr"
    };
    let none = None::<&Path>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
        .map_err(|e| failed("keep the mounts private", &e))?;
    let options = format!(
        "lowerdir={},upperdir={},workdir={},{extra},volatile",
        args.dir.display(),
        args.layer.join("upper").display(),
        args.layer.join("work").display()
    );
    mount(Some("overlay"), &args.dir, Some("overlay"), MsFlags::empty(), Some(options.as_str()))
        .map_err(|e| failed("mount the overlay", &e))?;
    // The directory that this process stands in is now covered: it must be entered again.
    let cwd = std::env::current_dir().map_err(|e| failed("tell the current directory", &e))?;
    let (program, rest) = args.argv.split_first().ok_or("no command")?;
    Err(failed("run the command", &Command::new(program).args(rest).current_dir(cwd).exec()))
}

fn map(id: impl std::fmt::Display) -> String {
    format!("{id} {id} 1")
}
