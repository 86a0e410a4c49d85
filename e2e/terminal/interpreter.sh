line "$WRAP python3 -q -i -c 'import sys; print(sys.stdin.isatty(), sys.stdout.isatty())'; echo code \$?"
tell '^True True'
see '^>>>'
line "20 + 22"
tell '^42'
line "import os; os.get_terminal_size()"
tell 'columns=90, lines=30'
key C-d
tell '^code [0-9]'
