# A wall clock of the daemon's own, and a machine that was started when we say: the daemon reads both as it always does.
cat > /tmp/clock.c <<'END_OF_PROGRAM'
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t clock, struct timespec *now) {
    int failed = syscall(SYS_clock_gettime, clock, now), file;
    char text[32] = {0};
    if (clock == CLOCK_REALTIME && (file = open("/tmp/shift", O_RDONLY | O_CLOEXEC)) >= 0) {
        if (read(file, text, sizeof text - 1) > 0) now->tv_sec += atol(text);
        close(file);
    }
    return failed;
}
END_OF_PROGRAM
cc -shared -fPIC -O1 -o /tmp/clock.so /tmp/clock.c
cp /proc/sys/kernel/random/boot_id /tmp/boot_id
cp /proc/uptime /tmp/uptime
real_uptime() { awk '{printf "%d", $1}' /tmp/proc/uptime; }
mkdir /tmp/proc
mount -t proc proc /tmp/proc
mount --bind /tmp/boot_id /proc/sys/kernel/random/boot_id
mount --bind /tmp/uptime /proc/uptime
# later SECONDS: so long after the script began, and the machine was on all the time.
later() {
    echo "$(($(real_uptime) + $1)).00 1.00" > /tmp/uptime
    echo "$1" > /tmp/shift
}
later 0
chmod 644 /tmp/clock.so /tmp/shift
cat > /tmp/backstopd-by-clock <<'END_OF_PROGRAM'
#!/bin/sh
LD_PRELOAD=/tmp/clock.so exec backstopd
END_OF_PROGRAM
chmod 755 /tmp/backstopd-by-clock
DAEMON=/tmp/backstopd-by-clock
by_clock() { env LD_PRELOAD=/tmp/clock.so "$@"; }
