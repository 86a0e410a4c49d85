//! The cases of `corpus/lens/`: two small trees, what the lenses say of the way from one to the other.
//! Databases are written by SQLite itself, by way of python3.

#![expect(clippy::unwrap_used, reason = "what fails in a test's helper is a fault of its case")]

#[path = "lens/case.rs"]
mod case;
#[path = "lens/trees.rs"]
mod trees;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use backstop_core::bytes::Bytes;
use backstop_core::policy::Ground;
use backstop_engine::Side;
use backstop_engine::facts::lens::{Limits, Seen, look};
use backstop_sys::process::thread_cpu;
use case::Case;
use trees::Trees;

fn corpus(lens: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../corpus/lens").join(lens)
}

fn ground() -> Ground {
    Ground { homes: vec!["/home/ann".into()], workspace: Some("/w".into()), ..Ground::default() }
}

/// Runs every case of a folder and compares whole answers.
fn run(lens: &str) {
    let mut files: Vec<_> = fs::read_dir(corpus(lens)).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    files.retain(|f| f.extension().is_some_and(|e| e == "case"));
    assert!(files.len() > 4, "the corpus of {lens} is missing");
    let mut wrong = String::new();
    for file in files {
        let case = Case::parse(&fs::read_to_string(&file).unwrap(), &file);
        let trees = Trees::build(&case);
        let seen = look(&trees.effects(&case), &trees, &ground(), &Limits::default());
        let said = text(&seen);
        if said != case.expect {
            let name = file.file_name().unwrap().display().to_string();
            wrong.push_str(&format!("\n{name}\nexpect\n{said}--- the file says\n{}", case.expect));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Facts that are not zero, what is incomplete, what is told: each a line, indented as in the files.
fn text(seen: &Seen) -> String {
    let mut out = String::new();
    for (lens, facts) in [
        ("sqlite", serde_json::to_value(seen.sqlite)),
        ("terraform", serde_json::to_value(seen.terraform)),
        ("access", serde_json::to_value(seen.access)),
        ("agent", serde_json::to_value(&seen.agent)),
    ] {
        for (name, value) in facts.unwrap().as_object().unwrap() {
            if *value != 0 && value.as_array().is_none_or(|a| !a.is_empty()) {
                out.push_str(&format!("  {lens}.{name} {value}\n"));
            }
        }
    }
    for lens in &seen.incomplete {
        out.push_str(&format!("  incomplete {lens}\n"));
    }
    for told in &seen.told {
        out.push_str(&format!("  {} {}: {}\n", told.lens, told.path.quoted(), told.text));
    }
    out
}

#[test]
fn sqlite() {
    run("sqlite");
}

#[test]
fn terraform() {
    run("terraform");
}

#[test]
fn access() {
    run("access");
}

#[test]
fn agent() {
    run("agent");
}

#[test]
fn names_that_are_not_looked_at_are_said() {
    let mut text = String::from("after /w/d gone\n");
    for i in 0..50 {
        text.push_str(&format!("before /w/d/{i}/x\n  1\n"));
    }
    let case = Case::parse(&text, Path::new("in memory"));
    let trees = Trees::build(&case);
    let seen = look(&trees.effects(&case), &trees, &Ground::default(), &Limits { names: 60, ..Limits::default() });
    assert_eq!(seen.incomplete, ["lens".to_owned()].into());
    assert_eq!(seen.told.len(), 1);
    assert_eq!(seen.told[0].path, Bytes::from("/w/d/9").parent().join(seen.told[0].path.name()));
    let whole = look(&trees.effects(&case), &trees, &Ground::default(), &Limits::default());
    assert_eq!(whole, Seen::default());
}

#[test]
fn a_file_over_the_limit_is_said() {
    let text = "before /h/.bashrc\n  alias a=b\nafter /h/.bashrc\n  alias a=c\n";
    let case = Case::parse(text, Path::new("in memory"));
    let trees = Trees::build(&case);
    for limits in [
        Limits { file_bytes: 5, ..Limits::default() },
        Limits { files: 1, ..Limits::default() },
        Limits { total_bytes: 9, ..Limits::default() },
        Limits { time: Duration::ZERO, ..Limits::default() },
    ] {
        let seen = look(&trees.effects(&case), &trees, &Ground::default(), &limits);
        assert_eq!(seen.incomplete, ["access".to_owned()].into(), "{limits:?}");
    }
}

/// Makes a database of 2 GiB from an empty one: 32,000 leaf pages of 64 KiB with 100 rows each at their
/// beginning, the rest of each a hole. Afterwards each eighth page has one. Prints sizes, and the last row as
/// SQLite finds it; it counts no more than it has to, since that takes it long.
const BIG: &str = "
import os, sqlite3, struct, sys
before, after = sys.argv[1] + '/w/app.db', sys.argv[1] + '/../after/w/app.db'
SIZE, ROWS, LEAVES = 65536, 100, 32000
os.makedirs(os.path.dirname(after), exist_ok=True)
c = sqlite3.connect(before)
c.execute('pragma page_size=65536'); c.execute('create table big(id integer primary key, x)'); c.close()
def varint(n):
    out = [n & 127]
    while n > 127: n >>= 7; out.append(n & 127 | 128)
    return bytes(reversed(out))
def page(kind, cells, right=b''):
    start = 8 + len(right) + 2 * len(cells)
    at = [start]
    for cell in cells: at.append(at[-1] + len(cell))
    pointers = b''.join(struct.pack('>H', a) for a in at[:-1])
    return struct.pack('>BHHHB', kind, 0, len(cells), start, 0) + right + pointers + b''.join(cells)
f = os.open(before, os.O_RDWR)
put = lambda n, bytes, f=f: os.pwrite(f, bytes, (n - 1) * SIZE)
# Page 2 is the root; the page at 1 GiB is never used.
numbers = iter(n for n in range(3, 40000) if n != 16385)
inner, leaves = [], []
for first in range(0, LEAVES, 5000):
    children = []
    for leaf in range(first, min(first + 5000, LEAVES)):
        rows = [bytes([4]) + varint(leaf * ROWS + r + 1) + bytes([3, 0, 1, 7]) for r in range(ROWS)]
        number = next(numbers); put(number, page(13, rows)); leaves.append(number)
        children.append((number, (leaf + 1) * ROWS))
    cells = [struct.pack('>I', n) + varint(key) for n, key in children[:-1]]
    number = next(numbers); put(number, page(5, cells, struct.pack('>I', children[-1][0])))
    inner.append((number, children[-1][1]))
put(2, page(5, [struct.pack('>I', n) + varint(key) for n, key in inner[:-1]], struct.pack('>I', inner[-1][0])))
last = inner[-1][0]
os.pwrite(f, struct.pack('>I', last), 28); os.ftruncate(f, last * SIZE); os.close(f)
os.system(\"cp --sparse=always '%s' '%s'\" % (before, after))
f = os.open(after, os.O_RDWR)
for at in range(0, LEAVES, 8): put(leaves[at], page(13, [bytes([4]) + varint((at + 1) * ROWS) + bytes([3, 0, 1, 7])]), f)
os.close(f)
for path in (before, after):
    print(os.path.getsize(path), sqlite3.connect('file:%s?immutable=1' % path, uri=True).execute('select x from big where id = %d' % (LEAVES * ROWS)).fetchone()[0])
";

/// The most memory this process has had since `forget_peak`, in KiB.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmHWM")).unwrap().to_owned();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn forget_peak() {
    fs::write("/proc/self/clear_refs", "5").unwrap();
}

#[test]
fn a_database_of_two_gigabytes_fits_time_and_memory() {
    let trees = Trees::build(&Case::parse("before /w/x\n  1\n", Path::new("in memory")));
    let counted = trees.python(BIG, "");
    let lines: Vec<Vec<i64>> = counted.lines().map(|l| l.split(' ').map(|n| n.parse().unwrap()).collect()).collect();
    let [before, after] = &lines[..] else { panic!("{counted}") };
    assert!(before[0] >= 2_000_000_000 && before == after && before[1] == 7, "{counted}");
    let path = Bytes::from("/w/app.db");
    for (what, effects, lost) in
        [("deleted", trees.deleted(&path), 3_200_000), ("changed", trees.changed(&path), 4_000 * 99)]
    {
        if what == "deleted" {
            fs::rename(trees.at(&path, Side::After), trees.at(&Bytes::from("/w/aside"), Side::After)).unwrap();
        }
        forget_peak();
        let (had, cpu) = (peak(), thread_cpu());
        let seen = look(&effects, &trees, &Ground::default(), &Limits::default());
        let (took, more) = (thread_cpu() - cpu, peak().saturating_sub(had));
        if what == "deleted" {
            fs::rename(trees.at(&Bytes::from("/w/aside"), Side::After), trees.at(&path, Side::After)).unwrap();
        }
        println!("{what}: {took:?} computing, {more} KiB more\n{}", text(&seen));
        assert!(took < Limits::default().time + Duration::from_secs(1), "{what} took {took:?}");
        assert!(more < 32 << 10, "{what} took {more} KiB");
        assert!(seen.incomplete.is_empty() && seen.sqlite.rows_lost == lost, "{what}: {seen:?}");
    }
}

/// Makes databases of random shape and content and prints what SQLite counts in each, a line each.
const RANDOM: &str = "
import random, sqlite3, sys, os
for seed in range(int(sys.argv[2])):
    rnd = random.Random(seed)
    name = sys.argv[1] + '/w/%d.db' % seed
    c = sqlite3.connect(name, isolation_level=None)
    c.execute('pragma synchronous=off')
    c.execute('pragma page_size=%d' % rnd.choice([512, 1024, 4096, 8192, 65536]))
    c.execute('pragma auto_vacuum=%d' % rnd.choice([0, 1, 2]))
    c.execute(\"pragma encoding='%s'\" % rnd.choice(['UTF-8', 'UTF-16le', 'UTF-16be']))
    c.execute('pragma journal_mode=%s' % rnd.choice(['delete', 'wal', 'truncate', 'persist']))
    c.execute('pragma wal_autocheckpoint=%d' % rnd.choice([0, 1, 50]))
    for t in range(rnd.randint(1, 6)):
        without = rnd.random() < 0.3
        key = 'text primary key' if without else rnd.choice(['integer primary key', 'integer', 'text'])
        c.execute('create table t%d(k %s, v)%s' % (t, key, ' without rowid' if without else ''))
        if rnd.random() < 0.5: c.execute('create index i%d on t%d(v)' % (t, t))
        big = rnd.choice([5, 300, 5000])
        c.execute('begin')
        for i in range(rnd.choice([0, 1, 20, 900])):
            c.execute('insert into t%d values(?, ?)' % t, (i, 'x' * rnd.randint(0, big)))
        c.execute('commit')
        if rnd.random() < 0.5: c.execute('delete from t%d where k %% 3 = 1' % t)
        if rnd.random() < 0.1: c.execute('delete from t%d' % t)
    if rnd.random() < 0.2: c.execute('vacuum')
    tables = [r[0] for r in c.execute(\"select name from sqlite_master where type = 'table' order by 1\")]
    print(seed, *['%s=%d' % (t, c.execute('select count(*) from ' + t).fetchone()[0]) for t in tables], flush=True)
    if rnd.random() < 0.5: c.close()
    else: globals()['keep%d' % seed] = c
os._exit(0)
";

#[test]
fn rows_are_as_many_as_sqlite_counts() {
    let trees = Trees::build(&Case::parse("before /w/x\n  1\n", Path::new("in memory")));
    let out = trees.python(RANDOM, "60");
    assert_eq!(out.lines().count(), 60);
    for line in out.lines() {
        let mut words = line.split(' ');
        let path = Bytes::from(format!("/w/{}.db", words.next().unwrap()).as_str());
        let effects = trees.deleted(&path);
        let seen = look(&effects, &trees, &Ground::default(), &Limits::default());
        let expected: Vec<(&str, i64)> =
            words.map(|w| w.split_once('=').unwrap()).map(|(t, n)| (t, n.parse().unwrap())).collect();
        assert_eq!(seen.incomplete.len(), 0, "{line}: {seen:?}");
        assert_eq!(seen.sqlite.rows_lost, expected.iter().map(|(_, n)| n).sum::<i64>(), "{line}: {seen:?}");
        assert_eq!(seen.sqlite.tables_dropped, expected.len() as i64, "{line}");
    }
}
