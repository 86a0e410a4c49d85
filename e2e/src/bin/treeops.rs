//! Runs a list of operations in the current directory: `treeops FILE`. Prints how each went; ends
//! with 0 when all succeeded, with 9 when one or more failed (as a script that goes on would).
#![forbid(unsafe_code)]

use std::io::Write;
use std::process::ExitCode;

use backstop_e2e::ops::Op;
use backstop_e2e::perform::perform;

fn main() -> ExitCode {
    match list() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(9),
        Err(e) => {
            eprintln!("treeops: {e}");
            ExitCode::from(2)
        }
    }
}

fn list() -> Result<bool, Box<dyn std::error::Error>> {
    let file = std::env::args_os().nth(1).ok_or("usage: treeops FILE")?;
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    let mut out = std::io::stdout().lock();
    let mut all_well = true;
    for op in Op::parse_all(&std::fs::read_to_string(file)?)? {
        let result = perform(&op);
        all_well &= !result.starts_with("errno") && result != "refused";
        writeln!(out, "{op}: {result}")?;
    }
    Ok(all_well)
}
