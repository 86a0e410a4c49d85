//! The parts of the view that are its own: `/dev`, `/proc`, `/sys` and `/run`. Each is made new and
//! holds only what an ordinary program needs.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use backstop_sys::devices;
use backstop_sys::fs::{ensure_dirs, give, link_new, make_dir, write_new};
use backstop_sys::mount::{self, Attr, Opt};

use super::super::{Recipe, Trouble};
use crate::rehearse::plan::RunEntry;

/// Below `/run`: where a Backstop inside notes what it was asked to run.
const NESTED: &[u8] = b"backstop.nested";

const PLAIN: Attr = Attr { read_only: false, no_suid: true, no_dev: true, no_exec: true, no_atime: false };
const READ_ONLY: Attr = Attr { read_only: true, ..PLAIN };
/// For `/dev`, where nodes have to work.
const NODES: Attr = Attr { no_dev: false, ..PLAIN };
const NODES_READ_ONLY: Attr = Attr { read_only: true, ..NODES };

/// Below `/proc`: what changes the machine for whoever is root, with no further right asked for. (The
/// rest asks for capabilities that the command has not: `kcore`, `kmsg`, `mtrr`, ….)
const PROC_READ_ONLY: &[&str] = &["sys", "sysrq-trigger", "irq", "bus", "fs", "acpi", "scsi"];

/// Below `/proc`: what shows the caller's keys.
const PROC_HIDDEN: &[&str] = &["keys"];

/// Where the private parts lie, in one file system in memory: each of its own costs more to make and
/// to end than everything else here.
pub(super) fn ground() -> io::Result<OwnedFd> {
    let ground = mount::fresh("tmpfs", "backstop", &[Opt::Value("mode", "0700")], Attr { no_exec: false, ..NODES })?;
    for (name, mode) in [(b"dev".as_slice(), 0o755), (b"shm", 0o1777), (b"run", 0o755), (b"empty", 0o555)] {
        make_dir(ground.as_fd(), name, mode)?;
    }
    write_new(ground.as_fd(), b"deaf", b"", 0o666)?;
    Ok(ground)
}

/// One directory or file of the ground, as a mount.
pub(super) fn part(ground: BorrowedFd<'_>, name: &[u8], attr: Attr) -> io::Result<OwnedFd> {
    let part = mount::clone_tree(ground, name, false)?;
    mount::restrict(part.as_fd(), attr, false)?;
    Ok(part)
}

/// Attaches all four. Gives what keeps the caller's terminal number taken.
pub(super) fn attach(
    recipe: &Recipe,
    root: BorrowedFd<'_>,
    ground: BorrowedFd<'_>,
) -> Result<Option<OwnedFd>, Trouble> {
    let (dev, terminal) = dev(recipe, root, ground)?;
    proc(recipe, root, dev.as_fd())?;
    if recipe.user.is_none() {
        sys(root)?;
    }
    run(recipe, root, ground)?;
    Ok(terminal)
}

/// A machine without the directory gets none in the view either.
fn missing_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn dev(recipe: &Recipe, root: BorrowedFd<'_>, ground: BorrowedFd<'_>) -> Result<(OwnedFd, Option<OwnedFd>), Trouble> {
    let fail = Trouble::at::<io::Error>;
    let dev = part(ground, b"dev", NODES).map_err(fail("make /dev"))?;
    let at = dev.as_fd();
    let nodes = recipe.user.is_none() && devices::make_nodes(at).is_ok();
    for (name, target) in devices::LINKS {
        link_new(at, name.as_bytes(), target.as_bytes()).map_err(fail("make a link in /dev"))?;
    }
    for name in [b"shm".as_slice(), b"pts", b"mqueue"] {
        make_dir(at, name, 0o755).map_err(fail("make a directory in /dev"))?;
    }
    mount::attach(at, root, b"dev").map_err(fail("attach /dev"))?;
    if !nodes {
        for (name, ..) in devices::NODES {
            borrow_node(at, name).map_err(fail("borrow a device"))?;
        }
    }
    let shm = part(ground, b"shm", Attr { no_exec: false, ..PLAIN }).map_err(fail("make /dev/shm"))?;
    mount::attach(shm.as_fd(), at, b"shm").map_err(fail("attach /dev/shm"))?;
    let options = [Opt::Flag("newinstance"), Opt::Value("ptmxmode", "0666"), Opt::Value("mode", "0620")];
    let pts =
        mount::fresh("devpts", "backstop", &options, Attr { no_dev: false, ..PLAIN }).map_err(fail("make /dev/pts"))?;
    mount::attach(pts.as_fd(), at, b"pts").map_err(fail("attach /dev/pts"))?;
    let terminal = recipe.terminal.and_then(|n| own_terminal(pts.as_fd(), n).ok());
    mount::restrict(at, NODES_READ_ONLY, false).map_err(fail("make /dev read-only"))?;
    Ok((dev, terminal))
}

/// Where no node can be made, the machine's own is put over an empty file.
fn borrow_node(dev: BorrowedFd<'_>, name: &str) -> io::Result<()> {
    write_new(dev, name.as_bytes(), b"", 0o666)?;
    let node = mount::clone_at(format!("/dev/{name}").as_bytes())?;
    mount::restrict(node.as_fd(), NODES_READ_ONLY, false)?;
    mount::attach(node.as_fd(), dev, name.as_bytes())
}

/// Puts the caller's terminal under its own name, so that `tty` finds it.
fn own_terminal(pts: BorrowedFd<'_>, number: u32) -> io::Result<OwnedFd> {
    // Each number before it costs an open.
    const FAR: u32 = 64;
    if number > FAR {
        return Err(io::ErrorKind::Unsupported.into());
    }
    let taken = devices::take_number(pts, number)?;
    let node = mount::clone_at(format!("/dev/pts/{number}").as_bytes())?;
    mount::restrict(node.as_fd(), NODES, false)?;
    mount::attach(node.as_fd(), pts, number.to_string().as_bytes())?;
    Ok(taken)
}

fn proc(recipe: &Recipe, root: BorrowedFd<'_>, dev: BorrowedFd<'_>) -> Result<(), Trouble> {
    let fail = Trouble::at::<io::Error>;
    let proc = mount::fresh("proc", "proc", &[], PLAIN).map_err(fail("make /proc"))?;
    mount::attach(proc.as_fd(), root, b"proc").map_err(fail("attach /proc"))?;
    for name in PROC_HIDDEN {
        let one = || {
            let null = mount::clone_tree(dev, b"null", false)?;
            mount::restrict(null.as_fd(), NODES_READ_ONLY, false)?;
            mount::attach(null.as_fd(), proc.as_fd(), name.as_bytes())
        };
        missing_is_fine(one()).map_err(fail("hide a part of /proc"))?;
    }
    // An ordinary user may not write to these anyway, and is root nowhere here.
    if recipe.user.is_some() && recipe.uid != 0 {
        return Ok(());
    }
    for name in PROC_READ_ONLY {
        let one = || {
            let part = mount::clone_tree(proc.as_fd(), name.as_bytes(), false)?;
            mount::restrict(part.as_fd(), READ_ONLY, false)?;
            mount::attach(part.as_fd(), proc.as_fd(), name.as_bytes())
        };
        missing_is_fine(one()).map_err(fail("make a part of /proc read-only"))?;
    }
    Ok(())
}

/// Without what is mounted beneath: no control groups, no debugging interfaces.
fn sys(root: BorrowedFd<'_>) -> Result<(), Trouble> {
    let one = || {
        let sys = mount::clone_at(b"/sys")?;
        mount::restrict(sys.as_fd(), READ_ONLY, false)?;
        mount::attach(sys.as_fd(), root, b"sys")
    };
    missing_is_fine(one()).map_err(Trouble::at("make /sys read-only"))
}

fn run(recipe: &Recipe, root: BorrowedFd<'_>, ground: BorrowedFd<'_>) -> Result<(), Trouble> {
    let fail = Trouble::at::<io::Error>;
    let attr = Attr { no_exec: false, ..PLAIN };
    let run = part(ground, b"run", attr).map_err(fail("make /run"))?;
    let at = run.as_fd();
    let fill = || -> io::Result<()> {
        make_dir(at, b"lock", 0o1777)?;
        make_dir(at, b"user", 0o755)?;
        let own = format!("user/{}", recipe.uid);
        make_dir(at, own.as_bytes(), 0o700)?;
        give(at, own.as_bytes(), recipe.uid, recipe.gid)?;
        for (path, entry) in &recipe.run {
            match entry {
                RunEntry::Link(target) => link_new(at, path.as_slice(), target.as_slice())?,
                RunEntry::File(text) => {
                    ensure_dirs(at, path.parent().as_slice(), 0o755)?;
                    write_new(at, path.as_slice(), text, 0o444)?;
                }
            }
        }
        make_dir(at, b"backstop", 0o755)?;
        write_new(at, b"backstop/inside", &recipe.inside, 0o444)?;
        // Any user of the view may note a nested run; what is noted is a claim and nothing more.
        write_new(at, NESTED, b"", 0o666)?;
        backstop_sys::fs::Pin::new(at, NESTED)?.set_mode(0o666)
    };
    fill().map_err(fail("fill /run"))?;
    let attach = || -> io::Result<()> {
        mount::attach(at, root, b"run")?;
        let inside = mount::clone_tree(at, b"backstop", false)?;
        mount::restrict(inside.as_fd(), READ_ONLY, false)?;
        mount::attach(inside.as_fd(), at, b"backstop")
    };
    missing_is_fine(attach()).map_err(fail("attach /run"))
}
