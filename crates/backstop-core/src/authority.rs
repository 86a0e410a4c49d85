//! Who may ask a system's daemon for what. Takes who the kernel says is at the other end, and what is asked; gives
//! yes, or why not. Whose runs somebody may see is told apart elsewhere: nobody but approvers sees others'.

use crate::approval::people::People;

/// What somebody is to the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Its administrator.
    Root,
    /// An account of somebody who is enrolled.
    Approver,
    /// Any other account: coding agents run by these.
    Other,
    /// The notifier's: a program that speaks to a network, and so has no right but to hear what is told.
    Notifier,
    /// The exporter's: a program that speaks to networks as well, and has no right but to read the audit log.
    Exporter,
}

/// The accounts of programs that speak to networks, as the machine's settings name them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Services {
    /// The exporter's.
    pub exporter: Option<u32>,
    /// The notifier's.
    pub notifier: Option<u32>,
}

/// What is asked, as far as it matters who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// A command, or a file tool's change, is rehearsed and judged.
    Run,
    /// Looking at runs.
    Look,
    /// Giving up, and taking back.
    TakeBack,
    /// Letting something take effect that no rule allows by itself.
    LetThrough,
    /// Looking at what waits for people, and bringing their signatures.
    Decide,
    /// Changing who may approve.
    Govern,
    /// Stopping everything of every agent.
    Stop,
    /// Hearing what people are to be told, and saying that they were.
    Notify,
    /// Reading the audit log as it is, and saying what became of it elsewhere.
    Export,
}

impl Deed {
    /// Every deed.
    pub const ALL: [Self; 9] = [
        Self::Run,
        Self::Look,
        Self::TakeBack,
        Self::LetThrough,
        Self::Decide,
        Self::Govern,
        Self::Stop,
        Self::Notify,
        Self::Export,
    ];
}

/// Why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What is refused, to whom.
    pub why: &'static str,
    /// What to do.
    pub next: &'static str,
}

/// What a user is to the machine.
pub fn standing(uid: u32, people: &People, services: Services) -> Standing {
    match uid {
        0 => Standing::Root,
        _ if services.notifier == Some(uid) => Standing::Notifier,
        _ if services.exporter == Some(uid) => Standing::Exporter,
        _ if people.members.iter().any(|m| m.uids.contains(&uid)) => Standing::Approver,
        _ => Standing::Other,
    }
}

/// Whether somebody may.
///
/// # Errors
/// Why not.
pub const fn may(standing: Standing, deed: Deed) -> Result<(), Refusal> {
    match (standing, deed) {
        (Standing::Root, _)
        | (Standing::Notifier, Deed::Notify)
        | (Standing::Exporter, Deed::Export)
        | (Standing::Approver | Standing::Other, Deed::Run | Deed::Look | Deed::TakeBack)
        | (Standing::Approver, Deed::LetThrough | Deed::Decide | Deed::Stop) => Ok(()),
        (Standing::Other, Deed::LetThrough) => Err(Refusal {
            why: "only people who are enrolled let something take effect here",
            next: "somebody who is enrolled does it by his own account: backstop people list",
        }),
        (Standing::Other, Deed::Decide) => Err(Refusal {
            why: "only people who are enrolled see what waits for them, and bring signatures",
            next: "have root enrol the person with this account: backstop people add ID --key FILE --account NAME",
        }),
        (Standing::Other, Deed::Stop) => Err(Refusal {
            why: "only people who are enrolled stop everything of everybody's",
            next: "tell somebody who is: backstop people list; what you run yourself you stop where it runs",
        }),
        (Standing::Notifier, _) => Err(Refusal {
            why: "this is the notifier's account, which hears what people are told and does nothing else",
            next: "use an account of your own; which one is the notifier's: backstop help settings",
        }),
        (Standing::Exporter, _) => Err(Refusal {
            why: "this is the exporter's account, which reads the audit log and does nothing else",
            next: "use an account of your own; which one is the exporter's: backstop help settings",
        }),
        (Standing::Approver | Standing::Other, Deed::Export) => Err(Refusal {
            why: "only the exporter reads the audit log as a whole",
            next: "have root do it, or write its account into /etc/backstop/settings.toml: exporter = \"NAME\"",
        }),
        (Standing::Approver | Standing::Other, Deed::Notify) => Err(Refusal {
            why: "only the notifier hears what people are told",
            next: "have root write its account into /etc/backstop/settings.toml: notifier = \"NAME\"",
        }),
        (Standing::Approver | Standing::Other, Deed::Govern) => Err(Refusal {
            why: "only root asks for a change of who may approve",
            next: "sudo backstop people; those who are enrolled decide on it: backstop pending",
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything that somebody with more standing may not do less of, and what agents' accounts may.
    #[test]
    fn more_standing_is_never_less_right_and_an_agent_lets_nothing_through() {
        let order = [Standing::Other, Standing::Approver, Standing::Root];
        for deed in Deed::ALL {
            let allowed: Vec<bool> = order.iter().map(|s| may(*s, deed).is_ok()).collect();
            assert!(allowed.is_sorted(), "{deed:?}: {allowed:?}");
            assert!(allowed[2], "{deed:?}");
        }
        let agents: Vec<Deed> = Deed::ALL.into_iter().filter(|d| may(Standing::Other, *d).is_ok()).collect();
        assert_eq!(agents, [Deed::Run, Deed::Look, Deed::TakeBack]);
        assert!(may(Standing::Approver, Deed::Govern).is_err());
        let notifiers: Vec<Deed> = Deed::ALL.into_iter().filter(|d| may(Standing::Notifier, *d).is_ok()).collect();
        assert_eq!(notifiers, [Deed::Notify]);
        let exporters: Vec<Deed> = Deed::ALL.into_iter().filter(|d| may(Standing::Exporter, *d).is_ok()).collect();
        assert_eq!(exporters, [Deed::Export]);
        let services = Services { exporter: Some(8), notifier: Some(7) };
        let standing = |uid| standing(uid, &People::new("db-1").expect("people"), services);
        assert_eq!(
            [0, 7, 8, 9].map(standing),
            [Standing::Root, Standing::Notifier, Standing::Exporter, Standing::Other]
        );
    }
}
