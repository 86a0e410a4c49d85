//! One entry of the audit log, with what every form of it has in common: what it is called, how much it matters, who and
//! what it speaks of. A form makes fields of this; none of them reads the entry in a way of its own.

use backstop_core::audit::{Body, By, Entry, Severity};
use backstop_core::bytes::Bytes;
use backstop_core::digest::Digest;
use backstop_core::merkle;
use backstop_core::policy::Decision;
use backstop_core::request::Command;

/// An entry that is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The entry.
    pub entry: Entry,
    /// The machine's name in statements.
    pub host: String,
    /// The digest of its leaf in the log's tree, by which whoever has it knows it again.
    pub leaf: Digest,
    /// Its line, as it stands in the log.
    pub line: String,
    /// Which log: the name in its checkpoints.
    pub log: String,
}

/// Whether something came about that was wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It did.
    Success,
    /// It did not.
    Failure,
    /// That is not decided yet, or nothing was wanted.
    Unknown,
}

impl Outcome {
    /// Its name, which ECS has as well.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Unknown => "unknown",
        }
    }
}

/// What is known of it beyond its type. Texts are as they are in the log, with what is no UTF-8 replaced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The coding agent.
    pub agent: Option<String>,
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// The command on one line.
    pub command: Option<String>,
    /// Where it runs.
    pub cwd: Option<String>,
    /// What policy said.
    pub decision: Option<Decision>,
    /// How the command ended, as a shell says it.
    pub exit: Option<u8>,
    /// Entries and bytes that it would delete, create and change, or did.
    pub effect: Option<[(&'static str, u64); 6]>,
    /// The group that it runs with.
    pub gid: Option<u32>,
    /// Who asked, where that is another than whom it runs as.
    pub by: Option<u32>,
    /// A person by the name that he is enrolled with.
    pub person: Option<String>,
    /// A program that ran.
    pub program: Option<Started>,
    /// Why, in somebody's words.
    pub reason: Option<String>,
    /// The request for approval, by its code's digest.
    pub request: Option<Digest>,
    /// Rules that spoke.
    pub rules: Vec<String>,
    /// The run.
    pub run: Option<String>,
    /// The agent's session.
    pub session: Option<String>,
    /// The user.
    pub uid: Option<u32>,
    /// The agent's own place.
    pub workspace: Option<String>,
}

/// What is known of a program beyond its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Started {
    /// Its executable.
    pub executable: Option<String>,
    /// The process that it was started from.
    pub parent: u32,
    /// Its process.
    pub pid: u32,
    /// The SHA-256 of the executable, in hex digits.
    pub sha256: Option<String>,
}

impl Record {
    /// Reads a line of the log.
    ///
    /// # Errors
    /// One that is no entry, as a sentence fragment.
    pub fn read(line: String, log: &str, host: &str) -> Result<Self, String> {
        let entry = Entry::parse(line.as_bytes()).ok_or("the log has a line that is no entry")?;
        let leaf = merkle::leaf(line.as_bytes());
        Ok(Self { entry, host: host.to_owned(), leaf, line, log: log.to_owned() })
    }

    /// Its type.
    pub const fn kind(&self) -> &'static str {
        self.entry.body.name()
    }

    /// How much it matters.
    pub const fn severity(&self) -> Severity {
        self.entry.body.severity()
    }

    /// Its type and what it says, on one line.
    pub fn message(&self) -> String {
        let run = self.entry.body.run().map_or_else(String::new, |run| format!(" {run}"));
        let said = self.entry.body.in_words();
        let said = if said.is_empty() { said } else { format!(": {said}") };
        format!("{}{run}{said}", self.kind())
    }

    /// The moment in whole nanoseconds since 1970.
    pub fn nanos(&self) -> i128 {
        i128::from(self.entry.at.secs) * 1_000_000_000 + i128::from(self.entry.at.nanos)
    }

    /// The moment in seconds since 1970, to the millisecond.
    pub fn seconds(&self) -> f64 {
        // Exact for thousands of years: a millisecond count is far below 2^53.
        (self.nanos() / 1_000_000) as f64 / 1_000.0
    }

    /// Whether what was wanted came about.
    pub const fn outcome(&self) -> Outcome {
        match &self.entry.body {
            Body::ApprovalEnded { .. }
            | Body::ExportSkipped { .. }
            | Body::ExportStalled { .. }
            | Body::JailBanned { .. }
            | Body::NoticeFailed { .. }
            | Body::PolicyRefused { .. }
            | Body::RunConflict { .. }
            | Body::RunDenied { .. }
            | Body::RunFailed { .. } => Outcome::Failure,
            Body::ApprovalClaimed { .. }
            | Body::ExportResumed { .. }
            | Body::HostFrozen { .. }
            | Body::HostThawed { .. }
            | Body::JailCleared { .. }
            | Body::NoticeDelivered { .. }
            | Body::PeopleChanged { .. }
            | Body::PolicyLoaded { .. }
            | Body::RunCommitted { .. }
            | Body::RunObserved { .. }
            | Body::RunRedone { .. }
            | Body::RunUndone { .. } => Outcome::Success,
            Body::RunJudged { judgement, .. } => match judgement.decision {
                Decision::Allow => Outcome::Success,
                Decision::Deny => Outcome::Failure,
                Decision::Ask | Decision::TwoPerson => Outcome::Unknown,
            },
            _ => Outcome::Unknown,
        }
    }

    /// What is known of it.
    pub fn facts(&self) -> Facts {
        let run = self.entry.body.run().map(|run| run.to_string());
        let facts = Facts { run, ..Facts::default() };
        match &self.entry.body {
            Body::RunRequested { asker, by, command, cwd, gid, reason, session, uid, workspace, .. } => Facts {
                agent: asker.as_ref().map(|asker| text(&asker.agent)),
                by: *by,
                gid: Some(*gid),
                reason: reason.as_ref().map(text),
                session: session.as_ref().map(text),
                uid: Some(*uid),
                workspace: workspace.as_ref().map(text),
                ..facts.of_command(command, cwd)
            },
            Body::Nested { command, cwd, reason, session, .. } => Facts {
                reason: reason.as_ref().map(text),
                session: session.as_ref().map(text),
                ..facts.of_command(command, cwd)
            },
            Body::ExecRan { program, .. } => Facts {
                exit: program.exit.map(backstop_core::run::Exit::code),
                program: Some(Started {
                    executable: program.exe.as_ref().map(text),
                    parent: program.parent,
                    pid: program.pid,
                    sha256: program.sha256.map(|digest| digest.hex()),
                }),
                argv: program.argv.iter().map(text).collect(),
                command: Some(text(&Command::Argv(program.argv.clone()).text())),
                cwd: program.cwd.as_ref().map(text),
                ..facts
            },
            Body::RunRehearsed { exit, totals, .. } => {
                Facts { exit: Some(exit.code()), effect: Some(effect(totals)), ..facts }
            }
            Body::RunObserved { totals, .. } => Facts { effect: Some(effect(totals)), ..facts },
            Body::RunInPlace { exit, why, .. } => {
                Facts { exit: exit.map(backstop_core::run::Exit::code), reason: why.clone(), ..facts }
            }
            Body::RunJudged { judgement, .. } => Facts {
                decision: Some(judgement.decision),
                reason: judgement.reasons.first().map(|reason| reason.why.clone()),
                rules: judgement.reasons.iter().map(|reason| reason.rule.clone()).collect(),
                ..facts
            },
            Body::RunCommitting { by, .. }
            | Body::RunDiscarded { by, .. }
            | Body::RunRedoing { by, .. }
            | Body::RunUndoing { by, .. } => match by {
                By::Approved { request } => Facts { request: Some(*request), ..facts },
                By::Person { uid } => Facts { uid: Some(*uid), ..facts },
                By::Rule => facts,
            },
            Body::RunFailed { why, .. } => Facts { reason: Some(why.clone()), ..facts },
            Body::ApprovalAsked { question } => Facts { request: Some(question.request), ..facts },
            Body::ApprovalClaimed { request, .. } => Facts { request: Some(*request), ..facts },
            Body::ApprovalEnded { how, request, .. } => {
                Facts { request: Some(*request), reason: Some(how.clone()), ..facts }
            }
            Body::ApprovalVoted { request, vote, .. } => Facts {
                person: Some(vote.person.clone()),
                reason: vote.grounds().reason,
                request: Some(*request),
                ..facts
            },
            Body::PeopleChanged { request, uid, .. }
            | Body::HostThawed { request, uid, .. }
            | Body::JailCleared { request, uid, .. } => Facts { request: *request, uid: Some(*uid), ..facts },
            Body::HostFrozen { freeze, .. } => {
                Facts { reason: freeze.reason.as_ref().map(text), uid: Some(freeze.by), ..facts }
            }
            Body::ExportSkipped { why, .. } | Body::ExportStalled { why, .. } | Body::NoticeFailed { why, .. } => {
                Facts { reason: Some(why.clone()), ..facts }
            }
            _ => facts,
        }
    }
}

impl Facts {
    fn of_command(self, command: &Command, cwd: &Bytes) -> Self {
        let argv = command.argv().iter().map(text).collect();
        Self { argv, command: Some(text(&command.text())), cwd: Some(text(cwd)), ..self }
    }
}

fn text(bytes: &Bytes) -> String {
    String::from_utf8_lossy(bytes.as_slice()).into_owned()
}

fn effect(totals: &backstop_core::effect::Totals) -> [(&'static str, u64); 6] {
    [
        ("deleted_entries", totals.deleted.entries()),
        ("deleted_bytes", totals.deleted.bytes),
        ("created_entries", totals.created.entries()),
        ("created_bytes", totals.created.bytes),
        ("changed_entries", totals.changed.entries()),
        ("changed_bytes", totals.changed.bytes),
    ]
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The log that Backstop's own tests verify, as it is sent.
    pub fn whole() -> Vec<Record> {
        let text = include_str!("../../../../fixtures/audit/whole/000000000000.jsonl");
        text.lines().map(|line| Record::read(line.to_owned(), "backstop/34", "db-1").expect("an entry")).collect()
    }

    /// A record of a body, as JSON.
    pub fn of(body: &str) -> Record {
        let line = format!(r#"{{"at":"2026-11-22T16:20:04.5Z","body":{body},"index":7,"version":1}}"#);
        let line = line.replace("04.5Z", "04.500000000Z");
        Record::read(line.clone(), "backstop/34", "db-1").unwrap_or_else(|why| panic!("{why}: {line}"))
    }

    /// A program that ran.
    pub fn program() -> Record {
        let digest = "ab".repeat(32);
        of(&format!(
            r#"{{"exec.ran":{{"program":{{"argv":["rm","-r","a b"],"began":"2026-11-22T16:20:03Z","exe":"/usr/bin/rm","exit":{{"signal":9}},"parent":40,"pid":41,"sha256":"sha256:{digest}"}},"run":"r-000000"}}}}"#
        ))
    }

    /// One of each kind that forms treat apart.
    pub fn several() -> Vec<Record> {
        let frozen = r#"{"host.frozen":{"freeze":{"at":"2026-11-22T16:20:04Z","by":7,"reason":"odd"},"host":"db-1"}}"#;
        let requested = concat!(
            r#"{"run.requested":{"asker":{"agent":"claude"},"command":{"line":"rm -rf \"/srv/a b\" \u0007é"},"cwd":"/srv","#,
            r#""gid":1000,"net":"none","reason":"tidy <up> & \"go\"]","run":"r-000000","session":"s-1","uid":1000,"workspace":"/srv"}}"#
        );
        let stalled = r#"{"export.stalled":{"entry":3,"sink":"siem","why":"no route"}}"#;
        let more = [frozen, requested, stalled, r#"{"run.denied":{"run":"r-000000"}}"#].map(of);
        whole().into_iter().chain(more).collect()
    }

    #[test]
    fn a_record_is_known_by_its_leaf_and_says_what_it_is() {
        let records = whole();
        // As docs/format/audit.md has it, by hand.
        assert_eq!(records[0].leaf.hex(), "9b14ebafb573d19734e4ef6f61eec2596fc0fd3c391c68b34bad3b689228da9f");
        assert_eq!(records[0].message(), "audit.started: the log begins");
        let [frozen, requested, stalled, denied] = &several()[records.len()..] else { panic!("four") };
        assert_eq!(requested.nanos(), 1_795_364_404_500_000_000);
        assert!((requested.seconds() - 1_795_364_404.5).abs() < 1e-6);
        assert_eq!(frozen.message(), "host.frozen: everything was frozen by user 7 (0 runs stand): odd");
        assert_eq!(
            [frozen, requested, stalled, denied].map(Record::severity),
            [Severity::Alert, Severity::Info, Severity::Error, Severity::Warning]
        );
        assert_eq!(denied.outcome(), Outcome::Failure);
        let facts = requested.facts();
        assert_eq!(
            (facts.uid, facts.agent.as_deref(), facts.cwd.as_deref()),
            (Some(1_000), Some("claude"), Some("/srv"))
        );
        assert_eq!(facts.argv[..2], ["bash", "-c"]);
        assert!(Record::read("{}".to_owned(), "l", "h").is_err());
    }
}
