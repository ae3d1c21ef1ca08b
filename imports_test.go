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

// The packages of this module, and which of the others each may import, directly
// or through others. What is not named here is not allowed.
var house = map[string][]string{
	"internal/backoff":   {},
	"internal/lifecycle": {},
	"codec":              {},
	"p2p/quota":          {},
	"p2p":                {"p2p/quota"},
	"dht":                {"p2p", "p2p/quota"},
	"channel":            {"codec"},
	"channel/history":    {"channel", "codec"},
	"channel/network":    {"channel", "codec", "dht", "p2p", "p2p/quota"},
	"tasklet/abi":        {},
	"tasklet/program":    {},
	"tasklet/sandbox":    {"tasklet/abi", "tasklet/program"},
	"tasklet/compiler":   {"tasklet/abi", "tasklet/program", "tasklet/sandbox"},
	"tasklet/diskspace":  {},
	"tasklet/content":    {"dht", "p2p", "p2p/quota", "tasklet/diskspace"},
	"tasklet/journal":    {},
	"tasklet/guest":      {"channel", "codec", "tasklet/abi"},
	"tasklet":            {"channel", "codec", "p2p", "p2p/quota", "dht", "tasklet/abi", "tasklet/program", "tasklet/sandbox", "tasklet/compiler", "tasklet/diskspace", "tasklet/content", "tasklet/journal"},
	".":                  {"channel", "channel/network", "codec", "dht", "p2p", "p2p/quota", "tasklet", "tasklet/abi", "tasklet/program", "tasklet/sandbox", "tasklet/compiler", "tasklet/diskspace", "tasklet/content", "tasklet/journal"},
	"control":            {".", "channel", "channel/network", "codec", "dht", "p2p", "p2p/quota", "tasklet", "tasklet/abi", "tasklet/program", "tasklet/sandbox", "tasklet/compiler", "tasklet/diskspace", "tasklet/content", "tasklet/journal"},
	"peertest":           {".", "channel", "channel/network", "codec", "dht", "p2p", "p2p/quota", "tasklet", "tasklet/abi", "tasklet/program", "tasklet/sandbox", "tasklet/compiler", "tasklet/diskspace", "tasklet/content", "tasklet/journal"},
	"peertest/guests":    {},

	"peertest/crafted": {},

	"peertest/guests/compile": {"tasklet/abi", "tasklet/program", "tasklet/sandbox", "tasklet/compiler"},

	"channel/network/internal/model": {},
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

func TestArrowsPointDown(t *testing.T) {
	for _, room := range goList(t, nil, "./...") {
		name := strings.TrimPrefix(strings.TrimPrefix(room, module), "/")
		if strings.HasPrefix(name, "cmd/") || strings.HasPrefix(name+"/", "examples/") || strings.Contains(name, "testdata") {
			continue // they stand on the roof
		}
		if name == "" {
			name = "."
		}
		allowed, known := house[name]
		if !known {
			t.Errorf("%s is not in the plan of the house: say which rooms it may know", room)
			continue
		}
		for _, dep := range goList(t, nil, "-deps", room) {
			below, ours := strings.CutPrefix(dep, module+"/")
			if dep == module {
				below, ours = ".", true
			}
			if ours && below != name && !slices.Contains(allowed, below) && !slices.Contains(common, below) {
				t.Errorf("%s knows of %s", name, below)
			}
		}
	}
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
