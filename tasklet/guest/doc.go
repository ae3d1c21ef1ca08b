// Package guest is how a program inside a tasklet sees the world: the channels
// of the peer that it is on, and itself.
//
//	func main() {
//		ctx := context.Background()
//		jobs, err := channel.Open[string](ctx, guest.Space(), "jobs")
//		...
//		err = guest.Move(ctx, os.Args[1]) // returns on the other peer
//	}
//
// With a [Ref] it looks after other tasklets.
//
// A program needs none of this to be moved from outside. It is an ordinary Go
// program in all else, except that it has no files and no network: its
// arguments are in os.Args, what it prints goes to whoever started it.
//
// The package is for programs built with GOOS=wasip1 GOARCH=wasm. In others it
// compiles, and every call returns [ErrNotGuest].
package guest
