//! Rehearsals on the running kernel. Every case runs in a process of its own, because a rehearsal
//! forks; cases that need mounts make them in a scratch mount namespace. Nothing outside the
//! temporary directory of a case is ever written to.

mod driver;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if args.get(1).is_some_and(|a| a == "--driver") {
        driver::main(&args[2..]);
    }
}
