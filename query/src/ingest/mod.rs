//! From values on the wire to columns for each vnode: COPY, VALUES lists and prepared inserts, without a planner.
//!
//! ```text
//! COPY text, csv ──copy_text──┐
//! COPY binary ────copy_binary─┴─copy_rows─┐                         ┌─ number, time: text to values
//! INSERT ──lexer── insert, insert_bind ───┼── column, assign ───────┤
//!   insert_rows, insert_planned (SELECT …) ┘      │                  └─ names, new_tables: which series
//!                                                └── rows ── accumulator ──> changes for vnodes
//! ```

pub mod accumulator;
pub mod assign;
pub mod column;
pub mod copy;
pub mod copy_binary;
pub mod copy_rows;
pub mod copy_text;
pub mod datum;
pub mod insert;
pub mod insert_bind;
pub mod insert_expressions;
pub mod insert_planned;
mod insert_returning;
pub mod insert_rows;
pub(crate) mod keyed;
pub mod lexer;
mod name_order;
pub mod names;
pub mod new_tables;
pub mod number;
pub mod rows;
pub mod target;
#[cfg(test)]
mod tests;
pub mod time;
pub mod written_time;
