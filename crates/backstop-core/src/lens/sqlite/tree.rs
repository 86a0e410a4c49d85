//! Takes a root page, walks its b-tree: counts entries by the headers of leaf pages alone, or (for
//! the schema) gives the entries themselves. Depth, pages and bytes are bounded; a page that is used
//! twice is damage, not two pages.

use super::pages::{Pages, be16, be32};
use crate::lens::{Budget, Incomplete};

/// As deep as SQLite itself goes.
const DEEPEST: usize = 20;

const TABLE_LEAF: u8 = 0x0d;
const TABLE_INTERIOR: u8 = 0x05;
const INDEX_LEAF: u8 = 0x0a;
const INDEX_INTERIOR: u8 = 0x02;

/// Takes a page's bytes and where a cell begins in them.
pub(super) type EachCell<'a> = dyn FnMut(&[u8], usize, &mut Budget<'_>) -> Result<(), Incomplete> + 'a;

/// How many entries a b-tree has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counted {
    /// Entries seen; all of them where `whole`.
    pub(super) rows: u64,
    /// False where the budget ended before the tree did.
    pub(super) whole: bool,
}

/// Counts the entries beneath `root`. A budget that ends gives what was counted so far; damage is an
/// error.
pub(super) fn count(pages: &Pages<'_>, root: u32, budget: &mut Budget<'_>) -> Result<Counted, Incomplete> {
    let mut walk = Walk { pages, seen: Vec::new(), rows: 0 };
    let done = walk.count(root, 0, None, budget);
    walk.check_pages()?;
    match done {
        Ok(()) => Ok(Counted { rows: walk.rows, whole: true }),
        Err(Stop::Budget) => Ok(Counted { rows: walk.rows, whole: false }),
        Err(Stop::Damage(why)) => Err(why),
    }
}

/// Calls `each` with every cell of the table b-tree at page 1: its page's bytes and where it begins.
pub(super) fn schema_cells(
    pages: &Pages<'_>,
    budget: &mut Budget<'_>,
    each: &mut EachCell<'_>,
) -> Result<(), Incomplete> {
    let mut walk = Walk { pages, seen: Vec::new(), rows: 0 };
    let done = walk.cells(1, 0, budget, each);
    walk.check_pages()?;
    done
}

enum Stop {
    Budget,
    Damage(Incomplete),
}

struct Walk<'a, 'p> {
    pages: &'a Pages<'p>,
    /// Every page read, to find one that is used twice. Four bytes each, bounded by the budget.
    seen: Vec<u32>,
    rows: u64,
}

impl Walk<'_, '_> {
    fn count(&mut self, page: u32, depth: usize, kind: Option<bool>, budget: &mut Budget<'_>) -> Result<(), Stop> {
        let mut head = [0u8; 12];
        self.read(page, &mut head, depth, budget)?;
        let index = matches!(head[0], INDEX_LEAF | INDEX_INTERIOR);
        if kind.is_some_and(|k| k != index) {
            return Err(Stop::Damage(Incomplete::new(format!("damaged: page {page} is of another kind of tree"))));
        }
        let cells = be16(&head, 3);
        if cells * 6 + 8 > self.pages.size {
            return Err(Stop::Damage(Incomplete::new(format!("damaged: page {page} claims more than fits into it"))));
        }
        match head[0] {
            TABLE_LEAF | INDEX_LEAF => self.rows += cells as u64,
            TABLE_INTERIOR | INDEX_INTERIOR => {
                // In a tree without row ids the entries of interior pages are rows as well.
                if index {
                    self.rows += cells as u64;
                }
                for child in self.children(page, 0, budget)? {
                    self.count(child, depth + 1, Some(index), budget)?;
                }
            }
            kind => {
                let why = format!("damaged: page {page} has the unknown kind {kind:#04x}");
                return Err(Stop::Damage(Incomplete::new(why)));
            }
        }
        Ok(())
    }

    fn cells(
        &mut self,
        page: u32,
        depth: usize,
        budget: &mut Budget<'_>,
        each: &mut EachCell<'_>,
    ) -> Result<(), Incomplete> {
        let start = if page == 1 { 100 } else { 0 };
        let mut whole = vec![0u8; self.pages.size];
        self.read(page, &mut whole, depth, budget).map_err(Stop::why)?;
        let cells = be16(&whole, start + 3);
        match whole[start] {
            TABLE_LEAF => {
                for i in 0..cells {
                    let pointer = start + 8 + 2 * i;
                    if pointer + 2 > whole.len() {
                        return Err(Incomplete::new("damaged: its schema claims more than fits into a page"));
                    }
                    each(&whole, be16(&whole, pointer), budget)?;
                }
                Ok(())
            }
            TABLE_INTERIOR => {
                drop(whole);
                for child in self.children(page, start, budget).map_err(Stop::why)? {
                    self.cells(child, depth + 1, budget, each)?;
                }
                Ok(())
            }
            _ => Err(Incomplete::new("damaged: its schema is no table")),
        }
    }

    fn read(&mut self, page: u32, buf: &mut [u8], depth: usize, budget: &mut Budget<'_>) -> Result<(), Stop> {
        if depth > DEEPEST {
            return Err(Stop::Damage(Incomplete::new("damaged: a tree is deeper than any can be")));
        }
        self.seen.push(page);
        self.pages.read(page, buf, budget).map_err(|e| if budget.left() == 0 { Stop::Budget } else { Stop::Damage(e) })
    }

    fn children(&mut self, page: u32, start: usize, budget: &mut Budget<'_>) -> Result<Vec<u32>, Stop> {
        let mut whole = vec![0u8; self.pages.size];
        self.pages
            .read(page, &mut whole, budget)
            .map_err(|e| if budget.left() == 0 { Stop::Budget } else { Stop::Damage(e) })?;
        let cells = be16(&whole, start + 3);
        let mut children = Vec::with_capacity(cells + 1);
        for i in 0..cells {
            let pointer = start + 12 + 2 * i;
            let cell = be16(&whole, pointer);
            if pointer + 2 > whole.len() || cell < start + 12 || cell + 4 > whole.len() {
                let why = format!("damaged: page {page} points outside itself");
                return Err(Stop::Damage(Incomplete::new(why)));
            }
            children.push(be32(&whole, cell));
        }
        children.push(be32(&whole, start + 8));
        Ok(children)
    }

    /// A page that hangs in a tree twice would be counted twice: a way to hide lost rows.
    fn check_pages(&mut self) -> Result<(), Incomplete> {
        self.seen.sort_unstable();
        match self.seen.windows(2).find(|w| w[0] == w[1]) {
            Some(w) => Err(Incomplete::new(format!("damaged: page {} is used twice", w[0]))),
            None => Ok(()),
        }
    }
}

impl Stop {
    fn why(self) -> Incomplete {
        match self {
            Self::Budget => Incomplete::new("too big to read within the limit"),
            Self::Damage(why) => why,
        }
    }
}
