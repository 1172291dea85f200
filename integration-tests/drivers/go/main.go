// The scenario by Go's drivers. usage: runner pgx|pq PORT SERVER JSON
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Step is one of the scenario's; see ../../scenario.yaml.
type Step struct {
	Name        string   `json:"name"`
	SQL         string   `json:"sql"`
	Params      [][2]any `json:"params"`
	Columns     []string `json:"columns"`
	Types       []string `json:"types"`
	Rows        *[][]any `json:"rows"`
	Names       []string `json:"names"`
	Count       *int64   `json:"count"`
	Error       string   `json:"error"`
	Batch       [][]any  `json:"batch"`
	Pipeline    []string `json:"pipeline"`
	CopyIn      *string  `json:"copy_in"`
	CopyOut     *string  `json:"copy_out"`
	Fetch       int      `json:"fetch"`
	Cancel      int      `json:"cancel"`
	Repeat      int      `json:"repeat"`
	MayFailOnce string   `json:"may_fail_once"`
	Needs       string   `json:"needs"`
	Wrong       string   `json:"wrong"`
	RightBy     []string `json:"right_by"`
}

// Result is what came of a statement. Names and OIDs where the driver tells them; Count -1 where it does not.
type Result struct {
	Rows  [][]any
	Names []string
	OIDs  []uint32
	Count int64
	Data  string
}

// Driver does steps. What it cannot do: kind of step, type, value or name of a step, with the reason.
type Driver interface {
	Key() string
	Name() string
	CanNot() map[string]string
	State(error) string
	Do(ctx context.Context, step *Step) (Result, error)
	Own(ctx context.Context) error
}

var oids = map[string]uint32{
	"bool": 16, "bytea": 17, "name": 19, "int8": 20, "int2": 21, "int4": 23, "text": 25, "json": 114, "float4": 700, "float8": 701,
	"bpchar": 1042, "varchar": 1043, "date": 1082, "time": 1083, "timestamp": 1114, "timestamptz": 1184, "interval": 1186,
	"numeric": 1700, "uuid": 2950, "jsonb": 3802, "bool[]": 1000, "bytea[]": 1001, "int2[]": 1005, "int4[]": 1007, "text[]": 1009,
	"varchar[]": 1015, "int8[]": 1016, "float4[]": 1021, "float8[]": 1022, "timestamp[]": 1115, "date[]": 1182, "time[]": 1183,
	"timestamptz[]": 1185, "interval[]": 1187, "numeric[]": 1231, "json[]": 199, "uuid[]": 2951, "jsonb[]": 3807,
}

func main() {
	ctx := context.Background()
	dsn := fmt.Sprintf("postgres://postgres@127.0.0.1:%s/postgres?sslmode=disable", os.Args[2])
	data, err := os.ReadFile(os.Args[4])
	must(err)
	var steps []*Step
	must(json.Unmarshal(data, &steps))
	var driver Driver
	if os.Args[1] == "pgx" {
		driver, err = newPgx(ctx, dsn)
	} else {
		driver, err = newPq(ctx, dsn)
	}
	must(err)
	failed := run(ctx, driver, steps, os.Args[3])
	must(driver.Own(ctx))
	if failed > 0 {
		os.Exit(1)
	}
}

func must(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func run(ctx context.Context, driver Driver, steps []*Step, server string) int {
	failed, leftOut := 0, 0
	for _, step := range steps {
		if reason := lacking(driver, step); reason != "" {
			leftOut++
			fmt.Printf("%s: left out: %s: %s\n", driver.Name(), describe(step), reason)
			continue
		}
		mark := ""
		if server == "taospg" && !slices.Contains(step.RightBy, driver.Key()) {
			mark = step.Wrong
		}
		err := perform(ctx, driver, step)
		if err != nil && mark == "" {
			failed++
			fmt.Printf("%s: %s: %s %v\n", driver.Name(), describe(step), driver.State(err), err)
		}
		if err == nil && mark != "" {
			failed++
			fmt.Printf("%s: %s: comes out right now: take away its mark (%s)\n", driver.Name(), describe(step), mark)
		}
	}
	fmt.Printf("%s: %d steps as written, %d left out, %d not\n", driver.Name(), len(steps)-failed-leftOut, leftOut, failed)
	return failed
}

func (step *Step) kind() string {
	switch {
	case step.Batch != nil:
		return "batch"
	case step.Pipeline != nil:
		return "pipeline"
	case step.CopyIn != nil:
		return "copy_in"
	case step.CopyOut != nil:
		return "copy_out"
	case step.Fetch > 0:
		return "fetch"
	case step.Cancel > 0:
		return "cancel"
	}
	return "execute"
}

func lacking(driver Driver, step *Step) string {
	asks := append([]string{step.kind(), step.Needs, step.Name}, step.Types...)
	asks = append(asks, step.Columns...)
	for _, parameter := range step.Params {
		asks = append(asks, parameter[0].(string))
		if value, ok := parameter[1].(string); ok {
			asks = append(asks, parameter[0].(string)+" "+value)
		}
	}
	for _, what := range asks {
		if reason, ok := driver.CanNot()[what]; ok {
			return reason
		}
	}
	return ""
}

func describe(step *Step) string {
	text := step.Name
	if text == "" {
		text = step.SQL
	}
	if strings.Contains(text, "CAST($1") {
		text += fmt.Sprint(" ", step.Params[0][1])
	}
	text = strings.Join(strings.Fields(text), " ")
	return text[:min(len(text), 160)]
}

func perform(ctx context.Context, driver Driver, step *Step) error {
	failures := 0
	if step.MayFailOnce != "" {
		failures = 1
	}
	for range max(step.Repeat, 1) + failures {
		result, err := driver.Do(ctx, step)
		if err != nil {
			state := driver.State(err)
			if failures > 0 && state == step.MayFailOnce {
				failures--
				continue
			}
			if state == "" || state != step.Error {
				return err
			}
			continue
		}
		if step.Error != "" {
			return fmt.Errorf("no error, but %s is expected", step.Error)
		}
		if err := check(step, result); err != nil {
			return err
		}
	}
	return nil
}

func check(step *Step, result Result) error {
	if step.CopyOut != nil && result.Data != *step.CopyOut {
		return fmt.Errorf("\n  wanted %q\n  found  %q", *step.CopyOut, result.Data)
	}
	if step.Count != nil && result.Count >= 0 && result.Count != *step.Count {
		return fmt.Errorf("%d rows affected instead of %d", result.Count, *step.Count)
	}
	if step.Rows != nil {
		wanted, found := comparableRows(step.Columns, *step.Rows), comparableRows(step.Columns, result.Rows)
		if !reflect.DeepEqual(wanted, found) {
			return fmt.Errorf("\n  wanted %v\n  found  %v", wanted, found)
		}
		for i, oid := range result.OIDs {
			if oids[step.Columns[i]] != oid {
				return fmt.Errorf("types %v instead of %v", result.OIDs, step.Columns)
			}
		}
	}
	if step.Names != nil && result.Names != nil && !reflect.DeepEqual(step.Names, result.Names) {
		return fmt.Errorf("names %v instead of %v", result.Names, step.Names)
	}
	return nil
}

func comparableRows(types []string, rows [][]any) [][]any {
	found := [][]any{}
	for _, row := range rows {
		values := []any{}
		for i, value := range row {
			values = append(values, comparable(types[i], value))
		}
		found = append(found, values)
	}
	return found
}

// comparable gives equal texts for equal values of the type, whatever form they have.
func comparable(name string, value any) any {
	if value == nil {
		return nil
	}
	if element, ok := strings.CutSuffix(name, "[]"); ok {
		list := []any{}
		for _, each := range value.([]any) {
			list = append(list, comparable(element, each))
		}
		return list
	}
	text := plain(name, value)
	switch name {
	case "bool":
		return text == "t" || text == "true"
	case "float4":
		number, _ := strconv.ParseFloat(text, 32)
		return fmt.Sprint(float32(number))
	case "float8":
		number, _ := strconv.ParseFloat(text, 64)
		return fmt.Sprint(number)
	case "numeric":
		if text == "NaN" {
			return text
		}
		number, _ := new(big.Rat).SetString(text)
		return number.String()
	case "json", "jsonb":
		var parsed any
		must(json.Unmarshal([]byte(text), &parsed))
		return fmt.Sprint(parsed)
	case "bpchar":
		return strings.TrimRight(text, " ")
	case "interval":
		return microseconds(text)
	}
	return text
}

// plain is the value as the scenario writes it.
func plain(name string, value any) string {
	switch value := value.(type) {
	case string:
		return value
	case []byte:
		if name == "bytea" {
			return fmt.Sprintf("\\x%x", value)
		}
		return string(value)
	case [16]byte:
		return fmt.Sprintf("%x-%x-%x-%x-%x", value[:4], value[4:6], value[6:8], value[8:10], value[10:])
	case float32:
		return strconv.FormatFloat(float64(value), 'g', -1, 32)
	case float64:
		return strconv.FormatFloat(value, 'g', -1, 64)
	case time.Time:
		layout := map[string]string{
			"date": "2006-01-02", "timestamp": "2006-01-02 15:04:05.999999", "timestamptz": "2006-01-02 15:04:05.999999-07", "time": "15:04:05.999999",
		}[name]
		return value.UTC().Format(layout)
	case map[string]any, []any:
		text, err := json.Marshal(value)
		must(err)
		return string(text)
	}
	return fmt.Sprint(value)
}

var interval = regexp.MustCompile(`^(?:(-?\d+) days? ?)?(?:([+-]?)(\d+):(\d+):([\d.]+))?$`)

// microseconds of an interval without months.
func microseconds(text string) int64 {
	parts := interval.FindStringSubmatch(text)
	if parts == nil {
		return -1
	}
	number := func(text string) float64 {
		value, _ := strconv.ParseFloat(text, 64)
		return value
	}
	clock := int64(number(parts[3])*3600+number(parts[4])*60)*1_000_000 + int64(math.Round(number(parts[5])*1_000_000))
	if parts[2] == "-" {
		clock = -clock
	}
	return int64(number(parts[1]))*86_400_000_000 + clock
}

// parsed is a time as the scenario writes it.
func parsed(name, text string) time.Time {
	layout := map[string]string{"date": "2006-01-02", "timestamp": "2006-01-02 15:04:05", "timestamptz": "2006-01-02 15:04:05-07"}[name]
	value, err := time.Parse(layout, text)
	must(err)
	return value
}

func expect(condition bool, what string) error {
	if condition {
		return nil
	}
	return fmt.Errorf("not so: %s", what)
}
