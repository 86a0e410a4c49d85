//! `completions`, `man`, `help`: all from the one declaration in `args`.

use std::io::{self, Write};
use std::path::Path;

use backstop_engine::Failure;
use clap::{Command, CommandFactory};

use crate::args::Backstop;
use crate::exit;
use crate::out::{self, Done};

const TOPICS: [(&str, &str); 14] = [
    ("exit-codes", include_str!("../topics/exit-codes.txt")),
    ("states", include_str!("../topics/states.txt")),
    ("undo", include_str!("../topics/undo.txt")),
    ("freeze", include_str!("../topics/freeze.txt")),
    ("jail", include_str!("../topics/jail.txt")),
    ("witness", include_str!("../topics/witness.txt")),
    ("policy", include_str!("../topics/policy.txt")),
    ("approvals", include_str!("../topics/approvals.txt")),
    ("classes", include_str!("../topics/classes.txt")),
    ("system", include_str!("../topics/system.txt")),
    ("notify", include_str!("../topics/notify.txt")),
    ("alerts", include_str!("../topics/alerts.txt")),
    ("export", include_str!("../topics/export.txt")),
    // The commented file itself: `backstop help settings > /etc/backstop/settings.toml` begins one.
    ("settings", include_str!("../../../../docs/settings.toml")),
];

/// `backstop completions`.
pub fn completions(shell: clap_complete::Shell) -> Done {
    // Into memory first: the generator panics when its writer fails, and a reader may go away.
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Backstop::command(), "backstop", &mut text);
    let mut stdout = io::stdout().lock();
    stdout.write_all(&text)?;
    stdout.flush()?;
    Ok(exit::OK)
}

/// `backstop man`: one page a verb.
pub fn man(dir: &Path) -> Done {
    let fail = |e: io::Error| {
        Failure::because(format!("cannot write man pages to {}", backstop_core::bytes::Bytes::from(dir).quoted()), &e)
    };
    std::fs::create_dir_all(dir).map_err(fail)?;
    clap_mangen::generate_to(Backstop::command(), dir).map_err(fail)?;
    Ok(exit::OK)
}

/// `backstop help`: a topic, a verb, or everything.
pub fn help(topic: Option<&str>) -> Done {
    let mut whole = Backstop::command().term_width(crate::screen::style::Style::of(&io::stdout()).width.min(100));
    whole.build();
    let Some(topic) = topic else {
        out::print(&whole.render_help().to_string())?;
        return Ok(exit::OK);
    };
    if let Some((_, text)) = TOPICS.iter().find(|(name, _)| *name == topic) {
        out::print(text)?;
        return Ok(exit::OK);
    }
    match visible(&mut whole, topic) {
        Some(verb) => out::print(&verb.render_long_help().to_string())?,
        None => {
            return Err(Failure::usage(format!("no help about {topic}"))
                .next(format!("backstop help, or one of: {}", TOPICS.map(|(name, _)| name).join(", ")))
                .into());
        }
    }
    Ok(exit::OK)
}

fn visible<'a>(whole: &'a mut Command, name: &str) -> Option<&'a mut Command> {
    whole.find_subcommand_mut(name).filter(|c| !c.is_hide_set())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_topic_is_named_where_people_look_for_one() {
        let mut whole = Backstop::command();
        let first = whole.render_help().to_string();
        let help = whole.find_subcommand("help").and_then(Command::get_about).expect("it has one").to_string();
        for (topic, _) in TOPICS {
            assert!(first.contains(topic) && help.contains(topic), "{topic}");
        }
    }
}
