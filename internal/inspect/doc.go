// Package inspect shows a subscriber what arrives. A bin is a URL that nobody
// can guess; whatever is sent there is recorded, answered as its owner wishes,
// and read: which contract it is of, whether it is a challenge or a
// notification, and whether its signature is good.
//
// For those who sent a request, a [Tracer] makes the check of its signature step
// by step, from what the log keeps of it.
//
// Bins and what they record are documents in the store. Everything is bounded:
// how many bins an owner has, how much one of them keeps and for how long, how
// fast and how long requests may be. A bin sends nothing anywhere, and what it
// answers is never a page or a script of the origin that it is served on.
package inspect
