//! Pipes and sockets of programs outside that lie where the view is read-only: none is reached.

use std::fs;

use crate::runner::{Scratch, Who};

/// On a mount of its own, and directly in a directory that has a mount beneath, which without root can
/// be looked at through no glass: a pipe that is read, one that is written, sockets with a relative name.
const OUTSIDE: &str = r#"
mount -t tmpfs -o mode=777 x ro
serve() {
    cd "$1"; mkfifo -m 666 in out
    timeout 20 cat in >> "$HOME/got" & timeout 20 sh -c 'echo secret > out' &
    timeout 20 python3 -c "
import os, socket, time
s = socket.socket(socket.AF_UNIX); s.bind('s'); s.listen(); os.chmod('s', 0o777)
d = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); d.bind('d'); os.chmod('d', 0o777); os.rename('d', 'e')
time.sleep(20)" &
    while ! test -e e; do sleep 0.1; done
}
(serve ro) </dev/null >/dev/null 2>&1
(serve .) </dev/null >/dev/null 2>&1
mount -o remount,bind,ro ro
"#;

const INSIDE: &str = r#"
for d in ro .; do
    timeout 2 sh -c "echo order > $d/in" 2>/dev/null
    timeout 2 cat $d/out 2>/dev/null
done
python3 -c "
import socket
for at in ('ro/', './'):
    try: socket.socket(socket.AF_UNIX).connect(at + 's'); print('open', at + 's')
    except OSError: pass
    try: socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b'x', at + 'e'); print('open', at + 'e')
    except OSError: pass"
echo end
"#;

pub fn pipes_and_sockets_in_read_only_places_are_out_of_reach(who: Who) {
    let s = Scratch::new(who);
    fs::create_dir(s.tree().join("ro")).expect("mkdir");
    s.own();
    let d = s.sh_with_mounts(OUTSIDE, INSIDE);
    assert_eq!(d.stdout, "end\n", "{}", d.stderr);
    assert_eq!(fs::read(s.home().join("got")).expect("the reader's file"), b"", "nobody gave an order");
}

/// Without root an overlay asks the directories in a glass for attributes that one which only its owner
/// reads does not give; it has to be there all the same.
pub fn a_directory_that_only_its_owner_reads_keeps_its_place(who: Who) {
    let s = Scratch::new(who);
    let d = s.sh_with_mounts(
        "mount -t tmpfs -o mode=755 x /var/lib; mkdir -m 700 /var/lib/shut; mkdir /var/lib/open
        mkfifo -m 666 /var/lib/open/pipe; timeout 20 cat /var/lib/open/pipe >> \"$HOME/got\" </dev/null 2>/dev/null &
        touch -d @1700000000 /var/lib; mount -o remount,ro /var/lib",
        "stat -c '%A %Y' /var/lib; touch /var/lib/x 2>/dev/null; stat -c '%A %n' /var/lib/*; timeout 2 sh -c 'echo order > /var/lib/open/pipe'; echo end",
    );
    let told = "drwxr-xr-x 1700000000\ndrwxr-xr-x /var/lib/open\ndrwx------ /var/lib/shut\nend\n";
    assert_eq!(d.stdout, told, "{}", d.stderr);
    assert_eq!(fs::read(s.home().join("got")).expect("the reader's file"), b"", "nobody gave an order");
}

/// Writing is confined without root; what is private, or made by the run, has to work all the same.
pub fn what_is_the_run_s_own_can_be_written_to(who: Who) {
    let s = Scratch::new(who);
    let d = s.sh("set -e; echo a > /dev/null; echo b > /dev/shm/b; echo c > \"/run/user/$(id -u)/c\"; echo d > /tmp/d
        mkfifo pipe; (echo through > pipe) & cat pipe; mkdir x y; echo e > x/e; mv x/e y/e; ln y/e x/f; mv x y/x
        (echo again > /dev/stdout) | cat; echo 0 > /proc/self/oom_score_adj; mkdir /dev/shm/1 /dev/shm/2; mv /dev/shm/1 /dev/shm/2/
        python3 -c \"import os; f = os.open('.', os.O_TMPFILE | os.O_RDWR, 0o600); os.close(os.open(f'/proc/self/fd/{f}', os.O_RDWR))
m = os.memfd_create('m'); os.close(os.open(f'/proc/self/fd/{m}', os.O_RDWR)); a, b = os.openpty(); os.close(os.open(os.ttyname(b), os.O_RDWR))\"
        echo end");
    assert_eq!(d.stdout, "through\nagain\nend\n", "{}", d.stderr);
    assert_eq!(d.code(), 0);
}
