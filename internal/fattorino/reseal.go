package fattorino

import "context"

// A ResealReader finds what is sealed in the store.
type ResealReader interface {
	// KeptSubscriptions gives the subscriptions of all companies with ids above
	// after, by id, those that are gone included.
	KeptSubscriptions(ctx context.Context, after int64, limit int) ([]*Subscription, error)
}

// A ResealTx changes how it is sealed.
type ResealTx interface {
	// ResealKey replaces the sealed form of a signing key; that there is none is
	// no error.
	ResealKey(kid string, sealed []byte) error
}
