//! Tables, roles and grants that the matrix and its neighbours begin with.

pub const SETUP: &str = "
    CREATE STABLE meters (ts TIMESTAMP, v INT) TAGS (location VARCHAR(64));
    INSERT INTO d1 USING meters TAGS ('here') VALUES ('2026-01-01', 1) d2 USING meters TAGS ('there') VALUES ('2026-01-01', 2);
    CREATE TABLE plain (ts timestamptz PRIMARY KEY, v int);
    INSERT INTO plain VALUES ('2026-01-01', 1);
    CREATE TABLE sink (ts timestamptz PRIMARY KEY, v int);
    CREATE VIEW seen WITH (security_invoker) AS SELECT ts, v, location FROM meters;
    CREATE VIEW seen_again WITH (security_invoker) AS SELECT max(v) AS v FROM seen;
    CREATE ROLE owner SUPERUSER;
    CREATE ROLE reader; CREATE ROLE writer; CREATE ROLE editor; CREATE ROLE blind; CREATE ROLE of_one; CREATE ROLE of_plain;
    CREATE ROLE member IN ROLE reader; CREATE ROLE all_reader IN ROLE pg_read_all_data;
    CREATE ROLE all_writer IN ROLE pg_write_all_data; CREATE ROLE nobody;
    GRANT SELECT ON seen, seen_again TO PUBLIC;
    GRANT SELECT ON meters TO reader; GRANT INSERT ON meters TO writer; GRANT SELECT, UPDATE, DELETE, TRUNCATE ON meters TO editor;
    GRANT UPDATE, DELETE ON TABLE meters TO blind; GRANT SELECT, INSERT ON d1 TO of_one;
    GRANT INSERT, SELECT, UPDATE, DELETE ON plain TO of_plain;
    GRANT INSERT, SELECT ON sink TO PUBLIC;
";
