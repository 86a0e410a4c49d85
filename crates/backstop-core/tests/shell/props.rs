//! What holds for any text at all. Shared with the fuzzer (`fuzz/`), which calls `holds`.

use backstop_core::bytes::Bytes;
use backstop_core::shell::lane::{Lane, lane};
use backstop_core::shell::{MOST_WORDS, Script, Span, read, read_argv};

/// Reads the text and asks everything that can be asked of a script.
pub fn holds(text: &[u8]) {
    let script = read(text);
    inside(&script, text.len());
    if let (Lane::Read, false) = (lane(&script), script.is_clear()) {
        panic!("what was not read was taken for reading");
    }
    let argv: Vec<Bytes> = text.split(|b| *b == 0).map(Bytes::from).collect();
    inside(&read_argv(&argv), text.len());
}

fn inside(script: &Script, length: usize) {
    let within = |span: Span| assert!(span.start <= span.end && span.end <= length, "{span:?} of {length}");
    let mut words = 0;
    for opaque in &script.opaque {
        within(opaque.span);
        assert!(!opaque.why.to_string().is_empty());
    }
    for command in &script.commands {
        within(command.span);
        let values = command.assignments.iter().flat_map(|a| &a.values);
        for word in command.program.iter().chain(&command.arguments).chain(values) {
            within(word.span);
            words += 1;
        }
        for redirect in &command.redirects {
            within(redirect.span);
            within(redirect.target.span);
        }
        for code in &command.code {
            within(code.span);
        }
    }
    for word in &script.loose {
        within(word.span);
    }
    // What `-exec` starts is counted twice: as words of `find`, and as a command.
    assert!(words <= 2 * MOST_WORDS, "{words} words");
    for path in script.paths() {
        within(path.span);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::bash::PIECES;
    use crate::show;
    use backstop_core::request::Command;

    fn soup() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            8 => (0..PIECES.len()).prop_map(|i| PIECES[i].as_bytes().to_vec()),
            1 => proptest::collection::vec(any::<u8>(), 0..4),
            1 => Just(b"sudo -u x env A=b find . -exec sh -c '".to_vec()),
        ];
        proptest::collection::vec(piece, 0..40).prop_map(|p| p.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2_000, ..ProptestConfig::default() })]

        #[test]
        fn any_bytes_are_read(text in proptest::collection::vec(any::<u8>(), 0..300)) {
            holds(&text);
        }

        #[test]
        fn any_pieces_are_read(text in soup()) {
            holds(&text);
        }

        #[test]
        fn what_is_quoted_is_read_back(arguments in proptest::collection::vec(proptest::collection::vec(1u8.., 0..20), 0..6)) {
            let mut argv = vec![Bytes::from("program")];
            argv.extend(arguments.into_iter().map(Bytes::from));
            let script = read(Command::Argv(argv.clone()).text().as_slice());
            prop_assert!(script.is_clear());
            prop_assert_eq!(script.commands.len(), 1);
            prop_assert_eq!(script.commands[0].argv(), Some(argv));
        }

        #[test]
        fn a_quoted_vector_says_what_the_vector_says(arguments in proptest::collection::vec("[-a-z~=:/ $'{},*]{0,8}|sudo|env|bash|-c|find|-exec|;|rm", 1..8)) {
            let argv: Vec<Bytes> = arguments.iter().map(|a| Bytes::from(a.as_str())).collect();
            let line = Command::Argv(argv.clone()).text();
            let shown = |s: &Script| -> Vec<String> { s.commands.iter().map(show::simple).collect() };
            prop_assert_eq!(shown(&read(line.as_slice())), shown(&read_argv(&argv)), "{:?}", line);
        }
    }
}
