# What lies in the workspace when the day begins: a repository to clone, two packages, some data.
# Cargo's own directory is there where cargo is.
mkdir -p ~/.cargo/registry
mkdir -p seed/src pkgs/left pkgs/right data
cat > seed/Cargo.toml <<'X'
[package]
name = "app"
version = "0.1.0"
edition = "2021"

[dependencies]
X
cat > seed/src/lib.rs <<'X'
pub fn sum(up_to: u64) -> u64 {
    (0..=up_to).sum()
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_adds() {
        assert_eq!(super::sum(3), 6);
    }
}
X
cat > seed/src/main.rs <<'X'
fn main() {
    let n = std::env::args().nth(1).and_then(|a| a.parse().ok()).unwrap_or(0);
    println!("{}", app::sum(n));
}
X
printf '# app\n\nAdds numbers.\n' > seed/README.md
printf 'target/\n' > seed/.gitignore
(
    cd seed
    git init -q -b main .
    for n in $(seq 12); do echo "line $n" >> README.md; git add -A; git commit -qm "commit $n"; done
)
git clone -q --bare seed origin.git
rm -rf seed
for name in left:1.0.0 right:2.1.0; do
    dir=pkgs/${name%:*}
    printf '{"name": "%s", "version": "%s", "main": "index.js"}\n' "${name%:*}" "${name#*:}" > "$dir/package.json"
    printf 'module.exports = (text, width) => text.padStart(width);\n' > "$dir/index.js"
done
for n in $(seq 40); do yes "row $n" | head -c $((1000 * n)) > "data/old$n.txt"; done
ln data/old1.txt data/old1.link
ln -s old2.txt data/old2.sym
truncate -s 8M data/old.sparse
setfattr -n user.kept -v yes data/old3.txt
chmod 600 data/old4.txt
touch -d '2021-03-04 05:06:07.080910111' data/old5.txt data
