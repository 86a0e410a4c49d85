//! A value to be written into a configuration file, in the order of its author, whatever the file's format.

use jsonc_parser::cst::CstInputValue;
use serde_json::Value as Json;
use toml_edit::{Array, ArrayOfTables, InlineTable, Table, Value as Toml};

/// A value with its keys in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    Bool(bool),
    List(Vec<Item>),
    Map(Vec<(&'static str, Item)>),
    Number(i64),
    Text(String),
}

impl From<&str> for Item {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl Item {
    pub fn json(&self) -> Json {
        match self {
            Self::Bool(b) => Json::from(*b),
            Self::List(items) => items.iter().map(Self::json).collect(),
            Self::Map(pairs) => Json::Object(pairs.iter().map(|(k, v)| ((*k).to_owned(), v.json())).collect()),
            Self::Number(n) => Json::from(*n),
            Self::Text(t) => Json::from(t.as_str()),
        }
    }

    pub fn cst(&self) -> CstInputValue {
        match self {
            Self::Bool(b) => CstInputValue::Bool(*b),
            Self::List(items) => CstInputValue::Array(items.iter().map(Self::cst).collect()),
            Self::Map(pairs) => CstInputValue::Object(pairs.iter().map(|(k, v)| ((*k).to_owned(), v.cst())).collect()),
            Self::Number(n) => CstInputValue::Number(n.to_string()),
            Self::Text(t) => CstInputValue::String(t.clone()),
        }
    }

    /// As a value on a line of its own.
    pub fn inline(&self) -> Toml {
        match self {
            Self::Bool(b) => Toml::from(*b),
            Self::List(items) => Toml::Array(items.iter().map(Self::inline).collect::<Array>()),
            Self::Map(pairs) => Toml::InlineTable(pairs.iter().map(|(k, v)| (*k, v.inline())).collect::<InlineTable>()),
            Self::Number(n) => Toml::from(*n),
            Self::Text(t) => Toml::from(t.as_str()),
        }
    }

    /// As what stands beneath a key of a table: maps as tables, lists of maps as lists of tables.
    pub fn under(&self) -> toml_edit::Item {
        match self {
            Self::Map(pairs) => toml_edit::Item::Table(table(pairs)),
            Self::List(items) if !items.is_empty() && items.iter().all(|i| matches!(i, Self::Map(_))) => {
                let mut all = ArrayOfTables::new();
                for item in items {
                    if let Self::Map(pairs) = item {
                        all.push(table(pairs));
                    }
                }
                toml_edit::Item::ArrayOfTables(all)
            }
            other => toml_edit::Item::Value(other.inline()),
        }
    }
}

pub fn table(pairs: &[(&'static str, Item)]) -> Table {
    let mut out = Table::new();
    for (key, value) in pairs {
        out.insert(key, value.under());
    }
    out
}
