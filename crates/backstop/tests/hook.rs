//! `backstop hook` as clients call it: commands are rewritten into runs, file tools are judged before and
//! become runs after, and one `undo --session` takes both back in their order.

mod place;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use place::{Place, text, until};
use serde_json::{Value, json};

/// A client that speaks like Claude Code.
struct Client {
    place: Place,
}

impl Client {
    fn new() -> Self {
        Self { place: Place::new() }
    }

    fn hook(&self, event: &str, tool: &str, input: &Value, id: &str) -> Output {
        let payload = json!({
            "session_id": "s-1", "cwd": self.place.at("w"), "hook_event_name": event,
            "tool_name": tool, "tool_input": input, "tool_use_id": id,
        });
        self.place.fed(&["hook", "claude"], payload.to_string().as_bytes())
    }

    /// The tool, with the hooks around it; `does` is what the client does itself.
    fn tool(&self, tool: &str, input: &Value, id: &str, does: impl FnOnce(&Place)) {
        let before = self.hook("PreToolUse", tool, input, id);
        assert_eq!((before.status.code(), text(&before).as_str()), (Some(0), ""), "{tool} {input}");
        does(&self.place);
        let after = self.hook("PostToolUse", tool, input, id);
        assert_eq!((after.status.code(), text(&after).as_str()), (Some(0), ""), "{tool} {input}");
    }

    /// A command, as the client runs what the hook gave it: in a shell that goes on. What it prints, and
    /// where that shell is afterwards.
    fn shell(&self, line: &str, code: i32) -> (String, String) {
        self.shell_with("", line, code)
    }

    /// The same in a shell that has read its person's own settings.
    fn shell_with(&self, settings: &str, line: &str, code: i32) -> (String, String) {
        let said = self.hook("PreToolUse", "Bash", &json!({"command": line}), "toolu_sh");
        let answer: Value = serde_json::from_slice(&said.stdout).expect("JSON");
        let rewritten = answer["hookSpecificOutput"]["updatedInput"]["command"].as_str().expect("a command");
        let environment = self.place.command(&[]);
        let mut shell = Command::new("bash");
        let own = format!("{settings}\neval \"$1\"; code=$?; pwd -P >&2; exit $code");
        shell.args(["-c", &own, "bash", rewritten]);
        shell.current_dir(self.place.at("w")).env_clear().stdin(Stdio::null());
        shell.envs(environment.get_envs().filter_map(|(k, v)| Some((k, v?))));
        let output = shell.output().expect("bash");
        assert_eq!(output.status.code(), Some(code), "{line}: {}", text(&output));
        let said = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        let place = said(output.stderr).lines().last().unwrap_or_default().to_owned();
        (said(output.stdout), place)
    }

    fn file(&self, name: &str) -> String {
        self.place.at("w").join(name).display().to_string()
    }
}

/// Everything in the workspace: name, content, mode, mtime and number of names of files.
fn tree(place: &Place) -> Vec<String> {
    let list =
        Command::new("find").arg(place.at("w")).args(["-printf", "%P %y %m %T@ %n %s\\n"]).output().expect("find");
    let mut lines: Vec<String> = text(&list).lines().map(str::to_owned).collect();
    lines.sort();
    for line in &mut lines {
        let name = line.split(' ').next().unwrap_or_default().to_owned();
        if let Ok(content) = fs::read_to_string(place.at("w").join(&name)) {
            line.push_str(&content);
        }
    }
    lines
}

#[test]
fn shell_and_file_tools_are_taken_back_together() {
    let client = Client::new();
    let place = &client.place;
    fs::write(place.at("w/a"), "one\ntwo\n").expect("written");
    fs::set_permissions(place.at("w/a"), fs::Permissions::from_mode(0o640)).expect("ours");
    fs::write(place.at("w/b"), "b\n").expect("written");
    fs::write(place.at("w/gone"), "gone\n").expect("written");
    let start = tree(place);

    client.shell("echo three >> a && mkdir made", 0);
    // Another file in the old one's place, as most clients write.
    let edit = json!({"file_path": client.file("a"), "old_string": "two", "new_string": "2"});
    client.tool("Edit", &edit, "t1", |p| {
        fs::write(p.at("w/.a.tmp"), "one\n2\nthree\n").expect("written");
        fs::set_permissions(p.at("w/.a.tmp"), fs::Permissions::from_mode(0o640)).expect("ours");
        fs::rename(p.at("w/.a.tmp"), p.at("w/a")).expect("replaced");
    });
    // In place.
    let write = json!({"file_path": client.file("b"), "content": "B, and longer\n"});
    client.tool("Write", &write, "t2", |p| fs::write(p.at("w/b"), "B, and longer\n").expect("written"));
    // A new one, in directories that are not there yet.
    let new = json!({"file_path": client.file("made/x/y/new"), "content": "new\n"});
    client.tool("Write", &new, "t3", |p| {
        fs::create_dir_all(p.at("w/made/x/y")).expect("made");
        fs::write(p.at("w/made/x/y/new"), "new\n").expect("written");
    });
    // Several files at once: one goes, one comes, one changes.
    let patch = "*** Begin Patch\n*** Delete File: gone\n*** Add File: added\n+added\n*** Update File: a\n@@\n one\n-2\n\
                 +zwei\n*** End Patch\n";
    client.tool("apply_patch", &json!({"input": patch}), "t4", |p| {
        fs::remove_file(p.at("w/gone")).expect("gone");
        fs::write(p.at("w/added"), "added\n").expect("written");
        fs::write(p.at("w/a"), "one\nzwei\nthree\n").expect("written");
    });
    client.shell("rm b", 0);
    let end = tree(place);

    let runs = place.json(&["runs", "--session", "s-1", "--json"], 0);
    let states: Vec<&str> = runs["runs"].as_array().expect("runs").iter().filter_map(|r| r["state"].as_str()).collect();
    assert_eq!(states, ["committed"; 6]);
    let asker = &runs["runs"][1]["request"]["asker"];
    assert_eq!(*asker, json!({"agent": "claude", "call": "t4"}));

    place.say(&["undo", "--session", "s-1"], 0);
    assert_eq!(tree(place), start);
    place.say(&["redo", "--session", "s-1"], 0);
    assert_eq!(tree(place), end);
    place.say(&["undo", "--session", "s-1"], 0);
    assert_eq!(tree(place), start);
    place.say(&["audit", "verify"], 0);
}

#[test]
fn the_next_command_begins_where_the_last_one_ended() {
    let client = Client::new();
    let at = |name: &str| client.file(name);
    fs::create_dir(client.place.at("w/there")).expect("made");
    for (line, code, said, place) in [
        ("cd there && echo hi", 0, "hi\n", "there"),
        ("mkdir 'new one' && cd 'new one' && pwd -P >../log; cat ../log", 0, "", "new one"),
        ("cd there; exit 3", 3, "", "there"),
        ("(cd there); pwd >/dev/null", 0, "", ""),
        ("cd nowhere; echo on", 0, "on\n", ""),
        ("cd there; cat <<'E'\nit's\nE\n", 0, "it's\n", "there"),
        // Held: what did not take effect leads nowhere.
        ("mkdir -p .git/hooks && cd .git/hooks && echo x >pre-commit && chmod +x pre-commit", 75, "", ""),
        ("true | cd there", 0, "", ""),
        ("trap 'echo mine' EXIT; cd there", 0, "mine\n", ""),
    ] {
        if code == 75 {
            let made = Command::new("git").args(["init", "-q"]).current_dir(at("")).status().expect("git");
            assert!(made.success());
        }
        let (out, here) = client.shell(line, code);
        let expected = if place.is_empty() { at("").trim_end_matches('/').to_owned() } else { at(place) };
        assert_eq!(here, expected, "{line}");
        if !line.contains("log") {
            assert_eq!(out, said, "{line}");
        }
    }
}

#[test]
fn what_a_tool_does_otherwise_than_it_said_is_found_and_taken_back() {
    let client = Client::new();
    let place = &client.place;
    fs::write(place.at("w/a"), "old\n").expect("written");
    let write = json!({"file_path": client.file("a"), "content": "said\n"});
    client.tool("Write", &write, "t1", |p| fs::write(p.at("w/a"), "something else\n").expect("written"));
    let shown = place.json(&["show", "@last", "--json"], 0);
    assert_eq!(shown["record"]["state"], "committed");
    let notes = shown["record"]["notes"].to_string();
    assert!(notes.contains("what the tool wrote is not what it had said"), "{notes}");
    assert!(place.say(&["log"], 0).contains("a tool did something else"));
    place.say(&["undo", "@last"], 0);
    assert_eq!(place.read("a"), "old\n");
}

#[test]
fn a_tool_that_did_nothing_leaves_nothing() {
    let client = Client::new();
    let place = &client.place;
    fs::write(place.at("w/a"), "old\n").expect("written");
    let write = json!({"file_path": client.file("a"), "content": "new\n"});
    client.tool("Write", &write, "t1", |_| {});
    assert_eq!(place.json(&["show", "@last", "--json"], 0)["record"]["state"], "discarded");
    assert_eq!(fs::metadata(place.at("w/a")).expect("there").nlink(), 1, "no further name is left");
    place.say(&["audit", "verify"], 0);
}

#[test]
fn without_a_word_after_it_a_tool_is_looked_at_before_the_next_thing() {
    let client = Client::new();
    let place = &client.place;
    fs::write(place.at("w/a"), "old\n").expect("written");
    let write = json!({"file_path": client.file("a"), "content": "new\n"});
    assert_eq!(client.hook("PreToolUse", "Write", &write, "t1").status.code(), Some(0));
    assert_eq!(place.json(&["runs", "--json"], 0)["runs"][0]["state"], "allowed");
    // It has not begun yet: another call of the same session must not give it up.
    let other = json!({"file_path": client.file("b"), "content": "b\n"});
    client.tool("Write", &other, "t2", |p| fs::write(p.at("w/b"), "b\n").expect("written"));
    fs::write(place.at("w/a"), "new\n").expect("written");
    // What a command does then is not the tool's.
    client.shell("echo more >> a", 0);
    place.say(&["undo", "@last"], 0);
    assert_eq!(place.read("a"), "new\n");
    place.say(&["undo", "--session", "s-1"], 0);
    assert_eq!(place.read("a"), "old\n");
    assert!(!place.at("w/b").exists());
    place.say(&["audit", "verify"], 0);
}

#[test]
fn an_edit_that_needs_a_person_is_held_and_a_person_can_let_it_through() {
    let client = Client::new();
    let place = &client.place;
    // What a person's next commit would run.
    let hook = place.at("w/.git/hooks/pre-commit");
    let made = Command::new("git").args(["init", "-q"]).current_dir(place.at("w")).status().expect("git");
    assert!(made.success());
    fs::create_dir_all(place.at("w/.git/hooks")).expect("made");
    fs::write(&hook, "#!/bin/sh\nmake check\n").expect("written");
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).expect("ours");
    let edit = json!({"file_path": client.file(".git/hooks/pre-commit"), "old_string": "make", "new_string": "curl"});
    let said = client.hook("PreToolUse", "Edit", &edit, "t1");
    let told = text(&said);
    assert_eq!(said.status.code(), Some(2), "{told}");
    assert!(said.stdout.is_empty(), "{told}");
    let id = &place.ids()[0];
    for part in ["held", id, "nothing was written", "don't repeat the edit", "pre-commit"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert_eq!(place.read(".git/hooks/pre-commit"), "#!/bin/sh\nmake check\n");
    place.say(&["commit", id], 0);
    assert_eq!(place.read(".git/hooks/pre-commit"), "#!/bin/sh\ncurl check\n");
    place.say(&["undo", id], 0);
    assert_eq!(place.read(".git/hooks/pre-commit"), "#!/bin/sh\nmake check\n");
}

#[test]
fn a_person_s_later_work_is_not_overwritten() {
    let client = Client::new();
    let place = &client.place;
    fs::write(place.at("w/a"), "old\n").expect("written");
    let write = json!({"file_path": client.file("a"), "content": "new\n"});
    client.tool("Write", &write, "t1", |p| fs::write(p.at("w/a"), "new\n").expect("written"));
    fs::write(place.at("w/a"), "a person's\n").expect("written");
    place.say(&["undo", "@last"], 74);
    assert_eq!(place.read("a"), "a person's\n");
}

#[test]
fn what_cannot_be_told_is_stopped_and_says_what_to_do() {
    let client = Client::new();
    let place = &client.place;
    fs::write(place.at("w/a"), "old\n").expect("written");
    fs::File::create(place.at("w/big")).and_then(|f| f.set_len((64 << 20) + 1)).expect("a big file");
    for (tool, input, part) in [
        (
            "Edit",
            json!({"file_path": client.file("a"), "old_string": "none", "new_string": "x"}),
            "not there to the letter",
        ),
        ("NotebookEdit", json!({"notebook_path": client.file("n.ipynb"), "new_source": "x"}), "use a shell command"),
        ("Edit", json!({"file_path": client.file("big"), "old_string": "a", "new_string": "b"}), "bigger than 64 MiB"),
        ("Write", json!({"file_path": client.file(""), "content": "x"}), "is no file"),
    ] {
        let said = client.hook("PreToolUse", tool, &input, "t1");
        assert_eq!((said.status.code(), said.stdout.len()), (Some(2), 0), "{tool} {input}");
        assert!(text(&said).contains(part), "{tool}: {}", text(&said));
    }
    assert_eq!(place.read("a"), "old\n");
    place.say(&["runs"], 0);
    assert!(place.ids().is_empty());
}

#[test]
fn an_edit_waits_for_no_build() {
    let client = Client::new();
    let place = &client.place;
    fs::write(place.at("w/a"), "old\n").expect("written");
    let mut build = place.command(&["run", "-c", "touch built; sleep 4"]).spawn().expect("starts");
    // Its turn has begun when its record is there.
    until("it has begun", || !place.ids().is_empty());
    let write = json!({"file_path": client.file("a"), "content": "new\n"});
    client.tool("Write", &write, "t1", |p| fs::write(p.at("w/a"), "new\n").expect("written"));
    assert!(build.try_wait().expect("known").is_none(), "the build goes on");
    assert_eq!(build.wait().expect("ends").code(), Some(0));
    assert!(place.at("w/built").exists());
}

#[test]
fn an_agent_takes_back_its_own_session_s_runs_only() {
    let client = Client::new();
    let place = &client.place;
    client.shell("echo mine >mine", 0);
    place.say(&["run", "--session", "other", "-c", "echo theirs >theirs"], 0);
    let theirs = place.ids()[0].clone();
    for line in ["backstop undo @last", "backstop undo --session other", &format!("backstop discard {theirs}")] {
        client.shell(line, 77);
    }
    assert_eq!(place.read("theirs"), "theirs\n");
    client.shell("backstop undo --last 1", 0);
    assert!(!place.at("w/mine").exists() && place.at("w/theirs").exists());
}

#[test]
fn nothing_that_goes_wrong_is_a_consent() {
    let client = Client::new();
    let place = &client.place;
    let write = json!({"file_path": client.file("a"), "content": "new\n"});
    // The state directory can't be written.
    fs::create_dir_all(place.at("state")).expect("made");
    fs::write(place.at("state/backstop"), "in the way").expect("written");
    let said = client.hook("PreToolUse", "Write", &write, "t1");
    assert_eq!((said.status.code(), said.stdout.len()), (Some(2), 0));
    assert!(text(&said).contains("nothing was run"), "{}", text(&said));
    // Standard input that never ends.
    let begun = Instant::now();
    let mut waits = place.command(&["hook", "codex"]).stdin(Stdio::piped()).spawn().expect("starts");
    let _open = waits.stdin.take();
    assert_eq!(waits.wait().expect("ends").code(), Some(2));
    assert!(begun.elapsed() < Duration::from_secs(10));
    // Nobody reads the answer.
    let payload = json!({"hook_event_name": "PreToolUse", "tool_name": "Bash", "tool_input": {"command": "ls"}});
    let file = place.at("payload");
    fs::write(&file, payload.to_string()).expect("written");
    let full = fs::File::options().write(true).open("/dev/full").expect("a full device");
    let deaf = place
        .command(&["hook", "claude"])
        .stdin(fs::File::open(&file).expect("there"))
        .stdout(full)
        .output()
        .expect("ends");
    assert_eq!(deaf.status.code(), Some(2), "{}", text(&deaf));
    let unknown = place.fed(&["hook", "nobody"], b"{}");
    assert_eq!((unknown.status.code(), unknown.stdout.len()), (Some(2), 0));
}

#[test]
fn what_a_client_has_in_its_environment_appears_nowhere() {
    const KEY: &str = "sk-made-up-0123456789abcdef";
    let client = Client::new();
    let place = &client.place;
    fs::write(place.at("w/a"), "old\n").expect("written");
    let payload = json!({
        "session_id": "s-1", "cwd": place.at("w"), "hook_event_name": "PreToolUse", "tool_name": "Write",
        "tool_input": {"file_path": client.file("a"), "content": "new\n"}, "tool_use_id": "t1",
    });
    fs::write(place.at("payload"), payload.to_string()).expect("written");
    let said = place
        .command(&["hook", "claude"])
        .env("ANTHROPIC_API_KEY", KEY)
        .stdin(fs::File::open(place.at("payload")).expect("there"))
        .output()
        .expect("ends");
    assert_eq!(said.status.code(), Some(0), "{}", text(&said));
    let found = Command::new("grep").args(["-rl", KEY]).arg(place.at("state")).output().expect("grep");
    assert_eq!((found.status.code(), text(&found).as_str()), (Some(1), ""), "{}", text(&said));
}

#[test]
fn at_the_end_of_a_session_a_person_is_told_what_came_of_it() {
    let client = Client::new();
    let end = |client: &Client, code: i32| {
        let payload = json!({"session_id": "s-1", "cwd": client.place.at("w"), "hook_event_name": "SessionEnd"});
        let said = client.place.fed(&["hook", "claude"], payload.to_string().as_bytes());
        assert_eq!(said.status.code(), Some(code), "{}", text(&said));
        text(&said)
    };
    assert_eq!(end(&client, 0), "", "of nothing there is nothing to say");
    client.shell("echo a > a", 0);
    client.shell("ls", 0);
    let said: Value = serde_json::from_str(&end(&client, 0)).expect("JSON");
    let said = said["systemMessage"].as_str().expect("a message");
    assert!(said.starts_with("Backstop: 2 commands and edits in this session: 1 took effect, 1 changed"), "{said}");
    client.shell("touch /var/tmp/../../etc/backstop-test", 75);
    // What waits for a person has to be seen: the client shows a hook's error alone.
    let said = end(&client, 2);
    let held = client.place.ids()[0].clone();
    assert!(said.contains("3 commands and edits in this session: 1 took effect, 1 changed nothing, 1 held"), "{said}");
    assert!(said.contains(&format!("held {held}: touch")), "{said}");
    assert!(said.trim_end().ends_with("take all of it back: backstop undo --session s-1"), "{said}");
    assert!(!std::path::Path::new("/etc/backstop-test").exists());
}

#[test]
fn what_goes_on_in_the_background_is_told_that_undo_does_not_cover_it() {
    let client = Client::new();
    let input = json!({"command": "echo up > up; cd /tmp", "run_in_background": true});
    let said = client.hook("PreToolUse", "Bash", &input, "toolu_bg");
    let answer: Value = serde_json::from_slice(&said.stdout).expect("JSON");
    let input = &answer["hookSpecificOutput"]["updatedInput"];
    assert_eq!(input["run_in_background"], true);
    let line = input["command"].as_str().expect("a command");
    let environment = client.place.command(&[]);
    let mut shell = Command::new("bash");
    shell.args(["-c", line]).current_dir(client.place.at("w")).env_clear().stdin(Stdio::null());
    shell.envs(environment.get_envs().filter_map(|(k, v)| Some((k, v?))));
    let output = shell.output().expect("bash");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert!(text(&output).contains("undo does not cover"), "{}", text(&output));
    assert_eq!(client.place.json(&["runs", "--json"], 0)["runs"][0]["state"], "in-place");
    assert_eq!(client.place.read("up"), "up\n");
}

#[test]
fn functions_and_aliases_of_the_client_s_shell_are_there() {
    let client = Client::new();
    let settings = "shopt -s expand_aliases; greet() { echo \"hi $1\"; }; alias again='greet again'; alias ls='ls -d'";
    for (line, out) in [
        ("greet you; again", "hi you\nhi again\n"),
        ("ls .; again | cat", ".\nhi again\n"),
        ("cd /tmp && again", "hi again\n"),
        ("greet a >a; cat a", "hi a\n"),
    ] {
        assert_eq!(client.shell_with(settings, line, 0).0, out, "{line}");
    }
    // What they do is rehearsed like all else, and the record has the line alone.
    client.shell_with("stray() { touch /etc/backstop-test; }", "stray", 75);
    assert!(!std::path::Path::new("/etc/backstop-test").exists());
    let run = &client.place.json(&["runs", "--json"], 0)["runs"][0];
    assert_eq!(run["request"]["command"]["line"], "stray");
}
