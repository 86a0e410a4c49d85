//! Ways out of the view, each tried for real and each to fail.

use std::fs;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixListener};

use serde_json::json;

use crate::runner::{Scratch, Who};

/// What has to fail, as shell lines.
const WAYS: &[&str] = &[
    "ls /proc/1/root/",
    "ls /proc/1/cwd/",
    "for f in /proc/1/fd/*; do readlink $f && exit 0; cat $f && exit 0; done; exit 1",
    "chmod 700 /proc/1/exe",
    "touch /proc/1/exe",
    "head -c 1 /proc/1/mem",
    "mknod node b 254 0 && head -c 1 node",
    "mknod node c 1 1 && head -c 1 node",
    "mount -t tmpfs x /mnt",
    "mount --bind / /mnt",
    "mount -o remount,rw /proc/sys",
    "umount -l /run/backstop",
    "umount -l /proc",
    "cd /usr && test \"$(stat -c %i ..)\" != \"$(stat -c %i /)\"",
    "grep -E '^[0-9]+ [0-9]+ [0-9:]+ [^ ]+ / ' /proc/self/mountinfo | wc -l | grep -v '^1$'",
    "unshare -U true",
    "unshare -m true",
    "unshare -Ur true",
    "unshare -p --fork true",
    "nsenter -t 1 -m true",
    "nsenter --mount=/proc/1/ns/mnt true",
    "echo x > /proc/sys/kernel/core_pattern",
    "echo x > /proc/sys/kernel/modprobe",
    "echo h > /proc/sysrq-trigger",
    "echo 1 > /sys/kernel/mm/ksm/run",
    "find /sys -name release_agent | grep .",
    "head -c 1 /dev/vda || head -c 1 /dev/sda || head -c 1 /dev/nvme0n1",
    "find /dev -type b | grep .",
    "head -c 1 /dev/kmsg",
    "head -c 1 /dev/mem",
    "test -n \"$(head -c 1 /proc/kcore)\"",
    "timeout 1 head -c 1 /proc/kmsg",
    "test -n \"$(head -c 1 /proc/keys)\"",
    "hostname elsewhere",
    "date -s @0",
    "dmesg",
    "ls -A \"$HOME/state\" | grep .",
    "touch \"$HOME/state/x\"",
    "mv \"$HOME/state\" \"$HOME/state2\"",
    "rm -rf \"$HOME/state\"",
    "python3 -c 'import fcntl, termios; fcntl.ioctl(0, termios.TIOCSTI, b\"x\")'",
    // open_by_handle_at, io_uring_setup, userfaultfd, keyctl, perf_event_open, bpf, open_tree, move_mount.
    "call() { python3 -c 'import ctypes, sys, os; l = ctypes.CDLL(None, use_errno=True); \
     r = l.syscall(*map(int, sys.argv[1:])); sys.exit(0 if r >= 0 or ctypes.get_errno() not in (1, 38) else 1)' \"$@\"; }; \
     call 304 -100 0 0 || call 425 1 0 || call 323 0 || call 250 0 0 || call 298 0 0 || call 321 0 0 0 || \
     call 428 -100 0 1 || call 429 0 0 0 0 0",
    // An x32 getpid, and a clone with a new user namespace.
    "python3 -c 'import ctypes, sys; l = ctypes.CDLL(None); sys.exit(0 if l.syscall(0x40000027) >= 0 else 1)'",
    "python3 -c 'import ctypes, sys; l = ctypes.CDLL(None); r = l.syscall(56, 0x10000011, 0, 0, 0, 0); sys.exit(0 if r >= 0 else 1)'",
];

pub fn nothing_leads_out(who: Who) {
    no_way_is_open(&Scratch::new(who));
}

/// Tries them all; there is no vault where nothing can be written.
pub fn no_way_is_open(s: &Scratch) {
    let mut script = String::new();
    for (n, way) in WAYS.iter().enumerate() {
        script.push_str(&format!("( {way} ) >/dev/null 2>&1 && echo way {n}\n"));
    }
    script.push_str("echo tried\n");
    fs::write(s.tree().join("ways"), script).expect("write");
    let d = s.run(&["sh", "ways"]);
    let open: Vec<&str> =
        d.stdout.lines().filter_map(|l| WAYS.get(l.strip_prefix("way ")?.parse::<usize>().ok()?).copied()).collect();
    assert!(open.is_empty(), "open: {open:#?}\n{}", d.stderr);
    assert!(d.stdout.ends_with("tried\n"), "{}", d.stderr);
    assert!(s.state().exists() && !s.state().join("x").exists());
}

pub fn sockets_of_the_machine_are_shut_and_told(who: Who) {
    let s = Scratch::new(who);
    // One below an overlay, one where the user's view is read-only, one without a path.
    let near = s.tree().join("near.sock");
    let far = s.dir.path().join("far.sock");
    let name = format!("backstop-test-{}", std::process::id());
    let _near = UnixListener::bind(&near).expect("bind");
    let _far = UnixListener::bind(&far).expect("bind");
    let _abstract = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).expect("a name")).expect("bind");
    for path in [&near, &far] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o777)).expect("chmod");
    }
    let try_all = format!(
        "import socket\n\
         for a in ('near.sock', {far:?}, '\\0{name}'):\n\
         \x20   s = socket.socket(socket.AF_UNIX)\n\
         \x20   try: s.connect(a); print('open', a)\n\
         \x20   except OSError: pass\n\
         own = socket.socket(socket.AF_UNIX); own.bind('own.sock'); own.listen()\n\
         c = socket.socket(socket.AF_UNIX); c.connect('own.sock'); print('own works')\n"
    );
    fs::write(s.tree().join("try.py"), try_all).expect("write");
    let d = s.run(&["python3", "try.py"]);
    assert_eq!(d.stdout, "own works\n", "{}", d.stderr);
    let mut expected =
        [near.to_str().expect("text").to_owned(), far.to_str().expect("text").to_owned(), format!("@{name}")];
    expected.sort();
    let mut told: Vec<_> = d.told["doors"].as_array().expect("a list").clone();
    told.sort_by_key(|door| door["to"].as_str().map(str::to_owned));
    let expected: Vec<_> = expected.iter().map(|to| json!({"shut": true, "to": to, "who": "python3"})).collect();
    assert_eq!(told, expected);
}

pub fn outside_processes_are_out_of_reach(who: Who) {
    let s = Scratch::new(who);
    let mut other = std::process::Command::new("sleep").arg("60").spawn().expect("starts");
    let pid = other.id();
    // The group is shared with the caller, for the terminal's sake; signals to it stay inside.
    let d = s.sh(&format!(
        "kill -9 {pid} && echo reached; kill -9 -1 2>/dev/null; trap '' TERM; kill -TERM 0; ls /proc/{pid} 2>/dev/null; echo end"
    ));
    assert_eq!(d.stdout, "end\n", "{}", d.stderr);
    assert!(other.try_wait().expect("wait").is_none(), "still alive");
    other.kill().expect("kill");
    other.wait().expect("wait");
}

pub fn no_packet_leaves_without_a_network(who: Who) {
    let s = Scratch::new(who);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
    let port = listener.local_addr().expect("an address").port();
    let line = format!(
        "import socket\n\
         for a in (('127.0.0.1', {port}), ('192.0.2.1', 80)):\n\
         \x20   s = socket.socket(); s.settimeout(3)\n\
         \x20   try: s.connect(a); print('open', a)\n\
         \x20   except OSError: pass\n\
         l = socket.socket(); l.bind(('127.0.0.1', 0)); l.listen()\n\
         c = socket.socket(); c.connect(l.getsockname()); print('loopback works')\n"
    );
    let output = s.command("none", &["python3", "-c", &line]).output().expect("runs");
    let d = crate::runner::done(&output);
    assert_eq!(d.stdout, "loopback works\n", "{}", d.stderr);
    assert_eq!(d.told["doors"], json!([{"shut": true, "to": "192.0.2.1:80", "who": "python3"}]));
}

/// One attempt of each kind, at a program that listens on the machine's loopback device and at an address
/// that is nobody's; then the families that know no network namespace.
pub const NETWORKS: &str = r#"
import os, socket, sys
tcp, udp, tcp6, udp6 = map(int, sys.argv[1:])
def attempt(what, act):
    try:
        if act(): print('open', what)
    except OSError: pass
def echo(family, at):
    s = socket.socket(family, socket.SOCK_DGRAM); s.settimeout(1)
    s.sendto(b'x', at)
    return s.recv(1) == b'y'
def connect(family, at):
    s = socket.socket(family); s.settimeout(2); s.connect(at)
    return True
def ping(family, kind, at, first):
    s = socket.socket(family, kind, 1 if family == socket.AF_INET else 58); s.settimeout(1)
    s.sendto(bytes([first, 0, 0, 0, 0, 1, 0, 1]), at)
    return s.recv(1500)
attempt('tcp', lambda: connect(socket.AF_INET, ('127.0.0.1', tcp)))
attempt('udp', lambda: echo(socket.AF_INET, ('127.0.0.1', udp)))
attempt('tcp6', lambda: connect(socket.AF_INET6, ('::1', tcp6)))
attempt('udp6', lambda: echo(socket.AF_INET6, ('::1', udp6)))
def leaves(family, at):
    s = socket.socket(family, socket.SOCK_DGRAM)
    return s.sendto(b'x', at) == 1
attempt('udp out', lambda: leaves(socket.AF_INET, ('192.0.2.1', 53)))
attempt('udp6 out', lambda: leaves(socket.AF_INET6, ('2001:db8::1', 53)))
for kind in (socket.SOCK_DGRAM, socket.SOCK_RAW):
    attempt('ping', lambda: ping(socket.AF_INET, kind, ('192.0.2.1', 0), 8))
    attempt('ping6', lambda: ping(socket.AF_INET6, kind, ('2001:db8::1', 0), 128))
for name, family in (('vsock', 40), ('alg', 38), ('bluetooth', 31), ('packet', 17), ('can', 29), ('key', 15)):
    attempt(name, lambda: socket.socket(family, socket.SOCK_DGRAM) and True)
    attempt(name, lambda: socket.socket(family, socket.SOCK_STREAM) and True)
    attempt(name, lambda: socket.socket(family, socket.SOCK_RAW) and True)
attempt('alg', lambda: socket.socket(38, socket.SOCK_SEQPACKET) and True)
print('tried')
"#;

/// Ports of programs that answer outside: TCP, UDP, and the same over IPv6 (0 where this machine has none).
pub fn listeners() -> [String; 4] {
    let answer = |at: &str| {
        let Ok(socket) = std::net::UdpSocket::bind(at) else { return 0 };
        let port = socket.local_addr().expect("an address").port();
        std::thread::spawn(move || {
            let mut byte = [0];
            while let Ok((_, from)) = socket.recv_from(&mut byte) {
                socket.send_to(b"y", from).expect("an answer");
            }
        });
        port
    };
    let accept = |at: &str| {
        let Ok(listener) = std::net::TcpListener::bind(at) else { return 0 };
        let port = listener.local_addr().expect("an address").port();
        std::thread::spawn(move || listener.incoming().for_each(drop));
        port
    };
    [accept("127.0.0.1:0"), answer("127.0.0.1:0"), accept("[::1]:0"), answer("[::1]:0")].map(|p| p.to_string())
}

pub fn no_kind_of_socket_leaves_without_a_network(who: Who) {
    let s = Scratch::new(who);
    let ports = listeners();
    let mut argv = vec!["python3", "-c", NETWORKS];
    argv.extend(ports.iter().map(String::as_str));
    // The attempts work where nothing holds them: what is refused below is refused by the view.
    let plain = std::process::Command::new("python3").args(&argv[1..]).output().expect("python3 runs");
    let plain = String::from_utf8(plain.stdout).expect("text");
    assert!(plain.contains("open tcp\nopen udp\n"), "{plain}");
    let d = crate::runner::done(&s.command("none", &argv).output().expect("runs"));
    assert_eq!(d.stdout, "tried\n", "{}", d.stderr);
}
