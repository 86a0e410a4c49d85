//! Fault points: named moments at which the crash tests kill Backstop or make a step fail. Outside of this crate's
//! own tests and of builds with the feature `faults`, every point is `Ok(())` and costs nothing.

use std::io;

/// A moment before a step that changes something durable.
#[cfg(not(any(test, feature = "faults")))]
#[inline(always)]
pub(crate) const fn point(_name: &'static str) -> io::Result<()> {
    Ok(())
}

/// A moment before a step that changes something durable: counts, kills, stops or fails here as
/// `BACKSTOP_FAULT` says (`count:FILE`, `kill:N`, `stop:N`, `enospc:N`, `eio:N`).
#[cfg(any(test, feature = "faults"))]
pub(crate) fn point(name: &'static str) -> io::Result<()> {
    active::point(name)
}

#[cfg(any(test, feature = "faults"))]
mod active {
    use std::io;
    use std::os::unix::process::CommandExt as _;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    enum Fault {
        None,
        Count(String),
        Signal(&'static str, u64),
        Fail(i32, u64),
    }

    const ENOSPC: i32 = 28;
    const EIO: i32 = 5;

    fn fault() -> &'static Fault {
        static FAULT: OnceLock<Fault> = OnceLock::new();
        FAULT.get_or_init(|| {
            let Ok(text) = std::env::var("BACKSTOP_FAULT") else { return Fault::None };
            let (what, arg) = text.split_once(':').unwrap_or((&text, ""));
            let n = arg.parse().unwrap_or(u64::MAX);
            match what {
                "count" => Fault::Count(arg.to_owned()),
                "kill" => Fault::Signal("KILL", n),
                "stop" => Fault::Signal("STOP", n),
                "enospc" => Fault::Fail(ENOSPC, n),
                "eio" => Fault::Fail(EIO, n),
                other => panic!("BACKSTOP_FAULT: no fault is called {other}"),
            }
        })
    }

    pub(super) fn point(name: &'static str) -> io::Result<()> {
        static PASSED: AtomicU64 = AtomicU64::new(0);
        let n = PASSED.fetch_add(1, Ordering::SeqCst);
        match fault() {
            Fault::None => Ok(()),
            Fault::Count(file) => {
                use std::io::Write as _;
                let mut log = std::fs::OpenOptions::new().create(true).append(true).open(file)?;
                writeln!(log, "{n} {name}")
            }
            Fault::Signal(signal, at) if *at == n => {
                // Through the kill program: no unsafe call is needed for a test.
                let pid = std::process::id().to_string();
                let mut kill = std::process::Command::new("kill");
                kill.args(["-s", signal, &pid]);
                if *signal == "KILL" {
                    // Replaced by it, nothing of ours can run in between.
                    let mut own = std::process::Command::new("sh");
                    return Err(own.args(["-c", "kill -s KILL $$"]).exec());
                }
                kill.status().map(|_| ())
            }
            Fault::Fail(errno, at) if *at == n => Err(io::Error::from_raw_os_error(*errno)),
            Fault::Signal(..) | Fault::Fail(..) => Ok(()),
        }
    }
}
