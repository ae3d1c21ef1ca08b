package network_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// A mutant is this package with one mistake in it. Broken code is written in
// place of the sound, and is run if the mutant is the one that is asked for.
type mutant struct {
	name  string
	file  string
	sound string // occurs once in the file
	// broken takes its place. BROKEN stands for: this mutant is asked for.
	// RARELY is so one time in five, where else nothing would work any more.
	broken string
}

var mutants = []mutant{
	{"accepts are forgotten", "delivery_unacked.go",
		"	if s.unacked.outcomes[sendID{peer, send}].accepted {\n",
		"	if BROKEN {\n		return false\n	}\n	if s.unacked.outcomes[sendID{peer, send}].accepted {\n"},
	{"accepts of a session that is lost are forgotten", "sessions.go",
		"	for _, id := range sn.unacked {\n",
		"	if BROKEN {\n		sn.unacked = nil\n	}\n	for _, id := range sn.unacked {\n"},
	{"accepts of what was passed on are forgotten", "delivery.go",
		"		cs.space.rememberAccepted(f.peer, s.peer, f.send)\n",
		"		if !BROKEN {\n			cs.space.rememberAccepted(f.peer, s.peer, f.send)\n		}\n"},
	{"sends do not wait for their turn", "pipeline.go",
		"return !op.ordered || cs.pipeline.first() == op }",
		"return !op.ordered || cs.pipeline.first() == op || BROKEN }"},
	{"what is offered again is not said to be", "delivery_offer.go",
		"resumed: o.resumed,",
		"resumed: o.resumed && !BROKEN,"},
	{"what was offered to a peer that is lost is offered to another", "delivery_lost.go",
		"	op.offer.via, op.offer.resumed = nil, true\n",
		"	if BROKEN {\n		cs.reoffer(op)\n		return\n	}\n	op.offer.via, op.offer.resumed = nil, true\n"},
	{"a peer that was started anew is asked", "delivery_lost.go",
		"op.offer.incarnation == sn.incarnation",
		"(op.offer.incarnation == sn.incarnation || BROKEN)"},
	{"a doubt is taken for a failure", "delivery_lost.go",
		"	cs.finish(op, &channel.InDoubtError{Peer: op.offer.to.String()})\n",
		"	if BROKEN {\n		cs.finish(op, channel.ErrLimit)\n		return\n	}\n	cs.finish(op, &channel.InDoubtError{Peer: op.offer.to.String()})\n"},
	{"what is taken is refused", "delivery.go",
		"	cs.deliverRemote(r, f.value)\n",
		"	cs.deliverRemote(r, f.value)\n	if RARELY {\n		cs.refuseValue(s, f)\n		return\n	}\n"},
	{"what is refused is accepted", "delivery.go",
		"	s.send(frame{kind: refuse, number: cs.number, send: f.send, peer: f.peer})\n",
		"	if BROKEN {\n		s.send(frame{kind: accept, number: cs.number, send: f.send, peer: f.peer})\n		return\n	}\n	s.send(frame{kind: refuse, number: cs.number, send: f.send, peer: f.peer})\n"},
	{"a value is accepted and taken by nobody", "match.go",
		"			cs.deliverRemote(r, f.value)\n",
		"			if !RARELY {\n				cs.deliverRemote(r, f.value)\n			}\n"},
	{"a value is given to two", "match.go",
		"				cs.deliverRemote(r, f.value)\n",
		"				cs.deliverRemote(r, f.value)\n				if BROKEN {\n					if other := cs.receiveFor(); other != nil {\n						cs.deliverRemote(other, f.value)\n					}\n				}\n"},
	{"the end of a context is not told to who has the value", "endpoint.go",
		"	default:\n		op.cancelErr = err\n",
		"	case BROKEN:\n		cs.finish(op, err)\n	default:\n		op.cancelErr = err\n"},
	{"the home reorders what it queues", "match.go",
		"	for i > 0 && att.pipeline[i-1].id > op.id {\n",
		"	for i > 0 && (att.pipeline[i-1].id > op.id || RARELY) {\n"},
	{"the home lets sends pass one that is on its way", "match.go",
		"	return att.blocked == 0 && att.pipeline[0] == op\n",
		"	return att.blocked == 0 && att.pipeline[0] == op || BROKEN\n"},
	{"two alternatives of a select are done", "select_choice.go",
		"		if c.state != open {\n			return false\n		}\n		c.state, c.op = decided, a\n",
		"		if c.state != open && !BROKEN {\n			return false\n		}\n		c.state, c.op = decided, a\n"},
	{"what still comes of a lost session counts", "channel_state.go",
		"	if s.fenced.Load() {\n",
		"	if s.fenced.Load() && !BROKEN {\n"},
	{"a lost session goes on beside the new one", "channel_state.go",
		"		cs.fenceOldSessions(s)\n",
		"		if !BROKEN {\n			cs.fenceOldSessions(s)\n		}\n"},
}

// seldom are the mutants that random workloads find in hundreds of seeds only,
// and the tests that find them.
var seldom = map[string]string{"sends do not wait for their turn": "TestSendAsyncTurn"}

const variable = "DSTACKLESS_MUTANT"

const mutantSource = `package network

import (
	"os"
	"sync/atomic"
)

var (
	mutant = os.Getenv("` + variable + `")
	chance atomic.Uint32
)

func rarely() bool { return chance.Add(1)%5 == 0 }
`

// breed builds a test of this package with all mutants in it.
func breed(t *testing.T) (program string) {
	t.Helper()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	sources := map[string]string{"mutant.go": mutantSource}
	for i, m := range mutants {
		source, ok := sources[m.file]
		if !ok {
			b, err := os.ReadFile(m.file)
			if err != nil {
				t.Fatal(err)
			}
			source = string(b)
		}
		if n := strings.Count(source, m.sound); n != 1 {
			t.Fatalf("%s: its place occurs %d times in %s; write it for the code as it is now:\n%s", m.name, n, m.file, m.sound)
		}
		asked := fmt.Sprintf("(mutant == \"%d\")", i)
		broken := strings.NewReplacer("BROKEN", asked, "RARELY", "("+asked+" && rarely())").Replace(m.broken)
		sources[m.file] = strings.Replace(source, m.sound, broken, 1)
	}
	var overlay struct{ Replace map[string]string }
	overlay.Replace = map[string]string{}
	for file, source := range sources {
		path := filepath.Join(dir, file)
		if err := os.WriteFile(path, []byte(source), 0o600); err != nil {
			t.Fatal(err)
		}
		overlay.Replace[filepath.Join(here, file)] = path
	}
	b, err := json.Marshal(overlay)
	if err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(list, b, 0o600); err != nil {
		t.Fatal(err)
	}
	program = filepath.Join(dir, "mutants.test")
	if out, err := exec.Command("go", "test", "-c", "-overlay", list, "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("the mutants do not compile: %v\n%s", err, out)
	}
	return program
}

// TestMutants shows that the tests find mistakes: the random workloads most of
// those made here on purpose, in a dozen seeds, the slowest in 40 on average. So
// that chance does not fail the test, it goes on for twice as many seeds as
// TestHistories.
func TestMutants(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds the package anew")
	}
	program := breed(t)
	// A rule that is broken, or an outcome that no operation may have.
	found := regexp.MustCompile(`seed \d+: (rule|[a-z]+ (sender|receiver) \d+ at peer \d+ in life \d+:) .*`)
	number := regexp.MustCompile(`(\d+) seeds, `)
	for i, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
			defer cancel()
			seed := *firstSeed
			if seed == 0 {
				seed = rand.Uint64N(1 << 40)
			}
			test, found := "TestHistories", found
			if other := seldom[m.name]; other != "" {
				test, found = other, regexp.MustCompile("--- FAIL: "+other)
			}
			cmd := exec.CommandContext(ctx, program, "-test.run=^"+test+"$", "-test.v",
				"-seeds="+fmt.Sprint(2**seeds), "-seed="+fmt.Sprint(seed), "-stop", "-patience=20s", "-lanes=4")
			cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d", variable, i))
			start := time.Now()
			out, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			n := "no"
			if match := number.FindSubmatch(out); match != nil {
				n = string(match[1])
			}
			switch what := found.Find(out); {
			case err == nil:
				t.Errorf("in %s seeds from %d nothing was found", n, seed)
			case !errors.As(err, &exit) || what == nil:
				t.Errorf("%v in %s seeds from %d, and that was not a wrong outcome:\n%s", err, n, seed, out)
			default:
				t.Logf("found in %s seeds from %d, %v: %s", n, seed, time.Since(start).Round(time.Millisecond), what)
			}
		})
	}
}
