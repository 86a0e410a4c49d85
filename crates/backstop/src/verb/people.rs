//! `people`: who may approve. The first two are enrolled at once; whatever comes after takes two people.

mod import;

use std::collections::BTreeSet;
use std::io;

use backstop_core::approval::people::{Change, ENROLMENT, NewKey};
use backstop_engine::{Doors, Failure, Wish};

use super::{self as verb};
use crate::args::{Enrolment, People};
use crate::document::PeopleDocument;
use crate::out::{self, Done};
use crate::screen::approval;
use crate::screen::style::Style;
use crate::{clock, exit, inside, signing};

/// `backstop people …`.
pub fn people(typed: &People) -> Done {
    if let People::List(json) = typed {
        return list(json.json);
    }
    inside::people_only("people")?;
    let mut house = verb::doors()?;
    if let People::Add { who, .. } | People::AddKey(who) = typed
        && who.statement
    {
        let key = signing::public_key(&who.key)?;
        out::print(&house.people()?.enrolment(&who.id, &key))?;
        return Ok(exit::OK);
    }
    let change = match typed {
        People::Import(list) => {
            let Some(change) = import::change(&*house, list)? else {
                if list.json {
                    out::document(&PeopleDocument::of(house.people()?, None))?;
                }
                return Ok(exit::OK);
            };
            change
        }
        other => change(&*house, other)?,
    };
    let wish = house.change_people(&change)?;
    let code = if matches!(wish, Wish::Asked(_)) { exit::HELD } else { exit::OK };
    if typed.wants_json() {
        let asked = if let Wish::Asked(asked) = &wish { Some(asked.as_ref()) } else { None };
        out::document(&PeopleDocument::of(house.people()?, asked))?;
    } else {
        out::say(&approval::wish(&wish, &change, clock::now(), Style::of(&io::stderr())));
    }
    Ok(code)
}

fn list(json: bool) -> Done {
    inside::records_needed("people list")?;
    let people = verb::doors()?.people()?;
    if json {
        out::document(&PeopleDocument::of(people, None))?;
    } else {
        out::print(&approval::people(&people, clock::now(), Style::of(&io::stdout())))?;
    }
    Ok(exit::OK)
}

fn change(house: &dyn Doors, typed: &People) -> Result<Change, Failure> {
    Ok(match typed {
        People::List(_) | People::Import(_) => return Err(Failure::internal("a list is no change")),
        People::Add { who, group, account, no_account: _ } => Change::Enrol {
            groups: group.iter().cloned().collect(),
            id: who.id.clone(),
            keys: vec![new_key(house, who)?],
            uids: uids(account)?,
        },
        People::Remove { id, .. } => Change::Remove { id: id.clone() },
        People::AddKey(who) => Change::AddKey { id: who.id.clone(), key: new_key(house, who)? },
        People::RemoveKey { id, fingerprint, .. } => Change::RemoveKey { id: id.clone(), key: fingerprint.clone() },
        People::Grant { id, group, .. } => Change::Grant { group: group.clone(), id: id.clone() },
        People::Withdraw { id, group, .. } => Change::Withdraw { group: group.clone(), id: id.clone() },
        People::Accounts { id, accounts, .. } => Change::Accounts { id: id.clone(), uids: uids(accounts)? },
    })
}

/// The key, and its owner's word: what was signed elsewhere, or signed now.
fn new_key(house: &dyn Doors, who: &Enrolment) -> Result<NewKey, Failure> {
    let key = signing::public_key(&who.key)?;
    let proof = match &who.proof {
        Some(path) => signing::text(path)?,
        None => signing::sign(&house.people()?.enrolment(&who.id, &key), ENROLMENT, &who.key).map_err(|f| {
            f.next(format!(
                "the key's owner signs what this prints: backstop people add {} --key FILE --statement; then --proof FILE",
                who.id
            ))
        })?,
    };
    Ok(NewKey { key: key.line().to_owned(), proof })
}

fn uids(named: &[String]) -> Result<BTreeSet<u32>, Failure> {
    let accounts = backstop_engine::porch::accounts();
    let one = |text: &String| {
        let named = || accounts.iter().find(|a| a.name.as_slice() == text.as_bytes()).map(|a| a.uid);
        text.parse().ok().or_else(named).ok_or_else(|| {
            Failure::usage(format!("there is no user account {}", backstop_core::quoted::Quoted(text.as_bytes())))
                .next("give its number, or its name as in /etc/passwd")
        })
    };
    named.iter().map(one).collect()
}
