mkdir -p shelf/folder; : > shelf/run.sh; chmod +x shelf/run.sh; ln -sfn nowhere shelf/broken
line "$WRAP ls --color=auto -C shelf; echo code \$?"
see '^code 0'
screen -e | grep -a folder | grep -av ls | cat -v
