use std::path::Path;
use std::sync::Barrier;
use std::thread;

use backstop_core::approval::people::{Change, ENROLMENT, NewKey};
use ssh_key::private::{Ed25519Keypair, KeypairData};
use ssh_key::{HashAlg, LineEnding, PrivateKey};

use super::super::Wish;
use super::super::tests::settings;
use super::*;

/// So many executors want the same at once.
const CLAIMERS: usize = 8;

/// Somebody with a key of his own.
pub(in crate::engine) struct Voter(PrivateKey);

impl Voter {
    pub(in crate::engine) fn new(seed: u8) -> Self {
        let pair = KeypairData::Ed25519(Ed25519Keypair::from_seed(&[seed; 32]));
        Self(PrivateKey::new(pair, "").expect("a key"))
    }

    pub(in crate::engine) fn key(&self) -> Key {
        Key::parse(&self.0.public_key().to_openssh().expect("a public key")).expect("a key that is taken")
    }

    pub(in crate::engine) fn sign(&self, namespace: &str, text: &str) -> String {
        let signature = self.0.sign(namespace, HashAlg::Sha512, text.as_bytes()).expect("signed");
        signature.to_pem(LineEnding::LF).expect("armoured")
    }

    pub(in crate::engine) fn enrol(&self, engine: &mut Engine, id: &str) {
        let proof = self.sign(ENROLMENT, &engine.people().expect("people").enrolment(id, &self.key()));
        let keys = vec![NewKey { key: self.key().line().to_owned(), proof }];
        let change = Change::Enrol { groups: [].into(), id: id.to_owned(), keys, uids: [].into() };
        engine.change_people(&change).expect("a founder");
    }

    pub(in crate::engine) fn vote(&self, engine: &mut Engine, digest: Digest) -> (String, String) {
        let text = engine.statement(digest, &Choice::ApproveOnce.into(), &self.key()).expect("prepared").text();
        let signature = self.sign(backstop_core::approval::statement::NAMESPACE, &text);
        (text, signature)
    }
}

impl Engine {
    /// Takes both votes, and is cut off before what they decided is done.
    fn approved(&mut self, digest: Digest, votes: &[(String, String)]) {
        let lock = self.lock_for(digest).expect("the lock");
        let people = self.people().expect("people");
        let mut request = self.current(digest, &people, &lock).expect("a request");
        for (text, signature) in votes {
            request.vote(text, signature, &people, clock::now()).expect("written").expect("a vote");
        }
        self.count(&mut request, &people).expect("counted");
        assert!(matches!(request.phase, Phase::Approved { .. }));
    }
}

fn open(state: &Path) -> Engine {
    Engine::open(settings(state)).expect("an engine")
}

/// anna and ben may approve.
pub(in crate::engine) fn founded(engine: &mut Engine) {
    Voter::new(1).enrol(engine, "anna");
    Voter::new(2).enrol(engine, "ben");
}

/// What two people agreed to is claimed by eight at once, round after round, on the real store and under its lock: each
/// time exactly one has it, and it is made once. (Runs: `of_eight_who_bring_the_last_signature_one_commits`.) `BACKSTOP_ROUNDS` says how many rounds.
#[test]
fn of_all_who_claim_at_once_exactly_one_executes() {
    let rounds = std::env::var("BACKSTOP_ROUNDS").map_or(10_000, |n| n.parse().expect("a number"));
    // In memory, where there is one: what is asked here is who wins, not what power takes.
    let memory = Path::new("/dev/shm");
    let dir = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    let dir = dir.expect("a directory");
    let state = dir.path().join("state");
    let mut engine = open(&state);
    let voters = [Voter::new(1), Voter::new(2)];
    founded(&mut engine);
    let mut claimers: Vec<Engine> = (0..CLAIMERS).map(|_| open(&state)).collect();
    for round in 0..rounds {
        let (id, group) = ("anna".to_owned(), "dba".to_owned());
        let change = if round % 2 == 0 { Change::Grant { group, id } } else { Change::Withdraw { group, id } };
        let Ok(Wish::Asked(asked)) = engine.change_people(&change) else { panic!("round {round}: nobody was asked") };
        let digest = asked.question.request;
        let votes = voters.each_ref().map(|voter| voter.vote(&mut engine, digest));
        engine.approved(digest, &votes);
        let before = engine.people().expect("people").revision;
        let begin = Barrier::new(CLAIMERS);
        let done = thread::scope(|scope| {
            let claim = |engine: &mut Engine| {
                begin.wait();
                match engine.change_people(&change) {
                    Ok(Wish::Done(_)) => true,
                    // What was to be made is made: somebody was quicker.
                    Err(failure) if failure.what.contains("in the group dba") => false,
                    other => panic!("{other:?}"),
                }
            };
            let all: Vec<_> = claimers.iter_mut().map(|engine| scope.spawn(move || claim(engine))).collect();
            all.into_iter().map(|t| t.join().expect("ended")).filter(|done| *done).count()
        });
        assert_eq!(done, 1, "round {round}");
        let after = engine.people().expect("people").revision;
        assert_eq!(after, before + 1, "round {round}");
    }
    let (mut claimed, mut made) = (0, 0);
    for entry in crate::audit::entries(&state.join("audit"), 0) {
        match entry.expect("readable").body {
            Body::ApprovalClaimed { .. } => claimed += 1,
            Body::PeopleChanged { request: Some(_), .. } => made += 1,
            _ => {}
        }
    }
    assert_eq!((claimed, made), (rounds, rounds));
    assert!(approvals::open(&engine.store).expect("listed").is_empty(), "what has ended is out of the way");
    assert_eq!(approvals::all(&engine.store).expect("listed").len(), rounds);
}
