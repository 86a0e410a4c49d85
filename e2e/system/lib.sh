# A machine in system mode: the daemon, an agent's account without any right, two people's. Every claim is a line in
# /w/result: what was expected, and whether it was so.
unset XDG_STATE_HOME
export HOME=/root
cat > /tmp/passwd <<'END'
root:x:0:0::/root:/bin/bash
agent:x:1000:1000::/home/agent:/bin/bash
anna:x:1001:1001::/home/anna:/bin/bash
ben:x:1002:1002::/home/ben:/bin/bash
END
mount --bind /tmp/passwd /etc/passwd
mkdir -p /root /home/agent /home/anna /home/ben /tmp/keys
chmod 700 /root
chown 1000:1000 /home/agent /w
chown 1001:1001 /home/anna
chown 1002:1002 /home/ben
chmod 1777 /tmp/keys

as() {
    uid=$1
    shift
    setpriv --reuid="$uid" --regid="$uid" --clear-groups --inh-caps=-all env HOME=/home/u"$uid" "$@"
}
agent() { as 1000 "$@"; }
# newest [agent]: what the last run of root, or of the agent, is called.
newest() { "$@" backstop runs --json | sed -n 's/.*"id": "\(r-[^"]*\)".*/\1/p' | head -1; }
# shop FILE...: files of the agent's outside its workspace.
shop() {
    mkdir /srv/shop
    chown 1000:1000 /srv/shop
    for file; do agent touch /srv/shop/"$file"; done
}
# hold FILE: the agent asks for its loss, in a session of that name; `run` is what it is called.
hold() {
    agent backstop run --session "$1" -c "rm /srv/shop/$1" > /tmp/held 2>&1
    run=$(newest agent)
}

# /etc is this script's own from here on, with an empty /etc/backstop.
own_etc() {
    mkdir /tmp/etc
    cp -a /etc/. /tmp/etc 2> /dev/null
    mkdir -p /tmp/etc/backstop/policy
    cp /tmp/passwd /tmp/etc/passwd
    chown -R 0:0 /tmp/etc/backstop
    mount --bind /tmp/etc /etc
}
# What is outside takes two people.
outside_needs_two() {
    cat > /etc/backstop/policy/two.cedar << 'END_OF_RULE'
@id("outside-needs-two") @reason("outside, two people look at it")
forbid (principal, action == Action::"commit", resource)
when { context.classes.contains("outside") }
unless { context.approvals.people >= 2 };
END_OF_RULE
}

daemon_up() {
    env -u BACKSTOP_FAULT ${FAULT:+BACKSTOP_FAULT=$FAULT} "${DAEMON:-backstopd}" >> /w/daemon.log 2>&1 &
    daemon=$!
    for _ in $(seq 100); do
        [ -S /run/backstop/socket ] && agent backstop runs > /tmp/up 2>&1 && return
        sleep 0.02
    done
    echo "FAIL the daemon does not come up: $(cat /w/daemon.log /tmp/up)" >> /w/result
}
# The same where it may be killed before it listens.
daemon_up_quietly() {
    env BACKSTOP_FAULT="$FAULT" backstopd >> /w/daemon.log 2>&1 &
    daemon=$!
    for _ in $(seq 50); do
        [ -S /run/backstop/socket ] && return
        kill -0 "$daemon" 2> /dev/null || return
        sleep 0.02
    done
}
daemon_down() {
    kill "$daemon" 2> /dev/null
    wait "$daemon" 2> /dev/null
}

# expect NAME CODE PATTERN COMMAND...: the command ends with this code, and what it says has the pattern.
expect() {
    name=$1 code=$2 pattern=$3
    shift 3
    # Not into the file at once: a command may look at what the one before said.
    "$@" > /tmp/said.now 2>&1
    got=$?
    mv /tmp/said.now /tmp/said
    if [ "$got" = "$code" ] && { [ -z "$pattern" ] || grep -qE -- "$pattern" /tmp/said; }; then
        echo "ok $name" >> /w/result
    else
        { echo "FAIL $name: exit $got, expected $code and /$pattern/; it said:"; sed 's/^/    /' /tmp/said; } >> /w/result
    fi
}

# The decision of a person about a request, signed by OpenSSH with the key that is named: sign UID KEY REQUEST FILE [DECISION]
sign() {
    as "$1" backstop show "$3" --statement --decision "${5:-approve-once}" --key /tmp/keys/"$2".pub > "$4" || return
    chown "$1" "$4"
    as "$1" ssh-keygen -q -Y sign -n approval@backstop -f /tmp/keys/"$2" "$4" 2> /dev/null
}
# authority NAME: one of our own, which vouches for whom `vouched` names.
authority() { openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN="$1" -keyout /tmp/keys/"$1".key -out /tmp/keys/"$1".pem 2> /dev/null; }
# vouched NAME: a certificate for this machine, by the authority `ca`.
vouched() {
    openssl req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout /tmp/keys/"$1".key -out /tmp/keys/"$1".csr 2> /dev/null
    echo subjectAltName=DNS:localhost > /tmp/keys/"$1".ext
    openssl x509 -req -in /tmp/keys/"$1".csr -CA /tmp/keys/ca.pem -CAkey /tmp/keys/ca.key -CAcreateserial -days 2 \
        -extfile /tmp/keys/"$1".ext -out /tmp/keys/"$1".pem 2> /dev/null
}
key() { as "$1" ssh-keygen -q -t ed25519 -N '' -C '' -f /tmp/keys/"$2"; }
# anna and ben may approve, by their own accounts.
enrol_two() {
    key 1001 anna
    key 1002 ben
    expect enrol-anna 0 . backstop people add anna --account anna --key /tmp/keys/anna
    expect enrol-ben 0 . backstop people add ben --account ben --key /tmp/keys/ben
}
