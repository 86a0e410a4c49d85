line "printf 'b\na\n' | $WRAP sort | $WRAP tr a-z A-Z | cat -n; echo codes \${PIPESTATUS[*]}"
tell 'A$'
tell 'B$'
tell '^codes [0-9]'
line "yes | $WRAP head -n 1; echo codes \${PIPESTATUS[*]}"
tell '^codes 1'
line "$WRAP yes | head -n 2 | tail -n 1; echo ended \${PIPESTATUS[*]}"
tell '^ended [0-9]'
