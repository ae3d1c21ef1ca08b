package control_test

import (
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dstackless/dstackless/control"
	"github.com/dstackless/dstackless/tasklet"
)

// A peer that cannot put its answer into JSON says so, and a client does, too.
func TestAnswerThatCannotBe(t *testing.T) {
	dir := t.TempDir()
	l, err := net.Listen("unix", filepath.Join(dir, "control.sock"))
	if err != nil {
		t.Fatal(err)
	}
	list := []tasklet.Info{{ID: "3f2a", Started: time.Date(35e6, 1, 1, 0, 0, 0, 0, time.UTC)}}
	server := &http.Server{Handler: control.Answering(list)}
	go server.Serve(l)
	defer server.Close()
	c := control.NewClient(dir)
	defer c.Close()
	if _, err := c.Tasklets(t.Context()); err == nil || !strings.Contains(err.Error(), "the answer cannot be put into JSON") ||
		!strings.Contains(err.Error(), "year outside of range") {
		t.Errorf("error is %v", err)
	}
}
