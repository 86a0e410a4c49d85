//! Bytes in, facts out, without a database program. Real databases are in `corpus/lens/sqlite/`, read
//! by the engine's tests.

use proptest::prelude::*;

use super::*;
use crate::lens::Budget;

/// A database of 512-byte pages by hand: table `t`, whose tree is an interior page over two leaves
/// with `rows` cells each.
fn database(rows: u8) -> Vec<u8> {
    let mut db = vec![0u8; 4 * 512];
    db[..16].copy_from_slice(MAGIC);
    db[16..18].copy_from_slice(&512u16.to_be_bytes());
    db[18..24].copy_from_slice(&[1, 1, 0, 64, 32, 32]);
    db[24..28].copy_from_slice(&7u32.to_be_bytes());
    db[28..32].copy_from_slice(&4u32.to_be_bytes());
    db[56..60].copy_from_slice(&1u32.to_be_bytes());
    db[92..96].copy_from_slice(&7u32.to_be_bytes());
    // Page 1: the schema, a leaf with one cell: type, name, tbl_name, rootpage, sql.
    let sql = b"CREATE TABLE t(a)";
    let mut record = vec![6, 23, 15, 15, 1, 13 + 2 * sql.len() as u8];
    record.extend_from_slice(b"tablett\x02");
    record.extend_from_slice(sql);
    let at = 512 - record.len() - 2;
    db[at] = record.len() as u8;
    db[at + 1] = 1;
    db[at + 2..512].copy_from_slice(&record);
    db[100] = 0x0d;
    db[103..105].copy_from_slice(&1u16.to_be_bytes());
    db[108..110].copy_from_slice(&(at as u16).to_be_bytes());
    // Page 2: an interior page with one cell, to pages 3 and 4.
    let p = 512;
    db[p] = 0x05;
    db[p + 4] = 1;
    db[p + 11] = 4;
    db[p + 12..p + 14].copy_from_slice(&500u16.to_be_bytes());
    db[p + 503] = 3;
    for leaf in [2 * 512, 3 * 512] {
        db[leaf] = 0x0d;
        db[leaf + 4] = rows;
    }
    db
}

fn files(main: &Vec<u8>) -> Files<'_> {
    Files { main, wal: None, journal: None }
}

fn look(before: &Vec<u8>, after: Option<&Vec<u8>>, pages: u64) -> Seen<Sqlite> {
    let after = after.map(files);
    compare(&files(before), after.as_ref(), &mut Budget::new(pages, &|| false))
}

fn facts(databases: i64, rows_lost: i64, schema_dropped: i64, tables_dropped: i64, tables_emptied: i64) -> Sqlite {
    Sqlite { databases, rows_lost, schema_dropped, tables_dropped, tables_emptied }
}

#[test]
fn rows_are_cells_of_leaves() {
    let seen = look(&database(20), Some(&database(5)), 100);
    assert_eq!(
        seen,
        Seen { facts: facts(1, 30, 0, 0, 0), incomplete: vec![], told: vec!["table t: 40 rows -> 10".into()] }
    );
    let emptied = look(&database(20), Some(&database(0)), 100);
    assert_eq!(emptied.facts, facts(1, 40, 0, 0, 1));
    assert_eq!(look(&database(20), Some(&database(20)), 100), Seen::default());
}

#[test]
fn a_file_that_is_gone_or_something_else_is_a_database_lost() {
    for (after, how) in [
        (None, "deleted"),
        (Some(Vec::new()), "emptied"),
        (Some(vec![7u8; 4096]), "overwritten with something that is no SQLite database"),
    ] {
        let seen = look(&database(20), after.as_ref(), 100);
        assert_eq!(seen.facts, facts(1, 40, 1, 1, 0));
        assert_eq!(seen.told, [format!("{how}: 1 table with 40 rows"), "table t: 40 rows".to_owned()]);
    }
    assert_eq!(look(&vec![7u8; 4096], None, 100), Seen::default());
}

#[test]
fn a_budget_that_ends_is_never_a_zero() {
    for pages in 0..12 {
        let seen = look(&database(20), Some(&database(5)), pages);
        assert!(seen.facts.rows_lost == 30 || !seen.incomplete.is_empty(), "{pages}: {seen:?}");
        let gone = look(&database(20), None, pages);
        assert!(gone.facts.rows_lost == 40 || !gone.incomplete.is_empty(), "{pages}: {gone:?}");
        assert!(gone.facts.rows_lost <= 40);
    }
    let late = compare(&files(&database(20)), None, &mut Budget::new(1 << 40, &|| true));
    assert_eq!(late.facts, facts(1, 40, 1, 1, 0), "the clock is not asked for every page");
}

#[test]
fn a_page_that_is_used_twice_hides_no_loss() {
    let mut doubled = database(20);
    doubled[512 + 503] = 4;
    let seen = look(&database(20), Some(&doubled), 100);
    assert_eq!(seen.incomplete, ["table t: damaged: page 4 is used twice"]);
    let mut circle = database(20);
    circle[512 + 503] = 2;
    assert!(!look(&circle, None, 100_000).incomplete.is_empty());
    assert!(!look(&database(20), Some(&circle), 100_000).incomplete.is_empty());
}

#[test]
fn a_hot_journal_is_said() {
    let (db, journal) = (database(20), [&[0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7][..], &[0; 600]].concat());
    let hot = Files { main: &db, wal: None, journal: Some(&journal) };
    let seen = compare(&files(&db), Some(&hot), &mut Budget::new(100, &|| false));
    assert_eq!(seen.incomplete, ["after: a transaction is half done: its rollback journal stands beside it"]);
}

#[test]
fn names_beside_a_database_lead_to_it() {
    for (name, expected) in [("a.db-wal", Some("a.db")), ("a.db-journal", Some("a.db")), ("a.db", None), ("-wal", None)]
    {
        assert_eq!(main_of(name.as_bytes()), expected.map(str::as_bytes));
    }
}

proptest! {
    #[test]
    fn no_bytes_stop_it(
        edits in prop::collection::vec((0usize..2048, any::<u8>()), 0..12),
        cut in 0usize..2049,
        wal: Vec<u8>,
        junk in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        let whole = database(20);
        let mut bad = whole.clone();
        for (at, byte) in edits {
            bad[at] = byte;
        }
        bad.truncate(cut.max(100));
        let headed = [&MAGIC[..], &junk].concat();
        for other in [&bad, &junk, &headed] {
            for (before, after) in [(&whole, other), (other, &whole)] {
                let log = Files { main: after, wal: Some(&wal), journal: Some(&junk) };
                let mut budget = Budget::new(500, &|| false);
                let _seen = compare(&files(before), Some(&log), &mut budget);
                let _seen = look(before, None, 500);
            }
        }
    }
}
