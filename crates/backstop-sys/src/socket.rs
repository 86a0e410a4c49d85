//! Local sockets whose other end the kernel vouches for: bytes with handles, and who has connected.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use crate::process::Limit;
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};

/// The most handles that come with one message.
pub const MOST_HANDLES: usize = 24;

/// Who is at the other end: as it was when it connected, whatever it became since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its process.
    pub pid: i32,
    /// Effective user.
    pub uid: u32,
    /// Effective group.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// Its process' limits, as they are now.
    pub limits: Vec<Limit>,
    /// The user that had logged in, where the kernel knows it and the process could be told from a later one of
    /// the same number.
    pub login: Option<u32>,
}

/// Who has connected to this socket.
pub fn peer(socket: BorrowedFd<'_>) -> io::Result<Peer> {
    // Not rustix: the process of a peer outside this process namespace has the number 0, which its type can't hold.
    let mut who = libc::ucred { pid: 0, uid: u32::MAX, gid: u32::MAX };
    let mut bytes = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: `who` is valid for `bytes` bytes, and the kernel writes no more than that.
    let rc = unsafe {
        libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_PEERCRED, (&raw mut who).cast(), &raw mut bytes)
    };
    if rc != 0 {
        return Err(io::Error::last_os_error());
    }
    if who.pid == 0 {
        return Err(io::Error::other("the caller is in a process namespace that can't be seen from here"));
    }
    let limits = crate::process::limits(who.pid)?;
    let login = login(socket, who.pid);
    Ok(Peer { pid: who.pid, uid: who.uid, gid: who.gid, groups: groups(socket)?, limits, login })
}

fn groups(socket: BorrowedFd<'_>) -> io::Result<Vec<u32>> {
    // As many as the kernel lets anybody have.
    let mut list = vec![0u32; 65_536];
    let mut bytes = size_of_val(&list[..]) as libc::socklen_t;
    // SAFETY: the list is valid for `bytes` bytes, and the kernel writes no more than that.
    let rc = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERGROUPS,
            list.as_mut_ptr().cast(),
            &raw mut bytes,
        )
    };
    if rc != 0 {
        return Err(io::Error::last_os_error());
    }
    list.truncate(bytes as usize / size_of::<u32>());
    list.shrink_to_fit();
    Ok(list)
}

/// Linux 6.5.
const SO_PEERPIDFD: i32 = 77;

fn login(socket: BorrowedFd<'_>, pid: i32) -> Option<u32> {
    let mut fd: i32 = -1;
    let mut bytes = size_of::<i32>() as libc::socklen_t;
    // SAFETY: `fd` is valid for the four bytes that are written.
    let rc = unsafe {
        libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, SO_PEERPIDFD, (&raw mut fd).cast(), &raw mut bytes)
    };
    if rc != 0 || fd < 0 {
        return None;
    }
    // SAFETY: the kernel has just made this descriptor for us.
    let process = unsafe { OwnedFd::from_raw_fd(fd) };
    let uid = std::fs::read_to_string(format!("/proc/{pid}/loginuid")).ok()?.trim().parse().ok()?;
    // Alive after the look: it was its file, and no later process'.
    let ended = crate::wait::readable(&[Some(process.as_fd())], std::time::Duration::ZERO).ok()?[0];
    (!ended.any() && uid != u32::MAX).then_some(uid)
}

/// Sends some of `bytes`, with handles; gives how many went.
pub fn send(socket: BorrowedFd<'_>, bytes: &[u8], handles: &[BorrowedFd<'_>]) -> io::Result<usize> {
    send_by(socket, bytes, handles, SendFlags::NOSIGNAL)
}

/// The same without handles and without waiting: an error of kind `WouldBlock` where nothing can go now.
pub fn send_now(socket: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    send_by(socket, bytes, &[], SendFlags::NOSIGNAL | SendFlags::DONTWAIT)
}

fn send_by(socket: BorrowedFd<'_>, bytes: &[u8], handles: &[BorrowedFd<'_>], how: SendFlags) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_HANDLES))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !handles.is_empty() && !control.push(SendAncillaryMessage::ScmRights(handles)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    loop {
        match sendmsg(socket, &[IoSlice::new(bytes)], &mut control, how) {
            Ok(n) => return Ok(n),
            Err(Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
}

/// Receives some bytes into `buffer`, and the handles that came with them; 0 once the other end is closed. What
/// does not fit [`MOST_HANDLES`] the kernel closes.
pub fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_HANDLES))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let got = loop {
        match recvmsg(socket, &mut [IoSliceMut::new(buffer)], &mut control, RecvFlags::CMSG_CLOEXEC) {
            Ok(got) => break got,
            Err(Errno::INTR) => {}
            Err(Errno::CONNRESET) => return Ok((0, Vec::new())),
            Err(e) => return Err(e.into()),
        }
    };
    let mut handles = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(fds) = message {
            handles.extend(fds);
        }
    }
    Ok((got.bytes, handles))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn the_kernel_says_who_is_there_and_handles_come_along() {
        let (a, b) = UnixStream::pair().expect("a pair");
        let who = peer(a.as_fd()).expect("a peer");
        assert_eq!((who.uid, who.gid), crate::process::own_ids());
        assert_eq!(who.pid, crate::process::own_pid());
        let null = std::fs::File::open("/dev/null").expect("null");
        assert_eq!(send(a.as_fd(), b"hello", &[null.as_fd(), a.as_fd()]).expect("sent"), 5);
        let mut buffer = [0; 16];
        let (n, handles) = receive(b.as_fd(), &mut buffer).expect("received");
        assert_eq!((&buffer[..n], handles.len()), (&b"hello"[..], 2));
        drop(handles);
        drop(a);
        assert_eq!(receive(b.as_fd(), &mut buffer).expect("closed").0, 0);
    }
}
