package main

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

// rest waits, for moments and for replies, in several goroutines, with work in
// between, and prints a sum that depends on its seed and the replies alone.
func rest() {
	seed, _ := strconv.ParseUint(os.Args[1], 10, 64)
	rounds, _ := strconv.Atoi(os.Args[2])
	var wg sync.WaitGroup
	sums := make([]uint64, 3)
	early := make([]int, 2)
	for w := range early {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(seed, uint64(w)))
			var kept [][]byte
			for range rounds {
				d := time.Duration(rnd.IntN(20000)) * time.Microsecond
				began := time.Now()
				time.Sleep(d)
				if time.Since(began) < d {
					early[w]++
				}
				kept = append(kept, make([]byte, rnd.IntN(200<<10)))
				p := kept[rnd.IntN(len(kept))]
				p = append(p, byte(d))
				p[0] += byte(d)
				kept[rnd.IntN(len(kept))] = p
			}
			for _, p := range kept {
				sums[w] = sums[w]*31 + uint64(p[0]) + uint64(len(p))
			}
		})
	}
	wg.Go(func() {
		conn := inbox()
		for id := uint64(1); id <= uint64(rounds); id++ {
			sums[2] = sums[2]*31 + ask(conn, id, sums[2])
		}
	})
	wg.Wait()
	fmt.Println(seed, sums, early)
}

// inbox is where replies are read. A program opens it once.
func inbox() syscall.RawConn {
	conn, err := os.NewFile(1<<20, "host").SyscallConn()
	if err != nil {
		panic(err)
	}
	return conn
}

// asks makes one request after the other.
func asks() {
	conn := inbox()
	for id := uint64(1); ; id++ {
		ask(conn, id, id)
	}
}

// ask makes a request and waits for its reply, which is a number. There is one
// at a time.
func ask(conn syscall.RawConn, id, question uint64) (answer uint64) {
	payload := binary.LittleEndian.AppendUint64(nil, question)
	submit(id, 0, unsafe.Pointer(&payload[0]), 8)
	var got []byte
	conn.Read(func(uintptr) bool {
		for {
			buf := make([]byte, 20)
			n := take(unsafe.Pointer(&buf[0]), 20)
			if n == 0 || n == 1<<32-1 {
				return false
			}
			got = append(got, buf[:n]...)
			for len(got) >= 12 && len(got) >= 12+int(got[8]) {
				record := got[:12+int(got[8])]
				got = got[len(record):]
				if binary.LittleEndian.Uint64(record) == id {
					answer = binary.LittleEndian.Uint64(record[12:])
					return true
				}
			}
		}
	})
	return answer
}

// waits calls the host's wait itself, and prints how many events it got and
// whether it took as long as it should.
func waits() {
	var in [6]uint64
	var events [4]uint64
	n := uint32(9)
	call := func() {
		began := time.Now()
		errno := pollOneoff(at(&in), at(&events), 1, at(&n))
		fmt.Println("waited", errno, n, events[0], time.Since(began) >= 50*time.Millisecond)
	}
	in[0], in[2], in[3] = 7, 1, uint64(50*time.Millisecond) // for a time
	submit(1, 0, nil, 0)
	call()
	submit(2, 0, nil, 0)
	call()
	submit(3, 0, nil, 0)
	in[0], in[2], in[3], in[5] = 8, 0, uint64(time.Now().Add(50*time.Millisecond).UnixNano()), 1 // until a time
	call()
}

func at[T any](p *T) uint32 { return uint32(uintptr(unsafe.Pointer(p))) }
