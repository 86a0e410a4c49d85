//! A terminal with `backstop` in it, and somebody who answers its question.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::Command;
use std::time::Duration;

/// What leads the terminal's session: it outlives `backstop`, so that nothing that was written is lost with the
/// session, and says at the end what `backstop` ended with (128 and the signal's number, where one ended it).
const LEADER: &str = "\"$@\"; printf '\\0%s\\0' $?; read -r _";

/// Runs `backstop` with `args` at a terminal of its own, in the environment that `prepare` gives it; answers when
/// the screen ends with `prompt`. Gives the exit code and all that was on the screen.
pub fn at_a_terminal(
    args: &[&str],
    prepare: impl FnOnce(&mut Command),
    prompt: &str,
    answer: impl FnOnce() -> String,
) -> (Option<i32>, Vec<u8>) {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("pty");
    grantpt(&master).and_then(|()| unlockpt(&master)).expect("pty");
    let name = ptsname(&master, Vec::new()).expect("name").into_string().expect("UTF-8");
    let side = || File::options().read(true).write(true).open(&name).expect("terminal");
    let mut command = Command::new("setsid");
    command.args(["--ctty", "--wait", "sh", "-c", LEADER, "sh", env!("CARGO_BIN_EXE_backstop")]).args(args);
    prepare(&mut command);
    let mut child = command.stdin(side()).stdout(side()).stderr(side()).spawn().expect("setsid");
    drop(command);
    let mut master = File::from(master);
    let mut seen = Vec::new();
    let mut answer = Some(answer);
    let mut buffer = [0; 4096];
    let code = loop {
        // The terminal reports an error once nobody has it open any more.
        let n = master.read(&mut buffer).unwrap_or(0);
        seen.extend_from_slice(&buffer[..n]);
        if let Some(end) = seen.strip_suffix(b"\0").and_then(|seen| seen.iter().rposition(|b| *b == 0)) {
            let code = String::from_utf8_lossy(&seen[end + 1..seen.len() - 1]).parse().ok();
            seen.truncate(end);
            break code;
        }
        if n == 0 {
            break None;
        }
        if seen.ends_with(prompt.as_bytes())
            && let Some(answer) = answer.take()
        {
            // The question is asked after the keys pressed before it were thrown away.
            std::thread::sleep(Duration::from_millis(200));
            master.write_all(answer().as_bytes()).expect("answer");
        }
    };
    // Its leader ends with the terminal.
    drop(master);
    child.wait().expect("ends");
    (code, seen)
}
