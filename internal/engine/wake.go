package engine

import (
	"container/heap"
	"time"
)

// longestSleep bounds the wait for a due date, so that a clock that was set
// forward is noticed.
const longestSleep = time.Minute

// schedule keeps the lane's place in the heap of lanes to wake.
func (d *dispatcher) schedule(l *lane, now time.Time) {
	// What is due already is read as soon as the window has room (refresh).
	at := time.Time{}
	if l.served() {
		at = l.wakesAt(now)
	}
	l.wakeAt = at
	switch {
	case !at.IsZero() && l.heapSlot == 0:
		heap.Push(&d.due, l)
	case !at.IsZero():
		heap.Fix(&d.due, l.heapSlot-1)
	case l.heapSlot != 0:
		heap.Remove(&d.due, l.heapSlot-1)
	default:
		return
	}
	if len(d.due) > 0 && d.due[0] == l {
		select {
		case d.dueChanged <- struct{}{}:
		default:
		}
	}
}

// watchDue sleeps until there is a lane to wake, and wakes it.
func (d *dispatcher) watchDue() {
	timer := time.NewTimer(longestSleep)
	defer timer.Stop()
	for {
		timer.Reset(d.wakeDue())
		select {
		case <-timer.C:
		case <-d.dueChanged:
		case <-d.stopping:
			return
		}
	}
}

// wakeDue wakes the lanes whose time has come, and gives the time until the
// next.
func (d *dispatcher) wakeDue() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	for len(d.due) > 0 && !d.due[0].wakeAt.After(now) {
		l := d.due[0]
		heap.Pop(&d.due)
		d.refresh(l) // where its window is full, what is due is read when that drains
	}
	d.wakeOne()
	if len(d.due) == 0 {
		return longestSleep
	}
	return min(longestSleep, max(0, d.due[0].wakeAt.Sub(now)))
}

// dueHeap orders lanes by when they are to be woken.
type dueHeap []*lane

func (h dueHeap) Len() int           { return len(h) }
func (h dueHeap) Less(i, j int) bool { return h[i].wakeAt.Before(h[j].wakeAt) }

func (h dueHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].heapSlot, h[j].heapSlot = i+1, j+1
}

// Push implements heap.Interface.
func (h *dueHeap) Push(x any) {
	l := x.(*lane)
	*h = append(*h, l)
	l.heapSlot = len(*h)
}

// Pop implements heap.Interface.
func (h *dueHeap) Pop() any {
	last := len(*h) - 1
	l := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	l.heapSlot = 0
	return l
}
