// Command plain counts to the number that it is given and knows nothing of
// tasklets.
package main

import (
	"fmt"
	"os"
	"strconv"
	"time"
)

type node struct {
	value int
	next  *node
}

func main() {
	n := 100
	if len(os.Args) > 1 {
		n, _ = strconv.Atoi(os.Args[1])
	}
	var list *node
	squares := map[int]int{}
	for i := range n {
		list = &node{i, list}
		squares[i] = i * i
		fmt.Println(i)
		time.Sleep(2 * time.Millisecond)
	}
	sum := 0
	for ; list != nil; list = list.next {
		sum += squares[list.value]
	}
	fmt.Println("sum", sum)
	os.Exit(7)
}
