//! A case: the operations that make a tree, and the operations that are tested on it. Reads and
//! writes its text form (the files of `corpus/effect/`), and makes a failing one smaller.

use std::fmt;

use crate::ops::{Op, OpError};

/// What is done to a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// Makes the tree; always done without Backstop.
    pub setup: Vec<Op>,
    /// What is tested.
    pub ops: Vec<Op>,
}

impl Case {
    /// From its text: comments, a line `setup`, operations, a line `ops`, operations.
    pub fn parse(text: &str) -> Result<Self, OpError> {
        let (before, after): (Vec<&str>, Vec<&str>) = {
            let lines: Vec<&str> = text.lines().filter(|l| l.trim() != "setup").collect();
            let at = lines.iter().position(|l| l.trim() == "ops").unwrap_or(lines.len());
            (lines[..at].to_vec(), lines.get(at + 1..).unwrap_or_default().to_vec())
        };
        Ok(Self { setup: Op::parse_all(&before.join("\n"))?, ops: Op::parse_all(&after.join("\n"))? })
    }

    /// A case with as few operations as possible for which `fails` still holds; asks it at most
    /// `tries` times. Drops halves first, then smaller parts, down to single operations.
    pub fn shrink(&self, mut tries: usize, fails: &mut dyn FnMut(&Self) -> bool) -> Self {
        let mut best = self.clone();
        loop {
            let before = best.setup.len() + best.ops.len();
            for part in [Part::Ops, Part::Setup] {
                let mut size = part.of(&best).len().div_ceil(2);
                while size > 0 {
                    let mut at = 0;
                    while at < part.of(&best).len() {
                        if tries == 0 {
                            return best;
                        }
                        let mut smaller = best.clone();
                        let list = part.of_mut(&mut smaller);
                        let end = (at + size).min(list.len());
                        list.drain(at..end);
                        tries -= 1;
                        if fails(&smaller) {
                            best = smaller;
                        } else {
                            at += size;
                        }
                    }
                    size /= 2;
                }
            }
            if best.setup.len() + best.ops.len() == before {
                return best;
            }
        }
    }
}

#[derive(Clone, Copy)]
enum Part {
    Setup,
    Ops,
}

impl Part {
    fn of(self, case: &Case) -> &Vec<Op> {
        match self {
            Self::Setup => &case.setup,
            Self::Ops => &case.ops,
        }
    }

    fn of_mut(self, case: &mut Case) -> &mut Vec<Op> {
        match self {
            Self::Setup => &mut case.setup,
            Self::Ops => &mut case.ops,
        }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "setup")?;
        for op in &self.setup {
            writeln!(f, "  {op}")?;
        }
        writeln!(f, "ops")?;
        for op in &self.ops {
            writeln!(f, "  {op}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::{Range, case};

    #[test]
    fn a_case_reads_back_as_it_was_written() {
        for seed in 0..50 {
            let case = case(seed, Range { root: true, ops: 20 });
            assert_eq!(Case::parse(&format!("# a claim\n{case}")).expect("own text"), case);
        }
    }

    #[test]
    fn shrinking_leaves_only_what_matters() {
        let text = "setup\n mkdir a 493\n mkdir b 493\n age . 1\nops\n unlink a\n rename a b\n look b\n";
        let case = Case::parse(text).expect("a case");
        let small = case.shrink(100, &mut |c| c.ops.iter().any(|o| o.to_string() == "rename a b"));
        assert_eq!(small.to_string(), "setup\nops\n  rename a b\n");
    }
}
