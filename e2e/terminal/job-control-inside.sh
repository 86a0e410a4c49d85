line "$WRAP bash --norc --noprofile -i; echo code \$?"
sleep 0.5
line "unset HISTFILE; PS1='in> '"
see '^in>'
line "sleep 30 &"
line "jobs | grep -c Running"
tell '^1$'
line "kill %1; wait; echo reaped"
tell '^reaped'
line "sleep 30"
sleep 0.4
key C-z
see 'Stopped'
line "bg; jobs | grep -c 'Running.*sleep'"
tell '^1$'
line "fg"
sleep 0.2
key C-c
line "echo after \$?"
tell '^after [0-9]'
line "echo made > inside.txt; set -o | grep '^monitor'"
tell '^monitor'
line "exit 3"
tell '^code [0-9]'
cat inside.txt; rm inside.txt
