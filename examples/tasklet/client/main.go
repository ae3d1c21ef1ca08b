// Command client starts a program as a tasklet and, while it runs, moves it to
// the server.
//
//	go run ./examples/tasklet/client ADDR
package main

import (
	"bufio"
	"context"
	"fmt"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"

	"github.com/dstackless/dstackless"
)

// The example stays on this machine. Without Listen, the peer is there for all.
var loopback = []string{"/ip4/127.0.0.1/udp/0/quic-v1", "/ip4/127.0.0.1/tcp/0"}

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		log.Fatal("usage: client ADDR\nADDR is what the server shows.")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1]); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, addr string) error {
	wasm, err := build(ctx)
	if err != nil {
		return err
	}
	peer, err := dstackless.Start(ctx, &dstackless.Options{Listen: loopback})
	if err != nil {
		return err
	}
	defer peer.Close()
	if _, err := peer.Connect(ctx, addr); err != nil {
		return err
	}
	t, err := peer.Spawn(ctx, wasm)
	if err != nil {
		return err
	}
	out, err := t.Output(ctx, true)
	if err != nil {
		return err
	}
	defer out.Close()
	for n, lines := 0, bufio.NewScanner(out); lines.Scan(); n++ {
		fmt.Println(lines.Text())
		if n == 4 {
			fmt.Println("moving the tasklet to the server")
			if err := t.Move(ctx, "server"); err != nil {
				return err
			}
		}
	}
	status, err := t.Wait(ctx)
	fmt.Println("exit status", status)
	return err
}

// build builds the program with the stock toolchain.
func build(ctx context.Context) ([]byte, error) {
	dir, err := os.MkdirTemp("", "tasklet")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "program.wasm")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", file, "github.com/dstackless/dstackless/examples/tasklet/program")
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("build the program: %w", err)
	}
	return os.ReadFile(file)
}
