package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/spf13/cobra"
)

// jsonFlag gives cmd the flag --json.
func (c *cli) jsonFlag(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().BoolVar(&c.json, "json", false, "print JSON")
	return cmd
}

// printJSON prints v on one line.
func (c *cli) printJSON(v any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err
	}
	_, err := io.WriteString(c.out, visible(b.String(), "\n"))
	return err
}

// printLines prints lines, or v as JSON if that is wanted.
func (c *cli) printLines(v any, lines ...string) error {
	if c.json {
		return c.printJSON(v)
	}
	for _, l := range lines {
		if _, err := fmt.Fprintln(c.out, visible(l, "")); err != nil {
			return err
		}
	}
	return nil
}

// printTable prints rows in columns, or v as JSON if that is wanted.
func (c *cli) printTable(v any, rows [][]string) error {
	if c.json {
		return c.printJSON(v)
	}
	w := tabwriter.NewWriter(c.out, 0, 8, 2, ' ', 0)
	for _, row := range rows {
		for i := range row {
			row[i] = visible(row[i], "")
		}
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	return w.Flush()
}

// plain returns text from elsewhere as a terminal can show it in one column:
// quoted, if it has blanks or what is not printable.
func plain(text string) string {
	odd := func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsPrint(r) || r == '"' || r == unicode.ReplacementChar
	}
	if text == "" || strings.ContainsFunc(text, odd) {
		return strconv.Quote(text)
	}
	return text
}
