use super::*;

#[test]
fn the_time_is_utc() {
    for (seconds, hour, weekday) in [(0, 0, 4), (86_399, 23, 4), (86_400, 0, 5), (1_795_392_000, 0, 1)] {
        let t = time(Timestamp::new(seconds, 0));
        assert_eq!((t.hour, t.weekday), (hour, weekday), "{seconds}");
    }
}
