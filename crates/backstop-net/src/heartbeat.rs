//! A dead man's switch: an address elsewhere that hears of us now and then, and raises an alarm where it does not. It finds
//! what nobody here could tell: that the machine is gone.

use std::thread;
use std::time::Duration;

use crate::channel::web::{Post, hidden};
use crate::config::HeartbeatConfig;
use crate::deliver::Miss;

/// How soon it is looked again whether the guard answers.
const SOON: Duration = Duration::from_secs(5);

/// One that is ready: its address is read.
pub struct Heartbeat {
    post: Post,
    every: Duration,
}

impl Heartbeat {
    /// Makes one ready.
    ///
    /// # Errors
    /// An address that can't be read or used, as a sentence fragment.
    pub fn new(config: &HeartbeatConfig) -> Result<Self, String> {
        Ok(Self { post: hidden(&config.url_file)?, every: Duration::from_secs(config.minutes * 60) })
    }

    /// Tells it now and then, for as long as the process lives; where the guard does not answer, by saying nothing.
    pub fn go_on(&self, answers: &dyn Fn() -> bool, say: &dyn Fn(&str)) {
        loop {
            thread::sleep(self.give(answers(), say));
        }
    }

    /// Gives how long to wait then.
    fn give(&self, answers: bool, say: &dyn Fn(&str)) -> Duration {
        if !answers {
            return SOON;
        }
        if let Err(Miss { why, .. }) = self.post.send(&[], b"{}") {
            say(&format!("no heartbeat: {why}"));
        }
        self.every
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::os::unix::fs::PermissionsExt as _;
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn a_heartbeat_is_given_only_while_the_guard_answers() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let dir = tempfile::tempdir().expect("a directory");
        let url = dir.path().join("url");
        std::fs::write(&url, format!("http://{}/ping", listener.local_addr().expect("an address"))).expect("written");
        std::fs::set_permissions(&url, std::fs::Permissions::from_mode(0o600)).expect("set");
        let sign = Heartbeat::new(&HeartbeatConfig { url_file: url, minutes: 5 }).expect("ready");
        let said = Mutex::new(Vec::new());
        let say = |text: &str| said.lock().expect("words").push(text.to_owned());
        listener.set_nonblocking(true).expect("set");
        assert_eq!(sign.give(false, &say), SOON);
        assert!(listener.accept().is_err(), "the guard does not answer, and nobody is told that it lives");
        listener.set_nonblocking(false).expect("set");
        std::thread::scope(|scope| {
            let heard = scope.spawn(|| {
                let mut stream = listener.accept().expect("a caller").0;
                let (mut heard, mut some) = (Vec::new(), [0; 512]);
                while !heard.ends_with(b"{}") {
                    let read = stream.read(&mut some).expect("read");
                    heard.extend_from_slice(&some[..read]);
                }
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").expect("said");
                heard
            });
            assert_eq!(sign.give(true, &say), Duration::from_secs(300));
            assert!(heard.join().expect("heard").starts_with(b"POST /ping"));
        });
        assert!(said.into_inner().expect("words").is_empty());
    }
}
