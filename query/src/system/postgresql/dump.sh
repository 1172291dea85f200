#!/usr/bin/env bash
# dump.sh: writes the files beside it from a running PostgreSQL 15 with an empty database (PGHOST, PGPORT and PGUSER say which).
# They hold what every PostgreSQL has alike: its system relations, and types, functions, operators and casts over types that exist here.
set -euo pipefail
cd "$(dirname "$0")"
ask() { psql --no-psqlrc --no-align --tuples-only --field-separator ' ' --dbname postgres --command "$1"; }

# Types that columns, parameters, results or system tables have, and those that signatures speak of.
types="(SELECT oid FROM pg_type WHERE typrelid = 0 AND typnamespace = 11 AND (typtype = 'b' AND typcategory <> 'A' AND typname IN (
  'bool', 'bytea', 'char', 'name', 'int8', 'int2', 'int2vector', 'int4', 'regproc', 'text', 'oid', 'tid', 'xid', 'cid', 'oidvector',
  'json', 'pg_node_tree', 'float4', 'float8', 'aclitem', 'bpchar', 'varchar', 'date', 'time', 'timestamp', 'timestamptz', 'interval',
  'numeric', 'regprocedure', 'regoper', 'regoperator', 'regclass', 'regtype', 'regrole', 'regnamespace', 'uuid', 'jsonb', 'xid8')
  OR typname IN ('int2vector', 'oidvector', 'unknown', 'record', 'cstring', 'any', 'anyarray', 'void', 'anyelement', 'anynonarray', 'trigger', 'event_trigger', 'internal',
      'anycompatible', 'anycompatiblearray', 'anycompatiblenonarray')))"
all_types="(SELECT oid FROM pg_type WHERE oid IN $types OR typelem IN $types AND typcategory = 'A' AND typlen = -1 AND typname LIKE '\\_%')"

{
    echo "# schema name oid kind column:type …"
    ask "SELECT n.nspname, c.relname, c.oid, c.relkind, string_agg(a.attname || ':' || regexp_replace(format_type(
                CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.oid END, -1), '[\" ]', '', 'g'), ' ' ORDER BY a.attnum)
           FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
           JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 JOIN pg_type t ON t.oid = a.atttypid
          WHERE n.nspname IN ('pg_catalog', 'information_schema') AND c.relkind IN ('r', 'v') GROUP BY 1, 2, 3, 4 ORDER BY 1, 2"
} >relations.txt
{
    echo "# oid name length kind category preferred element array input output receive send align storage collation display-name"
    ask "SELECT oid, typname, typlen, typtype, typcategory, typispreferred::int, typelem, typarray, typinput::oid, typoutput::oid, typreceive::oid,
                typsend::oid, typalign, typstorage, typcollation, format_type(oid, NULL)
           FROM pg_type WHERE oid IN $all_types ORDER BY oid"
} >types.txt
{
    echo "# oid name kind volatile strict returns-set result arguments…"
    ask "SELECT oid, proname, prokind, provolatile, proisstrict::int, proretset::int, prorettype, array_to_string(proargtypes, ' ')
           FROM pg_proc WHERE pronamespace = 11 AND prorettype IN $all_types AND proargtypes::oid[] <@ array(SELECT oid FROM pg_type WHERE oid IN $all_types)
            AND NOT 2281 = ANY (proargtypes) AND prorettype <> 2281 ORDER BY proname, oid"
} >functions.txt
{
    echo "# oid name kind left right result function"
    ask "SELECT oid, oprname, oprkind, oprleft, oprright, oprresult, oprcode::oid
           FROM pg_operator WHERE (oprleft = 0 OR oprleft IN $all_types) AND oprright IN $all_types AND oprresult IN $all_types
            AND NOT oprleft IN (18, 22, 24, 27, 28, 29, 30, 1033, 2249, 5069) AND NOT oprright IN (18, 1033, 1034)
            AND oprname !~ '^(~<|~>|\\*|@@|!!|\\?[#|&-])' ORDER BY oprname, oid"
} >operators.txt
{
    echo "# source target function context method"
    ask "SELECT castsource, casttarget, castfunc, castcontext, castmethod
           FROM pg_cast WHERE castsource IN $types AND casttarget IN $types ORDER BY castsource, casttarget"
} >casts.txt
{
    echo "# oid family-oid family name type default"
    ask "SELECT c.oid, f.oid, f.opfname, c.opcname, c.opcintype, c.opcdefault::int
           FROM pg_opclass c JOIN pg_opfamily f ON f.oid = c.opcfamily WHERE c.opcmethod = 403 AND c.opcintype IN $types ORDER BY c.oid"
} >operator_classes.txt
{
    echo "# word code bare-label"
    ask "SELECT word, catcode, barelabel::int FROM pg_get_keywords() ORDER BY word COLLATE \"C\""
} >keywords.txt
