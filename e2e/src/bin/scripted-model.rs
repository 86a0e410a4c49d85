//! Plays a model to coding agents: `scripted-model SCRIPT LOG`, at an address of its own network. Ends when
//! it is killed.
#![forbid(unsafe_code)]

use std::fs::{self, File};
use std::net::TcpListener;
use std::process::ExitCode;

use backstop_e2e::agents::model;

fn main() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("scripted-model: {e}");
            ExitCode::from(2)
        }
    }
}

fn serve() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args_os().skip(1);
    let (Some(script), Some(log)) = (args.next(), args.next()) else {
        return Err("usage: scripted-model SCRIPT LOG".into());
    };
    let script = serde_json::from_slice(&fs::read(script)?)?;
    model::serve(&TcpListener::bind(model::ADDRESS)?, script, File::create(log)?)?;
    Ok(())
}
