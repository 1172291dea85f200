//! The text of INSERT: what is taken, what is refused and in which words.

use std::sync::Arc;

use super::super::datum::oid;
use super::super::insert::{Form, Insert, OnConflict, Source, parse};
use super::super::insert_expressions::{SECOND_NS, parameters_in};
use super::super::lexer::Value;
use crate::ErrorKind;
use proptest::prelude::*;

fn parsed(sql: &str) -> Arc<Insert> {
    parse(sql).unwrap().unwrap().0.inner
}

fn refused(sql: &str) -> (ErrorKind, String) {
    let error = parse(sql).unwrap_err();
    (error.kind, error.message)
}

fn values(insert: &Insert) -> Vec<Value> {
    insert.tokens.iter().map(|token| token.value()).collect()
}

#[test]
fn other_statements_are_left_alone() {
    assert!(parse("SELECT 1").unwrap().is_none());
    assert!(parse("").unwrap().is_none());
    assert!(parse("-- INSERT").unwrap().is_none());
}

#[test]
fn rows_stand_with_and_without_commas() {
    let sql = "INSERT INTO d1 VALUES (1, 'a') (-2.5, 'b''c'), (NULL, TRUE) ; SELECT 1";
    let (statement, consumed) = parse(sql).unwrap().unwrap();
    assert_eq!(&sql[consumed..], "; SELECT 1");
    let insert = statement.inner;
    assert_eq!(insert.texts, ["b'c"]);
    assert!(matches!(insert.clauses[0].source, Source::Values { width: 2, .. }));
    assert_eq!(values(&insert)[0], Value::Integer(1));
    assert_eq!(values(&insert)[5], Value::Boolean(true));
}

#[test]
fn several_tables_and_using() {
    let insert = parsed(
        "insert into power.d1 (ts, current) values (now, 1) \"D2\" using meters (location) tags ('x') (ts) values (now() - 1s)(now + 2a)",
    );
    assert_eq!(insert.clauses.len(), 2);
    assert_eq!(insert.clauses[0].table.parts, ["power", "d1"]);
    assert_eq!(insert.clauses[1].table.parts, ["D2"]);
    let using = insert.clauses[1].using.as_ref().unwrap();
    assert_eq!(using.supertable.parts, ["meters"]);
    assert_eq!(using.tag_names.as_ref().unwrap()[0].0, "location");
    assert_eq!(insert.clauses[1].columns.as_ref().unwrap().len(), 1);
    let forms: Vec<&Form> = insert.expressions.iter().map(|expression| &expression.form).collect();
    assert_eq!(
        forms,
        [
            &Form::Now { offset_ns: 0 },
            &Form::Now {
                offset_ns: -1_000_000_000
            },
            &Form::Now { offset_ns: 2_000_000 },
        ]
    );
}

#[test]
fn literals_of_types_need_no_planner() {
    let insert = parsed(
        "INSERT INTO t VALUES (timestamp '2026-01-01', '5'::int, $2::float8, now() - interval '1 hour 30 minutes', TIMESTAMP WITH TIME ZONE 'x')",
    );
    let oids: Vec<Option<u32>> = insert
        .expressions
        .iter()
        .map(|expression| match expression.form {
            Form::Typed { type_oid, .. } => Some(type_oid),
            _ => None,
        })
        .collect();
    assert_eq!(
        oids,
        [
            Some(oid::TIMESTAMP),
            Some(oid::INT4),
            Some(oid::FLOAT8),
            None,
            Some(oid::TIMESTAMPTZ)
        ]
    );
    assert_eq!(
        insert.expressions[3].form,
        Form::Now {
            offset_ns: -5_400 * SECOND_NS
        }
    );
    assert_eq!(insert.parameters, 2);
}

#[test]
fn other_expressions_are_kept_as_text() {
    let sql =
        "INSERT INTO t VALUES (1 + 2, to_timestamp($1), upper('a,)b'), (3), now() - interval '1 day', 'a' || 'b')";
    let insert = parsed(sql);
    let texts: Vec<&str> = insert
        .expressions
        .iter()
        .map(|expression| &sql[expression.span.clone()])
        .collect();
    assert_eq!(
        texts,
        [
            "1 + 2",
            "to_timestamp($1)",
            "upper('a,)b')",
            "(3)",
            "now() - interval '1 day'",
            "'a' || 'b'"
        ]
    );
    assert!(
        insert
            .expressions
            .iter()
            .all(|expression| expression.form == Form::General)
    );
    assert_eq!(insert.parameters, 1);
    let found = parameters_in("coalesce($1::interval, '$2', $3)");
    assert_eq!(
        found
            .iter()
            .map(|found| (found.number, found.cast_oid))
            .collect::<Vec<_>>(),
        [(1, Some(oid::TEXT)), (3, None)]
    );
}

#[test]
fn queries_end_where_the_statement_goes_on() {
    let sql = "INSERT INTO t (a, b) SELECT x, ';' FROM u JOIN v ON u.a = v.a ON CONFLICT (a) DO NOTHING; SELECT 1";
    let (statement, consumed) = parse(sql).unwrap().unwrap();
    let insert = statement.inner;
    let Source::Query(span) = &insert.clauses[0].source else {
        panic!("a query")
    };
    assert_eq!(sql[span.clone()].trim(), "SELECT x, ';' FROM u JOIN v ON u.a = v.a");
    assert_eq!(insert.conflict, OnConflict::DoNothing);
    assert_eq!(&sql[consumed..], "; SELECT 1");
    assert!(matches!(
        parsed("INSERT INTO t (SELECT 1)").clauses[0].source,
        Source::Query(_)
    ));
    assert!(matches!(
        parsed("INSERT INTO t WITH x AS (SELECT 1) SELECT * FROM x").clauses[0].source,
        Source::Query(_)
    ));
}

#[test]
fn on_conflict_takes_new_values_only() {
    let set = |sql: &str| match &parsed(sql).conflict {
        OnConflict::Update(columns) => columns.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    let head = "INSERT INTO t VALUES (1) ON CONFLICT (ts, \"T\") DO UPDATE SET ";
    assert_eq!(
        set(&format!("{head} a = excluded.a, \"B\" = EXCLUDED.\"B\"")),
        ["a", "B"]
    );
    assert_eq!(set(&format!("{head} a = coalesce(excluded.a, t.a)")), ["a"]);
    assert_eq!(
        refused(&format!("{head} a = t.a + 1")).0,
        ErrorKind::FeatureNotSupported
    );
    assert_eq!(
        refused(&format!("{head} a = excluded.b")).0,
        ErrorKind::FeatureNotSupported
    );
    assert_eq!(
        refused(&format!("{head} a = excluded.a WHERE true")).0,
        ErrorKind::FeatureNotSupported
    );
    let constraint = "INSERT INTO t VALUES (1) ON CONFLICT ON CONSTRAINT t_pkey DO NOTHING";
    assert_eq!(parsed(constraint).conflict, OnConflict::DoNothing);
}

#[test]
fn errors_are_worded_as_by_postgres() {
    use ErrorKind::*;
    for (sql, kind, message) in [
        ("INSERT INTO", SyntaxError, "syntax error at end of input"),
        ("INSERT t VALUES (1)", SyntaxError, "syntax error at or near \"t\""),
        ("INSERT INTO t VALUES (1", SyntaxError, "syntax error at end of input"),
        (
            "INSERT INTO t VALUES (1,)",
            SyntaxError,
            "syntax error at or near \")\"",
        ),
        ("INSERT INTO t VALUES ()", SyntaxError, "syntax error at or near \")\""),
        (
            "INSERT INTO t VALUES (1) garbage",
            SyntaxError,
            "syntax error at end of input",
        ),
        (
            "INSERT INTO t VALUES (1) +",
            SyntaxError,
            "syntax error at or near \"+\"",
        ),
        (
            "INSERT INTO t VALUES (1), (1, 2)",
            SyntaxError,
            "VALUES lists must all be the same length",
        ),
        ("INSERT INTO t VALUES ('a)", SyntaxError, "unterminated quoted string"),
        (
            "INSERT INTO t FILE 'x'",
            FeatureNotSupported,
            "INSERT … FILE is not supported",
        ),
        (
            "INSERT INTO t VALUES ($0)",
            UndefinedParameter,
            "there is no parameter $0",
        ),
    ] {
        assert_eq!(refused(sql), (kind, message.to_owned()), "{sql}");
    }
    assert_eq!(parse("INSERT INTO ä VALUES (1,)").unwrap_err().position, Some(25));
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(rest in "[ a-z0-9E'\"$.,;:()+*/=é-]{0,60}") {
        let _ = parse(&format!("INSERT INTO {rest}"));
        let _ = parse(&format!("INSERT INTO t VALUES ({rest}"));
        let _ = parse(&format!("INSERT INTO t VALUES (1) ON CONFLICT {rest}"));
    }
}
