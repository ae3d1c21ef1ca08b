package tasklet_test

import (
	"testing"

	"github.com/dstackless/dstackless/p2p"
	"github.com/dstackless/dstackless/tasklet"
)

// The peer that started a tasklet and the one that has it tell of its latest
// moves, the same, also when they have been started again.
func TestMovesAreTold(t *testing.T) {
	for name, c := range map[string]struct {
		start func(*peer) (*tasklet.Tasklet, error)
		moves int // odd, so that it ends at the other peer
	}{
		"function": {func(p *peer) (*tasklet.Tasklet, error) { return p.Go(t.Context(), prints(0)) }, 19},
		"program":  {func(p *peer) (*tasklet.Tasklet, error) { return p.Spawn(t.Context(), build(t, "plain"), "1000000") }, 3},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := within(t, patience)
			dirs := []string{t.TempDir(), t.TempDir()}
			var peers []*peer
			start := func() {
				peers = []*peer{startAt(t, dirs[0], tcp), startAt(t, dirs[1], tcp)}
				must[p2p.ID](t)(peers[0].node.Connect(ctx, peers[1].node.Addrs()[0]))
			}
			start()
			tl := must[*tasklet.Tasklet](t)(c.start(peers[0]))
			for n := range c.moves {
				if err := tl.Move(ctx, peers[(n+1)%2].id()); err != nil {
					t.Fatal(err)
				}
			}
			want := min(c.moves, 16)
			told := func() {
				t.Helper()
				for i, p := range peers {
					same := must[*tasklet.Tasklet](t)(p.Find(string(tl.ID())))
					var moves []tasklet.Hop
					eventually(ctx, t, "word of all moves", func() bool {
						moves = look(t, same).Moves
						return len(moves) == want && moves[want-1].To == peers[1].id()
					})
					for n, m := range moves {
						odd := (want - 1 - n) % 2 // counted from the last
						if m.From != peers[odd].id() || m.To != peers[1-odd].id() || m.Bytes == 0 || m.New == 0 || m.Sent == 0 || m.Frozen == 0 {
							t.Errorf("peer %d: move %d is %+v", i, n, m)
						}
					}
				}
			}
			told()
			for _, p := range peers {
				p.close()
			}
			start()
			told()
		})
	}
}
