//! What stands before the court: the places that policy goes by, what the effects mean, and which
//! effects were denied before, in whatever spelling.

use backstop_core::bytes::Bytes;
use backstop_core::digest::Digest;
use backstop_core::effect::EffectSet;
use backstop_core::facts::{Context, Findings, People};
use backstop_core::plan::Plan;
use backstop_core::policy::{Ground, Judgement};
use backstop_core::request::Request;
use backstop_core::run::RunRecord;
use backstop_core::shell::Script;

use super::{Engine, FINDINGS};
use crate::failure::Failure;
use crate::memory::Denial;
use crate::volume::OpenVolume;
use crate::{clock, facts, reading};

impl Engine {
    /// What the effects mean; kept with the run, so that it can be explained later. `anew` is a person's
    /// wish to have it judged whatever was denied before.
    pub(super) fn found(
        &self,
        record: &RunRecord,
        script: &Script,
        volumes: &[OpenVolume],
        (effects, plan): (&EffectSet, &Plan),
        ground: &Ground,
        anew: bool,
    ) -> Result<Findings, Failure> {
        let failed = |e| Failure::because("what it means can't be told, so nothing is let through", &e);
        let sides = facts::Rehearsed::new(plan, volumes, record.id).map_err(failed)?;
        let now = clock::now();
        let denials = if anew { Vec::new() } else { self.store.denials(now)? };
        let session = record.request.session.as_ref();
        let its_own = denials.iter().filter(|d| session.is_some() && d.session.as_ref() == session);
        let keys: Vec<Digest> = denials.iter().map(|d| d.key).collect();
        let context = Context {
            denials: its_own.count() as u64,
            denied: &keys,
            ground,
            named: &reading::named(&record.request, script, self.settings.home.as_ref()),
            now,
            people: People { enrolled: self.enrolled()? },
            proven: &self.store.proven()?,
            reading: reading::facts(script),
            request: &record.request,
        };
        let findings = facts::gather(effects, &sides, &context);
        self.store.write_json(record.id, FINDINGS, &findings, false)?;
        Ok(findings)
    }

    /// Remembers the effect of a run that was denied for what it is.
    pub(super) fn remember_denial(&self, record: &RunRecord) -> Result<(), Failure> {
        if !record.judgement.as_ref().is_some_and(Judgement::denies_the_effect) {
            return Ok(());
        }
        self.remember_a_no(record)
    }

    /// The same, where a person said no.
    pub(super) fn remember_a_no(&self, record: &RunRecord) -> Result<(), Failure> {
        let findings: Option<Findings> = self.store.read_json(record.id, FINDINGS)?;
        let Some(key) = findings.and_then(|f| f.key) else { return Ok(()) };
        let session = record.request.session.clone();
        Ok(self.store.deny(Denial { at: clock::now(), key, run: record.id, session })?)
    }

    /// The places that policy goes by.
    pub(super) fn ground(&self, request: &Request, volumes: &[OpenVolume]) -> Ground {
        let home = self.home_for(request);
        let mut guard = vec![Bytes::from(self.settings.state.as_path())];
        guard.extend(volumes.iter().map(OpenVolume::guarded_path));
        guard.extend(self.settings.hide.iter().cloned());
        if request.uid != self.settings.uid {
            // Of whoever it runs as, not only of whoever looks at it.
            guard.extend(home.iter().flat_map(|h| [h.join(b".config/backstop"), h.join(b".local/state/backstop")]));
        }
        Ground {
            classes: self.classes_for(request),
            guard,
            // With another's rights nothing is free: neither his caches nor what everybody may write to.
            home: home.filter(|_| request.by.is_none()).cloned(),
            homes: self.settings.homes.clone(),
            rules: self.rules_below(request),
            scratch: if request.by.is_none() { self.settings.scratch.clone() } else { Vec::new() },
            uid: request.uid,
            workspace: request.workspace.clone(),
        }
    }
}
