package dstackless_test

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// A row of a table in docs/limits.md that names a constant: its value, and the
// package and name of the constant.
var limitRow = regexp.MustCompile("(?m)^\\|[^|]*\\| ([^|]+?) \\| `([^ `]+) ([A-Za-z]+)` \\|")

// The numbers in docs/limits.md are those of the code.
func TestLimitsAreDocumented(t *testing.T) {
	page, err := os.ReadFile("docs/limits.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := limitRow.FindAllStringSubmatch(string(page), -1)
	if len(rows) < 40 {
		t.Fatalf("docs/limits.md has %d rows with a constant; the test does not understand the page any more", len(rows))
	}
	for _, row := range rows {
		value, pkg, name := row[1], row[2], row[3]
		want, err := documented(value)
		if err != nil {
			t.Errorf("%s.%s: %v", pkg, name, err)
			continue
		}
		switch got, err := constantOf(pkg, name); {
		case err != nil:
			t.Error(err)
		case got != want:
			t.Errorf("docs/limits.md says that %s.%s is %s (%d); it is %d", pkg, name, value, want, got)
		}
	}
}

var units = map[string]int64{
	"": 1, "bytes": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30,
	"s": int64(time.Second), "min": int64(time.Minute), "h": int64(time.Hour),
}

// documented returns what a value of the page stands for: bytes, nanoseconds or a
// number.
func documented(text string) (sum int64, err error) {
	for part := range strings.SplitSeq(strings.TrimSuffix(text, " each"), " and ") {
		number, unit, _ := strings.Cut(part, " ")
		var n int64
		if _, err := fmt.Sscan(strings.ReplaceAll(number, ",", ""), &n); err != nil || units[unit] == 0 {
			return 0, fmt.Errorf("%q is no value that this test understands", text)
		}
		sum += n * units[unit]
	}
	return sum, nil
}

// constantOf returns the value of a constant in the source of a package of this
// module. It understands expressions of literals, of other constants of the
// package or of one of ours, and of units of time.
func constantOf(pkg, name string) (int64, error) {
	files, err := filepath.Glob(filepath.Join(pkg, "*.go"))
	if err != nil {
		return 0, err
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			return 0, err
		}
		if expr := declared(tree, name); expr != nil {
			return evaluate(pkg, tree, expr)
		}
	}
	return 0, fmt.Errorf("there is no constant %s in %s, of which docs/limits.md speaks", name, pkg)
}

// declared returns the expression that a file gives a constant or variable.
func declared(tree *ast.File, name string) ast.Expr {
	for _, decl := range tree.Decls {
		group, ok := decl.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, spec := range group.Specs {
			values, ok := spec.(*ast.ValueSpec)
			if !ok {
				continue
			}
			for i, id := range values.Names {
				if id.Name == name && i < len(values.Values) {
					return values.Values[i]
				}
			}
		}
	}
	return nil
}

// evaluate returns the value of an expression in a file of a package.
func evaluate(pkg string, tree *ast.File, expr ast.Expr) (int64, error) {
	switch e := expr.(type) {
	case *ast.ParenExpr:
		return evaluate(pkg, tree, e.X)
	case *ast.BasicLit:
		n, ok := constant.Int64Val(constant.ToInt(constant.MakeFromLiteral(e.Value, e.Kind, 0)))
		if !ok {
			return 0, fmt.Errorf("%s is no integer", e.Value)
		}
		return n, nil
	case *ast.Ident:
		return constantOf(pkg, e.Name)
	case *ast.SelectorExpr:
		from := types.ExprString(e.X)
		if from == "time" {
			return map[string]int64{
				"Millisecond": int64(time.Millisecond), "Second": int64(time.Second), "Minute": int64(time.Minute), "Hour": int64(time.Hour),
			}[e.Sel.Name], nil
		}
		for _, spec := range tree.Imports {
			if path := strings.Trim(spec.Path.Value, `"`); strings.HasPrefix(path, module+"/") && filepath.Base(path) == from {
				return constantOf(strings.TrimPrefix(path, module+"/"), e.Sel.Name)
			}
		}
	case *ast.BinaryExpr:
		x, err := evaluate(pkg, tree, e.X)
		if err != nil {
			return 0, err
		}
		y, err := evaluate(pkg, tree, e.Y)
		if err != nil {
			return 0, err
		}
		switch e.Op {
		case token.ADD:
			return x + y, nil
		case token.SUB:
			return x - y, nil
		case token.MUL:
			return x * y, nil
		case token.QUO:
			return x / y, nil
		case token.SHL:
			return x << y, nil
		}
	}
	return 0, fmt.Errorf("the test does not understand %s in %s", types.ExprString(expr), pkg)
}
