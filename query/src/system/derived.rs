//! Functions in FROM whose rows are a question to the system tables: put in their place, they are planned with the rest.

use std::sync::LazyLock;

use super::postgresql::KEYWORDS;

/// Words of SQL, and what they may be used for.
static KEYWORD_ROWS: LazyLock<String> = LazyLock::new(|| {
    let row = |row: &super::postgresql::KeywordRow| {
        let description = match row.code {
            "U" => "unreserved",
            "C" => "unreserved (cannot be function or type name)",
            "T" => "reserved (can be function or type name)",
            _ => "reserved",
        };
        let label = match row.bare_label {
            true => "can be bare label",
            false => "requires AS",
        };
        format!(
            "('{}', '{}', {}, '{description}', '{label}')",
            row.word, row.code, row.bare_label
        )
    };
    let rows: Vec<String> = KEYWORDS.iter().map(row).collect();
    rows.join(", ")
});

/// The subquery that a function in FROM stands for, from its arguments as they are written; its columns have the function's names.
pub(super) fn subquery(function: &str, arguments: &[String]) -> Option<String> {
    let subquery = match (function, arguments) {
        ("pg_get_keywords", []) => format!(
            "(SELECT word, catcode, barelabel, catdesc, baredesc
                FROM (VALUES {}) AS rows (word, catcode, barelabel, catdesc, baredesc))",
            *KEYWORD_ROWS
        ),
        ("pg_partition_tree", [root]) => format!(
            "(SELECT c.oid::regclass AS relid, i.inhparent::regclass AS parentrelid, NOT c.relhassubclass AS isleaf,
                     CASE WHEN i.inhparent IS NULL THEN 0 ELSE 1 END AS level
                FROM pg_class AS c LEFT JOIN pg_inherits AS i ON i.inhrelid = c.oid
               WHERE (c.relhassubclass OR i.inhparent IS NOT NULL) AND CAST({root} AS regclass) IN (c.oid, i.inhparent))"
        ),
        ("pg_partition_ancestors", [relation]) => format!(
            "(SELECT relid::regclass AS relid
                FROM (SELECT inhrelid AS relid, 0 AS level FROM pg_inherits WHERE inhrelid = CAST({relation} AS regclass)
                      UNION ALL SELECT inhparent, 1 FROM pg_inherits WHERE inhrelid = CAST({relation} AS regclass)
                      UNION ALL SELECT oid, 0 FROM pg_class WHERE oid = CAST({relation} AS regclass) AND relhassubclass) AS found
               ORDER BY level)"
        ),
        _ => return None,
    };
    Some(subquery)
}
