// Package fattorino is the middle of the program: what an event, a
// subscription and a delivery are, the rules they follow, and every use case.
//
// It imports the standard library only. Doors (api, fic, …) call the
// [Service]; the engine sends; a store keeps. None of them knows another.
package fattorino
