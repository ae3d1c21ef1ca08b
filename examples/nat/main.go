//go:build linux

// Command nat shows two peers behind NATs find each other by the name of a
// channel, get from a relay to a direct connection, and move a running program
// across; and the same between two NATs through which no hole can be punched,
// where all goes through the relay. See README.md for a picture.
//
//	go run ./examples/nat
//
// The two sites, their NATs and the public network between them are network
// namespaces of this one machine, in which real dspeer processes run. Nothing
// leaves them, and nothing is left of them.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/dstackless/dstackless/examples/nat/internal/lab"
)

const module = "github.com/dstackless/dstackless"

func main() {
	if dir, inside := lab.Inside(); inside {
		if err := show(dir); err != nil {
			fmt.Fprintln(os.Stderr, "nat:", err)
			os.Exit(1)
		}
		return
	}
	status, err := outside()
	if errors.Is(err, lab.ErrNone) {
		fmt.Fprintln(os.Stderr, "nat:", err)
		fmt.Fprintln(os.Stderr, "This example needs Linux, the programs ip and nft (packages iproute2 and nftables),")
		fmt.Fprintln(os.Stderr, "and root, or a kernel that lets users make namespaces of their own.")
		os.Exit(1)
	} else if err != nil {
		fmt.Fprintln(os.Stderr, "nat:", err)
		os.Exit(1)
	}
	os.Exit(status)
}

// outside builds what runs in the namespaces, and goes there.
func outside() (status int, err error) {
	dir, err := os.MkdirTemp("", "nat")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	// An interrupt reaches the other half too, which ends; this one tidies up.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := lab.Build(ctx, dir, module, module+"/examples/nat/program"); err != nil {
		return 0, err
	}
	return lab.Enter(dir)
}

func show(dir string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if _, err := lab.New(); err != nil {
		return err
	}
	dir, err := lab.Keep(dir)
	if err != nil {
		return err
	}
	for _, kind := range []lab.Kind{lab.Cone, lab.Symmetric} {
		if err := between(ctx, dir, kind); err != nil {
			return err
		}
	}
	return nil
}

// between shows two sites behind NATs of a kind.
func between(ctx context.Context, dir string, kind lab.Kind) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	fmt.Printf("\n== two sites behind %s NATs\n", kind)
	l, err := lab.New()
	if err != nil {
		return err
	}
	defer l.Close()
	hosts, err := sites(l, kind)
	if err != nil {
		return err
	}
	if err := l.Sealed(); err != nil {
		return err
	}
	data, err := os.MkdirTemp(dir, string(kind))
	if err != nil {
		return err
	}
	var peers [3]*lab.Peer
	for i, args := range [][]string{
		{"--relay", "--listen", "/ip4/0.0.0.0/udp/4001/quic-v1"},
		{"--accept", "any"},
		{"--accept", "any"},
	} {
		if i > 0 {
			addr, err := peers[0].Addr(ctx, "/udp/")
			if err != nil {
				return err
			}
			args = append(args, "--bootstrap", addr)
		}
		if peers[i], err = lab.StartPeer(ctx, filepath.Join(dir, "dspeer"), data, hosts[i], args...); err != nil {
			return err
		}
		defer peers[i].Kill()
	}
	return meet(ctx, dir, kind, peers[0], peers[1], peers[2])
}

// sites builds the public network with a relay on it, and two sites.
func sites(l *lab.Lab, kind lab.Kind) (hosts [3]*lab.Host, err error) {
	public, err := l.Segment("public")
	if err != nil {
		return hosts, err
	}
	// Addresses that libp2p takes for public ones, and that exist nowhere.
	if hosts[0], err = l.Host("relay", public, "192.0.0.131/25"); err != nil {
		return hosts, err
	}
	for i, name := range []string{"alice", "bob"} {
		lan, _, err := l.Site(name, kind, public, fmt.Sprintf("192.0.0.%d/25", 141+i), fmt.Sprintf("192.168.%d.1/24", 1+i))
		if err != nil {
			return hosts, err
		}
		if hosts[1+i], err = l.Host(name, lan, fmt.Sprintf("192.168.%d.2/24", 1+i)); err != nil {
			return hosts, err
		}
	}
	return hosts, nil
}

// meet has alice and bob find each other, and move a program.
func meet(ctx context.Context, dir string, kind lab.Kind, relay, alice, bob *lab.Peer) error {
	for _, p := range []*lab.Peer{alice, bob} {
		if err := p.AwaitLog(ctx, "behind a NAT or firewall, relayed by "+relay.ID); err != nil {
			return err
		}
		fmt.Printf("%-5s is behind a NAT, relayed by ...%s\n", p.Host.Name, relay.ID[len(relay.ID)-6:])
	}
	sent := make(chan error, 1)
	go func() {
		_, err := alice.Dspeer(ctx, "send", "greetings", "hello from alice")
		sent <- err
	}()
	got, err := bob.Dspeer(ctx, "recv", "-n", "1", "greetings")
	if err := errors.Join(err, <-sent); err != nil {
		return err
	}
	fmt.Printf("bob   receives on the channel %q: %s", "greetings", got)

	path, err := alice.AwaitPath(ctx, bob, func(p *lab.Path) bool { return p.Relayed != (kind == lab.Cone) })
	if err != nil {
		return err
	}
	fmt.Println("alice is connected to bob", words(path))

	out, err := alice.Dspeer(ctx, "spawn", filepath.Join(dir, "program.wasm"), "1000000")
	if err != nil {
		return err
	}
	id := strings.TrimSpace(out)
	out, err = alice.Dspeer(ctx, "move", id, bob.ID)
	if err != nil {
		return err
	}
	fmt.Printf("alice moves a running program to bob: %s", strings.TrimPrefix(out, "moved to "+bob.ID+": "))
	for {
		out, err := bob.Dspeer(ctx, "ps")
		if err != nil {
			return err
		}
		logs, err := alice.Dspeer(ctx, "logs", id)
		if err != nil {
			return err
		}
		if strings.Contains(out, id) && strings.Contains(logs, "count") {
			fmt.Printf("bob   hosts it, and alice still reads what it says:\n%s", logs)
			return nil
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// words says what a path is.
func words(p *lab.Path) string {
	how := "directly"
	switch {
	case p.Relayed:
		how = "through the relay, and stays so"
	case p.Punched:
		how = "directly, through a punched hole"
	}
	return fmt.Sprintf("%s (%s, round trip %v)", how, p.Transport, p.RoundTrip.Round(10*time.Microsecond))
}
