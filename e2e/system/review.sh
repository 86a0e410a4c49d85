# The approvers' screen in a real terminal (tmux): what waits, read to its end, signed by two; names that would repaint it.
own_etc
outside_needs_two
daemon_up
enrol_two
mkdir /srv/one
for n in $(seq 30); do echo "$n" > "/srv/one/$n"; done
touch /srv/one/$'\e[2J\e[Hx\nnothing  waits'
echo secret > /srv/one/text
chown -R 1000 /srv/one
agent backstop run -c 'rm /srv/one/*' > /tmp/held 2>&1
run=$(newest agent)

t() { as "$who" tmux -f /dev/null -S /tmp/tmux."$who" "$@"; }
# begin UID ARG...: the screen of somebody
begin() {
    who=$1
    shift
    t new-session -d -x 100 -y 30 "backstop review $*; echo gone: \$?; sleep 100"
}
press() { t send-keys "$@"; }
# see PATTERN: it is on the screen within five seconds
see() {
    for _ in $(seq 50); do
        t capture-pane -p > /tmp/screen
        grep -qE -- "$1" /tmp/screen && { cat /tmp/screen; return 0; }
        sleep 0.1
    done
    cat /tmp/screen
    return 1
}

expect no-screen-for-no-terminal 2 'no terminal' as 1001 backstop review
expect none-for-an-agent 77 'only people who are enrolled' bash -c 'echo | setpriv --reuid=1000 --regid=1000 --clear-groups script -qec "backstop review" /dev/null'
begin 1001 --key /tmp/keys/anna
expect what-waits-is-there 0 '1 request waits' see '1 request waits'
expect with-its-effect-in-words 0 "$run .*0 of 2.*would delete" see "$run"
expect the-text-that-is-signed 0 'backstop asks for approval' see 'backstop asks for approval'
press a
expect not-unread 0 'read what is signed to its end' see 'read what is signed to its end'
press Tab
expect the-effect-as-a-tree 0 '├─ - text' see '├─ - text'
press End
expect with-the-rules-that-spoke 0 'outside-needs-two' see 'outside-needs-two'
expect no-name-repaints-it 0 '1 request waits' grep -E '1 request waits' /tmp/screen
press Tab
expect the-differences 0 'x1b\[2J' see '^--- /srv/one/.*x1b\[2J'
press Tab
expect back-again 0 'backstop asks for approval' see 'backstop asks for approval'
press End
sleep 0.4
press a
expect nor-jumped-over 0 'read what is signed to its end' see 'read what is signed to its end'
for _ in 1 2 3 4; do press PageDown; sleep 0.3; done
press a
expect the-text-once-more-and-a-word 0 'type: approve-once' see 'type: approve-once'
sleep 0.3
press approve-once Enter
expect it-counts 0 '1 of 2 \(anna\)' see '1 of 2 \(anna\)'
press Enter
expect and-the-screen-is-back 0 '1 of 2 \(anna\), expires' see '^r-.*1 of 2 \(anna\), expires'
begin 1002 --key /tmp/keys/ben
expect the-second-sees-the-first 0 '1 of 2 \(anna\)' see '1 of 2 \(anna\)'
# Two keys at once are two keys.
for _ in 1 2 3 4; do press PageDown; sleep 0.3; done
press Up a
expect the-second-is-asked-too 0 'type: approve-once' see 'type: approve-once'
expect nothing-is-gone-yet 0 '' test -e /srv/one/text
sleep 0.3
press approve-once Enter
expect it-takes-effect 0 'committed' see 'committed'
expect it-is-gone 1 '' test -e /srv/one/text
press Enter
expect nothing-waits-any-more 0 '0 requests wait' see '0 requests wait'
press q
expect who-leaves-is-where-he-was 0 'gone: 0' see 'gone: 0'
expect with-his-terminal-as-it-was 0 ' icanon .* echo ' bash -c "stty -a -F $(t display-message -p '#{pane_tty}') | tr '\n' ' '"
who=1001
expect the-first-sees-it-too 0 '0 requests wait' see '0 requests wait'
press C-c
expect ctrl-c-leaves 0 'gone: 0' see 'gone: 0'
expect the-log-holds 0 '' backstop audit verify
daemon_down
