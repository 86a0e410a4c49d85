line "$WRAP bash -c 'echo ready; read answer; echo got \$answer; exit 5'"
see '^ready'
sleep 0.2
key C-z
see 'Stopped'
line "jobs | grep -c Stopped"
tell '^1$'
line "fg > /dev/null"
sleep 0.3
line "hello"
tell '^got hello$'
line "echo code \$?"
tell '^code [0-9]'
line "clear"
see '^\$'
line "$WRAP sleep 0.5 &"
sleep 0.2
line "wait; echo waited \$?"
tell '^waited [0-9]'
