# Words for the scenarios: a terminal of 90 by 30 with a plain shell in it. $WRAP is empty, or Backstop.
T="tmux -L $NAME -f /dev/null"
$T new-session -d -x 90 -y 30 "env -u TMUX PS1='$ ' bash --norc --noprofile" || exit 90
trap '$T kill-server 2>/dev/null' EXIT
# see PATTERN: waits until a line of the screen matches.
see() {
    for _ in $(seq 200); do
        $T capture-pane -p | grep -qE -- "$1" && return 0
        sleep 0.03
    done
    echo "never saw: $1"; $T capture-pane -p | grep -v '^$'; exit 91
}
line() { $T send-keys -l -- "$1"; $T send-keys Enter; }
key() { $T send-keys "$@"; }
screen() { $T capture-pane -p "$@"; }
# What matches PATTERN on the screen, once.
tell() { see "$1"; screen | grep -E -- "$1" | sort -u; }
see '^\$'
