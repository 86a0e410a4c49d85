# Killed at every step of breaking the glass, and of reviewing that: it takes effect once or not at all, it is broken
# again only after a review, and the log agrees.
own_etc
outside_needs_two
echo 'break_glass = true' > /etc/backstop/settings.toml
mkdir /srv/shop
cd /srv
python3 /tmp/token make ed25519 /tmp/keys/anna
ssh-keygen -q -t ed25519 -N '' -C '' -f /tmp/keys/ben
# scene NAME: a state of its own, in which both may approve and a run waits.
scene() {
    export XDG_STATE_HOME=/tmp/state-$1
    mkdir "$XDG_STATE_HOME"
    backstop people add anna --no-account --key /tmp/keys/anna.pub --statement > /tmp/keys/proof
    python3 /tmp/token sign /tmp/keys/anna enrolment@backstop /tmp/keys/proof
    backstop people add anna --no-account --key /tmp/keys/anna.pub --proof /tmp/keys/proof.sig
    backstop people add ben --no-account --key /tmp/keys/ben
    hold one
} > /tmp/scene 2>&1
hold() {
    touch /srv/shop/"$1"
    backstop run --session "$1" -c "rm /srv/shop/$1" > /tmp/held 2>&1
    run=$(newest)
}
word() {
    file=/tmp/keys/word
    said=()
    case $2 in
        break-glass) said=(--ticket INC-7 --reason "the disk is full") ;;
        *justified) said=(--reason "the disk is full") ;;
    esac
    rm -f "$file.sig"
    backstop show "$run" --statement --decision "$2" "${said[@]}" --key /tmp/keys/"$1".pub > "$file" || return
    case $1 in
        ben) ssh-keygen -q -Y sign -n approval@backstop -f /tmp/keys/ben "$file" ;;
        *) python3 /tmp/token sign /tmp/keys/anna approval@backstop "$file" ;;
    esac
}
alone() { backstop approve "$run" --break-glass --ticket INC-7 --reason "the disk is full" --signature /tmp/keys/word.sig; }
verdict() { backstop review "$run" --justified --reason "the disk is full" --signature /tmp/keys/word.sig; }
says() { backstop log --json | grep '"approval.voted"' | grep -c "decision $1"; }
killed() { BACKSTOP_FAULT=kill:$point "$@"; }

for point in $(seq 0 300); do
    scene "$point"
    word anna break-glass
    killed alone > /tmp/killed 2>&1
    code=$?
    [ $code = 0 ] && break
    [ $code = 137 ] || expect "killed-at-$point" 137 '' cat /tmp/killed
    backstop recover > /tmp/recovered 2>&1
    # What root has withdrawn meanwhile is not gone by.
    echo > /etc/backstop/settings.toml
    if [ -e /srv/shop/one ]; then
        expect "withdrawn-at-$point" 77 '' backstop commit "$run"
        expect "nothing-of-it-at-$point" 0 '' test -e /srv/shop/one
    fi
    echo 'break_glass = true' > /etc/backstop/settings.toml
    # In either order: the word once more, or the commit that it was for.
    [ -e /srv/shop/one ] && [ $((point % 2)) = 0 ] && alone > /tmp/again 2>&1
    [ -e /srv/shop/one ] && backstop commit "$run" >> /tmp/again 2>&1
    [ -e /srv/shop/one ] && alone >> /tmp/again 2>&1
    broken=$run
    if [ -e /srv/shop/one ]; then
        # Nothing took effect, and it can't any more; broken it was all the same where the word was taken.
        expect "void-at-$point" 77 '' backstop commit "$run"
    fi
    hold two
    if backstop pending | grep -q 'not reviewed'; then
        expect "not-again-at-$point" 77 "for $broken, which nobody has reviewed" word anna break-glass
        next=$run run=$broken
        # Where it can still take effect it is stopped, and not reviewed.
        if ! word ben justified 2> /tmp/review; then
            grep -q 'has not taken effect yet' /tmp/review || echo "FAIL review at $point: $(cat /tmp/review)" >> /w/result
            word ben deny
            backstop deny "$run" --signature /tmp/keys/word.sig > /tmp/denied 2>&1
            word ben justified
        fi
        expect "reviewed-at-$point" 0 'reviewed by ben' verdict
        run=$next
    else
        expect "nothing-came-of-it-at-$point" 0 '' test -e /srv/shop/one
    fi
    word anna break-glass
    expect "then-again-at-$point" 0 'alone, in an emergency' alone
    expect "the-log-holds-at-$point" 0 '' backstop audit verify
    rm -rf "/tmp/state-$point"
done
expect every-step-of-it 0 '' test "$point" -gt 20 -a "$point" -lt 300
broken=$point

for point in $(seq 0 300); do
    scene "review-$point"
    word anna break-glass
    alone > /tmp/alone 2>&1
    word ben justified
    killed verdict > /tmp/killed 2>&1
    code=$?
    [ $code = 0 ] && break
    backstop recover > /tmp/recovered 2>&1
    verdict > /tmp/again 2>&1
    first=$run
    hold two
    word anna break-glass
    expect "reviewed-once-at-$point" 0 'alone, in an emergency' alone
    expect "one-review-on-record-at-$point" 0 '^1$' says justified
    expect "the-log-holds-after-$point" 0 '' backstop audit verify
    rm -rf "/tmp/state-review-$point"
done
expect every-step-of-a-review 0 '' test "$point" -gt 2 -a "$point" -lt 300
