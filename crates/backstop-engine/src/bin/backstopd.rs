//! The daemon of system mode, in the foreground: a service manager, or a person at a terminal, keeps it.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use backstop_engine::Failure;
use backstop_engine::daemon::{SOCKET, serve};

const HELP: &str = "\
backstopd: Backstop's daemon. Runs as root, in the foreground, until SIGTERM.

It takes no options: its settings are in /etc/backstop, its state in /var/lib/backstop,
its socket is /run/backstop/socket. To install it: backstop help system

  --version    print the version
  --help       print this
";

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    match (args.next().as_ref().and_then(|a| a.to_str()), args.next()) {
        (None, None) => {}
        (Some("--version" | "-V"), None) => {
            println!("backstopd {}", env!("CARGO_PKG_VERSION"));
            return ExitCode::SUCCESS;
        }
        (Some("--help" | "-h"), None) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprint!("{HELP}");
            return ExitCode::from(2);
        }
    }
    match serve().and_then(|daemon| {
        for one in daemon.recovered() {
            eprintln!("backstopd: recovered {}: {}", one.id, one.what);
        }
        eprintln!("backstopd: listening on {SOCKET}");
        daemon.run()
    }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            say(&failure);
            ExitCode::FAILURE
        }
    }
}

fn say(failure: &Failure) {
    eprintln!("backstopd: {}", failure.what);
    for next in &failure.next {
        eprintln!("  next     {next}");
    }
}
