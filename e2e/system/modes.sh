# Everyday work through the daemon: the same commands and answers, with the caller's own rights.
daemon_up
cd /w
expect his-own-id 0 '^uid=1000\(agent\) gid=1000' agent backstop run --rehearse -- id
expect no-groups-but-his 0 'groups=1000[^,]*$' agent backstop run --rehearse -- id
expect allowed-at-once 0 '' agent backstop run -c 'echo one > f'
expect the-owner-is-his 0 '^1000 1000 644' stat -c '%u %g %a' f
expect what-he-may-not-he-may-not 1 'Permission denied' agent backstop run -c 'echo x > /srv/no'
expect his-environment 0 '^bar /home/u1000 0027 333$' agent env FOO=bar bash -c \
    'umask 0027; ulimit -n 333; exec backstop run --rehearse -c "echo \$FOO \$HOME \$(umask) \$(ulimit -n)"'
expect his-input 0 '^hello$' agent bash -c 'echo hello | backstop run --rehearse -- cat'
expect his-exit-code 7 '' agent backstop run --rehearse -c 'exit 7'
expect his-signal 143 '' agent backstop run --rehearse -c 'kill -TERM $$'
expect not-found 127 'no-such-program' agent backstop run --rehearse -- no-such-program
expect pipes-pass-whatever-their-number 0 '^by three$' agent bash -c 'exec 3< <(echo by three) 4> >(cat > /dev/null); backstop run --rehearse -c "cat <&3"'
expect pipes-pass 0 '^from outside$' agent bash -c 'exec 9< <(echo from outside); backstop run --rehearse -c "cat <&9"'
expect output-is-json 0 '"state": "committed"' agent backstop run --json -c 'echo two > g'
expect shows-it 0 'echo two' agent backstop show @last
expect shows-differences 0 '^\+two$' agent backstop show @last --diff
expect lists-it 0 'committed' agent backstop runs
expect takes-it-back 0 'undone' agent backstop undo @last
expect and-it-is-gone 1 '' test -e g
expect holds-it 75 'held' agent backstop run --hold -c 'rm f'
expect gives-it-up 0 'discarded' agent backstop discard @last
tool() {
    printf '{"hook_event_name":"%s","session_id":"s","cwd":"/w","tool_name":"Write","tool_use_id":"t1","tool_input":{"file_path":"%s","content":"x"}}' "$1" "$2" |
        agent backstop hook claude
}
expect a-file-tool-may-write-here 0 '' tool PreToolUse /w/by-tool
expect and-is-not-stopped 1 '' grep -qE 'deny|held' /tmp/said
agent bash -c 'printf x > /w/by-tool'
expect what-it-did-is-looked-at 0 '' tool PostToolUse /w/by-tool
expect and-is-a-run 0 'committed' agent backstop runs --session s
expect which-is-taken-back 0 'undone' agent backstop undo --session s
expect its-file-is-gone 1 '' test -e /w/by-tool
expect a-file-tool-may-not-write-there 2 '' tool PreToolUse /home/agent/.bashrc
expect interrupted 130 '' agent env --default-signal=INT timeout --preserve-status -s INT 0.7 backstop run --rehearse -- sleep 20
expect what-he-ignores-is-ignored 0 '' agent bash -c 'trap "" INT; exec backstop run --rehearse -c "kill -INT \$\$; exit 0"'
expect ended 143 'interrupted by signal 15' agent timeout --preserve-status -s TERM 0.7 backstop run --rehearse -- sleep 20
agent bash -c 'backstop run --rehearse -- sleep 77 & sleep 0.7; kill -KILL $!; wait $!' > /dev/null 2>&1
sleep 0.7
expect who-goes-away-ends-his-command 1 '' pgrep -x sleep
expect set-uid-gives-nothing 0 '^1000$' bash -c 'cp /usr/bin/id /srv/id; chmod 4755 /srv/id; setpriv --reuid=1000 --regid=1000 --clear-groups backstop run --rehearse -- /srv/id -u'
expect a-run-in-a-run 0 '^1000$' agent backstop run --rehearse -- backstop run -- id -u
expect turns-are-taken 0 '^x1 x2 $' agent bash -c 'backstop run -c "sleep 0.7; echo x1 >> t" & sleep 0.3; backstop run -c "echo x2 >> t"; wait; tr "\n" " " < t'
agent backstop run -c 'sleep 3; true > u' > /dev/null 2>&1 &
sleep 0.4
expect a-wait-for-a-turn-can-be-ended 143 'interrupted by signal 15' agent timeout --preserve-status -s TERM 0.7 backstop run -c 'true > v'
wait %2 2> /dev/null
mkdir /w/closed && chmod 700 /w/closed && chown 0:0 /w/closed
expect nowhere-he-can-not-go 125 'working directory' bash -c 'cd /w/closed && exec setpriv --reuid=1000 --regid=1000 --clear-groups backstop run --rehearse -- ls'
expect two-daemons-are-one-too-many 1 'running already' backstopd
expect root-sees-all 0 'committed' backstop runs
expect the-log-holds 0 '' backstop audit verify
daemon_down
expect nothing-goes-past-it 0 '' bash -c 'mkdir /tmp/etc; cp -a /etc/. /tmp/etc 2> /dev/null; mkdir /tmp/etc/backstop; echo "mode = \"system\"" > /tmp/etc/backstop/settings.toml; chown -R 0:0 /tmp/etc/backstop; mount --bind /tmp/etc /etc'
expect while-it-is-away 125 "can't be reached" agent backstop run -- true
