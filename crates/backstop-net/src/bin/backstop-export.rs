//! The exporter: copies the audit log to where others look at it. Runs in the foreground, without any right but to read it;
//! a service manager, or a person at a terminal, keeps it.
#![forbid(unsafe_code)]

use std::fs;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use backstop_core::export::Span;
use backstop_core::notice::Mark;
use backstop_core::size;
use backstop_core::time::Timestamp;
use backstop_engine::{Lines, clock};
use backstop_net::export::config::Config;
use backstop_net::export::pump::{Book, Counts, Pump};
use backstop_net::export::record::Record;
use backstop_net::export::serve::{self, Log, Ready};
use backstop_net::export::sink::{self, shaped};
use backstop_net::export::status::Status;
use backstop_net::metrics;
use backstop_net::place::{self, Cursors};
use backstop_net::serve::Clock;
use clap::{Parser, Subcommand, ValueHint};

/// Copy the audit log to Elasticsearch, OpenSearch, Graylog, Datadog, OTLP, Splunk, syslog, journald, webhooks or files. What
/// it needs: backstop help export
#[derive(Debug, Parser)]
#[command(name = "backstop-export", version, max_term_width = 100)]
struct Args {
    /// The settings [default: /etc/backstop/export.toml, or ~/.config/backstop/export.toml]
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    config: Option<PathBuf>,
    /// Where it keeps how far each sink has the log [default: $STATE_DIRECTORY, /var/lib/backstop-export where that is, or
    /// ~/.local/state/backstop/export]
    #[arg(long, global = true, value_name = "DIR", value_hint = ValueHint::DirPath)]
    state: Option<PathBuf>,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Copy the log, until it is ended
    Run,
    /// Look whether the settings can be used
    Check,
    /// Show how far each sink has the log, and what is wrong
    Status {
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Try whether sinks are there and take what comes from here; nothing of the log is sent
    Test {
        /// These [default: all]
        sink: Vec<String>,
    },
    /// Send entries again: to a sink that lost them
    Backfill {
        /// The sink
        sink: String,
        /// From this entry on
        #[arg(long, value_name = "ENTRY", required_unless_present = "since", conflicts_with = "since")]
        from: Option<u64>,
        /// From this moment on (2026-11-22T16:00:00Z)
        #[arg(long, value_name = "TIME", value_parser = moment)]
        since: Option<Timestamp>,
        /// Up to this entry [default: the last]
        #[arg(long, value_name = "ENTRY")]
        to: Option<u64>,
    },
}

fn moment(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).ok_or_else(|| "no moment: 2026-11-22T16:00:00Z".to_owned())
}

/// It ends by its settings, or by where it is (`EX_CONFIG` of sysexits.h): started again it would end again.
const CONFIG: u8 = 78;

/// Something else is wrong, which may pass.
const PASSING: u8 = 1;

/// Where a service manager keeps it.
const MANAGED: &str = "/var/lib/backstop-export";

/// Why it ends: what is wrong, what to do, and the exit code.
type Trouble = (String, &'static str, u8);

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(code) => code,
        Err((what, next, code)) => {
            eprintln!("backstop-export: {what}\n  next     {next}");
            ExitCode::from(code)
        }
    }
}

fn run(args: &Args) -> Result<ExitCode, Trouble> {
    let path = args.config.clone().unwrap_or_else(|| place::config("export"));
    let config = settings(&path)?;
    let say = |text: &str| eprintln!("backstop-export: {text}");
    match &args.verb {
        Verb::Check => {
            for ready in sinks(&path, config)? {
                println!("{}: ready ({})", ready.config.name, ready.config.to.kind());
            }
            Ok(ExitCode::SUCCESS)
        }
        Verb::Test { sink } => test(named(sinks(&path, config)?, sink)?),
        Verb::Status { json } => {
            let status = Status::look(&config, &state(args)?, &mut open, clock::now());
            println!("{}", if *json { status.document() } else { status.text() });
            Ok(if status.is_well() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Verb::Backfill { sink, from, since, to } => {
            let mut one = named(sinks(&path, config)?, std::slice::from_ref(sink))?;
            backfill(&mut one[0], *from, *since, *to)
        }
        Verb::Run => {
            let (state, figures) = (state(args)?, config.clone());
            let all = sinks(&path, config)?;
            let here = "name a directory of its own: backstop-export run --state DIR";
            let cursors = Cursors::open(&state).map_err(|e| (format!("{}: {e}", state.display()), here, PASSING))?;
            say(&format!("copies the audit log to {}", names(&all)));
            if let Some(address) = figures.metrics {
                let state = state.clone();
                let page = move || Status::look(&figures, &state, &mut open, clock::now()).page();
                std::thread::spawn(move || metrics::serve(address, &page, &say));
            }
            let served = serve::serve(all, &cursors, &open, &say);
            served.map_err(|e| (e.to_string(), "take the file away: then it gets the log as a new sink", CONFIG))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn open() -> Result<Box<dyn Log>, String> {
    let doors = backstop_engine::open(|all| {
        all.iter().for_each(|one| eprintln!("backstop-export: recovered {}: {}", one.id, one.what));
    });
    Ok(Box::new(doors.map_err(|failure| failure.what)?))
}

fn settings(path: &Path) -> Result<Config, Trouble> {
    let text = fs::read_to_string(path)
        .map_err(|e| (format!("{} can't be read: {e}", path.display()), "write it: backstop help export", PASSING))?;
    Config::parse(&text).map_err(|why| wrong(path, &why))
}

fn wrong(path: &Path, why: &str) -> Trouble {
    (format!("{}, {why}", path.display()), "mend it: backstop help export", CONFIG)
}

fn sinks(path: &Path, config: Config) -> Result<Vec<Ready>, Trouble> {
    let ready = |config| {
        let sink = sink::ready(&config).map_err(|why| wrong(path, &format!("sink {}: {why}", config.name)))?;
        Ok(Ready { config, sink })
    };
    config.sinks.into_iter().map(ready).collect()
}

fn state(args: &Args) -> Result<PathBuf, Trouble> {
    let managed = || {
        Some(PathBuf::from(MANAGED))
            .filter(|dir| dir.is_dir() && Path::new(place::CONFIGS).join("export.toml").exists())
    };
    let here = "name a directory of its own: --state DIR";
    let state = args.state.clone().or_else(place::managed).or_else(managed).or_else(|| place::state("export"));
    state.ok_or_else(|| ("it has no place to remember".to_owned(), here, CONFIG))
}

fn names(all: &[Ready]) -> String {
    all.iter().map(|ready| ready.config.name.as_str()).collect::<Vec<_>>().join(", ")
}

fn named(all: Vec<Ready>, named: &[String]) -> Result<Vec<Ready>, Trouble> {
    if let Some(unknown) = named.iter().find(|n| all.iter().all(|ready| ready.config.name != **n)) {
        return Err((format!("there is no sink {unknown}; there are {}", names(&all)), "name one of these", PASSING));
    }
    Ok(all.into_iter().filter(|ready| named.is_empty() || named.contains(&ready.config.name)).collect())
}

fn test(all: Vec<Ready>) -> Result<ExitCode, Trouble> {
    let mut code = ExitCode::SUCCESS;
    for mut ready in all {
        match ready.sink.probe() {
            Ok(()) => println!("{}: there", ready.config.name),
            Err(miss) => {
                println!("{}: {}", ready.config.name, miss.why);
                code = ExitCode::FAILURE;
            }
        }
    }
    Ok(code)
}

/// Sends what was sent once more. How far the sink has the log is not touched; `run` may be at work meanwhile.
fn backfill(
    ready: &mut Ready,
    from: Option<u64>,
    since: Option<Timestamp>,
    to: Option<u64>,
) -> Result<ExitCode, Trouble> {
    let failed = |why: String| (why, "run it by the exporter's account: backstop help export", PASSING);
    let mut log = open().map_err(failed)?;
    let Lines { end, next, .. } = log.lines(None, Duration::ZERO).map_err(failed)?;
    let last = to.map_or(end, |to| to.saturating_add(1).min(end));
    let mut mark = Mark { entry: from.unwrap_or(0), ..next };
    let mut clock = Clock(Instant::now());
    let mut pump = Pump::new(ready.sink.as_mut(), &mut clock);
    let mut told = Told { begun: None, counts: Counts::default(), last, shows: std::io::stderr().is_terminal() };
    while mark.entry < last {
        let piece = log.lines(Some(&mark), Duration::ZERO).or_else(|_| {
            // Sending the last one may have taken longer than a connection may be silent.
            log = open()?;
            log.lines(Some(&mark), Duration::ZERO)
        });
        let Lines { host, lines, next, .. } = piece.map_err(failed)?;
        let records = lines.into_iter().map(|line| Record::read(line, &next.log, &host));
        let records = records.collect::<Result<Vec<_>, _>>().map_err(failed)?;
        if records.is_empty() {
            break;
        }
        let wanted = records.iter().filter(|r| r.entry.index < last && since.is_none_or(|since| r.entry.at >= since));
        let batch: Vec<_> = wanted.map(|record| shaped(pump.sink(), record)).collect();
        told.begun = told.begun.or_else(|| batch.first().map(|one| one.index));
        pump.deliver(batch, &mut told).map_err(failed)?;
        mark = next;
    }
    told.end(&ready.config.name);
    Ok(if told.counts.skipped == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Tells a person how it goes.
struct Told {
    begun: Option<u64>,
    counts: Counts,
    last: u64,
    shows: bool,
}

impl Told {
    fn end(&self, name: &str) {
        if self.shows {
            eprint!("\r\x1b[K");
        }
        let Counts { known, skipped, taken, .. } = self.counts;
        let entries = |n| size::counted(n, "entry", "entries");
        println!("{name}: {} sent, {} it had already, {} refused", entries(taken), entries(known), entries(skipped));
    }
}

impl Book for Told {
    fn settled(&mut self, next: u64, counts: Counts) -> Result<(), String> {
        self.counts.taken += counts.taken;
        self.counts.known += counts.known;
        self.counts.skipped += counts.skipped;
        if let (true, Some(begun)) = (self.shows, self.begun) {
            let (done, all) = (next - begun, self.last.saturating_sub(begun).max(1));
            eprint!("\r\x1b[K{} of {} ({} %)", size::count(done), size::count(all), done * 100 / all);
        }
        Ok(())
    }

    fn skips(&mut self, entries: Span, why: &str) -> Result<(), String> {
        eprintln!("backstop-export: {} refused: {why}", entries.in_words());
        Ok(())
    }

    fn waits(&mut self, _: Duration) {}

    fn fails(&mut self, entry: u64, why: &str, wait: Duration, _: Duration) {
        eprintln!("backstop-export: entry {entry} did not arrive, again in {} s: {why}", wait.as_secs());
    }
}
