//! A program of the administrator's own. It gets the document on its standard input, and nothing of this process'
//! environment; whether it was told, its exit code says.

use std::process::Command as Program;
use std::time::Duration;

use backstop_engine::child;

use super::{PATIENCE, Sender, each};
use crate::deliver::Miss;
use crate::message::{Item, Message};
use crate::{config, payload};

pub(super) struct Command {
    argv: Vec<String>,
    patience: Duration,
}

impl Command {
    pub fn new(config: &config::Command) -> Self {
        Self { argv: config.argv.clone(), patience: PATIENCE }
    }
}

impl Sender for Command {
    fn send(&self, message: &Message) -> Result<(), Miss> {
        each(message, |item| self.tell(item))
    }
}

impl Command {
    fn tell(&self, item: &Item) -> Result<(), Miss> {
        let [program, args @ ..] = &self.argv[..] else { return Err(Miss::never("there is no program")) };
        let mut command = Program::new(program);
        command
            .args(args)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("BACKSTOP_NOTICE", &item.notice.id)
            .current_dir("/");
        let answer = child::run(&mut command, payload::of(item), 0, self.patience);
        match answer.map_err(|e| Miss::again(format!("{program} can't be started: {e}")))?.status {
            Some(status) if status.success() => Ok(()),
            Some(status) => Err(Miss::again(format!("it ended with {status}"))),
            None => Err(Miss::again(format!("it took longer than {} s", self.patience.as_secs_f32()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use backstop_core::notice::Notice;

    use super::*;

    fn test() -> Message {
        Message::one(Notice::test("db-1", backstop_core::time::Timestamp::new(0, 0)), None)
    }

    fn send(script: &str) -> Result<(), Miss> {
        let argv = ["/bin/sh", "-c", script].map(str::to_owned).to_vec();
        Command { argv, patience: Duration::from_millis(500) }.send(&test())
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
        assert!(none.send(&test()).is_err_and(|m| m.why.contains("can't be started")));
    }

    #[test]
    fn what_it_started_goes_with_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let left = dir.path().join("left");
        // It would write that after a while, if it were let.
        let script = format!("(sleep 1; touch {0}) & exit 0", left.display());
        assert_eq!(send(&script), Ok(()));
        assert!(send(&format!("(sleep 1; touch {0}) & sleep 60", left.display())).is_err());
        std::thread::sleep(Duration::from_millis(1_300));
        assert!(!left.exists());
        assert_eq!(send("yes | head -c 1000000"), Ok(()), "what it goes on saying is thrown away");
        // What has left its group keeps the pipe, and nobody, also where it goes on saying something.
        assert_eq!(send("setsid timeout 2 sleep 60 & exit 0"), Ok(()));
        assert_eq!(send("setsid timeout 2 yes & exit 0"), Ok(()));
    }
}
