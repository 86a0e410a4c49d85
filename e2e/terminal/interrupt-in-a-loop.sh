# A shell goes on to the next round when its child ended by itself, and stops when the child died of the key.
line "bash -c 'for round in 1 2 3; do echo round \$round; $WRAP sleep 5; done; echo through'; echo code \$?"
see '^round 1'
sleep 0.3
key C-c
see '^\^C'
line "echo and \$?"
tell '^and [0-9]'
screen | grep '^round\|^through\|^code'
true
