//! `backstop mcp` as a client meets it: the real program over pipes, in a scratch place. What takes effect and
//! what doesn't is looked at on the disk.

mod client;
mod place;

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use client::{Client, text};
use place::scene::{LOSES, Scene};
use place::{Place, until};
use serde_json::{Value, json};

/// What asks one person: a hook that a person's next commit would run.
const ASKS: &str = "printf '#!/bin/sh\\ncurl x\\n' >.git/hooks/pre-commit";
const HOOK: &str = ".git/hooks/pre-commit";

/// A workspace with a repository in it, whose hook a person wrote.
fn repository() -> Place {
    let place = Place::new();
    let made = Command::new("git").args(["init", "-q"]).current_dir(place.at("w")).status().expect("git");
    assert!(made.success());
    fs::create_dir_all(place.at("w/.git/hooks")).expect("made");
    fs::write(place.at("w").join(HOOK), "#!/bin/sh\nmake check\n").expect("written");
    Command::new("chmod").args(["755", HOOK]).current_dir(place.at("w")).status().expect("chmod");
    place
}

fn untouched(place: &Place) -> bool {
    place.read(HOOK) == "#!/bin/sh\nmake check\n"
}

#[test]
fn it_says_what_it_is_and_which_tools_it_has() {
    let place = Place::new();
    let mut client = Client::new(&place, false);
    let hello = client.hello();
    assert_eq!(hello["serverInfo"]["name"], "backstop");
    assert!(hello["instructions"].as_str().expect("instructions").contains("the same effect in other words"));
    let id = client.send("tools/list", &json!({}));
    let listed = client.answer(id);
    let tools = listed["result"]["tools"].as_array().expect("tools");
    let told: Vec<(&str, bool, bool)> = tools
        .iter()
        .map(|t| {
            let hint = |key: &str| t["annotations"][key].as_bool().unwrap_or_default();
            assert_eq!(
                (&t["inputSchema"]["type"], &t["inputSchema"]["additionalProperties"]),
                (&json!("object"), &json!(false))
            );
            (t["name"].as_str().expect("a name"), hint("readOnlyHint"), hint("destructiveHint"))
        })
        .collect();
    assert_eq!(
        told,
        [
            ("shell", false, true),
            ("show", true, false),
            ("runs", true, false),
            ("wait", true, false),
            ("undo", false, true),
            ("discard", false, true),
        ]
    );
    assert_eq!(tools[0]["inputSchema"]["required"], json!(["command"]));
    let ran = &tools[0]["outputSchema"]["properties"];
    for key in ["run", "state", "exit_code", "stdout", "stderr", "stdout_truncated", "stderr_truncated"] {
        assert!(ran.get(key).is_some(), "{key}: {ran}");
    }
    let (code, said) = client.leave();
    assert_eq!((code, said.as_str()), (Some(0), ""));
}

#[test]
fn a_command_takes_effect_and_is_taken_back() {
    let place = Place::new();
    let mut client = Client::new(&place, false);
    let done = client.tool("shell", &json!({"command": "echo hi; echo oh >&2; echo x >made", "reason": "a try"}));
    assert_eq!((&done["isError"], &done["structuredContent"]["state"]), (&json!(false), &json!("committed")), "{done}");
    assert_eq!(
        (&done["structuredContent"]["stdout"], &done["structuredContent"]["exit_code"]),
        (&json!("hi\n"), &json!(0))
    );
    assert_eq!(done["structuredContent"]["stderr"], "oh\n");
    assert_eq!(place.read("made"), "x\n");
    let run = done["structuredContent"]["run"].as_str().expect("a run").to_owned();
    let request = &place.json(&["show", &run, "--json"], 0)["record"]["request"];
    assert_eq!((&request["asker"]["agent"], &request["reason"]), (&json!("test-client"), &json!("a try")));

    let again = client.shell("cat made; exit 3");
    assert_eq!((&again["isError"], &again["structuredContent"]["exit_code"]), (&json!(true), &json!(3)), "{again}");
    assert!(text(&again).contains("x\n"), "{again}");
    assert!(text(&client.tool("show", &json!({"run": run}))).contains("made"));
    assert!(text(&client.tool("runs", &json!({}))).contains(&run[2..]));
    assert_eq!(client.tool("wait", &json!({"run": run, "at_most_seconds": 5}))["isError"], false);

    let undone = client.tool("undo", &json!({"run": run}));
    assert_eq!(undone["isError"], false, "{undone}");
    assert!(!place.at("w/made").exists());
    for n in 1..3 {
        client.shell(&format!("echo {n} >made{n}"));
    }
    assert_eq!(client.tool("undo", &json!({"session": true}))["isError"], false);
    assert!(!place.at("w/made1").exists() && !place.at("w/made2").exists());
    place.say(&["audit", "verify"], 0);
}

#[test]
fn what_is_held_stays_held_without_a_client_that_asks() {
    let place = repository();
    let mut plain = Client::new(&place, false);
    let mut urls = Client::begin(&place, &["mcp"], &json!({"elicitation": {"url": {}}}), &[]);
    let mut off = Client::begin(&place, &["mcp", "--no-elicitation"], &json!({"elicitation": {"form": {}}}), &[]);
    for client in [&mut plain, &mut urls, &mut off] {
        let held = client.shell(ASKS);
        let run = held["structuredContent"]["run"].as_str().expect("a run").to_owned();
        assert_eq!((&held["isError"], &held["structuredContent"]["state"]), (&json!(true), &json!("held")), "{held}");
        assert_eq!(held["structuredContent"]["exit_code"], 75);
        assert!(text(&held).contains(&format!("held {run}")), "{held}");
        assert!(untouched(&place) && !client.is_asked());
        let waited = client.tool("wait", &json!({"run": run, "at_most_seconds": 1}));
        assert!(text(&waited).contains("held"), "{waited}");
        assert_eq!(client.tool("discard", &json!({"run": run}))["isError"], false);
        assert_eq!(place.json(&["show", &run, "--json"], 0)["record"]["state"], "discarded");
    }
}

#[test]
fn a_person_s_commit_through_the_client_takes_effect() {
    let place = repository();
    let mut client = Client::new(&place, true);
    let id = client.start_tool("shell", &json!({"command": ASKS, "reason": "to lint"}));
    let question = client.question();
    let message = question["params"]["message"].as_str().expect("a message");
    for part in ["asks r-", "curl x", "pre-commit", "rule", "to lint", "in the caller's words", "test-client"] {
        assert!(message.contains(part), "{part}: {message}");
    }
    let form = &question["params"]["requestedSchema"];
    assert_eq!(form["properties"]["decision"]["enum"], json!(["commit", "hold", "discard"]));
    assert_eq!((&form["required"], &form["properties"]["decision"]["default"]), (&json!(["decision"]), &json!("hold")));
    assert!(untouched(&place));
    client.reply(&question, &json!({"action": "accept", "content": {"decision": "commit"}}));
    let done = client.answer(id)["result"].take();
    assert_eq!((&done["isError"], &done["structuredContent"]["state"]), (&json!(false), &json!("committed")), "{done}");
    assert_eq!(done["structuredContent"]["exit_code"], 0);
    assert!(text(&done).contains("a person let it take effect"), "{done}");
    assert_eq!(place.read(HOOK), "#!/bin/sh\ncurl x\n");
    place.say(&["audit", "verify"], 0);
}

#[test]
fn nothing_but_an_accepted_commit_lets_anything_through() {
    for answer in [
        json!({"action": "decline"}),
        json!({"action": "cancel"}),
        json!({"action": "accept"}),
        json!({"action": "accept", "content": {"decision": "hold"}}),
        json!({"action": "accept", "content": {"decision": "yes"}}),
        json!({"action": "decline", "content": {"decision": "commit"}}),
        json!({"action": "accept", "content": "commit"}),
        json!({"decision": "commit"}),
        json!({}),
        json!("commit"),
    ] {
        // Asked for the same again and again in one place, an agent is banned.
        let place = repository();
        let mut client = Client::new(&place, true);
        let id = client.start_tool("shell", &json!({"command": ASKS}));
        let question = client.question();
        client.reply(&question, &answer);
        let held = client.answer(id)["result"].take();
        assert_eq!(
            (&held["isError"], &held["structuredContent"]["state"]),
            (&json!(true), &json!("held")),
            "{answer}: {held}"
        );
        assert!(untouched(&place), "{answer}");
    }
    let place = repository();
    let mut client = Client::new(&place, true);
    let id = client.start_tool("shell", &json!({"command": ASKS}));
    let question = client.question();
    client
        .line(&json!({"jsonrpc": "2.0", "id": question["id"], "error": {"code": -32600, "message": "no"}}).to_string());
    assert_eq!(client.answer(id)["result"]["structuredContent"]["state"], "held");

    let id = client.start_tool("shell", &json!({"command": ASKS}));
    let question = client.question();
    client.reply(&question, &json!({"action": "accept", "content": {"decision": "discard"}}));
    assert_eq!(client.answer(id)["result"]["structuredContent"]["state"], "discarded");
    assert!(untouched(&place));
}

#[test]
fn an_answer_to_an_older_state_of_the_disk_changes_nothing() {
    let place = repository();
    let mut client = Client::new(&place, true);
    let id = client.start_tool("shell", &json!({"command": ASKS}));
    let question = client.question();
    fs::write(place.at("w").join(HOOK), "a person's\n").expect("written");
    client.reply(&question, &json!({"action": "accept", "content": {"decision": "commit"}}));
    let said = client.answer(id)["result"].take();
    assert_eq!((&said["isError"], &said["structuredContent"]["state"]), (&json!(true), &json!("held")), "{said}");
    assert_eq!(place.read(HOOK), "a person's\n");
}

#[test]
fn what_two_people_are_asked_already_is_answered_with_the_run_they_are_asked_about() {
    let scene = Scene::new();
    let mut client = Client::new(&scene.place, false);
    let mut tries = |line: &str| {
        let done = client.tool("shell", &json!({"command": line}));
        let answer = done["structuredContent"].clone();
        assert_eq!((&answer["state"], &answer["exit_code"]), (&json!("held"), &json!(75)), "{done}");
        answer["run"].as_str().expect("a run").to_owned()
    };
    let first = tries(LOSES);
    assert_eq!(tries("rm -f -- pg/base/1; rmdir pg/base"), first);
    assert_eq!(scene.place.json(&["pending", "--json"], 0)["requests"].as_array().map(Vec::len), Some(1));
}

#[test]
fn what_is_denied_is_never_asked_about() {
    let place = Place::new();
    let mut client = Client::new(&place, true);
    let denied = client.shell(&format!("rm -rf {}", place.at("home").display()));
    let ran = &denied["structuredContent"];
    assert_eq!((&denied["isError"], &ran["state"], &ran["exit_code"]), (&json!(true), &json!("denied"), &json!(77)));
    assert!(text(&denied).contains("nobody can let it through"), "{denied}");
    assert!(!client.is_asked() && place.at("home").is_dir());
}

#[test]
fn in_production_people_decide_at_a_terminal() {
    let place = repository();
    place.say(&["run", "-c", ASKS], 75);
    assert!(place.say(&["show", "@last", "--question"], 0).contains("asks r-"));
    place.say(&["run", "--profile", "production", "-c", ASKS], 75);
    assert!(place.say(&["show", "@last", "--question"], 77).contains("people decide at a terminal"));
    place.say(&["run", "--hold", "-c", "echo x >made"], 75);
    assert!(place.say(&["show", "@last", "--question"], 77).contains("held on request"));
}

#[test]
fn runs_of_other_sessions_are_not_taken_back() {
    let place = Place::new();
    let mut client = Client::new(&place, false);
    let mut other = Client::new(&place, false);
    let theirs = other.shell("echo theirs >theirs")["structuredContent"]["run"].as_str().expect("a run").to_owned();
    for (tool, arguments) in [("undo", json!({"run": theirs})), ("discard", json!({"run": theirs}))] {
        let said = client.tool(tool, &arguments);
        assert_eq!(said["isError"], true, "{said}");
        assert!(text(&said).contains("another session"), "{said}");
    }
    client.shell("echo mine >mine");
    assert_eq!(client.tool("undo", &json!({"session": true}))["isError"], false);
    assert!(!place.at("w/mine").exists());
    assert_eq!(place.read("theirs"), "theirs\n");
    assert!(!text(&client.tool("runs", &json!({}))).contains(&theirs));
}

#[test]
fn people_s_verbs_are_refused_in_the_shell_and_no_argument_confirms() {
    let place = repository();
    let mut client = Client::new(&place, false);
    let held = client.shell(ASKS)["structuredContent"]["run"].as_str().expect("a run").to_owned();
    let program = env!("CARGO_BIN_EXE_backstop");
    for line in ["commit @last", &format!("commit {held}"), "retry @last", "run --yes -- true", "undo @last"] {
        let said = client.shell(&format!("{program} {line}"));
        assert_eq!(
            (&said["isError"], &said["structuredContent"]["exit_code"]),
            (&json!(true), &json!(77)),
            "{line}: {said}"
        );
    }
    for arguments in [
        json!({"command": ASKS, "decision": "commit"}),
        json!({"command": ASKS, "yes": true}),
        json!({"command": ASKS, "reason": "x", "confirm": "commit"}),
    ] {
        let said = client.tool("shell", &arguments);
        assert_eq!(said["isError"], true);
        assert!(text(&said).contains("nothing was run"), "{said}");
    }
    for run in ["@last", "--session=x", "r-", "r-x --all", "../x", ""] {
        let said = client.tool("discard", &json!({"run": run}));
        assert!(text(&said).contains("no id of a run"), "{run}: {said}");
    }
    assert!(untouched(&place));
    assert_eq!(place.json(&["show", &held, "--json"], 0)["record"]["state"], "held");
}

/// A command that nobody else runs here.
fn mark(seconds: u32) -> String {
    format!("sleep {seconds}.{}", std::process::id())
}

/// True while a process has `mark` on its command line.
fn runs(mark: &str) -> bool {
    let own = std::process::id().to_string();
    fs::read_dir("/proc").expect("proc").filter_map(Result::ok).any(|entry| {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        entry.file_name().to_str() != Some(own.as_str()) && String::from_utf8_lossy(&line).contains(mark)
    })
}

#[test]
fn time_that_is_up_ends_the_command_and_nothing_took_effect() {
    let place = Place::new();
    let mut client = Client::new(&place, false);
    let begun = Instant::now();
    let said = client
        .tool("shell", &json!({"command": format!("echo x >made; echo begun; {}", mark(7741)), "timeout_ms": 5_000}));
    assert!(begun.elapsed() < Duration::from_secs(60));
    assert_eq!((&said["isError"], &said["structuredContent"]["timed_out"]), (&json!(true), &json!(true)), "{said}");
    for part in ["begun", "its time was up", "nothing took effect"] {
        assert!(text(&said).contains(part), "{part}: {said}");
    }
    assert!(!place.at("w/made").exists() && !runs(&mark(7741)));
    assert_eq!(client.shell("echo on")["structuredContent"]["stdout"], "on\n");
}

#[test]
fn a_call_that_is_taken_back_ends_and_nothing_took_effect() {
    let place = Place::new();
    let mut client = Client::new(&place, false);
    let id = client.start_tool("shell", &json!({"command": format!("echo x >made; {}", mark(7742))}));
    until("it runs", || runs(&mark(7742)));
    client.tell("notifications/cancelled", &json!({"requestId": id, "reason": "enough"}));
    until("it has ended", || !runs(&mark(7742)));
    assert!(!place.at("w/made").exists());
    assert!(client.within(Duration::from_millis(300), |said| said["id"] == id).is_none());
    assert_eq!(client.shell("echo on")["structuredContent"]["stdout"], "on\n");
}

#[test]
fn a_question_of_a_call_that_is_taken_back_counts_no_more() {
    let place = repository();
    let mut client = Client::new(&place, true);
    let id = client.start_tool("shell", &json!({"command": ASKS}));
    let question = client.question();
    client.tell("notifications/cancelled", &json!({"requestId": id}));
    let closed = client.within(Duration::from_secs(10), |said| said["method"] == "notifications/cancelled");
    assert_eq!(closed.expect("the dialogue is closed")["params"]["requestId"], question["id"]);
    client.reply(&question, &json!({"action": "accept", "content": {"decision": "commit"}}));
    assert_eq!(client.shell("echo on")["structuredContent"]["stdout"], "on\n");
    assert!(untouched(&place));
}

#[test]
fn when_the_client_goes_so_does_what_it_runs() {
    let place = Place::new();
    let mut client = Client::new(&place, false);
    client.start_tool("shell", &json!({"command": format!("echo x >made; {}", mark(7743))}));
    until("it runs", || runs(&mark(7743)));
    let begun = Instant::now();
    let (code, said) = client.leave();
    assert_eq!(code, Some(0), "{said}");
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert!(!runs(&mark(7743)) && !place.at("w/made").exists());

    // The server is killed: what it had started ends along.
    let mut client = Client::new(&place, false);
    client.start_tool("shell", &json!({"command": format!("echo x >made; {}", mark(7744))}));
    until("it runs", || runs(&mark(7744)));
    Command::new("kill").args(["-9", &client.pid().to_string()]).status().expect("kill");
    until("it has ended", || !runs(&mark(7744)));
    assert!(!place.at("w/made").exists());
}

#[test]
fn progress_tells_the_latest_line() {
    let place = Place::new();
    let mut client = Client::new(&place, false);
    let id = client.start_tool("shell", &json!({"command": "printf '\\033[2Jone\\n'; sleep 3; echo two; sleep 3"}));
    let first = client.within(Duration::from_secs(20), |said| said["method"] == "notifications/progress");
    let first = first.expect("progress")["params"].take();
    assert_eq!(first["progressToken"], "p");
    let line = first["message"].as_str().expect("a line");
    assert!(line.ends_with("one") && !line.contains('\u{1b}'), "{first}");
    let second = client.within(Duration::from_secs(20), |said| said["method"] == "notifications/progress");
    let second = second.expect("progress")["params"].take();
    assert_eq!(second["message"], "two");
    assert!(second["progress"].as_f64() > first["progress"].as_f64());
    assert_eq!(client.answer(id)["result"]["isError"], false);
}

#[test]
fn long_output_is_bounded_and_says_so() {
    let place = Place::new();
    let mut client = Client::new(&place, false);
    let said = client.shell("echo first; seq 200000; printf '\\377'; echo last; echo err >&2");
    let ran = &said["structuredContent"];
    let out = ran["stdout"].as_str().expect("text");
    assert!(out.len() < 40_000 && out.starts_with("first\n1\n") && out.ends_with("last\n"), "{}", out.len());
    assert!(out.contains("bytes left out") && out.contains('\u{fffd}'));
    assert_eq!((&ran["stdout_truncated"], &ran["stderr_truncated"]), (&json!(true), &json!(false)));
    assert_eq!(said["isError"], false);
}

#[test]
fn what_makes_no_sense_is_a_clear_error_and_nothing_is_run() {
    let place = Place::new();
    fs::write(place.at("w/file"), "x").expect("written");
    std::os::unix::fs::symlink("../home", place.at("w/out")).expect("link");
    let mut client = Client::new(&place, false);
    for (arguments, part) in [
        (json!({}), "missing field `command`"),
        (json!({"command": 1}), "invalid type"),
        (json!({"command": " "}), "`command` is empty"),
        (json!({"command": "true\u{0}"}), "NUL"),
        (json!({"command": "true", "cwd": "w"}), "`cwd`"),
        (json!({"command": "true", "cwd": place.at("nowhere")}), "`cwd`"),
        (json!({"command": "true", "cwd": place.at("w/file")}), "`cwd`"),
        (json!({"command": "true", "cwd": place.at("home")}), "not in the place"),
        (json!({"command": "true", "cwd": place.at("w/out")}), "not in the place"),
        (json!({"command": "true", "timeout_ms": 0}), "`timeout_ms`"),
        (json!({"command": "true", "timeout_ms": -1}), "invalid value"),
    ] {
        let said = client.tool("shell", &arguments);
        assert_eq!(said["isError"], true, "{arguments}: {said}");
        assert!(text(&said).contains("nothing was run") && text(&said).contains(part), "{arguments}: {said}");
    }
    for (tool, arguments) in [
        ("undo", json!({})),
        ("undo", json!({"run": "r-1", "session": true})),
        ("runs", json!({"all": 1})),
        ("wait", json!({"run": "r-1", "at_most_seconds": 3601})),
    ] {
        assert_eq!(client.tool(tool, &arguments)["isError"], true, "{tool} {arguments}");
    }
    let id = client.start_tool("commit", &json!({"run": "r-1"}));
    let unknown = client.answer(id);
    assert!(unknown["error"]["message"].as_str().expect("an error").contains("no tool commit"), "{unknown}");
    // Bytes that are no request: the connection stays.
    client.line("{\"jsonrpc\": \"2.0\", \"id\": ");
    client.line("\u{fffd}garbage");
    let id = client.send("no/such", &json!({}));
    assert!(client.answer(id).get("error").is_some());
    assert!(place.ids().is_empty());
    let elsewhere = place.at("w/there");
    fs::create_dir(&elsewhere).expect("made");
    let said = client.tool("shell", &json!({"command": "pwd", "cwd": elsewhere}));
    assert_eq!(said["structuredContent"]["stdout"], format!("{}\n", elsewhere.display()));
    assert_eq!(place.json(&["runs", "--json"], 0)["runs"][0]["request"]["workspace"], json!(place.at("w")));
}

#[test]
fn a_client_that_does_not_begin_as_it_should_gets_nothing() {
    let place = Place::new();
    let mut client = Client::start(&place, &["mcp"], &[]);
    let id = client.start_tool("shell", &json!({"command": "echo x >made"}));
    let said = client.answer(id);
    assert!(said.get("error").is_some(), "{said}");
    client.leave();
    assert!(!place.at("w/made").exists() && place.ids().is_empty());
    // One that only knows later versions is told which ones there are.
    let mut client = Client::start(&place, &["mcp"], &[]);
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "x", "version": "1"},
    });
    let id = client.send("tools/list", &json!({"_meta": meta}));
    let said = client.answer(id);
    assert!(said["error"].to_string().contains("2025-11-25"), "{said}");
    assert_eq!(client.leave().0, Some(0));
}

#[test]
fn several_calls_at_once_keep_their_answers_apart() {
    let place = Place::new();
    let mut client = Client::new(&place, false);
    let ids: Vec<(u64, String)> = (0..6)
        .map(|n| {
            (client.start_tool("shell", &json!({"command": format!("echo {n} >f{n}; echo {n}")})), format!("{n}\n"))
        })
        .collect();
    let mut seen = Vec::new();
    for (id, expected) in ids.iter().rev() {
        let said = client.answer(*id)["result"].take();
        assert_eq!(said["structuredContent"]["stdout"], *expected, "{said}");
        seen.push(said["structuredContent"]["run"].as_str().expect("a run").to_owned());
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 6);
}

#[test]
fn inside_a_run_commands_pass_through() {
    let place = Place::new();
    let program = env!("CARGO_BIN_EXE_backstop");
    let hello =
        json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}});
    let call = |id: u32, name: &str, arguments: Value| json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": name, "arguments": arguments}});
    let lines = [
        json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}).to_string(),
        json!({"jsonrpc": "2.0", "method": "notifications/initialized"}).to_string(),
        call(2, "shell", json!({"command": "echo in >made; cat made; exit 4"})).to_string(),
        call(3, "runs", json!({})).to_string(),
    ];
    fs::write(place.at("w/said"), lines.join("\n") + "\n").expect("written");
    // The pipe stays open until both answers are there.
    let both = "until [ $(grep -c '\"id\":[23]' answers) = 2 ]; do sleep 0.1; done";
    let line = format!(
        "touch answers; {{ cat said; timeout 60 sh -c '{}'; }} | {program} mcp >answers",
        both.replace('\'', "'\\''")
    );
    place.say(&["run", "-c", &line], 0);
    let answers: Vec<Value> = place.read("answers").lines().map(|l| serde_json::from_str(l).expect("JSON")).collect();
    let of = |id: u32| &answers.iter().find(|a| a["id"] == id).expect("an answer")["result"];
    let ran = &of(2)["structuredContent"];
    assert_eq!((&ran["stdout"], &ran["exit_code"], &ran.get("run")), (&json!("in\n"), &json!(4), &None), "{ran}");
    assert!(text(of(3)).contains("can't see the records"), "{}", of(3));
    assert_eq!(place.read("made"), "in\n");
    place.say(&["undo", "@last"], 0);
    assert!(!place.at("w/made").exists());
}

#[test]
fn what_the_server_has_in_its_environment_appears_nowhere() {
    const KEY: &str = "sk-made-up-0123456789abcdef";
    let place = repository();
    let forms = json!({"elicitation": {"form": {}}});
    let mut client = Client::begin(&place, &["mcp"], &forms, &[("ANTHROPIC_API_KEY", KEY)]);
    let mut said = vec![client.shell("echo x >made"), client.shell("exit 3"), client.tool("runs", &json!({}))];
    let id = client.start_tool("shell", &json!({"command": ASKS}));
    let question = client.question();
    client.reply(&question, &json!({"action": "decline"}));
    said.extend([question, client.answer(id)]);
    let (code, errors) = client.leave();
    assert_eq!(code, Some(0));
    assert!(!errors.contains(KEY) && said.iter().all(|answer| !answer.to_string().contains(KEY)));
    let found = Command::new("grep").args(["-rl", KEY]).arg(place.at("state")).output().expect("grep");
    assert_eq!((found.status.code(), found.stdout.len()), (Some(1), 0));
}
