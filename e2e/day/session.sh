# A day of work, one command a line; each runs by bash in the workspace, one after the other, and has to end with 0.

# clone and look around
git clone -q --no-hardlinks origin.git app
cd app && git log --oneline
cd app && ls -la
cd app && find . -name "*.rs" | sort
cd app && wc -l src/*.rs
cd app && grep -rn "fn " src
cd app && cat Cargo.toml
cd app && git status --short
cd app && git config user.name Day
cd app && git config user.email day@example.org
cd app && git branch -a
cd app && du -sh .
cd app && file src/main.rs || true
cd app && head -5 README.md

# first build
cd app && cargo build -q
cd app && ./target/debug/app 3
cd app && cargo test -q
cd app && ls target/debug
cd app && git check-ignore target

# new modules, one by one
cd app && printf 'pub fn area1(side: u64) -> u64 {\n    side * 1\n}\n' > src/area1.rs
cd app && sed -i '1i pub mod area1;' src/lib.rs
cd app && git add -A && git commit -qm 'area 1'
cd app && printf 'pub fn area2(side: u64) -> u64 {\n    side * 2\n}\n' > src/area2.rs
cd app && sed -i '1i pub mod area2;' src/lib.rs
cd app && git add -A && git commit -qm 'area 2'
cd app && printf 'pub fn area3(side: u64) -> u64 {\n    side * 3\n}\n' > src/area3.rs
cd app && sed -i '1i pub mod area3;' src/lib.rs
cd app && git add -A && git commit -qm 'area 3'
cd app && printf 'pub fn area4(side: u64) -> u64 {\n    side * 4\n}\n' > src/area4.rs
cd app && sed -i '1i pub mod area4;' src/lib.rs
cd app && git add -A && git commit -qm 'area 4'
cd app && printf 'pub fn area5(side: u64) -> u64 {\n    side * 5\n}\n' > src/area5.rs
cd app && sed -i '1i pub mod area5;' src/lib.rs
cd app && git add -A && git commit -qm 'area 5'
cd app && printf 'pub fn area6(side: u64) -> u64 {\n    side * 6\n}\n' > src/area6.rs
cd app && sed -i '1i pub mod area6;' src/lib.rs
cd app && git add -A && git commit -qm 'area 6'
cd app && printf 'pub fn area7(side: u64) -> u64 {\n    side * 7\n}\n' > src/area7.rs
cd app && sed -i '1i pub mod area7;' src/lib.rs
cd app && git add -A && git commit -qm 'area 7'
cd app && printf 'pub fn area8(side: u64) -> u64 {\n    side * 8\n}\n' > src/area8.rs
cd app && sed -i '1i pub mod area8;' src/lib.rs
cd app && git add -A && git commit -qm 'area 8'
cd app && printf 'pub fn area9(side: u64) -> u64 {\n    side * 9\n}\n' > src/area9.rs
cd app && sed -i '1i pub mod area9;' src/lib.rs
cd app && git add -A && git commit -qm 'area 9'
cd app && printf 'pub fn area10(side: u64) -> u64 {\n    side * 10\n}\n' > src/area10.rs
cd app && sed -i '1i pub mod area10;' src/lib.rs
cd app && git add -A && git commit -qm 'area 10'
cd app && printf 'pub fn area11(side: u64) -> u64 {\n    side * 11\n}\n' > src/area11.rs
cd app && sed -i '1i pub mod area11;' src/lib.rs
cd app && git add -A && git commit -qm 'area 11'
cd app && printf 'pub fn area12(side: u64) -> u64 {\n    side * 12\n}\n' > src/area12.rs
cd app && sed -i '1i pub mod area12;' src/lib.rs
cd app && git add -A && git commit -qm 'area 12'
cd app && cargo build -q
cd app && cargo test -q
cd app && git log --oneline | head -3

# refactor: rename, move, split, replace
cd app && git mv src/area1.rs src/shape1.rs
cd app && sed -i 's/area1;/shape1;/' src/lib.rs
cd app && sed -i 's/fn area1/fn shape1/' src/shape1.rs
cd app && git mv src/area2.rs src/shape2.rs
cd app && sed -i 's/area2;/shape2;/' src/lib.rs
cd app && sed -i 's/fn area2/fn shape2/' src/shape2.rs
cd app && git mv src/area3.rs src/shape3.rs
cd app && sed -i 's/area3;/shape3;/' src/lib.rs
cd app && sed -i 's/fn area3/fn shape3/' src/shape3.rs
cd app && git mv src/area4.rs src/shape4.rs
cd app && sed -i 's/area4;/shape4;/' src/lib.rs
cd app && sed -i 's/fn area4/fn shape4/' src/shape4.rs
cd app && git mv src/area5.rs src/shape5.rs
cd app && sed -i 's/area5;/shape5;/' src/lib.rs
cd app && sed -i 's/fn area5/fn shape5/' src/shape5.rs
cd app && git mv src/area6.rs src/shape6.rs
cd app && sed -i 's/area6;/shape6;/' src/lib.rs
cd app && sed -i 's/fn area6/fn shape6/' src/shape6.rs
cd app && git commit -qam "areas become shapes"
cd app && cargo build -q
cd app && mkdir src/round
cd app && mv src/area7.rs src/round/area7.rs
cd app && mv src/area8.rs src/round/area8.rs
cd app && printf 'pub mod area7;\npub mod area8;\n' > src/round/mod.rs
cd app && sed -i '/area7;/d;/area8;/d;1i pub mod round;' src/lib.rs
cd app && cargo build -q
cd app && git add -A && git commit -qm "round ones apart"
cd app && mv src/round src/curved
cd app && sed -i 's/mod round/mod curved/' src/lib.rs
cd app && cargo build -q
cd app && git add -A && git commit -qm "curved"
cd app && cp src/curved/area7.rs src/curved/area9x.rs
cd app && rm src/curved/area9x.rs
cd app && cp -a src src.orig
cd app && diff -r src src.orig
cd app && rm -r src.orig
cd app && perl -pi -e "s/side/edge/g" src/*.rs
cd app && git diff --stat
cd app && cargo test -q
cd app && git commit -qam "side is edge"

# rewrite history
cd app && echo 'note 1' >> NOTES.md
cd app && git add NOTES.md && git commit -qm 'note 1'
cd app && echo 'note 2' >> NOTES.md
cd app && git add NOTES.md && git commit -qm 'note 2'
cd app && echo 'note 3' >> NOTES.md
cd app && git add NOTES.md && git commit -qm 'note 3'
cd app && echo 'note 4' >> NOTES.md
cd app && git add NOTES.md && git commit -qm 'note 4'
cd app && echo 'note 5' >> NOTES.md
cd app && git add NOTES.md && git commit -qm 'note 5'
cd app && echo 'note 6' >> NOTES.md
cd app && git add NOTES.md && git commit -qm 'note 6'
cd app && echo 'note 7' >> NOTES.md
cd app && git add NOTES.md && git commit -qm 'note 7'
cd app && echo 'note 8' >> NOTES.md
cd app && git add NOTES.md && git commit -qm 'note 8'
cd app && git commit -q --amend -m "note eight"
cd app && GIT_SEQUENCE_EDITOR="sed -i 2,4s/pick/squash/" GIT_EDITOR=true git rebase -q -i HEAD~6
cd app && git log --oneline | head -5
cd app && git reset -q --soft HEAD~1
cd app && git commit -qm "notes, the rest"
cd app && git checkout -q -b topic HEAD~3
cd app && echo topic > topic.txt
cd app && git add . && git commit -qm topic
cd app && git rebase -q main
cd app && git checkout -q main
cd app && git merge -q --no-ff -m "merge topic" topic
cd app && git branch -q -d topic
cd app && echo wip >> README.md
cd app && echo scratch > scratch.txt
cd app && git stash -q -u
cd app && git stash list | wc -l
cd app && git stash pop -q
cd app && git stash -q
cd app && git stash drop -q
cd app && rm -f scratch.txt
cd app && git checkout -q -b experiment
cd app && echo experiment > src/experiment.rs
cd app && git add . && git commit -qm experiment
cd app && git checkout -q main
cd app && git cherry-pick experiment >/dev/null
cd app && git revert --no-edit HEAD >/dev/null
cd app && git branch -q -D experiment
cd app && git tag v0.1
cd app && git tag -a v0.2 -m second
cd app && git push -q origin main --tags
cd app && git fetch -q --prune
cd app && git worktree add -q ../second v0.1
ls second
cd second && echo second > s.txt && git add . && git -c user.name=Day -c user.email=day@example.org commit -qm second
cd app && git worktree remove ../second
cd app && git clean -qfd
cd app && git reset -q --hard HEAD~1
cd app && git reset -q --hard ORIG_HEAD
cd app && git gc -q --prune=now
cd app && git repack -qad
cd app && git fsck --no-progress
cd app && git reflog expire --expire=now --all
cd app && git archive --format=tar HEAD -o ../app.tar
cd app && git bundle create -q ../app.bundle main
git clone -q app.bundle fromb -b main
rm -rf fromb app.bundle
cd app && git submodule --quiet status
cd app && git blame README.md | wc -l
cd app && git shortlog -sn HEAD

# the C part
mkdir native
printf 'int add(int a, int b) { return a + b; }\n' > native/add.c
printf 'int add(int, int);\nint sub(int, int);\n' > native/ops.h
printf 'int sub(int a, int b) { return a - b; }\n' > native/sub.c
printf '#include <stdio.h>\n#include "ops.h"\nint main(void) { printf("%%d %%d\\n", add(2, 3), sub(5, 1)); return 0; }\n' > native/main.c
printf 'OBJ = main.o add.o sub.o\nprog: $(OBJ)\n\tgcc -o $@ $(OBJ)\n%%.o: %%.c ops.h\n\tgcc -c -o $@ $<\nclean:\n\trm -f prog $(OBJ) libops.a\nlib: add.o sub.o\n\tar rcs libops.a add.o sub.o\n' > native/Makefile
make -s -C native
native/prog
touch native/add.c
make -s -C native
make -s -C native lib
ar t native/libops.a
gcc -shared -fPIC -o native/libops.so native/add.c native/sub.c
strip native/prog
make -s -C native clean
make -s -C native -j2
ln -s prog native/latest
ln native/prog native/prog.hard
native/latest
cp --reflink=auto native/prog native/prog.copy
install -m 750 native/prog native/installed
make -s -C native clean
rm native/latest native/prog.hard
nm native/libops.so | grep -c " T "
printf 'int f1(void) { return 1; }\n' > native/f1.c
gcc -O2 -c native/f1.c -o native/f1.o
printf 'int f2(void) { return 2; }\n' > native/f2.c
gcc -O2 -c native/f2.c -o native/f2.o
printf 'int f3(void) { return 3; }\n' > native/f3.c
gcc -O2 -c native/f3.c -o native/f3.o
printf 'int f4(void) { return 4; }\n' > native/f4.c
gcc -O2 -c native/f4.c -o native/f4.o
printf 'int f5(void) { return 5; }\n' > native/f5.c
gcc -O2 -c native/f5.c -o native/f5.o
printf 'int f6(void) { return 6; }\n' > native/f6.c
gcc -O2 -c native/f6.c -o native/f6.o
printf 'int f7(void) { return 7; }\n' > native/f7.c
gcc -O2 -c native/f7.c -o native/f7.o
printf 'int f8(void) { return 8; }\n' > native/f8.c
gcc -O2 -c native/f8.c -o native/f8.o
ar rcs native/liball.a native/f*.o
rm native/f*.o
mkdir -p native/build/deep/er
mv native/f*.c native/build/deep/
mv native/build/deep native/deep
rmdir native/build/er 2>/dev/null || rm -r native/build
ls native/deep | wc -l

# Python
mkdir -p py/pkg py/tests
printf "def twice(x):\n    return 2 * x\n" > py/pkg/core.py
touch py/pkg/__init__.py py/tests/__init__.py
printf "import unittest\nfrom pkg.core import twice\nclass T(unittest.TestCase):\n    def test_twice(self):\n        self.assertEqual(twice(2), 4)\n" > py/tests/test_core.py
cd py && python3 -m unittest -q
cd py && ls pkg/__pycache__ | wc -l
cd py && python3 -m compileall -q .
cd py && find . -name __pycache__ -prune -exec rm -r {} +
python3 -c "import json; json.dump({'a': list(range(1000))}, open('data/out.json', 'w'))"
python3 -c "import json; print(len(json.load(open('data/out.json'))['a']))"
python3 -m json.tool --compact data/out.json data/out.min.json
rm data/out.json
python3 -c "import sqlite3; c = sqlite3.connect('data/app.db'); c.execute('create table t(a, b)'); c.executemany('insert into t values(?, ?)', [(i, i * i) for i in range(5000)]); c.commit()"
python3 -c "import sqlite3; c = sqlite3.connect('data/app.db'); c.execute('delete from t where a % 2'); c.commit(); c.execute('vacuum')"
python3 -c "import sqlite3; c = sqlite3.connect('data/app.db'); c.execute('pragma journal_mode=wal'); c.execute('update t set b = 0 where a < 100'); c.commit()"
python3 -c "import sqlite3; print(sqlite3.connect('data/app.db').execute('select count(*), sum(b) from t').fetchone())"
python3 -c "import shutil; shutil.copytree('py', 'py2'); shutil.rmtree('py2')"
python3 -c "import os; os.rename('data/out.min.json', 'data/min.json')"
python3 -c "import mmap; f = open('data/map', 'w+b'); f.truncate(65536); m = mmap.mmap(f.fileno(), 0); m[0:5] = b'hello'; m.flush()"
python3 -c "f = open('data/sparse', 'wb'); f.seek(10 << 20); f.write(b'end')"
python3 -c "import csv; csv.writer(open('data/rows.csv', 'w')).writerows([i, i * 2] for i in range(2000))"
sort -t, -k2 -n -r data/rows.csv -o data/rows.csv
awk -F, '{ s += $1 } END { print s }' data/rows.csv
split -l 500 data/rows.csv data/part-
cat data/part-* > data/again.csv
cmp data/rows.csv data/again.csv
rm data/part-*
truncate -s 100 data/again.csv
shred -u data/again.csv

# JavaScript, from packed local packages
mkdir web
cd web && npm init -y >/dev/null
cd pkgs/left && npm pack --silent --pack-destination ..
cd pkgs/right && npm pack --silent --pack-destination ..
ls pkgs
cd web && npm install --silent --offline --no-audit --no-fund ../pkgs/left-1.0.0.tgz
cd web && npm install --silent --offline --no-audit --no-fund ../pkgs/right-2.1.0.tgz
cd web && printf 'console.log(require("left")("a", 3) + require("right")("b", 3))\n' > index.js
cd web && node index.js
cd web && ls node_modules
cd web && npm ls --silent
cd web && npm uninstall --silent --offline --no-audit --no-fund right
cd web && npm pkg set scripts.test="node -e 0"
cd web && npm test --silent
cd web && rm -rf node_modules
cd web && npm ci --silent --offline --no-audit --no-fund
cd web && node -p "require('left')('x', 2)"
rm -rf web/node_modules

# archives
tar xf app.tar -C data
tar --sort=name --mtime=@0 -czf src.tgz app/src
tar tzf src.tgz | wc -l
mkdir unpacked
tar xzf src.tgz -C unpacked
diff -r app/src unpacked/app/src
rm -rf unpacked
gzip -k app.tar
gunzip -c app.tar.gz | cmp - app.tar
rm app.tar
xz -k src.tgz
mv src.tgz.xz src.xz
tar cf all.tar native py data
tar df all.tar
tar --delete -f all.tar py/pkg/core.py
rm all.tar src.xz
cp -a app/src srccopy
rsync -a --delete py/pkg/ srccopy/
rm -r srccopy

# attributes and odd files
chmod +x py/pkg/core.py
chmod -R go-w data
setfattr -n user.origin -v day data/map
getfattr -n user.origin data/map
setfacl -m u:1000:rw data/map
setfacl -b data/map
touch -d "2020-01-01 12:00:00.123456789" data/map
touch -r data/map data/rows.csv
mkfifo data/pipe
rm data/pipe
mkfifo data/keep.pipe
ln -s nowhere data/dangling
ln -sfn rows.csv data/dangling
cp -P data/dangling data/copied
ln data/rows.csv data/rows.link
echo more | tee -a data/rows.csv data/rows.link > /dev/null
mv data/rows.csv data/rows.renamed
cp --sparse=always data/sparse data/sparse2
fallocate -p -o 0 -l 4096 data/sparse2
dd if=/dev/zero of=data/zeros bs=64k count=8 status=none
fallocate -d data/zeros
touch "data/with space" "data/quote's" data/-dash
touch data/$'new\nline'
mkdir data/empty
mkdir -p data/a/b/c/d && touch data/a/b/c/d/leaf
mv data/a/b data/b
rm -rf data/a
find data -type f -newer data/map | wc -l
mv -T data/b data/empty
ls data | wc -l
chgrp $(id -g) data/map
umask 077; echo secret > data/secret
stat -c %a data/secret

# cargo again
cd app && cargo new -q --vcs none --lib crates/inner
cd app && sed -i "s/^\[dependencies\]/[dependencies]\ninner = { path = \"crates\/inner\" }/" Cargo.toml
cd app && cargo build -q
cd app && cargo test -q -p inner
cd app && cargo build -q --release
cd app && ./target/release/app 4
cd app && cargo metadata --format-version 1 --no-deps | wc -c
cd app && cargo doc -q --no-deps
cd app && cargo package -q --list --allow-dirty | wc -l
cd app && cargo clean -q
cd app && git add -A && git commit -qm "inner crate"
cd app && cargo check -q
cd app && git push -q origin main
cd app && printf '\n/// Doubles, the 1th way.\npub fn double1(x: u64) -> u64 {\n    x << 1\n}\n' >> crates/inner/src/lib.rs
cd app && git commit -qam 'double 1'
cd app && printf '\n/// Doubles, the 2th way.\npub fn double2(x: u64) -> u64 {\n    x << 1\n}\n' >> crates/inner/src/lib.rs
cd app && git commit -qam 'double 2'
cd app && printf '\n/// Doubles, the 3th way.\npub fn double3(x: u64) -> u64 {\n    x << 1\n}\n' >> crates/inner/src/lib.rs
cd app && git commit -qam 'double 3'
cd app && printf '\n/// Doubles, the 4th way.\npub fn double4(x: u64) -> u64 {\n    x << 1\n}\n' >> crates/inner/src/lib.rs
cd app && git commit -qam 'double 4'
cd app && printf '\n/// Doubles, the 5th way.\npub fn double5(x: u64) -> u64 {\n    x << 1\n}\n' >> crates/inner/src/lib.rs
cd app && git commit -qam 'double 5'
cd app && printf '\n/// Doubles, the 6th way.\npub fn double6(x: u64) -> u64 {\n    x << 1\n}\n' >> crates/inner/src/lib.rs
cd app && git commit -qam 'double 6'
cd app && printf '\n/// Doubles, the 7th way.\npub fn double7(x: u64) -> u64 {\n    x << 1\n}\n' >> crates/inner/src/lib.rs
cd app && git commit -qam 'double 7'
cd app && printf '\n/// Doubles, the 8th way.\npub fn double8(x: u64) -> u64 {\n    x << 1\n}\n' >> crates/inner/src/lib.rs
cd app && git commit -qam 'double 8'
cd app && cargo check -q
cd app && git rebase -q --onto HEAD~4 HEAD~2 || git rebase --abort
cd app && git push -q --force origin HEAD:wip

# clean up
cd app && git status --short | wc -l
find . -name "*.o" -delete
rm -rf native/deep
rm -f native/*.so native/*.a
cd app && git clean -qfdx
cd py && rm -rf tests
find data -maxdepth 1 -type f -size -1k -print0 | xargs -0 ls -d | wc -l
find . -type d -empty -not -path "*/.git/*" -delete
rm -f app.tar.gz
ls
git -C origin.git log --oneline main | head -2
du -s . | wc -l
mv app application
git -C application status --short
mv application app
rm -rf web
true
