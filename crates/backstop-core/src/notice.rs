//! What people are told, away from the machine: what waits for their approval, and what should wake them; from entries of the
//! audit log, but for what lasts and is in none. All of it is one line or more of printable ASCII, whoever named the files that it speaks of; and
//! nothing in it lets anything through.

mod words;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::alert::Raised;
use crate::approval::ballot::{Grounds, Question, Vote};
use crate::approval::display::change_summary;
use crate::approval::is_name;
use crate::approval::matter::code;
use crate::approval::quorum::Quorum;
use crate::approval::statement::Choice;
use crate::audit::{Body, Entry, Severity};
use crate::canon;
use crate::digest::Digest;
use crate::id::RunId;
use crate::policy::law::Layer;
use crate::quoted::Quoted;
use crate::time::Timestamp;

/// The longest reason why something was not delivered, in bytes.
const LONGEST_WHY: usize = 300;

/// One thing that people are told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Notice {
    /// When it happened.
    pub at: Timestamp,
    /// The first eight hex digits of the request's digest, which every approver is shown as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The index of the audit log's entry.
    pub entry: u64,
    /// When the request expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// The machine.
    pub host: String,
    /// Names it: the same for the same entry of the same log, whenever it is told again.
    pub id: String,
    /// The run, where it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// How much it matters.
    pub severity: Severity,
    /// The effect, or the change of people, in one line.
    pub summary: String,
    /// What happened.
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum What {
    /// People are asked.
    Asked {
        /// Who has to agree, in words.
        needs: String,
    },
    /// Somebody decided.
    Decided {
        /// What.
        choice: Choice,
        /// Who.
        person: String,
    },
    /// Somebody broke the glass: lets it through alone, in an emergency.
    BrokeGlass {
        /// Who.
        person: String,
        /// Why, in the words that were signed.
        reason: String,
        /// Where the emergency is dealt with.
        ticket: String,
    },
    /// Another person looked at that.
    Reviewed {
        /// Whether it was right.
        justified: bool,
        /// Who.
        person: String,
        /// Why, in the words that were signed.
        reason: String,
    },
    /// The quorum is there, and what was asked begins.
    Approved {
        /// Whose approvals it stands on.
        by: Vec<String>,
        /// Who of them broke the glass for it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        broke_glass: Option<String>,
    },
    /// It has ended, and nothing took effect.
    Ended {
        /// How: `denied`, `expired`, `revoked`, `drifted`, `superseded`, `cancelled`, `failed`.
        how: String,
    },
    /// Who may approve was changed.
    PeopleChanged {
        /// The revision that is in force.
        revision: u64,
    },
    /// Everything of every agent was stopped.
    Frozen {
        /// How many runs had to be ended for it.
        ended: u64,
        /// Why.
        reason: String,
        /// How many runs stand.
        stopped: u64,
        /// Who has to agree that it goes on, in words.
        takes: String,
    },
    /// It goes on.
    Thawed,
    /// An agent was banned, or its ban was raised.
    Banned {
        /// What people call it by.
        ban: String,
        /// How far it goes, in words.
        level: String,
        /// What it tried, in words.
        tried: String,
        /// When it ends by itself; none where people alone end it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
    },
    /// People ended a ban.
    Cleared {
        /// What people call it by.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        ban: String,
    },
    /// The audit log has not arrived for long where it is exported to.
    Stalled {
        /// By which sink. Why, the log says: in a stranger's words, which are for no approver's eyes.
        sink: String,
    },
    /// It arrives again.
    Resumed {
        /// By which sink.
        sink: String,
    },
    /// Other rules are in force, or could not be loaded.
    Rules {
        /// True where they could not.
        refused: bool,
    },
    /// A command was denied.
    Denied,
    /// The guard was stopped.
    Stopped,
    /// It watches again.
    Started,
    /// What a crash left at the end of the audit log was put right.
    Mended,
    /// A rule for alerts speaks of it.
    Alert {
        /// For so many minutes what is the same is counted and not told again.
        again: u64,
        /// Which rule.
        rule: String,
        /// Names what is the same.
        same: String,
    },
    /// The guard has not answered the notifier for long; or, with `back`, does again. Of this there is no entry.
    Away {
        /// True where it is over.
        back: bool,
    },
    /// Little space is left on a file system; or, with `back`, there is enough again. Of this there is no entry.
    Disk {
        /// True where it is over.
        back: bool,
        /// Where it is mounted.
        place: String,
    },
    /// The machine's rules for alerts can't be used, and those that Backstop brings hold; or, with `back`, can be again. Of
    /// this there is no entry.
    AlertRules {
        /// True where it is over.
        back: bool,
    },
    /// Somebody keeps some of what people are told from them for a while; or, with `back`, does no more. Of this there is no
    /// entry.
    Silenced {
        /// True where it is over.
        back: bool,
        /// What people call it by.
        silence: String,
    },
    /// Nothing: somebody tries whether notices arrive.
    Test,
}

/// The kinds of notices, as settings name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// People are asked.
    Asked,
    /// Somebody decided.
    Decided,
    /// What was asked begins.
    Approved,
    /// It has ended otherwise.
    Ended,
    /// Who may approve was changed.
    PeopleChanged,
    /// Other rules are in force, or could not be loaded.
    Policy,
    /// The guard was stopped, put its log right, or does not answer.
    Guard,
    /// A command was denied.
    Denied,
    /// A rule for alerts speaks of it.
    Alert,
    /// Little space is left on a file system.
    Disk,
}

impl Kind {
    /// What a channel is told that names none: all but what agents meet with every day.
    pub const USUAL: [Self; 9] = [
        Self::Asked,
        Self::Decided,
        Self::Approved,
        Self::Ended,
        Self::PeopleChanged,
        Self::Policy,
        Self::Guard,
        Self::Alert,
        Self::Disk,
    ];
}

/// A place in a log: what comes from there on was not told yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    /// The index of the entry.
    pub entry: u64,
    /// Which log: the name in its checkpoints.
    pub log: String,
}

/// What became of telling it by one of the ways.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Delivery {
    /// How often it was tried.
    pub attempts: u32,
    /// The way, by its name.
    pub channel: String,
    /// The notice, by its entry.
    pub entry: u64,
    /// Why it was given up; none where it was delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
    /// How many more entries, which were the same, that stands for.
    #[serde(default, skip_serializing_if = "canon::is_zero")]
    pub with: u64,
}

impl Delivery {
    /// Whether it can be put on record: names and reasons are plain and short.
    pub fn is_sound(&self) -> bool {
        let plain = |why: &String| why.len() <= LONGEST_WHY && why.bytes().all(|b| (b' '..=b'~').contains(&b));
        is_name(&self.channel) && self.failed.as_ref().is_none_or(plain)
    }

    /// A reason, from whatever text, as it can be put on record.
    pub fn reason(text: &str) -> String {
        let plain = text.chars().map(|c| if (' '..='~').contains(&c) { c } else { '?' });
        plain.take(LONGEST_WHY).collect()
    }
}

impl What {
    /// Which kind it is; none for what every channel is told: that the glass was broken, that everything stands or goes
    /// on, that somebody is banned or is not any more, that the log does not arrive or does again, that something is kept from
    /// people, and what is only tried.
    pub const fn kind(&self) -> Option<Kind> {
        match self {
            Self::Asked { .. } => Some(Kind::Asked),
            Self::Decided { .. } => Some(Kind::Decided),
            Self::Approved { .. } => Some(Kind::Approved),
            Self::Ended { .. } => Some(Kind::Ended),
            Self::PeopleChanged { .. } => Some(Kind::PeopleChanged),
            Self::Rules { .. } | Self::AlertRules { .. } => Some(Kind::Policy),
            Self::Alert { .. } => Some(Kind::Alert),
            Self::Disk { .. } => Some(Kind::Disk),
            Self::Stopped | Self::Started | Self::Mended | Self::Away { .. } => Some(Kind::Guard),
            Self::Denied => Some(Kind::Denied),
            Self::BrokeGlass { .. }
            | Self::Reviewed { .. }
            | Self::Frozen { .. }
            | Self::Thawed
            | Self::Banned { .. }
            | Self::Cleared { .. }
            | Self::Stalled { .. }
            | Self::Resumed { .. }
            | Self::Silenced { .. }
            | Self::Test => None,
        }
    }
}

impl What {
    /// The same in printable ASCII, whoever named a place.
    fn calm(self) -> Self {
        match self {
            Self::Disk { back, place } => Self::Disk { back, place: calm(&place) },
            other => other,
        }
    }

    /// What is told when it is over, of what no entry tells.
    #[must_use]
    pub fn over(self) -> Self {
        match self {
            Self::Away { .. } => Self::Away { back: true },
            Self::Disk { place, .. } => Self::Disk { back: true, place },
            Self::AlertRules { .. } => Self::AlertRules { back: true },
            Self::Silenced { silence, .. } => Self::Silenced { back: true, silence },
            other => other,
        }
    }
}

impl Notice {
    /// The types of entries of which people are always told by what they say themselves.
    pub const ALWAYS: [&'static str; 15] = [
        "approval.asked",
        "approval.claimed",
        "approval.ended",
        "approval.voted",
        "audit.recovered",
        "export.resumed",
        "export.stalled",
        "guard.started",
        "guard.stopped",
        "host.frozen",
        "host.thawed",
        "jail.banned",
        "jail.cleared",
        "people.changed",
        "run.denied",
    ];

    /// The request that an entry is told of by, where it is told at all.
    pub const fn request(body: &Body) -> Option<Digest> {
        match body {
            Body::ApprovalAsked { question } => Some(question.request),
            Body::ApprovalClaimed { request, .. }
            | Body::ApprovalEnded { request, .. }
            | Body::ApprovalVoted { request, .. } => Some(*request),
            _ => None,
        }
    }

    /// What people are told of an entry; none where that is nothing. `question` is what the entry's request asks, `host` the
    /// machine where the entry itself does not say that.
    pub fn of(entry: &Entry, question: Option<&Question>, host: &str) -> Option<Self> {
        let what = match &entry.body {
            Body::ApprovalAsked { question } => What::Asked { needs: question.quorum.in_words() },
            Body::ApprovalVoted { vote, .. } => decided(vote),
            Body::ApprovalClaimed { votes, .. } => {
                let glass = votes.iter().find(|v| v.choice == Choice::BreakGlass);
                let by = votes.iter().map(|v| calm(&v.person)).collect();
                What::Approved { by, broke_glass: glass.map(|v| calm(&v.person)) }
            }
            Body::ApprovalEnded { how, .. } => What::Ended { how: calm(how) },
            Body::PeopleChanged { revision, .. } => What::PeopleChanged { revision: *revision },
            Body::HostFrozen { ended, freeze, stopped, .. } => What::Frozen {
                ended: ended.len() as u64,
                reason: freeze.reason.as_ref().map_or_else(String::new, |why| calm(&why.quoted().to_string())),
                stopped: stopped.len() as u64,
                takes: freeze.quorum.as_ref().map_or_else(|| "one person at a terminal".to_owned(), Quorum::in_words),
            },
            Body::HostThawed { .. } => What::Thawed,
            Body::JailBanned { ban, .. } => What::Banned {
                ban: ban.code(),
                level: format!("{}: {}", ban.level.name(), ban.level.means()),
                tried: calm(&ban.closed()),
                until: ban.until,
            },
            Body::JailCleared { ban, .. } => What::Cleared { ban: code(*ban) },
            Body::ExportStalled { sink, .. } => What::Stalled { sink: calm(sink) },
            Body::ExportResumed { sink, .. } => What::Resumed { sink: calm(sink) },
            // Those of a project or a user, which agents may write, are not worth waking anybody.
            Body::PolicyLoaded { sources, .. }
                if sources.iter().all(|s| matches!(s.layer, Layer::Profile | Layer::System)) =>
            {
                What::Rules { refused: false }
            }
            Body::PolicyRefused { machine: true, .. } => What::Rules { refused: true },
            Body::RunDenied { .. } => What::Denied,
            Body::GuardStopped { .. } => What::Stopped,
            Body::GuardStarted { .. } => What::Started,
            Body::AuditRecovered { .. } => What::Mended,
            _ => return None,
        };
        let (host, summary) = match (&entry.body, question) {
            (Body::PeopleChanged { change, host, .. }, _) => (host.clone(), change_summary(change)),
            (Body::HostFrozen { freeze, host, .. }, _) => {
                (host.clone(), format!("everything of every agent was stopped by user account {}", freeze.by))
            }
            (Body::HostThawed { host, uid, .. }, _) => {
                (host.clone(), format!("what was frozen goes on, by user account {uid}"))
            }
            (Body::JailBanned { ban, host }, _) => (host.clone(), ban.key.in_words()),
            (Body::JailCleared { ban, host, uid, .. }, _) => {
                (host.clone(), format!("the ban {} ended, by user account {uid}", code(*ban)))
            }
            (Body::ExportStalled { entry, sink, .. }, _) => {
                (host.to_owned(), format!("the audit log does not arrive by {sink}, from entry {entry} on"))
            }
            (Body::ExportResumed { sink, .. }, _) => {
                (host.to_owned(), format!("the audit log arrives again by {sink}"))
            }
            (Body::RunDenied { run }, _) => (host.to_owned(), format!("{run}, nothing of it took effect")),
            // In our own words: a file's name, and what is wrong with it, may be an agent's.
            (Body::PolicyRefused { fallback, .. }, _) => {
                let then = if *fallback { "the last good ones hold" } else { "everything is denied" };
                (host.to_owned(), format!("this machine's rules can't be loaded, {then}"))
            }
            (
                Body::PolicyLoaded { .. }
                | Body::GuardStopped { .. }
                | Body::GuardStarted { .. }
                | Body::AuditRecovered { .. },
                _,
            ) => (host.to_owned(), entry.body.in_words()),
            (_, Some(question)) => (question.host.clone(), question.summary.clone()),
            (_, None) => (host.to_owned(), "a request that is not kept any more".to_owned()),
        };
        Some(Self {
            code: Self::request(&entry.body).map(code),
            expires: question.map(|q| q.expires),
            ..Self::about(entry, entry.body.severity(), what, &host, &summary)
        })
    }

    /// What people are told of an entry that a rule for alerts speaks of.
    pub fn raised(entry: &Entry, raised: &Raised<'_>, host: &str) -> Self {
        let Raised { rule, what, same } = raised;
        let run = entry.body.run().map_or_else(String::new, |run| format!(", {run}"));
        let summary = format!("{} ({what}{run})", rule.says);
        let what = What::Alert { again: rule.again, rule: rule.name.clone(), same: same.clone() };
        Self::about(entry, rule.severity, what, host, &summary)
    }

    fn about(entry: &Entry, severity: Severity, what: What, host: &str, summary: &str) -> Self {
        Self {
            at: entry.at,
            code: None,
            entry: entry.index,
            expires: None,
            host: calm(host),
            id: format!("n-{}-{}", entry.index, &Digest::of("backstop/notice/1", &[&canon::line(entry)]).hex()[..16]),
            run: entry.body.run(),
            severity,
            summary: calm(summary),
            what,
        }
    }

    /// One that tells nothing.
    pub fn test(host: &str, now: Timestamp) -> Self {
        Self {
            at: now,
            code: None,
            entry: 0,
            expires: None,
            host: calm(host),
            id: format!("n-test-{}", now.secs),
            run: None,
            severity: Severity::Info,
            summary: "somebody tries whether notices arrive; nothing happened".to_owned(),
            what: What::Test,
        }
    }

    /// One that no entry tells: what lasts since that moment, or is over.
    pub fn local(host: &str, what: What, severity: Severity, summary: &str, since: Timestamp, now: Timestamp) -> Self {
        let what = what.calm();
        let (name, over) = Self { what: what.clone(), ..Self::test(host, now) }.matter().unwrap_or_default();
        let id = Digest::of("backstop/notice/2", &[name.as_bytes(), since.to_string().as_bytes(), &[u8::from(over)]]);
        Self {
            id: format!("n-{}-{}", if over { "over" } else { "local" }, &id.hex()[..16]),
            severity: if over { Severity::Notice } else { severity },
            summary: calm(summary),
            what,
            ..Self::test(host, now)
        }
    }

    /// For how many minutes what is the same as this is not told again, and what it is the same as.
    pub fn same(&self) -> Option<(&str, u64)> {
        match &self.what {
            What::Alert { again, same, .. } if *again > 0 => Some((same, *again)),
            _ => None,
        }
    }

    /// What goes on until something says that it is over, and whether this does: for services that open and close alarms.
    /// None for what is over when it happens.
    pub fn matter(&self) -> Option<(String, bool)> {
        let request = || self.code.as_ref().map(|code| format!("request {code}"));
        match &self.what {
            What::Asked { .. } => Some((request()?, false)),
            What::Approved { .. } | What::Ended { .. } => Some((request()?, true)),
            What::Frozen { .. } => Some(("frozen".to_owned(), false)),
            What::Thawed => Some(("frozen".to_owned(), true)),
            What::Stalled { sink } => Some((format!("export {sink}"), false)),
            What::Resumed { sink } => Some((format!("export {sink}"), true)),
            What::Away { back } => Some(("guard away".to_owned(), *back)),
            What::Disk { back, place } => Some((format!("disk {place}"), *back)),
            What::AlertRules { back } => Some(("alert rules".to_owned(), *back)),
            What::Silenced { back, silence } => Some((format!("silence {silence}"), *back)),
            What::Stopped => Some(("guard stopped".to_owned(), false)),
            What::Started => Some(("guard stopped".to_owned(), true)),
            What::Banned { ban, .. } => Some((format!("ban {ban}"), false)),
            What::Cleared { ban } => Some((format!("ban {ban}"), true)),
            What::Decided { .. }
            | What::BrokeGlass { .. }
            | What::Reviewed { .. }
            | What::PeopleChanged { .. }
            | What::Rules { .. }
            | What::Denied
            | What::Mended
            | What::Alert { .. }
            | What::Test => None,
        }
    }

    /// Of what ends a matter, the kind and the severity of what began it.
    pub const fn opener(&self) -> Option<(Option<Kind>, Severity)> {
        match self.what {
            What::Approved { .. } | What::Ended { .. } => Some((Some(Kind::Asked), Severity::Warning)),
            What::Thawed => Some((None, Severity::Alert)),
            What::Cleared { .. } => Some((None, Severity::Warning)),
            What::Resumed { .. } => Some((None, Severity::Error)),
            What::Away { back: true } => Some((Some(Kind::Guard), Severity::Alert)),
            What::Started => Some((Some(Kind::Guard), Severity::Warning)),
            What::Disk { back: true, .. } => Some((Some(Kind::Disk), Severity::Error)),
            What::AlertRules { back: true } => Some((Some(Kind::Policy), Severity::Error)),
            What::Silenced { back: true, .. } => Some((None, Severity::Notice)),
            _ => None,
        }
    }
}

/// What a vote says. The words are those that were signed.
fn decided(vote: &Vote) -> What {
    let person = calm(&vote.person);
    let Grounds { reason, ticket } = vote.grounds();
    let (reason, ticket) = (calm(&reason.unwrap_or_default()), calm(&ticket.unwrap_or_default()));
    match vote.choice {
        Choice::BreakGlass => What::BrokeGlass { person, reason, ticket },
        Choice::Justified | Choice::Unjustified => {
            What::Reviewed { justified: vote.choice == Choice::Justified, person, reason }
        }
        choice => What::Decided { choice, person },
    }
}

/// A text from the log, which may be anybody's, in printable ASCII on one line.
fn calm(text: &str) -> String {
    let plain = |c: char| (' '..='~').contains(&c);
    if text.chars().all(plain) {
        text.to_owned()
    } else {
        Quoted(text.as_bytes()).to_string().replace(|c| !plain(c), "?")
    }
}

#[cfg(test)]
mod tests;
