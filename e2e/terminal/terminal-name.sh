line "$WRAP bash -c 'for fd in 0 1 2; do test -t \$fd && echo is \$fd; done; test -e \"\$(tty)\" && echo named; echo over > /dev/tty; echo there > \"\$(tty)\"; stat -Lc %F /dev/tty'; echo code \$?"
tell '^is 0'
tell '^is 2'
tell '^named'
tell '^over'
tell '^there'
tell '^character special'
tell '^code [0-9]'
line "test \"\$(tty)\" = \"\$($WRAP tty)\" && echo the same"
tell '^the same'
