//! `people import`: from a list of OpenSSH's to what each key's owner signs, and from the signatures to one change.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use backstop_core::approval::key::Key;
use backstop_core::approval::people::{Change, NewKey, Newcomer, People};
use backstop_core::approval::roster::{self, Roster};
use backstop_engine::{Doors, Failure};

use crate::args::Import;
use crate::{out, signing};

/// The change that the list asks for; none where only statements were to be written, or everybody is enrolled.
pub fn change(house: &dyn Doors, typed: &Import) -> Result<Option<Change>, Failure> {
    let text = signing::text(&typed.file)?;
    let mut roster = roster::parse(&text).map_err(|why| {
        Failure::usage(format!("{}, {why}", typed.file.display())).next("mend the list; nothing was changed")
    })?;
    let people = house.people()?;
    roster.retain(|id, _| {
        let there = people.member(id).is_some();
        if there {
            out::say(&format!("backstop: {id} is enrolled already; another key: backstop people add-key {id}\n"));
        }
        !there
    });
    if roster.is_empty() {
        return Ok(None);
    }
    if let Some(dir) = &typed.statements {
        return write(&people, &roster, dir).map(|()| None);
    }
    let Some(proofs) = &typed.proofs else { return Err(Failure::usage("neither --statements nor --proofs")) };
    if let Some(unknown) = typed.no_account.iter().find(|id| !roster.contains_key(*id)) {
        return Err(Failure::usage(format!("--no-account {unknown}: nobody of that id is to be enrolled")));
    }
    let mut newcomers = Vec::new();
    for (id, keys) in &roster {
        let mut with_proofs = Vec::new();
        for (n, key) in keys.iter().enumerate() {
            let path = name(proofs, id, n, "txt.sig");
            let next = format!("its owner signs: backstop people import {} --statements DIR", typed.file.display());
            let proof = signing::text(&path).map_err(|failure| failure.next(next))?;
            with_proofs.push(NewKey { key: key.line().to_owned(), proof });
        }
        newcomers.push(Newcomer {
            groups: typed.group.iter().cloned().collect(),
            id: id.clone(),
            keys: with_proofs,
            uids: account(typed, id)?,
        });
    }
    Ok(Some(Change::EnrolAll { people: newcomers }))
}

/// Whose account it is has to be known: whoever owns the account that asks must not approve it.
fn account(typed: &Import, id: &String) -> Result<BTreeSet<u32>, Failure> {
    if typed.no_account.contains(id) {
        return Ok(BTreeSet::new());
    }
    // By its name alone: a person may be called by a number, and that is no account's.
    let accounts = backstop_engine::porch::accounts();
    let his = accounts.iter().find(|a| a.name.as_slice() == id.as_bytes()).map(|a| [a.uid].into());
    his.ok_or_else(|| {
        let other =
            format!("whose account has another name is enrolled by itself: backstop people add {id} --account NAME");
        Failure::usage(format!("there is no user account {id}"))
            .next(format!("{id} has none on this machine: --no-account {id}"))
            .next(other)
    })
}

/// `anna.txt`; the second key's is `anna+2.txt`, as nobody can be called.
fn name(dir: &Path, id: &str, n: usize, end: &str) -> PathBuf {
    dir.join(if n == 0 { format!("{id}.{end}") } else { format!("{id}+{}.{end}", n + 1) })
}

fn write(people: &People, roster: &Roster, dir: &Path) -> Result<(), Failure> {
    let failed = |path: &Path| {
        let what = format!("cannot write {}", path.display());
        move |e: std::io::Error| Failure::because(what, &e).next("name an empty directory, or one that is not there")
    };
    fs::create_dir_all(dir).map_err(failed(dir))?;
    let put = |path: PathBuf, text: String| {
        let mut file = File::create_new(&path).map_err(failed(&path))?;
        file.write_all(text.as_bytes()).map_err(failed(&path))?;
        out::say(&format!("{}\n", path.display()));
        Ok::<_, Failure>(())
    };
    let all = roster.iter().flat_map(|(id, keys)| keys.iter().enumerate().map(move |(n, key)| (id, n, key)));
    for (id, n, key) in all {
        put(name(dir, id, n, "txt"), people.enrolment(id, key as &Key))?;
    }
    let sign = "each key's owner signs his: ssh-keygen -Y sign -n enrolment@backstop -f KEY ID.txt";
    out::say(&format!("  next     {sign}\n           then: backstop people import FILE --proofs {}\n", dir.display()));
    Ok(())
}
