//! `export`: becomes the exporter, which stands beside this program. It speaks to networks; this one does not.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use backstop_engine::Failure;

use crate::inside;
use crate::out::Done;

const PROGRAM: &str = "backstop-export";

/// `backstop export`.
pub fn export(args: &[OsString]) -> Done {
    inside::records_needed("export")?;
    let own = std::env::current_exe().map_err(|e| Failure::because("cannot tell where this program is", &e))?;
    let program = own.with_file_name(PROGRAM);
    let shown = backstop_core::bytes::Bytes::from(program.as_path());
    let error = Command::new(&program).args(args).exec();
    Err(Failure::because(format!("cannot run {}", shown.quoted()), &error)
        .next("install both programs in one directory: backstop and backstop-export")
        .into())
}
