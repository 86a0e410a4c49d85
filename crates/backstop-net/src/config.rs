//! The notifier's settings: takes the text of a TOML file, gives the channels, or the line that is wrong. Keys,
//! tokens and passwords stand in files of their own, which it names.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;

use backstop_core::audit::Severity;
use backstop_core::notice::{Kind, Notice, What};
use serde::{Deserialize, Serialize};

use crate::metrics;
use crate::settings::{self, address, is_here};

/// More channels nobody looks after.
const MOST: usize = 16;

/// Nor so many addresses one by one, each of which takes a mail of its own.
const READERS: usize = 50;

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where a request can be looked at; `{request}` stands for its code, `{run}` for its run.
    pub link: Option<String>,
    /// The channels.
    pub channels: Vec<Channel>,
    /// File systems that have less than so many percent of their room left are told; none where it is 0.
    pub disk_percent: u8,
    /// So many minutes the guard may not answer before people are told.
    pub guard_minutes: u64,
    /// Who elsewhere is told that the guard lives.
    pub heartbeat: Option<HeartbeatConfig>,
    /// Where figures are given.
    pub metrics: Option<SocketAddr>,
}

/// An address that raises an alarm by itself where nothing comes: a dead man's switch.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeartbeatConfig {
    /// The file with the address, which is the secret.
    pub url_file: PathBuf,
    /// How often.
    #[serde(default = "five")]
    pub minutes: u64,
}

const fn three() -> u64 {
    3
}

const fn five() -> u64 {
    5
}

const fn percent() -> u8 {
    5
}

/// So many seconds after a message what comes is gathered, where people read it.
const GATHER: u64 = 30;

/// One way to tell people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    /// Its name, in the audit log and on screens.
    pub name: String,
    /// What is told by it.
    pub events: BTreeSet<Kind>,
    /// What comes within so many seconds after a message goes out as one.
    pub gather_seconds: u64,
    /// What matters less is not.
    pub least: Severity,
    /// Which way it is.
    pub way: Way,
}

/// The ways.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// A POST of JSON, signed as in <https://www.standardwebhooks.com>.
    Webhook(Webhook),
    /// An incoming webhook of Slack's.
    Slack(Hidden),
    /// A webhook of Discord's.
    Discord(Hidden),
    /// A workflow of Teams'.
    Teams(Hidden),
    /// A service of PagerDuty's, by its Events API, version 2.
    Pagerduty(Pagerduty),
    /// Prometheus' Alertmanager, by its API, version 2.
    Alertmanager(Alertmanager),
    /// A topic of an ntfy server.
    Ntfy(Ntfy),
    /// E-mail by SMTP.
    Mail(Mail),
    /// A program, which gets the JSON on its standard input.
    Command(Command),
}

/// See [`Way::Webhook`].
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// Where to.
    pub url: String,
    /// The file with the key: `whsec_` and base64.
    pub secret_file: PathBuf,
}

/// An address that is a secret: see [`Way::Slack`], [`Way::Discord`], [`Way::Teams`].
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hidden {
    /// The file with the address, which is the secret.
    pub url_file: PathBuf,
}

/// See [`Way::Pagerduty`].
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pagerduty {
    /// The file with the integration key.
    pub key_file: PathBuf,
    /// Another address than PagerDuty's own: its European one.
    #[serde(default = "pagerduty")]
    pub server: String,
}

fn pagerduty() -> String {
    "https://events.pagerduty.com".to_owned()
}

/// See [`Way::Alertmanager`].
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alertmanager {
    /// The server.
    pub url: String,
    /// As whom to log in.
    pub user: Option<String>,
    /// The file with the password.
    pub password_file: Option<PathBuf>,
}

/// See [`Way::Ntfy`].
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ntfy {
    /// The server.
    pub server: String,
    /// The topic.
    pub topic: String,
    /// The file with an access token.
    pub token_file: Option<PathBuf>,
}

/// See [`Way::Mail`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mail {
    /// The server.
    pub server: String,
    /// Its port; that of `security` where it is left out.
    pub port: Option<u16>,
    /// How the connection is kept from others.
    #[serde(default)]
    pub security: Security,
    /// From whom.
    pub from: String,
    /// To whom.
    pub to: Vec<String>,
    /// As whom to log in.
    pub user: Option<String>,
    /// The file with the password.
    pub password_file: Option<PathBuf>,
}

/// How a mail server is spoken to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Security {
    /// TLS from the first byte, port 465.
    #[default]
    Tls,
    /// TLS after a greeting, and nothing without it; port 587.
    Starttls,
    /// None; port 25, and only to this machine.
    Plain,
}

/// See [`Way::Command`].
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// The program, by its whole path, and its arguments.
    pub argv: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    link: Option<String>,
    heartbeat: Option<HeartbeatConfig>,
    metrics: Option<SocketAddr>,
    /// Three: more than a restart takes.
    #[serde(default = "three")]
    guard_minutes: u64,
    #[serde(default = "percent")]
    disk_percent: u8,
    #[serde(default)]
    channel: Vec<toml::Spanned<RawChannel>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawChannel {
    name: String,
    events: Option<BTreeSet<Kind>>,
    gather_seconds: Option<u64>,
    least: Option<Severity>,
    webhook: Option<Webhook>,
    slack: Option<Hidden>,
    discord: Option<Hidden>,
    teams: Option<Hidden>,
    pagerduty: Option<Pagerduty>,
    alertmanager: Option<Alertmanager>,
    ntfy: Option<Ntfy>,
    mail: Option<Mail>,
    command: Option<Command>,
}

impl Config {
    /// Reads the file's text.
    ///
    /// # Errors
    /// `line N: what is wrong there`; then nothing of it is taken.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut raw: Raw = settings::read(text)?;
        let channels =
            settings::listed(text, std::mem::take(&mut raw.channel), ("channel", MOST), Channel::of, |channel| {
                &channel.name
            })?;
        if channels.is_empty() {
            return Err("line 1: there is no [[channel]], so nobody would be told anything".to_owned());
        }
        if raw.link.as_ref().is_some_and(|link| !link.starts_with("https://") && !link.starts_with("http://")) {
            return Err("line 1: `link` is no address of a page".to_owned());
        }
        if raw.heartbeat.as_ref().is_some_and(|sign| !(1..=1_440).contains(&sign.minutes)) {
            return Err("line 1: a heartbeat comes every 1 to 1440 minutes".to_owned());
        }
        if !(1..=60).contains(&raw.guard_minutes) {
            return Err("line 1: `guard_minutes` is 1 to 60".to_owned());
        }
        if raw.disk_percent > 90 {
            return Err("line 1: `disk_percent` is 0 to 90".to_owned());
        }
        let Raw { link, heartbeat, metrics, guard_minutes, disk_percent, .. } = raw;
        metrics.map_or(Ok(()), metrics::address).map_err(|why| format!("line 1: {why}"))?;
        Ok(Self { link, channels, disk_percent, guard_minutes, heartbeat, metrics })
    }

    /// Where a notice's request can be looked at.
    pub fn link(&self, notice: &Notice) -> Option<String> {
        let (link, code) = (self.link.as_ref()?, notice.code.as_ref()?);
        let run = notice.run.map_or_else(|| code.clone(), |run| run.to_string());
        Some(link.replace("{request}", code).replace("{run}", &run))
    }
}

impl Channel {
    fn of(raw: RawChannel) -> Result<Self, String> {
        let RawChannel {
            name,
            events,
            gather_seconds,
            least,
            webhook,
            slack,
            discord,
            teams,
            ntfy,
            pagerduty,
            alertmanager,
            mail,
            command,
        } = raw;
        settings::name(&name)?;
        let ways = [
            webhook.map(Way::Webhook),
            slack.map(Way::Slack),
            discord.map(Way::Discord),
            teams.map(Way::Teams),
            ntfy.map(Way::Ntfy),
            pagerduty.map(Way::Pagerduty),
            alertmanager.map(Way::Alertmanager),
            mail.map(Way::Mail),
            command.map(Way::Command),
        ];
        let Some(way) = settings::only(ways) else {
            return Err(format!(
                "the channel {name} needs one of webhook, slack, discord, teams, ntfy, pagerduty, alertmanager, mail, command, and \
                 only one"
            ));
        };
        way.check().map_err(|why| format!("the channel {name}: {why}"))?;
        if events.as_ref().is_some_and(BTreeSet::is_empty) {
            return Err(format!("the channel {name} is told nothing; leave `events` out to tell it all"));
        }
        let events = events.unwrap_or_else(|| Kind::USUAL.into());
        let people = matches!(way, Way::Slack(_) | Way::Discord(_) | Way::Teams(_) | Way::Ntfy(_) | Way::Mail(_));
        let gather_seconds = match gather_seconds {
            Some(1..) if !people => {
                return Err(format!(
                    "the channel {name}: programs and services are told one by one; leave `gather_seconds` out"
                ));
            }
            Some(3_601..) => return Err(format!("the channel {name}: `gather_seconds` is 0 to 3600")),
            Some(seconds) => seconds,
            None => {
                if people {
                    GATHER
                } else {
                    0
                }
            }
        };
        Ok(Self { name, events, gather_seconds, least: least.unwrap_or(Severity::Debug), way })
    }

    /// True where a notice is told by it. An end matters as much as its beginning did. Where alarms are opened, each that was is
    /// closed, and nothing is one that is a moment and no more than worth knowing.
    pub fn wants(&self, notice: &Notice) -> bool {
        let kind = |kind: Option<Kind>| kind.is_none_or(|kind| self.events.contains(&kind));
        let alarms = matches!(self.way, Way::Pagerduty(_) | Way::Alertmanager(_));
        let opener = notice.opener();
        let severity = opener.map_or(notice.severity, |(_, severity)| severity);
        let closes = alarms && opener.is_some_and(|(of, _)| kind(of));
        let idle = alarms && notice.matter().is_none() && notice.severity > Severity::Warning;
        // Whoever is told anything that can be silenced hears that it is.
        let silence = matches!(notice.what, What::Silenced { .. }) && self.least > Severity::Alert;
        notice.what == What::Test
            || silence
            || (severity <= self.least && !idle && (kind(notice.what.kind()) || closes))
    }
}

impl Way {
    fn check(&self) -> Result<(), String> {
        match self {
            Self::Webhook(webhook) => address(&webhook.url),
            Self::Ntfy(ntfy) => {
                let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
                let topic = (1..=64).contains(&ntfy.topic.len()) && ntfy.topic.bytes().all(plain);
                topic.then_some(()).ok_or_else(|| format!("{:?} is no topic", ntfy.topic))?;
                address(&ntfy.server)
            }
            Self::Pagerduty(pagerduty) => address(&pagerduty.server),
            Self::Alertmanager(to) if to.user.is_some() != to.password_file.is_some() => {
                Err("`user` and `password_file` go together".to_owned())
            }
            Self::Alertmanager(to) => address(&to.url),
            Self::Mail(mail) if mail.to.is_empty() => Err("nobody to send mail to".to_owned()),
            Self::Mail(mail) if mail.to.len() > READERS => Err(format!("more than {READERS} addresses; use a list's")),
            Self::Mail(mail) if mail.security == Security::Plain && !is_here(&mail.server) => {
                Err("mail goes unprotected to this machine alone: security = \"tls\" or \"starttls\"".to_owned())
            }
            Self::Mail(mail) if mail.user.is_some() != mail.password_file.is_some() => {
                Err("`user` and `password_file` go together".to_owned())
            }
            Self::Command(command) if !command.argv.first().is_some_and(|p| p.starts_with('/')) => {
                Err("`argv` begins with the whole path of a program".to_owned())
            }
            Self::Mail(_) | Self::Command(_) | Self::Slack(_) | Self::Discord(_) | Self::Teams(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAIL: &str = "[[channel]]\nname = 'm'\nmail = { server = 'mx.example', from = 'a@x', to = ['b@x'] }\n";

    #[test]
    fn a_file_is_taken_whole() {
        let text = format!(
            "link = 'https://c.example/{{request}}'\n{MAIL}[[channel]]\nname = 'w'\nevents = ['asked']\n\
             webhook = {{ url = 'https://h.example/x', secret_file = '/k' }}\n"
        );
        let config = Config::parse(&text).expect("read");
        assert_eq!(config.channels.iter().map(|c| c.events.len()).collect::<Vec<_>>(), [9, 1]);
        assert_eq!(config.channels.iter().map(|c| c.gather_seconds).collect::<Vec<_>>(), [30, 0]);
        let notice = Notice::test("db-1", backstop_core::time::Timestamp::new(0, 0));
        assert!(config.channels.iter().all(|c| c.wants(&notice)) && config.link(&notice).is_none());
        let what = |justified| What::Reviewed { justified, person: "ben".to_owned(), reason: "x".to_owned() };
        let reviewed = Notice { what: what(false), ..notice.clone() };
        assert!(config.channels.iter().all(|c| c.wants(&reviewed)), "a broken glass is told by every channel");
        let ended = Notice { what: What::Ended { how: "expired".to_owned() }, ..notice.clone() };
        assert_eq!(config.channels.iter().map(|c| c.wants(&ended)).collect::<Vec<_>>(), [true, false]);
        let notice = Notice { code: Some("0a1b2c3d".to_owned()), ..notice };
        assert_eq!(config.link(&notice).as_deref(), Some("https://c.example/0a1b2c3d"));
    }

    #[test]
    fn whoever_opens_an_alarm_closes_it_and_nobody_else_hears_of_ends_alone() {
        let channel = |more: &str, way: &str| {
            let text = format!("[[channel]]\nname = 'x'\n{more}\n{way}\n");
            Config::parse(&text).expect("settings").channels.remove(0)
        };
        let (pager, chat) = ("pagerduty = { key_file = '/k' }", "slack = { url_file = '/k' }");
        let of = |what: What, severity: Severity| {
            let now = backstop_core::time::Timestamp::new(0, 0);
            Notice { severity, what, code: Some("0a1b2c3d".to_owned()), ..Notice::test("db-1", now) }
        };
        let asked = of(What::Asked { needs: String::new() }, Severity::Warning);
        let approved = of(What::Approved { by: Vec::new(), broke_glass: None }, Severity::Notice);
        let denied = of(What::Denied, Severity::Warning);
        let changed = of(What::Rules { refused: false }, Severity::Notice);
        let silenced = |back| of(What::Silenced { back, silence: "s".to_owned() }, Severity::Notice);
        for (least, hears) in [("debug", true), ("error", true), ("alert", false)] {
            let channel = channel(&format!("least = '{least}'\nevents = ['asked']"), chat);
            assert_eq!([false, true].map(|back| channel.wants(&silenced(back))), [hears; 2], "{least}");
        }
        let all = [&asked, &approved, &denied, &changed];
        for (more, way, wants) in [
            ("", chat, [true, true, false, true]),
            ("events = ['asked']", chat, [true, false, false, false]),
            ("least = 'alert'", chat, [false, false, false, false]),
            ("least = 'warning'\nevents = ['asked', 'approved', 'denied']", chat, [true, true, true, false]),
            ("events = ['asked', 'denied', 'policy']", pager, [true, true, true, false]),
            ("least = 'alert'", pager, [false, false, false, false]),
        ] {
            let channel = channel(more, way);
            assert_eq!(all.map(|notice| channel.wants(notice)), wants, "{more} {way}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let one = |way: &str| format!("# ours\n[[channel]]\nname = 'x'\n{way}\n");
        for (text, part) in [
            (String::new(), "line 1: there is no [[channel]]"),
            ("chanel = 1".to_owned(), "line 1: unknown field"),
            (one(""), "line 2: the channel x needs one of"),
            (one("slack = { url_file = '/k' }\ncommand = { argv = ['/bin/true'] }"), "only one"),
            (one("command = { argv = ['true'] }"), "whole path"),
            (one("command = { argv = [] }"), "whole path"),
            (one("webhook = { url = 'http://h.example', secret_file = '/k' }"), "without TLS"),
            (one("webhook = { url = 'ftp://h.example', secret_file = '/k' }"), "no address"),
            (one("webhook = { url = 'nonsense', secret_file = '/k' }"), "no address"),
            (one("webhook = { url = 'https://h', secret = 'k' }"), "unknown field `secret`"),
            (format!("heartbeat = {{ url_file = '/k', minutes = 0 }}\n{MAIL}"), "1 to 1440"),
            (format!("guard_minutes = 61\n{MAIL}"), "1 to 60"),
            (format!("metrics = '0.0.0.0:9464'\n{MAIL}"), "this machine alone"),
            (format!("metrics = 'here'\n{MAIL}"), "line 1: "),
            (format!("disk_percent = 91\n{MAIL}"), "0 to 90"),
            (one("gather_seconds = 3601\nslack = { url_file = '/k' }"), "0 to 3600"),
            (one("gather_seconds = 5\npagerduty = { key_file = '/k' }"), "one by one"),
            (one("least = 'loud'\nslack = { url_file = '/k' }"), "unknown variant"),
            (one("pagerduty = { key_file = '/k', server = 'http://x' }"), "without TLS"),
            (one("alertmanager = { url = 'https://a', user = 'u' }"), "go together"),
            (one("ntfy = { server = 'https://n', topic = 'a/b' }"), "no topic"),
            (one("mail = { server = 'mx', security = 'plain', from = 'a@x', to = ['b@x'] }"), "unprotected"),
            (one("mail = { server = 'mx', from = 'a@x', to = [] }"), "nobody to send"),
            (one(&format!("mail = {{ server = 'mx', from = 'a@x', to = [{}] }}", "'b@x',".repeat(51))), "more than 50"),
            (one("mail = { server = 'mx', from = 'a@x', to = ['b@x'], user = 'u' }"), "go together"),
            (one("events = []\nslack = { url_file = '/k' }"), "told nothing"),
            (one("events = ['everything']\nslack = { url_file = '/k' }"), "unknown variant"),
            (format!("{MAIL}{MAIL}"), "line 4: there is a channel m already"),
            (MAIL.replace("'m'", "'m m'"), "is no name"),
        ] {
            let said = Config::parse(&text).expect_err(&text);
            assert!(said.starts_with("line ") && said.contains(part), "{text}: {said}");
        }
        for here in ["http://127.0.0.1:8080/x", "http://localhost", "http://[::1]:9/"] {
            assert_eq!(address(here), Ok(()), "{here}");
        }
        assert!(address("http://127.0.0.1.example/").is_err());
    }
}
