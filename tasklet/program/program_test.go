package program_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"

	"github.com/dstackless/dstackless/peertest/crafted"
	"github.com/dstackless/dstackless/tasklet/program"
)

// build compiles a program in testdata.
func build(t *testing.T, name, goos string, flags ...string) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "prog.wasm")
	cmd := exec.Command("go", slices.Concat([]string{"build", "-o", out}, flags, []string{"./testdata/" + name})...)
	cmd.Env = append(os.Environ(), "GOOS="+goos, "GOARCH=wasm")
	if msg, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, msg)
	}
	wasm, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return wasm
}

// compiles checks that the engine takes a module.
func compiles(t *testing.T, code []byte) {
	t.Helper()
	ctx := context.Background()
	// The interpreter checks as much as the compiler, and faster.
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter())
	defer r.Close(ctx)
	if _, err := r.CompileModule(ctx, code); err != nil {
		t.Errorf("the rewritten module does not compile: %v", err)
	}
}

func TestLoad(t *testing.T) {
	for _, flags := range [][]string{nil, {"-ldflags=-s -w"}, {"-gcflags=all=-N -l"}} {
		wasm := build(t, "hello", "wasip1", flags...)
		before := bytes.Clone(wasm)
		p, err := program.Load(wasm)
		if err != nil {
			t.Errorf("%q: %v", flags, err)
			continue
		}
		if !bytes.Equal(wasm, before) {
			t.Error("Load changed its argument")
		}
		compiles(t, p.Code())
		if !strings.HasPrefix(p.GoVersion(), "go1.") {
			t.Errorf("version %q", p.GoVersion())
		}
		if !slices.Contains(p.Imports(), program.Import{Module: "dstackless", Name: "kinds"}) {
			t.Errorf("imports %v", p.Imports())
		}
		if n := len(p.Image()); n == 0 || n%4096 != 0 || n > int(p.Pages())*program.PageSize {
			t.Errorf("image of %d bytes, memory of %d pages", n, p.Pages())
		}
		again, err := program.Load(wasm)
		if err != nil || !bytes.Equal(again.Code(), p.Code()) {
			t.Errorf("the same module gives another code, %v", err)
		}
		t.Logf("%q: %d bytes, code %d, image %d", flags, len(wasm), len(p.Code()), len(p.Image()))
	}
}

func TestLoadRefusesOtherPrograms(t *testing.T) {
	for _, test := range []struct {
		name, goos, flag string
		reason           program.Reason
	}{
		{"js", "js", "-v=false", program.WrongGOOS},
		{"library", "wasip1", "-buildmode=c-shared", program.Library},
		{"export", "wasip1", "-v=false", program.Exports},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := program.Load(build(t, "export", test.goos, test.flag))
			refused(t, err, test.reason)
		})
	}
}

// refused checks that err is the refusal that is expected and tells what to do.
func refused(t *testing.T, err error, want program.Reason) {
	t.Helper()
	var u *program.UnsupportedError
	if !errors.As(err, &u) || u.Reason != want {
		t.Errorf("error %v; want reason %q", err, want)
		return
	}
	for _, part := range []string{want.String(), "Go 1.24 to 1.26", "GOOS=wasip1 GOARCH=wasm go build -o prog.wasm ."} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not say %q", err, part)
		}
	}
}

func TestTiny(t *testing.T) {
	for _, version := range []string{"go1.24", "go1.25.3", "go1.26rc1", "go1.26.8 X:nodwarf5"} {
		p, err := program.Load(crafted.New(version).Bytes())
		if err != nil {
			t.Errorf("%s: %v", version, err)
			continue
		}
		compiles(t, p.Code())
		if p.GoVersion() != version || p.Pages() != 2 {
			t.Errorf("version %q, %d pages", p.GoVersion(), p.Pages())
		}
		image := make([]byte, 4*4096)
		copy(image[0x1000:], "hello")
		copy(image[0x3000:], "world")
		if !bytes.Equal(p.Image(), image) {
			t.Errorf("image %q", p.Image())
		}
	}
	// The loop of Go 1.24.
	m := crafted.New("go1.24.1")
	m.Sections[10] = bytes.Replace(m.Sections[10], []byte("\x28\x02\x02"), []byte("\x2f\x01\x02"), 1)
	p, err := program.Load(m.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	compiles(t, p.Code())
}

func TestRefusals(t *testing.T) {
	replace := func(id byte, old, new string) func(*crafted.Module) {
		return func(m *crafted.Module) {
			if !bytes.Contains(m.Sections[id], []byte(old)) {
				t.Errorf("section %d has no %q", id, old)
			}
			m.Sections[id] = bytes.Replace(m.Sections[id], []byte(old), []byte(new), 1)
		}
	}
	for _, test := range []struct {
		name   string
		reason program.Reason
		edit   func(*crafted.Module)
	}{
		{"magic", program.NotWasm, func(m *crafted.Module) { m.Head[1] = 'A' }},
		{"component", program.NotWasm, func(m *crafted.Module) { m.Head[4] = 13 }},
		{"header only", program.NotGo, func(m *crafted.Module) { m.Order, m.Customs = nil, nil }},
		{"no producers", program.NotGo, func(m *crafted.Module) { delete(m.Customs, "producers") }},
		{"clang", program.NotGo, func(m *crafted.Module) {
			m.Customs["producers"] = crafted.Vec(append(crafted.Str("processed-by"), crafted.Vec(append(crafted.Str("clang"), crafted.Str("18")...))...))
		}},
		{"go1.23", program.GoVersion, func(m *crafted.Module) { m.Customs = crafted.New("go1.23.0").Customs }},
		{"go1.27", program.GoVersion, func(m *crafted.Module) { m.Customs = crafted.New("go1.27").Customs }},
		{"devel", program.GoVersion, func(m *crafted.Module) { m.Customs = crafted.New("devel go1.27-1234").Customs }},
		{"go1.2600000000000000000000", program.GoVersion, func(m *crafted.Module) { m.Customs = crafted.New("go1.2600000000000000000000").Customs }},
		{"section twice", program.BadStructure, func(m *crafted.Module) { m.Order = append(m.Order, 11) }},
		{"start section", program.BadStructure, func(m *crafted.Module) {
			m.Order, m.Sections[8] = append(m.Order[:7:7], append([]byte{8}, m.Order[7:]...)...), []byte{1}
		}},
		{"no table", program.BadStructure, func(m *crafted.Module) { m.Order = slices.DeleteFunc(m.Order, func(id byte) bool { return id == 4 }) }},
		{"nine globals", program.Registers, replace(6, "\x08", "\x09")},
		{"constant global", program.Registers, replace(6, "\x7f\x01", "\x7f\x00")},
		{"global not zero", program.Registers, replace(6, "\x41\x00", "\x41\x01")},
		{"memory import", program.BadImport, replace(2, "\x01f\x00\x00", "\x01f\x02\x00")},
		{"other module", program.BadImport, replace(2, "dstackless", "otherworld")},
		{"gojs", program.WrongGOOS, replace(2, "\x0adstackless", "\x04gojs")},
		{"first type", program.BadStructure, replace(1, "\x60\x01\x7f\x01\x7f", "\x60\x01\x7e\x01\x7f")},
		{"table size", program.BadTable, replace(4, "\x84", "\x85")},
		{"table order", program.BadTable, replace(9, "\x01\x02\x03\x04", "\x02\x01\x03\x04")},
		{"library", program.Library, replace(7, "\x06_start", "\x0b_initialize")},
		{"export", program.Exports, func(m *crafted.Module) { m.Sections[7] = append([]byte{3}, append(m.Sections[7][1:], 1, 'x', 0, 1)...) }},
		{"start is an import", program.Exports, replace(7, "_start\x00\x03", "_start\x00\x00")},
		{"no memory export", program.Exports, func(m *crafted.Module) { m.Sections[7] = crafted.Vec(append(crafted.Str("_start"), 0, 3)) }},
		{"memory with maximum", program.BadStructure, replace(5, "\x01\x00\x02", "\x01\x01\x02\x02")},
		{"memory too large", program.BadStructure, replace(5, "\x02", "\xff\xff\xff\xff\x0f")},
		{"wrapper differs", program.BadWrapper, replace(10, "\x3e\x02\x10", "\x3e\x01\x10")},
		{"wrapper's arguments", program.BadWrapper, replace(10, "\x28\x02\x08", "\x29\x03\x08")},
		{"two wrappers", program.BadWrapper, replace(10, string(crafted.Str(crafted.JumpBody)), string(crafted.Str(crafted.WrapperBody)))},
		{"loop differs", program.BadLoop, replace(10, "\x41\x00\x24\x07", "\x41\x01\x24\x07")},
		{"two loops", program.BadLoop, replace(10, string(crafted.Str(crafted.StartBody)), string(crafted.Str(crafted.LoopBody)))},
		{"vector instruction", program.BadCode, replace(10, "\x21\x00\x0c\x00", "\xfd\x00\x0c\x00")},
		{"no end", program.BadCode, replace(10, "\x41\x01\x0b", "\x41\x01\x01")},
		{"many locals", program.BadCode, replace(10, "\x02\x7e\x01\x7c", "\xff\x7e\x01\x7c")},
		{"passive data", program.BadData, replace(11, "\x00\x41", "\x01\x41")},
		{"data beyond memory", program.BadData, replace(11, "\x80\xe0\x00", "\xfe\xff\x07")},
		{"data at zero", program.BadData, replace(11, "\x80\x20", "\x80\x00")},
		{"data length", program.Truncated, replace(11, "\x05world", "\xff\xff\xff\xff\x0fworld")},
		{"type count", program.Truncated, replace(1, "\x02", "\xff\xff\xff\xff\x0f")},
		{"trailing bytes", program.Truncated, func(m *crafted.Module) { m.Sections[2] = append(m.Sections[2], 0) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := crafted.New("go1.26.1")
			test.edit(m)
			_, err := program.Load(m.Bytes())
			refused(t, err, test.reason)
		})
	}
	t.Run("empty", func(t *testing.T) {
		_, err := program.Load(nil)
		refused(t, err, program.NotWasm)
	})
	t.Run("large data", func(t *testing.T) {
		m := crafted.New("go1.26.1")
		m.Sections[5] = []byte("\x01\x00\x80\x80\x04")                                // 4 GiB
		m.Sections[11] = crafted.Vec([]byte("\x00\x41\x80\x80\x80\x80\x79\x0b\x01x")) // near its end
		_, err := program.Load(m.Bytes())
		refused(t, err, program.TooLarge)
	})
}

// Wherever a module is cut off, it is refused.
func TestTruncated(t *testing.T) {
	whole := crafted.New("go1.26.1").Bytes()
	for n := range whole {
		_, err := program.Load(whole[:n])
		var u *program.UnsupportedError
		if !errors.As(err, &u) {
			// Only the names of functions may be missing.
			if n < len(whole)-18 {
				t.Errorf("%d of %d bytes: %v", n, len(whole), err)
			}
		}
	}
}

// FuzzLoad checks that no bytes do harm, and that the engine takes what is accepted,
// before and after the rewriting.
func FuzzLoad(f *testing.F) {
	seeds, err := filepath.Glob("testdata/fuzz/FuzzLoad/*")
	if err != nil || len(seeds) == 0 {
		f.Fatalf("there is no corpus in testdata/fuzz/FuzzLoad: %v", err)
	}
	f.Add(crafted.New("go1.26.1").Bytes())
	for _, m := range crafted.Endless() {
		f.Add(m.Bytes())
	}
	for _, code := range []string{
		largeFrame,
		// A copy of memory and a call of anything.
		"\x41\x00\x41\x00\x41\x00\xfc\x0a\x00\x00\x20\x00\x21\x00\x41\x00\x41\x00\x11\x00\x00\x1a\x0f\x0b",
	} {
		m := crafted.New("go1.26.1")
		m.Sections[10] = crafted.Vec(crafted.Str(crafted.WrapperBody), crafted.Str(crafted.LoopBody), crafted.Str(crafted.StartBody), crafted.Str("\x02\x01\x7f\x01\x7e\x23\x00\x21\x01"+code))
		f.Add(m.Bytes())
	}
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter())
	f.Cleanup(func() { r.Close(ctx) })
	f.Fuzz(func(t *testing.T, wasm []byte) {
		p, err := program.Load(wasm)
		if err != nil {
			var u *program.UnsupportedError
			if !errors.As(err, &u) {
				t.Errorf("error %v is no UnsupportedError", err)
			}
			return
		}
		for what, code := range map[string][]byte{"accepted": withoutCustoms(wasm), "rewritten": p.Code()} {
			m, err := r.CompileModule(ctx, code)
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			m.Close(ctx)
		}
	})
}

// withoutCustoms returns a module without its custom sections, which may have any
// contents.
func withoutCustoms(wasm []byte) []byte {
	out := slices.Clone(wasm[:8])
	for rest := wasm[8:]; len(rest) > 0; {
		size, n := binary.Uvarint(rest[1:])
		end := 1 + n + int(size)
		if rest[0] != 0 {
			out = append(out, rest[:end]...)
		}
		rest = rest[end:]
	}
	return out
}

func ExampleLoad() {
	wasm, err := os.ReadFile("prog.wasm")
	if err != nil {
		return
	}
	p, err := program.Load(wasm)
	var unsupported *program.UnsupportedError
	if errors.As(err, &unsupported) && unsupported.Reason == program.GoVersion {
		fmt.Println("another version of Go made it:", err)
		return
	}
	_ = p.Code()
}

// A function that is called where no return is expected but the ordinary one is
// not left in its loop; others are.
func TestLeaving(t *testing.T) {
	stays := []byte("\x41\x00\x10\x01\x1a")      // yield(0), drop
	leaves := []byte("\x41\x01\x10\x01\x04\x40") // yield(1), if
	for _, test := range []struct {
		behindCall string
		want, not  []byte
	}{
		{"\x04\x40\x00\x0b", stays, leaves}, // if; unreachable; end
		{"\x04\x40\x01\x0b", leaves, stays}, // if; nop; end
	} {
		m := crafted.New("go1.26")
		m.Sections[10] = bytes.Replace(m.Sections[10], []byte("\x10\x04\x04\x40\x00\x0b"), []byte("\x10\x04"+test.behindCall), 1)
		p := load(t, m)
		if !bytes.Contains(p.Code(), test.want) || bytes.Contains(p.Code(), test.not) {
			t.Errorf("behind the call %q, want %q: %q", test.behindCall, test.want, p.Code())
		}
	}
}

// What a function that is no Go function calls is not left, nor what that calls
// in turn.
func TestLeavingFarAbove(t *testing.T) {
	const leaf = "\x00\x41\x00\x10\x05\x0b" // calls function 5, itself
	for _, test := range []struct {
		start string
		where byte
		not   byte
	}{
		{"\x00\x10\x02\x0f\x00\x0b", program.YieldEntry, program.YieldOnly},
		{"\x00\x41\x00\x10\x04\x04\x40\x00\x0b\x0b", program.YieldOnly, program.YieldEntry}, // calls function 4, which calls 5
	} {
		m := crafted.New("go1.26")
		m.Sections[3] = append(m.Sections[3], 0)
		m.Sections[3][0]++
		m.Sections[4][3]++
		m.Sections[9] = append(m.Sections[9], 5)
		m.Sections[9][6]++
		jump := strings.Replace(crafted.JumpBody, "\x10\x04\x04\x40\x00\x0b", "\x10\x05\x04\x40\x01\x0b", 1)
		m.Sections[10] = crafted.Vec(crafted.Str(crafted.WrapperBody), crafted.Str(crafted.LoopBody), crafted.Str(test.start), crafted.Str(jump), crafted.Str(leaf))
		yield := func(where byte) []byte { return []byte{0x41, where, 0x10, 0x01, 0x1a} } // and drop
		if code := outsideOfLoop(t, load(t, m)); !bytes.Contains(code, yield(test.where)) || bytes.Contains(code, yield(test.not)) {
			t.Errorf("%q: want yield(%d), not yield(%d): %q", test.start, test.where, test.not, code)
		}
	}
}

// load loads a module that the engine takes, too.
func load(t *testing.T, m *crafted.Module) *program.Program {
	t.Helper()
	p, err := program.Load(m.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	compiles(t, p.Code())
	return p
}

// outsideOfLoop returns the code of a program without wasm_pc_f_loop, which must
// count its turns.
func outsideOfLoop(t *testing.T, p *program.Program) []byte {
	t.Helper()
	const counts = "\x03\x40\x23\x08\x41\x01\x6b\x24\x08\x23\x08\x45\x04\x40\x41\x80\x80\x04\x24\x08\x41\x02\x10\x01\x1a\x23\x07\x0d\x02\x0b"
	if bytes.Count(p.Code(), []byte(counts)) != 1 {
		t.Errorf("wasm_pc_f_loop does not count: %q", p.Code())
	}
	return bytes.Replace(p.Code(), []byte(counts), nil, 1)
}

// largeFrame is the code of a function that asks whether there is room for its
// frame, and returns the answer.
const largeFrame = "\x20\x01\x23\x02\xa7\x28\x02\x10\x41\x80\x20\x6a\x4d\x0f\x0b"

// A large frame's question for room is asked right also where the host wants the
// goroutine to be preempted.
func TestPrologue(t *testing.T) {
	const (
		ask  = "\x20\x01\x23\x02\xa7\x28\x02\x10\x41\x80\x20\x6a\x4d" // as largeFrame does
		rest = "\x23\x02\xa7\x28\x02\x10\x41\xff\x5f\x4b\x72"         // stackguard0 > -1-4096, or
	)
	m := crafted.New("go1.26")
	jump := "\x02\x01\x7f\x01\x7e\x23\x00\x21\x01" + largeFrame
	m.Sections[10] = crafted.Vec(crafted.Str(crafted.WrapperBody), crafted.Str(crafted.LoopBody), crafted.Str(crafted.StartBody), crafted.Str(jump))
	if code := load(t, m).Code(); !bytes.Contains(code, []byte(ask+rest)) {
		t.Errorf("%q", code)
	}
}

// Only what may go on for ever counts.
func TestCounting(t *testing.T) {
	const (
		head = "\x02\x01\x7f\x01\x7e\x23\x00\x21\x01\x02\x40\x03\x40\x02\x40\x02\x40\x02\x40\x20\x00\x0e\x02\x00\x01\x02\x0b"
		tail = "\x0b\x0b\x00\x0b\x0b\x41\x01\x0b"
		jump = "\x41%s\x21\x00\x0c\x02" // from where two blocks and the loop are open
	)
	count := regexp.MustCompile(`\x23\x08\x41[\x01-\x3f]\x6b\x24\x08`)
	for _, test := range []struct {
		name, code      string
		counts, trusted int
	}{
		{"ahead", strings.Replace(jump, "%s", "\x01", 1), 0, 0},
		{"far ahead", strings.Replace(jump, "%s", "\x02", 1), 0, 0},
		{"beyond the end", strings.Replace(jump, "%s", "\x07", 1), 0, 0},
		{"back", strings.Replace(jump, "%s", "\x00", 1), 1, 0},
		{"back over a call", "\x41\x00\x10\x01\x1a" + strings.Replace(jump, "%s", "\x00", 1), 1, 1},
		{"back before a call", strings.Replace(jump, "%s", "\x00", 1) + "\x41\x00\x10\x01\x1a", 1, 0},
		{"who knows", "\x20\x00\x21\x00\x0c\x02", 1, 1},
		{"overwritten", "\x41\x01\x20\x00\x21\x00\x1a\x0c\x02", 1, 1},
		{"perhaps", "\x41\x01\x21\x00\x20\x00\x0d\x02", 1, 1},
		{"by a table", "\x41\x01\x21\x00\x20\x00\x0e\x01\x00\x02", 1, 1},
		{"out of the loop", "\x0c\x03", 0, 0},
		{"its own loop", "\x03\x40\x0c\x00\x0b", 1, 0},
		{"a call down", "\x41\x00\x10\x01\x1a", 0, 0},
		{"a call of itself", "\x41\x00\x10\x04\x1a", 1, 1},
		{"a call of anything", "\x41\x00\x41\x00\x11\x00\x00\x1a", 1, 1},
		{"a copy", "\x41\x00\x41\x00\x41\x00\xfc\x0a\x00\x00", 0, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := crafted.New("go1.26")
			m.Sections[10] = crafted.Vec(crafted.Str(crafted.WrapperBody), crafted.Str(crafted.LoopBody), crafted.Str(crafted.StartBody), crafted.Str(head+test.code+tail))
			if n := len(count.FindAll(outsideOfLoop(t, load(t, m)), -1)); n != test.counts {
				t.Errorf("%d counts, want %d", n, test.counts)
			}
			p, err := program.LoadTrusted(m.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			compiles(t, p.Code())
			if n := len(count.FindAll(outsideOfLoop(t, p), -1)); n != test.trusted {
				t.Errorf("trusted, %d counts, want %d", n, test.trusted)
			}
		})
	}
}
