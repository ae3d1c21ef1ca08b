package control_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/dstackless/dstackless"
	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/control"
)

// A served is a peer, its control socket and a client of it.
type served struct {
	dir    string
	peer   *dstackless.Peer
	server *control.Server
	client *control.Client
}

func serve(t *testing.T) *served {
	t.Helper()
	s := &served{dir: t.TempDir()}
	var err error
	s.peer, err = dstackless.Start(t.Context(), &dstackless.Options{Listen: []string{"/ip4/127.0.0.1/tcp/0"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.peer.Close() })
	if s.server, err = control.Serve(s.dir, s.peer, nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.server.Close() })
	s.client = control.NewClient(s.dir)
	t.Cleanup(s.client.Close)
	return s
}

// open opens a channel through the socket.
func (s *served) open(t *testing.T, name string) *control.Channel {
	t.Helper()
	ch, err := s.client.Channel(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ch.Close() })
	return ch
}

// until waits until that many operations of the peer wait on the channel.
func (s *served) until(t *testing.T, name string, sends, receives int) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		got := [2]int{}
		for _, i := range s.peer.Channels() {
			if string(i.Name) == name {
				got = [2]int{i.Sends, i.Receives}
			}
		}
		if got == [2]int{sends, receives} {
			return
		}
	}
	t.Fatalf("never %d sends and %d receives on %q: %+v", sends, receives, name, s.peer.Channels())
}

func TestSelf(t *testing.T) {
	s := serve(t)
	self, err := s.client.Self(t.Context())
	if err != nil || self.ID != s.peer.ID() || len(self.Addrs) != 1 {
		t.Errorf("self is %+v, %v", self, err)
	}
	if info, err := os.Stat(filepath.Join(s.dir, "control.sock")); err != nil {
		t.Error(err)
	} else if runtime.GOOS != "windows" && info.Mode() != os.ModeSocket|0o600 {
		t.Errorf("socket is %v", info.Mode())
	}
}

func TestNotRunning(t *testing.T) {
	s := serve(t)
	if err := s.server.Close(); err != nil {
		t.Error(err)
	}
	if err := s.server.Close(); err != nil {
		t.Error("closed again:", err)
	}
	_, err := s.client.Self(t.Context())
	var away *control.NotRunningError
	if !errors.As(err, &away) || away.Dir != s.dir {
		t.Errorf("error is %v", err)
	}
}

// A request that is not what its path wants gets a status and a JSON error.
func TestMalformed(t *testing.T) {
	s := serve(t)
	raw := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(s.dir, "control.sock"))
	}}}
	defer raw.CloseIdleConnections()
	for _, tt := range []struct {
		method, path, body string
		status             int
	}{
		{"GET", "/v1/self", "", 200},
		{"GET", "/v1/future", "", 404},
		{"POST", "/v1/connect", "{", 400},
		{"POST", "/v1/connect", `{"addr": 1}`, 400},
		{"POST", "/v1/connect", `{"addr": ""} {}`, 400},
		{"POST", "/v1/wait", `{"tasklet": "3f2a"}`, 404},
		{"POST", "/v1/spawn", `{}`, 400},
		{"POST", "/v1/channel", ``, 400},
		{"POST", "/v1/channel", `{"op": "send"}`, 400},
		{"POST", "/v1/channel", `{"op": "open"}`, 400},
	} {
		req, err := http.NewRequestWithContext(t.Context(), tt.method, "http://dspeer"+tt.path, strings.NewReader(tt.body))
		if err != nil {
			t.Fatal(err)
		}
		res, err := raw.Do(req)
		if err != nil {
			t.Errorf("%s %s %s: %v", tt.method, tt.path, tt.body, err)
			continue
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || res.StatusCode != tt.status || tt.status != 200 && !strings.HasPrefix(string(body), `{"error":"`) {
			t.Errorf("%s %s %s: %d %s, %v; want %d", tt.method, tt.path, tt.body, res.StatusCode, body, err, tt.status)
		}
	}
}

// Bytes of any kind come through, in their order.
func TestBytes(t *testing.T) {
	s := serve(t)
	name := "name \xff\x00"
	in, out := s.open(t, name), s.open(t, name)
	sent := make(chan error, 1)
	values := []string{"", "\xff\x00", "two\nlines", strings.Repeat("long", 1<<18)}
	go func() {
		for _, v := range values {
			if err := out.Send(t.Context(), []byte(v)); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	for _, want := range values {
		got, err := in.Receive(t.Context())
		if err != nil || string(got) != want {
			t.Fatalf("received %.20q, %v; want %.20q", got, err, want)
		}
		if err := in.Taken(); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}

// An operation whose context ends is withdrawn, and the channel goes on.
func TestCancel(t *testing.T) {
	s := serve(t)
	in, out := s.open(t, "c"), s.open(t, "c")

	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	go func() {
		_, err := in.Receive(ctx)
		failed <- err
	}()
	s.until(t, "c", 0, 1)
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("receive: %v", err)
	}
	s.until(t, "c", 0, 0)

	ctx, cancel = context.WithCancel(t.Context())
	go func() { failed <- out.Send(ctx, []byte("withdrawn")) }()
	s.until(t, "c", 1, 0)
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("send: %v", err)
	}
	s.until(t, "c", 0, 0)

	go func() { failed <- out.Send(t.Context(), []byte("kept")) }()
	if v, err := in.Receive(t.Context()); err != nil || string(v) != "kept" {
		t.Errorf("received %q, %v", v, err)
	}
	if err := <-failed; err != nil {
		t.Error(err)
	}
}

// A channel that is closed for everyone ends in a way that clients can tell.
func TestClosedChannel(t *testing.T) {
	s := serve(t)
	in, out := s.open(t, "c"), s.open(t, "c")
	native, err := channel.Open[string](t.Context(), s.peer, "c")
	if err != nil {
		t.Fatal(err)
	}
	if err := native.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := in.Receive(t.Context()); !errors.Is(err, channel.ErrClosed) {
		t.Errorf("receive: %v", err)
	}
	if err := out.Send(t.Context(), []byte("late")); !errors.Is(err, channel.ErrClosed) {
		t.Errorf("send: %v", err)
	}
}

// What a client received and did not confirm goes to the next one, even if that
// waits already, and comes before what is sent later.
func TestUnconfirmed(t *testing.T) {
	s := serve(t)
	first, second := s.open(t, "c"), s.open(t, "c")
	native, err := channel.Open[string](t.Context(), s.peer, "c")
	if err != nil {
		t.Fatal(err)
	}
	send := make(chan error, 1)
	go func() { send <- native.Send(t.Context(), "left") }()
	if v, err := first.Receive(t.Context()); err != nil || string(v) != "left" {
		t.Fatalf("received %q, %v", v, err)
	}
	if err := <-send; err != nil {
		t.Fatal(err)
	}
	received := make(chan string, 1)
	go func() {
		v, err := second.Receive(t.Context())
		received <- string(v)
		send <- err
	}()
	s.until(t, "c", 0, 1)
	first.Close()
	if v, err := <-received, <-send; v != "left" || err != nil {
		t.Fatalf("received %q, %v", v, err)
	}
	second.Close()

	third := s.open(t, "c")
	go func() { send <- native.Send(t.Context(), "later") }()
	for _, want := range []string{"left", "later"} {
		if v, err := third.Receive(t.Context()); err != nil || string(v) != want {
			t.Fatalf("received %q, %v; want %q", v, err, want)
		}
		if err := third.Taken(); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-send; err != nil {
		t.Error(err)
	}
	third.Close()

	// What was confirmed does not come again.
	fourth := s.open(t, "c")
	go func() { send <- native.Send(t.Context(), "last") }()
	if v, err := fourth.Receive(t.Context()); err != nil || string(v) != "last" {
		t.Errorf("received %q, %v", v, err)
	}
	if err := <-send; err != nil {
		t.Error(err)
	}
}

// A client that is gone, or says that there is no more to come, takes nothing
// along: what it waited for goes elsewhere.
func TestGone(t *testing.T) {
	s := serve(t)
	for name, leave := range map[string]func(net.Conn){
		"gone":    func(c net.Conn) { c.Close() },
		"no more": func(c net.Conn) { io.WriteString(c, "0\r\n\r\n") },
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := net.Dial("unix", filepath.Join(s.dir, "control.sock"))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			chunk := func(text string) string { return hex(len(text)) + "\r\n" + text + "\r\n" }
			io.WriteString(conn, "POST /v1/channel HTTP/1.1\r\nHost: dspeer\r\nTransfer-Encoding: chunked\r\n\r\n"+
				chunk(`{"op":"open","channel":"Yw=="}`)+chunk(`{"op":"receive"}`))
			s.until(t, "c", 0, 1)
			leave(conn)
			s.until(t, "c", 0, 0)
		})
	}
}

func hex(n int) string { return string("0123456789abcdef"[n/16]) + string("0123456789abcdef"[n%16]) }

// Close ends what waits, and tells why.
func TestClose(t *testing.T) {
	s := serve(t)
	in, out, idle := s.open(t, "in"), s.open(t, "out"), s.open(t, "idle")
	failed := make(chan error, 2)
	go func() {
		_, err := in.Receive(t.Context())
		failed <- err
	}()
	go func() { failed <- out.Send(t.Context(), nil) }()
	s.until(t, "in", 0, 1)
	s.until(t, "out", 1, 0)
	if err := s.server.Close(); err != nil {
		t.Error(err)
	}
	for range 2 {
		if err := <-failed; err == nil || !strings.Contains(err.Error(), "the peer is shutting down") {
			t.Errorf("error is %v", err)
		}
	}
	if err := idle.Send(t.Context(), nil); err == nil {
		t.Error("sent on a channel of a closed server")
	}
	if _, err := os.Stat(filepath.Join(s.dir, "control.sock")); !os.IsNotExist(err) {
		t.Errorf("socket: %v", err)
	}
}

// A server removes its own socket and no other.
func TestOwnSocket(t *testing.T) {
	peer := serve(t).peer
	begin := func(dir string) *control.Server {
		t.Helper()
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		s, err := control.Serve(dir, peer, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	}
	answers := func(dir string, want bool) {
		t.Helper()
		c := control.NewClient(dir)
		defer c.Close()
		if _, err := c.Self(t.Context()); (err == nil) != want {
			t.Errorf("self at %s: %v", dir, err)
		}
	}

	// A folder that was moved, and another peer in its place.
	parent := t.TempDir()
	dir, old := filepath.Join(parent, "a"), filepath.Join(parent, "old")
	first := begin(dir)
	if runtime.GOOS != "windows" {
		if err := os.Rename(dir, old); err != nil {
			t.Fatal(err)
		}
		second := begin(dir)
		first.Close()
		answers(dir, true)
		if _, err := os.Lstat(filepath.Join(old, "control.sock")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the socket in the folder that was moved: %v", err)
		}
		second.Close()
	}

	// A socket that was replaced.
	first = begin(dir)
	second := begin(dir)
	first.Close()
	answers(dir, true)
	second.Close()
	answers(dir, false)
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestLongPath(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("needs symbolic links")
	}
	dir := filepath.Join(t.TempDir(), strings.Repeat("d", 100), strings.Repeat("d", 100))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	peer := serve(t).peer
	server, err := control.Serve(dir, peer, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Close(); err != nil {
		t.Error(err)
	}
	// Where the folder of the link is no shorter, that is said.
	t.Setenv("TMPDIR", dir)
	if _, err := control.Serve(dir, peer, nil); err == nil || !strings.Contains(err.Error(), "choose a shorter data folder") {
		t.Errorf("error is %v", err)
	}
	if _, err := control.NewClient(dir).Self(t.Context()); err == nil || !strings.Contains(err.Error(), "choose a shorter data folder") {
		t.Errorf("error is %v", err)
	}
}
