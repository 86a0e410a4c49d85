//! The notifier: tells people what waits for their approval. Runs in the foreground, without any right; a service
//! manager, or a person at a terminal, keeps it.
#![forbid(unsafe_code)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use backstop_core::notice::Kind;
use backstop_engine::porch::{self, Caller};
use backstop_engine::{alerts, clock};
use backstop_net::channel::{Channel, mail};
use backstop_net::config::Config;
use backstop_net::heartbeat::Heartbeat;
use backstop_net::message::Message;
use backstop_net::place::{self, Cursors};
use backstop_net::serve;
use backstop_net::silence::{self, Silence, Silences};
use clap::{Parser, Subcommand, ValueHint};

/// Tell people what waits for their approval: by webhook, Slack, Discord, Teams, ntfy, PagerDuty, Alertmanager, mail or a
/// program. What it needs: backstop help notify
#[derive(Debug, Parser)]
#[command(name = "backstop-notify", version, max_term_width = 100)]
struct Args {
    /// The settings [default: /etc/backstop/notify.toml, or ~/.config/backstop/notify.toml]
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    config: Option<PathBuf>,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Tell people, until it is ended
    Run {
        /// Where it keeps how far it has told [default: $STATE_DIRECTORY, or ~/.local/state/backstop/notify]
        #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
        state: Option<PathBuf>,
    },
    /// Look whether the settings, and the rules for alerts, can be used
    Check,
    /// List the rules for alerts that are in force
    Rules,
    /// Keep something from being told for a while: channels hear that it is, and in the end how much was kept back
    #[command(subcommand)]
    Silence(SilenceVerb),
    /// Send the mail on standard input: for this program itself
    #[command(hide = true, name = "send-mail")]
    SendMail,
    /// Send a message that tells nothing
    Test {
        /// By these channels [default: all]
        channel: Vec<String>,
    },
}

#[derive(Debug, Subcommand)]
enum SilenceVerb {
    /// Make one
    Add {
        /// Alerts of this rule; `*` at its start or its end stands for anything. May be given again
        #[arg(long, value_name = "NAME")]
        rule: Vec<String>,
        /// All of a kind: alert, denied, disk, guard, policy. May be given again
        #[arg(long, value_name = "KIND", value_parser = kind)]
        kind: Vec<Kind>,
        /// For so long, at most a week
        #[arg(long, value_name = "MINUTES")]
        minutes: u64,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// List those that hold
    List,
    /// End one
    End {
        /// What it is called
        silence: String,
    },
}

fn kind(text: &str) -> Result<Kind, String> {
    let known = silence::MAY.map(silence::name);
    let found = silence::MAY.into_iter().find(|kind| silence::name(*kind) == text);
    found.ok_or_else(|| format!("it is one of {}", known.join(", ")))
}

/// It ends by its settings, or by where it is (`EX_CONFIG` of sysexits.h): started again it would end again.
const CONFIG: u8 = 78;

/// What to do about rules that can't be used.
const RULES: &str = "Backstop's own hold meanwhile; mend it: backstop help alerts";

/// Something else is wrong, which may pass.
const PASSING: u8 = 1;

/// Why it ends: what is wrong, what to do, and the exit code.
type Trouble = (String, &'static str, u8);

fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args) {
        Ok(code) => code,
        Err((what, next, code)) => {
            eprintln!("backstop-notify: {what}\n  next     {next}");
            ExitCode::from(code)
        }
    }
}

fn run(args: &Args) -> Result<ExitCode, Trouble> {
    let path = args.config.clone().unwrap_or_else(|| place::config("notify"));
    let load = || load(&path);
    let silences = path.with_file_name(silence::FILE);
    match &args.verb {
        Verb::Silence(verb) => silence_by(verb, &silences),
        Verb::Rules => {
            let (rules, trouble) = alerts::rules(&place::alerts());
            for rule in rules.all() {
                println!("{:<8} {:<24} {}", rule.severity.name(), rule.name, rule.says);
            }
            trouble.map_or(Ok(ExitCode::SUCCESS), |why| Err((why, RULES, CONFIG)))
        }
        Verb::SendMail => Ok(mail::send_one()),
        Verb::Check => {
            let (config, channels) = load()?;
            for channel in &channels {
                println!("{}: ready", channel.config.name);
            }
            if heartbeat(&config)?.is_some() {
                println!("heartbeat: ready");
            }
            let (rules, trouble) = alerts::rules(&place::alerts());
            if let Some(why) = trouble {
                return Err((why, RULES, CONFIG));
            }
            println!("alerts: {} rules", rules.all().len());
            Ok(ExitCode::SUCCESS)
        }
        Verb::Test { channel } => {
            let (config, channels) = load()?;
            test(&config, &channels, channel)
        }
        Verb::Run { state } => {
            let (config, channels) = load()?;
            let here = "name a directory of its own: backstop-notify run --state DIR";
            let state = state
                .clone()
                .or_else(|| place::state("notify"))
                .ok_or_else(|| ("it has no place to remember".to_owned(), here, CONFIG))?;
            let cursors = Cursors::open(&state).map_err(|e| (format!("{}: {e}", state.display()), here, PASSING))?;
            eprintln!("backstop-notify: tells people by {}", names(&channels));
            let sign = heartbeat(&config)?;
            let said = serve::serve(&config, &channels, sign.as_ref(), (&cursors, &silences), &|text| {
                eprintln!("backstop-notify: {text}")
            });
            said.map_err(|e| (e.to_string(), "take the file away: then what comes from now on is told", CONFIG))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Makes, lists and ends silences.
fn silence_by(verb: &SilenceVerb, path: &Path) -> Result<ExitCode, Trouble> {
    let own = "by whoever may write the notifier's settings: sudo backstop-notify silence …";
    let failed = |e: std::io::Error| (format!("{}: {e}", path.display()), own, PASSING);
    // One writes at a time.
    let _one = match verb {
        SilenceVerb::List => None,
        _ => Some(silence::alone(path).map_err(failed)?),
    };
    let mend = "take the file away, or mend it: then nothing is silenced";
    let mut all = Silences::load(path).map_err(|e| (format!("{}: {e}", path.display()), mend, PASSING))?;
    let now = clock::now();
    match verb {
        SilenceVerb::List => {
            for silence in all.silences.iter().filter(|silence| silence.holds(now)) {
                let Silence { by, id, reason, until, .. } = silence;
                println!("{id}  until {}  {}  (user account {by}: {reason})", until.whole(), silence.about());
            }
        }
        SilenceVerb::Add { rule, kind, minutes, reason } => {
            let what = (kind.iter().copied().collect(), rule.clone());
            let wrong = |why| (why, "backstop help alerts says what can be silenced", PASSING);
            // Who typed `sudo` is still who logged in.
            let by = porch::login().unwrap_or_else(|| Caller::of_this_process().uid);
            let new = Silence::new(what, reason, *minutes, by, now).map_err(wrong)?;
            let said = format!("{}  until {}  {}", new.id, new.until.whole(), new.about());
            all.add(new).map_err(wrong)?;
            all.save(path).map_err(failed)?;
            println!("{said}");
        }
        SilenceVerb::End { silence } => {
            if all.end(silence, now).is_none() {
                let what = format!("no silence {silence:?} holds");
                return Err((what, "list them: backstop-notify silence list", PASSING));
            }
            all.save(path).map_err(failed)?;
            println!("{silence}  ended");
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn load(path: &Path) -> Result<(Config, Vec<Channel>), Trouble> {
    let text = fs::read_to_string(path)
        .map_err(|e| (format!("{} can't be read: {e}", path.display()), "write it: backstop help notify", PASSING))?;
    let wrong = |why: String| (format!("{}, {why}", path.display()), "mend it: backstop help notify", CONFIG);
    let config = Config::parse(&text).map_err(wrong)?;
    let mut channels = Vec::new();
    for channel in &config.channels {
        let ready = Channel::new(channel.clone()).map_err(|why| wrong(format!("channel {}: {why}", channel.name)))?;
        channels.push(ready);
    }
    Ok((config, channels))
}

fn heartbeat(config: &Config) -> Result<Option<Heartbeat>, Trouble> {
    let wrong = |why| (format!("the heartbeat: {why}"), "mend it: backstop help notify", CONFIG);
    config.heartbeat.as_ref().map(Heartbeat::new).transpose().map_err(wrong)
}

fn names(channels: &[Channel]) -> String {
    channels.iter().map(|c| c.config.name.as_str()).collect::<Vec<_>>().join(", ")
}

fn test(config: &Config, channels: &[Channel], named: &[String]) -> Result<ExitCode, Trouble> {
    if let Some(unknown) = named.iter().find(|n| channels.iter().all(|c| c.config.name != **n)) {
        return Err((
            format!("there is no channel {unknown}; there are {}", names(channels)),
            "name one of these",
            PASSING,
        ));
    }
    let doors = backstop_engine::open(serve::recovered).and_then(|doors| doors.test_notice());
    let notice =
        doors.map_err(|f| (f.what, "run it by the notifier's account, or as root: backstop help notify", PASSING))?;
    let mut code = ExitCode::SUCCESS;
    for channel in channels.iter().filter(|c| named.is_empty() || named.contains(&c.config.name)) {
        let name = &channel.config.name;
        match channel.send(&Message::one(notice.clone(), config.link(&notice))) {
            Ok(()) => println!("{name}: arrived"),
            Err(miss) => {
                println!("{name}: {}", miss.why);
                code = ExitCode::FAILURE;
            }
        }
    }
    Ok(code)
}
