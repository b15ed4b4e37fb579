package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// machine names the machine by its processor and its cores.
func machine() string {
	model := runtime.GOARCH
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			model = strings.TrimSpace(value)
			break
		}
	}
	return fmt.Sprintf("%s, %d cores, %s", model, runtime.NumCPU(), runtime.Version())
}

// loadAverage gives the machine's load average of the last minute.
func loadAverage() float64 {
	text, _ := os.ReadFile("/proc/loadavg")
	first, _, _ := strings.Cut(string(text), " ")
	value, _ := strconv.ParseFloat(first, 64)
	return value
}

// othersCPU gives the processor time that everything but this program and the
// servers it has started and ended has used since the machine started. Time
// that a hypervisor gave to other machines counts as well.
func othersCPU() time.Duration {
	busy := time.Duration(0)
	text, _ := os.ReadFile("/proc/stat")
	first, _, _ := strings.Cut(string(text), "\n")
	for i, field := range strings.Fields(first) {
		if i == 0 || i == 4 || i == 5 || i > 8 {
			continue // the name, idle, waiting for the disk, and what is counted twice
		}
		ticks, _ := strconv.ParseInt(field, 10, 64)
		busy += time.Duration(ticks) * tick
	}
	return busy - used(syscall.RUSAGE_SELF) - used(syscall.RUSAGE_CHILDREN)
}

// tick is the unit of /proc/stat.
const tick = time.Second / 100

// used gives the processor time of this program, or of its children that have
// ended.
func used(who int) time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(who, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// processCPU gives the processor time of a process, to the nanosecond.
func processCPU(pid int) (total time.Duration) {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	for _, task := range tasks {
		text, _ := os.ReadFile(task)
		running, _, _ := strings.Cut(string(text), " ")
		ns, _ := strconv.ParseInt(running, 10, 64)
		total += time.Duration(ns)
	}
	return total
}

// familyCPU gives the processor time of a process, its children and those of
// them that have ended, to the tick.
func familyCPU(pid int) (total time.Duration) {
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range files {
		text, _ := os.ReadFile(file) // it may have ended
		_, rest, _ := strings.Cut(string(text), ") ")
		fields := strings.Fields(rest) // from the third on, proc(5)
		if len(fields) < 15 || (fields[1] != strconv.Itoa(pid) && file != fmt.Sprintf("/proc/%d/stat", pid)) {
			continue
		}
		for _, i := range []int{11, 12, 13, 14} { // its own time, and that of children that have ended
			ticks, _ := strconv.ParseInt(fields[i], 10, 64)
			total += time.Duration(ticks) * tick
		}
	}
	return total
}

// processMemory gives a field of a process's status in MiB: VmRSS is its
// resident memory, VmHWM the greatest it had.
func processMemory(pid int, field string) float64 {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, field+":"); ok {
			kib, _ := strconv.ParseFloat(strings.Fields(value)[0], 64)
			return kib / 1024
		}
	}
	return 0
}
