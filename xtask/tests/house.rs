//! Holds the table of ARCHITECTURE.md: which crate may lean on which, which crates from outside each
//! may use, what none may reach, and who may say `unsafe`. Reads `cargo metadata`, `cargo tree` and
//! the sources; writes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// One crate of the house and everything it may name in its `[dependencies]`.
struct Room {
    name: &'static str,
    house: &'static [&'static str],
    outside: &'static [&'static str],
    /// Crates that must not be reached, not even through others.
    never: &'static [&'static str],
}

/// Crates that speak to a network, make pages or paint terminals.
const LOUD: &[&str] = &[
    "anstyle",
    "askama",
    "async-std",
    "axum",
    "crossterm",
    "curl",
    "hyper",
    "maud",
    "mio",
    "native-tls",
    "openssl",
    "ratatui",
    "reqwest",
    "rustls",
    "rustls-platform-verifier",
    "smol",
    "termcolor",
    "tokio",
    "ureq",
];

/// A new crate needs a line here and a row in ARCHITECTURE.md.
const ROOMS: &[Room] = &[
    Room {
        name: "backstop-core",
        house: &[],
        outside: &[
            "base64",
            "cedar-policy",
            "ed25519-dalek",
            "hmac",
            "regex",
            "schemars",
            "serde",
            "serde_json",
            "sha2",
            "ssh-key",
            "thiserror",
            "toml",
        ],
        // Files, network, clock, randomness, threads, async: time, user and randomness are arguments.
        // Cedar brings `chrono` along for its calendar arithmetic; that it can't see the clock is held by
        // `cedars_calendar_has_no_clock`.
        never: &["fastrand", "getrandom", "nix", "rand", "rayon", "rustix", "tempfile", "time"],
    },
    Room {
        name: "backstop-sys",
        house: &[],
        outside: &["libc", "rustix"],
        never: &["serde", "serde_json", "thiserror"],
    },
    Room {
        name: "backstop-engine",
        house: &["backstop-core", "backstop-sys"],
        outside: &["ed25519-dalek", "getrandom", "miniz_oxide", "serde", "serde_json", "sha1", "sha2", "thiserror"],
        never: &["clap"],
    },
    Room {
        name: "backstop",
        house: &["backstop-core", "backstop-engine"],
        outside: &[
            "clap",
            "clap_complete",
            "clap_mangen",
            "jsonc-parser",
            "ratatui",
            "rmcp",
            "rustix",
            "schemars",
            "serde",
            "serde_json",
            "similar",
            "tempfile",
            "tokio",
            "toml_edit",
            "unicode-width",
        ],
        // Clap itself paints help texts.
        never: &[],
    },
    Room {
        name: "backstop-net",
        house: &["backstop-core", "backstop-engine"],
        outside: &[
            "base64",
            "clap",
            "hmac",
            "lettre",
            "prometheus-client",
            "rustix",
            "rustls",
            "rustls-platform-verifier",
            "serde",
            "serde_json",
            "sha2",
            "toml",
            "ureq",
        ],
        never: &["backstop", "native-tls", "openssl"],
    },
];

/// Development only: nothing that is shipped may lean on them.
const TOOLS: &[&str] = &["backstop-e2e", "xtask"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace")
}

fn cargo(args: &[&str]) -> String {
    let out = Command::new(env!("CARGO")).current_dir(root()).args(args).output().expect("cargo starts");
    assert!(out.status.success(), "cargo {args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).expect("cargo prints UTF-8")
}

/// Every workspace member with the names in its `[dependencies]` (not dev, not build).
fn members() -> BTreeMap<String, BTreeSet<String>> {
    let text = cargo(&["metadata", "--format-version=1", "--no-deps", "--offline"]);
    let metadata: Value = serde_json::from_str(&text).expect("cargo metadata prints JSON");
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    list(&metadata["packages"])
        .iter()
        .map(|package| {
            let normal = list(&package["dependencies"]).into_iter().filter(|d| d["kind"].is_null());
            let names = normal.map(|d| d["name"].as_str().unwrap_or_default().to_owned()).collect();
            (package["name"].as_str().unwrap_or_default().to_owned(), names)
        })
        .collect()
}

/// Every crate that `name` reaches when it alone is built.
fn reached(name: &str) -> BTreeSet<String> {
    let tree = cargo(&[
        "tree",
        "--package",
        name,
        "--edges=normal",
        "--prefix=none",
        "--format={p}",
        "--no-dedupe",
        "--offline",
        "--target=x86_64-unknown-linux-gnu",
    ]);
    tree.lines().filter_map(|l| l.split(' ').next()).map(str::to_owned).collect()
}

fn sources(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).expect("a source directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found
}

#[test]
fn every_member_has_its_row() {
    let known: BTreeSet<&str> = ROOMS.iter().map(|r| r.name).chain(TOOLS.iter().copied()).collect();
    let members = members();
    assert_eq!(members.keys().map(String::as_str).collect::<BTreeSet<_>>(), known);
}

#[test]
fn a_crate_names_only_what_its_row_allows() {
    let members = members();
    for room in ROOMS {
        let allowed: BTreeSet<&str> = room.house.iter().chain(room.outside).copied().collect();
        let named = &members[room.name];
        let extra: Vec<_> = named.iter().filter(|n| !allowed.contains(n.as_str())).collect();
        assert!(extra.is_empty(), "{} may not depend on {extra:?}", room.name);
    }
}

#[test]
fn nothing_shipped_reaches_what_it_may_not() {
    for room in ROOMS {
        let reached = reached(room.name);
        let loud: &[&str] = if ["backstop", "backstop-net"].contains(&room.name) { &[] } else { LOUD };
        let mut forbidden = room.never.iter().chain(loud).chain(TOOLS);
        let hit = forbidden.find(|n| **n != room.name && reached.contains(**n));
        assert!(hit.is_none(), "{} reaches {hit:?}", room.name);
        let strangers = reached.iter().filter(|n| n.starts_with("backstop") && *n != room.name);
        for other in strangers {
            let through = room.house.contains(&other.as_str()) || room.house.contains(&"backstop-engine");
            assert!(through, "{} reaches {other}", room.name);
        }
    }
}

/// Cedar's formatter (which can't be left out) asks for Cedar's default features, and these for `chrono`.
/// It is built without `clock` and `now`: it can count days, but not ask what day it is.
#[test]
fn cedars_calendar_has_no_clock() {
    let features = cargo(&[
        "tree",
        "--package=backstop-core",
        "--edges=normal",
        "--prefix=none",
        "--format={p} {f}",
        "--no-dedupe",
        "--offline",
        "--target=x86_64-unknown-linux-gnu",
    ]);
    let chrono: BTreeSet<&str> = features.lines().filter(|l| l.starts_with("chrono ")).collect();
    assert!(chrono.len() <= 1, "{chrono:?}");
    let ticks =
        |line: &&str| line.split([' ', ',']).any(|f| matches!(f, "clock" | "default" | "now" | "std" | "wasmbind"));
    assert_eq!(chrono.into_iter().find(ticks), None);
}

#[test]
fn the_command_line_speaks_to_no_network() {
    // `tokio` waits for pipes here. Its sockets need `mio`, and that may not be reached.
    let quiet = ["anstyle", "crossterm", "ratatui", "termcolor", "tokio"];
    let reached = reached("backstop");
    let hit = LOUD.iter().find(|n| !quiet.contains(n) && reached.contains(**n));
    assert!(hit.is_none(), "backstop reaches {hit:?}");
}

#[test]
fn unsafe_code_is_the_kernel_doors_alone() {
    for (name, entry) in [
        ("backstop-core", "crates/backstop-core/src/lib.rs"),
        ("backstop-engine", "crates/backstop-engine/src/lib.rs"),
        ("backstop", "crates/backstop/src/main.rs"),
        ("backstop-net", "crates/backstop-net/src/lib.rs"),
        ("backstop-net", "crates/backstop-net/src/bin/backstop-notify.rs"),
        ("backstop-e2e", "e2e/src/lib.rs"),
        ("xtask", "xtask/src/main.rs"),
    ] {
        let text = fs::read_to_string(root().join(entry)).expect("the crate's entry file");
        assert!(text.contains("\n#![forbid(unsafe_code)]"), "{name}: {entry} must forbid unsafe code");
    }
}

#[test]
fn the_kernel_door_has_no_opinion() {
    for path in sources(&root().join("crates/backstop-sys/src")) {
        let text = fs::read_to_string(&path).expect("a source file");
        // In code; a comment may say that policy is somebody else's.
        let speaks = |l: &str| l.to_lowercase().split(|c: char| !c.is_alphanumeric()).any(|w| w == "policy");
        let hit = text.lines().position(|l| !l.trim_start().starts_with("//") && speaks(l));
        assert!(hit.is_none(), "{}:{} speaks of policy", path.display(), hit.unwrap_or_default() + 1);
    }
}

#[test]
fn a_file_says_first_what_it_is() {
    for dir in ["crates", "e2e", "xtask"] {
        for path in sources(&root().join(dir)) {
            let text = fs::read_to_string(&path).expect("a source file");
            // Tests of one module tell their claims by their names.
            let inner = path.file_name().is_some_and(|n| n == "tests.rs");
            assert!(inner || text.starts_with("//!"), "{} begins without a sentence on what it is", path.display());
        }
    }
}
