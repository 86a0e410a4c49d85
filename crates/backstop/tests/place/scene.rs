//! Two people with real keys, and OpenSSH's own `ssh-keygen`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::{Place, text};

/// What two people have to let go.
pub const LOSES: &str = "rm -rf pg/base";

/// What takes two people everywhere, whoever runs these tests.
pub const RULE: &str = r#"
@id("rows-need-two")
@reason("rows would be lost")
@next("ask for a copy")
forbid (principal, action == Action::"commit", resource)
when { context.losing.contains("database") }
unless { context.approvals.people >= 2 };
"#;

/// A workspace with a database, whose loss takes two people.
pub struct Scene {
    pub place: Place,
}

impl Scene {
    /// anna and ben may approve; the workspace has a database.
    pub fn new() -> Self {
        let scene = Self::unfounded();
        scene.say(&["people", "add", "anna", "--key", &scene.key("anna"), "--account", "60001"], 0);
        scene.say(&["people", "add", "ben", "--key", &scene.key("ben"), "--account", "60002"], 0);
        scene
    }

    pub fn unfounded() -> Self {
        let scene = Self { place: Place::new() };
        fs::create_dir(scene.place.at("keys")).expect("made");
        fs::create_dir_all(scene.place.at("w/pg/base")).expect("made");
        fs::write(scene.place.at("w/pg/PG_VERSION"), "15\n").expect("written");
        fs::write(scene.place.at("w/pg/base/1"), "rows\n").expect("written");
        fs::create_dir(scene.place.at("w/.backstop")).expect("made");
        fs::write(scene.place.at("w/.backstop/rows.cedar"), RULE).expect("written");
        scene
    }

    /// The key of somebody, made when it is first asked for.
    pub fn key(&self, name: &str) -> String {
        let path = self.place.at("keys").join(name);
        if !path.exists() {
            self.keygen(&["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", path.to_str().expect("UTF-8")]);
        }
        path.to_str().expect("UTF-8").to_owned()
    }

    pub fn keygen(&self, args: &[&str]) {
        let output = Command::new("ssh-keygen").args(args).stdin(Stdio::null()).output().expect("ssh-keygen");
        assert!(output.status.success(), "{args:?}: {}", text(&output));
    }

    pub fn say(&self, args: &[&str], code: i32) -> String {
        self.place.say(args, code)
    }

    /// A run that loses what two people have to let go.
    pub fn held(&self) -> String {
        self.say(&["run", "-c", LOSES], 75);
        self.place.ids().remove(0)
    }

    /// A statement in a file of its own, for `name`'s key.
    pub fn statement(&self, run: &str, name: &str, decision: &str) -> PathBuf {
        let public = format!("{}.pub", self.key(name));
        let output = self.place.output(&["show", run, "--statement", "--key", &public, "--decision", decision]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output));
        let path = self.place.at("keys").join(format!("{run}-{name}-{decision}"));
        fs::write(&path, &output.stdout).expect("written");
        path
    }

    /// Signs a file as OpenSSH does it; gives the signature's file.
    pub fn signed(&self, path: &Path, name: &str, namespace: &str) -> String {
        let path = path.to_str().expect("UTF-8");
        let signature = format!("{path}.sig");
        if fs::exists(&signature).expect("looked at") {
            fs::remove_file(&signature).expect("removed");
        }
        self.keygen(&["-q", "-Y", "sign", "-n", namespace, "-f", &self.key(name), path]);
        signature
    }

    /// What the decision of `name`, signed elsewhere, is answered with.
    pub fn decides(&self, verb: &str, run: &str, name: &str, code: i32) -> String {
        let decision = if verb == "approve" { "approve-once" } else { verb };
        let signature = self.signed(&self.statement(run, name, decision), name, "approval@backstop");
        self.say(&[verb, run, "--signature", &signature], code)
    }

    pub fn rows(&self) -> bool {
        self.place.at("w/pg/base/1").exists()
    }

    pub fn state(&self, run: &str) -> Value {
        self.place.json(&["show", run, "--json"], 0)["record"]["state"].clone()
    }

    pub fn entries(&self, name: &str) -> Vec<Value> {
        let log = self.say(&["log", "--json"], 0);
        let entries = log.lines().map(|l| serde_json::from_str::<Value>(l).expect("JSON"));
        entries.filter_map(|e| e["body"].get(name).cloned()).collect()
    }

    pub fn verified(&self) {
        let said = self.say(&["audit", "verify"], 0);
        assert_eq!(said.matches("holds").count(), 3, "{said}");
    }
}
