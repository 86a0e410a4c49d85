//! Takes `root` or `user` and a bash script, runs it in a throw-away root with `backstop` on the
//! path, and passes on what it says: to try things by hand, as the corpus would.

use std::io::Write;
use std::time::Duration;

use backstop_e2e::arena::{Arena, Plan, Who};
use backstop_e2e::guard;

fn main() {
    let mut args = std::env::args().skip(1);
    let (Some(who), Some(script)) = (args.next(), args.next()) else {
        eprintln!("usage: arena root|user SCRIPT");
        std::process::exit(2);
    };
    if let Some(why) = guard::missing() {
        eprintln!("{why}");
        std::process::exit(1);
    }
    guard::enter_own_mounts();
    let who = if who == "root" { Who::Root } else { Who::User };
    let said = Arena::new(Plan { who, guard: Some(guard::binary()), borrowed: Vec::new() })
        .and_then(|arena| arena.sh(&script, &[], Duration::from_secs(600)))
        .unwrap_or_else(|e| panic!("{e}"));
    let told = std::io::stdout().write_all(&said.out).and_then(|()| std::io::stderr().write_all(&said.err));
    std::process::exit(if told.is_ok() { said.code } else { 1 });
}
