//! Takes the list of programs that the tests need, finds which are missing, and installs them where
//! it may; else says the line to type. Never goes on without one of them.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::workspace;

/// A program, or one with the arguments by which it tells that it is whole, and the Debian package that brings it.
struct Tool {
    program: &'static str,
    package: &'static str,
}

const TOOLS: &[Tool] = &[
    Tool { program: "black", package: "black" },
    // The arena's Python is the distribution's, whichever comes first on the path here.
    Tool { program: "/usr/bin/python3 -m aiosmtpd --version", package: "python3-aiosmtpd" },
    Tool { program: "/usr/bin/python3 -m ensurepip --version", package: "python3-venv" },
    Tool { program: "bwrap", package: "bubblewrap" },
    Tool { program: "curl", package: "curl" },
    Tool { program: "ed", package: "ed" },
    Tool { program: "file", package: "file" },
    Tool { program: "gcc", package: "gcc" },
    Tool { program: "getfacl", package: "acl" },
    Tool { program: "getfattr", package: "attr" },
    Tool { program: "git", package: "git" },
    Tool { program: "journalctl", package: "systemd" },
    Tool { program: "jq", package: "jq" },
    Tool { program: "make", package: "make" },
    Tool { program: "mkfs.btrfs", package: "btrfs-progs" },
    Tool { program: "mkfs.ext4", package: "e2fsprogs" },
    Tool { program: "mkfs.xfs", package: "xfsprogs" },
    Tool { program: "node", package: "nodejs" },
    Tool { program: "npm", package: "npm" },
    Tool { program: "openssl", package: "openssl" },
    Tool { program: "patch", package: "patch" },
    Tool { program: "perl", package: "perl" },
    Tool { program: "pg_ctlcluster", package: "postgresql" },
    Tool { program: "pgrep", package: "procps" },
    Tool { program: "python3", package: "python3" },
    Tool { program: "rsync", package: "rsync" },
    Tool { program: "setpriv", package: "util-linux" },
    Tool { program: "shfmt", package: "shfmt" },
    Tool { program: "ssh-keygen", package: "openssh-client" },
    Tool { program: "sqlite3", package: "sqlite3" },
    Tool { program: "strace", package: "strace" },
    Tool { program: "tmux", package: "tmux" },
    Tool { program: "unshare", package: "util-linux" },
    Tool { program: "unzip", package: "unzip" },
    Tool { program: "vim", package: "vim" },
    Tool { program: "xz", package: "xz-utils" },
    Tool { program: "zip", package: "zip" },
];

/// True where the program is, and ends well with its arguments.
fn there(program: &str) -> bool {
    match program.split_once(' ') {
        None => find(program).is_some(),
        Some((program, arguments)) => {
            Command::new(program).args(arguments.split(' ')).output().is_ok_and(|said| said.status.success())
        }
    }
}

/// Packages that are unpacked below the target directory, and not installed: their services would begin, one of them
/// bans, and one writes down what everybody does. Each is what it is called there, with those that it needs beside it.
const UNPACKED: &[(&str, &[&str])] = &[
    ("alertmanager", &["prometheus-alertmanager"]),
    ("auditd", &["auditd", "libauparse0", "libnsl2", "libtirpc3", "libwrap0"]),
    ("fail2ban", &["fail2ban"]),
    ("rsyslog", &["rsyslog", "rsyslog-openssl", "libestr0", "libfastjson4", "liblognorm5"]),
];

/// Client libraries of services that logs are exported to, as their makers publish them: they say whether the doubles in
/// `e2e/system` are what they stand for.
const CLIENTS: &[&str] = &[
    "cloudevents==1.12.0",
    "opensearch-py==3.2.0",
    "opentelemetry-proto==1.45.2",
    "prometheus-client==0.23.1",
    "pygelf==0.4.3",
    "standardwebhooks==1.1.0",
];

/// A virtual environment of the distribution's Python with the clients in it.
fn clients() -> Result<(), String> {
    let place = workspace::target().join("unpacked").join("clients");
    let stamp = place.join("installed");
    if std::fs::read_to_string(&stamp).is_ok_and(|text| text == CLIENTS.join("\n")) {
        return Ok(());
    }
    let run = |program: &Path, args: &[&str]| {
        println!("$ {} {}", program.display(), args.join(" "));
        match Command::new(program).args(args).status() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("`{}` ended with {status}", program.display())),
            Err(error) => Err(format!("cannot start `{}`: {error}", program.display())),
        }
    };
    let text = place.display().to_string();
    run(Path::new("/usr/bin/python3"), &["-m", "venv", "--clear", &text])?;
    let install = ["install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:"];
    run(&place.join("bin/pip"), &[&install, CLIENTS].concat())?;
    std::fs::write(&stamp, CLIENTS.join("\n")).map_err(|e| format!("cannot write {}: {e}", stamp.display()))
}

fn unpack(name: &str, packages: &[&str]) -> Result<(), String> {
    if find("apt-get").is_none() {
        println!("{name}: where there is no apt-get, what needs it fails, and says so");
        return Ok(());
    }
    let all = workspace::target().join("unpacked");
    let place = all.join(name);
    if place.is_dir() {
        return Ok(());
    }
    let fresh = all.join("fresh");
    let run = |line: &str| {
        println!("$ {line}");
        let mut words = line.split(' ');
        let program = words.next().unwrap_or_default();
        match Command::new(program).args(words).current_dir(&fresh).status() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("`{line}` ended with {status}")),
            Err(error) => Err(format!("cannot start `{line}`: {error}")),
        }
    };
    let io = |what: &str| {
        let what = format!("cannot {what} {}", fresh.display());
        move |e: std::io::Error| format!("{what}: {e}")
    };
    if fresh.exists() {
        std::fs::remove_dir_all(&fresh).map_err(io("remove"))?;
    }
    std::fs::create_dir_all(&fresh).map_err(io("make"))?;
    let download = format!("apt-get download -q {}", packages.join(" "));
    // The list of packages may be none, or old.
    run(&download).or_else(|_| run("apt-get update -q").and_then(|()| run(&download)))?;
    let names = std::fs::read_dir(&fresh).map_err(io("look into"))?.flatten();
    let names = names.filter_map(|e| e.file_name().into_string().ok());
    let debs: Vec<String> = names.filter(|name| name.ends_with(".deb")).collect();
    if debs.len() < packages.len() {
        return Err(format!("`{download}` left {} of {}", debs.len(), packages.len()));
    }
    debs.iter().try_for_each(|deb| run(&format!("dpkg -x {deb} whole")))?;
    std::fs::rename(fresh.join("whole"), &place).map_err(io("move what is in"))?;
    std::fs::remove_dir_all(&fresh).map_err(io("remove"))
}

/// Makes sure every program of the list is there.
pub fn packages() -> Result<String, String> {
    let installed = install()?;
    UNPACKED.iter().try_for_each(|(name, packages)| unpack(name, packages))?;
    clients()?;
    Ok(installed)
}

fn install() -> Result<String, String> {
    let missing: Vec<&Tool> = TOOLS.iter().filter(|t| !there(t.program)).collect();
    if missing.is_empty() {
        return Ok(format!("{} programs found", TOOLS.len()));
    }
    let mut packages: Vec<&str> = missing.iter().map(|t| t.package).collect();
    packages.sort_unstable();
    packages.dedup();
    let line = format!("apt-get install --no-install-recommends -y {}", packages.join(" "));
    let names = missing.iter().map(|t| t.program).collect::<Vec<_>>().join(", ");
    println!("missing: {names}");
    let debian = Path::new("/etc/debian_version").exists() && find("apt-get").is_some();
    if !(debian && nix::unistd::geteuid().is_root()) {
        return Err(format!("the tests need {names}; on Debian and its kin, as root: {line}"));
    }
    for line in ["apt-get update -q".to_owned(), line] {
        println!("$ {line}");
        let mut words = line.split(' ');
        let program = words.next().unwrap_or_default();
        let status = Command::new(program).args(words).env("DEBIAN_FRONTEND", "noninteractive").status();
        match status {
            Ok(status) if status.success() => {}
            Ok(status) => return Err(format!("`{line}` ended with {status}")),
            Err(error) => return Err(format!("cannot start `{line}`: {error}")),
        }
    }
    match missing.iter().find(|t| !there(t.program)) {
        Some(t) => Err(format!("{} is still missing after installing {}", t.program, t.package)),
        None => Ok(format!("installed {}", packages.join(" "))),
    }
}

/// Makes sure `cargo NAME` works, by `cargo install` where it is missing.
pub fn cargo_tool(name: &str, extra: &[&str]) -> Result<(), String> {
    if find(&format!("cargo-{name}")).is_some() {
        return Ok(());
    }
    println!("missing: cargo-{name}; installing it (some minutes, once)");
    let mut command = workspace::cargo();
    // A target directory that stays, so that an interrupted installation goes on where it was.
    command.args(["install", "--locked"]).args(extra).arg(format!("cargo-{name}"));
    let build = workspace::target().join("tools");
    command.env("CARGO_TARGET_DIR", &build);
    match command.status() {
        Ok(status) if status.success() => {
            std::fs::remove_dir_all(&build).map_err(|e| format!("cannot remove {}: {e}", build.display()))
        }
        Ok(status) => Err(format!(
            "`cargo install --locked cargo-{name}` ended with {status}; install it by hand, or leave the step out: --without {name}"
        )),
        Err(error) => Err(format!("cannot start cargo: {error}")),
    }
}

/// The program's place, looked for where root's `PATH` would have it too.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let cargo_home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = env::var_os("HOME").map(|h| PathBuf::from(h).join(".cargo"));
    let cargo_bin = cargo_home.or(home).map(|h| h.join("bin"));
    env::split_paths(&path)
        .chain(cargo_bin)
        .chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|dir| dir.join(program))
        .find(|p| p.is_file())
}
