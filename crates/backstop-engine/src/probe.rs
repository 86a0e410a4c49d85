//! What this machine can and can't do, found by doing it once on scratch. Takes nothing, gives
//! values for `doctor`; leaves nothing behind.

/// One ability, tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ability {
    /// A fixed name: `overlay-root`, `overlay-user`, `metacopy`, ….
    pub name: &'static str,
    /// What it is for, in plain words.
    pub what: &'static str,
    /// True when it worked.
    pub ok: bool,
    /// How it failed, or a version.
    pub detail: String,
}

/// The machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    /// What was tried, in the order of weight.
    pub abilities: Vec<Ability>,
}
