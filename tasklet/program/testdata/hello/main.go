// Command hello imports functions of all the kinds that there are.
package main

import (
	"fmt"
	"unsafe"
)

//go:wasmimport dstackless kinds
func kinds(a int32, b int64, c float32, d float64, e bool, f unsafe.Pointer, g string) float64

//go:wasmimport dstackless flag
func flag() bool

//go:wasmimport dstackless single
func single(float32) float32

//go:wasmimport dstackless long
func long(uint64) int64

//go:wasmimport dstackless pointer
func pointer() unsafe.Pointer

//go:wasmimport dstackless nothing
func nothing()

func main() {
	nothing()
	fmt.Println("hello", kinds(1, 2, 3, 4, true, nil, ""), flag(), single(1), long(1), pointer())
}
