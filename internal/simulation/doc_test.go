// Package simulation_test proves that nothing is lost: the real engine, the real
// store and the real contracts play thousands of lives in which everything
// fails that can, and a checker reads afterwards what happened.
//
// A seed decides what users do (users_test.go), what sinks answer and how long
// they take (sinks_test.go), what fails in the store, and when the program
// stops and crashes (store_test.go, world_test.go). It runs in a bubble of
// testing/synctest, so that days pass in a blink. Faults are put before the
// real SQLite store, which can also be full in truth. A crash copies the
// database and its log as they are at that moment, the log cut off inside a
// COMMIT if it falls there, and starts the program anew on the copy.
//
// The checker (checker_test.go, attempts_test.go) reads the history from its
// beginning and works out, by rules written a second time from the documents
// (rules_test.go), what each thing may be:
//
//   - what a publisher or owner was told is in the store; of a request all events
//     or none; seq without gaps; an id with other content is refused;
//   - an event goes to the subscriptions that hear it at its commit, and to no
//     others;
//   - nothing is sent before it is written, to a sink that is not proved, while
//     the subscription is disabled or gone, before it is due, before the sink
//     wants to be called again, past the limits, after success, or while an
//     earlier event of the same entity is on its way (entity, strict);
//   - each answer makes of delivery and subscription what the contract says:
//     state, reason, tries, due date within its jitter, expiry;
//   - an attempt is written if and only if a sink saw it, but for those that a
//     crash or a refusal of the store took;
//   - in the end nothing is left undone, and the store has what it was given.
//
// # Replay
//
// A seed that fails prints how to run it again, and the lines of its history
// that concern what is wrong. What users, sinks and faults do hangs on hashes
// of the seed and of what is decided for what, not on a shared stream, so it is
// the same again as long as the same things happen. Three things cannot be
// replayed: the order in which goroutines run, what falls into one batch of the
// committer because of it, and the jitter of retries. Most failures come again
// at once, some after a few tries; the history that was printed is the one
// that failed. Where the program panics there is no history: with -v the last
// seeds that were begun are the ones to run.
//
//	make simulate                       # 2000 seeds
//	make simulate SEEDS=50000
//	go test ./internal/simulation -run TestSimulation -seed 1234 -v
package simulation_test
