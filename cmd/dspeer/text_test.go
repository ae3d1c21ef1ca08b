package main

import (
	"bytes"
	"encoding/json"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/control"
	"github.com/dstackless/dstackless/tasklet"
)

// hostile is a text of a remote peer that would set a terminal's title, with ESC
// and with the one-byte CSI, turn the text around, and begin new lines and columns.
const hostile = "\x1b]0;title\x07 \u009b31m \u202etxt.exe \u2066x \u2028 \x7f \r \u061c \v"

func TestVisible(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"", ""},
		{"plain, Ünïcödé 日本語 🙂", "plain, Ünïcödé 日本語 🙂"},
		{"\x1b[31m", `\u001b[31m`},
		{"a\u009bb", `a\u009bb`},
		{"a\x9bb\xff", `a\x9bb\xff`},
		{"a\u202eb\u2066\u200f", `a\u202eb\u2066\u200f`},
		{"a\r\x00\x7f\u2028", `a\u000d\u0000\u007f\u2028`},
		{"a\n\tb", "a\n\tb"},
		{"\uFFFD", "\uFFFD"},
	} {
		if got := visible(tt.text, "\n\t"); got != tt.want {
			t.Errorf("%q becomes %q, want %q", tt.text, got, tt.want)
		}
	}
	if got := visible("a\n\tb", ""); got != `a\u000a\u0009b` {
		t.Errorf("a line has %q", got)
	}
}

// Whatever a peer says of others, no command hands it to the terminal raw.
func TestTextsOfOthers(t *testing.T) {
	dir := t.TempDir()
	l, err := net.Listen("unix", filepath.Join(dir, "control.sock"))
	if err != nil {
		t.Fatal(err)
	}
	fail := false
	info := tasklet.Info{
		ID: hostile, Program: hostile, Args: []string{"p", hostile}, Origin: hostile, Host: hostile, State: hostile,
		Error: hostile, Started: time.Now(), Moves: []tasklet.Hop{{From: hostile, To: hostile}},
	}
	answers := map[string]any{
		"self":     control.Self{ID: hostile, Name: hostile, Addrs: []string{hostile}},
		"peers":    []control.Neighbor{{ID: hostile, Name: hostile, Addr: hostile, Relayed: true, Relay: hostile, Transport: hostile}},
		"connect":  control.Self{ID: hostile},
		"lookup":   control.Found{ID: hostile},
		"blocked":  []string{hostile},
		"channels": []channel.Info{{Name: channel.Name(hostile), Home: hostile}},
		"tasklets": []tasklet.Info{info},
		"info":     info,
		"move":     info,
		"where":    control.Place{Tasklet: hostile, Peer: hostile},
		"drain":    control.Drained{Moved: []tasklet.ID{hostile}, Error: hostile},
		"wait":     control.End{Tasklet: hostile, Status: -1, Error: hostile, Stack: hostile + "\n" + hostile},
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).EnableFullDuplex() // a channel's request does not end
		answer, known := answers[strings.TrimPrefix(r.URL.Path, "/v1/")]
		if fail || !known {
			w.WriteHeader(http.StatusBadRequest)
			answer = map[string]string{"error": hostile}
		}
		json.NewEncoder(w).Encode(answer)
	})}
	go server.Serve(l)
	defer server.Close()

	for _, command := range []string{
		"id", "addrs", "peers", "connect x", "lookup x", "blocked", "channels", "ps", "info x", "move x y", "where x",
		"drain", "wait x", "kill x", "send c m", "recv c", "logs x", "suspend x",
	} {
		for _, asJSON := range []bool{false, true} {
			for _, fail = range []bool{false, true} {
				args := append(strings.Fields(command), "--data", dir)
				if asJSON {
					args = append(args, "--json")
				}
				var out, errs bytes.Buffer
				cmd := exec.Command("dspeer", args...)
				cmd.Stdout, cmd.Stderr = &out, &errs
				cmd.Run() // many fail
				text := out.String() + errs.String()
				if text == "" {
					t.Errorf("%v prints nothing", args)
				}
				for line := range strings.Lines(text) {
					if line = strings.TrimSuffix(line, "\n"); visible(line, "") != line || !utf8.ValidString(line) {
						t.Errorf("%v prints %q", args, line)
					}
				}
				if asJSON && out.Len() > 0 && !json.Valid(out.Bytes()) {
					t.Errorf("%v prints no JSON: %s", args, &out)
				}
			}
		}
	}
}
