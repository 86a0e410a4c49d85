//! The cases of `corpus/hook/`: what each client hands its hook, and to the letter what it is answered. The
//! inputs are what real clients said, their paths shortened; Cursor's, Windsurf's, Kiro's, Droid's, Goose's
//! and Amp's are what their documentation says.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the corpus is files, and a shell is the judge of quotes"
)]

use std::fs;
use std::path::Path;

use backstop_core::hook::{Agent, Answer, Reply, judge, note, pass, quote, read, reply, stop};
use proptest::prelude::*;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    why: String,
    agent: String,
    input: String,
    reply: Expected,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    code: u8,
    #[serde(default)]
    out: String,
    #[serde(default)]
    err: String,
}

fn answered(agent: Agent, input: &[u8]) -> Reply {
    let call = match read(agent, input) {
        Ok(call) => call,
        Err(error) => return stop(agent, None, &error.to_string()),
    };
    match judge(&call, "/usr/bin/backstop") {
        Answer::Pass => pass(agent),
        Answer::Run(commands) => reply(&call, &commands),
        Answer::Deny(reason) => stop(agent, Some(&call), &reason),
        Answer::Note(text) => note(&call, &text),
        Answer::Edited(_) | Answer::Ended => pass(agent),
        Answer::Edit(_) => panic!("edits are judged by the engine"),
    }
}

fn cases() -> Vec<(String, Case)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../corpus/hook");
    let read = |path: &Path| {
        let name = path.file_stem().expect("a name").display().to_string();
        let text = fs::read_to_string(path).expect("a case");
        (name.clone(), toml::from_str(&text).unwrap_or_else(|e| panic!("{name}: {e}")))
    };
    fs::read_dir(dir).expect("the corpus").map(|entry| read(&entry.expect("an entry").path())).collect()
}

#[test]
fn every_client_is_answered_to_the_letter() {
    let mut seen = Vec::new();
    for (name, case) in cases() {
        assert!(!case.why.is_empty(), "{name}");
        let agent = Agent::parse(&case.agent).unwrap_or_else(|| panic!("{name}: no such agent"));
        let got = answered(agent, case.input.as_bytes());
        assert_eq!((got.code, got.err.trim_end()), (case.reply.code, case.reply.err.trim_end()), "{name}");
        let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
        assert_eq!(json(&got.out), json(&case.reply.out), "{name}: {}", got.out);
        assert_eq!(got.out.lines().count(), usize::from(!case.reply.out.is_empty()), "{name}: one object or nothing");
        seen.push(agent);
    }
    for agent in Agent::ALL {
        assert!(seen.contains(&agent), "{} has no case", agent.name());
    }
}

/// Every recorded input with one part of it missing, or of another type.
#[test]
fn an_input_that_is_otherwise_than_recorded_is_no_consent() {
    use serde_json::Value;
    let mut tried = 0;
    for (name, case) in cases() {
        let agent = Agent::parse(&case.agent).expect("known");
        let Ok(Value::Object(whole)) = serde_json::from_str(&case.input) else { continue };
        // What passes as it is has nothing to be stopped.
        if answered(agent, case.input.as_bytes()) == pass(agent) {
            continue;
        }
        for key in whole.keys() {
            for broken in [None, Some(Value::from(7)), Some(Value::Null), Some(Value::Array(Vec::new()))] {
                let mut input = whole.clone();
                match broken {
                    None => drop(input.remove(key)),
                    Some(value) => drop(input.insert(key.clone(), value)),
                }
                let got = answered(agent, Value::Object(input).to_string().as_bytes());
                assert_ne!(got, pass(agent), "{name} without {key}: {got:?}");
                tried += 1;
            }
        }
    }
    assert!(tried > 500, "{tried}");
}

proptest! {
    /// Whatever bytes a client hands over, the answer is the one that stops it.
    #[test]
    fn nothing_is_answered_with_a_consent_by_accident(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for agent in Agent::ALL {
            let got = answered(agent, &bytes);
            let error = read(agent, &bytes).expect_err("no call");
            prop_assert_eq!(got, stop(agent, None, &error.to_string()), "{}", agent.name());
        }
    }

    /// A shell gives back every text as it was.
    #[test]
    fn a_quoted_text_is_one_word(text in "[^\u{0}]{0,300}") {
        let script = backstop_core::shell::read(format!("x {}", quote(&text)).as_bytes());
        let argv = script.commands[0].argv().expect("literal");
        prop_assert_eq!(argv.len(), 2);
        prop_assert_eq!(argv[1].as_slice(), text.as_bytes());
    }
}

#[test]
fn a_shell_gives_back_what_was_quoted() {
    let long = "a'b\"c$d`e\\\n".repeat(10_000);
    for text in ["", "'", "''", "a'b", "\n", "$(x) `y` \\ \" !", "\t\u{7f}é", long.as_str()] {
        let script = tempfile::NamedTempFile::new().expect("a file");
        fs::write(script.path(), format!("printf %s {}", quote(text))).expect("written");
        let out = std::process::Command::new("sh").arg(script.path()).output().expect("sh");
        assert_eq!(out.stdout, text.as_bytes(), "{}", text.len());
    }
}
