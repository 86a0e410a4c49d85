//! Takes what the end-to-end tests share: captured trees, throw-away roots, cases of the corpus.
//! Never touches anything outside the directories it is given.
#![forbid(unsafe_code)]

pub mod agents;
pub mod arena;
pub mod benign;
pub mod bounded;
pub mod case;
pub mod claims;
pub mod corpus;
pub mod dice;
pub mod faults;
pub mod generate;
pub mod ground;
pub mod guard;
pub mod images;
pub mod ops;
pub mod perform;
pub mod screen;
pub mod service;
pub mod tree;
pub mod trial;

/// What kept a test from being a test: a fixture that fails, a machine that lacks something.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// A program or file of the machine could not be used.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// Why not.
        source: std::io::Error,
    },
    /// A step that has to succeed did not.
    #[error("{what} failed: {said}")]
    Step {
        /// Which step.
        what: String,
        /// Its words.
        said: String,
    },
    /// A corpus file is not what it should be.
    #[error("{file}: {what}")]
    Case {
        /// The file.
        file: String,
        /// What is wrong with it.
        what: String,
    },
}

impl Broken {
    /// For `map_err`: names what was tried.
    pub fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Broken {
        let what = what.into();
        move |source| Broken::Io { what, source }
    }
}
