// The real Go runtime as a yardstick: reads the name of a slice, prints operations per second.
package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"syscall"
)

type node struct {
	l, r *node
	v    [2]uint64
}

var sink16 *[16]byte
var sink64 *[64]byte
var sink512 *[512]byte
var sink4096 *[4096]byte
var slots64 []*[64]byte
var slots32 []*node
var root *node

func cpu() float64 {
	var ru syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &ru)
	s := ru.Utime.Sec + ru.Stime.Sec
	us := ru.Utime.Usec + ru.Stime.Usec
	return float64(s) + float64(us)/1e6
}

func allocate(bytes, n int) {
	switch bytes {
	case 16:
		for i := 0; i < n; i++ {
			sink16 = new([16]byte)
		}
	case 64:
		for i := 0; i < n; i++ {
			sink64 = new([64]byte)
		}
	case 512:
		for i := 0; i < n; i++ {
			sink512 = new([512]byte)
		}
	default:
		for i := 0; i < n; i++ {
			sink4096 = new([4096]byte)
		}
	}
}

func fresh(bytes int) float64 {
	debug.SetGCPercent(-1)
	n := (32 << 20) / bytes
	runtime.GC()
	t := cpu()
	allocate(bytes, n)
	return float64(n) / (cpu() - t)
}

func churn64() float64 {
	const live = 1 << 20
	debug.SetGCPercent(100)
	if slots64 == nil {
		slots64 = make([]*[64]byte, live)
		for i := range slots64 {
			slots64[i] = new([64]byte)
		}
	}
	x := uint32(7)
	const n = 1 << 20
	t := cpu()
	for i := 0; i < n; i++ {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		slots64[x&(live-1)] = new([64]byte)
	}
	return n / (cpu() - t)
}

func churn32() float64 {
	const live = 1 << 20
	debug.SetGCPercent(100)
	if slots32 == nil {
		slots32 = make([]*node, live)
		for i := range slots32 {
			slots32[i] = new(node)
		}
	}
	x := uint32(7)
	const n = 1 << 20
	t := cpu()
	for i := 0; i < n; i++ {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		slots32[x&(live-1)] = new(node)
	}
	return n / (cpu() - t)
}

func mark(shuffled bool) float64 {
	const n = 1000000
	debug.SetGCPercent(-1)
	if root == nil {
		all := make([]*node, n)
		for i := range all {
			all[i] = new(node)
		}
		if shuffled {
			x := uint32(42)
			for i := n - 1; i > 0; i-- {
				x ^= x << 13
				x ^= x >> 17
				x ^= x << 5
				j := int(x % uint32(i+1))
				all[i], all[j] = all[j], all[i]
			}
		}
		for i := range all {
			if 2*i+1 < n {
				all[i].l = all[2*i+1]
			}
			if 2*i+2 < n {
				all[i].r = all[2*i+2]
			}
		}
		root = all[0]
	}
	runtime.GC()
	t := cpu()
	runtime.GC()
	return n / (cpu() - t)
}

func main() {
	runtime.GOMAXPROCS(1)
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		rate := 0.0
		switch in.Text() {
		case "new.16":
			rate = fresh(16)
		case "new.64":
			rate = fresh(64)
		case "new.512":
			rate = fresh(512)
		case "new.4096":
			rate = fresh(4096)
		case "churn.noscan64":
			rate = churn64()
		case "churn.node32":
			rate = churn32()
		case "mark.ordered":
			rate = mark(false)
		case "mark.shuffled":
			rate = mark(true)
		}
		fmt.Println(rate)
	}
}
