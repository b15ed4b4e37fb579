package fattorino

import (
	"errors"
	"time"
)

// Jitter is the share by which a retry's wait is moved at random, so that
// deliveries which failed together do not come back together.
const Jitter = 0.1

// Settle works the answer of an attempt into its delivery and subscription, by
// the rules of the contract. It is pure: shift, from -1 to 1, is the jitter
// drawn. It reports whether the subscription changed.
func Settle(c Contract, s *Subscription, d *Delivery, a *Answer, now time.Time, shift float64) (changed bool) {
	d.Attempts++
	d.Tries++
	d.Status = a.Status
	d.DueAt = time.Time{}
	verdict := c.Judge(a)
	if verdict == Success {
		return succeed(s, d, now)
	}
	if d.FirstErrorAt.IsZero() {
		d.FirstErrorAt = now
	}
	switch {
	case s.State.Gone():
		Discard(d, SinkGone, now)
		return false
	case verdict == End:
		s.State = GoneByAnswer
	case !s.ExpiresAt.IsZero() && now.After(s.ExpiresAt):
		s.State = Expired
	}
	if s.State.Gone() {
		Discard(d, SinkGone, now)
		s.Handshake.Pending = false
		s.UpdatedAt = now
		return true
	}
	return failed(c, s, d, a, now, shift)
}

// EndOverdue ends the subscription where its time is over: for good where it
// could be restored until then, as expired where it was to end.
func (s *Subscription) EndOverdue(now time.Time) {
	at := s.EndsBy()
	switch {
	case at.IsZero() || at.After(now):
	case s.Restorable():
		s.Before = ""
	default:
		s.State, s.UpdatedAt = Expired, now
		s.Handshake.Pending = false
	}
}

// EndsBy gives when time alone will end the subscription, for good; zero = never.
func (s *Subscription) EndsBy() time.Time {
	if s.State.Gone() {
		return s.RestorableUntil()
	}
	return s.Options.EndsAt
}

// SettleAside works in an answer that says nothing of the subscription as it is
// by now: it has another sink, or was deleted and may be restored. The delivery
// is due at once, to be sent when the subscription is. A success is one all the
// same.
func SettleAside(c Contract, d *Delivery, a *Answer, now time.Time) {
	d.Attempts++
	d.Status = a.Status
	d.DueAt = now
	if c.Judge(a) == Success {
		d.State, d.SettledAt, d.DueAt = Delivered, now, time.Time{}
	}
}

// succeed ends a delivery well; any success takes a pending expiry back.
func succeed(s *Subscription, d *Delivery, now time.Time) (changed bool) {
	d.State, d.SettledAt = Delivered, now
	if s.State.Gone() || s.ExpiresAt.IsZero() {
		return false
	}
	s.ExpiresAt, s.FirstErrorAt, s.UpdatedAt = time.Time{}, time.Time{}, now
	return true
}

// failed sets a delivery due again, or discards it and starts the
// subscription's expiry.
func failed(c Contract, s *Subscription, d *Delivery, a *Answer, now time.Time, shift float64) (changed bool) {
	reason := Refused
	if c.Judge(a) == Retry {
		wait, again := c.Retry(s, d.Tries)
		if again {
			wait += time.Duration(float64(wait) * Jitter * shift)
			d.DueAt = now.Add(max(wait, c.Wait(a, now)))
			return false
		}
		reason = Exhausted
	}
	Discard(d, reason, now)
	if d.Event.Private() || !s.ExpiresAt.IsZero() || c.Expiry() == 0 {
		return false // a welcome that fails never starts an expiry, and a date once set stays
	}
	s.FirstErrorAt = d.FirstErrorAt
	s.ExpiresAt = d.FirstErrorAt.Add(c.Expiry())
	s.UpdatedAt = now
	return true
}

// Discard ends a delivery that will not be attempted any more.
func Discard(d *Delivery, reason Reason, now time.Time) {
	d.State, d.Reason, d.SettledAt, d.DueAt, d.WaitsFor = Discarded, reason, now, time.Time{}, 0
}

// askSink makes the next challenge of a subscription pending.
func (s *Subscription) askSink(m Method, now time.Time) {
	s.State = Unverified
	s.Handshake.Method = m
	s.Handshake.Pending = true
	s.Handshake.Round++
	s.Handshake.AskedAt = now
	s.UpdatedAt = now
}

// moveTo gives the subscription a new sink, which must prove itself anew and
// starts with a clean record.
func (s *Subscription) moveTo(sink string, m Method, now time.Time) {
	s.Sink = sink
	s.ExpiresAt, s.FirstErrorAt = time.Time{}, time.Time{}
	s.Handshake = HandshakeState{Round: s.Handshake.Round}
	s.askSink(m, now)
}

// retryHandshake makes another challenge pending, within the contract's
// limits: Conflict when the sink is verified, TooMany when it is too early.
func (s *Subscription) retryHandshake(l HandshakeLimits, m Method, now time.Time) error {
	switch {
	case s.State.Hears():
		return &Error{Kind: Conflict, Msg: "the subscription is already verified"}
	case s.Handshake.Pending:
		return &Error{
			Kind: TooMany, Msg: "a verification of this subscription is under way",
			Fix: "read the subscription again in a few seconds", RetryAfter: l.Timeout,
		}
	case now.Before(s.Handshake.RetryAt):
		return &Error{
			Kind: TooMany, Msg: "a verification of this subscription was asked for a short while ago",
			Fix: "wait for the time given in Retry-After", RetryAfter: s.Handshake.RetryAt.Sub(now),
		}
	}
	s.Handshake.RetryAt = now.Add(l.Every)
	s.askSink(m, now)
	return nil
}

// SettleHandshake works the outcome of a challenge into the subscription;
// failure nil means that the sink has proved itself, and may be called at the
// rate (attempts in a minute; 0 = as often as we like).
func SettleHandshake(l HandshakeLimits, s *Subscription, rate int, failure error, now time.Time) {
	s.UpdatedAt = now
	s.Handshake.Pending = false
	if failure == nil {
		s.State = Active
		s.Handshake = HandshakeState{Round: s.Handshake.Round, Rate: rate}
		return
	}
	s.Handshake.Error = failure.Error()
	if _, later := errors.AsType[PendingConsentError](failure); later {
		return // neither passed nor failed
	}
	s.Handshake.Failed++
	if s.Handshake.Failed >= l.Attempts {
		s.State = VerificationLost
	}
}
