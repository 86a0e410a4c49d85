//! Takes the places of policy files, gives the rules that a run is judged by. Reads the files anew for
//! every run; believes the machine's only where root alone can write them. What can't be read, checked or
//! trusted denies, unless the last good rules are provably not looser (`core::policy::law`).

mod files;
mod keep;
mod kinds;

use std::path::{Path, PathBuf};

use backstop_core::audit::{Body, PolicyFile};
use backstop_core::bytes::Bytes;
use backstop_core::digest::Digest;
use backstop_core::facts::Findings;
use backstop_core::policy::law::{self, Check, Law, Layer, Profile, Refusal, Source, machines};
use backstop_core::policy::{Judgement, Reason};
use backstop_core::request::Request;

pub use files::{only_roots, read};
use keep::Keep;
pub use kinds::Kinds;

pub use crate::reader::Reader;

/// The machine's policy files: root's.
pub const SYSTEM: &str = "/etc/backstop/policy";

/// Where policy files are looked for: every `*.cedar` in these directories, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// The machine's. A file named after the profile takes the place of what is compiled in.
    pub system: PathBuf,
    /// The user's own.
    pub user: Option<PathBuf>,
    /// The project's.
    pub project: Option<PathBuf>,
    /// With whose rights the last two are read.
    pub reader: Reader,
}

impl Places {
    /// The places for a run: of the machine, of the caller's home, of the workspace.
    pub fn of(home: Option<&Bytes>, workspace: Option<&Bytes>) -> Self {
        let below = |dir: Option<&Bytes>, name: &[u8]| dir.map(|d| d.join(name).as_path().to_owned());
        Self {
            system: PathBuf::from(SYSTEM),
            user: below(home, b".config/backstop/policy"),
            project: below(workspace, b".backstop"),
            reader: Reader::Own,
        }
    }

    /// Where a user's and a project's rules and classes are taken from: their directories, and where those
    /// or files in them really are. Whoever writes there changes the rules.
    pub(crate) fn below(&self) -> Vec<Bytes> {
        let classes = self.user.as_deref().map(|dir| dir.with_file_name(kinds::FILE));
        files::sources(&[self.user.as_deref(), self.project.as_deref()], classes.as_deref())
    }
}

/// What a run is judged by.
#[derive(Debug)]
pub struct Standing {
    law: Result<Law, Vec<Refusal>>,
    /// What is wrong with today's files; the last good ones may hold nevertheless.
    refusals: Vec<Refusal>,
    /// All files that were read, those of classes among them.
    sources: Vec<Source>,
    digest: Digest,
    keep: Keep,
    entry: Option<Body>,
    shipped: bool,
}

impl Standing {
    /// Judges what a rehearsal found. Without rules in force, all is denied.
    pub fn judge(&self, findings: &Findings, floor: Vec<Reason>) -> Judgement {
        let judgement = match &self.law {
            Ok(law) => law.judge(findings, floor),
            Err(refusals) => law::refused(refusals, floor),
        };
        Judgement { law: Some(self.digest), ..judgement }
    }

    /// The rules in force; none where all is denied.
    pub fn law(&self) -> Option<&Law> {
        self.law.as_ref().ok()
    }

    /// True where these rules and no others are in force that the profile is shipped with: nobody forbids
    /// anything that only a judgement could find.
    pub(crate) const fn is_shipped(&self) -> bool {
        self.shipped
    }

    /// Names the set, rules and classes; a judgement by it carries this.
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// The files it is made of, those of classes among them.
    pub fn files(&self) -> Vec<PolicyFile> {
        let digest = |s: &Source| Digest::of_content(s.text.as_bytes());
        self.sources.iter().map(|s| PolicyFile { digest: digest(s), layer: s.layer, name: s.name.clone() }).collect()
    }

    /// What is wrong with today's files.
    pub fn refusals(&self) -> &[Refusal] {
        match &self.law {
            Ok(_) => &self.refusals,
            Err(refusals) => refusals,
        }
    }

    /// True where something is wrong with files that root alone writes.
    fn is_the_machines(&self) -> bool {
        let of = |source: &Source, at: &str| {
            at.strip_prefix(&source.name).is_some_and(|line| line.is_empty() || line.starts_with(':'))
        };
        let own = self.sources.iter().filter(|s| matches!(s.layer, Layer::Profile | Layer::System));
        own.into_iter().any(|source| self.refusals().iter().any(|refusal| of(source, &refusal.at)))
    }

    /// A remark for the run's record: earlier rules than today's hold.
    pub fn note(&self) -> Option<String> {
        let first = self.law.as_ref().ok().and(self.refusals.first())?;
        let more = match self.refusals.len() - 1 {
            0 => String::new(),
            n => format!(", and {n} more"),
        };
        Some(format!("the last good rules hold, since today's can't be loaded: {}: {}{more}", first.at, first.why))
    }

    /// What has to be recorded before a judgement by these rules is: sets that were not in force before.
    pub const fn entry(&self) -> Option<&Body> {
        self.entry.as_ref()
    }

    /// Remembers that the entry is durable. Where that fails, it is recorded again: harmless.
    pub fn recorded(&self) -> std::io::Result<()> {
        match &self.entry {
            Some(Body::PolicyRefused { .. }) => self.keep.recorded("refused", self.digest),
            Some(_) => self.keep.recorded("loaded", self.digest),
            None => Ok(()),
        }
    }
}

/// The rules for `request` of a user with this home; a profile that is not known denies.
pub(crate) fn of(request: &Request, (home, reader): (Option<&Bytes>, Reader), kinds: &Kinds, state: &Path) -> Standing {
    let places = Places { reader, ..Places::of(home, request.workspace.as_ref()) };
    match Profile::ALL.into_iter().find(|p| p.name() == request.profile) {
        Some(profile) => standing(profile, &places, kinds, state),
        None => {
            let refusal = Refusal {
                at: format!("profile {:?}", request.profile),
                id: None,
                next: "--profile workstation, or --profile production".to_owned(),
                rule: "a run is judged by the rules of a profile that is known".to_owned(),
                why: "there is no profile of this name".to_owned(),
            };
            let keep = Keep::new(state, Profile::default());
            finish(Err(vec![refusal]), Vec::new(), Vec::new(), keep)
        }
    }
}

/// The rules for a run by `profile`; `state` is where checked and last good sets are kept.
pub fn standing(profile: Profile, places: &Places, kinds: &Kinds, state: &Path) -> Standing {
    stand(profile, places, kinds, state, &only_roots)
}

/// The rules as they would be with `policy`: a directory in the place of the machine's, or a file added
/// to it (in the place of the profile's, where it has its name). Who owns it doesn't matter; nothing is
/// let through by these.
///
/// # Errors
/// Everything that can't be read or accepted.
pub fn tried(profile: Profile, places: &Places, policy: &Path) -> Result<Law, Vec<Refusal>> {
    let mut places = places.clone();
    if policy.is_dir() {
        places.system = policy.to_owned();
    }
    let (mut sources, mut unread) = files::gather(profile, &places, &|_| true);
    if !policy.is_dir() {
        match files::one(profile, policy) {
            Ok(source) if source.layer == Layer::Profile => {
                sources.retain(|s| s.layer != Layer::Profile);
                sources.insert(0, source);
            }
            Ok(source) => {
                // Installed already: then it is this one that is tried.
                sources.retain(|s| s.name != source.name);
                sources.push(source);
            }
            Err(refusal) => unread.push(refusal),
        }
    }
    if unread.is_empty() { Law::load(sources, Check::Full) } else { Err(unread) }
}

fn stand(profile: Profile, places: &Places, kinds: &Kinds, state: &Path, trusted: &dyn Fn(&Path) -> bool) -> Standing {
    let keep = Keep::new(state, profile);
    let (sources, mut unread) = files::gather(profile, places, trusted);
    unread.extend(kinds.refusals.iter().cloned());
    let all: Vec<Source> = sources.iter().chain(&kinds.sources).cloned().collect();
    if !unread.is_empty() {
        // Whatever can't be read or trusted is no slip of the pen that an earlier form could stand for.
        return finish(Err(unread), Vec::new(), all, keep);
    }
    // What is compiled in was checked by the tests. Classes are data: no rule is sound or not for them.
    let rules = law::digest(&sources);
    let builtin = sources.as_slice() == [profile.source()];
    let check = if builtin || keep.is_checked(rules) { Check::Known } else { Check::Full };
    match Law::load(sources.clone(), check) {
        Ok(law) => {
            // Failing to remember costs the next run a check, and a fall-back its ground.
            if check == Check::Full {
                drop(keep.checked(rules));
            }
            drop(keep.good(&machines(&sources).cloned().collect::<Vec<_>>()));
            Standing { shipped: builtin, ..finish(Ok(law), Vec::new(), all, keep) }
        }
        Err(refusals) => {
            let law = fall_back(profile, &keep, sources, &refusals);
            finish(law, refusals, all, keep)
        }
    }
}

/// The last good set, where only the machine's files are at fault and it is not looser.
fn fall_back(profile: Profile, keep: &Keep, sources: Vec<Source>, refusals: &[Refusal]) -> Result<Law, Vec<Refusal>> {
    let (today, below): (Vec<_>, Vec<_>) =
        sources.into_iter().partition(|s| matches!(s.layer, Layer::Profile | Layer::System));
    let good = keep.last_good().unwrap_or_default();
    // What an agent can write must not decide that older rules hold; a fault in there is refused by the
    // load of `below`.
    let theirs = |r: &&Refusal| below.iter().any(|s| r.at.strip_prefix(&s.name).is_some_and(|l| l.starts_with(':')));
    if refusals.iter().any(|r| theirs(&r)) {
        return Err(refusals.to_vec());
    }
    Law::fall_back(profile, good, &today, below, refusals)
}

fn finish(law: Result<Law, Vec<Refusal>>, refusals: Vec<Refusal>, sources: Vec<Source>, keep: Keep) -> Standing {
    let digest = law::digest(&sources);
    let mut standing = Standing { law, refusals, sources, digest, keep, entry: None, shipped: false };
    let refused = !standing.refusals().is_empty();
    if !standing.keep.is_recorded(if refused { "refused" } else { "loaded" }, digest) {
        standing.entry = Some(match &standing.law {
            Ok(law) if !refused => {
                Body::PolicyLoaded { digest, rules: law.rules().count() as u64, sources: standing.files() }
            }
            Ok(_) | Err(_) => {
                let refusals = standing.refusals().to_vec();
                Body::PolicyRefused {
                    digest,
                    fallback: standing.law.is_ok(),
                    machine: standing.is_the_machines(),
                    refusals,
                }
            }
        });
    }
    standing
}

#[cfg(test)]
mod tests;
