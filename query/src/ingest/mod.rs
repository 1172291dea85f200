//! From values on the wire to columns for each vnode: COPY, VALUES lists and prepared inserts, without a planner.

pub mod accumulator;
pub mod copy;
pub mod insert;
