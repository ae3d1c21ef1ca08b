// Command matcher runs regular expressions that look ahead, look behind and
// refer back, with a time limit on each.
package main

import (
	"fmt"
	"hash/fnv"
	"log"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/dlclark/regexp2"
)

var patterns = []string{
	`\b(\w+)\s+\1\b`,
	`(?<=\$)\d+(?:\.\d\d)?(?!\d)`,
	`^(?=.*\d)(?=.*[a-z])(?=.*[A-Z]).{8,}$`,
	`(?<year>\d{4})-(?<month>\d\d)-(?<day>\d\d)`,
	`(a+)+$`,
	`(?:(?<open>\()|(?<-open>\))|[^()])+(?(open)(?!))`,
}

var vocabulary = []string{
	"tasklet", "tasklet", "the the", "$12.50", "$7", "Passw0rd", "2009-08-14", "aaaaaaaaaaaaab", "(a (b) c)", ")(", "channel\n",
}

func main() {
	rounds, err := strconv.Atoi(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(3, 4))
	for n := range rounds {
		var words []string
		for range 40 {
			words = append(words, vocabulary[rnd.IntN(len(vocabulary))])
		}
		text := strings.Join(words, " ")
		h := fnv.New64a()
		var counts []int
		for _, p := range patterns {
			re := regexp2.MustCompile(p, regexp2.Multiline)
			re.MatchTimeout = time.Hour // more than any journey
			count := 0
			m, err := re.FindStringMatch(text)
			for ; err == nil && m != nil; m, err = re.FindNextMatch(m) {
				fmt.Fprintln(h, m.Index, m.String())
				count++
			}
			if err != nil {
				log.Fatal(err)
			}
			counts = append(counts, count)
		}
		fmt.Printf("round %d: %v %016x\n", n, counts, h.Sum64())
	}
}
