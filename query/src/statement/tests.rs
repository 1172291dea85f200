//! Statements of both dialects are read as meant, and errors point at the right character.

use taospg_catalog::{SqlType, TableKind};

use super::*;

fn one(sql: &str) -> Command {
    let mut statements = parse(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    assert_eq!(statements.len(), 1, "{sql}");
    Arc::into_inner(statements.remove(0).command).expect("held once")
}

fn error(sql: &str) -> (ErrorKind, String, Option<u32>) {
    let error = match parse(sql) {
        Ok(statements) => panic!("{sql} was read as {statements:?}"),
        Err(error) => error,
    };
    (error.kind, error.message, error.position)
}

/// Name, meaning of the type, whether it is a tag.
fn columns(sql: &str) -> (TableKind, Vec<(String, SqlType, bool)>) {
    let Command::CreateTable(create) = one(sql) else {
        panic!("{sql} is not CREATE TABLE");
    };
    let column = |(column, is_tag): &(ColumnDefinition, bool)| {
        let sql_type = match create.tdengine {
            true => column.column_type.tdengine(),
            false => column.column_type.postgres(),
        };
        (column.name.clone(), sql_type, *is_tag)
    };
    (create.kind(), create.declared.iter().map(column).collect())
}

#[test]
fn a_query_string_is_split_at_its_semicolons() {
    let statements = parse("; select 1;\n-- note;\nselect ';' ; ; begin").unwrap();
    let texts: Vec<&str> = statements.iter().map(Statement::text).collect();
    assert_eq!(texts, ["select 1", "select ';'", "begin"]);
    assert!(parse(" ; -- ping").unwrap().is_empty());
    assert!(parse("").unwrap().is_empty());
}

#[test]
fn syntax_errors_point_into_the_whole_query_string() {
    for (sql, message, position) in [
        ("SELEC 1", "syntax error at or near \"SELEC\"", 1),
        ("select 1; é; SELEC 1", "syntax error at or near \"é\"", 11),
        ("select 1;\n select * frm t where", "syntax error at or near \"t\"", 25),
        ("create table", "syntax error at end of input", 13),
        (
            "create table t (ts timestamptz,, v int)",
            "syntax error at or near \",\"",
            32,
        ),
        ("drop tabel t", "syntax error at or near \"tabel\"", 6),
        ("begin begin", "syntax error at or near \"begin\"", 7),
        ("select 1 from t where", "syntax error at end of input", 22),
        ("alter table t add", "syntax error at end of input", 18),
        ("set x", "syntax error at end of input", 6),
    ] {
        assert_eq!(
            error(sql),
            (ErrorKind::SyntaxError, message.to_string(), Some(position)),
            "{sql}"
        );
    }
}

#[test]
fn a_supertable_means_the_same_in_both_spellings() {
    let tdengine = columns(
        "CREATE STABLE meters (ts TIMESTAMP, current FLOAT, voltage INT) TAGS (location VARCHAR(64), group_id INT)",
    );
    let expected = vec![
        ("ts".to_string(), SqlType::Timestamptz, false),
        ("current".to_string(), SqlType::Real, false),
        ("voltage".to_string(), SqlType::Integer, false),
        ("location".to_string(), SqlType::Varchar(64), true),
        ("group_id".to_string(), SqlType::Integer, true),
    ];
    assert_eq!(tdengine, (TableKind::Super, expected.clone()));
    let postgres = [
        "CREATE TABLE meters (ts timestamptz NOT NULL, current real, voltage int, location varchar(64), group_id int,
         PRIMARY KEY (location, group_id, ts))",
        "CREATE TABLE meters (ts timestamptz, current float4, voltage int4, location varchar(64), group_id int,
         CONSTRAINT k PRIMARY KEY (ts, location, group_id))",
        "CREATE TABLE meters (ts timestamptz, current real, voltage int, location varchar(64), group_id int)
         WITH (tags = 'location, group_id')",
    ];
    for sql in postgres {
        assert_eq!(columns(sql), (TableKind::Super, expected.clone()), "{sql}");
    }
}

#[test]
fn a_key_of_the_time_alone_or_none_is_a_plain_table() {
    for sql in [
        "create table t (ts timestamptz primary key, v float)",
        "create table t (ts timestamptz, v double precision, primary key (ts))",
        "create table t (ts timestamptz, v double precision)",
    ] {
        let (kind, declared) = columns(sql);
        assert_eq!(kind, TableKind::Plain, "{sql}");
        assert_eq!(declared[1], ("v".to_string(), SqlType::Double, false), "{sql}");
    }
}

#[test]
fn tables_that_cannot_be_are_refused_with_their_place() {
    for (sql, kind, position) in [
        ("create table t (a int)", ErrorKind::InvalidTableDefinition, 17),
        (
            "create table t (ts timestamptz, a int, primary key (b))",
            ErrorKind::UndefinedColumn,
            53,
        ),
        (
            "create table t (ts timestamptz, TS int)",
            ErrorKind::DuplicateColumn,
            33,
        ),
        (
            "create table t (ts timestamptz, a serial)",
            ErrorKind::FeatureNotSupported,
            33,
        ),
        (
            "create table t (ts timestamptz, a nothing)",
            ErrorKind::UndefinedObject,
            35,
        ),
        (
            "create stable t (v int, ts timestamp) tags (a int)",
            ErrorKind::InvalidTableDefinition,
            18,
        ),
        (
            "create unlogged table t (ts timestamptz)",
            ErrorKind::FeatureNotSupported,
            8,
        ),
        (
            "create temp table public.t (a int)",
            ErrorKind::InvalidTableDefinition,
            19,
        ),
        (
            "create temp table t (a int, primary key (b))",
            ErrorKind::UndefinedColumn,
            42,
        ),
        (
            "create table t (ts timestamptz, a int references x)",
            ErrorKind::FeatureNotSupported,
            39,
        ),
        (
            "create table t (ts timestamptz, a int, unique (a))",
            ErrorKind::FeatureNotSupported,
            48,
        ),
        (
            "create table t (ts timestamptz) partition by range (ts)",
            ErrorKind::FeatureNotSupported,
            33,
        ),
    ] {
        let (found, message, at) = error(sql);
        assert_eq!((found, at), (kind, Some(position)), "{sql}: {message}");
    }
}

#[test]
fn children_are_made_several_at_once() {
    let sql =
        "CREATE TABLE IF NOT EXISTS d1 USING meters TAGS ('a, b', -2) d2 USING power.meters (group_id) TAGS (1 + 1)";
    let Command::CreateChildren(children) = one(sql) else {
        panic!("not children");
    };
    assert_eq!(children.len(), 2);
    assert!(children[0].if_not_exists && !children[1].if_not_exists);
    let texts = |child: &CreateChild| child.values.iter().map(|value| value.text.clone()).collect::<Vec<_>>();
    assert_eq!(texts(&children[0]), ["'a, b'", "-2"]);
    assert_eq!(texts(&children[1]), ["1 + 1"]);
    assert_eq!(children[1].supertable.schema.as_deref(), Some("power"));
    assert_eq!(
        children[1].tags.as_ref().map(|tags| tags[0].0.as_str()),
        Some("group_id")
    );
}

#[test]
fn changes_of_tables_are_read_in_both_dialects() {
    use AlterTableStep::*;
    let step = |sql: &str| {
        let Command::AlterTable(mut alter) = one(sql) else {
            panic!("{sql} is not ALTER TABLE");
        };
        assert_eq!(alter.steps.len(), 1, "{sql}");
        alter.steps.remove(0)
    };
    assert!(matches!(
        step("ALTER TABLE m ADD COLUMN IF NOT EXISTS t real DEFAULT 1"),
        AddColumn {
            if_not_exists: true,
            ..
        }
    ));
    assert!(matches!(step("ALTER STABLE m ADD TAG a int"), AddTag(column) if column.name == "a"));
    assert!(
        matches!(step("ALTER TABLE m DROP COLUMN IF EXISTS a CASCADE"), DropColumn { if_exists: true, name } if name == "a")
    );
    assert!(matches!(step("ALTER STABLE m DROP TAG a"), DropTag(name) if name == "a"));
    assert!(
        matches!(step("ALTER TABLE m RENAME COLUMN a TO b"), RenameColumn { from, to } if from == "a" && to == "b")
    );
    assert!(matches!(step("ALTER STABLE m RENAME TAG a b"), RenameTag { from, to } if from == "a" && to == "b"));
    assert!(matches!(step("ALTER TABLE m RENAME TO n"), RenameTable(to) if to == "n"));
    assert!(matches!(step("ALTER TABLE m ALTER COLUMN a SET DATA TYPE bigint"), SetType { name, .. } if name == "a"));
    assert!(matches!(step("ALTER STABLE m MODIFY COLUMN a VARCHAR(20)"), SetType { name, .. } if name == "a"));
    assert!(
        matches!(step("ALTER TABLE d1 SET TAG a = 3, b = 'x,y'"), SetTags(tags) if tags.len() == 2 && tags[1].1.text == "'x,y'")
    );
    let Command::AlterTable(alter) = one("ALTER TABLE IF EXISTS m ADD a int, DROP b") else {
        panic!("not ALTER TABLE");
    };
    assert!(alter.if_exists && alter.steps.len() == 2);
    assert_eq!(
        error("ALTER TABLE m ALTER COLUMN a SET NOT NULL").0,
        ErrorKind::FeatureNotSupported
    );
}

#[test]
fn show_means_tables_or_settings() {
    let show = |sql: &str| match one(sql) {
        Command::Show(show) => show,
        other => panic!("{sql}: {other:?}"),
    };
    assert_eq!(show("SHOW DATABASES"), Show::Databases);
    let (database, like) = (Some("power".to_string()), Some("m%".to_string()));
    let expected = Show::Stables {
        database: database.clone(),
        like: like.clone(),
    };
    assert_eq!(show("show stables from power like 'm%'"), expected);
    let kind = TablesKind::All;
    let expected = Show::Tables {
        database,
        like: None,
        kind,
    };
    assert_eq!(show("show power.tables"), expected);
    assert_eq!(show("SHOW TIME ZONE"), Show::Setting("TimeZone".into()));
    assert_eq!(
        show("show transaction isolation level"),
        Show::Setting("transaction_isolation".into())
    );
    assert_eq!(show("show my.setting"), Show::Setting("my.setting".into()));
    assert_eq!(show("SHOW ALL"), Show::AllSettings);
    assert!(matches!(show("DESCRIBE meters"), Show::Describe(name) if name.name == "meters"));
    assert!(
        matches!(show("show create stable power.meters"), Show::CreateTable(name) if name.schema.as_deref() == Some("power"))
    );
}

#[test]
fn set_is_read_in_all_its_forms() {
    let value = |sql: &str| match one(sql) {
        Command::Set(SetCommand::Value { scope, name, value }) => (scope, name, value),
        other => panic!("{sql}: {other:?}"),
    };
    let session = |name: &str, value: &str| (SetScope::Session, name.to_string(), Some(value.to_string()));
    for (sql, expected) in [
        ("SET search_path TO a, \"B\", 'c'", session("search_path", "a, B, c")),
        ("SET SESSION TIMEZONE TO 'UTC'", session("timezone", "UTC")),
        ("SET TIME ZONE -7", session("TimeZone", "-7")),
        (
            "SET TIME ZONE INTERVAL '+02:00' HOUR TO MINUTE",
            session("TimeZone", "<+02:00>"),
        ),
        ("set extra_float_digits = 3", session("extra_float_digits", "3")),
        ("SET NAMES 'utf8'", session("client_encoding", "utf8")),
        ("SET my.name = on", session("my.name", "on")),
        ("SET TIME ZONE LOCAL", (SetScope::Session, "TimeZone".into(), None)),
        (
            "SET LOCAL statement_timeout TO DEFAULT",
            (SetScope::Local, "statement_timeout".into(), None),
        ),
    ] {
        assert_eq!(value(sql), expected, "{sql}");
    }
    let modes = TransactionModes {
        isolation: Some("serializable"),
        read_only: Some(true),
        deferrable: Some(false),
    };
    for sql in [
        "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE READ ONLY NOT DEFERRABLE",
        "SET TRANSACTION READ ONLY, ISOLATION LEVEL SERIALIZABLE, NOT DEFERRABLE",
    ] {
        assert!(
            matches!(one(sql), Command::Set(SetCommand::Transaction(found)) if found == modes),
            "{sql}"
        );
    }
}

#[test]
fn transactions_are_read_in_all_their_forms() {
    use TransactionCommand::*;
    let command = |sql: &str| match one(sql) {
        Command::Transaction(command) => command,
        other => panic!("{sql}: {other:?}"),
    };
    let none = TransactionModes::default();
    let begin = |modes| Begin { modes, tag: "BEGIN" };
    for (sql, expected) in [
        ("BEGIN", begin(none.clone())),
        ("begin work", begin(none.clone())),
        (
            "BEGIN READ WRITE",
            begin(TransactionModes {
                read_only: Some(false),
                ..none.clone()
            }),
        ),
        (
            "start transaction",
            Begin {
                modes: none,
                tag: "START TRANSACTION",
            },
        ),
        ("COMMIT WORK", Commit { chain: false }),
        ("end transaction", Commit { chain: false }),
        ("commit and chain", Commit { chain: true }),
        ("ROLLBACK AND NO CHAIN", Rollback { chain: false }),
        ("abort", Rollback { chain: false }),
        ("SAVEPOINT \"A\"", Savepoint("A".into())),
        ("ROLLBACK TO SAVEPOINT a", RollbackTo("a".into())),
        ("rollback work to a", RollbackTo("a".into())),
        ("release a", Release("a".into())),
    ] {
        assert_eq!(command(sql), expected, "{sql}");
    }
    assert_eq!(error("PREPARE TRANSACTION 'x'").0, ErrorKind::FeatureNotSupported);
}

#[test]
fn copy_and_changes_of_rows_go_to_sqlparser() {
    assert!(matches!(
        one("COPY meters (ts, a) FROM STDIN (FORMAT csv, HEADER)"),
        Command::Copy(_)
    ));
    assert!(matches!(
        one("copy (select 1) to stdout with csv header"),
        Command::Copy(_)
    ));
    assert!(matches!(
        one("DELETE FROM meters WHERE ts < '2020-01-01' AND group_id = 7"),
        Command::Delete(_)
    ));
    assert!(matches!(
        one("UPDATE meters SET a = a + 1 WHERE tbname = 'd1'"),
        Command::Update(_)
    ));
    assert!(matches!(one("TABLE meters"), Command::Query(_)));
}

#[test]
fn a_prepared_statement_has_a_name_types_and_a_statement() {
    let Command::Prepare { name, types, statement } = one("PREPARE p (int, text) AS SELECT $1, $2") else {
        panic!("not PREPARE");
    };
    assert_eq!(
        (name.as_str(), types.len(), statement.text()),
        ("p", 2, "SELECT $1, $2")
    );
    let Command::Execute { name, arguments } = one("EXECUTE p (1, 'a, b')") else {
        panic!("not EXECUTE");
    };
    assert_eq!((name.as_str(), arguments.len()), ("p", 2));
    assert!(matches!(one("DEALLOCATE ALL"), Command::Deallocate(None)));
    assert_eq!(error("PREPARE p AS BEGIN").0, ErrorKind::SyntaxError);
}

proptest::proptest! {
    /// Whatever a client sends is read or refused.
    #[test]
    fn any_text_is_read_without_panic(
        words in proptest::collection::vec(
            proptest::sample::select(&[
                "create", "table", "stable", "alter", "drop", "if", "not", "exists", "using", "tags", "(", ")", ",", ";", "a", "\"b\"", "'c'",
                "1", "int", "timestamp", "primary", "key", "set", "tag", "=", "show", "tables", "begin", "rollback", "to", "with", "database",
                "keep", "365d", "prepare", "as", "select", "copy", "from", "stdin", "é", "$1", "default", "local", "time", "zone", "-",
            ][..]),
            0..12,
        )
    ) {
        let _ = parse(&words.join(" "));
    }
}
