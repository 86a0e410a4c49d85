//! Arguments of `jail`.

use clap::{Args, Subcommand};

use super::Json;

/// Verbs of `jail`.
#[derive(Debug, Subcommand)]
pub enum Jail {
    /// List who is banned, and what is counted
    List(Json),
    /// End bans, by a word at a terminal, or by two people's signatures (people only)
    Clear(ClearArgs),
    /// Show what other rules would have made of all that the log says was counted
    Test(JailRules),
}

/// Options of `jail clear`.
#[derive(Debug, Args)]
pub struct ClearArgs {
    /// The bans, by what `jail list` calls them
    #[arg(value_name = "BAN", required_unless_present = "all")]
    pub bans: Vec<String>,
    /// All that stand
    #[arg(long, conflicts_with = "bans")]
    pub all: bool,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Options of `jail test`: what is left out is as the machine's settings say.
#[derive(Debug, Args)]
pub struct JailRules {
    /// What is counted stays so for so many minutes
    #[arg(long, value_name = "N")]
    pub find_minutes: Option<u32>,
    /// So many of one class in one session are a ban
    #[arg(long, value_name = "N")]
    pub most: Option<u32>,
    /// How long the first ban lasts, in minutes
    #[arg(long, value_name = "N")]
    pub ban_minutes: Option<u32>,
    /// By what factor each further one is longer
    #[arg(long, value_name = "N")]
    pub factor: Option<u32>,
    /// Up to so many minutes
    #[arg(long, value_name = "N")]
    pub longest_minutes: Option<u32>,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

impl Jail {
    /// True when a JSON document is wanted.
    pub const fn wants_json(&self) -> bool {
        match self {
            Self::List(a) => a.json,
            Self::Clear(a) => a.json,
            Self::Test(a) => a.json,
        }
    }
}
