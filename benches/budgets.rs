//! Measures the budgets of the design that need no terminal and no cluster: `cargo bench --bench budgets`.
//!
//! Prints one line each with the figure and the budget. It asserts nothing: a busy machine is not a fault.

#![expect(clippy::print_stdout, reason = "a measuring program prints")]

#[path = "budgets/alone.rs"]
mod alone;

fn main() {
    alone::measure(|what, measured, budget| println!("{what}: {measured} (budget {budget})"));
}
