//! Claims of `audit verify --auditd` with the distribution's auditd and this machine's kernel: what a run starts is explained,
//! what an agent's account starts past Backstop is found, and that auditd was not there is said as well.
//!
//! The kernel has one audit, for all of the machine: rules are for an account that only this test uses, and what was not on
//! before is off again at its end.

use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use backstop_e2e::guard;

/// Nobody's on a machine as it comes.
const AGENT: u32 = 54_321;

const CONFIG: &str = "local_events = yes\nwrite_logs = yes\nlog_group = root\nlog_format = ENRICHED\nflush = SYNC\nfreq = 1\n\
                      max_log_file = 8\nnum_logs = 3\npriority_boost = 0\nname_format = HOSTNAME\n\
                      max_log_file_action = ROTATE\nspace_left = 75\nspace_left_action = SUSPEND\nadmin_space_left = 50\n\
                      admin_space_left_action = SUSPEND\ndisk_full_action = SUSPEND\ndisk_error_action = SUSPEND\n";

/// A running auditd with our own rules, and a home for the agent.
struct Scene {
    dir: tempfile::TempDir,
    unpacked: PathBuf,
    auditd: Option<Child>,
    /// Whether the kernel's audit was on before.
    was: String,
}

impl Scene {
    fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("backstop-auditd-").tempdir_in("/var/tmp").expect("a directory");
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).expect("readable");
        let unpacked = guard::unpacked("auditd").expect("auditd");
        let mut scene = Self { dir, unpacked, auditd: None, was: "0".to_owned() };
        let said = scene.ctl(&["-s"]);
        scene.was = said.lines().find_map(|line| line.strip_prefix("enabled ")).expect("a state").to_owned();
        // Another one would get ours, and have rules of its own.
        assert!(said.contains("\npid 0\n"), "this machine's audit is taken: {said}");
        for place in ["audit", "config", "config/plugins.d", "home", "home/w", "root/etc/backstop"] {
            fs::create_dir_all(scene.at(place)).expect("made");
        }
        for place in ["home", "home/w"] {
            chown(scene.at(place), Some(AGENT), Some(AGENT)).expect("the agent's");
        }
        // The build directory may be closed to other users.
        for name in ["backstop", "backstopd"] {
            fs::copy(guard::binary().with_file_name(name), scene.at(name)).expect("a copy");
        }
        let config = format!("{CONFIG}log_file = {}\n", scene.at("audit/audit.log").display());
        fs::write(scene.at("config/auditd.conf"), config).expect("written");
        fs::set_permissions(scene.at("config/auditd.conf"), Permissions::from_mode(0o600)).expect("root's");
        fs::write(scene.at("root/etc/backstop/settings.toml"), "agents = [\"robot\"]\n").expect("written");
        fs::write(scene.at("root/etc/passwd"), format!("robot:x:{AGENT}:{AGENT}::/home/robot:/bin/sh\n"))
            .expect("written");
        let root = scene.at("root");
        let made = scene.backstop(&["install", "auditd", "--root", root.to_str().expect("text")]);
        assert!(made.status.success(), "{made:?}");
        let mut auditd = scene.tool("auditd");
        auditd.arg("-n").arg("-c").arg(scene.at("config")).stdout(Stdio::null()).stderr(Stdio::null());
        scene.auditd = Some(auditd.spawn().expect("auditd"));
        scene.until("auditd is there", |scene| !scene.ctl(&["-s"]).contains("\npid 0\n"));
        scene
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn tool(&self, name: &str) -> Command {
        let mut tool = Command::new(self.unpacked.join("sbin").join(name));
        let arch = std::env::consts::ARCH;
        let libraries = [format!("lib/{arch}-linux-gnu"), format!("usr/lib/{arch}-linux-gnu")];
        let libraries = libraries.map(|place| self.unpacked.join(place).display().to_string());
        tool.env("LD_LIBRARY_PATH", libraries.join(":"));
        tool
    }

    fn ctl(&self, args: &[&str]) -> String {
        let out = self.tool("auditctl").args(args).output().expect("auditctl");
        assert!(out.status.success(), "auditctl {args:?}: {out:?}");
        String::from_utf8(out.stdout).expect("text")
    }

    fn rules_on(&self) {
        self.ctl(&["-R", self.at("root/etc/audit/rules.d/50-backstop.rules").to_str().expect("text")]);
        self.ctl(&["-e", "1"]);
    }

    fn rules_off(&self) {
        for key in ["backstop-exec", "backstop-config", "backstop-program"] {
            self.ctl(&["-D", "-k", key]);
        }
    }

    fn backstop(&self, args: &[&str]) -> Output {
        Command::new(self.at("backstop")).args(args).output().expect("backstop")
    }

    fn agent(&self, program: &Path, args: &[&str]) -> Output {
        let id = AGENT.to_string();
        let mut command = Command::new("setpriv");
        command.args(["--reuid", &id, "--regid", &id, "--clear-groups", "--"]).arg(program).args(args);
        command
            .current_dir(self.at("home/w"))
            .env("HOME", self.at("home"))
            .env("XDG_STATE_HOME", self.at("home/state"));
        command.stdin(Stdio::null()).output().expect("setpriv")
    }

    fn run(&self, line: &str) {
        let out = self.agent(&self.at("backstop"), &["run", "-c", line]);
        assert!(out.status.success(), "{out:?}");
    }

    /// What is said of the two logs, and with which code.
    fn verify(&self, more: &[&str]) -> (i32, String) {
        let log = self.at("home/state/backstop/audit");
        let auditd = format!("--auditd={}", self.at("audit").display());
        let id = AGENT.to_string();
        let named = ["audit", "verify", "--log", log.to_str().expect("text"), &auditd, "--account", &id];
        let out = self.backstop(&[&named, more].concat());
        let said = String::from_utf8(out.stdout).expect("text") + std::str::from_utf8(&out.stderr).expect("text");
        (out.status.code().expect("a code"), said)
    }

    /// auditd writes a moment later.
    fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let end = Instant::now() + Duration::from_secs(20);
        while !holds(self) {
            assert!(Instant::now() < end, "it does not come about that {what}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn is_written(&self, words: &str) {
        self.until(&format!("auditd has {words}"), |scene| {
            fs::read(scene.at("audit/audit.log")).is_ok_and(|log| String::from_utf8_lossy(&log).contains(words))
        });
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        // Also where a claim failed: nothing of this stays on the machine.
        for args in
            [&["-D", "-k", "backstop-exec"][..], &["-D", "-k", "backstop-config"], &["-D", "-k", "backstop-program"]]
        {
            let _gone = self.tool("auditctl").args(args).output();
        }
        if let Some(mut auditd) = self.auditd.take() {
            let _told = Command::new("kill").arg(auditd.id().to_string()).status();
            let _ended = auditd.wait();
        }
        let _as_before = self.tool("auditctl").args(["-e", &self.was]).output();
    }
}

#[test]
fn what_an_agent_starts_past_backstop_is_found_by_auditd() {
    let scene = Scene::new();
    scene.rules_on();
    scene.run("ls / >/dev/null; sh -c 'true one'; cp /bin/true mine; ./mine two; for n in 1 2 3; do /bin/echo $n; done >/dev/null");
    scene.is_written("a1=\"two\"");
    let (code, said) = scene.verify(&[]);
    assert!(code == 0 && said.contains(&format!(" of users {AGENT}, from ")), "{said}");
    assert!(!said.contains("did not see"), "{said}");

    // The same programs, and by the same account, without Backstop.
    scene.agent(Path::new("/bin/sh"), &["-c", "/bin/true past; /bin/true past"]);
    scene.until("auditd has both", |scene| {
        let log = fs::read(scene.at("audit/audit.log")).unwrap_or_default();
        String::from_utf8_lossy(&log).matches("a1=\"past\"").count() == 2
    });
    let (code, said) = scene.verify(&[]);
    let real = |path: &str| fs::canonicalize(path).expect("it is there").display().to_string();
    let (shell, program) = (real("/bin/sh"), real("/bin/true"));
    assert_eq!(code, 1, "{said}");
    assert!(said.contains(&format!("no run explains that user {AGENT} started {program} at ")), "{said}");
    assert!(said.contains("2 times until ") && said.contains("(ausearch -p "), "{said}");
    assert!(said.contains(&format!("started {shell} at ")), "{said}");
    assert!(said.lines().any(|line| line.starts_with("completeness") && line.contains("broken")), "{said}");
    assert!(said.lines().any(|line| line.starts_with("integrity") && line.contains("holds")), "{said}");
    let (code, said) = scene.verify(&["--expected", &shell, "--expected", &program]);
    assert_eq!(code, 0, "{said}");
    // An executable by the path of one that is expected, in a root of its own, is another.
    let (jail, inside) = (scene.at("home/jail"), shell.trim_start_matches('/'));
    for place in
        [Path::new(inside).parent().expect("a directory"), Path::new("lib"), Path::new("lib64"), Path::new("usr")]
    {
        fs::create_dir_all(jail.join(place)).expect("made");
    }
    fs::copy(&program, jail.join(inside)).expect("a copy");
    let id = AGENT.to_string();
    let line = format!(
        "mount --rbind /lib {0}/lib; mount --rbind /lib64 {0}/lib64; exec chroot --userspec={id}:{id} {0} {shell}",
        jail.display()
    );
    let ran =
        Command::new("unshare").args(["-m", "--propagation", "private", "sh", "-c", &line]).output().expect("unshare");
    assert!(ran.status.success(), "{ran:?}");
    let other = format!("no run explains that user {AGENT} started {shell} at ");
    scene.until("auditd has it", |scene| {
        scene.verify(&["--expected", &shell, "--expected", &program]).1.contains(&other)
    });
    assert_eq!(scene.verify(&["--expected", &shell, "--expected", &program]).0, 1);
    fs::write(scene.at("audit/audit.log"), "").expect("emptied");

    // What the kernel was not told to write down is missed, where it stands between what it was.
    scene.run("true first; /bin/true first");
    scene.is_written("a1=\"first\"");
    scene.rules_off();
    scene.run("true unseen; true");
    scene.rules_on();
    scene.run("true last; /bin/true last");
    scene.is_written("a1=\"last\"");
    let (code, said) = scene.verify(&["--expected", &shell, "--expected", &program]);
    assert!(code == 0 && said.contains("auditd did not see 1 program of those"), "{said}");

    // Of nobody's programs nothing can be said, nor of a log that is not there.
    fs::write(scene.at("audit/audit.log"), "").expect("emptied");
    let (code, said) = scene.verify(&[]);
    assert!(code == 1 && said.contains("its rules are not loaded"), "{said}");
    fs::remove_file(scene.at("audit/audit.log")).expect("gone");
    let (code, said) = scene.verify(&[]);
    assert!(code == 2 && said.contains("there is no audit.log"), "{said}");
    let mut told = scene.backstop_with(
        b"type=SYSCALL msg=audit(1.000:1): success=yes ppid=1 pid=2 auid=3 uid=54321 exe=\"/x\"\n\
        type=EXECVE msg=audit(1.000:1): argc=1 a0=\"x\"\n",
    );
    assert!(told.remove(0).contains("auditd saw 1 program of users 54321"), "{told:?}");
}

impl Scene {
    /// The same with auditd's log on standard input, as `ausearch --raw` prints it.
    fn backstop_with(&self, text: &[u8]) -> Vec<String> {
        let log = self.at("home/state/backstop/audit");
        let mut command = Command::new(self.at("backstop"));
        command.args(["audit", "verify", "--auditd=-", "--account", &AGENT.to_string(), "--log"]).arg(log);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("backstop");
        child.stdin.take().expect("a pipe").write_all(text).expect("written");
        let out = child.wait_with_output().expect("an end");
        vec![String::from_utf8(out.stdout).expect("text"), format!("{}", out.status)]
    }
}
