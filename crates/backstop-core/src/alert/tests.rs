use super::*;
use crate::audit::tests::one_of_each;
use crate::bytes::Bytes;
use crate::facts::{LostKind, Meaning};
use crate::id::RunId;
use crate::policy::{Judgement, Reason};
use crate::program::Program;
use crate::request::{Asker, Command, Net, Request};
use crate::run::State;
use crate::time::Timestamp;

const AT: Timestamp = Timestamp::new(1_800_000_000, 0);

fn run() -> RunId {
    RunId::from_number(7)
}

fn record(id: RunId) -> RunRecord {
    let request = Request {
        asker: None,
        by: None,
        command: Command::Argv(vec!["x".into()]),
        cwd: "/srv".into(),
        env_keys: Vec::new(),
        gid: 1000,
        in_place: false,
        net: Net::None,
        parallel: false,
        profile: "workstation".into(),
        reason: None,
        session: None,
        uid: 1000,
        workspace: None,
    };
    RunRecord {
        approval: None,
        digest: None,
        exit: None,
        id,
        instead: None,
        judgement: None,
        left_behind: Vec::new(),
        let_go: false,
        meaning: None,
        notes: Vec::new(),
        request,
        started: AT,
        state: State::Rehearsing,
        totals: None,
        updated: AT,
        version: 1,
    }
}

fn entry(body: Body) -> Entry {
    Entry { at: AT, body, index: 9, version: Entry::VERSION }
}

fn ran(exe: &str, argv: &[&str]) -> Entry {
    let program = Program {
        argv: argv.iter().map(|word| Bytes::from(*word)).collect(),
        as_asked: false,
        began: AT,
        cut: 0,
        cwd: None,
        exe: (!exe.is_empty()).then(|| exe.into()),
        exit: None,
        parent: 1,
        pid: 2,
        sha256: None,
    };
    entry(Body::ExecRan { program, run: run() })
}

fn judged(decision: Decision, rule: &str) -> Entry {
    let reason = Reason {
        count: 1,
        decision,
        next: None,
        paths: Vec::new(),
        quorum: None,
        rule: rule.to_owned(),
        source: None,
        why: String::new(),
        words: None,
    };
    entry(Body::RunJudged { judgement: Judgement::of(vec![reason]), run: run() })
}

fn of(rules: &Rules, entry: &Entry, run: Option<&RunRecord>) -> Option<(String, String)> {
    rules.raised(entry, run).map(|raised| (raised.rule.name.clone(), raised.what))
}

#[test]
fn dangerous_programs_are_known_however_they_are_called() {
    let rules = Rules::built_in();
    for (exe, argv, rule) in [
        ("/usr/bin/rm", "rm -rf /srv", Some("deletes-trees")),
        ("/usr/bin/rm", "rm -fr /srv", Some("deletes-trees")),
        ("/usr/bin/rm", "rm -vIR /srv", Some("deletes-trees")),
        ("/usr/bin/rm", "rm --recursive x", Some("deletes-trees")),
        ("/usr/bin/rm", "rm --rec x", Some("deletes-trees")),
        ("/tmp/innocent", "/bin/rm -r x", Some("deletes-trees")),
        ("/usr/bin/rm", "innocent -r x", Some("deletes-trees")),
        ("/bin/busybox", "rm -r x", Some("deletes-trees")),
        ("/bin/busybox", "busybox rm -r x", Some("deletes-trees")),
        ("/usr/bin/find", "find . -name x -delete", Some("deletes-trees")),
        ("/usr/bin/rsync", "rsync -a --delete-after a b", Some("deletes-trees")),
        ("/usr/bin/git", "git -C x clean -fdx", Some("deletes-trees")),
        ("/usr/bin/dd", "dd if=/dev/zero of=x", Some("destroys-content")),
        ("/usr/sbin/mke2fs", "mkfs.ext4 /dev/sda", Some("overwrites-devices")),
        ("/usr/bin/chmod", "chmod -R 777 /", Some("changes-rights-of-trees")),
        ("/usr/bin/terraform", "terraform apply -destroy", Some("destroys-infrastructure")),
        ("/usr/bin/terraform", "terraform -chdir=x destroy -auto-approve", Some("destroys-infrastructure")),
        ("/usr/bin/aws", "aws rds delete-db-instance --x", Some("destroys-infrastructure")),
        ("/usr/bin/git", "git push origin +main", Some("rewrites-history")),
        ("/usr/bin/git", "git push --force-with-lease=x", Some("rewrites-history")),
        ("", "shred x", Some("destroys-content")),
        ("/usr/bin/rm", "rm --r x", Some("deletes-trees")),
        ("/usr/bin/node", "/usr/bin/node /usr/bin/rimraf x", Some("deletes-trees")),
        ("/usr/bin/python3.11", "python3 -E /usr/bin/aws s3 rb --force s3://x", Some("destroys-infrastructure")),
        ("/usr/bin/dash", "/bin/sh /usr/sbin/ufw disable", Some("stops-guards")),
        ("/usr/bin/git", "git push origin :main", Some("rewrites-history")),
        ("/usr/bin/coreutils", "coreutils --coreutils-prog=rm -r x", Some("deletes-trees")),
        (
            "/usr/bin/python3.11",
            "python3 -W ignore /usr/bin/aws s3 rm --recursive s3://x",
            Some("destroys-infrastructure"),
        ),
        ("/usr/bin/bash", "bash -e -o errexit /usr/sbin/ufw disable", Some("stops-guards")),
        ("/usr/bin/systemctl", "systemctl disable backstop", Some("stops-guards")),
        ("/usr/bin/systemctl", "systemctl stop auditd", Some("stops-guards")),
        ("/usr/bin/truncate", "truncate --size 0 f", Some("destroys-content")),
        ("/usr/sbin/hdparm", "hdparm --security-erase PASS /dev/sda", Some("overwrites-devices")),
        ("/usr/bin/kubectl", "kubectl delete pv x", Some("destroys-infrastructure")),
        ("/usr/bin/bash", "bash -lc checkout/reboot", None),
        ("/usr/bin/perl", "perl -ne docs/shred", None),
        ("/usr/sbin/lvm", "lvm lvremove x", Some("overwrites-devices")),
        ("/usr/bin/systemctl", "systemctl stop auditd.service", Some("stops-guards")),
        ("/usr/bin/systemctl", "systemctl --user stop x", None),
        ("/usr/bin/python3.11", "python3 -c import", None),
        ("/usr/bin/bash", "bash -c rm", None),
        ("/usr/bin/rm", "rm x", None),
        ("/usr/bin/rm", "rm -- -r", None),
        ("/usr/bin/rm", "rm -f x-r", None),
        ("/usr/bin/dd", "dd if=x", None),
        ("/usr/bin/git", "git push origin main", None),
        ("/usr/bin/find", "find . -name delete", None),
        ("/usr/bin/echo", "echo rm -rf /", None),
        ("/usr/bin/terraform", "terraform plan", None),
        ("/usr/bin/sfdisk", "sfdisk -l", None),
        ("/usr/bin/kubectl", "kubectl get pods", None),
        ("/usr/bin/chmod", "chmod 644 x", None),
        ("", "", None),
    ] {
        let argv: Vec<&str> = argv.split_whitespace().collect();
        assert_eq!(of(&rules, &ran(exe, &argv), None).map(|(rule, _)| rule).as_deref(), rule, "{exe} {argv:?}");
    }
}

#[test]
fn what_is_cut_off_hides_no_flag() {
    let rules = Rules::built_in();
    let cut = |argv: &[&str]| {
        let mut entry = ran("", argv);
        if let Body::ExecRan { program, .. } = &mut entry.body {
            program.cut = 9;
        }
        of(&rules, &entry, None).map(|(rule, _)| rule)
    };
    assert_eq!(cut(&["rm", "a", "b"]).as_deref(), Some("deletes-trees"));
    assert_eq!(cut(&["dd", "if=a"]).as_deref(), Some("destroys-content"));
    assert_eq!(cut(&["git", "push", "origin"]).as_deref(), Some("rewrites-history"));
    assert_eq!(cut(&["git", "commit", "-m"]), None, "what is no flag has to be there");
    assert_eq!(cut(&["cp", "a"]), None);
}

#[test]
fn what_would_happen_raises_it_whatever_program_does_it() {
    let rules = Rules::built_in();
    let with = |class: &str, files: u64| {
        let mut record = record(run());
        let kind = LostKind { class: class.to_owned(), why: String::new() };
        record.meaning = Some(Meaning { kinds: vec![kind], ..Meaning::default() });
        let mut totals = crate::effect::Totals::default();
        totals.deleted.files = files;
        record.totals = Some(totals);
        record
    };
    for (decision, class, files, rule) in [
        (Decision::Deny, "database", 1, Some(("would-touch-protected", "database"))),
        (Decision::Ask, "credentials", 0, Some(("would-touch-protected", "credentials"))),
        (Decision::Allow, "database", 5_000, None),
        (Decision::Ask, "cache", 999, None),
        // Two people are asked, and told by that.
        (Decision::TwoPerson, "database", 5_000, None),
        (Decision::Ask, "cache", 1_000, Some(("would-delete-many", "ask"))),
    ] {
        let said = of(&rules, &judged(decision, "x"), Some(&with(class, files)));
        let said = said.as_ref().map(|(rule, what)| (rule.as_str(), what.as_str()));
        assert_eq!(said, rule, "{decision:?} {class} {files}");
    }
    // Of a run that is not kept any more nobody knows that it was harmless.
    assert!(of(&rules, &judged(Decision::Deny, "x"), None).is_some());
    assert!(of(&rules, &judged(Decision::Allow, "x"), None).is_none());
}

#[test]
fn an_administrator_adds_replaces_and_turns_off() {
    let rules = Rules::parse(
        "off = ['deletes-trees']\n\
         [[rule]]\nname = 'ends-the-machine'\nsays = 'off it goes'\nseverity = 'alert'\nprograms = ['shutdown']\n\
         [[rule]]\nname = 'mine'\nsays = 'x'\nseverity = 'error'\npolicies = ['site-*']\nusers = [1003]\nagents = ['clau*']\n\
         [[rule]]\nname = 'undone'\nsays = 'y'\nseverity = 'info'\nentries = ['run.und*']\n",
    )
    .expect("rules");
    assert_eq!(of(&rules, &ran("/usr/bin/rm", &["rm", "-r"]), None), None);
    assert_eq!(of(&rules, &ran("", &["reboot"]), None), None, "the other's place is taken");
    let off = rules.raised(&ran("", &["shutdown"]), None).map(|r| (r.rule.says.clone(), r.rule.severity));
    assert_eq!(off, Some(("off it goes".to_owned(), Severity::Alert)));
    let mut record = record(run());
    record.request.uid = 1003;
    let site = judged(Decision::Deny, "site-db");
    assert_eq!(of(&rules, &site, Some(&record)).map(|(rule, _)| rule).as_deref(), Some("would-touch-protected"));
    record.meaning = Some(Meaning::default());
    record.totals = Some(crate::effect::Totals::default());
    assert_eq!(of(&rules, &site, Some(&record)), None, "of another agent");
    record.request.asker = Some(Asker { agent: "claude".into(), call: None, subagent: None });
    assert_eq!(of(&rules, &site, Some(&record)), Some(("mine".to_owned(), "deny".to_owned())));
    assert_eq!(of(&rules, &judged(Decision::Deny, "other"), Some(&record)), None);
    record.request.by = Some(7);
    assert_eq!(of(&rules, &site, Some(&record)), None, "asked by another");
    let undone = of(&rules, &entry(Body::RunUndone { run: run() }), None);
    assert_eq!(undone, Some(("undone".to_owned(), "run.undone".to_owned())));
}

#[test]
fn what_is_the_same_is_so_by_rule_pattern_and_account_whatever_a_session_is_called() {
    let rules = Rules::built_in();
    let same = |argv: &[&str], session: Option<&str>, uid: u32| {
        let mut record = record(run());
        record.request.session = session.map(Into::into);
        record.request.uid = uid;
        rules.raised(&ran("", argv), Some(&record)).expect("raised").same
    };
    let first = same(&["rm", "-r", "a"], Some("s"), 1);
    assert_eq!(first, same(&["rm", "-rf", "b"], Some("t"), 1));
    assert_eq!(first, same(&["rm", "-r", "a"], None, 1));
    for other in [
        same(&["rm", "-r", "a"], Some("s"), 2),
        // What is graver must not be hidden by what is not.
        same(&["find", "-delete"], Some("s"), 1),
        same(&["dd", "of=a"], Some("s"), 1),
    ] {
        assert_ne!(first, other);
    }
}

#[test]
fn a_rule_that_could_never_be_raised_is_an_error_with_its_line() {
    let one = |what: &str| format!("# ours\n[[rule]]\nname = 'x'\nsays = 'y'\nseverity = 'alert'\n{what}\n");
    for (text, part) in [
        ("off = ['nothing']".to_owned(), "line 1: no rule of Backstop's own"),
        ("rules = 1".to_owned(), "line 1: unknown field"),
        (one(""), "line 2: x: it says neither"),
        (one("programs = ['rm']\nentries = ['run.denied']"), "three things"),
        (one("programs = ['rm']\ndeletes = 3"), "three things"),
        (one("programs = ['/bin/rm']"), "not its path"),
        (one("programs = ['']"), "without a name"),
        (one("programs = ['rm a*b']"), "at most one *"),
        (one("entries = ['run.dennied']"), "no entry is of the type"),
        (one("entries = ['run.denied', 'approval.*']"), "a notice of its own"),
        (one("entries = ['vault.pruned']\nusers = [7]"), "of no run"),
        (one("entries = ['*']"), "at most one *"),
        (one("entries = ['notice.*']"), "nobody is told by one"),
        (one("decisions = ['refuse']"), "unknown variant"),
        (one("entries = ['run.held']\nagain_minutes = 721"), "half a day"),
        (one("entries = ['run.held']").replace("'y'", "''"), "one line"),
        (one("entries = ['run.held']").replace("'y'", "\"a\\nb\""), "one line"),
        (one("entries = ['run.held']").replace("'x'", "'x x'"), "is no name"),
        (one("entries = ['run.held']").repeat(2), "line 8: there is a rule x already"),
    ] {
        let said = Rules::parse(&text).expect_err(&text).to_string();
        assert!(said.starts_with("line ") && said.contains(part), "{text}: {said}");
    }
    assert_eq!(Rules::parse(""), Ok(Rules::built_in()));
}

#[test]
fn no_rule_of_ours_speaks_of_the_everyday() {
    let rules = Rules::built_in();
    for body in one_of_each() {
        let told = rules.raised(&entry(body.clone()), None).is_some();
        let may = matches!(body, Body::ExecRan { .. } | Body::ExecUnlisted { .. } | Body::RunJudged { .. });
        assert!(may || !told, "{}", body.name());
    }
}
