//! Queries that a session sends again and again with other literals: looked up, typed and planned once, as if they had been prepared.
//!
//! A shape that comes for the second time is prepared with parameters in the place of its literals; from then on its queries are neither
//! parsed nor planned. Whatever such a plan refuses is asked again as it was written, so that errors are those of the query itself.

use std::collections::HashMap;
use std::sync::Arc;

use super::Prepared;
use crate::statement::shape::Shape;
use crate::{Format, Parameter};

/// Shapes that one session keeps: more than a dashboard or an application has.
const SHAPES_MAX: usize = 64;
/// Plans of one shape that differ in literals which cannot be parameters: intervals, formats.
const PLANS_OF_SHAPE_MAX: usize = 8;

#[derive(Default)]
pub struct Shapes {
    known: HashMap<String, Vec<Known>>,
}

/// A shape with the literals that stay.
struct Known {
    /// Literals by number; `None` where a parameter is.
    fixed: Vec<Option<String>>,
    state: State,
}

enum State {
    SeenOnce,
    Prepared(Reusable),
    /// Has no plan to be used again.
    Refused,
}

/// A query with parameters where literals were.
#[derive(Clone)]
pub struct Reusable {
    pub prepared: Prepared,
    /// For each parameter the literal of the shape.
    pub literals: Arc<[usize]>,
}

/// What is known of a query's shape.
pub enum Seen {
    Never,
    Once,
    Prepared(Reusable),
    Refused,
}

impl Reusable {
    pub fn parameters(&self, shape: &Shape) -> Arc<[Parameter]> {
        let text = |index: &usize| shape.literals.get(*index).map(|literal| literal.text.clone().into());
        self.literals
            .iter()
            .map(|index| Parameter {
                format: Format::Text,
                value: text(index),
            })
            .collect()
    }
}

impl Shapes {
    pub fn look_up(&self, shape: &Shape) -> Seen {
        let known = self
            .known
            .get(&shape.key)
            .into_iter()
            .flatten()
            .find(|known| known.covers(shape));
        match known.map(|known| &known.state) {
            None => Seen::Never,
            Some(State::SeenOnce) => Seen::Once,
            Some(State::Prepared(reusable)) => Seen::Prepared(reusable.clone()),
            Some(State::Refused) => Seen::Refused,
        }
    }

    /// It came for the first time.
    pub fn note(&mut self, shape: &Shape) {
        self.keep(
            shape,
            Known {
                fixed: vec![None; shape.literals.len()],
                state: State::SeenOnce,
            },
        );
    }

    /// What became of it when it came again; `None`: nothing that could be used again.
    pub fn settle(&mut self, shape: &Shape, reusable: Option<Reusable>) {
        let state = reusable.map_or(State::Refused, State::Prepared);
        let is_parameter = |index: usize| match &state {
            State::Prepared(reusable) => reusable.literals.contains(&index),
            // Whatever its literals are.
            _ => true,
        };
        let literals = shape.literals.iter().enumerate();
        let fixed = literals
            .map(|(index, literal)| (!is_parameter(index)).then(|| literal.text.clone()))
            .collect();
        self.forget(shape);
        self.keep(shape, Known { fixed, state });
    }

    pub fn forget(&mut self, shape: &Shape) {
        if let Some(plans) = self.known.get_mut(&shape.key) {
            plans.retain(|known| !known.covers(shape));
        }
    }

    pub fn clear(&mut self) {
        self.known.clear();
    }

    fn keep(&mut self, shape: &Shape, known: Known) {
        if self.known.len() >= SHAPES_MAX && !self.known.contains_key(&shape.key) {
            self.known.clear();
        }
        let plans = self.known.entry(shape.key.clone()).or_default();
        if plans.len() >= PLANS_OF_SHAPE_MAX {
            plans.clear();
        }
        plans.push(known);
    }
}

impl Known {
    fn covers(&self, shape: &Shape) -> bool {
        self.fixed.len() == shape.literals.len()
            && self
                .fixed
                .iter()
                .zip(&shape.literals)
                .all(|(fixed, literal)| fixed.as_ref().is_none_or(|fixed| *fixed == literal.text))
    }
}
