//! The reader against bash itself: bash runs no command that the reader has not seen. Scripts are made
//! of pieces, of names that no program has, and run where there is nothing to find; what bash would
//! have started is written down by its own hook for unknown commands.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use backstop_core::bytes::Bytes;
use backstop_core::quoted::Quoted;
use backstop_core::shell::{self, Script, Simple, Word};

/// Harmless by themselves and together: no path, no program, no file but `/dev/null`. No loop that asks
/// a command whether to go on.
pub const PIECES: &[&str] = &[
    "p0",
    "p1",
    "p2 ",
    "p3 a",
    " ",
    " ",
    " ",
    " ",
    "\n",
    "\n",
    ";",
    "; ",
    " && ",
    " || ",
    " | ",
    "|& ",
    "& ",
    "!",
    "! ",
    "a",
    "b c",
    "-x",
    "'",
    "'",
    "\"",
    "\"",
    "'a b'",
    "\"a $A\"",
    "\\",
    "\\\n",
    "`",
    "`",
    "\\`",
    "$",
    "$(",
    "$(",
    "$( ",
    ")",
    ")",
    "(",
    "(",
    "( ",
    "$((",
    "))",
    "((",
    "1+1",
    "${",
    "${A",
    "${A:-",
    "${A#",
    "}",
    "}",
    "{",
    "{ ",
    "; }",
    "{a,b}",
    "{1..2}",
    "$A",
    "\"$A\"",
    "$'",
    "$'\\n'",
    "$'\\x70\\x30'",
    "~",
    "#",
    " #",
    "<<E",
    "<<E\n",
    "<<-E\n\t",
    "<<'E'\n",
    "\nE\n",
    "E\n",
    "<<<",
    " <<< a",
    "<(",
    ">(",
    "> /dev/null",
    "2>&1",
    " 3<&0",
    "&> /dev/null",
    "A=",
    "A=x ",
    "A+=(",
    "A=(",
    "A[0]=",
    "A[",
    "]",
    "[",
    "if ",
    "; then ",
    "; fi",
    "else ",
    "elif ",
    "for i in ",
    "; do ",
    "; done",
    "case ",
    " in ",
    "a) ",
    ";;",
    ";; ",
    "esac",
    " esac",
    "[[ ",
    " ]]",
    " =~ ",
    " == ",
    "*",
    "?",
    "f() ",
    "f() { ",
    "f",
    "function g ",
    "g",
    "eval ",
    "eval '",
    "time ",
    "coproc ",
    "=",
    ",",
    "..",
    ":",
    "é",
    "\t",
    "$[",
    "@(",
    "!(",
    "a b|c",
    "p4 $(p5 $(p6))",
    "\"$(p7 \"p8\")\"",
    "`p9`",
    "$(( $(p10) + 1 ))",
    "select ",
    "trap 'p11' EXIT;",
    "exec ",
    "p12 <(p13)",
    "command p14",
];

struct Random(u64);

impl Random {
    fn below(&mut self, most: usize) -> usize {
        // xorshift64*: the same scripts every time.
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % most
    }
}

/// Where the pieces stand mostly as a grammar would have them.
fn ordered(random: &mut Random, depth: usize) -> String {
    let word = |r: &mut Random| {
        let inner = |r: &mut Random| if depth < 3 { ordered(r, depth + 1) } else { "p1".to_owned() };
        match r.below(18) {
            0 => "'a;p0'".to_owned(),
            1 => format!("\"b $A $({})\"", inner(r)),
            2 => format!("$({})", inner(r)),
            3 => format!("`p2 {}`", if depth < 2 { "$A" } else { "x" }),
            4 => "{x,y}".to_owned(),
            5 => "${A:-'z'}".to_owned(),
            6 => format!("${{B:-$({})}}", inner(r)),
            7 => "$((1+(2*3)))".to_owned(),
            8 => format!("<({})", inner(r)),
            9 => "a\\ b".to_owned(),
            10 => "$'\\t\\''".to_owned(),
            11 => format!("$(({}; p3); p4)", inner(r)),
            12 => "\"${A:-\"q r\"}\"".to_owned(),
            _ => ["x", "y1", "-z", "=", "a=b"][r.below(5)].to_owned(),
        }
    };
    let inner = |r: &mut Random| if depth < 3 { ordered(r, depth + 1) } else { "p5 x".to_owned() };
    match random.below(17) {
        0 => format!("{}; {}", inner(random), inner(random)),
        1 => format!("{} && {}\n", inner(random), inner(random)),
        2 => format!("{} | {}", inner(random), inner(random)),
        3 => format!("({})", inner(random)),
        4 => format!("{{ {}; }}", inner(random)),
        5 => format!("if {}\nthen {}; else {}; fi", inner(random), inner(random), inner(random)),
        6 => format!("for i in {} b; do {}; done", word(random), inner(random)),
        7 => format!("case {} in x) {};; *) {} ;; esac", word(random), inner(random), inner(random)),
        8 => format!("p6 <<E\n{}\n$({})\nE\n{}", ["t", "'", "\"", "\\"][random.below(4)], inner(random), inner(random)),
        9 => format!("p7 <<'E' {}\n`$(\nE\n", word(random)),
        10 => format!("[[ {} == {} ]] || {}", word(random), ["x*", "(a)", "[a]"][random.below(3)], inner(random)),
        11 => format!("((1 + $({}))); {}", inner(random), inner(random)),
        12 => format!("A={} p8 {}", word(random), word(random)),
        13 => format!("h{depth}() {{ {}; }}; h{depth}", inner(random)),
        14 => format!("eval 'p9 \"{}\"; p10'", ["a b", "$A", "$(p11)"][random.below(3)]),
        15 => format!("A=({} {}); {}", word(random), word(random), inner(random)),
        _ => format!("p12 {} {}", word(random), word(random)),
    }
}

fn soup(random: &mut Random) -> String {
    (0..2 + random.below(14)).map(|_| PIECES[random.below(PIECES.len())]).collect()
}

/// What bash would have started, in a directory where nothing is.
fn started(line: &str, dir: &Path, round: u32) -> Option<Vec<Vec<Bytes>>> {
    // Its own each time: what runs in the background may write late.
    let log = dir.join(round.to_string());
    fs::write(&log, b"").unwrap();
    let hook = "() { printf '%s\\0' $# \"$@\" >> \"$STARTED\"; }";
    let mut child = Command::new("/bin/bash")
        .args(["--norc", "--noprofile", "-c", line])
        .env_clear()
        .env("PATH", "/nonexistent")
        .env("STARTED", &log)
        .env("FUNCNEST", "4")
        .env("BASH_FUNC_command_not_found_handle%%", hook)
        .current_dir(dir.join("empty"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begun.elapsed() > Duration::from_secs(5) {
            child.kill().unwrap();
            child.wait().unwrap();
            return None;
        }
        std::thread::sleep(Duration::from_micros(300));
    }
    let text = fs::read(&log).unwrap();
    let mut fields = text.split(|b| *b == 0);
    let mut all = Vec::new();
    while let Some(count) =
        fields.next().and_then(|f| std::str::from_utf8(f).ok()).and_then(|f| f.parse::<usize>().ok())
    {
        all.push(fields.by_ref().take(count).map(Bytes::from).collect());
    }
    Some(all)
}

/// True when the words may have become these arguments.
fn may_become(words: &[&Word], argv: &[Bytes]) -> bool {
    match words.split_first() {
        None => argv.is_empty(),
        Some((word, rest)) => match word.known() {
            Some(known) => argv.first() == Some(&known) && may_become(rest, &argv[1..]),
            None if word.may_be_many() => (0..=argv.len()).any(|n| may_become(rest, &argv[n..])),
            None => !argv.is_empty() && may_become(rest, &argv[1..]),
        },
    }
}

fn saw(script: &Script, argv: &[Bytes]) -> bool {
    let words = |c: &Simple| -> bool {
        let words: Vec<&Word> = c.program.iter().chain(&c.arguments).collect();
        may_become(&words, argv)
    };
    script.commands.iter().any(words)
}

#[test]
fn bash_starts_nothing_that_was_not_read() {
    let rounds = std::env::var("BACKSTOP_BASH_ROUNDS").ok().and_then(|r| r.parse().ok()).unwrap_or(1_500u32);
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("empty")).unwrap();
    let seed = std::env::var("BACKSTOP_BASH_SEED").ok().and_then(|r| r.parse().ok()).unwrap_or(0x5eed);
    let mut random = Random(seed);
    let (mut told, mut opaque) = (0, 0);
    for round in 0..rounds {
        let line = if round % 2 == 0 { soup(&mut random) } else { ordered(&mut random, 0) };
        let script = shell::read(line.as_bytes());
        let Some(all) = started(&line, dir.path(), round) else { continue };
        if !script.is_clear() {
            opaque += 1;
            continue;
        }
        told += u32::from(!all.is_empty());
        for argv in all {
            let shown: Vec<_> = argv.iter().map(|a| a.quoted().to_string()).collect();
            let read: Vec<_> = script.commands.iter().map(crate::show::simple).collect();
            assert!(saw(&script, &argv), "bash started {shown:?} in {}\nread: {read:#?}", Quoted(line.as_bytes()));
        }
    }
    println!("{rounds} scripts: {told} started something and were read in full, {opaque} were opaque");
    assert!(told * 5 > rounds, "too few scripts say anything: {told} of {rounds}");
}
