//! Hears of calls that the filter tells (attempts to start a program, to connect, or to change something by its path), and
//! lets each go on. Reads addresses, paths and arguments for a report only: the caller could change them meanwhile, so
//! nothing may rest on them.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use crate::seccomp::path_argument;

/// Where a program wanted to connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A socket's path.
    Path(Vec<u8>),
    /// An abstract socket's name.
    Abstract(Vec<u8>),
    /// An internet address and port.
    Inet(std::net::SocketAddr),
}

/// One attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The thread, as numbered outside.
    pub pid: u32,
    /// Its aim; none where it can't be read or is of a family that is not told.
    pub to: Option<Aim>,
}

/// What was attempted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Aim {
    /// To connect.
    Connect(Address),
    /// To become another program.
    Execute(Wish),
    /// To change what lies at a path, which is taken from the directory with this descriptor; none is the
    /// working directory.
    Write(Option<i32>, Vec<u8>),
}

/// Which program somebody asks for: where in his memory that stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    pid: u32,
    dir: Option<i32>,
    path: u64,
    arguments: u64,
}

/// The same, read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wished {
    /// The directory that the path is taken from, by its descriptor; none is the working directory.
    pub dir: Option<i32>,
    /// The path; empty where the descriptor itself is meant.
    pub path: Vec<u8>,
    /// The arguments, as far as there is room.
    pub arguments: Vec<Vec<u8>>,
    /// False where there are more, or longer ones.
    pub whole: bool,
}

impl Wish {
    /// Reads it, as long as he waits, and no more than so many bytes of arguments; none where it can't be read.
    pub fn read(&self, most: usize) -> Option<Wished> {
        let path = path(self.pid, self.path)?;
        let (mut arguments, mut room) = (Vec::new(), most);
        for n in 0.. {
            let address = read_memory(self.pid, self.arguments.checked_add(8 * n)?, 8).ok()?;
            let address = u64::from_ne_bytes(address.try_into().ok()?);
            if address == 0 {
                return Some(Wished { dir: self.dir, path, arguments, whole: true });
            }
            let (word, whole) = text(self.pid, address, room)?;
            room -= word.len();
            arguments.push(word);
            // An empty one takes room as well.
            if !whole || room == 0 {
                break;
            }
            room -= 1;
        }
        Some(Wished { dir: self.dir, path, arguments, whole: false })
    }
}

#[repr(C)]
#[derive(Default)]
struct Notif {
    id: u64,
    pid: u32,
    flags: u32,
    nr: i32,
    arch: u32,
    ip: u64,
    args: [u64; 6],
}

#[repr(C)]
struct Response {
    id: u64,
    val: i64,
    error: i32,
    flags: u32,
}

const RECEIVE: u32 = 0xC050_2100;
const SEND: u32 = 0xC018_2101;
const CONTINUE: u32 = 1;

/// Takes one attempt from the listener, hands it to `seen` while the caller still waits, then lets
/// it go on. None where the caller is gone.
pub fn next(listener: BorrowedFd<'_>, seen: impl FnOnce(Attempt)) -> io::Result<()> {
    let mut notif = Notif::default();
    // SAFETY: the number encodes the struct's size, 80 bytes; the kernel wants it zeroed and fills it.
    if unsafe { libc::ioctl(listener.as_raw_fd(), RECEIVE as _, &raw mut notif) } != 0 {
        return gone_is_fine(io::Error::last_os_error());
    }
    seen(Attempt { pid: notif.pid, to: aim(&notif) });
    let response = Response { id: notif.id, val: 0, error: 0, flags: CONTINUE };
    // SAFETY: the number encodes the struct's size, 24 bytes; the kernel only reads it.
    if unsafe { libc::ioctl(listener.as_raw_fd(), SEND as _, &raw const response) } != 0 {
        return gone_is_fine(io::Error::last_os_error());
    }
    Ok(())
}

fn aim(notif: &Notif) -> Option<Aim> {
    let nr = libc::c_long::from(notif.nr);
    let wish = |dir: Option<i32>, at: usize| {
        Aim::Execute(Wish { pid: notif.pid, dir, path: notif.args[at], arguments: notif.args[at + 1] })
    };
    match nr {
        libc::SYS_execve => return Some(wish(None, 0)),
        libc::SYS_execveat => return Some(wish(Some(notif.args[0] as i32).filter(|fd| *fd >= 0), 1)),
        _ => {}
    }
    if let Some(at) = path_argument(nr) {
        let dir = at.checked_sub(1).map(|dir| notif.args[dir] as i32).filter(|fd| *fd >= 0);
        // The old `link` and `symlink` have another path before it, and no directory.
        let legacy = cfg!(target_arch = "x86_64") && matches!(nr, LINK | SYMLINK);
        return Some(Aim::Write(if legacy { None } else { dir }, path(notif.pid, notif.args[at])?));
    }
    // `sendto` has the address in its last two arguments, `connect` right behind the socket.
    let at = if nr == libc::SYS_sendto { 4 } else { 1 };
    let len = notif.args[at + 1].min(128) as usize;
    address(&read_memory(notif.pid, notif.args[at], len).ok()?).map(Aim::Connect)
}

/// Their numbers where they exist, on x86_64.
const LINK: libc::c_long = 86;
const SYMLINK: libc::c_long = 88;

/// The path at an address of another process.
fn path(pid: u32, from: u64) -> Option<Vec<u8>> {
    let (path, whole) = text(pid, from, libc::PATH_MAX as usize)?;
    whole.then_some(path)
}

/// What stands at an address of another process up to a zero, no more than so many bytes of it; and whether that is all. A
/// page at a time: what lies behind its end may be nothing.
fn text(pid: u32, from: u64, most: usize) -> Option<(Vec<u8>, bool)> {
    const PAGE: u64 = 4096;
    let (mut all, mut at) = (Vec::new(), from);
    while all.len() <= most {
        let bytes = read_memory(pid, at, (PAGE - at % PAGE) as usize).ok()?;
        if let Some(end) = bytes.iter().position(|b| *b == 0) {
            all.extend_from_slice(&bytes[..end]);
            let whole = all.len() <= most;
            all.truncate(most);
            return Some((all, whole));
        }
        at = at.checked_add(bytes.len() as u64)?;
        all.extend(bytes);
    }
    all.truncate(most);
    Some((all, false))
}

fn gone_is_fine(e: io::Error) -> io::Result<()> {
    if matches!(e.raw_os_error(), Some(libc::ENOENT | libc::EINTR)) { Ok(()) } else { Err(e) }
}

fn read_memory(pid: u32, from: u64, len: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0u8; len];
    let local = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: len };
    let remote = libc::iovec { iov_base: from as *mut libc::c_void, iov_len: len };
    // SAFETY: `local` describes `bytes`, which outlives the call; `remote` is an address of another
    // process that the kernel checks.
    let got = unsafe { libc::process_vm_readv(pid as i32, &raw const local, 1, &raw const remote, 1, 0) };
    if got < 0 {
        return Err(io::Error::last_os_error());
    }
    bytes.truncate(got as usize);
    Ok(bytes)
}

fn address(bytes: &[u8]) -> Option<Address> {
    let family = u16::from_ne_bytes(bytes.get(..2)?.try_into().ok()?);
    let rest = &bytes[2..];
    let port = || Some(u16::from_be_bytes(rest.get(..2)?.try_into().ok()?));
    match i32::from(family) {
        libc::AF_UNIX => match rest.split_first() {
            None => None,
            Some((0, name)) => Some(Address::Abstract(name.to_vec())),
            Some(_) => Some(Address::Path(rest.split(|b| *b == 0).next().unwrap_or_default().to_vec())),
        },
        libc::AF_INET => {
            let ip: [u8; 4] = rest.get(2..6)?.try_into().ok()?;
            Some(Address::Inet((ip, port()?).into()))
        }
        libc::AF_INET6 => {
            let ip: [u8; 16] = rest.get(6..22)?.try_into().ok()?;
            Some(Address::Inet((ip, port()?).into()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_read_to_its_end() {
        let text = std::ffi::CString::new("x".repeat(4000)).expect("no zero within");
        assert_eq!(path(std::process::id(), text.as_ptr() as u64), Some(text.to_bytes().to_vec()));
        assert_eq!(path(std::process::id(), 0), None);
    }

    #[test]
    fn what_is_asked_for_is_read() {
        let words =
            ["/bin/echo", "echo", "", "three"].map(|word| std::ffi::CString::new(word).expect("no zero within"));
        let mut list: Vec<u64> = words[1..].iter().map(|word| word.as_ptr() as u64).collect();
        list.push(0);
        let wish =
            |arguments: u64| Wish { pid: std::process::id(), dir: None, path: words[0].as_ptr() as u64, arguments };
        let read = wish(list.as_ptr() as u64).read(100).expect("it can be read");
        assert_eq!(read.path, b"/bin/echo");
        assert_eq!(read.arguments, [&b"echo"[..], b"", b"three"]);
        assert!(read.whole);
        for (most, arguments) in
            [(0, &[&b""[..]][..]), (3, &[b"ech"]), (5, &[b"echo", b""]), (8, &[b"echo", b"", b"th"])]
        {
            let read = wish(list.as_ptr() as u64).read(most).expect("it can be read");
            assert_eq!(
                (&read.arguments[..], read.whole),
                (arguments.iter().map(|a| a.to_vec()).collect::<Vec<_>>().as_slice(), false),
                "{most}"
            );
        }
        assert_eq!(wish(8).read(2), None);
    }

    #[test]
    fn addresses_are_read() {
        let unix = |rest: &[u8]| [&(libc::AF_UNIX as u16).to_ne_bytes()[..], rest].concat();
        assert_eq!(address(&unix(b"/run/x\0\0")), Some(Address::Path(b"/run/x".to_vec())));
        assert_eq!(address(&unix(b"\0name")), Some(Address::Abstract(b"name".to_vec())));
        let inet = [&(libc::AF_INET as u16).to_ne_bytes()[..], &[1, 187, 10, 0, 0, 1, 0, 0]].concat();
        assert_eq!(address(&inet), Some(Address::Inet(([10, 0, 0, 1], 443).into())));
        assert_eq!(address(&[1]), None);
    }
}
