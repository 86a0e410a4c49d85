//! A name with at most one wildcard, at its start or its end: enough for suffixes and families, and
//! decided in one comparison.

/// A name to compare with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// This very name.
    Exact(Vec<u8>),
    /// Names that begin so and are longer.
    Prefix(Vec<u8>),
    /// Names that end so and are longer.
    Suffix(Vec<u8>),
}

impl Pattern {
    /// From its spelling; the file reader has refused other wildcards.
    pub(super) fn new(text: &str) -> Self {
        match (text.strip_prefix('*'), text.strip_suffix('*')) {
            (Some(suffix), _) => Self::Suffix(suffix.into()),
            (None, Some(prefix)) => Self::Prefix(prefix.into()),
            (None, None) => Self::Exact(text.into()),
        }
    }

    /// From a spelling that may be anything.
    ///
    /// # Errors
    /// One that names nothing, or has another wildcard than one at its start or its end.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wild = text.matches('*').count();
        if text.is_empty() || text == "*" || wild > 1 || (wild == 1 && !text.starts_with('*') && !text.ends_with('*')) {
            return Err(format!("{text:?} has to be a name, with at most one * at its start or its end"));
        }
        Ok(Self::new(text))
    }

    /// The same, where the wildcard stands for nothing as well.
    pub fn covers(&self, name: &[u8]) -> bool {
        match self {
            Self::Exact(text) => name == text,
            Self::Prefix(text) => name.starts_with(text),
            Self::Suffix(text) => name.ends_with(text),
        }
    }

    /// True for what begins with a dash, or ends with a `=` and anything: an option of a command line.
    pub const fn is_option(&self) -> bool {
        match self {
            Self::Exact(text) | Self::Suffix(text) => matches!(text.as_slice(), [b'-', ..]),
            Self::Prefix(text) => matches!(text.as_slice(), [b'-', ..] | [.., b'=']),
        }
    }

    /// True where `name` is meant.
    pub fn matches(&self, name: &[u8]) -> bool {
        match self {
            Self::Exact(text) => name == text,
            Self::Prefix(text) => name.len() > text.len() && name.starts_with(text),
            Self::Suffix(text) => name.len() > text.len() && name.ends_with(text),
        }
    }
}
