# One person alone, in an emergency, by a security key; and another who looks at that before it happens again.
own_etc
outside_needs_two
shop a b c d e
daemon_up
cd /srv
# word PERSON DECISION: what the person signs of the run, in emergency.
word() {
    file=/tmp/keys/$run-$1-$2
    uid=1001
    [ "$1" = ben ] && uid=1002
    said=(--reason "the disk is full")
    [ "$2" = break-glass ] && said+=(--ticket INC-7)
    as $uid backstop show "$run" --statement --decision "$2" "${said[@]}" \
        --key /tmp/keys/"$1".pub > "$file" || return
    chown $uid "$file"
    case $1 in
        ben) as $uid ssh-keygen -q -Y sign -n approval@backstop -f /tmp/keys/ben "$file" ;;
        *) as $uid python3 /tmp/token sign /tmp/keys/"$1" approval@backstop "$file" ;;
    esac
}
alone() { as 1001 backstop approve "$run" --break-glass --ticket INC-7 --reason "the disk is full" --signature "$file".sig "$@"; }
verdict() { as "$1" backstop review "$run" --"$2" --reason "the disk is full" --signature "$file".sig; }

as 1001 python3 /tmp/token make ed25519 /tmp/keys/anna
as 1001 backstop people add anna --key /tmp/keys/anna.pub --statement > /tmp/keys/proof 2> /dev/null ||
    backstop people add anna --key /tmp/keys/anna.pub --statement > /tmp/keys/proof
chown 1001 /tmp/keys/proof
as 1001 python3 /tmp/token sign /tmp/keys/anna enrolment@backstop /tmp/keys/proof
expect enrol-anna 0 . backstop people add anna --account anna --key /tmp/keys/anna.pub --proof /tmp/keys/proof.sig
key 1002 ben
expect enrol-ben 0 . backstop people add ben --account ben --key /tmp/keys/ben

hold a
expect not-unless-root-says-so 77 'lets nobody break the glass' word anna break-glass
echo 'break_glass = true' > /etc/backstop/settings.toml
expect nor-for-what-was-asked-before 77 "the glass can't be broken for it" word anna break-glass
hold b
expect the-text-offers-it 0 'or alone' as 1001 backstop show "$run" --approval
expect the-agent-has-no-word 77 'only people who are enrolled' agent backstop show "$run" --statement \
    --decision break-glass --ticket INC-7 --reason x --key /tmp/keys/anna.pub
expect it-is-answered-for 2 'ticket' as 1001 backstop show "$run" --statement --decision break-glass --reason x \
    --key /tmp/keys/anna.pub
expect nobody-to-review-yet 77 'nothing to review' word ben justified
word ben break-glass
expect not-by-a-key-of-software 77 'takes a security key|is broken with a security key' as 1002 backstop approve "$run" \
    --break-glass --ticket INC-7 --reason "the disk is full" --signature "$file".sig
FLAGS=0 word anna break-glass
expect not-untouched 77 'nobody touched the security key' alone
word anna break-glass
expect not-for-another-reason 2 'another reason or ticket' as 1001 backstop approve "$run" --break-glass --ticket INC-8 \
    --reason "the disk is full" --signature "$file".sig
expect not-as-an-approval 2 'says break-glass' as 1001 backstop approve "$run" --signature "$file".sig
expect nothing-gone 0 '' test -e /srv/shop/b
second=$run
hold c
first=$run
word anna break-glass
cp "$file" /tmp/keys/before
cp "$file".sig /tmp/keys/before.sig
chown 1001 /tmp/keys/before*
run=$second file=/tmp/keys/$second-anna-break-glass
expect alone 0 'alone, in an emergency' alone
expect gone 1 '' test -e /srv/shop/b
expect says-who 0 'committed; anna broke the glass, not reviewed yet' as 1002 backstop pending
expect the-log-tells-why 0 'anna break-glass \(INC-7\): the disk is full' backstop log
expect not-reviewed-by-oneself 77 'another person has to review it' word anna justified
broken=$run
daemon_down
daemon_up
run=$first
expect not-again-before-the-review 77 "for $broken, which nobody has reviewed" word anna break-glass
file=/tmp/keys/before
expect nor-with-what-was-signed-before 77 "for $broken, which nobody has reviewed" alone
run=$broken
expect taken-back-all-the-same 0 'undone' agent backstop undo "$run"
word ben unjustified
expect another-looks-at-it 0 'reviewed by ben: unjustified' verdict 1002 unjustified
expect once 77 'has reviewed it already' word ben justified
expect nothing-to-review-is-left 0 '' bash -c "! setpriv --reuid=1002 --regid=1002 --clear-groups backstop pending | grep -q 'not reviewed'"
hold d
word anna break-glass
expect then-again 0 'committed' alone
hold e
file=/tmp/keys/e-ben
sign 1002 ben "$run" $file
as 1001 backstop show "$run" --statement --key /tmp/keys/anna.pub > /tmp/keys/e-anna
chown 1001 /tmp/keys/e-anna
as 1001 python3 /tmp/token sign /tmp/keys/anna approval@backstop /tmp/keys/e-anna
expect one-of-two 0 '1 of 2' as 1001 backstop approve "$run" --signature /tmp/keys/e-anna.sig
expect two-still-do 0 'committed' as 1002 backstop approve "$run" --signature $file.sig
expect the-log-holds 0 '' backstop audit verify
daemon_down
