// SPDX-License-Identifier: MIT
//
// The collector's benchmarks for Go: the loads of ../bench_gc.c, with the same names and figures.
// Each collection that is timed is runtime.GC(), which sweeps too. GOMAXPROCS is MARKERS.
package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const repeat = 7
const gap = 50 * time.Microsecond

type node struct{ left, right *node }
type node32 struct {
	left, right *node32
	value       [2]uintptr
}
type node64 struct {
	left, right *node64
	value       [6]uintptr
}

// Of any type that a load needs: a slot keeps one object alive.
var root [64]interface{}
var seed uint64 = 1
var finalized int

func dice() uint64 {
	seed += 0x9e3779b97f4a7c15
	z := seed
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

func ms(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e6 }

func leastCollect() time.Duration {
	least := time.Duration(1 << 62)
	for i := 0; i < repeat; i++ {
		begin := time.Now()
		runtime.GC()
		if d := time.Since(begin); d < least {
			least = d
		}
	}
	return least
}

func collectDead() time.Duration {
	for i := range root {
		root[i] = nil
	}
	begin := time.Now()
	runtime.GC()
	return time.Since(begin)
}

var sink16 [8]*[2]*byte
var sink32 [8]*[4]*byte
var sink64 [8]*[8]*byte
var sink128 [8]*[16]*byte

func drop(size, n int) {
	begin := time.Now()
	switch size {
	case 16:
		for i := 0; i < n; i++ {
			sink16[i%8] = new([2]*byte)
		}
	case 32:
		for i := 0; i < n; i++ {
			sink32[i%8] = new([4]*byte)
		}
	case 64:
		for i := 0; i < n; i++ {
			sink64[i%8] = new([8]*byte)
		}
	case 128:
		for i := 0; i < n; i++ {
			sink128[i%8] = new([16]*byte)
		}
	}
	fmt.Printf("ns %.2f\n", float64(time.Since(begin).Nanoseconds())/float64(n))
}

func fillArray(n int) []*[2]*byte {
	array := make([]*[2]*byte, n)
	for i := range array {
		array[i] = new([2]*byte)
	}
	return array
}

func array(n int) {
	root[0] = fillArray(n)
	live := leastCollect()
	fmt.Printf("live_ms %.3f\ndead_ms %.3f\n", ms(live), ms(collectDead()))
}

func tree32(n int) {
	all := make([]*node32, n)
	for i := range all {
		all[i] = new(node32)
	}
	for i := 1; i < n; i++ {
		if i%2 == 1 {
			all[(i-1)/2].left = all[i]
		} else {
			all[(i-1)/2].right = all[i]
		}
	}
	root[0] = all[0]
}

func tree64(n int) {
	all := make([]*node64, n)
	for i := range all {
		all[i] = new(node64)
	}
	for i := 1; i < n; i++ {
		if i%2 == 1 {
			all[(i-1)/2].left = all[i]
		} else {
			all[(i-1)/2].right = all[i]
		}
	}
	root[0] = all[0]
}

func random32(n int) {
	all := make([]*node32, n)
	for i := range all {
		all[i] = new(node32)
	}
	for i := range all {
		all[i].right = all[dice()%uint64(n)]
	}
	for i := n - 1; i > 0; i-- {
		j := dice() % uint64(i+1)
		all[i], all[j] = all[j], all[i]
	}
	for i := 1; i < n; i++ {
		all[i].left = all[i-1]
	}
	root[0] = all[n-1]
}

func random64(n int) {
	all := make([]*node64, n)
	for i := range all {
		all[i] = new(node64)
	}
	for i := range all {
		all[i].right = all[dice()%uint64(n)]
	}
	for i := n - 1; i > 0; i-- {
		j := dice() % uint64(i+1)
		all[i], all[j] = all[j], all[i]
	}
	for i := 1; i < n; i++ {
		all[i].left = all[i-1]
	}
	root[0] = all[n-1]
}

func graph(load string, size, n int) {
	debug.SetGCPercent(-1)
	switch load + strconv.Itoa(size) {
	case "tree32":
		tree32(n)
	case "tree64":
		tree64(n)
	case "random32":
		random32(n)
	case "random64":
		random64(n)
	}
	fmt.Printf("ns %.2f\n", float64(leastCollect().Nanoseconds())/float64(n))
}

func makeTree(depth int) *node {
	n := new(node)
	if depth > 0 {
		n.left = makeTree(depth - 1)
		n.right = makeTree(depth - 1)
	}
	return n
}

func trees(depth int) {
	var usage syscall.Rusage
	begin := time.Now()
	root[0] = makeTree(depth)
	for d := 4; d <= depth; d += 2 {
		for i := 1 << uint(depth-d+4); i > 0; i-- {
			root[1] = makeTree(d)
		}
	}
	syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	fmt.Printf("s %.3f\npeak_mb %.1f\n", time.Since(begin).Seconds(), float64(usage.Maxrss)/1024)
}

func pauses(megabytes, seconds int) {
	var longest, gaps time.Duration
	objects := 0
	debug.SetGCPercent(-1)
	tree32(megabytes << 20 / 32)
	debug.SetGCPercent(100)
	begin := time.Now()
	last := begin
	for last.Sub(begin) < time.Duration(seconds)*time.Second {
		for i := 0; i < 20; i++ {
			sink32[i%8] = new([4]*byte)
		}
		objects += 20
		t := time.Now()
		d := t.Sub(last)
		if d > gap {
			gaps += d
		}
		if d > longest {
			longest = d
		}
		last = t
	}
	total := last.Sub(begin).Seconds()
	fmt.Printf("longest_ms %.2f\ngaps_percent %.1f\nmillions_a_second %.2f\n", ms(longest),
		100*gaps.Seconds()/total, float64(objects)/total/1e6)
}

func resident() int {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		panic(err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(text))[1])
	if err != nil {
		panic(err)
	}
	return pages * os.Getpagesize()
}

func setFinalizers(array []*[2]*byte) float64 {
	begin := time.Now()
	for _, p := range array {
		runtime.SetFinalizer(p, func(*[2]*byte) { finalized++ })
	}
	return float64(time.Since(begin).Nanoseconds()) / float64(len(array))
}

func finalizers(n int) {
	debug.SetGCPercent(-1)
	array := fillArray(n)
	root[0] = array
	before := resident()
	set := setFinalizers(array)
	fmt.Printf("bytes %.1f\nset_ns %.1f\n", float64(resident()-before)/float64(n), set)
	for _, p := range array {
		runtime.SetFinalizer(p, nil)
	}
	fmt.Printf("again_ns %.1f\n", setFinalizers(array))
	array = nil
	fmt.Printf("live_ms %.2f\n", ms(leastCollect()))
	dead := ms(collectDead())
	fmt.Printf("dead_ms %.2f\ndead_swept_ms %.2f\n", dead, dead)
}

func arg(i int) int {
	if len(os.Args) <= i {
		return 0
	}
	n, err := strconv.Atoi(os.Args[i])
	if err != nil {
		panic(err)
	}
	return n
}

func main() {
	markers, err := strconv.Atoi(os.Getenv("MARKERS"))
	if err != nil {
		markers = 1
	}
	runtime.GOMAXPROCS(markers)
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: gc LOAD ARG..., see ../bench_gc.c")
		os.Exit(2)
	}
	a, b := arg(2), arg(3)
	switch os.Args[1] {
	case "drop":
		if b == 0 {
			b = 10000000
		}
		drop(a, b)
	case "array":
		array(a)
	case "tree", "random":
		graph(os.Args[1], a, b<<20/a)
	case "trees":
		trees(a)
	case "pause":
		pauses(a, b)
	case "finalizers":
		finalizers(a)
	default:
		fmt.Fprintln(os.Stderr, "no load "+os.Args[1])
		os.Exit(2)
	}
}
