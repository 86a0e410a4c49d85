# Time that can't be trusted ends what waits for people: by the daemon's own clocks.
own_etc
outside_needs_two
shop a b c d e
daemon_up
enrol_two
cd /srv
# half FILE: asks for its loss, and anna has approved; ben's signature is ready.
half() {
    hold "$1"
    sign 1001 anna "$run" /tmp/keys/a-"$1"
    as 1001 backstop approve "$run" --signature /tmp/keys/a-"$1".sig > /tmp/half 2>&1
    sign 1002 ben "$run" /tmp/keys/b-"$1"
}
half a
expect half-there 0 '1 of 2 \(anna\)' as 1002 backstop pending
echo 61 > /tmp/shift
expect a-clock-set-forward 77 'is expired' as 1002 backstop approve "$run" --signature /tmp/keys/b-a.sig
later 0
half b
echo -600 > /tmp/shift
expect a-clock-set-back 77 'is expired' as 1002 backstop approve "$run" --signature /tmp/keys/b-b.sig
later 0
half c
daemon_down
tr 0-9a-f 1-9a-f0 < /tmp/boot_id > /tmp/other && cat /tmp/other > /tmp/boot_id
daemon_up
expect a-machine-started-anew 77 'is expired' as 1002 backstop approve "$run" --signature /tmp/keys/b-c.sig
half d
later 1801
expect half-an-hour 77 'is expired' as 1002 backstop approve "$run" --signature /tmp/keys/b-d.sig
expect nothing-gone 0 '' test -e /srv/shop/a -a -e /srv/shop/b -a -e /srv/shop/c -a -e /srv/shop/d
half e
later 1820
daemon_down
daemon_up
expect what-was-asked-in-time 0 'committed' as 1002 backstop approve "$run" --signature /tmp/keys/b-e.sig
expect the-log-says-so 0 'expired' by_clock backstop log
expect the-log-holds 0 '' by_clock backstop audit verify
daemon_down
