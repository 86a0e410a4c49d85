//! Claims of system mode, each by a script in a throw-away root with a daemon, an agent's account, and two people's:
//! the same commands and answers as without a daemon; two people alone let a real database go; an agent's account
//! gets at nothing of its guard's, nor by way of it at anybody else's.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use backstop_e2e::arena::{Arena, Plan, Who};
use backstop_e2e::bounded::watchdog;
use backstop_e2e::trial::claim;
use backstop_e2e::{Broken, faults, guard};
use libtest_mimic::{Arguments, Failed};
use serde_json::Value;

const LIB: &str = include_str!("../system/lib.sh");
const STEP: Duration = Duration::from_secs(300);

fn main() {
    let args = Arguments::from_args();
    let missing = guard::missing().or_else(|| {
        let absent: Vec<_> = ["cc", "flock", "openssl", "pgrep", "pkill", "script", "ssh-keygen", "tmux"]
            .into_iter()
            .filter(|p| !guard::installed(p))
            .collect();
        (!absent.is_empty()).then(|| format!("these programs are missing: {}", absent.join(", ")))
    });
    if !args.list && missing.is_none() {
        guard::enter_own_mounts();
        watchdog(Duration::from_secs(600));
    }
    let trials = vec![
        claim("the-same-commands-and-answers", &missing, || plays(include_str!("../system/modes.sh"), None).map(drop)),
        claim("an-agents-account-gets-past-nothing", &missing, || {
            plays(include_str!("../system/attacks.sh"), None).map(drop)
        }),
        claim("as-another-user-by-the-settings-alone", &missing, || {
            plays(include_str!("../system/as.sh"), None).map(drop)
        }),
        claim("two-people-alone-let-a-database-go", &missing, two_people),
        claim("a-daemon-killed-anywhere-loses-nothing", &missing, killed),
        claim("people-decide-at-a-screen", &missing, || plays(include_str!("../system/review.sh"), None).map(drop)),
        claim("people-are-told", &missing, told),
        claim("what-rules-speak-of-is-told-once-and-silenced-aloud", &missing, || {
            plays(include_str!("../system/alerts.sh"), None).map(drop)
        }),
        claim("the-log-is-where-others-look-at-it", &missing, exported),
        claim("one-alone-breaks-the-glass-and-is-reviewed", &missing, glass),
        claim("a-broken-glass-is-reviewed-wherever-it-is-cut-off", &missing, glass_killed),
        claim("one-alone-waits-a-day", &missing, || by_clock(include_str!("../system/alone.sh"))),
        claim("time-that-cannot-be-trusted-ends-what-waits", &missing, || by_clock(include_str!("../system/time.sh"))),
        claim("whether-somebody-watched-is-on-record", &missing, || {
            plays(include_str!("../system/guard.sh"), None).map(drop)
        }),
        claim("the-red-button-stops-all-and-two-people-let-it-go-on", &missing, || {
            plays(include_str!("../system/freeze.sh"), None).map(drop)
        }),
        claim("who-tries-again-and-again-is-banned-and-two-people-end-it", &missing, || {
            plays(include_str!("../system/jail.sh"), None).map(drop)
        }),
        claim("a-fail2ban-that-is-there-bans-by-our-log", &missing, fail2ban),
        claim("a-full-disk-keeps-nobody-from-saying-how-it-ended", &missing, || {
            plays(include_str!("../system/full.sh"), None).map(drop)
        }),
        claim("many-at-once", &missing, many),
    ];
    libtest_mimic::run(&args, trials).exit();
}

/// Plays a script; every claim that it makes has to hold.
fn plays(script: &str, faulty: Option<&Path>) -> Result<Arena, Failed> {
    plays_with(script, faulty, Vec::new())
}

/// The same with directories of the machine.
fn plays_with(script: &str, faulty: Option<&Path>, borrowed: Vec<(PathBuf, String)>) -> Result<Arena, Failed> {
    let guard = faulty.map_or_else(guard::binary, Path::to_path_buf);
    let arena = Arena::new(Plan { who: Who::Root, guard: Some(guard), borrowed })?;
    let said = arena.sh_as(Who::Root, &format!("{LIB}\n{script}\necho end >> /w/result"), &[], STEP)?;
    let result = read(&arena, "result")?;
    let claims = script.lines().filter(|l| l.trim_start().starts_with("expect ")).count();
    // A script that stopped early has not failed one claim.
    let whole = result.ends_with("\nend\n");
    let lines = result.lines().filter(|l| *l != "end");
    let (ok, failed): (Vec<&str>, Vec<&str>) = lines.partition(|l| l.starts_with("ok "));
    if whole && failed.is_empty() && ok.len() >= claims && claims > 0 {
        return Ok(arena);
    }
    let log = std::fs::read_to_string(arena.at("/w/daemon.log")).unwrap_or_default();
    let text = format!(
        "{} claims hold, {claims} are written, came to its end: {whole}\n{}\ndaemon: {log}\n{said:?}",
        ok.len(),
        failed.join("\n")
    );
    Err(text.into())
}

fn read(arena: &Arena, name: &str) -> Result<String, Broken> {
    std::fs::read_to_string(arena.at("/w").join(name)).map_err(Broken::io(format!("read {name}")))
}

/// With what the audit log alone says, two signatures are good by plain OpenSSH.
fn two_people() -> Result<(), Failed> {
    let arena = plays(include_str!("../system/people.sh"), None)?;
    let log = read(&arena, "log.json")?;
    let entries = log.lines().filter_map(|l| serde_json::from_str::<Value>(l).ok());
    let claimed = entries.filter_map(|e| e["body"].get("approval.claimed").cloned()).next();
    let claimed = claimed.ok_or("the log tells of no claim")?;
    let votes = claimed["votes"].as_array().ok_or("a claim without votes")?.clone();
    if votes.len() != 2 {
        return Err(format!("{} votes, and it took two", votes.len()).into());
    }
    let dir = tempfile::tempdir()?;
    for vote in votes {
        let text = vote["text"].as_str().ok_or("a vote without a statement")?;
        let signature = vote["signature"].as_str().ok_or("a vote without a signature")?;
        let person = text.lines().find_map(|l| l.strip_prefix("person ")).ok_or("a statement of nobody")?;
        let key = read(&arena, &format!("{person}.pub"))?;
        std::fs::write(dir.path().join("allowed"), format!("{person} {key}"))?;
        std::fs::write(dir.path().join("sig"), signature)?;
        verifies(dir.path(), person, text)?;
    }
    Ok(())
}

fn verifies(dir: &Path, person: &str, text: &str) -> Result<(), Failed> {
    let mut child = Command::new("ssh-keygen")
        .args(["-Y", "verify", "-n", "approval@backstop", "-f", "allowed", "-s", "sig", "-I", person])
        .current_dir(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()?;
    child.stdin.take().ok_or("no standard input")?.write_all(text.as_bytes())?;
    let status = child.wait()?;
    if status.success() { Ok(()) } else { Err(format!("OpenSSH does not verify what {person} signed").into()) }
}

/// As its distribution has it, and with the files that we ship for it.
fn fail2ban() -> Result<(), Failed> {
    let unpacked = guard::unpacked("fail2ban")?;
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("../integrations/fail2ban");
    let borrowed = vec![(unpacked, "/opt/fail2ban".to_owned()), (ours, "/opt/integration".to_owned())];
    plays_with(include_str!("../system/fail2ban.sh"), None, borrowed).map(drop)
}

/// Prints the figures, which are no claims.
fn many() -> Result<(), Failed> {
    let arena = plays(include_str!("../system/load.sh"), None)?;
    println!("{}", read(&arena, "memory")?);
    Ok(())
}

/// The notifier, against servers of its own.
fn told() -> Result<(), Failed> {
    let script = include_str!("../system/notify.sh");
    let server = include_str!("../system/notified.py");
    let borrowed = vec![(guard::unpacked("alertmanager")?, "/opt/alertmanager".to_owned())];
    let script = format!("cat > /tmp/notified <<'END_OF_PROGRAM'\n{server}\nEND_OF_PROGRAM\n{script}");
    plays_with(&script, None, borrowed).map(drop)
}

/// The exporter, against real receivers and doubles of others.
fn exported() -> Result<(), Failed> {
    let ours = |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("../integrations").join(name);
    let borrowed = vec![
        (guard::unpacked("clients")?, "/opt/clients".to_owned()),
        (guard::unpacked("rsyslog")?, "/opt/rsyslog".to_owned()),
        (ours("elasticsearch"), "/opt/elasticsearch".to_owned()),
        (ours("opensearch"), "/opt/opensearch".to_owned()),
    ];
    let program = |name: &str, text: &str| format!("cat > {name} <<'END_OF_PROGRAM'\n{text}\nEND_OF_PROGRAM\n");
    let doubles = program("/tmp/sinks-py", include_str!("../system/sinks.py"));
    let clients = program("/tmp/sinks-clients", include_str!("../system/sinks-clients.py"));
    plays_with(&format!("{doubles}{clients}{}", include_str!("../system/export.sh")), None, borrowed).map(drop)
}

/// With a security key that is software.
fn with_token(script: &str) -> String {
    let token = include_str!("../system/token.py");
    format!("cat > /tmp/token <<'END_OF_PROGRAM'\n{token}\nEND_OF_PROGRAM\n{script}")
}

fn glass() -> Result<(), Failed> {
    plays(&with_token(include_str!("../system/glass.sh")), None).map(drop)
}

fn glass_killed() -> Result<(), Failed> {
    plays(&with_token(include_str!("../system/glass-killed.sh")), Some(&faults::faults_bin())).map(drop)
}

/// With a daemon whose clock the script sets.
fn by_clock(script: &str) -> Result<(), Failed> {
    plays(&format!("{}\n{script}", include_str!("../system/clock.sh")), None).map(drop)
}

/// The daemon, or the worker of a run, is killed at every point where something is written.
fn killed() -> Result<(), Failed> {
    plays(include_str!("../system/killed.sh"), Some(&faults::faults_bin())).map(drop)
}
