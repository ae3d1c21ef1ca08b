// Command interpreter runs JavaScript: classes, closures, generators, regular
// expressions, exceptions.
package main

import (
	"fmt"
	"log"
	"os"
	"strconv"

	"github.com/dop251/goja"
)

const script = `
class Shape { constructor(n) { this.n = n } area() { return this.n * this.n } }
class Round extends Shape { area() { return Math.PI * super.area() } }

function* fibonacci(n) { let [a, b] = [0, 1]; while (n-- > 0) { yield a; [a, b] = [b, a + b] } }

function sieve(n) {
	const composite = new Uint8Array(n + 1), primes = []
	for (let i = 2; i <= n; i++) {
		if (composite[i]) continue
		primes.push(i)
		for (let k = i * i; k <= n; k += i) composite[k] = 1
	}
	return primes
}

function words(n) {
	const counts = new Map()
	let text = ''
	for (let i = 0; i < 200; i++) text += ['tasklet', 'channel', 'peer', 'move'][(i * n) % 4] + i % 7 + ' '
	for (const m of text.matchAll(/([a-z]+)(\d)/g)) counts.set(m[1] + m[2], (counts.get(m[1] + m[2]) || 0) + 1)
	return [...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).slice(0, 3)
}

function deep(n) { if (n == 0) throw new Error('at the bottom'); return deep(n - 1) + 1 }

function round(n) {
	const all = []
	for (let i = 0; i < 100; i++) all.push(i % 2 ? new Shape(i + n) : new Round(i + n))
	let caught = ''
	try { deep(100) } catch (e) { caught = e.message }
	return JSON.stringify({
		n, area: all.map(s => s.area()).reduce((a, b) => a + b).toFixed(3),
		fibonacci: [...fibonacci(40)].pop(), primes: sieve(1000 + n).length, words: words(n), caught,
	})
}
`

func main() {
	rounds, err := strconv.Atoi(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	vm := goja.New()
	if _, err := vm.RunString(script); err != nil {
		log.Fatal(err)
	}
	round, ok := goja.AssertFunction(vm.Get("round"))
	if !ok {
		log.Fatal("no function")
	}
	for n := range rounds {
		v, err := round(goja.Undefined(), vm.ToValue(n))
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(v)
	}
}
