package dstackless_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/dstackless/dstackless"

// Every package may import these. They import nothing of this module.
var common = []string{"internal/backoff", "internal/lifecycle"}

// A room is what a package of this module may import of the others.
type room struct {
	imports []string
	why     string // it may not import more
}

const (
	small    = "guests import it: whatever it imports is in each program that moves"
	leaf     = "it can be read and tested alone"
	network  = "peers and their connections know nothing of what is done over them"
	channels = "channels do not need tasklets: tasklets use channels"
	bytes    = "it works on bytes: nothing in it depends on peers"
	top      = "it puts the packages together; commands and tests stand above it"
)

// The packages of this module, and what each may import. What is not named here
// is not allowed. A package below internal may be imported as Go itself has it,
// and stands in the list of those that do.
var house = map[string]room{
	"internal/backoff":   {nil, leaf},
	"internal/lifecycle": {nil, leaf},
	"internal/testhook":  {nil, leaf},

	"p2p/quota": {nil, leaf},
	"p2p":       {[]string{"internal/testhook", "p2p/quota"}, network},
	"dht":       {[]string{"p2p", "p2p/quota"}, network},

	"codec":           {nil, small},
	"channel":         {[]string{"codec"}, small},
	"channel/history": {[]string{"channel"}, "it judges any implementation of channels"},
	"channel/network": {[]string{"channel", "codec", "dht", "p2p", "p2p/quota"}, channels},

	"channel/network/internal/model": {nil, leaf},

	"tasklet/abi":       {nil, small},
	"tasklet/guest":     {[]string{"channel", "codec", "tasklet/abi"}, small},
	"tasklet/program":   {nil, bytes},
	"tasklet/sandbox":   {[]string{"tasklet/abi", "tasklet/program"}, bytes},
	"tasklet/compiler":  {[]string{"tasklet/program", "tasklet/sandbox"}, "it compiles in a process of its own, which needs nothing else"},
	"tasklet/diskspace": {nil, leaf},
	"tasklet/journal":   {nil, leaf},
	"tasklet/content":   {[]string{"dht", "p2p", "p2p/quota", "tasklet/diskspace"}, "files are the same whatever is in them"},

	"tasklet/internal/output": {[]string{"tasklet/journal"}, "what was written is bytes, whoever wrote it"},

	"tasklet": {[]string{"channel", "codec", "dht", "p2p", "p2p/quota", "tasklet/abi", "tasklet/compiler", "tasklet/content", "tasklet/diskspace", "tasklet/internal/output", "tasklet/journal", "tasklet/program", "tasklet/sandbox"}, "tasklets open channels through an interface, whatever implements it"},

	".":       {[]string{"channel", "channel/network", "dht", "internal/testhook", "p2p", "tasklet", "tasklet/content"}, top},
	"control": {[]string{".", "channel", "channel/network", "dht", "p2p", "tasklet"}, "it shows what a peer has, and reaches past it to nothing"},

	"peertest":                {[]string{".", "channel", "channel/network", "internal/testhook", "p2p", "tasklet", "tasklet/content"}, "it runs whole peers"},
	"peertest/crafted":        {nil, leaf},
	"peertest/guests":         {nil, leaf},
	"peertest/guests/compile": {[]string{"tasklet/compiler"}, leaf},
}

func goList(t *testing.T, env []string, args ...string) []string {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list"}, args...)...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list %v: %v", args, err)
	}
	return strings.Fields(string(out))
}

func TestImports(t *testing.T) {
	const format = "{{.ImportPath}}{{range .Imports}},{{.}}{{end}}"
	for _, line := range goList(t, nil, "-f", format, "./...") {
		imports := strings.Split(line, ",")
		name := roomOf(imports[0])
		if strings.HasPrefix(name, "cmd/") || strings.HasPrefix(name+"/", "examples/") || strings.Contains(name, "testdata") {
			continue // nothing imports them
		}
		r, known := house[name]
		if !known {
			t.Errorf("package %s is not in the table: say what it may import, and why not more", name)
			continue
		}
		for _, path := range imports[1:] {
			other := roomOf(path)
			if other != "" && !slices.Contains(r.imports, other) && !slices.Contains(common, other) {
				t.Errorf("%s may not import %s: %s", name, other, r.why)
			}
		}
	}
}

// roomOf returns the name of a package in the table, or "" if it is not of this
// module.
func roomOf(path string) string {
	if path == module {
		return "."
	}
	name, ours := strings.CutPrefix(path, module+"/")
	if !ours {
		return ""
	}
	return name
}

// Whoever imports package testing gives its flags to each program that uses it.
func TestTestingStaysOutside(t *testing.T) {
	const format = "{{.ImportPath}}{{range .Imports}},{{.}}{{end}}"
	for _, line := range goList(t, nil, "-f", format, "./...") {
		imports := strings.Split(line, ",")
		if imports[0] != module+"/peertest" && slices.Contains(imports, "testing") {
			t.Errorf("%s imports testing", imports[0])
		}
	}
}

// What a guest may be made of. A libp2p that leaked in would compile, and make
// each program that moves ten times as large.
func TestGuestStaysSmall(t *testing.T) {
	env := []string{"GOOS=wasip1", "GOARCH=wasm"}
	const program = module + "/examples/migration/program"
	allowed := []string{"channel", "codec", "tasklet/abi", "tasklet/guest", "examples/migration/program", "examples/migration/trip"}
	for _, dep := range goList(t, env, "-deps", program) {
		name, ours := strings.CutPrefix(dep, module+"/")
		switch {
		case ours && !slices.Contains(allowed, name):
			t.Errorf("a guest knows of %s", name)
		case !ours && strings.Contains(strings.Split(dep, "/")[0], "."):
			t.Errorf("a guest knows of %s, which is not of the standard library", dep)
		case dep == "net" || strings.HasPrefix(dep, "net/") || dep == "os/exec":
			t.Errorf("a guest knows of %s, which it has no use for", dep)
		}
	}

	const ceiling = 4 << 20
	file := filepath.Join(t.TempDir(), "program.wasm")
	build := exec.Command("go", "build", "-o", file, program)
	build.Env = append(os.Environ(), env...)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("a guest with channels has %d bytes", info.Size())
	if info.Size() > ceiling {
		t.Errorf("a guest has %d bytes; the ceiling is %d", info.Size(), ceiling)
	}
}

// What "dspeer" may not depend on, and why.
var unwanted = map[string]string{
	"github.com/libp2p/go-libp2p":                            "it links all transports: package p2p fills in config.Config itself",
	"github.com/libp2p/go-libp2p/p2p/transport/websocket":    "no peer speaks it",
	"github.com/libp2p/go-libp2p/p2p/transport/webtransport": "no peer speaks it",
	"github.com/gorilla/websocket":                           "it is for WebSocket alone",
	"github.com/quic-go/webtransport-go":                     "it is for WebTransport alone",
	"net/http/pprof":                                         "it adds itself to a server of HTTP",
}

// unlinked are functions that "dspeer" must not have in it: libp2p's package
// config names a type of its WebRTC transport, so that no list of packages can
// tell whether there is one.
var unlinked = []string{"go-libp2p/p2p/transport/webrtc.New", "pion/webrtc/v4.NewPeerConnection", "pion/webrtc/v4.(*API).NewPeerConnection"}

// What no peer uses is not there to be attacked.
func TestNothingUnwantedIsLinked(t *testing.T) {
	for _, dep := range goList(t, nil, "-deps", module+"/cmd/dspeer") {
		if why, bad := unwanted[dep]; bad {
			t.Errorf("dspeer depends on %s: %s", dep, why)
		}
	}
	binary := filepath.Join(t.TempDir(), "dspeer")
	if out, err := exec.Command("go", "build", "-o", binary, module+"/cmd/dspeer").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	symbols, err := exec.Command("go", "tool", "nm", binary).Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range unlinked {
		if strings.Contains(string(symbols), f+"\n") {
			t.Errorf("dspeer has %s in it", f)
		}
	}
}
