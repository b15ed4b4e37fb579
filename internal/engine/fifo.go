package engine

import "slices"

// fifo is a queue that keeps its memory small once it is empty.
type fifo[T any] struct {
	items []T
	head  int
}

func (q *fifo[T]) len() int { return len(q.items) - q.head }

// first gives the oldest; the queue must not be empty.
func (q *fifo[T]) first() T { return q.items[q.head] }

// at gives the i-th oldest.
func (q *fifo[T]) at(i int) T { return q.items[q.head+i] }

// remove takes out the i-th oldest.
func (q *fifo[T]) remove(i int) {
	if i == 0 {
		q.pop()
		return
	}
	q.items = slices.Delete(q.items, q.head+i, q.head+i+1)
}

func (q *fifo[T]) push(v T) { q.items = append(q.items, v) }

// pop takes the oldest; the queue must not be empty.
func (q *fifo[T]) pop() T {
	var none T
	v := q.items[q.head]
	q.items[q.head] = none
	q.head++
	switch {
	case q.head == len(q.items):
		*q = fifo[T]{items: q.reuse()}
	case q.head > 64 && q.head > len(q.items)/2:
		q.items = append(q.items[:0], q.items[q.head:]...)
		clear(q.items[len(q.items):cap(q.items)])
		q.head = 0
	}
	return v
}

// reuse gives the empty slice to go on with: a large one is left to the
// garbage collector.
func (q *fifo[T]) reuse() []T {
	if cap(q.items) > 256 {
		return nil
	}
	return q.items[:0]
}
