//! The notifier: tells people what waits for their approval. Runs in the foreground, without any right; a service
//! manager, or a person at a terminal, keeps it.
#![forbid(unsafe_code)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use backstop_net::channel::{Channel, mail};
use backstop_net::config::Config;
use backstop_net::heartbeat::Heartbeat;
use backstop_net::place::{self, Cursors};
use backstop_net::serve;
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
    /// Look whether the settings can be used
    Check,
    /// Send the mail on standard input: for this program itself
    #[command(hide = true, name = "send-mail")]
    SendMail,
    /// Send a message that tells nothing
    Test {
        /// By these channels [default: all]
        channel: Vec<String>,
    },
}

/// It ends by its settings, or by where it is (`EX_CONFIG` of sysexits.h): started again it would end again.
const CONFIG: u8 = 78;

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
    let load = || load(&args.config.clone().unwrap_or_else(|| place::config("notify")));
    match &args.verb {
        Verb::SendMail => Ok(mail::send_one()),
        Verb::Check => {
            let (config, channels) = load()?;
            for channel in &channels {
                println!("{}: ready", channel.config.name);
            }
            if heartbeat(&config)?.is_some() {
                println!("heartbeat: ready");
            }
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
            let said =
                serve::serve(&config, &channels, sign.as_ref(), &cursors, &|text| eprintln!("backstop-notify: {text}"));
            said.map_err(|e| (e.to_string(), "take the file away: then what comes from now on is told", CONFIG))?;
            Ok(ExitCode::SUCCESS)
        }
    }
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
        match channel.send(&notice, config.link(&notice).as_deref()) {
            Ok(()) => println!("{name}: arrived"),
            Err(miss) => {
                println!("{name}: {}", miss.why);
                code = ExitCode::FAILURE;
            }
        }
    }
    Ok(code)
}
