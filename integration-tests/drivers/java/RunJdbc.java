// The scenario by pgjdbc, then what JDBC has of its own: DatabaseMetaData, rewritten batches, fetch size, autosave, savepoints.
// usage: java -cp <driver, snakeyaml and this compiled> RunJdbc PORT SERVER JSON

import java.io.StringReader;
import java.io.StringWriter;
import java.math.BigDecimal;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Array;
import java.sql.BatchUpdateException;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Types;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.LocalTime;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Timer;
import java.util.TimerTask;
import java.util.TreeSet;
import java.util.UUID;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.postgresql.PGConnection;
import org.postgresql.copy.CopyManager;
import org.postgresql.util.PGInterval;
import org.postgresql.util.PGobject;
import org.yaml.snakeyaml.Yaml;

public class RunJdbc {
    static final String KEY = "jdbc";
    static final List<String> KINDS = List.of("batch", "pipeline", "copy_in", "copy_out", "fetch", "cancel");
    static final Map<String, String> CAN_NOT = Map.of(
            "pipeline", "the driver pipelines nothing but batches",
            "date 0001-01-01", "the calendars of Java and PostgreSQL differ before 1582",
            "json[]", "the driver makes arrays only of types that it knows",
            "jsonb[]", "the driver makes arrays only of types that it knows",
            "time[]", "the driver's arrays of time have no fractions",
            "a parameter that nothing tells of is text", "the driver sends strings as varchar",
            "interval[]", "the driver makes arrays only of types that it knows");

    static Connection connection;

    public static void main(String[] arguments) throws Exception {
        int port = Integer.parseInt(arguments[0]);
        String server = arguments[1];
        @SuppressWarnings("unchecked")
        List<Map<String, Object>> steps = (List<Map<String, Object>>) (List<?>) new Yaml().loadAs(Files.readString(Path.of(arguments[2])), List.class);
        connection = connect(port, "");
        int failed = run(steps, server);
        connection.close();
        failed += own(port, server);
        System.exit(failed > 0 ? 1 : 0);
    }

    static Connection connect(int port, String options) throws SQLException {
        return DriverManager.getConnection("jdbc:postgresql://127.0.0.1:" + port + "/postgres?user=postgres" + options);
    }

    // --- running ---

    static int run(List<Map<String, Object>> steps, String server) throws SQLException {
        String name = "pgjdbc " + connection.getMetaData().getDriverVersion();
        int failed = 0;
        int leftOut = 0;
        for (Map<String, Object> step : steps) {
            String text = describe(step);
            String lacking = asksFor(step).stream().filter(CAN_NOT::containsKey).findFirst().orElse(null);
            if (lacking != null) {
                leftOut++;
                System.out.println(name + ": left out: " + text + ": " + CAN_NOT.get(lacking));
                continue;
            }
            Object mark = step.get("wrong");
            boolean wrong = mark != null && !strings(step, "right_by").contains(KEY);
            if (!wrong) mark = asksFor(step).stream().map(WRONG::get).filter(Objects::nonNull).findFirst().orElse(null);
            wrong = mark != null && server.equals("taospg");
            try {
                perform(step);
                if (wrong) {
                    failed++;
                    System.out.println(name + ": " + text + ": comes out right now: take away its mark (" + mark + ")");
                }
            } catch (Exception error) {
                if (!wrong) {
                    failed++;
                    String state = error instanceof SQLException sql ? sql.getSQLState() + " " : error.getClass().getSimpleName() + " ";
                    System.out.println(name + ": " + text + ": " + state + error.getMessage());
                }
            }
        }
        System.out.println(name + ": " + (steps.size() - failed - leftOut) + " steps as written, " + leftOut + " left out, " + failed + " not");
        return failed;
    }

    static String describe(Map<String, Object> step) {
        Object text = step.getOrDefault("name", step.getOrDefault("sql", step.get("pipeline")));
        String value = text.toString().contains("CAST($1") ? " " + parameters(step).get(0).get(1) : "";
        String line = (text + value).replaceAll("\\s+", " ");
        return line.substring(0, Math.min(160, line.length()));
    }

    @SuppressWarnings("unchecked")
    static List<List<Object>> parameters(Map<String, Object> step) {
        return (List<List<Object>>) step.getOrDefault("params", List.of());
    }

    @SuppressWarnings("unchecked")
    static List<String> strings(Map<String, Object> step, String key) {
        return (List<String>) step.getOrDefault(key, List.of());
    }

    @SuppressWarnings("unchecked")
    static List<List<Object>> lists(Map<String, Object> step, String key) {
        return (List<List<Object>>) step.get(key);
    }

    /** What a driver may lack that a step asks for. */
    static List<String> asksFor(Map<String, Object> step) {
        List<String> found = new ArrayList<>(KINDS.stream().filter(step::containsKey).toList());
        for (List<Object> parameter : parameters(step)) {
            found.add((String) parameter.get(0));
            if (parameter.get(1) instanceof String value) found.add(parameter.get(0) + " " + value);
        }
        found.addAll(strings(step, "types"));
        found.addAll(strings(step, "columns"));
        for (String key : List.of("needs", "name")) if (step.get(key) instanceof String value) found.add(value);
        return found;
    }

    static void perform(Map<String, Object> step) throws Exception {
        int failures = step.containsKey("may_fail_once") ? 1 : 0;
        int times = (int) step.getOrDefault("repeat", 1) + failures;
        for (int i = 0; i < times; i++) {
            try {
                act(step);
            } catch (SQLException error) {
                String state = stateOf(error);
                if (failures > 0 && Objects.equals(state, step.get("may_fail_once"))) {
                    failures--;
                    continue;
                }
                if (!Objects.equals(state, step.get("error"))) throw error;
                continue;
            }
            must(null, step.get("error"), "an error");
        }
    }

    static String stateOf(SQLException error) {
        return error instanceof BatchUpdateException && error.getNextException() != null ? error.getNextException().getSQLState() : error.getSQLState();
    }

    static void act(Map<String, Object> step) throws Exception {
        String sql = (String) step.get("sql");
        if (step.containsKey("batch")) {
            batch(step);
        } else if (step.containsKey("copy_in")) {
            long count = copies().copyIn(sql, new StringReader((String) step.get("copy_in")));
            must(count, ((Number) step.getOrDefault("count", count)).longValue(), "rows copied");
        } else if (step.containsKey("copy_out")) {
            StringWriter data = new StringWriter();
            copies().copyOut(sql, data);
            must(data.toString(), step.get("copy_out"), "data");
        } else {
            execute(step);
        }
    }

    static CopyManager copies() throws SQLException {
        return connection.unwrap(PGConnection.class).getCopyAPI();
    }

    static void execute(Map<String, Object> step) throws Exception {
        String sql = (String) step.get("sql");
        boolean inParts = step.containsKey("fetch");
        List<Object> values = new ArrayList<>();
        String marked = questionMarks(sql, parameters(step), values);
        if (inParts) connection.setAutoCommit(false);
        try (PreparedStatement statement = connection.prepareStatement(marked)) {
            if (inParts) statement.setFetchSize((int) step.get("fetch"));
            for (int i = 0; i < values.size(); i++) set(statement, i + 1, (List<?>) values.get(i));
            if (step.get("cancel") instanceof Integer milliseconds) cancelAfter(statement, milliseconds);
            boolean rows = statement.execute();
            if (rows) {
                check(step, statement.getResultSet());
            } else if (step.get("count") instanceof Integer count) {
                must(statement.getUpdateCount(), count, "rows affected");
            }
        } finally {
            if (inParts) {
                connection.rollback();
                connection.setAutoCommit(true);
            }
        }
    }

    static void cancelAfter(Statement statement, int milliseconds) {
        new Timer(true).schedule(new TimerTask() {
            @Override
            public void run() {
                try {
                    statement.cancel();
                } catch (SQLException error) {
                    System.out.println("cancel: " + error.getMessage());
                }
            }
        }, milliseconds);
    }

    static void batch(Map<String, Object> step) throws Exception {
        List<String> types = strings(step, "types");
        connection.setAutoCommit(false);
        try (PreparedStatement statement = connection.prepareStatement(questionMarks((String) step.get("sql"), List.of(), null))) {
            for (List<Object> values : lists(step, "batch")) {
                for (int i = 0; i < values.size(); i++) set(statement, i + 1, Arrays.asList(types.get(i), values.get(i)));
                statement.addBatch();
            }
            statement.executeBatch();
            connection.commit();
        } finally {
            connection.rollback();
            connection.setAutoCommit(true);
        }
    }

    /** The statement with ? for $n; the values in the order in which they are asked for. */
    static String questionMarks(String sql, List<List<Object>> parameters, List<Object> values) {
        Matcher places = Pattern.compile("\\$(\\d+)").matcher(sql);
        StringBuilder marked = new StringBuilder();
        while (places.find()) {
            if (values != null) values.add(parameters.get(Integer.parseInt(places.group(1)) - 1));
            places.appendReplacement(marked, "?");
        }
        return places.appendTail(marked).toString();
    }

    // --- values ---

    static void set(PreparedStatement statement, int place, List<?> parameter) throws SQLException {
        String type = (String) parameter.get(0);
        Object value = parameter.get(1);
        if (value == null) {
            statement.setNull(place, sqlType(type));
        } else if (value instanceof List<?> values) {
            Object[] form = type.equals("bytea[]") ? new byte[0][] : new Object[0];
            Object[] elements = values.stream().map(element -> element == null ? null : natively(type.substring(0, type.length() - 2), (String) element)).toList().toArray(form);
            statement.setArray(place, connection.createArrayOf(type.substring(0, type.length() - 2), elements));
        } else {
            Object given = natively(type, (String) value);
            if (given instanceof byte[] bytes) {
                statement.setBytes(place, bytes);
            } else if (type.equals("json") || type.equals("jsonb")) {
                PGobject object = new PGobject();
                object.setType(type);
                object.setValue((String) value);
                statement.setObject(place, object);
            } else {
                statement.setObject(place, given);
            }
        }
    }

    static int sqlType(String type) {
        return switch (type) {
            case "bool" -> Types.BOOLEAN;
            case "int2" -> Types.SMALLINT;
            case "int4" -> Types.INTEGER;
            case "int8" -> Types.BIGINT;
            case "float4" -> Types.REAL;
            case "float8" -> Types.DOUBLE;
            case "numeric" -> Types.NUMERIC;
            case "bytea" -> Types.BINARY;
            case "date" -> Types.DATE;
            case "time" -> Types.TIME;
            case "timestamp" -> Types.TIMESTAMP;
            case "timestamptz" -> Types.TIMESTAMP_WITH_TIMEZONE;
            case "text", "varchar", "bpchar" -> Types.VARCHAR;
            default -> Types.OTHER;
        };
    }

    static Object natively(String type, String text) {
        try {
            return switch (type) {
                case "bool" -> text.equals("t");
                case "int2" -> Short.valueOf(text);
                case "int4" -> Integer.valueOf(text);
                case "int8" -> Long.valueOf(text);
                case "float4" -> Float.valueOf(text);
                case "float8" -> Double.valueOf(text);
                case "numeric" -> text.equals("NaN") ? (Object) Double.NaN : new BigDecimal(text);
                case "bytea" -> HexFormat.of().parseHex(text.substring(2));
                case "date" -> LocalDate.parse(text);
                case "time" -> LocalTime.parse(text);
                case "timestamp" -> LocalDateTime.parse(text.replace(' ', 'T'));
                case "timestamptz" -> OffsetDateTime.parse(text.replace(' ', 'T').replace("+00", "Z"));
                case "uuid" -> UUID.fromString(text);
                case "interval" -> new PGInterval(text);
                default -> text;
            };
        } catch (SQLException error) {
            throw new IllegalArgumentException(error);
        }
    }

    static Object read(ResultSet row, int column, String type) throws SQLException {
        Object value = switch (type) {
            case "date" -> row.getObject(column, LocalDate.class);
            case "time" -> row.getObject(column, LocalTime.class);
            case "timestamp" -> row.getObject(column, LocalDateTime.class);
            case "timestamptz" -> row.getObject(column, OffsetDateTime.class);
            case "json", "jsonb", "bpchar", "name" -> row.getString(column);
            default -> row.getObject(column);
        };
        if (row.wasNull()) return null;
        if (value instanceof Array array) {
            String element = type.substring(0, type.length() - 2);
            List<Object> elements = new ArrayList<>();
            for (Object each : (Object[]) array.getArray()) elements.add(each == null ? null : comparable(element, each));
            return elements;
        }
        return comparable(type, value);
    }

    /** Text that is equal for equal values of the type. */
    static Object comparable(String type, Object value) {
        return switch (type) {
            case "int2", "int4", "int8" -> String.valueOf(((Number) value).longValue());
            case "numeric" -> value instanceof BigDecimal decimal ? decimal.toPlainString() : value.toString();
            case "bytea" -> HexFormat.of().formatHex((byte[]) value);
            case "timestamptz" -> value instanceof OffsetDateTime time
                    ? time.withOffsetSameInstant(ZoneOffset.UTC).format(DateTimeFormatter.ISO_DATE_TIME)
                    : ((java.sql.Timestamp) value).toInstant().atOffset(ZoneOffset.UTC).format(DateTimeFormatter.ISO_DATE_TIME);
            case "timestamp" -> value instanceof java.sql.Timestamp time ? time.toLocalDateTime().toString() : value.toString();
            case "date" -> value instanceof java.sql.Date date ? date.toLocalDate().toString() : value.toString();
            case "time" -> value instanceof java.sql.Time ? DateTimeFormatter.ISO_LOCAL_TIME.format(((java.sql.Time) value).toLocalTime()) : value.toString();
            case "json", "jsonb" -> new Yaml().load(value.toString());
            case "bpchar" -> value.toString().stripTrailing();
            default -> value.toString();
        };
    }

    static Object wanted(String type, Object value) {
        if (value == null) return null;
        if (value instanceof List<?> values) {
            List<Object> elements = new ArrayList<>();
            for (Object each : values) elements.add(wanted(type.substring(0, type.length() - 2), each));
            return elements;
        }
        return comparable(type, natively(type, (String) value));
    }

    static void check(Map<String, Object> step, ResultSet result) throws SQLException {
        if (!step.containsKey("rows")) return;
        List<String> columns = strings(step, "columns");
        ResultSetMetaData about = result.getMetaData();
        List<String> types = new ArrayList<>();
        List<String> names = new ArrayList<>();
        for (int i = 1; i <= about.getColumnCount(); i++) {
            String type = about.getColumnTypeName(i);
            types.add(type.startsWith("_") ? type.substring(1) + "[]" : type);
            names.add(about.getColumnLabel(i));
        }
        must(types, columns, "types");
        if (step.containsKey("names")) must(names, step.get("names"), "names");
        List<List<Object>> found = new ArrayList<>();
        while (result.next()) {
            List<Object> row = new ArrayList<>();
            for (int i = 0; i < columns.size(); i++) row.add(read(result, i + 1, columns.get(i)));
            found.add(row);
        }
        List<List<Object>> expected = new ArrayList<>();
        for (List<Object> row : lists(step, "rows")) {
            List<Object> values = new ArrayList<>();
            for (int i = 0; i < columns.size(); i++) values.add(wanted(columns.get(i), row.get(i)));
            expected.add(values);
        }
        must(found, expected, "rows");
    }

    static void must(Object found, Object expected, String what) {
        if (!Objects.equals(found, expected)) throw new Differs(what + "\n  wanted " + expected + "\n  found  " + found);
    }

    static class Differs extends RuntimeException {
        Differs(String message) {
            super(message);
        }
    }

    // --- what JDBC has of its own ---

    interface Part {
        void run(int port) throws Exception;
    }

    /** What Taospg is known to do otherwise than PostgreSQL with this driver: parts below, types, values or names of steps. A mark on what comes out right fails the run. */
    static final Map<String, String> WRONG = Map.of();

    static int own(int port, String server) {
        int failed = 0;
        Map<String, Part> parts = new LinkedHashMap<>();
        parts.put("rewritten batches", RunJdbc::rewrittenBatches);
        parts.put("tables and columns", RunJdbc::tablesAndColumns);
        parts.put("keys and indexes", RunJdbc::keysAndIndexes);
        parts.put("the server", RunJdbc::theServer);
        parts.put("columns of a result", RunJdbc::columnsOfAResult);
        parts.put("autosave", RunJdbc::autosave);
        for (Map.Entry<String, Part> part : parts.entrySet()) {
            String mark = server.equals("taospg") ? WRONG.get(part.getKey()) : null;
            try {
                part.getValue().run(port);
                if (mark != null) {
                    failed++;
                    System.out.println("pgjdbc: " + part.getKey() + ": comes out right now: take away its mark (" + mark + ")");
                }
            } catch (Exception error) {
                if (mark == null) {
                    failed++;
                    System.out.println("pgjdbc: " + part.getKey() + ": " + error);
                }
            }
        }
        System.out.println("pgjdbc: " + (parts.size() - failed) + " parts as wanted, " + failed + " not");
        return failed;
    }

    /** reWriteBatchedInserts makes VALUES lists of 8, 4 and 1 rows of thirteen. */
    static void rewrittenBatches(int port) throws Exception {
        try (Connection connection = connect(port, "&reWriteBatchedInserts=true"); Statement plain = connection.createStatement()) {
            plain.execute("CREATE TABLE own (ts timestamptz NOT NULL, v double precision, device text, PRIMARY KEY (device, ts))");
            for (int round = 0; round < 7; round++) {
                try (PreparedStatement insert = connection.prepareStatement("INSERT INTO own (ts, v, device) VALUES (?, ?, ?)")) {
                    for (int i = 0; i < 13; i++) {
                        insert.setObject(1, OffsetDateTime.of(2026, 1, 1, 0, round, i, 0, ZoneOffset.UTC));
                        insert.setDouble(2, i / 8.0);
                        insert.setString(3, "d");
                        insert.addBatch();
                    }
                    must(insert.executeBatch().length, 13, "batch");
                }
            }
            try (ResultSet rows = plain.executeQuery("SELECT count(*), sum(v) FROM own")) {
                rows.next();
                must(rows.getLong(1), 91L, "rows of batches");
                must(rows.getDouble(2), 7 * 78 / 8.0, "their sum");
            }
            connection.setAutoCommit(false);
            plain.setFetchSize(10);
            int count = 0;
            try (ResultSet rows = plain.executeQuery("SELECT v FROM own ORDER BY ts")) {
                while (rows.next()) count++;
            }
            must(count, 91, "rows fetched by ten");
            connection.commit();
        }
    }

    static void tablesAndColumns(int port) throws Exception {
        try (Connection connection = connect(port, "")) {
            var about = connection.getMetaData();
            must(column(about.getTables(null, "public", "readings", new String[] {"TABLE", "PARTITIONED TABLE"}), "TABLE_NAME"), List.of("readings"), "tables");
            must(column(about.getColumns(null, "public", "own", "%"), "COLUMN_NAME"), List.of("ts", "v", "device"), "columns");
            must(column(about.getColumns(null, "public", "own", "%"), "TYPE_NAME"), List.of("timestamptz", "float8", "text"), "types");
            must(column(about.getSchemas(), "TABLE_SCHEM").contains("public"), true, "schemas");
            must(column(about.getCatalogs(), "TABLE_CAT").contains("postgres"), true, "databases");
            column(about.getTableTypes(), "TABLE_TYPE");
            column(about.getTablePrivileges(null, "public", "own"), "PRIVILEGE");
        }
    }

    static void keysAndIndexes(int port) throws Exception {
        try (Connection connection = connect(port, "")) {
            var about = connection.getMetaData();
            must(new TreeSet<>(column(about.getPrimaryKeys(null, "public", "own"), "COLUMN_NAME")), new TreeSet<>(List.of("device", "ts")), "key");
            must(new TreeSet<>(column(about.getIndexInfo(null, "public", "own", true, false), "COLUMN_NAME")), new TreeSet<>(List.of("device", "ts")), "index");
            must(column(about.getImportedKeys(null, "public", "own"), "FKCOLUMN_NAME"), List.of(), "foreign keys");
            column(about.getBestRowIdentifier(null, "public", "own", 0, true), "COLUMN_NAME");
        }
    }

    static void theServer(int port) throws Exception {
        try (Connection connection = connect(port, "")) {
            var about = connection.getMetaData();
            must(about.getDatabaseProductName(), "PostgreSQL", "product");
            must(about.getDatabaseMajorVersion(), 15, "version");
            must(column(about.getTypeInfo(), "TYPE_NAME").contains("timestamptz"), true, "type info");
            column(about.getFunctions(null, "pg_catalog", "now"), "FUNCTION_NAME");
            about.getSQLKeywords();
            must(about.getMaxColumnNameLength(), 63, "longest name");
            must(connection.isValid(5), true, "valid");
        }
    }

    static void columnsOfAResult(int port) throws Exception {
        try (Connection connection = connect(port, ""); Statement statement = connection.createStatement();
                ResultSet rows = statement.executeQuery("SELECT ts, v, device FROM own LIMIT 1")) {
            must(rows.getMetaData().isNullable(1), ResultSetMetaData.columnNoNulls, "ts is NOT NULL");
            must(rows.getMetaData().isAutoIncrement(2), false, "v is no serial");
        }
    }

    static List<String> column(ResultSet rows, String name) throws SQLException {
        List<String> found = new ArrayList<>();
        while (rows.next()) found.add(rows.getString(name));
        rows.close();
        return found;
    }

    /** autosave=always: a savepoint before each statement, so that a failed one ends nothing. */
    static void autosave(int port) throws Exception {
        try (Connection connection = connect(port, "&autosave=always"); Statement statement = connection.createStatement()) {
            connection.setAutoCommit(false);
            statement.executeUpdate("INSERT INTO own (ts, device) VALUES ('2026-02-01', 'saved')");
            try {
                statement.executeQuery("SELECT nowhere FROM own");
                throw new Differs("a missing column is an error");
            } catch (SQLException error) {
                must(error.getSQLState(), "42703", "state");
            }
            var savepoint = connection.setSavepoint("here");
            statement.executeUpdate("INSERT INTO own (ts, device) VALUES ('2026-02-01', 'dropped')");
            connection.rollback(savepoint);
            connection.commit();
            try (ResultSet rows = statement.executeQuery("SELECT device FROM own WHERE ts >= '2026-02-01'")) {
                must(column(rows, "device"), List.of("saved"), "what autosave kept");
            }
        }
    }
}
