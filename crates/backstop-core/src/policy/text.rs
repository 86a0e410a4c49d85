//! Takes the text of a policy file, gives its statements with the lines they begin on. Knows strings
//! and comments, nothing else of Cedar: a wrong cut gives statements that Cedar refuses.

/// One statement, from its first character to its semicolon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Statement<'a> {
    /// Where it begins, from 1.
    pub line: usize,
    /// Its text.
    pub text: &'a str,
}

/// The statements of `text`; an error is the line where something begins that never ends.
pub(super) fn statements(text: &str) -> Result<Vec<Statement<'_>>, usize> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut begun: Option<(usize, usize)> = None;
    let (mut line, mut at) = (1, 0);
    while at < bytes.len() {
        let (here, here_line) = (at, line);
        match bytes[at] {
            b'/' if bytes.get(at + 1) == Some(&b'/') => {
                // A carriage return ends a comment as well: in Cedar, so here.
                at += bytes[at..].iter().position(|b| matches!(b, b'\n' | b'\r')).unwrap_or(bytes.len() - at);
                continue;
            }
            b'"' => {
                begun.get_or_insert((here, here_line));
                at += 1;
                while at < bytes.len() && bytes[at] != b'"' {
                    line += usize::from(bytes[at] == b'\n');
                    // What stands behind a backslash never ends a string.
                    at += if bytes[at] == b'\\' && bytes.get(at + 1) != Some(&b'\n') { 2 } else { 1 };
                }
                if at >= bytes.len() {
                    return Err(here_line);
                }
            }
            b';' => {
                let (start, line) = begun.take().unwrap_or((here, here_line));
                found.push(Statement { line, text: &text[start..=at] });
            }
            b'\n' => line += 1,
            b if b.is_ascii_whitespace() => {}
            _ => {
                begun.get_or_insert((here, here_line));
            }
        }
        at += 1;
    }
    begun.map_or(Ok(found), |(_, line)| Err(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_end_where_cedar_ends_them() {
        let text = "// a; \"\n@id(\"x;\\\"//y\")\npermit(a);forbid\n(b) // ;\n;\n\n ;";
        let cut = statements(text).expect("whole statements");
        let told: Vec<_> = cut.iter().map(|s| (s.line, s.text)).collect();
        let first = (2, "@id(\"x;\\\"//y\")\npermit(a);");
        assert_eq!(told, [first, (3, "forbid\n(b) // ;\n;"), (7, ";")]);
        let returned = statements("// x\rforbid(a);").expect("whole statements");
        assert_eq!(returned.iter().map(|s| s.text).collect::<Vec<_>>(), ["forbid(a);"]);
    }

    #[test]
    fn what_never_ends_is_named() {
        for (text, line) in [("permit(a)", 1), ("permit(a);\n\"x\n;", 2), ("\n\nforbid // ;", 3), ("\"\\", 1)] {
            assert_eq!(statements(text), Err(line), "{text}");
        }
        assert_eq!(statements("  // nothing\n"), Ok(Vec::new()));
    }
}
