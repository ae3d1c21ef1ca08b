// Command store writes to a key-value database in memory, which has indexes
// and lets keys expire, and reads it.
package main

import (
	"fmt"
	"hash/fnv"
	"log"
	"math/rand/v2"
	"os"
	"strconv"
	"time"

	"github.com/tidwall/buntdb"
)

func main() {
	rounds, err := strconv.Atoi(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	db, err := buntdb.Open(":memory:")
	if err != nil {
		log.Fatal(err)
	}
	if err := db.CreateIndex("age", "user:*", buntdb.IndexJSON("age")); err != nil {
		log.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	for n := range rounds {
		if err := db.Update(func(tx *buntdb.Tx) error { return write(tx, rnd) }); err != nil {
			log.Fatal(err)
		}
		if err := db.View(func(tx *buntdb.Tx) error { return digest(tx, n) }); err != nil {
			log.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		log.Fatal(err)
	}
}

func write(tx *buntdb.Tx, rnd *rand.Rand) error {
	for range 300 {
		key := fmt.Sprintf("user:%04d", rnd.IntN(3000))
		if rnd.IntN(3) == 0 {
			if _, err := tx.Delete(key); err != nil && err != buntdb.ErrNotFound {
				return err
			}
			continue
		}
		value := fmt.Sprintf(`{"name": "%x", "age": %d}`, rnd.Uint64(), rnd.IntN(100))
		// Longer than any journey, but a reason for the database to look at
		// its clock.
		expires := &buntdb.SetOptions{Expires: rnd.IntN(2) == 0, TTL: 24 * time.Hour}
		if _, _, err := tx.Set(key, value, expires); err != nil {
			return err
		}
	}
	return nil
}

// digest prints what a round has left, by key and by age.
func digest(tx *buntdb.Tx, round int) error {
	h := fnv.New64a()
	keys, ages := 0, 0
	err := tx.AscendRange("", "user:0500", "user:2000", func(key, value string) bool {
		keys++
		fmt.Fprint(h, key, value)
		return true
	})
	if err != nil {
		return err
	}
	err = tx.AscendRange("age", `{"age": 30}`, `{"age": 50}`, func(key, value string) bool {
		ages++
		fmt.Fprint(h, key, value)
		return true
	})
	fmt.Printf("round %d: %d keys, %d of an age, %016x\n", round, keys, ages, h.Sum64())
	return err
}
