//! What happens when a (series, time) is written again: which versions of a row remain.

use arrow::buffer::BooleanBuffer;

use crate::{Conflict, UpdateMode};

/// What a row does to an older row of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// Gives way to it.
    Keep,
    /// Takes its place whole.
    Replace,
    /// Takes the place of its values, where it has some itself.
    Merge,
}

impl Rule {
    pub fn new(conflict: Conflict, update: UpdateMode) -> Rule {
        match (conflict, update) {
            (Conflict::ByVnode, UpdateMode::KeepFirst) | (Conflict::Keep, _) => Rule::Keep,
            (Conflict::ByVnode, UpdateMode::ReplaceRow) | (Conflict::Replace, _) => Rule::Replace,
            (Conflict::ByVnode, UpdateMode::MergeColumns) | (Conflict::Merge, _) => Rule::Merge,
        }
    }

    /// The rule of rows that are flagged in a vnode's data files.
    ///
    /// A file has one bit for a row, so a vnode's rows follow two rules there: its own, and the one other that can occur. Upserts into a
    /// vnode that keeps the first row would be a third; flushing turns them into whole rows.
    pub fn flagged(update: UpdateMode) -> Rule {
        match update {
            UpdateMode::KeepFirst | UpdateMode::MergeColumns => Rule::Replace,
            UpdateMode::ReplaceRow => Rule::Merge,
        }
    }
}

/// The rules of many rows.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    /// Of rows that are not flagged.
    plain: Rule,
    /// Rows that follow `Rule::Replace` instead.
    replaces: Option<BooleanBuffer>,
}

impl Rules {
    pub fn all(rule: Rule) -> Rules {
        Rules {
            plain: rule,
            replaces: None,
        }
    }

    /// Rows that follow `plain`, but where `replaces` is set `Rule::Replace`.
    pub fn mixed(plain: Rule, replaces: BooleanBuffer) -> Rules {
        match replaces.count_set_bits() {
            0 => Rules::all(plain),
            _ => Rules {
                plain,
                replaces: Some(replaces),
            },
        }
    }

    /// From the flags of a data file.
    pub fn from_flags(update: UpdateMode, flags: Option<BooleanBuffer>) -> Rules {
        let plain = Rule::new(Conflict::ByVnode, update);
        match (flags, Rule::flagged(update)) {
            (None, _) => Rules::all(plain),
            (Some(flags), Rule::Replace) => Rules::mixed(plain, flags),
            (Some(flags), other) => Rules::mixed(other, !&flags),
        }
    }

    pub fn get(&self, row: usize) -> Rule {
        match &self.replaces {
            Some(replaces) if replaces.value(row) => Rule::Replace,
            _ => self.plain,
        }
    }

    /// The rule that every row follows, if there is one.
    pub fn only(&self) -> Option<Rule> {
        self.replaces.is_none().then_some(self.plain)
    }

    /// Whether some row may follow `Rule::Merge`.
    pub fn may_merge(&self) -> bool {
        self.plain == Rule::Merge
    }

    /// Whether rows of both can share one `Rules`, and be folded among themselves before what is older is known.
    ///
    /// `Keep` and `Merge` cannot: an upsert on top of a row that may itself have to give way has to be worked out with the oldest at hand.
    pub fn mixes_with(&self, other: &Rules) -> bool {
        self.plain == other.plain || self.only() == Some(Rule::Replace) || other.only() == Some(Rule::Replace)
    }

    /// Those of several after one another (each with its number of rows), which must mix.
    pub fn concat(parts: &[(&Rules, usize)]) -> Rules {
        let mut only = parts.iter().map(|(rules, _)| rules.only());
        let first = only.next().flatten();
        if let Some(rule) = first
            && only.all(|other| other == Some(rule))
        {
            return Rules::all(rule);
        }
        let plain = parts
            .iter()
            .map(|(rules, _)| rules.plain)
            .find(|plain| *plain != Rule::Replace)
            .unwrap_or(Rule::Replace);
        let mut replaces = arrow::array::BooleanBufferBuilder::new(parts.iter().map(|(_, rows)| rows).sum());
        for (rules, rows) in parts {
            match &rules.replaces {
                Some(buffer) => replaces.append_buffer(&buffer.slice(0, *rows)),
                None => replaces.append_n(*rows, rules.plain == Rule::Replace),
            }
        }
        Rules::mixed(plain, replaces.finish())
    }

    /// Those of the rows that `keep` is set for.
    pub fn filter(&self, keep: &BooleanBuffer) -> Rules {
        match &self.replaces {
            None => self.clone(),
            Some(replaces) => Rules::mixed(self.plain, keep.set_indices().map(|row| replaces.value(row)).collect()),
        }
    }
}

/// Which of a key's versions, given by their rules from oldest to newest, remain, to be merged column by column.
///
/// One that remains alone is a row as it stands. The rule of the whole is the rule of the first that remains.
pub(crate) fn fold(rules: impl Iterator<Item = Rule>, remaining: &mut Vec<usize>) {
    remaining.clear();
    for (version, rule) in rules.enumerate() {
        match rule {
            Rule::Keep if !remaining.is_empty() => {}
            Rule::Replace => {
                remaining.clear();
                remaining.push(version);
            }
            Rule::Keep | Rule::Merge => remaining.push(version),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Rule::{Keep, Merge, Replace};

    #[test]
    fn versions_that_remain() {
        let remaining = |rules: &[Rule]| {
            let mut remaining = Vec::new();
            fold(rules.iter().copied(), &mut remaining);
            remaining
        };
        assert_eq!(remaining(&[Keep, Keep]), [0]);
        assert_eq!(remaining(&[Merge, Merge, Merge]), [0, 1, 2]);
        assert_eq!(remaining(&[Merge, Replace, Merge]), [1, 2]);
        assert_eq!(remaining(&[Replace, Keep]), [0]);
        assert_eq!(remaining(&[Keep, Merge, Keep]), [0, 1]);
    }

    #[test]
    fn flags_of_files_mean_the_other_rule() {
        let flags = BooleanBuffer::from(vec![true, false]);
        for (update, plain, other) in [
            (UpdateMode::KeepFirst, Keep, Replace),
            (UpdateMode::ReplaceRow, Replace, Merge),
            (UpdateMode::MergeColumns, Merge, Replace),
        ] {
            assert_eq!(Rules::from_flags(update, None).only(), Some(plain));
            let rules = Rules::from_flags(update, Some(flags.clone()));
            assert_eq!((rules.get(0), rules.get(1)), (other, plain));
        }
    }

    #[test]
    fn concatenated_rules_stay_with_their_rows() {
        let mixed = Rules::mixed(Merge, BooleanBuffer::from(vec![false, true]));
        let whole = Rules::concat(&[(&Rules::all(Replace), 1), (&mixed, 2), (&Rules::all(Merge), 1)]);
        let each: Vec<_> = (0..4).map(|row| whole.get(row)).collect();
        assert_eq!(each, [Replace, Merge, Replace, Merge]);
        assert_eq!(
            Rules::concat(&[(&Rules::all(Keep), 3), (&Rules::all(Keep), 1)]).only(),
            Some(Keep)
        );
        assert!(!Rules::all(Keep).mixes_with(&Rules::all(Merge)));
        assert!(mixed.mixes_with(&Rules::all(Replace)));
    }
}
