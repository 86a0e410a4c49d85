//! Claims about merging, over the samples of `corpus/config/` and over generated ones.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use backstop_core::hook::Agent;
use proptest::prelude::*;
use serde_json::Value;

use super::bytes::{self, Format, MergeError, Piece};
use super::table::{self, At, Body, Scope, Target};
use super::{Act, Work, act, install, plan};

const SCOPES: [Scope; 2] = [Scope::User, Scope::System];

fn place(dir: &Path) -> At {
    At {
        claude: None,
        codex: None,
        config: dir.join("home/.config"),
        home: dir.join("home"),
        program: "/opt/it's here/backstop".to_owned(),
        root: dir.join("root"),
    }
}

fn format_of(name: &str) -> Format {
    match name {
        "json" => Format::Json,
        "jsonc" => Format::Jsonc,
        "toml" => Format::Toml,
        other => panic!("{other}"),
    }
}

/// All samples of a format, by name.
fn samples(format: &str) -> Vec<(String, Vec<u8>)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../corpus/config").join(format);
    let mut all: Vec<(String, Vec<u8>)> = fs::read_dir(dir)
        .expect("the corpus")
        .map(|e| e.expect("an entry").path())
        .map(|p| (p.file_name().expect("a name").to_string_lossy().into_owned(), fs::read(&p).expect("a sample")))
        .collect();
    all.sort();
    assert!(all.len() >= 20, "{format}: {}", all.len());
    all
}

/// Everything that is merged into a file of this format, for any agent.
fn merged_into(format: Format, at: &At) -> Vec<(Agent, Vec<Piece>)> {
    let mut all = Vec::new();
    for (agent, scope) in Agent::ALL.into_iter().flat_map(|a| SCOPES.map(|s| (a, s))) {
        for target in table::targets(agent, scope, at).into_iter().chain(table::earlier(agent, scope, at)) {
            if let Body::Merge { format: own, pieces } = target.body
                && own == format
            {
                all.push((agent, pieces));
            }
        }
    }
    assert!(!all.is_empty());
    all
}

/// The values of all lists and keys that were there, as far as they are nobody's but their author's.
fn entries(value: &Value, way: &str, into: &mut Vec<String>) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            map.iter().for_each(|(k, v)| entries(v, &format!("{way}.{k}"), into));
        }
        Value::Array(list) => list.iter().for_each(|v| into.push(format!("{way}[]{v}"))),
        other => into.push(format!("{way}={other}")),
    }
}

fn said(format: Format, bytes: &[u8]) -> Value {
    bytes::value(format, bytes).expect("readable")
}

/// What is without empty lists and maps.
fn without_empty(value: &Value) -> Value {
    match value {
        Value::Object(map) => map
            .iter()
            .map(|(k, v)| (k.clone(), without_empty(v)))
            .filter(|(_, v)| *v != Value::Array(vec![]) && *v != Value::Object(serde_json::Map::new()))
            .collect(),
        other => other.clone(),
    }
}

/// The claims about one file and what one agent has in it.
fn check(format: Format, name: &str, old: &[u8], agent: Agent, pieces: &[Piece], at: &At) {
    let ours = |text: &str| table::is_ours(agent, at, text);
    let here = format!("{name} for {}", agent.name());
    let new = bytes::merge(format, old, pieces, &ours).unwrap_or_else(|e| panic!("{here}: {e}"));
    let shown = String::from_utf8_lossy(&new).into_owned();
    assert_ne!(new, old, "{here}");
    assert_eq!(bytes::merge(format, &new, pieces, &ours).as_deref(), Ok(&new[..]), "{here}: twice");
    let (before, after) = (said(format, old), said(format, &new));
    assert!(bytes::is_merged(&after, pieces, &ours), "{here}\n{shown}");

    // Nothing of anybody's is gone.
    let (mut had, mut has) = (Vec::new(), Vec::new());
    entries(&before, "", &mut had);
    entries(&after, "", &mut has);
    let has: BTreeSet<String> = has.into_iter().collect();
    for entry in had.iter().filter(|e| !e.ends_with("={}")) {
        assert!(has.contains(entry), "{here}: {entry} is gone\n{shown}");
    }
    let mark = if format == Format::Toml { "#" } else { "/" };
    let text = String::from_utf8_lossy(old).into_owned();
    for comment in text.lines().filter(|l| l.trim_start().starts_with(mark)) {
        assert!(shown.contains(comment.trim()), "{here}: {comment}\n{shown}");
    }
    let marked = |bytes: &[u8]| bytes.starts_with(b"\xef\xbb\xbf");
    assert_eq!(marked(old), marked(&new), "{here}: the mark at the start");
    if text.contains("\r\n") && !text.replace("\r\n", "").contains('\n') {
        assert!(!shown.replace("\r\n", "").contains('\n'), "{here}: line ends\n{shown:?}");
    }

    // Out again, without the old bytes and with them.
    let alone = bytes::strip(format, &new, pieces, &ours, None).expect("stripped");
    let mut left = said(format, &alone);
    for piece in pieces {
        let bytes::What::Missing(item) = &piece.what else { continue };
        // Without the old bytes nobody can tell whose these are.
        if bytes::at(&before, &piece.at).is_none() {
            assert_eq!(bytes::at(&left, &piece.at), Some(&item.json()), "{here}");
            let (key, way) = piece.at.split_last().expect("a place");
            let parent = way.iter().fold(&mut left, |v, k| &mut v[k]);
            parent.as_object_mut().expect("a map").remove(*key);
        }
    }
    assert_eq!(without_empty(&left), without_empty(&before), "{here}: taken out\n{shown}");
    let back = bytes::strip(format, &new, pieces, &ours, Some(old)).expect("stripped");
    assert_eq!(said(format, &back), before, "{here}: taken out\n{}", String::from_utf8_lossy(&back));
    assert_eq!(bytes::strip(format, &back, pieces, &ours, Some(old)).as_deref(), Ok(&back[..]), "{here}: twice");
    // A line of an earlier place of the program is ours as well, and is replaced.
    let moved = At { program: "/usr/local/bin/backstop".to_owned(), ..at.clone() };
    let again = |at: &At| {
        let targets = SCOPES.iter().flat_map(|s| table::targets(agent, *s, at)).collect::<Vec<Target>>();
        targets.into_iter().find_map(|t| match t.body {
            Body::Merge { format: f, pieces: p } if f == format && p.len() == pieces.len() => Some(p),
            _ => None,
        })
    };
    if agent != Agent::Amp
        && let Some(other) = again(&moved)
    {
        let ours = |text: &str| table::is_ours(agent, &moved, text);
        let newer = bytes::merge(format, &new, &other, &ours).expect("merged");
        let count = |bytes: &[u8]| String::from_utf8_lossy(bytes).matches(" hook ").count();
        assert_eq!(count(&newer), count(&new), "{here}: moved\n{}", String::from_utf8_lossy(&newer));
    }
}

#[test]
fn every_sample_keeps_what_is_in_it_and_gives_it_back() {
    let dir = tempfile::tempdir().expect("temp");
    let at = place(dir.path());
    for name in ["json", "jsonc", "toml"] {
        let format = format_of(name);
        for (agent, pieces) in merged_into(format, &at) {
            for (sample, bytes) in samples(name) {
                check(format, &sample, &bytes, agent, &pieces, &at);
            }
        }
    }
}

/// Every file and directory beneath `dir`: name, mode, and content.
fn tree(dir: &Path) -> Vec<(PathBuf, u32, Option<Vec<u8>>)> {
    let mut all = Vec::new();
    let mut todo = vec![dir.to_owned()];
    while let Some(here) = todo.pop() {
        for entry in fs::read_dir(&here).into_iter().flatten() {
            let path = entry.expect("an entry").path();
            let meta = path.symlink_metadata().expect("there");
            if meta.is_dir() {
                todo.push(path.clone());
            }
            all.push((path.clone(), meta.mode(), meta.is_file().then(|| fs::read(&path).expect("read"))));
        }
    }
    all.sort();
    all
}

fn go(
    agent: Agent,
    work: &Work<'_>,
    plan: fn(Agent, &Work<'_>) -> Result<Vec<super::Step>, backstop_engine::Failure>,
) -> Vec<Act> {
    let steps = plan(agent, work).unwrap_or_else(|e| panic!("{}: {e} {:?}", agent.name(), e.next));
    for step in &steps {
        act(agent, work, step).unwrap_or_else(|e| panic!("{}: {e}", agent.name()));
    }
    steps.iter().map(|s| s.act).collect()
}

#[test]
fn install_and_uninstall_give_the_old_bytes_back() {
    for (agent, scope) in Agent::ALL.into_iter().flat_map(|a| SCOPES.map(|s| (a, s))) {
        let probe = tempfile::tempdir().expect("temp");
        for target in table::targets(agent, scope, &place(probe.path())) {
            let (kind, all) = match &target.body {
                Body::Merge { format: Format::Json, .. } => ("json", samples("json")),
                Body::Merge { format: Format::Jsonc, .. } => ("jsonc", samples("jsonc")),
                Body::Merge { format: Format::Toml, .. } => ("toml", samples("toml")),
                Body::Whole { .. } => ("none", vec![(String::new(), Vec::new())]),
            };
            for (name, bytes) in all {
                let dir = tempfile::tempdir().expect("temp");
                let dir = dir.path().canonicalize().expect("real");
                let at = place(&dir);
                fs::create_dir_all(&at.home).expect("home");
                fs::create_dir_all(&at.root).expect("root");
                if kind != "none" {
                    let path = dir.join(target.path.strip_prefix(probe.path()).expect("beneath"));
                    fs::create_dir_all(path.parent().expect("a parent")).expect("made");
                    fs::write(&path, &bytes).expect("written");
                    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("ours");
                }
                let here = format!("{} {} {name}", agent.name(), scope.name());
                let start = (tree(&at.home), tree(&at.root));
                let work = Work::new(&at, &dir.join("state"), scope);
                let acts = go(agent, &work, install);
                assert!(acts.iter().all(|a| matches!(a, Act::Create | Act::Change)), "{here}: {acts:?}");
                let installed = (tree(&at.home), tree(&at.root));
                assert_ne!(installed, start, "{here}");
                assert!(plan::installed(agent, &work), "{here}");
                let acts = go(agent, &work, install);
                assert!(acts.iter().all(|a| *a == Act::Same), "{here}: {acts:?}");
                assert_eq!((tree(&at.home), tree(&at.root)), installed, "{here}: a second time");
                go(agent, &work, plan::uninstall);
                assert_eq!((tree(&at.home), tree(&at.root)), start, "{here}");
                assert!(!plan::installed(agent, &work), "{here}");
                assert!(!dir.join("state/install").exists(), "{here}: a note stays");
            }
        }
    }
}

/// A home with one file of Claude Code's in it.
struct Home {
    at: At,
    dir: tempfile::TempDir,
}

impl Home {
    fn with(text: &str) -> Self {
        let dir = tempfile::tempdir().expect("temp");
        let at = place(&dir.path().canonicalize().expect("real"));
        fs::create_dir_all(at.home.join(".claude")).expect("made");
        let home = Self { at, dir };
        fs::write(home.file(), text).expect("written");
        home
    }

    fn file(&self) -> PathBuf {
        self.at.home.join(".claude/settings.json")
    }

    fn text(&self) -> String {
        fs::read_to_string(self.file()).expect("read")
    }

    fn work(&self) -> Work<'_> {
        Work::new(&self.at, &self.dir.path().join("state"), Scope::User)
    }
}

#[test]
fn what_was_changed_since_stays() {
    let home = Home::with("{\n  \"model\": \"opus\"\n}\n");
    go(Agent::Claude, &home.work(), install);
    let mine = home.text().replace("\"opus\"", "\"sonnet\"");
    fs::write(home.file(), &mine).expect("written");
    assert_eq!(go(Agent::Claude, &home.work(), plan::uninstall), [Act::TakeOut]);
    assert_eq!(home.text(), "{\n  \"model\": \"sonnet\"\n}\n");
    // Installed anew after such a change, the change is what comes back.
    go(Agent::Claude, &home.work(), install);
    let other = home.text().replace("\"sonnet\"", "\"haiku\"");
    fs::write(home.file(), &other).expect("written");
    assert_eq!(go(Agent::Claude, &home.work(), install), [Act::Same]);
    go(Agent::Claude, &home.work(), plan::uninstall);
    assert_eq!(home.text(), "{\n  \"model\": \"haiku\"\n}\n");
}

#[test]
fn a_hook_of_somebody_else_in_the_same_group_stays() {
    let home = Home::with("{}\n");
    go(Agent::Claude, &home.work(), install);
    let theirs = "{\"type\": \"command\", \"command\": \"theirs\"}, ";
    let mine = home.text().replacen("\"hooks\": [\n          {", &format!("\"hooks\": [\n          {theirs}{{"), 1);
    assert_ne!(mine, home.text());
    fs::write(home.file(), &mine).expect("written");
    go(Agent::Claude, &home.work(), plan::uninstall);
    let left: Value = serde_json::from_str(&home.text()).expect("JSON");
    let expected: Value = serde_json::from_str(
        r#"{"hooks": {"PreToolUse": [{"matcher": "*", "hooks": [{"type": "command", "command": "theirs"}]}]}}"#,
    )
    .expect("JSON");
    assert_eq!(left, expected);
}

#[test]
fn what_cant_be_understood_is_left_alone() {
    for (text, part) in [
        ("{ \"a\": 1,\n  \"b\" }", "line 2, column"),
        ("{ 'a': 1 }", "line 1, column"),
        ("{ \"hooks\": [] }", "`hooks` is not an object"),
        ("{ \"hooks\": { \"PreToolUse\": {} } }", "`hooks.PreToolUse` is not a list"),
        ("[]", "`the whole file` is not an object"),
        ("null", "`the whole file` is not an object"),
        ("{ \"hooks\": {}, \"hooks\": {} }", "`hooks` stands there more than once"),
        ("{} {}", "line 1, column"),
    ] {
        let home = Home::with(text);
        let error = install(Agent::Claude, &home.work()).expect_err(text);
        assert!(error.what.contains("settings.json") && error.what.contains(part), "{text}: {error}");
        assert!(error.next[0].contains("nothing was written"), "{text}");
        assert_eq!(home.text(), text);
    }
    for (text, part) in [
        ("a = 1\nb = = 2\n", "line 2, column"),
        ("hooks = 1\n", "`hooks` is not a table"),
        ("[hooks]\nPreToolUse = 1\n", "`hooks.PreToolUse` is not a list"),
        ("a = 1\na = 2\n", "line 2, column"),
    ] {
        let at = place(Path::new("/nowhere"));
        let target = table::targets(Agent::Codex, Scope::System, &at).remove(0);
        let Body::Merge { format, pieces } = target.body else { panic!("merged") };
        let error = bytes::merge(format, text.as_bytes(), &pieces, &|_| false).expect_err(text);
        assert!(error.to_string().contains(part), "{text}: {error}");
    }
    assert_eq!(bytes::merge(Format::Json, b"{\"a\": \"\xff\"}", &[], &|_| false), Err(MergeError::NotText(7)));
}

#[test]
fn a_link_is_followed_and_stays_a_link() {
    let home = Home::with("{}\n");
    let real = home.at.home.join("dotfiles.json");
    fs::rename(home.file(), &real).expect("moved");
    std::os::unix::fs::symlink("../dotfiles.json", home.file()).expect("link");
    let steps = install(Agent::Claude, &home.work()).expect("planned");
    assert_eq!(steps[0].found.real, real);
    assert!(steps[0].notes[0].contains("a link leads to"), "{:?}", steps[0].notes);
    go(Agent::Claude, &home.work(), install);
    assert!(home.file().symlink_metadata().expect("there").is_symlink());
    assert!(fs::read_to_string(&real).expect("read").contains("hook claude"));
    go(Agent::Claude, &home.work(), plan::uninstall);
    assert!(home.file().symlink_metadata().expect("there").is_symlink());
    assert_eq!(fs::read_to_string(&real).expect("read"), "{}\n");
    fs::remove_file(&real).expect("removed");
    let error = install(Agent::Claude, &home.work()).expect_err("a link to nothing");
    assert!(error.what.contains("is a link to nothing"), "{error}");
}

#[test]
fn somebody_elses_file_in_our_place_is_left_alone() {
    let home = Home::with("{}\n");
    let file = home.at.home.join(".copilot/hooks/backstop.json");
    fs::create_dir_all(file.parent().expect("a parent")).expect("made");
    fs::write(&file, "{\"version\": 1}\n").expect("written");
    let error = install(Agent::Copilot, &home.work()).expect_err("theirs");
    assert!(error.what.contains("is there already and not Backstop's"), "{error}");
    assert_eq!(go(Agent::Copilot, &home.work(), plan::uninstall), [Act::Foreign]);
    assert_eq!(fs::read(&file).expect("read"), b"{\"version\": 1}\n");
}

#[test]
fn a_hook_that_can_not_be_started_any_more_is_mended() {
    let home = Home::with("{}\n");
    go(Agent::Cline, &home.work(), install);
    let file = home.at.home.join(".cline/hooks/PreToolUse.sh");
    let mode = || fs::metadata(&file).expect("there").mode() & 0o777;
    assert_eq!(mode() & 0o100, 0o100);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("ours");
    assert_eq!(go(Agent::Cline, &home.work(), install), [Act::Change, Act::Same]);
    assert_eq!(mode(), 0o711);
    go(Agent::Cline, &home.work(), plan::uninstall);
    assert!(!home.at.home.join(".cline").exists());
}

#[test]
fn codex_hooks_go_where_its_hooks_are() {
    let home = Home::with("{}\n");
    let config = home.at.home.join(".codex/config.toml");
    fs::create_dir_all(config.parent().expect("a parent")).expect("made");
    let path = |home: &Home| table::targets(Agent::Codex, Scope::User, &home.at).remove(0).path;
    fs::write(&config, "[hooks.state.x]\ntrusted_hash = \"y\"\n").expect("written");
    assert!(path(&home).ends_with("hooks.json"), "what is trusted is no declaration");
    fs::write(&config, "[[hooks.Stop]]\nhooks = []\n").expect("written");
    assert!(path(&home).ends_with("config.toml"));
    go(Agent::Codex, &home.work(), install);
    fs::write(config.with_file_name("hooks.json"), "{}").expect("written");
    assert!(path(&home).ends_with("hooks.json"));
    go(Agent::Codex, &home.work(), plan::uninstall);
    assert_eq!(fs::read_to_string(&config).expect("read"), "[[hooks.Stop]]\nhooks = []\n");
}

#[test]
fn lines_of_ours_are_known_by_any_path() {
    for (text, expected) in [
        ("/usr/bin/backstop hook claude || exit 2", true),
        ("/usr/bin/backstop hook claude", true),
        ("'/opt/it'\\''s here/backstop' hook claude || exit 2", true),
        ("backstop-dev hook claude", true),
        ("/usr/bin/backstop hook codex || exit 2", false),
        ("/usr/bin/other hook claude || exit 2", false),
        ("echo backstop hook claude", false),
        ("run backstop hook claude by hand", false),
        ("/usr/bin/backstop hook claude || true", false),
        ("hook claude", false),
    ] {
        assert_eq!(table::is_line(Agent::Claude, text), expected, "{text}");
    }
    for agent in Agent::ALL {
        for program in ["/usr/bin/backstop", "/opt/it's here/backstop", "/a b/ü/backstop"] {
            assert!(table::is_line(agent, &table::line(agent, program)), "{}", agent.name());
        }
    }
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a-zäß\"\\\\ /#*]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 20, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-zA-Z.]{1,6}", inner, 0..4)
                .prop_map(|m| Value::Object(m.into_iter().collect())),
        ]
    })
}

fn hooks() -> impl Strategy<Value = Value> {
    let entry = (values(), "[a-z ]{0,9}").prop_map(|(more, command)| {
        serde_json::json!({"matcher": "x", "hooks": [{"type": "command", "command": command, "more": more}]})
    });
    let list = prop::collection::vec(entry, 0..3).prop_map(Value::from);
    let events = prop::sample::subsequence(vec!["PreToolUse", "PostToolUse", "SessionStart", "Stop"], 0..4);
    (events, prop::collection::vec(list, 4))
        .prop_map(|(events, lists)| Value::Object(events.into_iter().map(str::to_owned).zip(lists).collect()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn any_configuration_keeps_what_is_in_it(
        mut rest in prop::collection::btree_map("[b-gi-z]{1,6}", values(), 0..4),
        hooks in prop::option::of(hooks()),
        pretty in any::<bool>(),
    ) {
        if let Some(hooks) = hooks {
            rest.insert("hooks".to_owned(), hooks);
        }
        let value = Value::Object(rest.into_iter().collect());
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
        let dir = place(Path::new("/nowhere"));
        let Body::Merge { format, pieces } = table::targets(Agent::Claude, Scope::User, &dir).remove(0).body else {
            panic!("merged")
        };
        check(format, "generated", text.expect("JSON").as_bytes(), Agent::Claude, &pieces, &dir);
    }
}
