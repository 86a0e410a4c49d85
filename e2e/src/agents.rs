//! Takes a coding agent that people use, installs it, and lets a scripted model lead it in a throw-away root
//! without a network. Gives what became of the files and what the model was told. Never speaks with a real
//! model, and never runs an agent outside of such a root.

pub mod client;
pub mod http;
pub mod install;
pub mod model;
pub mod script;
pub mod stage;
pub mod wire;
