package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
)

// pgxDriver is pgx with its own interface: binary wherever its codecs can, prepared statements in a cache.
type pgxDriver struct {
	dsn        string
	connection *pgx.Conn
}

func newPgx(ctx context.Context, dsn string) (Driver, error) {
	connection, err := pgx.Connect(ctx, dsn)
	return &pgxDriver{dsn, connection}, err
}

func (*pgxDriver) Key() string  { return "pgx" }
func (*pgxDriver) Name() string { return "pgx" }

func (*pgxDriver) CanNot() map[string]string {
	return map[string]string{"fetch": "the driver reads all rows of a portal"}
}

func (*pgxDriver) State(err error) string {
	var failure *pgconn.PgError
	if errors.As(err, &failure) {
		return failure.Code
	}
	return ""
}

func (driver *pgxDriver) Do(ctx context.Context, step *Step) (Result, error) {
	connection := driver.connection
	switch step.kind() {
	case "batch", "pipeline":
		batch := &pgx.Batch{}
		for _, values := range step.Batch {
			batch.Queue(step.SQL, pgxValues(step.Types, values)...)
		}
		for _, sql := range step.Pipeline {
			batch.Queue(sql)
		}
		return Result{Count: -1}, connection.SendBatch(ctx, batch).Close()
	case "copy_in":
		tag, err := connection.PgConn().CopyFrom(ctx, strings.NewReader(*step.CopyIn), step.SQL)
		return Result{Count: tag.RowsAffected()}, err
	case "copy_out":
		var data bytes.Buffer
		_, err := connection.PgConn().CopyTo(ctx, &data, step.SQL)
		return Result{Data: data.String(), Count: -1}, err
	case "cancel":
		time.AfterFunc(time.Duration(step.Cancel)*time.Millisecond, func() { _ = connection.PgConn().CancelRequest(ctx) })
	}
	types, values := []string{}, []any{}
	for _, parameter := range step.Params {
		types, values = append(types, parameter[0].(string)), append(values, parameter[1])
	}
	rows, err := connection.Query(ctx, step.SQL, pgxValues(types, values)...)
	if err != nil {
		return Result{}, err
	}
	defer rows.Close()
	result := Result{}
	for _, field := range rows.FieldDescriptions() {
		result.Names, result.OIDs = append(result.Names, field.Name), append(result.OIDs, field.DataTypeOID)
	}
	for rows.Next() {
		values, err := rows.Values()
		if err != nil {
			return Result{}, err
		}
		for i := range values {
			values[i] = pgxRead(values[i])
		}
		result.Rows = append(result.Rows, values)
	}
	result.Count = rows.CommandTag().RowsAffected()
	return result, rows.Err()
}

func pgxValues(types []string, values []any) []any {
	found := []any{}
	for i, value := range values {
		found = append(found, pgxValue(types[i], value))
	}
	return found
}

func pgxValue(name string, value any) any {
	if value == nil {
		return nil
	}
	element, isList := strings.CutSuffix(name, "[]")
	if !isList {
		return pgxScalar(name, value.(string))
	}
	values := value.([]any)
	list := reflect.MakeSlice(reflect.SliceOf(reflect.PointerTo(reflect.TypeOf(pgxScalar(element, sample(values))))), len(values), len(values))
	for i, each := range values {
		if each != nil {
			scalar := reflect.ValueOf(pgxScalar(element, each.(string)))
			list.Index(i).Set(reflect.New(scalar.Type()))
			list.Index(i).Elem().Set(scalar)
		}
	}
	return list.Interface()
}

func sample(values []any) string {
	for _, value := range values {
		if text, ok := value.(string); ok {
			return text
		}
	}
	return ""
}

func pgxScalar(name, text string) any {
	switch name {
	case "bool":
		return text == "t"
	case "int2", "int4", "int8":
		number, err := strconv.ParseInt(text, 10, 64)
		must(err)
		return number
	case "float4":
		number, _ := strconv.ParseFloat(text, 32)
		return float32(number)
	case "float8":
		number, _ := strconv.ParseFloat(text, 64)
		return number
	case "numeric":
		var number pgtype.Numeric
		must(number.Scan(text))
		return number
	case "bytea":
		var raw []byte
		_, _ = fmt.Sscanf(strings.TrimPrefix(text, "\\x"), "%x", &raw)
		return append([]byte{}, raw...)
	case "date", "timestamp", "timestamptz":
		return parsed(name, text)
	case "time":
		var value pgtype.Time
		must(value.Scan(text))
		return value
	case "interval":
		var value pgtype.Interval
		must(value.Scan(text))
		return value
	case "uuid":
		var value pgtype.UUID
		must(value.Scan(text))
		return value
	}
	return text
}

// pgxRead gives the driver's own types as what the scenario writes.
func pgxRead(value any) any {
	switch value := value.(type) {
	case pgtype.Numeric:
		text, err := value.MarshalJSON()
		must(err)
		return strings.Trim(string(text), `"`)
	case pgtype.Time:
		return time.UnixMicro(value.Microseconds)
	case pgtype.Interval:
		return fmt.Sprintf("%d days %s", value.Days, clock(value.Microseconds))
	case []any:
		for i := range value {
			value[i] = pgxRead(value[i])
		}
	}
	return value
}

func clock(microseconds int64) string {
	sign := ""
	if microseconds < 0 {
		sign, microseconds = "-", -microseconds
	}
	seconds := microseconds / 1_000_000
	return fmt.Sprintf("%s%02d:%02d:%02d.%06d", sign, seconds/3600, seconds/60%60, seconds%60, microseconds%1_000_000)
}

// Own: binary COPY, nested transactions, every query mode, structs, a pool.
func (driver *pgxDriver) Own(ctx context.Context) error {
	connection, err := pgx.Connect(ctx, driver.dsn)
	if err != nil {
		return err
	}
	defer connection.Close(ctx)
	create := "CREATE TABLE own (ts timestamptz NOT NULL, v double precision, n numeric(20,6), note text, device text, PRIMARY KEY (device, ts))"
	if _, err := connection.Exec(ctx, create); err != nil {
		return err
	}
	start := time.Date(2026, 1, 1, 0, 0, 0, 123456000, time.UTC)
	count, err := connection.CopyFrom(ctx, pgx.Identifier{"own"}, []string{"ts", "v", "n", "note", "device"}, pgx.CopyFromSlice(50, func(i int) ([]any, error) {
		return []any{start.Add(time.Duration(i) * time.Second), float64(i) / 8, nil, "ü", "d"}, nil
	}))
	if err := errors.Join(err, expect(count == 50, "50 rows are copied")); err != nil {
		return err
	}
	for _, mode := range []pgx.QueryExecMode{
		pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec, pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol,
	} {
		var ts time.Time
		var v float64
		row := connection.QueryRow(ctx, "SELECT ts, v FROM own WHERE device = $1 AND v >= $2 ORDER BY ts LIMIT 1", mode, "d", 0.5)
		if err := errors.Join(row.Scan(&ts, &v), expect(ts.Equal(start.Add(4*time.Second)) && v == 0.5, "the row in mode "+mode.String())); err != nil {
			return err
		}
	}
	err = pgx.BeginFunc(ctx, connection, func(outer pgx.Tx) error {
		if _, err := outer.Exec(ctx, "INSERT INTO own (ts, device) VALUES ($1, 'outer')", start); err != nil {
			return err
		}
		stop := errors.New("back to the savepoint")
		err := pgx.BeginFunc(ctx, outer, func(inner pgx.Tx) error {
			_, err := inner.Exec(ctx, "INSERT INTO own (ts, device) VALUES ($1, 'inner')", start)
			return errors.Join(err, stop)
		})
		if !errors.Is(err, stop) {
			return err
		}
		return nil
	})
	if err != nil {
		return err
	}
	rows, err := connection.Query(ctx, "SELECT device, count(*) AS rows FROM own GROUP BY device ORDER BY device")
	if err != nil {
		return err
	}
	type group struct {
		Device string
		Rows   int64
	}
	groups, err := pgx.CollectRows(rows, pgx.RowToStructByName[group])
	if err := errors.Join(err, expect(reflect.DeepEqual(groups, []group{{"d", 50}, {"outer", 1}}), fmt.Sprint("groups ", groups))); err != nil {
		return err
	}
	pool, err := pgxpool.New(ctx, driver.dsn)
	if err != nil {
		return err
	}
	defer pool.Close()
	if err := pool.Ping(ctx); err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	slow := "SELECT count(*) FROM generate_series(1, 3000000) AS a (x), generate_series(1, 3000000) AS b (y) WHERE (x + y) % 7 = 5"
	_, err = pool.Exec(limited, slow)
	return expect(errors.Is(err, context.DeadlineExceeded), fmt.Sprint("the time limit ends a statement: ", err))
}
