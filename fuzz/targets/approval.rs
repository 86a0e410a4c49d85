//! Any bytes as what people sign, who they are, by which keys, and what was signed with them.
#![no_main]

use backstop_core::approval::key::Key;
use backstop_core::approval::people::People;
use backstop_core::approval::quorum::Quorum;
use backstop_core::approval::roster;
use backstop_core::approval::statement::Statement;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(people) = People::parse(data) {
        assert_eq!(People::parse(&serde_json::to_vec(&people).expect("JSON")), Ok(people));
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    // One spelling: what is read is written the same.
    if let Ok(statement) = Statement::parse(text) {
        assert_eq!(statement.text(), text);
    }
    if let Ok(quorum) = Quorum::parse(text) {
        assert!(quorum.is_sound());
    }
    if let Ok(key) = Key::parse(text) {
        assert_eq!(Key::parse(key.line()).map(|k| k.fingerprint()), Ok(key.fingerprint()));
    }
    if let Ok(people) = roster::parse(text) {
        assert!(people.values().all(|keys| !keys.is_empty()));
    }
    // A key, and a signature behind it.
    if let Some((key, signature)) = text.split_once("\n\n")
        && let Ok(key) = Key::parse(key)
    {
        assert!(key.verify("approval@backstop", b"never signed by anybody", signature).is_err());
    }
});
