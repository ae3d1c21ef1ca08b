package programs_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dstackless/dstackless/tasklet/sandbox"
)

// std are packages of the standard library whose tests need nothing that a
// tasklet has not: it sees neither files nor other programs. Examples are not
// run, because package testing keeps their output in a file, nor fuzz targets,
// which have their corpus in files.
var std = []struct {
	pkg   string
	short bool   // it is run without -long
	skip  string // tests that need files, or too much time, as for the flag -test.skip
}{
	{pkg: "bufio"},
	{pkg: "bytes"},
	{pkg: "container/heap"},
	{pkg: "container/list"},
	{pkg: "container/ring"},
	{pkg: "context", short: true},
	{pkg: "crypto/aes"},
	{pkg: "crypto/ecdsa"},
	{pkg: "crypto/ed25519", skip: "TestGolden"}, // file
	{pkg: "crypto/elliptic"},
	{pkg: "crypto/hmac"},
	{pkg: "crypto/md5"},
	{pkg: "crypto/sha1"},
	{pkg: "crypto/sha256"},
	{pkg: "crypto/sha512"},
	{pkg: "encoding/ascii85"},
	{pkg: "encoding/asn1"},
	{pkg: "encoding/base32"},
	{pkg: "encoding/base64"},
	{pkg: "encoding/binary"},
	{pkg: "encoding/csv"},
	{pkg: "encoding/gob", skip: "Large|Huge"}, // time
	{pkg: "encoding/hex"},
	{pkg: "encoding/json"},
	{pkg: "encoding/pem"},
	{pkg: "encoding/xml"},
	{pkg: "errors"},
	{pkg: "expvar"},
	{pkg: "fmt", short: true},
	{pkg: "go/ast"},
	{pkg: "go/constant"},
	{pkg: "go/scanner"},
	{pkg: "go/token"},
	{pkg: "hash/adler32"},
	{pkg: "hash/crc32"},
	{pkg: "hash/crc64"},
	{pkg: "hash/fnv"},
	{pkg: "hash/maphash"},
	{pkg: "html"},
	{pkg: "image/color"},
	{pkg: "index/suffixarray"},
	{pkg: "io", skip: "TestOffsetWriter|TestWriteAt"}, // files
	{pkg: "iter"},
	{pkg: "log"},
	{pkg: "log/slog"},
	{pkg: "maps"},
	{pkg: "math"},
	{pkg: "math/big"},
	{pkg: "math/bits"},
	{pkg: "math/cmplx"},
	{pkg: "math/rand"},
	{pkg: "math/rand/v2"},
	{pkg: "mime/quotedprintable"},
	{pkg: "net/mail"},
	{pkg: "net/netip"},
	{pkg: "net/url"},
	{pkg: "path"},
	{pkg: "reflect"},
	{pkg: "regexp", skip: "TestRE2Search"}, // file
	{pkg: "regexp/syntax"},
	{pkg: "slices"},
	{pkg: "sort", short: true},
	{pkg: "strconv"},
	{pkg: "strings"},
	{pkg: "sync", short: true},
	{pkg: "sync/atomic"},
	{pkg: "text/scanner"},
	{pkg: "text/tabwriter"},
	{pkg: "text/template", skip: "TestParse(FS|Files|Glob)"}, // files
	{pkg: "text/template/parse"},
	{pkg: "unicode/utf16"},
	{pkg: "unicode/utf8"},
	{pkg: "unique"},
	{pkg: "weak"},
}

// differing is what differs from run to run: durations, and addresses in the
// names of tests.
var differing = regexp.MustCompile(` \(\d+\.\d+s\)|0x[0-9a-f]{5,}`)

// verdicts returns what a test binary says of its tests. The order is that of
// their ends, which differs for those that run in parallel.
func verdicts(output string) []string {
	var found []string
	for line := range strings.Lines(output) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "--- ") || line == "PASS" || line == "FAIL" {
			found = append(found, differing.ReplaceAllString(line, ""))
		}
	}
	slices.Sort(found)
	return found
}

// enough is for how long the tests of a package are repeated: most take a few
// milliseconds, in which little can move.
const enough = time.Second

// The tests of the standard library, as they are, give the same results when
// the test program is moved all the time.
func TestStandardLibrary(t *testing.T) {
	rnd := random(t)
	total := 0
	for _, test := range std {
		if !test.short && !*long {
			continue
		}
		t.Run(test.pkg, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
			defer cancel()
			peers := startPeers(t, 2)
			wasm := build(t, "test", "-c", test.pkg)
			warm(ctx, t, peers, wasm, "-test.run=^$")
			args := []string{"-test.v", "-test.short", "-test.run=^Test"}
			if test.skip != "" {
				args = append(args, "-test.skip="+test.skip)
			}
			code := compile(t, wasm)
			count := 1 + int(enough/(alone(ctx, t, code, args...).took+time.Millisecond))
			moves := 0
			for try := 0; moves == 0 && try < 4; try++ { // a machine may be so busy that a move takes longer than the tests
				moves = moveTests(ctx, t, rnd, peers, wasm, code, append(args, fmt.Sprint("-test.count=", count)))
				count *= 4
			}
			if moves == 0 {
				t.Error("it was not moved")
			}
			total += moves
		})
	}
	t.Logf("%d moves in all", total)
}

// moveTests runs the tests of a package undisturbed, stopped and carried on all
// the time, and moved all the time, and returns how often they were moved.
func moveTests(ctx context.Context, t *testing.T, rnd *rand.Rand, peers []*peer, wasm []byte, code *sandbox.Code, args []string) int {
	t.Helper()
	undisturbed := alone(ctx, t, code, args...)
	want := verdicts(undisturbed.output)
	if undisturbed.status != 0 || undisturbed.err != nil || !slices.Contains(want, "PASS") || len(want) < 2 {
		t.Fatalf("left alone: %v", undisturbed)
	}
	check := func(r result, moves int) {
		t.Helper()
		if r.status != 0 || r.err != nil || !slices.Equal(verdicts(r.output), want) {
			t.Errorf("after %d moves: %v", moves, r)
		}
	}
	carried, captures := carry(ctx, t, rnd, 2*time.Millisecond, code, args...)
	check(carried, captures)
	moved, moves := wander(ctx, t, rnd, 4*time.Millisecond, peers, wasm, args...)
	check(moved, moves)
	t.Logf("%d verdicts, %s: %d moves in %v, %d captures in %v; left alone they take %v",
		len(want), args[len(args)-1], moves, moved.took, captures, carried.took, undisturbed.took)
	return moves
}
