//! Who gets in and what they may do: logins by password, rule and certificate, and every kind of statement by every path for roles with
//! different grants. Not one unexpected pass.

mod columns;
mod first_start;
mod logins;
mod matrix;
mod rules;
mod setup;
mod support;
mod views;
