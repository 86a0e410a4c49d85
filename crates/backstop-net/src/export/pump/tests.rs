use super::super::form::Room;
use super::super::record::Record;
use super::super::sink::Limits;
use super::*;
use crate::deliver::Miss;

/// A clock that only waiting moves.
#[derive(Default)]
pub(crate) struct Still(pub Duration, pub Vec<Duration>);

impl Pace for Still {
    fn now(&self) -> Duration {
        self.0
    }
    fn wait(&mut self, pause: Duration) {
        self.0 += pause;
        self.1.push(pause);
    }
}

/// What a service says to a batch.
type Answer = dyn FnMut(&[u64], &mut Vec<Fate>) -> Result<(), Miss> + Send;

/// A service that says what it is told to, and keeps what it took.
pub(crate) struct Told {
    pub answer: Box<Answer>,
    pub took: Vec<u64>,
    pub batches: Vec<usize>,
    pub records: usize,
}

pub(crate) fn told(answer: impl FnMut(&[u64], &mut Vec<Fate>) -> Result<(), Miss> + Send + 'static) -> Told {
    Told { answer: Box::new(answer), took: Vec::new(), batches: Vec::new(), records: 8 }
}

impl Sink for Told {
    fn limits(&self) -> Limits {
        Limits { records: self.records, bytes: 1_000, each: 100 }
    }
    fn shape(&self, record: &Record, _: Room) -> Vec<u8> {
        record.entry.index.to_string().into_bytes()
    }
    fn send(&mut self, batch: &[Shaped], fates: &mut Vec<Fate>) -> Result<(), Miss> {
        let indices: Vec<u64> = batch.iter().map(|one| one.index).collect();
        self.batches.push(batch.len());
        let sent = (self.answer)(&indices, fates);
        let taken = indices.iter().zip(&*fates).filter(|(_, fate)| **fate == Fate::Taken);
        self.took.extend(taken.map(|(index, _)| *index));
        sent
    }
    fn probe(&mut self) -> Result<(), Miss> {
        Ok(())
    }
}

#[derive(Default)]
struct Heard {
    next: u64,
    counts: Counts,
    skipped: Vec<(u64, String)>,
    /// How many of the next skips are not taken on record.
    deaf: u32,
    failed: Vec<(u64, String)>,
    waits: Vec<Duration>,
}

impl Book for Heard {
    fn settled(&mut self, next: u64, counts: Counts) -> Result<(), String> {
        assert!(next >= self.next, "it never goes back");
        self.next = next;
        self.counts.taken += counts.taken;
        self.counts.known += counts.known;
        self.counts.skipped += counts.skipped;
        Ok(())
    }
    fn skips(&mut self, entries: Span, why: &str) -> Result<(), String> {
        if self.deaf > 0 {
            self.deaf -= 1;
            return Err("the guard is away".to_owned());
        }
        self.skipped.push((entries.first, why.to_owned()));
        Ok(())
    }
    fn fails(&mut self, entry: u64, why: &str, wait: Duration, _: Duration) {
        self.failed.push((entry, why.to_owned()));
        self.waits.push(wait);
    }
    fn waits(&mut self, _: Duration) {}
}

fn some(count: u64) -> Vec<Shaped> {
    (0..count).map(|index| Shaped { bytes: vec![0; 10], ..super::super::sink::tests::nothing(index) }).collect()
}

fn delivered(sink: &mut Told, count: u64, deaf: u32) -> (Heard, Still) {
    let (mut heard, mut still) = (Heard { deaf, ..Heard::default() }, Still::default());
    Pump::new(sink, &mut still).deliver(some(count), &mut heard).expect("delivered");
    assert_eq!(heard.next, count, "all of it is done with");
    (heard, still)
}

const ALL: fn(&[u64], &mut Vec<Fate>) -> Result<(), Miss> = |batch, fates| {
    fates.extend(batch.iter().map(|_| Fate::Taken));
    Ok(())
};

#[test]
fn an_outage_of_an_hour_loses_nothing_and_the_order_stays() {
    let mut tries = 0;
    let mut sink = told(move |batch, fates| {
        tries += 1;
        // So many attempts are 3,083 s at least and more than an hour in the middle, whatever the dice say.
        if tries <= 21 { Err(Miss::again("no route")) } else { ALL(batch, fates) }
    });
    let (heard, still) = delivered(&mut sink, 100, 0);
    assert!(still.0 > Duration::from_secs(3_000), "{:?}", still.0);
    assert_eq!(sink.took, (0..100).collect::<Vec<_>>());
    assert_eq!((heard.counts.taken, heard.skipped.len(), heard.failed.len()), (100, 0, 21));
    // Longer each time, never the same for all, and never too long.
    let near = |pause: &Duration, seconds: u64| {
        let seconds = Duration::from_secs(seconds);
        *pause >= seconds * 3 / 4 && *pause < seconds * 5 / 4
    };
    assert!(heard.waits.iter().zip([1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]).all(|(pause, s)| near(pause, s)));
    assert!(heard.waits.iter().any(|pause| pause.subsec_millis() != 0));
    assert!(still.1.iter().all(|slice| *slice <= SLICE), "somebody looks while it is waited");
}

#[test]
fn a_server_says_how_long_to_wait_and_what_of_a_batch_it_takes_later() {
    let mut tries = 0;
    let mut sink = told(move |batch, fates| {
        tries += 1;
        match tries {
            1 => Err(Miss { after: Some(Duration::from_secs(40)), ..Miss::again("429") }),
            2 => {
                let fate =
                    |index: &u64| if index.is_multiple_of(2) { Fate::Again("429".to_owned()) } else { Fate::Taken };
                fates.extend(batch.iter().map(fate));
                Ok(())
            }
            // The connection broke after some.
            3 => {
                fates.push(Fate::Taken);
                Err(Miss::again("reset"))
            }
            _ => ALL(batch, fates),
        }
    });
    let (heard, _) = delivered(&mut sink, 10, 0);
    assert!(heard.waits[0] >= Duration::from_secs(30) && heard.waits[0] < Duration::from_secs(50));
    let mut took = sink.took.clone();
    took.sort_unstable();
    assert_eq!(took, (0..10).collect::<Vec<_>>(), "each once");
    assert_eq!(sink.took[..4], [1, 3, 5, 7], "what it takes later keeps its place");
    assert_eq!(sink.took[4..], [0, 2, 4, 6, 8, 9]);
    assert_eq!(heard.failed.iter().map(|(entry, _)| *entry).collect::<Vec<_>>(), [0, 0, 2]);
}

#[test]
fn a_record_that_spoils_its_batch_is_found_and_all_others_arrive() {
    for poison in [vec![0], vec![7], vec![5, 6], vec![0, 31], (0..32).collect::<Vec<u64>>()] {
        let bad = poison.clone();
        let mut sink = told(move |batch, fates| match batch.iter().any(|index| bad.contains(index)) {
            true => Err(Miss::never("400")),
            false => ALL(batch, fates),
        });
        let (heard, still) = delivered(&mut sink, 32, 0);
        assert_eq!(heard.skipped.iter().map(|(index, _)| *index).collect::<Vec<_>>(), poison);
        assert_eq!(sink.took, (0..32).filter(|n| !poison.contains(n)).collect::<Vec<_>>());
        assert!(still.1.is_empty(), "nobody waits for what never comes");
        assert_eq!(heard.counts.skipped as usize, poison.len());
    }
    // Batches grow again after it.
    let mut sink = told(|batch, fates| if batch.contains(&3) { Err(Miss::never("400")) } else { ALL(batch, fates) });
    delivered(&mut sink, 64, 0);
    assert_eq!(sink.batches[sink.batches.len() - 2], 8, "{:?}", sink.batches);
}

#[test]
fn what_is_refused_goes_on_record_before_anything_goes_past_it() {
    let refuse = |batch: &[u64], fates: &mut Vec<Fate>| {
        let fate = |index: &u64| if *index == 2 { Fate::Refused("no date".to_owned()) } else { Fate::Taken };
        fates.extend(batch.iter().map(fate));
        Ok(())
    };
    let mut sink = told(refuse);
    let (heard, still) = delivered(&mut sink, 8, 4);
    assert_eq!(heard.skipped, [(2, "no date".to_owned())]);
    assert_eq!(heard.waits.len(), 4, "until it is");
    assert!(still.0 > Duration::from_secs(10));
    assert!(heard.failed.iter().all(|(entry, _)| *entry == 2));
    assert!(heard.failed[0].1.contains("the guard is away") && heard.failed[0].1.contains("no date"));
    assert_eq!(sink.took, [0, 1, 3, 4, 5, 6, 7], "the others were taken meanwhile, and once");
}

#[test]
fn what_it_had_before_is_counted_apart() {
    let mut sink = told(|batch, fates| {
        fates.extend(batch.iter().map(|index| if *index < 5 { Fate::Known } else { Fate::Taken }));
        Ok(())
    });
    let (heard, _) = delivered(&mut sink, 10, 0);
    assert_eq!((heard.counts.known, heard.counts.taken), (5, 5));
}

#[test]
fn a_sink_that_does_not_say_what_became_of_a_record_is_asked_with_pauses() {
    let mut tries = 0;
    let mut sink = told(move |batch, fates| {
        tries += 1;
        if tries < 4 { Ok(()) } else { ALL(batch, fates) }
    });
    let (heard, _) = delivered(&mut sink, 8, 0);
    assert_eq!((heard.waits.len(), sink.took.len()), (3, 8));
}
