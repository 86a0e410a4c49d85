//! Cases: facts told by how they differ from a complete, undoable run that changed nothing. Rules carry
//! them in `@allows` and `@stops` (`classes: workspace outside; deleted.files: 3 | …`), files of the
//! corpus as tables.

use serde_json::Value;

use crate::effect::Totals;
use crate::facts::Facts;

/// Why a case can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CaseError {
    /// No fact of this name.
    #[error("there is no fact {0:?}")]
    Unknown(String),
    /// The value is of another kind.
    #[error("the fact {path:?} is {wanted}, not {given:?}")]
    Kind {
        /// Which fact.
        path: String,
        /// What it is.
        wanted: &'static str,
        /// What was given.
        given: String,
    },
    /// Not `fact: value`.
    #[error("{0:?} is not of the form `fact: value`")]
    Form(String),
}

/// Facts that are being told.
#[derive(Clone, Debug)]
pub struct Case(Value);

impl Default for Case {
    fn default() -> Self {
        Self(serde_json::to_value(Facts::of(&Totals::default())).expect("facts are plain values"))
    }
}

impl Case {
    /// Reads one case, as rules carry them.
    pub fn parse(text: &str) -> Result<Facts, CaseError> {
        let mut case = Self::default();
        for part in text.split(';').map(str::trim).filter(|p| !p.is_empty()) {
            let (path, value) = part.split_once(':').ok_or_else(|| CaseError::Form(part.to_owned()))?;
            case.tell(path.trim(), value.trim())?;
        }
        case.facts()
    }

    /// Reads the cases of an annotation.
    pub fn all(text: &str) -> Result<Vec<Facts>, CaseError> {
        text.split('|').map(Self::parse).collect()
    }

    /// Sets the fact at `path` to what `text` says: a number, `true`, `false`, or words.
    fn tell(&mut self, path: &str, text: &str) -> Result<(), CaseError> {
        let given = match self.at(path)? {
            Value::Number(_) => text.parse::<i64>().map(Value::from).ok(),
            Value::Bool(_) => text.parse::<bool>().map(Value::from).ok(),
            Value::String(_) => Some(Value::from(text)),
            Value::Array(_) => Some(text.split_whitespace().map(Value::from).collect()),
            Value::Object(_) | Value::Null => None,
        };
        self.set(path, given.unwrap_or_else(|| Value::from(text)))
    }

    /// Sets the fact at `path` (dots between its names), where the value is of its kind.
    pub fn set(&mut self, path: &str, value: Value) -> Result<(), CaseError> {
        let place = self.at(path)?;
        let wanted = match place {
            Value::Number(_) => "a whole number",
            Value::Bool(_) => "true or false",
            Value::String(_) => "a word",
            Value::Array(_) => "a set of words",
            Value::Object(_) | Value::Null => "a group of facts",
        };
        let same = match (&*place, &value) {
            (Value::Number(_), given) => given.is_i64(),
            (Value::Bool(_), Value::Bool(_)) | (Value::String(_), Value::String(_)) => true,
            (Value::Array(_), Value::Array(given)) => given.iter().all(Value::is_string),
            _ => false,
        };
        if !same {
            return Err(CaseError::Kind { path: path.to_owned(), wanted, given: value.to_string() });
        }
        *place = value;
        Ok(())
    }

    /// The facts.
    pub fn facts(self) -> Result<Facts, CaseError> {
        serde_json::from_value(self.0).map_err(|e| CaseError::Form(e.to_string()))
    }

    fn at(&mut self, path: &str) -> Result<&mut Value, CaseError> {
        path.split('.')
            .try_fold(&mut self.0, |here, name| here.as_object_mut()?.get_mut(name))
            .ok_or_else(|| CaseError::Unknown(path.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_tells_the_difference() {
        let told = Case::parse("classes: outside database; deleted.files: 3; undoable: false; proof.level: restore");
        let mut expected = Facts::of(&Totals::default());
        expected.classes = ["outside", "database"].map(str::to_owned).into();
        expected.deleted.files = 3;
        expected.undoable = false;
        expected.proof.level = "restore".to_owned();
        assert_eq!(told, Ok(expected));
        assert_eq!(Case::all("a: 1 | b").map(|_| ()), Err(CaseError::Unknown("a".into())));
    }

    #[test]
    fn what_is_no_fact_is_refused() {
        for text in ["class: x", "deleted.files: many", "deleted.files: 1.5", "deleted: 3", "undoable: yes", "classes"]
        {
            assert!(Case::parse(text).is_err(), "{text}");
        }
    }
}
