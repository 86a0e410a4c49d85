//! Being another user: for good, or only where files are opened. For a process with a single thread that has the
//! machine's rights.

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};

use crate::caps;
use crate::process::{self, Change, Signals};

fn check(rc: libc::c_long) -> io::Result<()> {
    if rc == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Becomes this user for good, with these groups and no others. What capabilities there were are gone.
pub fn become_user(uid: u32, gid: u32, groups: &[u32]) -> io::Result<()> {
    // Raw system calls: the C library's would tell other threads, and in a copied process there are none.
    // SAFETY: the list is valid for its length; the kernel only reads it.
    check(unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) })?;
    // SAFETY: plain system calls with numbers.
    check(unsafe { libc::syscall(libc::SYS_setresgid, gid, gid, gid) })?;
    // SAFETY: as above.
    check(unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) })
}

/// How often a child is made that sends a signal to all of a user: whoever is meant can stop it, as long as it lives.
const TRIES: u32 = 100;

/// Sends a signal to every process of this user, in one step that no fork can outrun: the kernel walks them under the lock
/// that a fork needs to become visible. Never root's.
pub fn signal_all_of(uid: u32, signal: libc::c_int) -> io::Result<()> {
    if uid == 0 {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the processes of root are not to be meant"));
    }
    let send = || {
        let sent = Signals::all().block().and_then(|_| become_user(uid, process::own_ids().1, &[])).and_then(|()| {
            // Where becoming another leaves them (`SECBIT_NO_SETUID_FIXUP`), everybody would be meant.
            caps::give_up()?;
            if process::own_ids().0 != uid {
                return Err(io::ErrorKind::PermissionDenied.into());
            }
            process::send(-1, signal)
        });
        match sent {
            Ok(()) => 0,
            // There is none.
            Err(e) if e.raw_os_error() == Some(libc::ESRCH) => 0,
            Err(_) => 1,
        }
    };
    for _ in 0..TRIES {
        match process::end_of(process::fork(send)?)? {
            Change::Ended(0) => return Ok(()),
            Change::Ended(_) => return Err(io::ErrorKind::PermissionDenied.into()),
            // By one of theirs, which was quicker.
            _ => {}
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}

/// Does `work` with this user's rights to files and no others; everything else stays as it was. While it lasts,
/// nobody gains a right over this process: signals and tracing go by its other ids.
pub fn with_files_of<T>(uid: u32, gid: u32, groups: &[u32], work: impl FnOnce() -> T) -> io::Result<T> {
    /// Puts the rights back, also where `work` panics. Where that fails nothing may go on.
    struct Back {
        uid: u32,
        gid: u32,
        groups: Vec<u32>,
    }
    impl Drop for Back {
        fn drop(&mut self) {
            set_files(self.uid, self.gid);
            // SAFETY: the list is valid for its length; the kernel only reads it.
            let rc = unsafe { libc::syscall(libc::SYS_setgroups, self.groups.len(), self.groups.as_ptr()) };
            if rc != 0 || files() != (self.uid, self.gid) {
                std::process::abort();
            }
        }
    }
    let (own_uid, own_gid) = files();
    let _back = Back { uid: own_uid, gid: own_gid, groups: own_groups()? };
    // SAFETY: the list is valid for its length; the kernel only reads it.
    check(unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) })?;
    set_files(uid, gid);
    // The call itself tells of no failure.
    if files() != (uid, gid) {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    Ok(work())
}

/// What somebody may want to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// Write into a file.
    Write,
    /// Make and remove names in a directory.
    Names,
    /// Go through a directory.
    Search,
}

/// True where this user may do that with what the handle is of, as the kernel sees it.
pub fn may(handle: BorrowedFd<'_>, wanted: Access, (uid, gid, groups): (u32, u32, &[u32])) -> io::Result<bool> {
    let mode = match wanted {
        Access::Write => libc::W_OK,
        Access::Names => libc::W_OK | libc::X_OK,
        Access::Search => libc::X_OK,
    };
    let flags = libc::AT_EMPTY_PATH | libc::AT_EACCESS;
    with_files_of(uid, gid, groups, || {
        // SAFETY: the empty path ends in NUL; the handle is valid for the call.
        match unsafe { libc::syscall(libc::SYS_faccessat2, handle.as_raw_fd(), c"".as_ptr(), mode, flags) } {
            0 => Ok(true),
            _ => match io::Error::last_os_error() {
                e if e.raw_os_error() == Some(libc::EACCES) => Ok(false),
                e => Err(e),
            },
        }
    })?
}

/// Group first: changing the user takes the right to change the group.
fn set_files(uid: u32, gid: u32) {
    let (own_uid, _) = files();
    // SAFETY: plain system calls with numbers, of this thread alone.
    unsafe {
        if own_uid != 0 {
            libc::syscall(libc::SYS_setfsuid, uid);
        }
        libc::syscall(libc::SYS_setfsgid, gid);
        libc::syscall(libc::SYS_setfsuid, uid);
    }
}

/// The ids that files are opened by.
fn files() -> (u32, u32) {
    // SAFETY: an id that is none changes nothing, and the one in force is given.
    unsafe { (libc::syscall(libc::SYS_setfsuid, u32::MAX) as u32, libc::syscall(libc::SYS_setfsgid, u32::MAX) as u32) }
}

fn own_groups() -> io::Result<Vec<u32>> {
    // SAFETY: a size of zero only asks how many there are.
    let n = unsafe { libc::getgroups(0, std::ptr::null_mut()) };
    let mut list = vec![0; usize::try_from(n).map_err(|_| io::Error::last_os_error())?];
    // SAFETY: the list is valid for `n` entries.
    if unsafe { libc::getgroups(n, list.as_mut_ptr()) } != n {
        return Err(io::Error::last_os_error());
    }
    Ok(list)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::fd::AsFd as _;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::proc;

    #[test]
    fn files_are_opened_as_the_other_user_and_then_as_before() {
        if !crate::process::is_root() {
            return;
        }
        let dir = tempfile::tempdir().expect("a temp dir");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("mode");
        let secret = dir.path().join("secret");
        fs::write(&secret, "x").expect("written");
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).expect("mode");
        // In a process of its own: other tests are threads of this one, and groups are the process'.
        let child = crate::process::fork(|| {
            let seen = with_files_of(1000, 1000, &[1000], || fs::read(&secret).map_err(|e| e.kind()));
            let refused = matches!(seen, Ok(Err(io::ErrorKind::PermissionDenied)));
            let panicked = std::panic::catch_unwind(|| with_files_of(1000, 1000, &[], || panic!("on purpose")));
            let back = fs::read(&secret).is_ok() && files() == (0, 0);
            let handle = fs::File::open(&secret).expect("open");
            let may_write = |uid| may(handle.as_fd(), Access::Write, (uid, uid, &[])).expect("told");
            let denied = may_write(0) && !may_write(1000);
            let gone = denied && become_user(1000, 1000, &[]).is_ok() && fs::read(&secret).is_err();
            u8::from(!(refused && panicked.is_err() && back && gone))
        });
        let child = child.expect("forked");
        let mut status = 0;
        // SAFETY: `status` is valid for the call.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        assert_eq!(status, 0);
    }

    /// What a user of this number runs: nobody else is there who could be meant.
    const STRANGER: u32 = 54_321;

    #[test]
    fn a_signal_to_all_of_a_user_reaches_them_and_nobody_else() {
        use std::os::unix::process::CommandExt as _;
        assert!(signal_all_of(0, libc::SIGCONT).is_err());
        if !crate::process::is_root() {
            return;
        }
        let sleep = |uid: u32| std::process::Command::new("sleep").arg("60").uid(uid).gid(uid).spawn().expect("sleep");
        let mut all = [sleep(STRANGER), sleep(STRANGER), sleep(STRANGER + 1)];
        let state = |pid: u32| proc::stat(&proc::place(pid as i32)).expect("it lives").state;
        let states = |wanted: [bool; 3]| {
            let began = std::time::Instant::now();
            while all.each_ref().map(|child| state(child.id()) == b'T') != wanted {
                assert!(began.elapsed().as_secs() < 30, "{wanted:?}");
            }
        };
        signal_all_of(STRANGER, libc::SIGSTOP).expect("sent");
        states([true, true, false]);
        signal_all_of(STRANGER, libc::SIGCONT).expect("sent");
        states([false; 3]);
        // Nobody is no failure.
        signal_all_of(STRANGER + 2, libc::SIGSTOP).expect("sent");
        for child in &mut all {
            child.kill().and_then(|()| child.wait()).expect("ended");
        }
    }
}
