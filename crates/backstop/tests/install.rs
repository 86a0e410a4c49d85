//! `backstop install` and `uninstall` as people say them, and the proof as `doctor` repeats it.

mod place;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use place::{Place, text};
use serde_json::Value;

const AGENTS: [&str; 14] = [
    "amp", "claude", "cline", "codex", "copilot", "cursor", "droid", "gemini", "goose", "kiro", "opencode", "pi",
    "qwen", "windsurf",
];

/// What is said, with the places of this test and of the program made plain.
fn plain(place: &Place, said: &str) -> String {
    let program = env!("CARGO_BIN_EXE_backstop");
    let beside = program.rsplit_once('/').map_or(program, |(dir, _)| dir);
    said.replace(program, "$BACKSTOP")
        .replace(beside, "$BESIDE")
        .replace(place.at("").to_str().expect("UTF-8").trim_end_matches('/'), "$DIR")
}

fn write(place: &Place, path: &str, text: &str) {
    fs::create_dir_all(place.at(path).parent().expect("a parent")).expect("made");
    fs::write(place.at(path), text).expect("written");
}

fn read(place: &Place, path: &str) -> String {
    fs::read_to_string(place.at(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

#[test]
fn an_installation_is_shown_first_then_done_then_taken_back() {
    let place = Place::new();
    let old = "{\n  \"model\": \"opus\"\n}\n";
    write(&place, "home/.claude/settings.json", old);
    insta::assert_snapshot!(plain(&place, &place.say(&["install", "claude", "--dry-run"], 0)), @r#"
    claude
      change   $DIR/home/.claude/settings.json
    --- $DIR/home/.claude/settings.json
    +++ $DIR/home/.claude/settings.json
    @@ -1,3 +1,52 @@
     {
    -  "model": "opus"
    +  "model": "opus",
    +  "hooks": {
    +    "PreToolUse": [
    +      {
    +        "matcher": "*",
    +        "hooks": [
    +          {
    +            "type": "command",
    +            "command": "$BACKSTOP hook claude || exit 2",
    +            "timeout": 30,
    +            "onFailure": "block"
    +          }
    +        ]
    +      }
    +    ],
    +    "PostToolUse": [
    +      {
    +        "matcher": "Write|Edit|MultiEdit|NotebookEdit",
    +        "hooks": [
    +          {
    +            "type": "command",
    +            "command": "$BACKSTOP hook claude || exit 2",
    +            "timeout": 30
    +          }
    +        ]
    +      }
    +    ],
    +    "SessionStart": [
    +      {
    +        "hooks": [
    +          {
    +            "type": "command",
    +            "command": "$BACKSTOP hook claude || exit 2",
    +            "timeout": 30
    +          }
    +        ]
    +      }
    +    ],
    +    "SessionEnd": [
    +      {
    +        "hooks": [
    +          {
    +            "type": "command",
    +            "command": "$BACKSTOP hook claude || exit 2",
    +            "timeout": 30
    +          }
    +        ]
    +      }
    +    ]
    +  }
     }
    "#);
    assert_eq!(read(&place, "home/.claude/settings.json"), old);
    insta::assert_snapshot!(plain(&place, &place.say(&["install", "claude"], 0)), @r#"
    claude
      changed  $DIR/home/.claude/settings.json
      proven   the hook stops what it must, and lets go on what only reads
      hole     `claude --bare` and `--settings '{"disableAllHooks":true}'` leave a user's hooks out
      hole     a project's own hooks run beside ours, and may give the tool another input
               -> sudo backstop install --system closes it
      hole     versions before 2.1.295 don't know `onFailure`: a hook past its time is taken for consent
               -> update the client, and look at `backstop runs` now and then
      hole     text that is no answer, with exit code 0, is taken for consent
               -> run the whole agent in a sandbox; Backstop's own comes with a later version
    "#);
    let installed = read(&place, "home/.claude/settings.json");
    insta::assert_snapshot!(plain(&place, &installed), @r#"
    {
      "model": "opus",
      "hooks": {
        "PreToolUse": [
          {
            "matcher": "*",
            "hooks": [
              {
                "type": "command",
                "command": "$BACKSTOP hook claude || exit 2",
                "timeout": 30,
                "onFailure": "block"
              }
            ]
          }
        ],
        "PostToolUse": [
          {
            "matcher": "Write|Edit|MultiEdit|NotebookEdit",
            "hooks": [
              {
                "type": "command",
                "command": "$BACKSTOP hook claude || exit 2",
                "timeout": 30
              }
            ]
          }
        ],
        "SessionStart": [
          {
            "hooks": [
              {
                "type": "command",
                "command": "$BACKSTOP hook claude || exit 2",
                "timeout": 30
              }
            ]
          }
        ],
        "SessionEnd": [
          {
            "hooks": [
              {
                "type": "command",
                "command": "$BACKSTOP hook claude || exit 2",
                "timeout": 30
              }
            ]
          }
        ]
      }
    }
    "#);
    insta::assert_snapshot!(plain(&place, &place.say(&["uninstall", "claude", "--dry-run"], 0)), @r#"
    claude
      restore  $DIR/home/.claude/settings.json, the bytes from before
    --- $DIR/home/.claude/settings.json
    +++ $DIR/home/.claude/settings.json
    @@ -1,52 +1,3 @@
     {
    -  "model": "opus",
    -  "hooks": {
    -    "PreToolUse": [
    -      {
    -        "matcher": "*",
    -        "hooks": [
    -          {
    -            "type": "command",
    -            "command": "$BACKSTOP hook claude || exit 2",
    -            "timeout": 30,
    -            "onFailure": "block"
    -          }
    -        ]
    -      }
    -    ],
    -    "PostToolUse": [
    -      {
    -        "matcher": "Write|Edit|MultiEdit|NotebookEdit",
    -        "hooks": [
    -          {
    -            "type": "command",
    -            "command": "$BACKSTOP hook claude || exit 2",
    -            "timeout": 30
    -          }
    -        ]
    -      }
    -    ],
    -    "SessionStart": [
    -      {
    -        "hooks": [
    -          {
    -            "type": "command",
    -            "command": "$BACKSTOP hook claude || exit 2",
    -            "timeout": 30
    -          }
    -        ]
    -      }
    -    ],
    -    "SessionEnd": [
    -      {
    -        "hooks": [
    -          {
    -            "type": "command",
    -            "command": "$BACKSTOP hook claude || exit 2",
    -            "timeout": 30
    -          }
    -        ]
    -      }
    -    ]
    -  }
    +  "model": "opus"
     }
    "#);
    assert_eq!(read(&place, "home/.claude/settings.json"), installed);
    insta::assert_snapshot!(plain(&place, &place.say(&["uninstall", "claude"], 0)), @r#"
    claude
      restored $DIR/home/.claude/settings.json, the bytes from before
    "#);
    assert_eq!(read(&place, "home/.claude/settings.json"), old);
    insta::assert_snapshot!(plain(&place, &place.say(&["uninstall", "claude"], 0)), @r#"
    claude
      absent   no hook of Backstop's is there
    "#);
}

#[test]
fn every_agent_is_installed_proven_and_taken_out() {
    let place = Place::new();
    let installed = place.json(&["install", "--all", "--json"], 1);
    let agents = installed["agents"].as_array().expect("agents");
    let names: Vec<&str> = agents.iter().filter_map(|a| a["agent"].as_str()).collect();
    assert_eq!(names, AGENTS);
    for agent in agents {
        // A person has to trust it first, which is not to be taken for proven.
        let waits = agent["agent"] == "codex";
        assert_eq!(agent["proof"]["ok"], !waits, "{agent:#}");
        assert!(!agent["holes"].as_array().expect("holes").is_empty(), "{agent:#}");
    }
    let again = place.json(&["install", "--all", "--json"], 1);
    for file in again["agents"].as_array().expect("agents").iter().flat_map(|a| a["files"].as_array().expect("files")) {
        assert_eq!(file["act"], "same", "{file}");
    }
    let doctor = place.output(&["doctor", "--json"]);
    let doctor: Value = serde_json::from_slice(&doctor.stdout).unwrap_or_else(|e| panic!("{e}: {}", text(&doctor)));
    let proven: Vec<&str> =
        doctor["agents"].as_array().expect("agents").iter().filter_map(|a| a["agent"].as_str()).collect();
    assert_eq!(proven, AGENTS);
    place.json(&["uninstall", "--all", "--json"], 0);
    let left: Vec<_> = fs::read_dir(place.at("home")).expect("home").collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn the_machines_own_places_are_used() {
    let place = Place::new();
    fs::create_dir(place.at("image")).expect("made");
    let image = place.at("image");
    let root = image.to_str().expect("UTF-8");
    let output = place.output(&["install", "--all", "--system", "--root", root, "--json"]);
    let said: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}", text(&output)));
    for agent in said["agents"].as_array().expect("agents") {
        assert_eq!(agent["failed"], Value::Null, "{agent:#}");
        // The program of a test is root's alone only where root builds.
        let wrong = agent["proof"]["wrong"].as_array().expect("a list");
        assert!(wrong.iter().all(|w| w.as_str().is_some_and(|w| w.contains("others than root"))), "{agent:#}");
    }
    for file in [
        "etc/claude-code/managed-settings.json",
        "etc/codex/requirements.toml",
        "etc/gemini-cli/settings.json",
        "etc/qwen-code/settings.json",
        "etc/github-copilot/policy.d/backstop.json",
        "etc/cursor/hooks.json",
        "etc/windsurf/hooks.json",
        "etc/ampcode/managed-settings.json",
    ] {
        let mode = fs::metadata(image.join(file)).unwrap_or_else(|e| panic!("{file}: {e}")).permissions().mode();
        assert_eq!(mode & 0o777, 0o644, "{file}");
    }
    insta::assert_snapshot!(plain(&place, &read(&place, "image/etc/codex/requirements.toml")), @r#"
    allow_managed_hooks_only = true

    [features]
    hooks = true

    [hooks]
    managed_dir = "$BESIDE"

    [[hooks.PreToolUse]]
    matcher = ".*"

    [[hooks.PreToolUse.hooks]]
    type = "command"
    command = "$BACKSTOP hook codex || exit 2"
    timeout = 30

    [[hooks.PostToolUse]]
    matcher = "apply_patch"

    [[hooks.PostToolUse.hooks]]
    type = "command"
    command = "$BACKSTOP hook codex || exit 2"
    timeout = 30

    [[hooks.SessionStart]]

    [[hooks.SessionStart.hooks]]
    type = "command"
    command = "$BACKSTOP hook codex || exit 2"
    timeout = 30

    [[hooks.SessionEnd]]

    [[hooks.SessionEnd.hooks]]
    type = "command"
    command = "$BACKSTOP hook codex || exit 2"
    timeout = 30
    "#);
    let said = place.say(&["install", "pi", "--system", "--root", root], 2);
    assert!(said.contains("pi has no place for hooks of the whole machine"), "{said}");
    place.say(&["uninstall", "--all", "--system", "--root", root], 0);
    assert_eq!(fs::read_dir(&image).expect("image").count(), 0);
}

#[test]
fn a_codex_hook_is_proven_once_it_is_trusted() {
    let place = Place::new();
    let said = place.say(&["install", "codex"], 1);
    assert!(said.contains("Codex does not call it yet: type /hooks in Codex"), "{said}");
    let file = place.at("home/.codex/hooks.json").display().to_string();
    let trust = format!("[hooks.state.\"{file}:pre_tool_use:0:0\"]\ntrusted_hash = \"sha256:00\"\n");
    write(&place, "home/.codex/config.toml", &trust);
    place.say(&["install", "codex"], 0);
    write(&place, "home/.codex/config.toml", &format!("{trust}[features]\nhooks = false\n"));
    let said = place.say(&["install", "codex"], 1);
    assert!(said.contains("`features.hooks` is false, so no hook is called"), "{said}");
}

#[test]
fn only_agents_that_are_there_are_found() {
    let place = Place::new();
    let said = place.output(&["install", "--detect"]);
    assert_eq!(said.status.code(), Some(2), "{}", text(&said));
    fs::create_dir(place.at("home/.gemini")).expect("made");
    fs::create_dir(place.at("home/.codex")).expect("made");
    let found = place.json(&["install", "--detect", "--json"], 1);
    let names: Vec<&str> =
        found["agents"].as_array().expect("agents").iter().filter_map(|a| a["agent"].as_str()).collect();
    assert_eq!(names, ["codex", "gemini"]);
}

#[test]
fn what_cant_be_read_is_named_and_stops_no_other() {
    let place = Place::new();
    write(&place, "home/.claude/settings.json", "{\n  \"model\": opus\n}\n");
    insta::assert_snapshot!(plain(&place, &place.say(&["install", "claude", "copilot"], 125)), @r#"
    copilot
      made     $DIR/home/.copilot/hooks/backstop.json
      proven   the hook stops what it must, and lets go on what only reads
      hole     `disableAllHooks` in the settings leaves a user's hooks out
               -> sudo backstop install --system closes it
      hole     a hook past its time (30 s) is taken for consent, the policy's too
               -> run the whole agent in a sandbox; Backstop's own comes with a later version
      hole     hooks may be missed by background agents, and are ignored by some editors
               -> update the client, and look at `backstop runs` now and then
    backstop: $DIR/home/.claude/settings.json: line 2, column 12: unexpected word
      rule     when Backstop fails, nothing is changed
      next     mend it there, then say it again; nothing was written
    "#);
    assert!(place.at("home/.copilot/hooks/backstop.json").exists());
}

#[test]
fn a_hook_that_is_switched_off_or_replaced_is_not_proven() {
    let place = Place::new();
    write(&place, "home/.claude/settings.json", "{\"disableAllHooks\": true}\n");
    let said = place.say(&["install", "claude"], 1);
    assert!(said.contains("`disableAllHooks` is true, so no hook is called"), "{said}");
    // Another program in the place of ours that lets everything through.
    let fake = place.at("bin/backstop");
    write(&place, "bin/backstop", "#!/bin/sh\ncat > /dev/null\n");
    fs::set_permissions(&fake, fs::Permissions::from_mode(0o755)).expect("ours");
    let real = read(&place, "home/.claude/settings.json").replace("\"disableAllHooks\": true,", "");
    let faked = real.replace(env!("CARGO_BIN_EXE_backstop"), fake.to_str().expect("UTF-8"));
    write(&place, "home/.claude/settings.json", &faked);
    let doctor = place.output(&["doctor", "--json"]);
    assert_eq!(doctor.status.code(), Some(1), "{}", text(&doctor));
    let found: Value = serde_json::from_slice(&doctor.stdout).expect("JSON");
    assert_eq!(found["agents"][0]["proof"]["ok"], false, "{found:#}");
    // Installed anew, it is this program again.
    place.say(&["install", "claude"], 0);
    assert!(
        !read(&place, "home/.claude/settings.json").contains("bin/backstop hook claude || exit 2\"") || {
            read(&place, "home/.claude/settings.json").contains(env!("CARGO_BIN_EXE_backstop"))
        }
    );
}

#[test]
fn people_only_inside_a_run() {
    let place = Place::new();
    for verb in ["install", "uninstall"] {
        let output = place.output(&["run", "--", env!("CARGO_BIN_EXE_backstop"), verb, "claude"]);
        let said = text(&output);
        if said.contains("can't be rehearsed here") {
            return;
        }
        assert!(said.contains(&format!("refused: `{verb}` inside a run")), "{said}");
        assert!(!place.at("home/.claude").exists());
    }
}

/// Runs an adapter under node with a program in Backstop's place that answers as told.
fn adapter(place: &Place, source: &str, script: &str, answer: &str) -> Option<String> {
    let program = place.at("bin/backstop");
    write(place, "bin/backstop", &format!("#!/bin/sh\ncat > {}\n{answer}\n", place.at("asked").display()));
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("ours");
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../integrations/").to_owned() + source)
        .expect("the adapter")
        .replace("@BACKSTOP@", program.to_str().expect("UTF-8"));
    write(place, "adapter.mjs", &text);
    write(place, "test.mjs", script);
    let output = Command::new("node").arg(place.at("test.mjs")).current_dir(place.at("w")).output().ok()?;
    Some(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).trim().to_owned())
}

const OPENCODE: &str = r#"
import { Backstop } from "./adapter.mjs"
const hooks = await Backstop({ directory: "/w" })
const output = { args: { command: "ls", description: "d" } }
try {
  await hooks["tool.execute.before"]({ tool: "bash", sessionID: "s", callID: "c" }, output)
  console.log("runs " + JSON.stringify(output.args))
} catch (e) { console.log("stopped: " + e.message) }
"#;

const PI: &str = r#"
import extension from "./adapter.mjs"
const on = {}
extension({ on: (name, f) => { on[name] = f } })
const event = { toolName: "bash", toolCallId: "c", input: { command: "ls", description: "d" } }
const answer = await on.tool_call(event, { cwd: "/w" })
console.log(answer?.block ? "stopped: " + answer.reason : "runs " + JSON.stringify(event.input))
"#;

#[test]
fn adapters_do_what_is_answered_and_stop_on_anything_else() {
    let place = Place::new();
    for (source, script) in [("opencode/backstop.js", OPENCODE), ("pi/backstop.ts", PI)] {
        for (answer, expected) in [
            ("echo '{\"pass\":true}'", "runs {\"command\":\"ls\",\"description\":\"d\"}"),
            ("echo '{\"args\":{\"command\":\"other\"}}'", "runs {\"command\":\"other\"}"),
            ("echo '{\"deny\":\"no\"}'", "stopped: no"),
            ("echo '{\"deny\":\"\"}'", "stopped: stopped by Backstop"),
            ("echo '{}'", "stopped: Backstop's answer is not known"),
            ("echo '{\"pass\":false}'", "stopped: Backstop's answer is not known"),
            ("echo '{\"pass\":true,\"args\":{}}'", "stopped: Backstop's answer is not known"),
            ("echo '{\"args\":[]}'", "stopped: Backstop's answer is not known"),
            ("echo '{\"args\":null}'", "stopped: Backstop's answer is not known"),
            ("echo 'true'", "stopped: Backstop's answer is not known"),
            ("echo 'null'", "stopped: Backstop's answer is not known"),
            ("echo 'garbage'", "stopped: Backstop's answer can't be read"),
            ("true", "stopped: Backstop's answer can't be read"),
            ("echo '{\"pass\":true}'; exit 3", "stopped: Backstop did not answer, so nothing was run: exit code 3"),
            ("echo why >&2; exit 2", "stopped: Backstop did not answer, so nothing was run: why"),
            ("kill -9 $$", "stopped: Backstop did not answer, so nothing was run: SIGKILL"),
        ] {
            let Some(said) = adapter(&place, source, script, answer) else { return };
            assert!(said.starts_with(expected), "{source}: {answer}: {said}");
        }
        let asked: Value = serde_json::from_str(&read(&place, "asked")).expect("JSON");
        let mut expected = serde_json::json!({
            "event": "tool", "call": "c", "cwd": "/w", "tool": "bash", "args": {"command": "ls", "description": "d"},
        });
        if source.starts_with("opencode") {
            expected["session"] = Value::from("s");
        }
        assert_eq!(asked, expected, "{source}");
    }
}
