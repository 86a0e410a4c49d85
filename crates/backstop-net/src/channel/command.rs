//! A program of the administrator's own. It gets the document on its standard input, and nothing of this process'
//! environment; whether it was told, its exit code says.

use std::io::Write as _;
use std::process::{Child, Command as Program, Stdio};
use std::time::{Duration, Instant};

use backstop_core::notice::Notice;

use super::{PATIENCE, Sender};
use crate::config;
use crate::deliver::Miss;
use crate::payload;

/// How often is looked whether it has ended.
const PAUSE: Duration = Duration::from_millis(20);

pub(super) struct Command {
    argv: Vec<String>,
    patience: Duration,
}

impl Command {
    pub fn new(config: &config::Command) -> Self {
        Self { argv: config.argv.clone(), patience: PATIENCE }
    }

    fn wait(&self, child: &mut Child) -> Result<(), Miss> {
        let until = Instant::now() + self.patience;
        loop {
            match child.try_wait().map_err(|e| Miss::again(e.to_string()))? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(Miss::again(format!("it ended with {status}"))),
                None if Instant::now() >= until => {
                    let _gone_already = child.kill();
                    let _reaped = child.wait();
                    return Err(Miss::again(format!("it took longer than {} s", self.patience.as_secs_f32())));
                }
                None => std::thread::sleep(PAUSE),
            }
        }
    }
}

impl Sender for Command {
    fn send(&self, notice: &Notice, link: Option<&str>) -> Result<(), Miss> {
        let [program, args @ ..] = &self.argv[..] else { return Err(Miss::never("there is no program")) };
        let mut child = Program::new(program)
            .args(args)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("BACKSTOP_NOTICE", &notice.id)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .map_err(|e| Miss::again(format!("{program} can't be started: {e}")))?;
        let body = payload::of(notice, link);
        // In a thread that nobody waits for: a program that reads nothing must not keep us.
        let stdin = child.stdin.take();
        std::thread::spawn(move || stdin.map(|mut stdin| stdin.write_all(&body)));
        self.wait(&mut child)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn send(script: &str) -> Result<(), Miss> {
        let argv = ["/bin/sh", "-c", script].map(str::to_owned).to_vec();
        let notice = Notice::test("db-1", backstop_core::time::Timestamp::new(0, 0));
        Command { argv, patience: Duration::from_millis(500) }.send(&notice, None)
    }

    #[test]
    fn a_program_gets_the_document_and_says_whether_it_told() {
        let dir = tempfile::tempdir().expect("a directory");
        let out = dir.path().join("out");
        let script = format!("cat > {0} && env >> {0}", out.display());
        assert_eq!(send(&script), Ok(()));
        let text = std::fs::read_to_string(out).expect("written");
        assert!(text.starts_with("{\"data\":") && text.contains("BACKSTOP_NOTICE=n-test-0"), "{text}");
        assert!(!text.contains("CARGO"), "nothing of our environment");
        assert_eq!(send("exec 0<&-; exit 0"), Ok(()), "it need not read");
        for (script, part) in [("exit 3", "exit status: 3"), ("sleep 60", "longer than"), ("kill -9 $$", "signal")] {
            let miss = send(script).expect_err(script);
            assert!(!miss.permanent && miss.why.contains(part), "{script}: {}", miss.why);
        }
        let none = Command { argv: vec!["/no/such".into()], patience: PATIENCE };
        let notice = Notice::test("db-1", backstop_core::time::Timestamp::new(0, 0));
        assert!(none.send(&notice, None).is_err_and(|m| m.why.contains("can't be started")));
    }
}
