//! A notice in words: one line, or all of it with the way on.

use crate::approval::statement::Choice;
use crate::size;

use super::{Notice, What};

impl Notice {
    /// The headline.
    pub fn title(&self) -> String {
        let what = match &self.what {
            What::Asked { .. } => "approval needed".to_owned(),
            What::Decided { choice, person } => match choice {
                Choice::ApproveOnce => format!("{person} approves"),
                Choice::Deny => format!("{person} denies"),
                Choice::Revoke => format!("{person} takes an approval back"),
                other => format!("{person}: {}", other.name()),
            },
            What::BrokeGlass { person, ticket, .. } => format!("BREAK GLASS by {person} alone ({ticket})"),
            What::Reviewed { justified: true, person, .. } => format!("break glass found justified by {person}"),
            What::Reviewed { person, .. } => format!("break glass found UNJUSTIFIED by {person}"),
            What::Approved { by, broke_glass } => {
                let glass = broke_glass.as_ref().map_or_else(String::new, |who| format!(" ({who} broke the glass)"));
                format!("approved by {}{glass}", by.join(", "))
            }
            What::Ended { how } => format!("{how}, nothing took effect"),
            What::PeopleChanged { .. } => "changed".to_owned(),
            What::Frozen { .. } => "FROZEN".to_owned(),
            What::Thawed => "thawed".to_owned(),
            What::Banned { .. } => "BANNED".to_owned(),
            What::Cleared { .. } => "unbanned".to_owned(),
            What::Stalled { .. } => "EXPORT STALLED".to_owned(),
            What::Resumed { .. } => "export goes on".to_owned(),
            What::Rules { refused: true } => "RULES REFUSED".to_owned(),
            What::Rules { .. } => "rules changed".to_owned(),
            What::Denied => "denied".to_owned(),
            What::Stopped => "GUARD STOPPED".to_owned(),
            What::Started => "guard started".to_owned(),
            What::Mended => "log put right".to_owned(),
            What::Away { back: false } => "GUARD AWAY".to_owned(),
            What::Away { .. } => "guard back".to_owned(),
            What::Alert { rule, .. } => format!("alert {rule}"),
            What::Disk { back: false, .. } => "DISK NEARLY FULL".to_owned(),
            What::Disk { .. } => "disk has room".to_owned(),
            What::AlertRules { back: false } => "ALERT RULES REFUSED".to_owned(),
            What::AlertRules { .. } => "alert rules in force".to_owned(),
            What::Silenced { back: false, silence } => format!("SILENCED by {silence}"),
            What::Silenced { silence, .. } => format!("silence {silence} is over"),
            What::Test => "test".to_owned(),
        };
        format!("[{}] {what}: {}", self.host, self.summary)
    }

    /// All of it, with the way on; `link` leads to where it can be looked at.
    pub fn text(&self, link: Option<&str>) -> String {
        let mut text = format!("{}\n", self.title());
        let mut line = |key: &str, value: &str| text.push_str(&format!("  {key:<8} {value}\n"));
        if let Some(code) = &self.code {
            line("request", code);
        }
        let name = self.run.map(|run| run.to_string()).or_else(|| self.code.clone());
        if let Some(run) = self.run {
            line("run", &run.to_string());
        }
        match &self.what {
            What::Asked { needs } => {
                line("needs", needs);
                if let Some(expires) = self.expires {
                    line("expires", &expires.to_string());
                }
                if let Some(name) = &name {
                    line("look", &format!("on {}: backstop show {name}", self.host));
                    line("decide", &format!("on {}: backstop approve {name} --key FILE, or deny", self.host));
                }
            }
            What::PeopleChanged { revision } => {
                line("revision", &revision.to_string());
                line("look", &format!("on {}: backstop people list", self.host));
            }
            What::BrokeGlass { reason, ticket, .. } => {
                line("ticket", ticket);
                line("reason", reason);
                if let Some(name) = &name {
                    line("look", &format!("on {}: backstop show {name}", self.host));
                    line("review", &format!("on {}: backstop review {name} --justified, or --unjustified", self.host));
                }
            }
            What::Reviewed { reason, .. } => line("reason", reason),
            What::Frozen { ended, reason, stopped, takes } => {
                if !reason.is_empty() {
                    line("reason", reason);
                }
                line("stands", &format!("{}; {ended} had to be ended", size::counted(*stopped, "run", "runs")));
                line("thaw", &format!("on {}, {takes}: backstop thaw", self.host));
            }
            What::Banned { ban, level, tried, until } => {
                line("ban", ban);
                line("level", level);
                line("tried", tried);
                line("until", &until.map_or_else(|| "people end it".to_owned(), |until| until.to_string()));
                line("look", &format!("on {}: backstop jail list, backstop jail clear {ban}", self.host));
            }
            What::Stalled { .. } => line("look", &format!("on {}: backstop export status", self.host)),
            What::Denied | What::Alert { .. } => {
                if let Some(name) = &name {
                    line("look", &format!("on {}: backstop show {name}", self.host));
                }
            }
            What::Rules { .. } => line("look", &format!("on {}: backstop policy show", self.host)),
            What::Started => {}
            What::Stopped | What::Mended | What::Away { .. } => {
                line("look", &format!("on {}: backstop audit verify", self.host));
            }
            What::Disk { back: false, .. } => line("look", &format!("on {}: df -h", self.host)),
            What::AlertRules { back: false } => line("look", &format!("on {}: backstop-notify check", self.host)),
            What::Silenced { back: false, silence } => {
                line("end", &format!("on {}: backstop-notify silence end {silence}", self.host));
            }
            What::Disk { .. } | What::AlertRules { .. } | What::Silenced { .. } => {}
            What::Thawed | What::Cleared { .. } | What::Resumed { .. } => {}
            What::Decided { .. } | What::Approved { .. } | What::Ended { .. } | What::Test => {}
        }
        if let Some(link) = link {
            line("see", link);
        }
        text.push_str("Nothing can be approved by answering this message.\n");
        text
    }
}
