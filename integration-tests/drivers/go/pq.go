package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/lib/pq"
)

// pqDriver is lib/pq under database/sql: text both ways.
type pqDriver struct {
	database   *sql.DB
	connection *sql.Conn
}

func newPq(ctx context.Context, dsn string) (Driver, error) {
	database, err := sql.Open("postgres", dsn)
	if err != nil {
		return nil, err
	}
	connection, err := database.Conn(ctx)
	return &pqDriver{database, connection}, err
}

func (*pqDriver) Key() string  { return "pq" }
func (*pqDriver) Name() string { return "lib/pq" }

func (*pqDriver) CanNot() map[string]string {
	return map[string]string{
		"fetch":                         "the driver reads all rows of a portal",
		"pipeline":                      "the driver waits for each answer",
		"copy_in":                       "the driver writes the lines of COPY itself",
		"copy_out":                      "the driver has no COPY TO",
		"time":                          "the driver reads time as a moment of the year 0",
		"time[]":                        "the driver reads time as a moment of the year 0",
		"date 0001-01-01":               "year 1 is Go's zero time",
		"timestamp 0001-01-01 00:00:00": "year 1 is Go's zero time",
	}
}

func (*pqDriver) State(err error) string {
	var failure *pq.Error
	if errors.As(err, &failure) {
		return string(failure.Code)
	}
	return ""
}

func (driver *pqDriver) Do(ctx context.Context, step *Step) (Result, error) {
	if step.Batch != nil {
		return Result{Count: -1}, driver.batch(ctx, step)
	}
	values := []any{}
	for _, parameter := range step.Params {
		values = append(values, pqValue(parameter[0].(string), parameter[1]))
	}
	if step.Cancel > 0 {
		// The driver gives up the connection of a canceled statement: one of its own, then.
		limited, cancel := context.WithTimeout(ctx, time.Duration(step.Cancel)*time.Millisecond)
		defer cancel()
		_, err := driver.database.ExecContext(limited, step.SQL)
		return Result{Count: -1}, err
	}
	if step.Columns == nil && len(values) == 0 || step.Count != nil {
		done, err := driver.connection.ExecContext(ctx, step.SQL, values...)
		if err != nil {
			return Result{}, err
		}
		count, err := done.RowsAffected()
		return Result{Count: count}, err
	}
	rows, err := driver.connection.QueryContext(ctx, step.SQL, values...)
	if err != nil {
		return Result{}, err
	}
	defer rows.Close()
	result := Result{Count: -1}
	result.Names, err = rows.Columns()
	if err != nil {
		return Result{}, err
	}
	for rows.Next() {
		row := make([]any, len(result.Names))
		places := make([]any, len(row))
		for i := range row {
			places[i] = &row[i]
		}
		if err := rows.Scan(places...); err != nil {
			return Result{}, err
		}
		for i := range row {
			if i < len(step.Columns) && strings.HasSuffix(step.Columns[i], "[]") && row[i] != nil {
				var list []sql.NullString
				if err := pq.Array(&list).Scan(row[i]); err != nil {
					return Result{}, err
				}
				row[i] = elements(list)
			}
		}
		result.Rows = append(result.Rows, row)
	}
	return result, rows.Err()
}

func elements(list []sql.NullString) []any {
	found := []any{}
	for _, element := range list {
		if element.Valid {
			found = append(found, element.String)
		} else {
			found = append(found, nil)
		}
	}
	return found
}

func (driver *pqDriver) batch(ctx context.Context, step *Step) error {
	transaction, err := driver.connection.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer transaction.Rollback()
	statement, err := transaction.PrepareContext(ctx, step.SQL)
	if err != nil {
		return err
	}
	for _, list := range step.Batch {
		values := []any{}
		for i, value := range list {
			values = append(values, pqValue(step.Types[i], value))
		}
		if _, err := statement.ExecContext(ctx, values...); err != nil {
			return err
		}
	}
	return errors.Join(statement.Close(), transaction.Commit())
}

func pqValue(name string, value any) any {
	if value == nil {
		return nil
	}
	if values, ok := value.([]any); ok {
		list := []sql.NullString{}
		for _, element := range values {
			text, ok := element.(string)
			list = append(list, sql.NullString{String: text, Valid: ok})
		}
		return pq.Array(list)
	}
	text := value.(string)
	switch name {
	case "bool":
		return text == "t"
	case "bytea":
		return pgxScalar(name, text)
	case "date", "timestamp", "timestamptz":
		return parsed(name, text)
	}
	return text
}

// Own: COPY by the driver's lines, several statements in one Query, a pool, errors with their place.
func (driver *pqDriver) Own(ctx context.Context) error {
	database := driver.database
	create := "CREATE TABLE own (ts timestamptz NOT NULL, v double precision, device text, PRIMARY KEY (device, ts)); SELECT 1"
	if _, err := database.ExecContext(ctx, create); err != nil {
		return err
	}
	transaction, err := database.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	copying, err := transaction.PrepareContext(ctx, pq.CopyIn("own", "ts", "v", "device"))
	if err != nil {
		return err
	}
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range 50 {
		if _, err := copying.ExecContext(ctx, start.Add(time.Duration(i)*time.Second), float64(i)/8, "d\t'"); err != nil {
			return err
		}
	}
	if _, err := copying.ExecContext(ctx); err != nil {
		return err
	}
	if err := errors.Join(copying.Close(), transaction.Commit()); err != nil {
		return err
	}
	var count int64
	var sum float64
	row := database.QueryRowContext(ctx, "SELECT count(*), sum(v) FROM own WHERE device = $1", "d\t'")
	if err := errors.Join(row.Scan(&count, &sum), expect(count == 50 && sum == 1225.0/8, fmt.Sprint("what was copied: ", count, " ", sum))); err != nil {
		return err
	}
	_, err = database.ExecContext(ctx, "SELECT * FROM nowhere")
	var failure *pq.Error
	if !errors.As(err, &failure) || failure.Position != "15" {
		return fmt.Errorf("the error has its place: %w", err)
	}
	return database.PingContext(ctx)
}
