//! `cargo xtask bench shell`. Prints what the shell reader costs: a thousand ordinary lines, and shapes made to hurt at 64 KiB and
//! 1 MiB with the ratio between them; 16 is linear. Fails where one grows with the square.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros,
    reason = "a measurement needs a clock and prints; core itself has neither"
)]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use backstop_core::shell::{lane::lane, read};

#[path = "../tests/shell/shapes.rs"]
mod shapes;

/// For a thousand ordinary lines.
const AIM: Duration = Duration::from_millis(50);

/// The best of three, since other work on the machine only ever adds.
fn time(text: &str) -> Duration {
    let once = || {
        let begun = Instant::now();
        let script = read(text.as_bytes());
        let _unused = (lane(&script), script.paths().len());
        begun.elapsed()
    };
    (0..3).map(|_| once()).min().unwrap_or_default()
}

fn main() -> ExitCode {
    let lines = "cd /srv/app && git status --porcelain | grep -v '^??' > /dev/null; rm -rf \"$DIR/build\" target/*.o\n"
        .repeat(1_000);
    let took = time(&lines);
    let verdict = if took <= AIM { "met" } else { "SHORT" };
    println!("1,000 lines ({} KiB): {:.1} ms; aim {AIM:?}: {verdict}", lines.len() / 1024, took.as_secs_f64() * 1e3);
    println!("{:24} {:>10} {:>10} {:>6}", "shape", "64 KiB", "1 MiB", "ratio");
    let mut square = false;
    for shape in shapes::SHAPES {
        let of = |length: usize| time(&shape.repeat(length / shape.len()));
        let (small, large) = (of(1 << 16), of(1 << 20));
        let ratio = large.as_secs_f64() / small.as_secs_f64().max(1e-6);
        // The square of 16 is 256; half of that, and long enough to be no accident.
        square |= ratio > 128.0 && large > Duration::from_millis(100);
        println!(
            "{shape:24?} {:>7.2} ms {:>7.2} ms {ratio:>6.1}",
            small.as_secs_f64() * 1e3,
            large.as_secs_f64() * 1e3
        );
    }
    if square { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
